package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/hooks/gateway"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/lines/added"
	"github.com/blameprompt/enterprise/notes/lines/reattach"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// world is where the story happens: the parts of a daemon, with a clock that
// the story sets.
type world struct {
	ctx      context.Context
	cfg      Config
	story    *story
	org      store.Org
	policies map[string]store.Policy

	enforcer *enforce.Enforcer
	repos    *gateway.Repos
	gateway  *gateway.Server
	served   chan error
	address  string
	host     gossh.PublicKey
	clients  map[*person]*gossh.Client

	ingester *ingest.Ingester
	lines    *added.Keeper
	left     *reattach.Keeper
	alive    *upkeep.Keeper

	mu  sync.Mutex
	now time.Time
	// moments tell when each part of the story really happened.
	moments []moment

	pushes, refusals int
}

func newWorld(ctx context.Context, cfg Config, s *story) (*world, error) {
	w := &world{ctx: ctx, cfg: cfg, story: s, now: s.first, policies: map[string]store.Policy{}, clients: map[*person]*gossh.Client{},
		served: make(chan error, 1)}
	db, log := cfg.DB, cfg.Log
	w.enforcer = enforce.New(enforce.Config{DB: db, Log: log, Now: w.clock, Notes: &enforce.Mirrors{DB: db, Root: cfg.MirrorRoot}})
	w.repos = gateway.NewRepos(gateway.ReposConfig{DB: db, Root: cfg.GatewayRoot, Now: w.clock, Log: log})
	w.ingester = ingest.New(ingest.Config{DB: db, MirrorRoot: cfg.MirrorRoot, Gateway: w.repos, Log: log})
	w.lines = added.New(added.Config{DB: db, MirrorRoot: cfg.MirrorRoot, Log: log})
	w.left = reattach.New(reattach.Config{DB: db, MirrorRoot: cfg.MirrorRoot, Log: log})
	w.alive = upkeep.New(upkeep.Config{DB: db, MirrorRoot: cfg.MirrorRoot, Log: log})
	if err := w.serve(); err != nil {
		w.repos.Close()
		return nil, err
	}
	return w, nil
}

// serve opens the gateway on a port of this machine.
func (w *world) serve() error {
	key, err := gateway.HostKey(filepath.Join(w.cfg.WorkDir, "host_key"))
	if err != nil {
		return err
	}
	w.host = key.PublicKey()
	w.gateway, err = gateway.New(gateway.Config{DB: w.cfg.DB, Repos: w.repos, Decider: w.enforcer, HostKey: key,
		HookProgram: w.cfg.HookProgram, HooksDir: filepath.Join(w.cfg.WorkDir, "hooks"), Log: w.cfg.Log})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.address = listener.Addr().String()
	go func() { w.served <- w.gateway.Serve(listener) }()
	return nil
}

// stopTimeout bounds the end of the gateway.
const stopTimeout = 10 * time.Second

func (w *world) close() error {
	var errs []error
	for _, client := range w.clients {
		errs = append(errs, client.Close())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), stopTimeout)
	defer cancel()
	errs = append(errs, w.gateway.Shutdown(ctx), <-w.served)
	w.repos.Close()
	return errors.Join(errs...)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// enter moves the story to a moment.
func (w *world) enter(at time.Time) error {
	var now time.Time
	if err := w.cfg.DB.Pool().QueryRow(w.ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return fmt.Errorf("reading the clock: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = at
	w.moments = append(w.moments, moment{real: now, told: at})
	return nil
}

func (w *world) cli() access.Principal { return access.CLI(w.org.ID) }

// as is a person who is signed in.
func (w *world) as(p *person) access.Principal {
	return access.Principal{Org: w.org.ID, Name: "user:" + p.email, Scopes: p.role.Scopes(), User: p.email, UserID: p.user.ID, Role: p.role}
}

// sync takes in what was pushed to a repository, as the daemon's fetches do, and
// judges what waited for it.
func (w *world) sync(p *project) error {
	lock, err := queue.TryLock(w.ctx, w.cfg.DB, p.repo.ID)
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("somebody else works on repository %s", p.name)
	}
	defer lock.Release()
	if _, err := w.ingester.Sync(w.ctx, w.org.ID, p.repo.ID, nil); err != nil {
		return err
	}
	return w.enforcer.Reconsider(w.ctx, w.org.ID, p.repo.ID, store.EventNotes)
}

// atOnce is how many repositories are worked on at a time.
const atOnce = 2

// catchUp brings everything up to date that is computed.
func (w *world) catchUp() error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, p := range w.story.projects {
		group.Go(func() error {
			if err := w.keep(p); err != nil {
				return fmt.Errorf("keeping %s up to date: %w", p.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := w.enforcer.Due(w.ctx); err != nil {
		return err
	}
	return w.backdate()
}

func (w *world) keep(p *project) error {
	if err := w.sync(p); err != nil {
		return err
	}
	if _, err := w.lines.Keep(w.ctx, w.org.ID, p.repo.ID, nil); err != nil {
		return err
	}
	change, err := w.left.Keep(w.ctx, w.org.ID, p.repo.ID)
	if err != nil {
		return err
	}
	if change != (store.ReattachChange{}) {
		if _, err := w.lines.Keep(w.ctx, w.org.ID, p.repo.ID, nil); err != nil {
			return err
		}
	}
	return w.alive.Keep(w.ctx, w.org.ID, p.repo.ID, nil)
}

// lastDecision is the newest decision on pushes of somebody to a repository.
func (w *world) lastDecision(who *person, p *project) (uuid.UUID, error) {
	list, err := w.cfg.DB.Decisions(w.ctx, w.org.ID, store.DecisionFilter{Repo: p.repo.ID, Pusher: who.email}, uuid.Nil, 1)
	if err != nil {
		return uuid.Nil, err
	}
	if len(list) == 0 {
		return uuid.Nil, fmt.Errorf("there is no decision on pushes of %s to %s", who.email, p.name)
	}
	return list[0].ID, nil
}
