// Package upkeep keeps the live maps of repositories in the store.
//
// It owns the way from a default branch's tip to stored live lines: when a map
// is made from nothing, when it is moved from tip to tip, and what makes it be
// made anew. Package live says where lines come from, package store keeps what
// it says and sums it up.
//
// Promises: the stored map of a tip is what live.Build says of it, whatever
// moved it there and whoever died on the way; a first map that was cut short
// goes on with the files that are left; two programs that work on one map at
// once cost time and never make it wrong. What git cannot say of one file, or a
// mirror of one repository, stops no other.
package upkeep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines/counted"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Task is the name of the queue's task that does the work.
const Task = "live"

// Config says what a Keeper works with.
type Config struct {
	DB *store.DB
	// MirrorRoot is the directory that holds the mirrors.
	MirrorRoot string
	// Files say how files are read; Exclude, Want and Progress are the Keeper's.
	Files live.Options
	Log   zerolog.Logger
}

// Keeper keeps live maps up. It is safe for concurrent use.
type Keeper struct{ cfg Config }

// New returns a Keeper.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg} }

// errRead ends a walk that has read what was wanted.
var errRead = errors.New("read")

// Progress is told how many files of a map have been read, of how many.
type Progress func(done, total int)

// Work brings the maps of all repositories up to date, one after the other. A
// repository that fails is logged and tried again by the next run.
func (k *Keeper) Work(ctx context.Context) error {
	repos, err := k.cfg.DB.LiveRepos(ctx, uuid.Nil, uuid.Nil)
	if err != nil {
		return err
	}
	version, err := gitcmd.Version(ctx)
	if err != nil {
		return err
	}
	for _, r := range repos {
		err := k.keep(ctx, r, version, nil)
		if ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) {
			return err
		}
		if err != nil {
			k.cfg.Log.Warn().Err(err).Str("repo", r.Name).Msg("a live map was not brought up to date; the next look tries again")
		}
	}
	return nil
}

// Keep brings the map of one repository up to date.
func (k *Keeper) Keep(ctx context.Context, org, repo uuid.UUID, progress Progress) error {
	repos, err := k.cfg.DB.LiveRepos(ctx, org, repo)
	if err != nil || len(repos) == 0 {
		return err
	}
	version, err := gitcmd.Version(ctx)
	if err != nil {
		return err
	}
	return k.keep(ctx, repos[0], version, progress)
}

// keeping is the work on one map.
type keeping struct {
	*Keeper
	store.LiveRepo
	git      *gitcmd.Repo
	progress Progress
	// today is what of the map's basis holds today.
	today store.LiveBasis
}

// maxSteps is more than a map ever needs, unless others work on it too.
const maxSteps = 20

// keep takes one step after the other until nothing is left to do.
func (k *Keeper) keep(ctx context.Context, r store.LiveRepo, version string, progress Progress) error {
	if r.Tip == "" {
		return absent(k.cfg.DB.ForgetLive(ctx, r.OrgID, r.RepoID))
	}
	w := &keeping{Keeper: k, LiveRepo: r, progress: progress, today: store.LiveBasis{GitVersion: version}}
	ready, err := w.open(ctx)
	for steps := 0; ready && err == nil; steps++ {
		var done bool
		if done, err = w.step(ctx); done {
			break
		}
		if errors.Is(err, store.ErrMoved) && steps < maxSteps {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("keeping the live map of %s: %w", r.Name, err)
	}
	return nil
}

// absent takes what is not there for done.
func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// open opens the mirror. It is not ready where nothing is to be done, or where
// another machine has fetched what this one has not yet.
func (w *keeping) open(ctx context.Context) (ready bool, err error) {
	m, err := mirror.Open(w.cfg.MirrorRoot, w.RepoID.String())
	if err != nil {
		return false, err
	}
	if w.git, err = m.Repo(); errors.Is(err, gitcmd.ErrNotRepository) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	shallow, err := os.ReadFile(filepath.Join(w.git.Dir(), "shallow"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("reading the borders of the history: %w", err)
	}
	w.today.Boundary = fingerprint(shallow)
	if w.upToDate() {
		return false, nil
	}
	return w.git.HasCommit(ctx, gitcmd.OID(w.Tip))
}

// upToDate tells without a child of git that there is nothing to do.
func (w *keeping) upToDate() bool {
	return !w.Changed && w.MapTip == w.Tip && w.RulesTip == w.Tip && w.GitVersion == w.today.GitVersion && w.Boundary == w.today.Boundary &&
		strings.HasPrefix(w.ExcludeRevision, settingOf(w.ExcludedPaths))
}

// step does what is to be done next and reports whether that was nothing.
func (w *keeping) step(ctx context.Context) (done bool, err error) {
	state, err := w.cfg.DB.LiveMap(ctx, w.OrgID, w.RepoID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, w.begin(ctx, w.Tip)
	case err != nil:
		return false, err
	case state.BuildingTip != "":
		err = w.build(ctx, state)
	case state.Tip != w.Tip || state.Ref != w.Ref:
		err = w.move(ctx, state)
	default:
		return w.settle(ctx, state)
	}
	if errors.Is(err, gitcmd.ErrMissingObject) {
		// The map is of a tip that is lost. What became of its lines is too.
		return false, absent(w.cfg.DB.ForgetLive(ctx, w.OrgID, w.RepoID))
	}
	return false, err
}

// settle makes a map of the right tip anew if something else that it depends on
// has changed, and else gives its lines the classes of today.
func (w *keeping) settle(ctx context.Context, state store.LiveMap) (done bool, err error) {
	rules, err := w.rules(ctx, w.Tip)
	if err != nil {
		return false, err
	}
	defer rules.Close()
	if w.today.ExcludeRevision = w.revision(rules); state.LiveBasis != w.today {
		return false, w.begin(ctx, w.Tip)
	}
	if !w.Changed {
		return true, nil
	}
	writer, err := w.writer(ctx)
	if err != nil {
		return false, err
	}
	defer writer.Close()
	for done := false; !done && err == nil; {
		done, err = writer.Reclass(ctx)
	}
	return true, err
}

func (w *keeping) writer(ctx context.Context) (*store.LiveWriter, error) {
	return w.cfg.DB.LiveWriter(ctx, w.OrgID, w.RepoID, w.Ref)
}

// begin notes that the map of a tip is to be made from nothing.
func (w *keeping) begin(ctx context.Context, tip string) error {
	rules, err := w.rules(ctx, tip)
	if err != nil {
		return err
	}
	defer rules.Close()
	total := 0
	err = w.git.Tree(ctx, gitcmd.OID(tip), func(gitcmd.TreeEntry) error { total++; return nil })
	if err != nil {
		return err
	}
	w.today.ExcludeRevision = w.revision(rules)
	_, err = w.cfg.DB.BeginLive(ctx, w.OrgID, w.RepoID, w.Ref, tip, total, w.today)
	return err
}

// move brings the map to the tip of today.
func (w *keeping) move(ctx context.Context, state store.LiveMap) error {
	old, tip := gitcmd.OID(state.Tip), gitcmd.OID(w.Tip)
	rules, err := w.rules(ctx, w.Tip)
	if err != nil {
		return err
	}
	defer rules.Close()
	at, err := w.committedAt(ctx, tip)
	if err != nil {
		return err
	}
	abandoned, err := w.abandoned(ctx, old, tip)
	if err != nil {
		return err
	}
	writer, err := w.writer(ctx)
	if err != nil {
		return err
	}
	defer writer.Close()
	batch := &batch{write: writer.Stage}
	err = live.Update(ctx, w.git, old, tip, w.stored, w.options(rules, nil), func(f *live.File) error { return batch.add(ctx, f) })
	if err == nil {
		err = batch.flush(ctx)
	}
	if err != nil {
		return err
	}
	return writer.Move(ctx, store.LiveMove{Old: state.Tip, Tip: w.Tip, At: at, Ref: w.Ref, Abandoned: abandoned, Rules: w.revision(rules)})
}

// abandoned lists the commits that only the old tip reaches.
func (w *keeping) abandoned(ctx context.Context, old, tip gitcmd.OID) (commits []string, err error) {
	walk := gitcmd.Walk{Include: []gitcmd.OID{old}, Exclude: []gitcmd.OID{tip}}
	err = w.git.RevList(ctx, walk, func(commit gitcmd.OID, _ []gitcmd.OID) error {
		commits = append(commits, string(commit))
		return nil
	})
	if !errors.Is(err, gitcmd.ErrMissingObject) {
		return commits, err
	}
	// Of a history with gaps only what is there can be told.
	if has, lookErr := w.git.HasCommit(ctx, old); lookErr != nil || !has {
		return nil, err
	}
	return commits, nil
}

func (w *keeping) committedAt(ctx context.Context, commit gitcmd.OID) (time.Time, error) {
	out, err := w.git.Command(ctx, "log", "-1", "--no-patch", "--format=%ct", string(commit)).Output(100)
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of %s: %w", commit, err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (w *keeping) options(rules *counted.Rules, done map[string]bool) live.Options {
	o := w.cfg.Files
	o.Exclude, o.Progress = rules.Reason, w.progress
	if done != nil {
		o.Want = func(path string) bool { return !done[path] }
	}
	return o
}

// stored is the map that is stored, for live.Update.
func (w *keeping) stored(ctx context.Context, paths []string) (map[string]*live.File, error) {
	rows, err := w.cfg.DB.LiveFiles(ctx, w.OrgID, w.RepoID, paths)
	files := make(map[string]*live.File, len(rows))
	for path, row := range rows {
		files[path] = fromRow(row)
	}
	return files, err
}
