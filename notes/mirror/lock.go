package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockPoll is how often a waiting process looks again.
const lockPoll = 20 * time.Millisecond

// acquire takes the mirror's lock: an advisory lock on a file beside it, which
// git children inherit, so that it is held as long as any process of ours may
// write, also after this one was killed. Closing the file gives it back.
func (m *Mirror) acquire(ctx context.Context) (*os.File, error) {
	for {
		lock, err := m.tryAcquire()
		if lock != nil || err != nil {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("locking mirror: %w: %w", ErrBusy, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// tryAcquire returns nil when another process holds the lock, or removed the
// file between our opening and locking it.
func (m *Mirror) tryAcquire() (*os.File, error) {
	lock, err := os.OpenFile(m.lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking mirror: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
		lock.Close()
		return nil, fmt.Errorf("locking mirror: %w", err)
	}
	if err != nil || !isStillThere(lock) {
		lock.Close()
		return nil, nil
	}
	return lock, nil
}

func isStillThere(file *os.File) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(file.Name())
	return err == nil && os.SameFile(opened, named)
}

// clearLeftovers removes what a killed git leaves: lock files, which would stop
// every later one, half-written packs, and marks that keep finished packs from
// being repacked. The caller holds the lock of the mirror, so nobody uses them.
func clearLeftovers(dir string) error {
	if err := clearRefLocks(filepath.Join(dir, "refs")); err != nil {
		return fmt.Errorf("clearing stale locks: %w", err)
	}
	for _, pattern := range []string{
		"*.lock", "packed-refs.new", "gc.pid", "objects/info/*.lock", "objects/info/commit-graphs/*.lock",
		"objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/pack/*.keep", "shallow_*",
	} {
		paths, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern))
		if err != nil {
			return fmt.Errorf("clearing stale files: %w", err)
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("clearing stale files: %w", err)
			}
		}
	}
	return nil
}

// clearRefLocks relies on git's rule that no ref name ends in ".lock".
func clearRefLocks(refs string) error {
	return filepath.WalkDir(refs, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".lock") {
			return err
		}
		return os.Remove(path)
	})
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func escapeGlob(path string) string { return globEscaper.Replace(path) }
