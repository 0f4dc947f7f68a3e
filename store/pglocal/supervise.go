package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	defaultStopTimeout = 15 * time.Second
	immediateTimeout   = 5 * time.Second
	minBackoff         = 100 * time.Millisecond
	maxBackoff         = 30 * time.Second
	// steady is how long a server must have run for its crash to count as the
	// first one.
	steady = time.Minute
)

// postmaster is one run of the server.
type postmaster struct {
	process *os.Process
	began   time.Time
	// exited is closed when it has ended; err is then how, with its last words.
	exited chan struct{}
	err    error
}

// launched is the outcome of the first launch.
type launched struct {
	postmaster *postmaster
	err        error
}

// supervise launches PostgreSQL, tells first how that went, and launches it
// again whenever it dies, until Stop. It keeps its thread for as long as
// PostgreSQL runs: should the daemon die, the kernel then shuts PostgreSQL
// down, which it does when the thread that started it ends.
func (c *Cluster) supervise(first chan<- launched) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer c.cleanUp()

	pm, err := c.launch()
	first <- launched{pm, err}
	backoff := minBackoff
	for {
		if err == nil {
			if c.stopped(pm) {
				return
			}
			if time.Since(pm.began) > steady {
				backoff = minBackoff
			}
			err = pm.err
		}
		c.cfg.Log.Error().Err(err).Dur("retry_in", backoff).
			Msg("PostgreSQL died; starting it again")
		if !c.pause(backoff) {
			return
		}
		backoff = min(2*backoff, maxBackoff)
		pm, err = c.relaunch()
	}
}

// stopped waits for the server to end, and tells whether Stop wanted it.
func (c *Cluster) stopped(pm *postmaster) bool {
	select {
	case <-pm.exited:
		select {
		case <-c.stopping:
			return true
		default:
			return false
		}
	case <-c.stopping:
		c.shutDown(pm)
		return true
	}
}

// pause waits, and tells false if Stop ended the wait.
func (c *Cluster) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.stopping:
		return false
	}
}

func (c *Cluster) relaunch() (*postmaster, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-c.hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := c.takeOver(ctx); err != nil {
		return nil, err
	}
	return c.launch()
}

// launch starts the postmaster. What must hold is on its command line too,
// which wins over whatever ALTER SYSTEM has left in the cluster.
func (c *Cluster) launch() (*postmaster, error) {
	cmd := exec.Command(c.bin.Path("postgres"), "-D", c.paths.data,
		"-c", "listen_addresses=", "-c", "port="+port,
		"-c", "unix_socket_directories="+c.socket, "-c", "logging_collector=off")
	cmd.Dir = c.paths.data
	cmd.Env = childEnv()
	cmd.SysProcAttr = c.owner.attr(syscall.SIGINT)
	cmd.Stdout, cmd.Stderr = c.output, c.output
	cmd.ExtraFiles = []*os.File{c.server}
	// Orphans of a killed postmaster may hold its output open for a moment.
	cmd.WaitDelay = time.Second
	c.output.forget()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("launching postgres: %w", err)
	}
	pm := &postmaster{process: cmd.Process, began: time.Now(), exited: make(chan struct{})}
	go func() {
		pm.err = fmt.Errorf("running postgres: %w\n%s", endOf(cmd.Wait()), c.output.lastLines())
		close(pm.exited)
	}()
	return pm, nil
}

var errExited = errors.New("it ended by itself")

func endOf(err error) error {
	if err == nil {
		return errExited
	}
	return err
}

// shutDown ends the server: fast, then immediately, then by force.
func (c *Cluster) shutDown(pm *postmaster) {
	wait := c.cfg.StopTimeout
	if wait <= 0 {
		wait = defaultStopTimeout
	}
	_ = pm.process.Signal(syscall.SIGINT)
	if pm.endedWithin(wait, c.hurry) {
		return
	}
	c.cfg.Log.Warn().Msg("PostgreSQL did not stop in time; stopping it immediately, the next start recovers")
	_ = pm.process.Signal(syscall.SIGQUIT)
	if pm.endedWithin(immediateTimeout, nil) {
		return
	}
	_ = pm.process.Kill()
	<-pm.exited
}

func (pm *postmaster) endedWithin(d time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-pm.exited:
		return true
	case <-timer.C:
		return false
	case <-hurry:
		return false
	}
}

// cleanUp ends what is left of the server and frees the directory.
func (c *Cluster) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), defaultStopTimeout)
	defer cancel()
	err := c.takeOver(ctx)
	if c.socket != c.paths.run {
		err = errors.Join(err, os.Remove(c.socket))
	}
	if err = errors.Join(err, c.output.Close(), c.server.Close(), c.lock.Close()); err != nil {
		c.cfg.Log.Error().Err(err).Msg("cleaning up after PostgreSQL")
	}
	close(c.done)
}

// awaitReady waits until the server takes connections.
func (c *Cluster) awaitReady(ctx context.Context, pm *postmaster) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.ping(ctx)
		if err == nil {
			c.cfg.Log.Info().Str("version", c.bin.Version).Str("socket_dir", c.socket).
				Dur("took", time.Since(pm.began)).Msg("PostgreSQL is up")
			return nil
		}
		select {
		case <-tick.C:
		case <-pm.exited:
			return pm.err
		case <-ctx.Done():
			return fmt.Errorf("waiting for PostgreSQL to accept connections: %w: %w", ctx.Err(), err)
		}
	}
}

func (c *Cluster) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.AdminDSN("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// bootstrap makes the application's role and database if they are missing.
func (c *Cluster) bootstrap(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, c.AdminDSN("postgres"))
	if err != nil {
		return fmt.Errorf("connecting as %s: %w", Superuser, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	steps := []struct{ exists, create string }{
		{"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '" + Role + "')", "CREATE ROLE " + Role + " LOGIN"},
		{"SELECT EXISTS (SELECT FROM pg_database WHERE datname = '" + Database + "')",
			"CREATE DATABASE " + Database + " OWNER " + Role},
	}
	for _, step := range steps {
		var exists bool
		if err := conn.QueryRow(ctx, step.exists).Scan(&exists); err != nil {
			return fmt.Errorf("looking for the role and the database: %w", err)
		}
		if exists {
			continue
		}
		if _, err := conn.Exec(ctx, step.create); err != nil {
			return fmt.Errorf("creating the role and the database: %w", err)
		}
	}
	return nil
}
