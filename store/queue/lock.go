package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/blameprompt/enterprise/store"
)

// The advisory locks: a prefix, and the id of a repository or connection or the
// name of a task behind it, hashed.
const (
	fetchLock = "blameprompt fetch "
	lookLock  = "blameprompt look "
	taskLock  = "blameprompt task "
)

const (
	// lockCheck is how often the holder makes sure that it still holds.
	lockCheck   = 5 * time.Second
	lockTimeout = 10 * time.Second
)

// errLockLost ends work whose session is gone, and with it its lock.
var errLockLost = errors.New("the database session that held the lock was lost")

// Lock is the right to fetch a repository, to look at a connection or to run a
// task. It belongs to a session, so that PostgreSQL takes it back from a program
// that dies.
type Lock struct {
	conn *pgxpool.Conn
	name string
}

// TryLock takes the lock of a repository, which every fetch needs; nil means
// that somebody else holds it.
func TryLock(ctx context.Context, db *store.DB, repo uuid.UUID) (*Lock, error) {
	return tryLock(ctx, db, fetchLock+repo.String())
}

// TryLockConnection takes the lock of a connection to a forge, which every look
// at it needs; nil means that somebody else holds it.
func TryLockConnection(ctx context.Context, db *store.DB, connection uuid.UUID) (*Lock, error) {
	return tryLock(ctx, db, lookLock+connection.String())
}

func tryLock(ctx context.Context, db *store.DB, name string) (*Lock, error) {
	conn, err := db.Pool().Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("taking the lock %q: %w", name, err)
	}
	var got bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, name).Scan(&got); err != nil {
		discard(conn)
		return nil, fmt.Errorf("taking the lock %q: %w", name, err)
	}
	if !got {
		conn.Release()
		return nil, nil
	}
	return &Lock{conn: conn, name: name}, nil
}

// Hold returns a context for the work under the lock, which ends with ctx and
// when the lock is lost. Its cancel function is to be called before Release.
func (l *Lock) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	held, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(held, cancel)
	}()
	return held, func() {
		cancel(nil)
		<-watched
	}
}

func (l *Lock) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(lockCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// Not bound to ctx: pgx closes a connection whose query is cut short.
		check, end := context.WithTimeout(context.WithoutCancel(ctx), lockTimeout)
		err := l.conn.Ping(check)
		end()
		if err != nil {
			cancel(errLockLost)
			return
		}
	}
}

// Release gives the lock back; if that fails, by ending the session.
func (l *Lock) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	if _, err := l.conn.Exec(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, 0))`, l.name); err != nil {
		discard(l.conn)
		return
	}
	l.conn.Release()
}

// discard ends a session that may hold a lock; the pool makes a new one.
func discard(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// An error means that the session is gone already.
	_ = conn.Hijack().Close(ctx)
}
