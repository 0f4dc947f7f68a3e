package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// ListRepos implements the operation.
func (s *server) ListRepos(ctx context.Context, in ListReposRequestObject) (ListReposResponseObject, error) {
	rows, err := s.reposOf(ctx, in.Params.Url)
	if err != nil {
		return nil, err
	}
	items, err := s.describe(ctx, rows...)
	return ListRepos200JSONResponse{Items: items}, err
}

// reposOf returns the repositories with a remote at the address, or all.
func (s *server) reposOf(ctx context.Context, address string) ([]store.Repo, error) {
	org := principal(ctx).Org
	if address == "" {
		return s.cfg.DB.Repos(ctx, org)
	}
	key := forge.NormalizeURL(address)
	if key == "" {
		return nil, nil
	}
	return s.cfg.DB.ReposByURLKey(ctx, org, []string{key})
}

// GetRepo implements the operation.
func (s *server) GetRepo(ctx context.Context, in GetRepoRequestObject) (GetRepoResponseObject, error) {
	row, err := s.cfg.DB.Repo(ctx, principal(ctx).Org, in.Repo)
	if err != nil {
		return nil, err
	}
	repo, err := s.describeOne(ctx, row)
	return GetRepo200JSONResponse(repo), err
}

// AddRepo implements the operation.
func (s *server) AddRepo(ctx context.Context, in AddRepoRequestObject) (AddRepoResponseObject, error) {
	by := principal(ctx)
	fresh, err := s.newRepo(ctx, *in.Body)
	if err != nil {
		return nil, err
	}
	row, err := s.cfg.DB.CreateRepo(ctx, by, fresh)
	if err != nil {
		return nil, err
	}
	err = s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		return s.cfg.Fetches.DemandFetch(ctx, tx, by.Org, row.ID, queue.Asked)
	})
	if err != nil {
		return nil, err
	}
	repo, err := s.describeOne(ctx, row)
	return AddRepo201JSONResponse(repo), err
}

func (s *server) newRepo(ctx context.Context, body NewRepo) (store.NewRepo, error) {
	in := connect.Registration{Name: body.Name, URL: body.Url, NotesRefs: body.NotesRefs, NotesOnly: body.NotesOnly}
	if body.Gateway != nil {
		in.Gateway = store.Gateway(*body.Gateway)
	}
	if body.Credential != nil {
		in.User, in.Secret = body.Credential.User, body.Credential.Secret
	}
	return in.Resolve(ctx, s.cfg.Remotes)
}

// UpdateRepo implements the operation.
func (s *server) UpdateRepo(ctx context.Context, in UpdateRepoRequestObject) (UpdateRepoResponseObject, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.Repo(ctx, by.Org, in.Repo)
	if err != nil {
		return nil, err
	}
	var change store.RepoSettings
	if in.Body.Mode != nil {
		change.Mode = string(*in.Body.Mode)
	}
	if in.Body.ReceiptMode != nil {
		change.ReceiptMode = string(*in.Body.ReceiptMode)
	}
	if in.Body.GraceSeconds != nil {
		grace := time.Duration(*in.Body.GraceSeconds) * time.Second
		change.Grace = &grace
	}
	if in.Body.Gateway != nil {
		change.Gateway = store.Gateway(*in.Body.Gateway)
	}
	if in.Body.NotesProtection != nil {
		change.NotesProtection = store.NotesProtection(*in.Body.NotesProtection)
	}
	change.ForwardNotes, change.Reattach = in.Body.ForwardNotes, in.Body.Reattach
	if in.Body.ExcludedPaths != nil {
		change.ExcludedPaths = append([]string{}, *in.Body.ExcludedPaths...)
	}
	if row, err = s.cfg.DB.UpdateRepo(ctx, by, row.ID, change); err != nil {
		return nil, err
	}
	repo, err := s.describeOne(ctx, row)
	return UpdateRepo200JSONResponse(repo), err
}

// RemoveRepo implements the operation.
func (s *server) RemoveRepo(ctx context.Context, in RemoveRepoRequestObject) (RemoveRepoResponseObject, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.Repo(ctx, by.Org, in.Repo)
	if err != nil {
		return nil, err
	}
	return RemoveRepo204Response{}, s.cfg.DB.RemoveRepo(ctx, by, row.ID)
}

// SyncRepo implements the operation.
func (s *server) SyncRepo(ctx context.Context, in SyncRepoRequestObject) (SyncRepoResponseObject, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.Repo(ctx, by.Org, in.Repo)
	if err != nil {
		return nil, err
	}
	if !row.Fetched() {
		return nil, &respond.Problem{Status: http.StatusConflict, Code: "not_fetched",
			Detail: "This repository has no remote or was removed, so there is nothing to fetch."}
	}
	err = s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Audit(ctx, by, "repo.sync", row.Name, nil); err != nil {
			return err
		}
		return s.cfg.Fetches.DemandFetch(ctx, tx, by.Org, row.ID, queue.Asked)
	})
	if err != nil {
		return nil, err
	}
	repo, err := s.describeOne(ctx, row)
	return SyncRepo202JSONResponse(repo), err
}

func (s *server) describeOne(ctx context.Context, row store.Repo) (Repo, error) {
	repos, err := s.describe(ctx, row)
	if err != nil {
		return Repo{}, err
	}
	return repos[0], nil
}

// describe joins repositories and what they hold.
func (s *server) describe(ctx context.Context, rows ...store.Repo) ([]Repo, error) {
	ids := each(rows, func(r store.Repo) uuid.UUID { return r.ID })
	statuses, err := s.cfg.DB.RepoStatuses(ctx, principal(ctx).Org, ids)
	if err != nil {
		return nil, err
	}
	return each(rows, func(r store.Repo) Repo { return repoOf(r, statuses[r.ID]) }), nil
}

func repoOf(r store.Repo, status store.RepoStatus) Repo {
	return Repo{Id: r.ID, Name: r.Name, Url: r.RemoteURL, NotesRefs: r.NotesRefs, NotesOnly: !r.FetchHeads,
		DefaultBranch: r.DefaultBranch, ObjectFormat: RepoObjectFormat(r.ObjectFormat), Mode: RepoMode(r.Mode),
		ReceiptMode: ReceiptMode(r.ReceiptMode), GraceSeconds: r.GraceSeconds, NotesProtection: NotesProtection(r.NotesProtection),
		Gateway: GatewayMode(r.Gateway), ForwardNotes: r.ForwardNotes, ExcludedPaths: r.ExcludedPaths, Reattach: r.Reattach, CreatedAt: r.CreatedAt, RemovedAt: r.RemovedAt,
		Status: RepoStatus{FetchStartedAt: r.FetchStartedAt, FetchedAt: r.FetchedAt, FetchFailures: r.FetchFailures,
			FetchError: r.FetchError, Receipts: status.Receipts, ReceiptsCurrent: status.ReceiptsCurrent,
			Findings: status.Findings, Tips: each(status.Tips, func(t store.Tip) RefTip {
				return RefTip{Ref: t.Ref, Tip: t.Tip, UpdatedAt: t.UpdatedAt}
			})}}
}
