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
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
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
type Keeper struct {
	cfg Config

	mu sync.Mutex
	// version is git's, as it was asked at a time.
	version string
	asked   time.Time
}

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
	version, err := k.gitVersion(ctx)
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
	version, err := k.gitVersion(ctx)
	if err != nil {
		return err
	}
	return k.keep(ctx, repos[0], version, progress)
}

// versionAge is how late a new version of git is noticed.
const versionAge = time.Minute

func (k *Keeper) gitVersion(ctx context.Context) (version string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.version == "" || time.Since(k.asked) > versionAge {
		if version, err = gitcmd.Version(ctx); err != nil {
			return "", err
		}
		k.version, k.asked = version, time.Now()
	}
	return k.version, nil
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
// another machine has the mirror.
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
	return !w.upToDate(), nil
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
		if has, err := w.git.HasCommit(ctx, gitcmd.OID(w.Tip)); err != nil || !has {
			return true, err
		}
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
		return w.lost(ctx)
	}
	return false, err
}

// lost forgets a map of a tip that the mirror has lost: what became of its lines
// is lost too. Where the mirror lacks the tip of today another machine has fetched
// it, and nothing is to be done here yet.
func (w *keeping) lost(ctx context.Context) (done bool, err error) {
	has, err := w.git.HasCommit(ctx, gitcmd.OID(w.Tip))
	if err != nil || !has {
		return true, err
	}
	return false, absent(w.cfg.DB.ForgetLive(ctx, w.OrgID, w.RepoID))
}

// settle makes a map of the right tip anew if something else that it depends on
// has changed, and else gives its lines the classes of today.
func (w *keeping) settle(ctx context.Context, state store.LiveMap) (done bool, err error) {
	if err := w.readRevision(ctx, state); err != nil {
		return false, err
	}
	if state.LiveBasis != w.today {
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

// readRevision reads what of the map's exclude revision holds today, unless it was
// found to hold at this tip.
func (w *keeping) readRevision(ctx context.Context, state store.LiveMap) error {
	if state.RulesTip == w.Tip && strings.HasPrefix(state.ExcludeRevision, settingOf(w.ExcludedPaths)) {
		w.today.ExcludeRevision = state.ExcludeRevision
		return nil
	}
	rules, err := w.rules(ctx, w.Tip)
	if err != nil {
		return err
	}
	defer rules.Close()
	w.today.ExcludeRevision = w.revision(rules)
	return nil
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

// move brings the map to the tip of today. Which files count and what was left is
// read while the changed files are looked up.
func (w *keeping) move(ctx context.Context, state store.LiveMap) error {
	old, tip := gitcmd.OID(state.Tip), gitcmd.OID(w.Tip)
	move := store.LiveMove{Old: state.Tip, Tip: w.Tip, Ref: w.Ref}
	writer, err := w.writer(ctx)
	if err != nil {
		return err
	}
	defer writer.Close()
	group, groupCtx := errgroup.WithContext(ctx)
	rules := &awaited{ready: make(chan struct{})}
	group.Go(func() (err error) {
		defer close(rules.ready)
		rules.read, err = w.rules(groupCtx, w.Tip)
		return err
	})
	group.Go(func() (err error) {
		move.At, move.Abandoned, err = w.moved(groupCtx, state)
		return err
	})
	group.Go(func() error {
		batch := &batch{write: writer.Stage}
		err := live.Update(groupCtx, w.git, old, tip, w.stored, w.options(rules.reason, nil), func(f *live.File) error {
			return batch.add(groupCtx, f)
		})
		if err != nil {
			return err
		}
		return batch.flush(groupCtx)
	})
	err = group.Wait()
	if rules.read == nil {
		return err
	}
	defer rules.read.Close()
	if err != nil {
		return err
	}
	move.Rules = w.revision(rules.read)
	return writer.Move(ctx, move)
}

// moved returns the time of today's tip and the commits that only the old tip
// reaches.
func (w *keeping) moved(ctx context.Context, state store.LiveMap) (at time.Time, abandoned []string, err error) {
	if state.Tip == w.Tip {
		return *state.TipAt, nil, nil
	}
	// Where the tip went back it is the border of what was left.
	cmd := w.git.Command(ctx, "log", "--no-patch", "--left-right", "--boundary", "--format=%m %H %ct", state.Tip+"..."+w.Tip)
	err = cmd.Stream(func(out io.Reader) error {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			mark, rest, _ := strings.Cut(lines.Text(), " ")
			commit, seconds, _ := strings.Cut(rest, " ")
			if commit == w.Tip {
				at = unixTime(seconds)
			}
			if mark == "<" {
				abandoned = append(abandoned, commit)
			}
		}
		return nil
	})
	// Git words a tip that is missing here as a mistake of the caller.
	if failed := new(gitcmd.Error); errors.As(err, &failed) && failed.ExitCode > 0 {
		return w.movedInGaps(ctx, state)
	}
	return at, abandoned, err
}

// movedInGaps is moved for a history with gaps, of which only what is there can
// be told. Without either tip it fails.
func (w *keeping) movedInGaps(ctx context.Context, state store.LiveMap) (at time.Time, abandoned []string, err error) {
	if _, err = w.committedAt(ctx, gitcmd.OID(state.Tip)); err != nil {
		return at, nil, err
	}
	if at, err = w.committedAt(ctx, gitcmd.OID(w.Tip)); err != nil {
		return at, nil, err
	}
	walk := gitcmd.Walk{Include: []gitcmd.OID{gitcmd.OID(state.Tip)}, Exclude: []gitcmd.OID{gitcmd.OID(w.Tip)}}
	err = w.git.RevList(ctx, walk, func(commit gitcmd.OID, _ []gitcmd.OID) error {
		abandoned = append(abandoned, string(commit))
		return nil
	})
	if errors.Is(err, gitcmd.ErrMissingObject) {
		err = nil
	}
	return at, abandoned, err
}

// unixTime is a time that git wrote as seconds.
func unixTime(seconds string) time.Time {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Unix(0, 0).UTC()
	}
	return time.Unix(n, 0).UTC()
}

func (w *keeping) committedAt(ctx context.Context, commit gitcmd.OID) (time.Time, error) {
	out, err := w.git.Command(ctx, "log", "-1", "--no-patch", "--format=%ct", string(commit)).Output(100)
	if err != nil {
		return time.Time{}, err
	}
	return unixTime(strings.TrimSpace(string(out))), nil
}

func (w *keeping) options(exclude func(string, bool) lines.Reason, done map[string]bool) live.Options {
	o := w.cfg.Files
	o.Exclude, o.Progress = exclude, w.progress
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
