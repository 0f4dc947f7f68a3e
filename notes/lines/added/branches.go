package added

import (
	"context"
	"errors"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/store"
)

// planBranches looks at the branches beside the default one that were asked for,
// and demands what they have that it does not reach. One that this mirror does not
// have yet waits for the next fetch.
func (r *run) planBranches(ctx context.Context) error {
	if !r.state.Branches {
		return nil
	}
	db := r.keeper.cfg.DB
	stale, err := db.StaleLineBranches(ctx, r.state.OrgID, r.state.RepoID)
	if err != nil {
		return err
	}
	for _, b := range stale {
		commits, ok, err := r.beside(ctx, b)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := db.PlanLineBranch(ctx, r.state.OrgID, r.state.RepoID, b, commits); err != nil {
			return err
		}
	}
	return nil
}

// beside lists the commits that a branch reaches and the default branch does not,
// newest first, one more than are kept if there are as many. It is not ok where the
// mirror has not got either of them.
func (r *run) beside(ctx context.Context, b store.StaleBranch) (commits []string, ok bool, err error) {
	if b.Tip == "" {
		return nil, true, nil
	}
	walk := gitcmd.Walk{Include: []gitcmd.OID{gitcmd.OID(b.Tip)}, Limit: store.MaxBranchCommits + 1}
	if b.Base != "" {
		walk.Exclude = []gitcmd.OID{gitcmd.OID(b.Base)}
	}
	for _, tip := range append(walk.Include, walk.Exclude...) {
		if has, err := r.git.HasCommit(ctx, tip); err != nil || !has {
			return nil, false, err
		}
	}
	err = r.git.RevList(ctx, walk, func(commit gitcmd.OID, _ []gitcmd.OID) error {
		commits = append(commits, string(commit))
		return nil
	})
	if errors.Is(err, gitcmd.ErrMissingObject) {
		// What is there counts; the history behind is not known of any branch.
		err = nil
	}
	return commits, true, err
}
