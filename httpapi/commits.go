package httpapi

import (
	"context"
	"strings"

	"github.com/blameprompt/enterprise/store"
)

// GetCommit implements the operation.
func (s *server) GetCommit(ctx context.Context, in GetCommitRequestObject) (GetCommitResponseObject, error) {
	org, sha := principal(ctx).Org, strings.ToLower(in.Sha)
	repo, err := s.cfg.DB.Repo(ctx, org, in.Repo)
	if err != nil {
		return nil, err
	}
	notes, err := s.cfg.DB.CommitNotes(ctx, org, repo.ID, sha)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.DB.PromptsListed(ctx, principal(ctx), store.WithText(notes.Receipts)); err != nil {
		return nil, err
	}
	out := GetCommit200JSONResponse{Repo: repo.Name, Commit: sha, Metadata: metadataOf(notes.Commit), Lines: linesOf(notes.Lines),
		Versions: each(notes.Versions, versionOf), Findings: each(notes.Findings, findingOf),
		Reattachments: each(notes.Reattachments, reattachmentOf),
		Receipts:      each(notes.Receipts, func(r store.Receipt) Receipt { return receiptOf(&r) })}
	out.Attested.Paths = each(notes.Attested, attestedOf)
	for _, path := range out.Attested.Paths {
		switch path.Class {
		case AttestedPathClassAi:
			out.Attested.Ai += path.LineCount
		case AttestedPathClassHuman:
			out.Attested.Human += path.LineCount
		}
	}
	return out, nil
}

func metadataOf(c *store.Commit) *CommitMetadata {
	if c == nil {
		return nil
	}
	return &CommitMetadata{Parents: append([]string{}, c.Parents...), AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail,
		AuthoredAt: c.AuthoredAt, CommitterName: c.CommitterName, CommitterEmail: c.CommitterEmail,
		CommittedAt: c.CommittedAt, Subject: c.Subject, Agents: rawJSON(c.Agents), Bot: c.Bot}
}

// ListFindings implements the operation.
func (s *server) ListFindings(ctx context.Context, in ListFindingsRequestObject) (ListFindingsResponseObject, error) {
	org := principal(ctx).Org
	repo, err := s.cfg.DB.Repo(ctx, org, in.Repo)
	if err != nil {
		return nil, err
	}
	limit, seal := limitOr(in.Params.Limit), sealOf(org, "listFindings", []any{repo.ID, in.Params.Severity})
	var after *store.FindingPosition
	if err := openCursor(in.Params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Findings(ctx, org, repo.ID, string(in.Params.Severity), after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListFindings200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, store.FindingPosition{FoundAt: rows[limit-1].FoundAt, ID: rows[limit-1].ID})
	}
	page.Items = each(rows, findingOf)
	return page, nil
}
