package httpapi

import (
	"context"
	"net/url"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// ListLineBranches implements the operation.
func (s *server) ListLineBranches(ctx context.Context, in ListLineBranchesRequestObject) (ListLineBranchesResponseObject, error) {
	repo, err := s.cfg.DB.Repo(ctx, principal(ctx).Org, in.Repo)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.LineBranches(ctx, repo.OrgID, repo.ID)
	return ListLineBranches200JSONResponse{Items: each(rows, func(b store.LineBranch) LineBranch { return lineBranchOf(repo, b) })}, err
}

// AddLineBranch implements the operation.
func (s *server) AddLineBranch(ctx context.Context, in AddLineBranchRequestObject) (AddLineBranchResponseObject, error) {
	by := principal(ctx)
	repo, err := s.cfg.DB.Repo(ctx, by.Org, in.Repo)
	if err != nil {
		return nil, err
	}
	err = s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.AddLineBranch(ctx, by, repo.ID, in.Body.Ref); err != nil {
			return err
		}
		return s.poke(ctx, tx, queue.LinesTask)
	})
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.LineBranches(ctx, repo.OrgID, repo.ID)
	if err != nil {
		return nil, err
	}
	for _, b := range rows {
		if b.Ref == in.Body.Ref {
			return AddLineBranch202JSONResponse(lineBranchOf(repo, b)), nil
		}
	}
	return nil, store.ErrNotFound
}

// DropLineBranch implements the operation.
func (s *server) DropLineBranch(ctx context.Context, in DropLineBranchRequestObject) (DropLineBranchResponseObject, error) {
	by := principal(ctx)
	repo, err := s.cfg.DB.Repo(ctx, by.Org, in.Repo)
	if err != nil {
		return nil, err
	}
	return DropLineBranch204Response{}, s.cfg.DB.DropLineBranch(ctx, by, repo.ID, in.Params.Ref)
}

// branchAsked checks that commits of a branch can be listed.
func (s *server) branchAsked(ctx context.Context, org uuid.UUID, repos []uuid.UUID, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	if len(repos) != 1 {
		return "", respond.InvalidField("repo", "must name one repository, whose branch it is")
	}
	branches, err := s.cfg.DB.LineBranches(ctx, org, repos[0])
	if err != nil {
		return "", err
	}
	for _, b := range branches {
		if b.Ref == ref {
			return ref, nil
		}
	}
	return "", respond.InvalidField("ref", "is not classified; ask for it with POST /api/v1/repos/{repo}/branches")
}

func lineBranchOf(repo store.Repo, b store.LineBranch) LineBranch {
	out := LineBranch{Ref: b.Ref, Tip: b.Tip, State: LineBranchStateDone, Cut: b.Cut, RequestedBy: b.RequestedBy, RequestedAt: b.RequestedAt,
		Commits: b.Commits, Open: b.Open,
		Lines: FolderLines{Added: b.Added, Ai: b.AI, Human: b.Human, Unknown: b.Unknown, Trailer: b.Trailer, Excluded: b.Excluded},
		Rows:  *link("/api/v1/commits", url.Values{"repo": {repo.Name}, "ref": {b.Ref}})}
	switch {
	case b.Waiting:
		out.State = LineBranchStateWaiting
	case b.Open > 0:
		out.State = LineBranchStateClassifying
	case b.Tip == "":
		out.State = LineBranchStateGone
	}
	return out
}
