package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/pglocal"
)

const (
	// connectWait is how long a database may take to answer at the start.
	connectWait = 30 * time.Second
	// takenWait is how long a command waits for another one that has the
	// private PostgreSQL for itself.
	takenWait = 30 * time.Second
	waitStep  = 200 * time.Millisecond
)

// running is what a daemon writes into its data directory, for commands that
// want the private PostgreSQL that it runs.
type running struct {
	PID int `json:"pid"`
	// DatabaseURL leads to the socket of the private PostgreSQL and holds no
	// secret; it is empty when the daemon was given a database.
	DatabaseURL string `json:"database_url,omitempty"`
	URL         string `json:"url"`
	// HookSocket is the socket of the hooks, empty for none.
	HookSocket string `json:"hook_socket,omitempty"`
	// SSHAddr is the address of the gateway, or off.
	SSHAddr string `json:"ssh_addr,omitempty"`
}

// write replaces the file as a whole.
func (r running) write(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readRunning returns what the last daemon wrote; it may be dead.
func readRunning(path string) (running, error) {
	var r running
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("reading %s: %w", path, err)
	}
	return r, nil
}

// database is a PostgreSQL that answers.
type database struct {
	dsn string
	// cluster is the private PostgreSQL if this process started it.
	cluster *pglocal.Cluster
	// daemon says that a daemon runs on the data directory.
	daemon bool
}

// close stops the private PostgreSQL if this process started it.
func (d *database) close(ctx context.Context) error {
	if d.cluster == nil {
		return nil
	}
	return d.cluster.Stop(context.WithoutCancel(ctx))
}

// startDatabase gives the daemon its database: the configured one, or the
// private one. Another daemon on the data directory is an error.
func startDatabase(ctx context.Context, cfg *Config, log zerolog.Logger) (*database, error) {
	if cfg.DatabaseURL != "" {
		return &database{dsn: cfg.DatabaseURL}, awaitDatabase(ctx, cfg.DatabaseURL, log)
	}
	cluster, err := pglocal.Start(ctx, pglocal.Config{
		Dir: cfg.postgresDir(), BinDir: cfg.PostgresBinDir, User: cfg.PostgresUser, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return &database{dsn: cluster.DSN(pglocal.Database), cluster: cluster}, nil
}

// findDatabase gives a command its database: the configured one, the private
// one of the daemon that runs, or the private one, started for the command.
func findDatabase(ctx context.Context, cfg *Config, log zerolog.Logger) (*database, error) {
	if err := makeDataDir(cfg.DataDir); err != nil {
		return nil, err
	}
	alive, err := daemonAlive(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.DatabaseURL != "" {
		return &database{dsn: cfg.DatabaseURL, daemon: alive}, awaitDatabase(ctx, cfg.DatabaseURL, log)
	}
	ctx, cancel := context.WithTimeout(ctx, takenWait)
	defer cancel()
	for {
		d, err := startDatabase(ctx, cfg, log)
		if !errors.Is(err, pglocal.ErrInUse) {
			return d, err
		}
		if d := findRunning(ctx, cfg); d != nil {
			return d, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(waitStep):
		}
	}
}

// findRunning returns the private PostgreSQL of the daemon that runs, nil if it
// does not answer yet, or if it is another command that has it.
func findRunning(ctx context.Context, cfg *Config) *database {
	r, err := readRunning(cfg.runningFile())
	if err != nil || r.DatabaseURL == "" || ping(ctx, r.DatabaseURL) != nil {
		return nil
	}
	return &database{dsn: r.DatabaseURL, daemon: true}
}

// awaitDatabase waits for a database that is just starting.
func awaitDatabase(ctx context.Context, dsn string, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	for said := false; ; said = true {
		err := ping(ctx, dsn)
		if err == nil || !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		if !said {
			log.Warn().Err(err).Msg("the database does not answer; waiting for it")
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(waitStep):
		}
	}
}

func ping(ctx context.Context, dsn string) error {
	db, err := store.Open(ctx, store.Config{DSN: dsn, MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Ping(ctx)
}

// openStore opens the store with the key for its secrets.
func openStore(ctx context.Context, cfg *Config, dsn string) (*store.DB, error) {
	if err := makeDataDir(cfg.DataDir); err != nil {
		return nil, err
	}
	sealer, err := store.SealerFromFile(cfg.sealKeyFile())
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, store.Config{
		DSN: dsn, MaxConns: int32(cfg.DatabaseMaxConns), Sealer: sealer, MaxWaiver: cfg.MaxWaiver.Duration, PublicURL: cfg.PublicURL,
	})
}

// makeDataDir makes the data directory, closed to others; under root the
// account of the private PostgreSQL must be able to pass through.
func makeDataDir(dir string) error {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
			err = os.Mkdir(dir, mode)
		}
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("making the data directory (set %sDATA_DIR for another one): %w", envPrefix, err)
	}
	return nil
}

// errDaemonRuns: another daemon has the data directory.
var errDaemonRuns = errors.New("another daemon runs on this data directory")

// lockDaemon takes the data directory for this daemon, for as long as the file
// is open; the kernel drops the lock with the process.
func lockDaemon(cfg *Config) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(cfg.DataDir, "daemon.lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the daemon's lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s; stop it, or give this one another directory (%sDATA_DIR)",
			errDaemonRuns, cfg.DataDir, envPrefix)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// daemonAlive reports whether a daemon runs on the data directory.
func daemonAlive(cfg *Config) (bool, error) {
	lock, err := lockDaemon(cfg)
	if errors.Is(err, errDaemonRuns) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, lock.Close()
}
