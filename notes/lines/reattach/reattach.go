// Package reattach finds the commits that notes speak of whose own commits were
// left behind: by a squash, a rebase, an amend, a cherry-pick whose source is
// gone, or a forced push.
//
// It owns the way from a repository's mirror and its stored notes to the table
// reattachments, and to reattached_lines, which says line by line what moved
// where. docs/numbers.md has the rules by which a note is taken for another
// commit's.
//
// Promises: no note, receipt or attestation is changed; what is found is a
// function of the branches, the notes and the repository's setting, so that
// finding it again writes nothing, and what is no longer so ends. Only notes of
// commits that no branch reaches are laid to others. Patch ids are computed once
// per commit, by one pair of git children for thousands of them; memory is
// bounded by the commits that were left behind. What git has lost is a finding
// and stops nothing.
package reattach

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Task is the name of the task that Keeper.Work is.
const Task = "reattach"

// Config says what a Keeper works with.
type Config struct {
	DB *store.DB
	// MirrorRoot is the directory that holds the mirrors.
	MirrorRoot string
	// Changed, if set, is called in the transaction that changes reattachments.
	Changed func(context.Context, *store.Tx) error
	Log     zerolog.Logger
}

// Keeper keeps reattachments. It is safe for concurrent use.
type Keeper struct {
	cfg Config

	mu sync.Mutex
	// said is what the log knows of each repository's failure.
	said map[uuid.UUID]string
}

// New returns a Keeper.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg, said: map[uuid.UUID]string{}} }

// Work brings every repository up to date that changed. One whose mirror fails
// is logged and stops no other; the next run tries it again.
func (k *Keeper) Work(ctx context.Context) error {
	due, err := k.cfg.DB.ReattachDue(ctx)
	if err != nil {
		return err
	}
	for _, state := range due {
		_, err := k.Keep(ctx, state.OrgID, state.RepoID)
		if ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) {
			return err
		}
		k.report(state, err)
	}
	return nil
}

// report logs a failure once for as long as it stays the same.
func (k *Keeper) report(state store.ReattachState, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		delete(k.said, state.RepoID)
		return
	}
	if text := err.Error(); k.said[state.RepoID] != text {
		k.said[state.RepoID] = text
		k.cfg.Log.Warn().Err(err).Str("repo", state.Name).Msg("notes that were left behind were not looked for; the next run tries again")
	}
}

// Keep brings one repository up to date and says what changed.
func (k *Keeper) Keep(ctx context.Context, org, repo uuid.UUID) (store.ReattachChange, error) {
	state, err := k.cfg.DB.ReattachState(ctx, org, repo)
	if err != nil || state.State == state.Done {
		return store.ReattachChange{}, err
	}
	change, err := k.keep(ctx, state)
	if err != nil {
		return change, fmt.Errorf("finding notes of %s that were left behind: %w", state.Name, err)
	}
	return change, nil
}

func (k *Keeper) keep(ctx context.Context, state store.ReattachState) (store.ReattachChange, error) {
	var found []store.Reattachment
	if state.Enabled {
		m, err := mirror.Open(k.cfg.MirrorRoot, state.RepoID.String())
		if err != nil {
			return store.ReattachChange{}, err
		}
		git, err := m.Repo()
		if err != nil {
			return store.ReattachChange{}, err
		}
		run := &run{db: k.cfg.DB, state: state, mirror: m, git: git}
		if found, err = run.find(ctx); err != nil {
			return store.ReattachChange{}, err
		}
	}
	return k.cfg.DB.WriteReattachments(ctx, state, found, k.cfg.Changed)
}
