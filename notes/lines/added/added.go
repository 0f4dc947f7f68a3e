// Package added keeps up whose the added lines of default branches are.
//
// It owns the way from a repository's mirror to the tables commit_lines,
// added_files and added_runs: which commits are to be classified, reading them
// by one git child, and which files do not count by setting and attributes.
// What speaks for lines is read, and what is found is written, by package store.
//
// Promises: what is stored is what lines.Classify says of every commit that the
// default branch reaches, by all evidence that the store has, once nothing is
// demanded any more; it depends on the history and the evidence alone and not on
// the order in which they came. Only what changed is classified again. A run may
// be cut short anywhere and goes on where it was; several may run at once. What
// git cannot read is a finding of that commit and stops no other. Memory is bounded
// by a few batches of commits.
package added

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/notes/lines/counted"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Config says what a Keeper works with.
type Config struct {
	DB *store.DB
	// MirrorRoot is the directory that holds the mirrors.
	MirrorRoot string
	Log        zerolog.Logger
}

// Keeper classifies added lines. It is safe for concurrent use.
type Keeper struct {
	cfg Config

	mu sync.Mutex
	// said is what the log knows of each repository's failure.
	said map[uuid.UUID]string
}

// New returns a Keeper.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg, said: map[uuid.UUID]string{}} }

// Progress is told how many commits of all that wait are classified. It is
// called from one goroutine at a time and must return quickly.
type Progress func(done, total int)

// Work brings every repository up to date that is behind. A repository whose
// mirror fails is logged and stops no other; the next run tries it again.
func (k *Keeper) Work(ctx context.Context) error {
	if err := k.cfg.DB.DropIdleLineDemands(ctx); err != nil {
		return err
	}
	due, err := k.cfg.DB.LinesDue(ctx)
	if err != nil {
		return err
	}
	for _, state := range due {
		_, err := k.Keep(ctx, state.OrgID, state.RepoID, nil)
		if ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) {
			return err
		}
		k.report(state, err)
	}
	return nil
}

// report logs a failure once for as long as it stays the same.
func (k *Keeper) report(state store.LineState, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		delete(k.said, state.RepoID)
		return
	}
	if text := err.Error(); k.said[state.RepoID] != text {
		k.said[state.RepoID] = text
		k.cfg.Log.Warn().Err(err).Str("repo", state.Name).Msg("added lines were not classified; the next run tries again")
	}
}

// Report says what a run did.
type Report struct {
	// Read is how many commits were looked at, Written of how many the classes
	// were not what was stored.
	Read, Written int
}

// rounds bounds how often Keep begins anew because something came meanwhile.
const rounds = 5

// Keep brings one repository up to date. What comes while it runs may be left
// to the next one.
func (k *Keeper) Keep(ctx context.Context, org, repo uuid.UUID, progress Progress) (Report, error) {
	var report Report
	for round := 0; ; round++ {
		state, err := k.cfg.DB.LineState(ctx, org, repo)
		if err != nil || state.Done() {
			return report, err
		}
		if round == rounds {
			return report, nil
		}
		r := &run{keeper: k, state: state, progress: progress, report: &report}
		if err := r.keep(ctx); err != nil && !errors.Is(err, store.ErrMoved) {
			return report, fmt.Errorf("classifying added lines of %s: %w", state.Name, err)
		}
	}
}

// run is one plan of a repository and what comes of it.
type run struct {
	keeper   *Keeper
	state    store.LineState
	progress Progress
	report   *Report

	git  *gitcmd.Repo
	plan store.LineTip
	// rules decide which files count, border are the commits at which a shallow
	// history begins.
	rules  *counted.Rules
	border map[gitcmd.OID]bool
}

func (r *run) keep(ctx context.Context) (err error) {
	m, err := mirror.Open(r.keeper.cfg.MirrorRoot, r.state.RepoID.String())
	if err != nil {
		return err
	}
	if r.git, err = m.Repo(); err != nil {
		return err
	}
	if err := r.checkTip(ctx); err != nil {
		return err
	}
	if r.border, err = readBorder(r.git); err != nil {
		return err
	}
	if r.rules, err = counted.Read(ctx, r.git, gitcmd.OID(r.state.Tip), r.state.Globs); err != nil {
		return err
	}
	defer r.rules.Close()
	r.plan = store.LineTip{Ref: r.state.Ref, Tip: r.state.Tip, Globs: r.state.Globs, Rules: r.rules.Fingerprint()}
	if err := r.keeper.cfg.DB.MeasureLines(ctx); err != nil {
		return err
	}
	if err := r.makePlan(ctx); err != nil {
		return err
	}
	if err := r.planBranches(ctx); err != nil {
		return err
	}
	if err := r.classifyAll(ctx); err != nil {
		return err
	}
	return r.keeper.cfg.DB.LinesDone(ctx, r.state.OrgID, r.state.RepoID)
}

// errTip: the copy of this daemon is older than what is stored, or was removed.
var errTip = errors.New("the mirror has not got the tip of the default branch; the next fetch brings it")

func (r *run) checkTip(ctx context.Context) error {
	if r.state.Tip == "" {
		return nil
	}
	has, err := r.git.HasCommit(ctx, gitcmd.OID(r.state.Tip))
	if err == nil && !has {
		err = errTip
	}
	return err
}

// makePlan notes where the branch is now and what is to be classified for it.
func (r *run) makePlan(ctx context.Context) error {
	old, tip := gitcmd.OID(r.state.Planned.Tip), gitcmd.OID(r.plan.Tip)
	whole := old == ""
	if !whole {
		has, err := r.git.HasCommit(ctx, old)
		if err != nil {
			return err
		}
		whole = !has
	}
	plan := store.LinePlan{OrgID: r.state.OrgID, RepoID: r.state.RepoID, Before: r.state.Planned, To: r.plan, Whole: whole}
	return r.keeper.cfg.DB.PlanLines(ctx, plan, func(add func([]store.Reached) error) error {
		if old == tip {
			return nil
		}
		if whole {
			old = ""
		}
		if err := r.reach(ctx, tip, old, true, add); err != nil || old == "" {
			return err
		}
		return r.reach(ctx, old, tip, false, add)
	})
}

// reach adds the commits that from reaches and without does not; either may be
// no commit. A history that lacks objects is followed as far as it goes.
func (r *run) reach(ctx context.Context, from, without gitcmd.OID, gained bool, add func([]store.Reached) error) error {
	const batchSize = 5000
	walk := gitcmd.Walk{}
	if from != "" {
		walk.Include = []gitcmd.OID{from}
	}
	if without != "" {
		walk.Exclude = []gitcmd.OID{without}
	}
	batch := make([]store.Reached, 0, batchSize)
	err := r.git.RevList(ctx, walk, func(commit gitcmd.OID, _ []gitcmd.OID) error {
		batch = append(batch, store.Reached{Commit: string(commit), Gained: gained})
		if len(batch) < batchSize {
			return nil
		}
		err := add(batch)
		batch = batch[:0]
		return err
	})
	if errors.Is(err, gitcmd.ErrMissingObject) {
		err = r.incomplete(ctx, err)
	}
	if err != nil {
		return err
	}
	return add(batch)
}

// codeIncomplete is a finding about a branch, documented in docs/findings.md.
const codeIncomplete = "branch_history_incomplete"

func (r *run) incomplete(ctx context.Context, cause error) error {
	where := ""
	if missing := new(gitcmd.MissingObjectError); errors.As(cause, &missing) {
		where = string(missing.OID)
	}
	src := store.Source{Org: store.Org{ID: r.state.OrgID}, Repo: store.Repo{ID: r.state.RepoID}, Ref: r.state.Ref}
	return r.keeper.cfg.DB.RecordFaults(ctx, src, store.Fault{Finding: notes.Finding{
		Code: codeIncomplete, Severity: notes.Error, Where: where,
		Message: fmt.Sprintf("The history of %s lacks an object. The commits behind it are not counted.", r.state.Ref)}})
}

var errBorder = errors.New("the history of the mirror begins here, and so it is not known which lines the commit added")

// seen is a commit as it counts: of one at the border of a shallow history git
// would show all lines as added.
func (r *run) seen(c *lines.Commit) *lines.Commit {
	if r.border[c.OID] {
		return &lines.Commit{OID: c.OID, Unreadable: errBorder}
	}
	return c
}
