package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/hooks/gateway"
	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/lines/added"
	"github.com/blameprompt/enterprise/notes/lines/reattach"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/ui"
)

// stopMargin is added to stop_timeout for what stopping itself needs.
const stopMargin = 15 * time.Second

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: "Run the daemon. With nothing configured it keeps everything in its data directory, starts a private\n" +
			"PostgreSQL there, and prints an admin key and the link of the\n" +
			"first account on its first start. SIGINT and SIGTERM stop it: requests and\n" +
			"fetches may end first; a second signal ends it at once, which loses nothing either.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

// serve runs the daemon until ctx ends or a part of it fails.
func (a *app) serve(ctx context.Context) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	return a.onData(ctx, cfg, log, func(database *database, db *store.DB) error {
		return a.serveStore(ctx, cfg, log, database, db, nil)
	})
}

// onData runs fn with the data directory to itself, and its database.
func (a *app) onData(ctx context.Context, cfg *Config, log zerolog.Logger, fn func(*database, *store.DB) error) (err error) {
	if err := gitcmd.Require(ctx); err != nil {
		return err
	}
	if err := makeDataDir(cfg.DataDir); err != nil {
		return err
	}
	lock, err := lockDaemon(cfg)
	if err != nil {
		return err
	}
	defer lock.Close()
	database, err := startDatabase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.close(ctx)) }()
	if err := store.Migrate(ctx, database.dsn, log); err != nil {
		return err
	}
	db, err := openStore(ctx, cfg, database.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return fn(database, db)
}

// serveStore opens the address, says so, and runs the daemon. The address comes
// first: the admin key is shown once, and not to somebody whose start fails.
// login is that of a demo.
func (a *app) serveStore(ctx context.Context, cfg *Config, log zerolog.Logger, database *database, db *store.DB, login *demoLogin) error {
	listener, err := net.Listen("tcp", cfg.HTTPAddr)
	if err != nil {
		return fmt.Errorf("opening http_addr (set %sHTTP_ADDR for another one): %w", envPrefix, err)
	}
	defer listener.Close()
	cfg.HTTPAddr = reachable(listener.Addr())
	socket, err := listenHooks(cfg)
	if err != nil {
		return err
	}
	if socket != nil {
		defer socket.Close()
	}
	ssh, err := listenSSH(cfg)
	if err != nil {
		return err
	}
	if ssh != nil {
		defer ssh.Close()
	}
	first, err := db.Bootstrap(ctx)
	if err != nil {
		return err
	}
	if err := a.greet(cfg, database, first, login); err != nil {
		return err
	}
	d, err := a.newDaemon(cfg, db, log)
	if err != nil {
		return err
	}
	note := running{PID: os.Getpid(), URL: cfg.publicURL(), HookSocket: cfg.hookSocket(), SSHAddr: cfg.SSHAddr}
	if database.cluster != nil {
		note.DatabaseURL = database.dsn
	}
	if err := note.write(cfg.runningFile()); err != nil {
		return err
	}
	defer os.Remove(cfg.runningFile())
	return d.run(ctx, listener, socket, ssh)
}

// reachable is an address of the listener that a local client can use.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("localhost", fmt.Sprint(tcp.Port))
}

// daemon is the parts of serve.
type daemon struct {
	cfg    *Config
	log    zerolog.Logger
	server *http.Server
	// hooks serves the hooks of this machine.
	hooks *http.Server
	// gateway serves git over SSH, nil for none; repos are its repositories.
	gateway *gateway.Server
	repos   *gateway.Repos
	queue   *queue.Queue
}

const (
	// dueEvery is the pause between two looks at decisions that wait: how late one
	// is judged whose time is over.
	dueEvery = 15 * time.Second
	// statusEvery is the pause between two looks for statuses whose next try has
	// come; new ones are posted at once.
	statusEvery   = 10 * time.Second
	statusTimeout = 10 * time.Minute
	// messageEvery is the pause between two looks for messages whose next attempt
	// has come; new ones are sent at once.
	messageEvery = 5 * time.Second
	// lookEvery is the pause between two looks for connections that are due.
	lookEvery   = time.Minute
	lookTimeout = time.Hour
	// pricesEvery is the pause between two looks for costs that were computed by
	// another price book; changes of a book are told of at once.
	pricesEvery   = 5 * time.Minute
	pricesTimeout = time.Hour
	// resultsEvery is the pause between two looks for receipts that came at the
	// moment of a verdict on them.
	resultsEvery = 5 * time.Minute
	// lateNotesEvery is the pause between two looks for notes that came after their
	// commits; questions look themselves at what came since.
	lateNotesEvery = time.Minute
	// peopleEvery is the pause between two looks for receipts whose user is to be
	// compared with their commits.
	peopleEvery = 30 * time.Second
	// linesEvery is the pause between two looks for lines to classify that no
	// fetch spoke of: a setting changed, or receipts were posted.
	linesEvery   = 15 * time.Second
	linesTimeout = 6 * time.Hour
	// liveEvery is the pause between two looks for live maps that are behind for
	// another reason than a fetch: lines were classified, or a setting changed.
	liveEvery   = 15 * time.Second
	liveTimeout = 6 * time.Hour
	// reattachEvery is the pause between two looks for notes that may have been
	// left behind: a setting changed, or content was found in new commits.
	reattachEvery = 5 * time.Second
)

// newDaemon wires the parts. What runs in the background, and how often, is
// this list and nothing else: fetches by demand, the sweep that demands fetches
// of what no event spoke of, decisions that have waited long enough, statuses
// that forges are to be told, messages for endpoints, new repositories of connections, costs that a change
// of prices makes wrong, who the people are that prompted and committed, lines
// whose class may have changed, live maps, and notes that were left behind.
func (a *app) newDaemon(cfg *Config, db *store.DB, logger zerolog.Logger) (*daemon, error) {
	repos := newGatewayRepos(cfg, db, logger)
	ingester := newIngester(cfg, db, repos, logger)
	demands, err := queue.New(queue.Config{DB: db, Log: logger})
	if err != nil {
		return nil, err
	}
	db.OnMessages(func(ctx context.Context, tx *store.Tx) error { return demands.Poke(ctx, tx, endpoint.Task) })
	sender, err := newSender(cfg, db, logger)
	if err != nil {
		return nil, err
	}
	connector, err := newConnector(cfg, db, demands, logger)
	if err != nil {
		return nil, err
	}
	enforcer := enforce.New(enforce.Config{
		DB: db, PublicURL: cfg.publicURL(), Log: logger, Fetches: demands,
		Notes:    &enforce.Mirrors{DB: db, Root: cfg.mirrorRoot()},
		Statuses: func(ctx context.Context, tx *store.Tx) error { return demands.Poke(ctx, tx, connect.StatusTask) },
	})
	jobs, err := queue.New(queue.Config{
		DB: db, Log: logger, PollOnly: cfg.QueuePollOnly,
		Fetch: fetchJob(db, ingester, enforcer, demands, logger),
		Tasks: append(tasks(cfg, db, enforcer, connector, newKeeper(cfg, db, logger), newLiveKeeper(cfg, db, logger)),
			append(recordTasks(cfg, db, logger), reattachTask(cfg, db, demands, logger),
				queue.Task{Name: endpoint.Task, Every: messageEvery, Work: sender.Send})...),
		Workers:     cfg.FetchWorkers,
		StopTimeout: cfg.StopTimeout.Duration,
		Sweep: queue.Sweep{
			Every: cfg.SweepEvery.Duration, Active: cfg.SweepActive.Duration, Idle: cfg.SweepIdle.Duration,
		},
	})
	if err != nil {
		return nil, err
	}
	proxies, err := prefixes(cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	accounts, err := auth.NewAccounts(auth.AccountConfig{DB: db, PublicURL: cfg.publicURL(), Log: logger,
		Idle: cfg.SessionIdle.Duration, Lifetime: cfg.SessionLifetime.Duration})
	if err != nil {
		return nil, err
	}
	spec, err := httpapi.Spec()
	if err != nil {
		return nil, err
	}
	pages, err := ui.New(ui.Config{
		Spec: spec, Reports: &compliance.Desk{DB: db, Dir: cfg.reportDir(), Poke: jobs.Poke},
		DB: db, Accounts: accounts, Enforcer: enforcer, Fetches: jobs, Tasks: jobs, Remotes: cfg.rules(), Connections: connector,
		Endpoints: &endpoint.Desk{DB: db, Rules: cfg.endpointRules()}, Log: logger,
		MirrorRoot: cfg.mirrorRoot(), PublicURL: cfg.publicURL(), Version: buildVersion().Version,
	})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{
		DB: db, Intake: ingester, Fetches: jobs, Tasks: jobs, ReportDir: cfg.reportDir(), Remotes: cfg.rules(), Log: logger,
		PublicURL: cfg.publicURL(), Version: buildVersion().Version, Enforcer: enforcer, Connections: connector, Fallback: pages,
		Endpoints: &endpoint.Desk{DB: db, Rules: cfg.endpointRules()},
		Auth:      auth.Config{Accounts: accounts}, TrustedProxies: proxies,
	})
	if err != nil {
		return nil, err
	}
	d := &daemon{cfg: cfg, log: logger, queue: jobs, repos: repos, server: httpapi.NewServer(cfg.HTTPAddr, api), hooks: httpapi.NewHookServer(api)}
	d.server.ErrorLog = log.New(logger.With().Str("part", "http").Logger(), "", 0)
	d.hooks.ErrorLog = log.New(logger.With().Str("part", "hooks").Logger(), "", 0)
	if cfg.SSHAddr != off {
		d.gateway, err = a.newGateway(cfg, db, repos, enforcer, logger)
	}
	return d, err
}

// tasks are what is done regularly beside fetches.
func tasks(cfg *Config, db *store.DB, enforcer *enforce.Enforcer, connector *connect.Connector, lines *added.Keeper, live *upkeep.Keeper) []queue.Task {
	return []queue.Task{
		{Name: "decisions", Every: dueEvery, Work: enforcer.Due},
		{Name: connect.StatusTask, Every: statusEvery, Timeout: statusTimeout, Work: connector.PostStatuses},
		{Name: connect.LookTask, Every: min(lookEvery, cfg.ConnectionsEvery.Duration), Timeout: lookTimeout, Work: connector.LookAround},
		{Name: queue.LinesTask, Every: linesEvery, Timeout: linesTimeout, Work: lines.Work},
		{Name: upkeep.Task, Every: liveEvery, Timeout: liveTimeout, Work: live.Work},
		{Name: queue.PriceTask, Every: pricesEvery, Timeout: pricesTimeout, Work: db.Reprice},
		{Name: "receipt-results", Every: resultsEvery, Timeout: pricesTimeout, Work: func(ctx context.Context) error {
			return db.MarkResults(ctx, time.Now())
		}},
		{Name: "late-notes", Every: lateNotesEvery, Timeout: pricesTimeout, Work: func(ctx context.Context) error {
			return db.NoteLate(ctx, time.Now())
		}},
		{Name: queue.PeopleTask, Every: peopleEvery, Timeout: pricesTimeout, Work: peopleWork(db)},
	}
}

// peopleWork tells bots from people and then compares who prompted with who made
// the commits.
func peopleWork(db *store.DB) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := db.FindBots(ctx); err != nil {
			return err
		}
		return db.CheckClaims(ctx)
	}
}

// fetchJob is the body of the queue's fetches. Lines are classified, live maps
// moved and decisions judged that waited for what a fetch brought; if that fails,
// the regular looks do it.
func fetchJob(db *store.DB, ingester *ingest.Ingester, enforcer *enforce.Enforcer, demands *queue.Queue, log zerolog.Logger) queue.FetchFunc {
	return func(ctx context.Context, org, repo uuid.UUID) error {
		report, err := ingester.Sync(ctx, org, repo, nil)
		if err != nil || !report.Changed {
			return err
		}
		err = db.InTx(ctx, func(tx *store.Tx) error {
			return errors.Join(demands.Poke(ctx, tx, queue.LinesTask), demands.Poke(ctx, tx, upkeep.Task), demands.Poke(ctx, tx, reattach.Task))
		})
		if err != nil && ctx.Err() == nil {
			log.Warn().Err(err).Msg("lines were not looked at behind a fetch; the regular looks do it")
		}
		if err := enforcer.Reconsider(ctx, org, repo, store.EventNotes); err != nil && ctx.Err() == nil {
			log.Warn().Err(err).Msg("waiting decisions were not judged behind a fetch; the regular look does it")
		}
		return nil
	}
}

// run serves until ctx ends or a server fails, then stops in the order that
// loses nothing. socket and ssh are nil for none.
func (d *daemon) run(ctx context.Context, listener net.Listener, socket *hookSocket, ssh net.Listener) error {
	if err := d.queue.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHTTP(d.server, listener, "HTTP") })
	if socket != nil {
		group.Go(func() error { return serveHTTP(d.hooks, socket, "hooks") })
	}
	if ssh != nil {
		group.Go(func() error { return d.gateway.Serve(ssh) })
		group.Go(func() error { return d.settlePushes(ctx) })
	}
	group.Go(func() error {
		supervised(ctx, "http://"+d.cfg.HTTPAddr+"/healthz", d.log)
		return d.stop()
	})
	return group.Wait()
}

// settleEvery is the pause between two looks for pushes to this daemon's gateway
// of which it is not known whether they arrived.
const settleEvery = time.Minute

// settlePushes is done by each daemon for itself, and so by no task: the gateway's
// repositories are on its disk.
func (d *daemon) settlePushes(ctx context.Context) error {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		if err := d.gateway.Settle(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn().Err(err).Msg("it is not known of all pushes whether they arrived; the next look tries again")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func serveHTTP(server *http.Server, listener net.Listener, what string) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", what, err)
	}
	return nil
}

// stop takes no more requests and pushes and no more jobs, and lets those that
// run end; what goes on behind pushes is ended.
func (d *daemon) stop() error {
	d.log.Info().Msg("stopping")
	patience := d.cfg.StopTimeout.Duration
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var servers errgroup.Group
	for _, server := range []*http.Server{d.server, d.hooks} {
		servers.Go(func() error {
			err := server.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				err = server.Close()
			}
			return err
		})
	}
	if d.gateway != nil {
		servers.Go(func() error { return d.gateway.Shutdown(ctx) })
	}
	err := servers.Wait()
	ctx, cancel = context.WithTimeout(context.Background(), patience+stopMargin)
	defer cancel()
	err = errors.Join(err, d.queue.Stop(ctx))
	d.repos.Close()
	return err
}
