package httpapi

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// ListReattachments implements the operation.
func (s *server) ListReattachments(ctx context.Context, in ListReattachmentsRequestObject) (ListReattachmentsResponseObject, error) {
	org := principal(ctx).Org
	repo, err := s.cfg.DB.Repo(ctx, org, in.Repo)
	if err != nil {
		return nil, err
	}
	filter := store.ReattachmentFilter{Repo: repo.ID, Commit: strings.ToLower(in.Params.Commit), Active: in.Params.Active}
	limit, seal := limitOr(in.Params.Limit), sealOf(org, "listReattachments", filter)
	after, err := afterOf(in.Params.Cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Reattachments(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListReattachments200JSONResponse{}
	rows, page.NextCursor = pageOf(rows, limit, seal, func(r *store.StoredReattachment) uuid.UUID { return r.ID })
	page.Items = each(rows, reattachmentOf)
	return page, nil
}

func reattachmentOf(r store.StoredReattachment) Reattachment {
	return Reattachment{Id: r.ID, Repo: r.Repo, RepoId: r.RepoID, Ref: r.Ref, FromCommit: r.FromCommit, NoteBlob: r.Blob, ToCommit: r.ToCommit,
		How: ReattachmentHow(r.How), Squash: r.Squash, Active: r.Active, FoundAt: r.FoundAt, EndedAt: r.EndedAt,
		Receipts: r.Receipts, Lines: r.Lines}
}
