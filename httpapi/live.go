package httpapi

import (
	"context"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// GetLive implements the operation.
func (s *server) GetLive(ctx context.Context, in GetLiveRequestObject) (GetLiveResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	if p.By == "" {
		p.By = GetLiveParamsByRepo
	}
	repos, err := s.reposNamed(ctx, org, p.Repo)
	if err != nil {
		return nil, err
	}
	status, err := s.cfg.DB.LiveStatus(ctx, org, repos)
	if err != nil {
		return nil, err
	}
	out := GetLive200JSONResponse{By: string(p.By), Maps: status.Maps, Building: status.Building, Since: status.Since, OldestTip: status.OldestTip}
	if p.By == GetLiveParamsByPath {
		return s.liveFolder(ctx, out, repos, p)
	}
	if p.Path != "" || p.Cursor != "" {
		return nil, respond.InvalidField("path", "and cursor are for by=path")
	}
	total, err := s.cfg.DB.LiveTotal(ctx, org, repos)
	if err != nil {
		return nil, err
	}
	groups, err := s.cfg.DB.LiveBy(ctx, org, store.LiveDimension(p.By), repos, limitOr(p.Limit))
	if err != nil {
		return nil, err
	}
	out.Total = countsOf(total)
	out.Groups = each(groups, func(g store.LiveGroup) LiveGroup {
		return LiveGroup{Key: g.Key, Kind: string(p.By), Counts: countsOf(g.LiveCounts), Rows: rowsOf(p.By, g.Key, p.Repo)}
	})
	return out, nil
}

// rowsOf is where a group's lines are listed.
func rowsOf(by GetLiveParamsBy, key string, repos []string) *string {
	query := url.Values{}
	switch {
	case key == "":
		return nil
	case by == GetLiveParamsByRepo:
		query.Set("by", "path")
		query.Set("repo", key)
		return link("/api/v1/live", query)
	case by == GetLiveParamsByModel, by == GetLiveParamsByTool:
		query.Set(string(by), key)
		query["repo"] = repos
		return link("/api/v1/recall", query)
	}
	return nil
}

func link(path string, query url.Values) *string {
	text := path
	if len(query) > 0 {
		text += "?" + query.Encode()
	}
	return &text
}

func (s *server) liveFolder(ctx context.Context, out GetLive200JSONResponse, repos []uuid.UUID, p GetLiveParams) (GetLiveResponseObject, error) {
	if len(repos) != 1 {
		return nil, respond.InvalidField("repo", "must name one repository, whose folder is listed")
	}
	org, limit := principal(ctx).Org, limitOr(p.Limit)
	seal := sealOf(org, "getLive", []any{repos, p.Path})
	var after *store.LivePathPosition
	if err := openCursor(p.Cursor, seal, &after); err != nil {
		return nil, err
	}
	folder, items, err := s.cfg.DB.LiveFolder(ctx, org, repos[0], p.Path, after, limit+1)
	if err != nil {
		return nil, err
	}
	if len(items) > limit {
		items = items[:limit]
		last := items[limit-1]
		out.NextCursor = makeCursor(seal, store.LivePathPosition{File: last.Kind != folderKind, Path: last.Path})
	}
	out.Total = countsOf(folder.LiveCounts)
	out.Groups = each(items, func(i store.LivePath) LiveGroup {
		return LiveGroup{Key: shown(i.Path), Kind: i.Kind, Excluded: i.Excluded, Files: i.Files, Counts: countsOf(i.LiveCounts),
			Rows: rowsOfPath(repos[0], i)}
	})
	return out, nil
}

const folderKind = "folder"

func rowsOfPath(repo uuid.UUID, i store.LivePath) *string {
	switch i.Kind {
	case folderKind:
		return link("/api/v1/live", url.Values{"by": {"path"}, "repo": {repo.String()}, "path": {string(i.Path)}})
	case store.LiveText:
		return link("/api/v1/repos/"+repo.String()+"/live/files/"+url.PathEscape(string(i.Path)), nil)
	}
	return nil
}

// shown is a path as text: bytes that are none are replaced.
func shown(path []byte) string { return strings.ToValidUTF8(string(path), "\uFFFD") }

func countsOf(c store.LiveCounts) LiveCounts {
	lines := c.AI + c.Human + c.Unknown
	return LiveCounts{Lines: lines, Ai: c.AI, Human: c.Human, Unknown: c.Unknown,
		AiShare: share(c.AI, lines), HumanShare: share(c.Human, lines), UnknownShare: share(c.Unknown, lines)}
}

// share is a part of a whole to six digits, nil of nothing.
func share(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	share := math.Round(float64(part)/float64(whole)*1e6) / 1e6
	return &share
}

// RecallLines implements the operation.
func (s *server) RecallLines(ctx context.Context, in RecallLinesRequestObject) (RecallLinesResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	if p.Model+p.Tool+p.Session+p.Receipt == "" {
		return nil, respond.InvalidField("model", "or tool, session or receipt must be given")
	}
	repos, err := s.reposNamed(ctx, org, p.Repo)
	if err != nil {
		return nil, err
	}
	ask := store.Recall{Model: p.Model, Provider: p.Tool, Session: p.Session, Receipt: p.Receipt, Repos: repos}
	limit, seal := limitOr(p.Limit), sealOf(org, "recallLines", ask)
	var after *store.RecallPosition
	if err := openCursor(p.Cursor, seal, &after); err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Recall(ctx, org, ask, after, limit+1)
	if err != nil {
		return nil, err
	}
	page := RecallLines200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, rows[limit-1].Position())
	}
	page.Items = each(rows, func(r store.RecalledLines) RecalledLines {
		return RecalledLines{Repo: r.Repo, Path: shown(r.Path), First: r.First, Last: r.Last, Commit: r.CommitID, OriginPath: shown(r.OriginPath),
			OriginLine: r.OriginLine, Receipt: textOrNull(r.ReceiptID), Model: r.Model, Tool: r.Provider, Session: r.SessionID,
			Source: r.Source, Confidence: r.Confidence}
	})
	return page, nil
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// GetLiveFile implements the operation.
func (s *server) GetLiveFile(ctx context.Context, in GetLiveFileRequestObject) (GetLiveFileResponseObject, error) {
	org, limit := principal(ctx).Org, limitOr(in.Params.Limit)
	repo, err := s.cfg.DB.Repo(ctx, org, in.Repo)
	if err != nil {
		return nil, err
	}
	seal := sealOf(org, "getLiveFile", []any{repo.ID, in.Path})
	var after *int64
	if err := openCursor(in.Params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	from := int32(0)
	if after != nil {
		from = int32(min(*after, math.MaxInt32))
	}
	file, err := s.cfg.DB.LiveFileLines(ctx, org, repo.ID, in.Path, from, limit+1)
	if err != nil {
		return nil, err
	}
	out := GetLiveFile200JSONResponse{Repo: repo.Name, Path: shown(file.Path), Tip: file.Tip, Blob: file.Blob, Kind: file.Kind,
		Excluded: file.Excluded, Counts: countsOf(file.LiveCounts)}
	if len(file.Runs) > limit {
		file.Runs = file.Runs[:limit]
		out.NextCursor = makeCursor(seal, int64(file.Runs[limit-1].First))
	}
	out.Runs = each(file.Runs, liveRunOf)
	return out, nil
}

func liveRunOf(r store.LineOwner) LiveRun {
	run := LiveRun{First: r.First, Last: r.Last, Class: r.Class, Source: r.Source, Confidence: r.Confidence,
		Receipt: textOrNull(r.ReceiptID), Model: r.Model, Tool: r.Provider, Author: r.Author, Commit: r.CommitID,
		CommittedAt: r.CommittedAt, CommitAuthor: r.AuthorEmail, OriginPath: shown(r.OriginPath), OriginLine: r.OriginLine}
	if r.Source == "trailer" {
		run.Tool, run.Author = r.Author, ""
	}
	return run
}

// GetRework implements the operation.
func (s *server) GetRework(ctx context.Context, in GetReworkRequestObject) (GetReworkResponseObject, error) {
	org := principal(ctx).Org
	repos, err := s.reposNamed(ctx, org, in.Params.Repo)
	if err != nil {
		return nil, err
	}
	status, err := s.cfg.DB.LiveStatus(ctx, org, repos)
	if err != nil {
		return nil, err
	}
	cohorts, err := s.cfg.DB.Cohorts(ctx, org, "", repos)
	if err != nil {
		return nil, err
	}
	added, err := s.cfg.DB.AddedWeeks(ctx, org, "", repos)
	if err != nil {
		return nil, err
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	weeks := survival(added, cohorts)
	out := GetRework200JSONResponse{Maps: status.Maps, Building: status.Building, Since: status.Since,
		Within: within(cohorts, today), Weeks: weeks, Groups: []ReworkGroup{}}
	out.HalfLifeDays.Ai = halfLife(weeks, today, func(w *WeekSurvival) Survival { return w.Ai })
	out.HalfLifeDays.Human = halfLife(weeks, today, func(w *WeekSurvival) Survival { return w.Human })
	out.HalfLifeDays.Unknown = halfLife(weeks, today, func(w *WeekSurvival) Survival { return w.Unknown })
	if in.Params.By != "" {
		by, err := s.cfg.DB.Cohorts(ctx, org, store.LiveDimension(in.Params.By), repos)
		if err != nil {
			return nil, err
		}
		out.Groups = withinGroups(by, today)
	}
	return out, nil
}
