package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ourProcess is a server process that works in the cluster. Its handle is
// bound to the process (a pidfd), not to the number: once verified, a signal
// through it cannot reach another.
type ourProcess struct {
	*os.Process
}

// stopSteps are how processes of an earlier daemon are ended, ever harder.
var stopSteps = []struct {
	signal syscall.Signal
	wait   time.Duration
}{
	{syscall.SIGINT, 15 * time.Second},
	{syscall.SIGQUIT, 3 * time.Second},
	{syscall.SIGKILL, 5 * time.Second},
}

// takeOver ends every process that an earlier daemon's PostgreSQL left in the
// cluster and removes the lock files that would keep a new one from starting.
// An old server is never adopted: it would neither be this daemon's child nor
// have its settings. The caller holds the directory's lock.
func (c *Cluster) takeOver(ctx context.Context) error {
	for _, step := range stopSteps {
		left, err := serverProcesses(c.paths.data)
		if err != nil {
			return fmt.Errorf("looking for a PostgreSQL left behind: %w", err)
		}
		if len(left) == 0 {
			return c.removeStale()
		}
		if c.signalLeft(left, step.signal) {
			err = awaitNone(ctx, c.paths.data, step.wait)
		}
		release(left)
		if err != nil {
			return err
		}
	}
	left, err := serverProcesses(c.paths.data)
	if err != nil {
		return fmt.Errorf("looking for a PostgreSQL left behind: %w", err)
	}
	release(left)
	if len(left) > 0 {
		return fmt.Errorf("ending the PostgreSQL left behind in %s: process %d survives SIGKILL", c.paths.data, left[0].Pid)
	}
	return c.removeStale()
}

// signalLeft tells whether it found whom to signal: a fast shutdown is for a
// postmaster alone, which ends the others; anything harder is for all.
func (c *Cluster) signalLeft(left []ourProcess, signal syscall.Signal) bool {
	if signal == syscall.SIGINT {
		master := postmasterPID(c.paths.data)
		left = slices.DeleteFunc(slices.Clone(left), func(p ourProcess) bool { return p.Pid != master })
	}
	for _, p := range left {
		c.cfg.Log.Warn().Int("pid", p.Pid).Stringer("signal", signal).Msg("ending a PostgreSQL process that was left behind")
		p.tell(signal)
	}
	return len(left) > 0
}

// tell ignores errors: the process may have ended, and whether it did is
// looked at afterwards.
func (p ourProcess) tell(signal syscall.Signal) { _ = p.Signal(signal) }

func release(processes []ourProcess) {
	for _, p := range processes {
		_ = p.Release()
	}
}

// awaitNone waits until no server process works in data, at most for wait.
func awaitNone(ctx context.Context, data string, wait time.Duration) error {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := serverProcesses(data)
		if err != nil {
			return fmt.Errorf("looking for a PostgreSQL left behind: %w", err)
		}
		release(left)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for a PostgreSQL left behind to end: %w", ctx.Err())
		}
	}
}

// serverProcesses finds the processes that run a program called postgres with
// data as working directory: a postmaster goes there first of all, and its
// children stay. The caller releases them.
func serverProcesses(data string) ([]ourProcess, error) {
	dir, err := os.Stat(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []ourProcess
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() || !worksIn(pid, dir) {
			continue
		}
		// The handle comes first and is then verified: a number that was given
		// to another process in between shows here.
		process, err := os.FindProcess(pid)
		if err == nil && worksIn(pid, dir) {
			found = append(found, ourProcess{process})
		}
	}
	return found, nil
}

// worksIn reads proc(5). Processes of other accounts cannot be read, and are
// not ours.
func worksIn(pid int, dir fs.FileInfo) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	exe, err := os.Readlink(filepath.Join(proc, "exe"))
	// The suffix appears when a package upgrade has replaced the program.
	if err != nil || filepath.Base(strings.TrimSuffix(exe, " (deleted)")) != "postgres" {
		return false
	}
	cwd, err := os.Stat(filepath.Join(proc, "cwd"))
	return err == nil && os.SameFile(cwd, dir)
}

// postmasterPID is the first line of postmaster.pid, 0 if there is none.
func postmasterPID(data string) int {
	root, err := os.OpenRoot(data)
	if err != nil {
		return 0
	}
	defer root.Close()
	text, err := root.ReadFile("postmaster.pid")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// removeStale removes lock files once no process of ours is left. PostgreSQL
// would refuse to start over one whose number some other program of the same
// account has now.
func (c *Cluster) removeStale() error {
	stale := map[string][]string{
		c.paths.data: {"postmaster.pid"},
		c.socket:     {socketName, socketName + ".lock"},
	}
	for dir, names := range stale {
		if err := removeIn(dir, names); err != nil {
			return fmt.Errorf("removing stale lock files: %w", err)
		}
	}
	return nil
}

func removeIn(dir string, names []string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range names {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
