package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// ListHolds implements the operation.
func (s *server) ListHolds(ctx context.Context, in ListHoldsRequestObject) (ListHoldsResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.HoldFilter{Ref: p.Ref, Pusher: p.Pusher, Active: p.Active}
	var err error
	if filter.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return nil, err
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listHolds", p)
	after, err := afterOf(cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Holds(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := pageOf(rows, limit, seal, func(h *store.RepoHold) uuid.UUID { return h.ID })
	return ListHolds200JSONResponse{Items: each(rows, holdOf), NextCursor: next}, nil
}

// ReleaseHold implements the operation.
func (s *server) ReleaseHold(ctx context.Context, in ReleaseHoldRequestObject) (ReleaseHoldResponseObject, error) {
	hold, err := s.cfg.DB.ReleaseHold(ctx, principal(ctx), in.Id, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return ReleaseHold200JSONResponse(holdOf(hold)), nil
}

func holdOf(h store.RepoHold) Hold {
	return Hold{Id: h.ID, DecisionId: h.DecisionID, RepoId: h.RepoID, Repo: h.Repo, Ref: h.Ref, Pusher: h.Pusher,
		Commits: append([]string{}, h.Commits...), CreatedAt: h.CreatedAt, ReleasedAt: h.ReleasedAt, ReleasedBy: h.ReleasedBy,
		Release: h.Release, Reason: h.Reason}
}
