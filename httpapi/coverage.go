package httpapi

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// coverageListed is the length of the lists of groups.
const coverageListed = 100

// GetCoverage implements the operation.
func (s *server) GetCoverage(ctx context.Context, in GetCoverageRequestObject) (GetCoverageResponseObject, error) {
	p := in.Params
	filter, err := s.peopleFilter(ctx, peopleParams{p.Repo, p.Team, p.User, p.From, p.To})
	if err != nil {
		return nil, err
	}
	c, err := s.cfg.DB.Coverage(ctx, principal(ctx).Org, filter, coverageListed)
	if err != nil {
		return nil, err
	}
	asked := peopleParams{p.Repo, p.Team, p.User, p.From, p.To}
	out := GetCoverage200JSONResponse{Total: coverageSums(c.Total, asked.query())}
	groups := func(list []store.CoverageGroup, field string) []CoverageGroup {
		return each(list, func(g store.CoverageGroup) CoverageGroup {
			query := asked.query()
			query.Set(field, g.Key)
			return CoverageGroup{Key: g.Key, NotedAt: g.NotedAt, Sums: coverageSums(g.LineSums, query)}
		})
	}
	out.Repos, out.People = groups(c.Repos, "repo"), groups(c.People, "user")
	out.Teams, out.Agents = groups(c.Teams, "team"), groups(c.Agents, "agent")
	for _, kind := range store.EventKinds {
		query := asked.query()
		query.Set("kind", string(kind))
		out.Events = append(out.Events, struct {
			Count int64     `json:"count"`
			Kind  EventKind `json:"kind"`
			Rows  string    `json:"rows"`
		}{c.Events[kind], EventKind(kind), "/api/v1/coverage/events?" + query.Encode()})
	}
	return out, nil
}

// peopleParams are what figures about commits are asked by.
type peopleParams struct {
	repos                []string
	team, user, from, to string
}

// query is the parameters that ask for the same again.
func (p peopleParams) query() url.Values {
	query := url.Values{}
	for _, repo := range p.repos {
		query.Add("repo", repo)
	}
	for name, value := range map[string]string{"team": p.team, "user": p.user, "from": p.from, "to": p.to} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// peopleFilter reads the parameters: repositories, authors, and days.
func (s *server) peopleFilter(ctx context.Context, p peopleParams) (f store.AnalyticsFilter, err error) {
	org := principal(ctx).Org
	if f.Repos, err = s.reposNamed(ctx, org, p.repos); err != nil {
		return f, err
	}
	if f.Emails, err = s.teamNamed(ctx, org, p.team); err != nil {
		return f, err
	}
	if p.user != "" {
		own, err := s.userNamed(ctx, org, p.user)
		if err != nil {
			return f, err
		}
		f.Emails = append([]string{}, both(own, f.Emails)...)
	}
	zone, err := s.zone(ctx, org, p.from, p.to)
	if err != nil {
		return f, err
	}
	if f.From, err = readDay("from", p.from, zone); err != nil {
		return f, err
	}
	if f.To, err = readDay("to", p.to, zone); err != nil {
		return f, err
	}
	if !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From) {
		return f, respond.InvalidField("to", "must not be before from")
	}
	return f, nil
}

func coverageSums(n store.LineSums, query url.Values) CoverageSums {
	linked := func(count int64, field, value string, more ...string) Linked {
		rows := url.Values{}
		for name, values := range query {
			rows[name] = values
		}
		rows.Set(field, value)
		for i := 0; i+1 < len(more); i += 2 {
			rows.Set(more[i], more[i+1])
		}
		return Linked{Count: count, Rows: "/api/v1/commits?" + rows.Encode()}
	}
	return CoverageSums{
		Commits: linked(n.Commits, "kind", "counted"),
		Noted:   linked(n.CommitsNoted, "kind", "counted", "noted", "true"), NotNoted: linked(n.Commits-n.CommitsNoted, "kind", "counted", "noted", "false"),
		Marked: linked(n.CommitsMarked, "kind", "counted", "marked", "true"), BotCommits: linked(n.BotCommits, "kind", "bot"),
		MergeCommits: linked(n.MergeCommits, "kind", "merge"),
		Coverage:     part(n.CommitsNoted, n.Commits), AiShare: part(n.AI, n.Added),
		Lines: LineCounts{Added: n.Added, Ai: n.AI, Human: n.Human, Unknown: n.Unknown, Trailer: n.Trailer, Excluded: n.Excluded, Deleted: n.Deleted},
	}
}

// part is n of all, nil if there is nothing.
func part(n, of int64) *float32 {
	if of == 0 {
		return nil
	}
	share := float32(float64(n) / float64(of))
	return &share
}

// ListCoverageEvents implements the operation.
func (s *server) ListCoverageEvents(ctx context.Context, in ListCoverageEventsRequestObject) (ListCoverageEventsResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter, err := s.peopleFilter(ctx, peopleParams{p.Repo, p.Team, p.User, p.From, p.To})
	if err != nil {
		return nil, err
	}
	limit := limitOr(p.Limit)
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listCoverageEvents", p)
	var after *store.EventPosition
	if err := openCursor(in.Params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Events(ctx, org, filter, store.EventKind(p.Kind), after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListCoverageEvents200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, store.EventPosition{At: rows[limit-1].At, ID: rows[limit-1].ID})
	}
	page.Items = each(rows, func(e store.Event) CoverageEvent {
		return CoverageEvent{At: e.At, Kind: p.Kind, Repo: e.Repo, Ref: e.Ref, Commit: e.Commit, By: e.By, DecisionId: e.DecisionID}
	})
	return page, nil
}

// ListCommits implements the operation.
func (s *server) ListCommits(ctx context.Context, in ListCommitsRequestObject) (ListCommitsResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	who, err := s.peopleFilter(ctx, peopleParams{p.Repo, p.Team, p.User, p.From, p.To})
	if err != nil {
		return nil, err
	}
	filter := store.CommitFilter{Repos: who.Repos, Emails: who.Emails, From: who.From, To: who.To, Kind: store.CommitKind(p.Kind),
		Class: string(p.Class), Noted: p.Noted, Marked: p.Marked, Agent: p.Agent, State: string(p.State), Folder: p.Path}
	if filter.Ref, err = s.branchAsked(ctx, org, who.Repos, p.Ref); err != nil {
		return nil, err
	}
	limit := limitOr(p.Limit)
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listCommits", p)
	var after *store.CommitPosition
	if err := openCursor(in.Params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.LineCommits(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListCommits200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		last := &rows[limit-1]
		page.NextCursor = makeCursor(seal, store.CommitPosition{At: last.CommittedAt, RepoID: last.RepoID, Commit: last.Commit})
	}
	page.Items = each(rows, classifiedOf)
	return page, nil
}

func classifiedOf(c store.LineCommit) ClassifiedCommit {
	return ClassifiedCommit{Repo: c.Repo, Commit: c.Commit, Subject: c.Subject, AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail,
		CommittedAt: c.CommittedAt, Day: openapi_types.Date{Time: c.Day.In(time.UTC)}, Merge: c.Merge, Bot: c.Bot, Noted: c.Noted,
		Agent: c.Agent, State: c.State, Lines: lineCounts(&c), Link: "/api/v1/repos/" + url.PathEscape(c.Repo) + "/commits/" + c.Commit}
}

func lineCounts(c *store.LineCommit) LineCounts {
	return LineCounts{Added: c.Added, Ai: c.AI, Human: c.Human, Unknown: c.Unknown, Trailer: c.Trailer, Excluded: c.Excluded, Deleted: c.Deleted}
}

// linesOf shows the files of a commit with their runs, which come in one order.
func linesOf(c *store.CommitLines) *CommitLines {
	if c == nil {
		return nil
	}
	runs := c.Runs
	out := &CommitLines{OnDefault: c.OnDefault, State: c.State, Counts: lineCounts(&c.LineCommit), Cut: c.Cut}
	out.Files = each(c.Files, func(f store.AddedFile) AddedFile {
		own := 0
		for own < len(runs) && slices.Equal(runs[own].Path, f.Path) {
			own++
		}
		file := AddedFile{Path: readable(f.Path), OldPath: readable(f.OldPath), Blob: f.Blob, Excluded: f.Excluded, Added: f.Added,
			Ai: f.AI, Human: f.Human, Unknown: f.Unknown, Trailer: f.Trailer, Runs: each(runs[:own], runOf)}
		runs = runs[own:]
		return file
	})
	return out
}

func runOf(r store.AddedRun) AddedRun {
	return AddedRun{First: r.First, Last: r.Last, Class: r.Class, Source: r.Source, Confidence: r.Confidence, ReceiptId: r.ReceiptID,
		Author: r.Author, FromCommit: r.FromCommit}
}

// readable is a path of git, which may be any bytes, as text.
func readable(path []byte) string { return strings.ToValidUTF8(string(path), "\uFFFD") }
