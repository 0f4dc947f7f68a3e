package hooks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Preview reads what a push would bring, in the repository that it would come
// from: the same as Collect in the one that it goes to, as far as that can be
// known here. repo is a git directory, with a work tree or without; updates
// are those that the push would make, and known what the other repository has,
// as the refs of the remote tell. It changes nothing.
//
// Notes are those of the local notes refs, which the real push may bring later
// than its branches. Ref.Abandoned stays empty: which refs the other
// repository has beside is not known. The error is ErrIncomplete where the
// clone is too shallow, or too partial, to tell what is new.
func Preview(ctx context.Context, repo *gitcmd.Repo, updates []Update, known []gitcmd.OID, env Environment, limits Limits) (Push, error) {
	shallow := filepath.Join(repo.Dir(), "shallow")
	if _, err := os.Stat(shallow); err == nil {
		env.Quarantine = Quarantine{Shallow: shallow}
	} else {
		env.Quarantine = Quarantine{}
	}
	c := newCollection(env.Quarantine.within(repo.WithoutCheckout()), updates, limits.orDefaults())
	c.preview, c.known = true, known
	push, err := c.collect(ctx, env)
	if err == nil && push.Shallow {
		return Push{}, fmt.Errorf("collecting push: %w", ErrIncomplete)
	}
	return push, err
}

// commitsBeyond is NewCommits for a repository that pushes.
func (c *collection) commitsBeyond(ctx context.Context, tips []gitcmd.OID, limit int, fn func(*gitcmd.Commit) error) error {
	return c.repo.CommitsBeyond(ctx, tips, c.known, limit, fn)
}
