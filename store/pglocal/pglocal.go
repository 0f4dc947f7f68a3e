// Package pglocal runs the daemon's private PostgreSQL cluster.
//
// It owns one directory and everything in it: the cluster (data), its Unix
// socket (run), its bounded log (log), the managed configuration and a lock
// file. It needs the system's PostgreSQL server programs, version 14 or newer,
// and Linux.
//
// Promises: PostgreSQL listens on no network; only the daemon's own account
// gets in, by peer authentication behind a directory of mode 0700; under root
// every server process runs as an unprivileged account; one daemon per
// directory; a crash of the daemon or of PostgreSQL, at any moment including
// the first initdb, is mended by the next start without losing a committed
// transaction; PostgreSQL never outlives the daemon, and no process that is
// not this cluster's own is ever signalled.
package pglocal

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Names inside the cluster.
const (
	// Database is created by the first start and owned by Role.
	Database = "blameprompt"
	// Role is the application's role: it may log in and owns Database.
	Role = "blameprompt"
	// Superuser administers the cluster.
	Superuser = "postgres"
)

// MinMajor is the oldest PostgreSQL major version that is supported.
const MinMajor = 14

// Errors that callers may tell apart; each comes wrapped in a text that says
// what to do.
var (
	// ErrInUse: another daemon runs on the directory.
	ErrInUse = errors.New("the data directory is in use")
	// ErrNoBinaries: no PostgreSQL server programs of a supported version.
	ErrNoBinaries = errors.New("no PostgreSQL server programs found")
	// ErrUnreachable: the unprivileged account may not enter the directory.
	// Nothing has been created; another directory may be tried.
	ErrUnreachable = errors.New("the data directory cannot be entered")
	// ErrMajorVersion: the cluster was made by another major version.
	ErrMajorVersion = errors.New("the cluster belongs to another PostgreSQL major version")
)

// Config says where and how the cluster runs.
type Config struct {
	// Dir is the cluster's directory, for example <data>/postgres. It is
	// created, with its parents, if missing.
	Dir string
	// BinDir holds initdb and postgres. Empty: found as FindBinaries does,
	// preferring the major version that made the cluster.
	BinDir string
	// User is the account that runs PostgreSQL when the daemon is root. Empty:
	// postgres if it exists, else nobody. Not root: empty or the own name.
	User string
	// Settings are added to postgresql.conf and win over this package's own;
	// those that guard the promises above are refused.
	Settings map[string]string
	// Volatile gives up durability for speed: committed data may be lost or
	// spoilt when the machine crashes. For tests.
	Volatile bool
	// StopTimeout is how long Stop waits for a fast shutdown before an
	// immediate one. Zero: 15 seconds.
	StopTimeout time.Duration
	// Log is told of starts, crashes and restarts.
	Log zerolog.Logger
}

// Cluster is a running cluster. Its methods are safe for concurrent use.
type Cluster struct {
	cfg    Config
	paths  paths
	owner  account
	bin    Binaries
	socket string
	output *logFile
	// lock is the daemon's; server is handed down to PostgreSQL's processes.
	lock, server *os.File

	stopOnce  sync.Once
	stopping  chan struct{}
	hurryOnce sync.Once
	hurry     chan struct{}
	done      chan struct{}
}

// Start makes the cluster if there is none, takes over what an earlier daemon
// left behind, starts PostgreSQL and returns when it accepts connections and
// has Database and Role. From then on a PostgreSQL that dies is started again
// until Stop; meanwhile callers see connection errors. Crash recovery takes
// what it takes: ctx bounds the wait. It does not bound the cluster's life.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := prepare(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("starting the private PostgreSQL: %w", err)
	}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("starting the private PostgreSQL: %w", err)
	}
	return c, nil
}

// DSN is the connection URL of a database for Role, through the Unix socket.
func (c *Cluster) DSN(database string) string { return c.dsn(Role, database) }

// AdminDSN is the connection URL of a database for Superuser.
func (c *Cluster) AdminDSN(database string) string { return c.dsn(Superuser, database) }

// Version is the PostgreSQL version as its programs tell it, "15.18".
func (c *Cluster) Version() string { return c.bin.Version }

// Stop shuts PostgreSQL down: fast (open transactions are rolled back), and
// immediately once Config.StopTimeout or ctx is over. It returns when no
// server process is left and the directory is free for another daemon. It may
// be called any number of times.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() { close(c.stopping) })
	select {
	case <-c.done:
	case <-ctx.Done():
		c.hurryOnce.Do(func() { close(c.hurry) })
		<-c.done
	}
	return nil
}

// Done is closed when the cluster has ended after Stop. A crash of PostgreSQL
// does not close it.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// run starts the supervisor and waits until the cluster can be used.
func (c *Cluster) run(ctx context.Context) error {
	first := make(chan launched, 1)
	go c.supervise(first)
	start := <-first
	err := start.err
	if err == nil {
		err = c.awaitReady(ctx, start.postmaster)
	}
	if err == nil {
		err = c.bootstrap(ctx)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
}

func (c *Cluster) dsn(role, database string) string {
	query := url.Values{"host": {c.socket}, "port": {port}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

// prepare does everything up to the launch: it leaves a complete cluster, its
// lock held, and no process in it.
func prepare(ctx context.Context, cfg Config) (*Cluster, error) {
	owner, err := findAccount(cfg.User)
	if err != nil {
		return nil, err
	}
	p, err := newPaths(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := p.create(owner); err != nil {
		return nil, err
	}
	lock, err := lockDir(p)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, paths: p, owner: owner, lock: lock,
		stopping: make(chan struct{}), hurry: make(chan struct{}), done: make(chan struct{}),
	}
	if err := c.makeReady(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return c, nil
}

func (c *Cluster) makeReady(ctx context.Context) error {
	made, err := c.choosePrograms(ctx)
	if err != nil {
		return err
	}
	if c.socket, err = c.paths.socketDir(c.owner, c.cfg.Log); err != nil {
		return err
	}
	if err := c.takeOver(ctx); err != nil {
		return err
	}
	if c.server, err = lockServer(ctx, c.paths); err != nil {
		return err
	}
	if err := c.makeCluster(ctx, made); err != nil {
		return errors.Join(err, c.server.Close())
	}
	return nil
}

// choosePrograms returns the major version that made the cluster, 0 for none,
// once programs of that version are found.
func (c *Cluster) choosePrograms(ctx context.Context) (int, error) {
	made, err := c.paths.clusterMajor(c.owner)
	if err != nil {
		return 0, err
	}
	if c.bin, err = chooseBinaries(ctx, c.cfg.BinDir, made); err != nil {
		return 0, err
	}
	if made != 0 && made != c.bin.Major {
		return 0, c.majorVersionError(ctx, made)
	}
	return made, nil
}

func (c *Cluster) makeCluster(ctx context.Context, made int) (err error) {
	if made == 0 {
		if err := c.initialise(ctx); err != nil {
			return err
		}
	}
	if err := c.configure(); err != nil {
		return err
	}
	c.output, err = openLogFile(c.paths.logs, logLimit, logKeep)
	return err
}
