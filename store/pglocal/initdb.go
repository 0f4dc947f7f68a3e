package pglocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// partialPrefix begins the name of a directory in which initdb is at work. A
// finished one is renamed to data, so that data is always complete.
const partialPrefix = "data.partial-"

// initdbArgs make a cluster that sorts by byte, folds case by Unicode and is
// the same on every machine.
var initdbArgs = []string{
	"--username=" + Superuser, "--encoding=UTF8", "--locale=C", "--lc-ctype=C.UTF-8",
	"--data-checksums", "--auth=peer",
}

// initialise makes the cluster.
func (c *Cluster) initialise(ctx context.Context) error {
	if err := c.removePartial(); err != nil {
		return fmt.Errorf("removing what an interrupted initdb left: %w", err)
	}
	began := time.Now()
	partial, err := os.MkdirTemp(c.paths.root, partialPrefix)
	if err != nil {
		return fmt.Errorf("making the cluster: %w", err)
	}
	if err := c.owner.give(partial); err != nil {
		return fmt.Errorf("making the cluster: %w", err)
	}
	if err := c.initdb(ctx, partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, c.paths.data); err != nil {
		return fmt.Errorf("finishing the cluster: %w", err)
	}
	if err := syncDir(c.paths.root); err != nil {
		return fmt.Errorf("finishing the cluster: %w", err)
	}
	c.cfg.Log.Info().Str("dir", c.paths.data).Str("version", c.bin.Version).
		Dur("took", time.Since(began)).Msg("made a PostgreSQL cluster")
	return nil
}

// initdb runs the program of that name. It keeps its thread meanwhile, since
// the kernel ties the child's death signal to the thread that started it.
func (c *Cluster) initdb(ctx context.Context, dir string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	args := append(slices.Clone(initdbArgs), "--pgdata="+dir)
	if c.cfg.Volatile {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, c.bin.Path("initdb"), args...)
	cmd.Dir = c.paths.root
	cmd.Env = childEnv()
	cmd.SysProcAttr = c.owner.attr(syscall.SIGKILL)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running initdb: %w\n%s", errors.Join(ctx.Err(), err), bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// removePartial removes the directories of earlier, interrupted runs, unless
// one holds a name that initdb does not make.
func (c *Cluster) removePartial() error {
	entries, err := os.ReadDir(c.paths.root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), partialPrefix) {
			continue
		}
		dir := filepath.Join(c.paths.root, entry.Name())
		if err := checkPartial(dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		c.cfg.Log.Info().Str("dir", dir).Msg("removed the leavings of an interrupted initdb")
	}
	return nil
}

func checkPartial(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !madeByInitdb(entry.Name()) {
			return fmt.Errorf("%s holds %q, which initdb did not make; move it away", dir, entry.Name())
		}
	}
	return nil
}

func madeByInitdb(name string) bool {
	known := []string{"PG_VERSION", "base", "global", "postgresql.conf", "postgresql.auto.conf", "postmaster.pid"}
	return strings.HasPrefix(name, "pg_") || slices.Contains(known, name)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// childEnv is the whole environment of PostgreSQL's programs: nothing of the
// daemon's, whose secrets live there and whose PG* variables mean other servers.
func childEnv() []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	if libs, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		env = append(env, "LD_LIBRARY_PATH="+libs)
	}
	return env
}
