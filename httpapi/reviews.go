package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// ListReviews implements the operation.
func (s *server) ListReviews(ctx context.Context, in ListReviewsRequestObject) (ListReviewsResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.ReviewFilter{Commit: p.Commit, Reviewer: p.Reviewer}
	var err error
	if filter.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return nil, err
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listReviews", p)
	after, err := afterOf(cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Reviews(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := pageOf(rows, limit, seal, func(r *store.Review) uuid.UUID { return r.ID })
	return ListReviews200JSONResponse{Items: each(rows, reviewOf), NextCursor: next}, nil
}

// CreateReview implements the operation.
func (s *server) CreateReview(ctx context.Context, in CreateReviewRequestObject) (CreateReviewResponseObject, error) {
	by, body := principal(ctx), in.Body
	wanted := store.NewReview{Commit: body.Commit, Approved: body.Approved, Comment: body.Comment}
	if body.Decision != nil {
		wanted.Decision = *body.Decision
	}
	var err error
	if wanted.Repo, err = s.repoNamed(ctx, by.Org, body.Repo); err != nil {
		return nil, err
	}
	made, err := s.cfg.DB.CreateReviews(ctx, by, wanted)
	if errors.Is(err, store.ErrNotAPerson) {
		return nil, &respond.Problem{Status: http.StatusForbidden, Code: "not_a_person",
			Detail: "Only people review. This needs a key that belongs to a user: one that was made with \"user\"."}
	}
	if err != nil {
		return nil, err
	}
	s.reconsider(ctx, made[0].RepoID, store.EventReview)
	return CreateReview201JSONResponse{Items: each(made, reviewOf)}, nil
}

func reviewOf(r store.Review) Review {
	return Review{Id: r.ID, RepoId: r.RepoID, Repo: r.Repo, Commit: r.Commit, PatchId: r.PatchID, Reviewer: r.Reviewer, Name: r.Name,
		Approved: r.Approved, Comment: r.Comment, CreatedAt: r.CreatedAt}
}

// GetReviewQueue implements the operation.
func (s *server) GetReviewQueue(ctx context.Context, in GetReviewQueueRequestObject) (GetReviewQueueResponseObject, error) {
	org, limit := principal(ctx).Org, limitOr(in.Params.Limit)
	held, err := s.cfg.DB.Decisions(ctx, org, store.DecisionFilter{State: store.StateHeld}, uuid.Nil, limit)
	if err != nil {
		return nil, err
	}
	pending, err := s.cfg.DB.Decisions(ctx, org, store.DecisionFilter{State: store.StatePending}, uuid.Nil, limit)
	if err != nil {
		return nil, err
	}
	wanted, err := s.cfg.DB.WantedReviews(ctx, org, limit)
	if err != nil {
		return nil, err
	}
	return GetReviewQueue200JSONResponse{Held: each(held, decisionOf), Pending: each(pending, decisionOf),
		Commits: each(wanted, func(w store.WantedReview) WantedReview {
			return WantedReview{Repo: w.Repo, RepoId: w.RepoID, Commit: w.Commit, Pusher: w.Pusher, DecisionId: w.DecisionID, At: w.At,
				Held: w.Held, Finding: w.Finding}
		})}, nil
}
