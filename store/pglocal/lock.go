package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// lockDir takes the directory's lock for as long as the returned file is open;
// the kernel drops it with the process, however that ends. The file holds the
// holder's process id, for the message to the next one.
func lockDir(p paths) (*os.File, error) {
	f, err := openLock(p.lock)
	if err != nil {
		return nil, err
	}
	free, err := tryLock(f)
	if err == nil && !free {
		err = inUseError(p, f)
	}
	if err == nil {
		err = writeHolder(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockServer takes the lock that PostgreSQL's processes inherit. Once those
// that proc(5) shows have ended it is free, unless one lives in another
// container that shares the directory: it gets some time to end with its
// daemon.
func lockServer(ctx context.Context, p paths) (*os.File, error) {
	f, err := openLock(p.server)
	if err != nil {
		return nil, err
	}
	deadline := time.NewTimer(defaultStopTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		free, err := tryLock(f)
		if err == nil && free {
			return f, nil
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-deadline.C:
			err := fmt.Errorf("%w: a PostgreSQL server that cannot be seen from here works on %s; "+
				"stop the other container that has this directory", ErrInUse, p.root)
			return nil, errors.Join(err, f.Close())
		}
	}
}

func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file: %w", err)
	}
	return f, nil
}

func tryLock(f *os.File) (free bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return true, nil
}

func inUseError(p paths, f *os.File) error {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return fmt.Errorf("reading the lock file: %w", err)
	}
	holder := strings.TrimSpace(string(text))
	if holder == "" {
		return fmt.Errorf("%w: another daemon is starting on %s", ErrInUse, p.root)
	}
	return fmt.Errorf("%w: process %s runs a daemon on %s; stop it (\"kill %s\"), "+
		"or give this one another data directory (BLAMEPROMPT_DATA_DIR)", ErrInUse, holder, p.root, holder)
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	return nil
}
