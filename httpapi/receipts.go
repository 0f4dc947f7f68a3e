package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

const defaultLimit = 50

var orders = map[ListReceiptsParamsSort]store.ReceiptOrder{
	"": store.Newest, "-timestamp": store.Newest, "timestamp": store.Oldest, "-cost": store.Costliest,
}

// ListReceipts implements the operation.
func (s *server) ListReceipts(ctx context.Context, in ListReceiptsRequestObject) (ListReceiptsResponseObject, error) {
	org, params := principal(ctx).Org, in.Params
	format, err := negotiate(requestOf(ctx).Header, "application/json", "text/csv")
	if err != nil {
		return nil, err
	}
	filter, err := s.receiptFilter(ctx, org, params)
	if err != nil {
		return nil, err
	}
	order := orders[params.Sort]
	if format == "text/csv" {
		return s.receiptsCSV(ctx, org, filter, order, params)
	}
	limit, seal := limitOr(params.Limit), sealOf(org, "listReceipts", withoutPage(params))
	var after *store.ReceiptPosition
	if err := openCursor(params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Receipts(ctx, org, filter, order, after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListReceipts200JSONResponse{Items: make([]Receipt, 0, len(rows))}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, rows[limit-1].Position())
	}
	if err := s.cfg.DB.PromptsListed(ctx, principal(ctx), store.WithText(rows)); err != nil {
		return nil, err
	}
	for i := range rows {
		page.Items = append(page.Items, receiptOf(&rows[i]))
	}
	return page, nil
}

func withoutPage(p ListReceiptsParams) ListReceiptsParams {
	p.Cursor, p.Limit = "", 0
	return p
}

func limitOr(limit int) int {
	if limit == 0 {
		return defaultLimit
	}
	return limit
}

// receiptFilter resolves the names in the parameters within the organisation.
func (s *server) receiptFilter(ctx context.Context, org uuid.UUID, p ListReceiptsParams) (store.ReceiptFilter, error) {
	f := store.ReceiptFilter{Model: p.Model, Provider: p.Provider, Commit: strings.ToLower(p.Commit), Path: p.Path, Text: p.Q,
		Source: string(p.Source), Current: p.Current, MinCost: store.Decimal(p.MinCost), MaxCost: store.Decimal(p.MaxCost),
		Result: store.ReceiptResult(p.PolicyResult)}
	var err error
	var own []string
	switch {
	case !strings.Contains(p.User, "@"):
		f.UserName = p.User
	default:
		if own, err = s.userNamed(ctx, org, p.User); err != nil {
			return f, err
		}
		f.UserEmail = p.User
	}
	if f.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return f, err
	}
	if f.Emails, err = s.teamNamed(ctx, org, p.Team); err != nil {
		return f, err
	}
	if len(own) > 1 {
		f.UserEmail, f.Emails = "", both(own, f.Emails)
	}
	f.From, f.To, err = s.period(ctx, org, p.From, p.To)
	return f, err
}

// both are the addresses of a person that are also a team's, or all of them if
// there is no team.
func both(person, team []string) []string {
	if team == nil {
		return person
	}
	return slices.DeleteFunc(person, func(email string) bool { return !slices.Contains(team, email) })
}

// reposNamed finds the repositories of the organisation by name or id.
func (s *server) reposNamed(ctx context.Context, org uuid.UUID, names []string) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for _, name := range names {
		repo, err := s.cfg.DB.Repo(ctx, org, name)
		if errors.Is(err, store.ErrNotFound) {
			return nil, respond.InvalidField("repo", "must be the name or id of a repository of your organisation")
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, repo.ID)
	}
	return ids, nil
}

// teamNamed returns all addresses of the members of a team, never nil if there is
// a name.
func (s *server) teamNamed(ctx context.Context, org uuid.UUID, name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	emails, err := s.cfg.DB.TeamEmails(ctx, org, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, respond.InvalidField("team", "must be the name or id of a team of your organisation")
	}
	return append([]string{}, emails...), err
}

// GetReceipt implements the operation.
func (s *server) GetReceipt(ctx context.Context, in GetReceiptRequestObject) (GetReceiptResponseObject, error) {
	d, err := s.cfg.DB.ReceiptDetail(ctx, principal(ctx).Org, in.Id)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.DB.PromptRead(ctx, principal(ctx), d.ID); err != nil {
		return nil, err
	}
	document := struct {
		Receipt
		ReceiptRelated
	}{receiptOf(&d.Receipt), relatedOf(&d)}
	return answerFunc(func(w http.ResponseWriter) error { return respond.JSON(w, http.StatusOK, document) }), nil
}

func receiptOf(r *store.Receipt) Receipt {
	return Receipt{
		Id: r.ID, Repo: r.Repo, RepoId: r.RepoID, CommitHash: r.CommitHash, Provider: r.Provider, Model: r.Model,
		PromptSummary: r.PromptSummary, ResponseSummary: r.ResponseSummary, PromptHash: r.PromptHash,
		CostUsd: r.CostUSD, CostReportedUsd: r.CostReportedUSD, CostBasis: ReceiptCostBasis(r.CostBasis),
		UserName: r.UserName, UserEmail: r.UserEmail, FilePath: r.FilePath, LineStart: r.LineStart, LineEnd: r.LineEnd,
		FilesCount: r.Files, Timestamp: r.Timestamp, TimestampBasis: ReceiptTimestampBasis(r.TimestampBasis),
		SessionId: r.SessionID, SessionDurationSecs: r.SessionDurationSecs, PromptId: r.PromptID,
		PromptNumber: r.PromptNumber, InputTokens: r.InputTokens, OutputTokens: r.OutputTokens,
		CacheReadTokens: r.CacheReadTokens, CacheCreationTokens: r.CacheCreationTokens,
		AcceptedLines: r.AcceptedLines, OverriddenLines: r.OverriddenLines, TotalAdditions: r.TotalAdditions,
		TotalDeletions: r.TotalDeletions, Source: Source(r.Source), FormatVersion: r.FormatVersion, Current: r.Current,
		ConversationTurns: r.ConversationTurns, ReceivedAt: r.ReceivedAt, SyncedAt: r.SyncedAt,
	}
}

func relatedOf(d *store.ReceiptDetail) ReceiptRelated {
	var used *Price
	if d.Price != nil {
		shown := priceOf(*d.Price)
		used = &shown
	}
	return ReceiptRelated{
		Price: used,
		Provenance: Provenance{Repo: d.Repo, RepoId: d.RepoID, Ref: d.Ref, Commit: d.CommitHash, NoteBlob: d.Blob,
			NotesCommit: d.NotesCommit},
		Files: each(d.FileChanges, func(f store.ReceiptFile) ReceiptFile {
			return ReceiptFile{Path: f.Path, LineStart: f.LineStart, LineEnd: f.LineEnd, BlobHash: f.BlobHash,
				Additions: f.Additions, Deletions: f.Deletions}
		}),
		Commits: each(d.Bodies, func(b store.ReceiptBody) ReceiptCommit {
			return ReceiptCommit{Repo: b.Repo, RepoId: b.RepoID, Ref: b.Ref, Commit: b.Commit, NoteBlob: b.Blob,
				NotesCommit: b.NotesCommit, Position: b.Position, Current: b.Current, FirstNotedAt: b.FirstNotedAt,
				NotedAt: b.NotedAt, SameContent: b.SameContent}
		}),
		Reattachments: each(d.Reattachments, reattachmentOf),
		Versions:      each(d.Versions, versionOf), Attested: each(d.Attested, attestedOf), Findings: each(d.Findings, findingOf),
		MessageCount: d.MessageCount, SessionStart: d.SessionStart, SessionEnd: d.SessionEnd,
		PromptSubmittedAt: d.PromptSubmittedAt, PromptDurationSecs: d.PromptDurationSecs,
		AiResponseTimeSecs: d.AIResponseTimeSecs, ParentReceiptId: d.ParentReceiptID,
		RawTimestamps: rawJSON(d.RawTimestamps), Detail: rawJSON(d.Detail), Conversation: rawJSON(d.Conversation),
		ConversationBytes: d.ConversationBytes,
	}
}

func versionOf(v store.NoteVersion) NoteVersion {
	return NoteVersion{RepoId: v.RepoID, Ref: v.Ref, Commit: v.Commit, NotesCommit: v.NotesCommit, NoteBlob: v.Blob,
		AuthorName: v.AuthorName, AuthorEmail: v.AuthorEmail, AuthoredAt: v.AuthoredAt, CommittedAt: v.CommittedAt,
		Current: v.Current}
}

// attestedOf trusts that the store's lines are pairs, as its SQL makes them.
func attestedOf(a store.AttestedPath) AttestedPath {
	out := AttestedPath{Path: a.Path, Class: AttestedPathClass(a.Class), LineCount: a.LineCount, Lines: [][]int64{}}
	_ = json.Unmarshal(a.Lines, &out.Lines)
	return out
}

func findingOf(f store.StoredFinding) Finding {
	return Finding{Id: f.ID, Code: f.Code, Severity: FindingSeverity(f.Severity), Ref: f.Ref, Commit: f.Commit, NoteBlob: f.Blob,
		ReceiptId: f.ReceiptID, Location: f.Location, Message: f.Message, FoundAt: f.FoundAt}
}

// each converts a list; the result is never nil, so that JSON shows [].
func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i := range list {
		out[i] = convert(list[i])
	}
	return out
}

// rawJSON shows stored JSON as it is, and none as null.
func rawJSON(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// period reads from and to as moments: from inclusive, to exclusive. A date
// stands for a day of the organisation's time zone, which to includes.
func (s *server) period(ctx context.Context, org uuid.UUID, from, to string) (time.Time, time.Time, error) {
	zone, err := s.zone(ctx, org, from, to)
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	start, _, err := readTime("from", from, zone)
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	end, isDate, err := readTime("to", to, zone)
	if isDate {
		end = end.AddDate(0, 0, 1)
	}
	if err == nil && !start.IsZero() && !end.IsZero() && end.Before(start) {
		err = respond.InvalidField("to", "must not be before from")
	}
	return start, end, err
}

// zone is the organisation's time zone; it is not asked for where no date
// depends on it.
func (s *server) zone(ctx context.Context, org uuid.UUID, from, to string) (*time.Location, error) {
	if from == "" && to == "" {
		return time.UTC, nil
	}
	row, err := s.cfg.DB.OrgByID(ctx, org)
	if err != nil {
		return nil, err
	}
	return time.LoadLocation(row.TimeZone)
}

// readTime reads a date or an RFC 3339 time. A space is what a browser's form
// or a careless client makes of the + before an offset.
func readTime(field, text string, zone *time.Location) (t time.Time, isDate bool, err error) {
	if text == "" {
		return time.Time{}, false, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t, true, nil
	}
	t, err = time.Parse(time.RFC3339, strings.ToUpper(strings.ReplaceAll(text, " ", "+")))
	if err != nil {
		return t, false, respond.InvalidField(field, "must be a date such as 2026-02-14 or a time such as 2026-02-14T09:30:00Z")
	}
	return t, false, nil
}
