package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// ReposConfig says where the gateway's repositories are.
type ReposConfig struct {
	DB *store.DB
	// Root is the directory that holds them, an absolute path; it is made with
	// the first repository.
	Root string
	// Remotes say where may be forwarded to.
	Remotes mirror.Rules
	// FetchTimeout bounds one fetch from a remote and PushTimeout one push to it;
	// 0 means 30 minutes each.
	FetchTimeout, PushTimeout time.Duration
	// Now is the clock of the commits that merge notes; nil is the system's.
	Now func() time.Time
	Log zerolog.Logger
}

// Repos are the repositories of the gateway on disk. It is safe for concurrent
// use; one process at a time may have it for a directory.
type Repos struct {
	cfg ReposConfig
	// ctx ends what goes on behind sessions, running is how much of that there is.
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	// packing bounds how many repositories are packed at a time.
	packing chan struct{}

	mu     sync.Mutex
	states map[uuid.UUID]*repoState
}

// repoState is what the process knows of one repository.
type repoState struct {
	// making is held while the repository is made.
	making sync.Mutex
	// merging is held while notes are merged: others would only have to do it
	// again.
	merging sync.Mutex
	// fetching holds a token while nobody fetches from the remote.
	fetching chan struct{}
	// fetched is when the last fetch that ended well began, and looked when the
	// remote was last asked for its default branch; the token guards both.
	fetched, looked time.Time

	// refs guards flying, and the refs that are set to what the remote has.
	refs sync.Mutex
	// flying counts the pushes that are on their way to the remote, by ref.
	flying map[string]int

	// receiving is read-locked while a client pushes.
	receiving sync.RWMutex

	swept, forwarding atomic.Bool
	// packed is when packing was last considered, in seconds since 1970.
	packed atomic.Int64
}

// NewRepos prepares to use the directory.
func NewRepos(cfg ReposConfig) *Repos {
	if cfg.FetchTimeout == 0 {
		cfg.FetchTimeout = 30 * time.Minute
	}
	if cfg.PushTimeout == 0 {
		cfg.PushTimeout = 30 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ctx, end := context.WithCancel(context.Background())
	return &Repos{cfg: cfg, ctx: ctx, end: end, packing: make(chan struct{}, 1), states: map[uuid.UUID]*repoState{}}
}

// Close ends what goes on in the background.
func (r *Repos) Close() {
	r.mu.Lock()
	r.end()
	r.mu.Unlock()
	r.running.Wait()
}

func (r *Repos) state(id uuid.UUID) *repoState {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.states[id]
	if state == nil {
		state = &repoState{fetching: make(chan struct{}, 1), flying: map[string]int{}}
		state.fetching <- struct{}{}
		r.states[id] = state
	}
	return state
}

// dir is where a repository is, whatever its name.
func (r *Repos) dir(id uuid.UUID) string { return filepath.Join(r.cfg.Root, id.String()+".git") }

// open returns the repository, making it if need be.
func (r *Repos) open(ctx context.Context, row store.Repo) (*gitcmd.Repo, error) {
	dir := r.dir(row.ID)
	repo, err := gitcmd.Open(dir)
	if errors.Is(err, gitcmd.ErrNotRepository) {
		repo, err = r.create(ctx, row, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening repository %s: %w", row.Name, err)
	}
	if !r.state(row.ID).swept.Swap(true) {
		if err := sweep(dir, time.Now()); err != nil {
			r.cfg.Log.Warn().Err(err).Str("repo", row.Name).Msg("files of dead processes were not removed")
		}
	}
	return repo, nil
}

func (r *Repos) create(ctx context.Context, row store.Repo, dir string) (*gitcmd.Repo, error) {
	state := r.state(row.ID)
	state.making.Lock()
	defer state.making.Unlock()
	if err := os.MkdirAll(r.cfg.Root, 0o700); err != nil {
		return nil, err
	}
	return gitcmd.Init(ctx, dir, "sha1")
}

// How old the files of dead processes are at least: no git holds a lock, and no
// push lasts, for so long.
const (
	staleLock       = 10 * time.Minute
	staleQuarantine = 48 * time.Hour
)

// sweep removes what a git that was killed has left behind: locks, which would
// stop every later one, and quarantined objects. Both may still be in use by
// children of a daemon that was killed.
func sweep(dir string, now time.Time) error {
	var all []error
	remove := func(path string, entry fs.DirEntry, age time.Duration) {
		info, err := entry.Info()
		if err == nil && now.Sub(info.ModTime()) > age {
			all = append(all, os.RemoveAll(path))
		}
	}
	// Locks are beside refs; git's rule is that no ref ends in ".lock".
	all = append(all, filepath.WalkDir(filepath.Join(dir, "refs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".lock") {
			remove(path, entry, staleLock)
		}
		return err
	}))
	for _, place := range []string{dir, filepath.Join(dir, "objects")} {
		entries, err := os.ReadDir(place)
		all = append(all, err)
		for _, entry := range entries {
			path := filepath.Join(place, entry.Name())
			switch name := entry.Name(); {
			case !entry.IsDir() && strings.HasSuffix(name, ".lock"):
				remove(path, entry, staleLock)
			case entry.IsDir() && strings.HasPrefix(name, quarantinePrefix):
				remove(path, entry, staleQuarantine)
			}
		}
	}
	return errors.Join(all...)
}

// clean removes the quarantines of pushes that were ended, which git leaves
// there when it is killed while a hook runs. It does nothing while others push.
func (r *Repos) clean(row store.Repo) {
	state := r.state(row.ID)
	if !state.receiving.TryLock() {
		return
	}
	defer state.receiving.Unlock()
	left, err := filepath.Glob(filepath.Join(r.dir(row.ID), "objects", quarantinePrefix+"incoming-*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		r.cfg.Log.Warn().Err(err).Str("repo", row.Name).Msg("quarantines of pushes that were ended were not removed")
	}
}

// quarantinePrefix begins the names of directories of objects that were not
// accepted yet.
const quarantinePrefix = "tmp_objdir-"

// mergedRefs are the notes refs of a repository that are merged and hidden.
func mergedRefs(row store.Repo) []string {
	var refs []string
	for _, ref := range row.NotesRefs {
		if _, known := notes.RefFormats[ref]; known {
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		refs = []string{"refs/notes/blameprompt"}
	}
	slices.Sort(refs)
	return refs
}

// upstreamPrefix is where the refs of a remote are as they were fetched. Nobody
// sees them.
const upstreamPrefix = "refs/upstream/"

// Prepare brings a repository up to date with its remote, if it is forwarded,
// and returns its directory. Behind an error the directory can be read all the
// same. It is empty for a hosted repository that nobody pushed to here.
func (r *Repos) Prepare(ctx context.Context, row store.Repo) (string, error) {
	if _, err := os.Stat(r.dir(row.ID)); row.Gateway != store.GatewayForwarding && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	repo, err := r.open(ctx, row)
	if err != nil || row.Gateway != store.GatewayForwarding {
		return r.dir(row.ID), err
	}
	err = r.reconcile(ctx, row, repo, 0)
	if err == nil && row.ForwardNotes {
		err = r.forwardNotes(ctx, row, repo)
	}
	return repo.Dir(), err
}

// background runs work behind sessions until Close.
func (r *Repos) background(work func(ctx context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() == nil {
		r.running.Go(func() { work(r.ctx) })
	}
}

// packEvery is the pause between two looks whether packing is worth it.
const packEvery = time.Minute

// pack keeps the repository small, after a push and outside of what somebody
// waits for. git decides whether it is worth it; objects that nothing refers to
// stay for two weeks, so that pushes may go on meanwhile.
func (r *Repos) pack(row store.Repo, repo *gitcmd.Repo) {
	state := r.state(row.ID)
	last := state.packed.Load()
	if time.Since(time.Unix(last, 0)) < packEvery || !state.packed.CompareAndSwap(last, time.Now().Unix()) {
		return
	}
	r.background(func(ctx context.Context) {
		select {
		case r.packing <- struct{}{}:
			defer func() { <-r.packing }()
		case <-ctx.Done():
			return
		}
		c := repo.Command(ctx, "gc", "--auto", "--quiet")
		c.Config = []string{
			"gc.auto=2000", "gc.autoPackLimit=30", "gc.autoDetach=false", "gc.pruneExpire=2.weeks.ago",
			"gc.writeCommitGraph=true", "pack.threads=1", "pack.windowMemory=64m",
		}
		if err := c.Run(); err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn().Err(err).Str("repo", row.Name).Msg("the repository was not packed; its next push tries again")
		}
	})
}

// adoptHead makes HEAD name a branch that is there, so that clones check
// something out: a first push may bring none that is called as git guessed.
func adoptHead(ctx context.Context, repo *gitcmd.Repo) error {
	text, err := os.ReadFile(filepath.Join(repo.Dir(), "HEAD"))
	if err != nil {
		return fmt.Errorf("reading HEAD: %w", err)
	}
	head := strings.TrimPrefix(strings.TrimSpace(string(text)), "ref: ")
	heads, err := refMap(ctx, repo, "refs/heads/")
	if err != nil || len(heads) == 0 || heads[head] != "" {
		return err
	}
	names := slices.Sorted(maps.Keys(heads))
	for _, usual := range []string{"refs/heads/main", "refs/heads/master"} {
		if heads[usual] != "" {
			names = []string{usual}
			break
		}
	}
	return repo.Command(ctx, "symbolic-ref", "HEAD", names[0]).Run()
}
