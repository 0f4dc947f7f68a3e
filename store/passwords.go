package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Credentials are a person's and what their password is checked with.
type Credentials struct {
	OrgID uuid.UUID
	User
	// Hash is empty for somebody without a password.
	Hash string
}

// CredentialsOf finds a person by the name of an organisation, which may be
// empty where there is one only, and an address. ErrNotFound covers unknown
// organisations and people and disabled ones alike.
func (db *DB) CredentialsOf(ctx context.Context, org, email string) (Credentials, error) {
	return collectOne[Credentials](ctx, db.pool, "finding an account", `
		SELECT u.*, coalesce(p.hash, '') AS hash
		FROM (SELECT org_id, `+userColumns+` FROM users WHERE email = $2 AND disabled_at IS NULL AND org_id = (
			SELECT min(id::text)::uuid FROM orgs WHERE $1 IN ('', name) HAVING count(*) = 1)) u
		LEFT JOIN passwords p ON p.user_id = u.id`, org, email)
}

// CredentialsByID is CredentialsOf for a person who is signed in.
func (db *DB) CredentialsByID(ctx context.Context, org, user uuid.UUID) (Credentials, error) {
	return collectOne[Credentials](ctx, db.pool, "finding an account", `
		SELECT u.*, coalesce(p.hash, '') AS hash
		FROM (SELECT org_id, `+userColumns+` FROM users WHERE org_id = $1 AND id = $2 AND disabled_at IS NULL) u
		LEFT JOIN passwords p ON p.user_id = u.id`, org, user)
}

// ChangePassword stores the principal's new password and ends their other
// sessions.
func (db *DB) ChangePassword(ctx context.Context, by access.Principal, hash string) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.setPassword(ctx, by.Org, by.UserID, hash); err != nil {
			return err
		}
		if err := tx.endSessions(ctx, by.UserID, by.Session); err != nil {
			return err
		}
		if err := tx.endLinks(ctx, by.Org, by.User); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "password.change", by.User, nil)
	})
}

// RehashPassword replaces the hash of an unchanged password by one with other
// parameters, unless the password was changed meanwhile.
func (db *DB) RehashPassword(ctx context.Context, user uuid.UUID, old, hash string) error {
	_, err := db.pool.Exec(ctx, `UPDATE passwords SET hash = $3 WHERE user_id = $1 AND hash = $2`, user, old, hash)
	return translate(err, "hashing a password again")
}

func (tx *Tx) setPassword(ctx context.Context, org, user uuid.UUID, hash string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO passwords (user_id, org_id, hash) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = now()`, user, org, hash)
	return translate(err, "storing a password")
}

// LoginLimit is how many attempts of one subject may fail, and what follows.
type LoginLimit struct {
	// Subject is what is counted: an account or an address.
	Subject string
	// Failures lock the subject: for Lock, twice as long with each further one, up
	// to MaxLock. They are forgotten after Forget without any.
	Failures              int
	Lock, MaxLock, Forget time.Duration
}

// CountLogin counts an attempt as failed before it is made, so that many at once
// cannot outrun the limit. It returns how long to wait if a subject is locked,
// in which case nothing is counted, and how often each subject has failed before.
// CountLogin is the same work whether there is such an account or not.
func (db *DB) CountLogin(ctx context.Context, now time.Time, limits ...LoginLimit) (wait time.Duration, failures []int, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		for _, limit := range limits {
			until, n, err := tx.countLogin(ctx, now, limit)
			if err != nil {
				return err
			}
			if wait = max(wait, until.Sub(now)); wait > 0 {
				return errLocked
			}
			failures = append(failures, n-1)
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM login_failures WHERE subject IN (
				SELECT subject FROM login_failures WHERE failed_at < $1 ORDER BY failed_at LIMIT 20 FOR UPDATE SKIP LOCKED)`,
			now.Add(-keepFailures))
		return translate(err, "forgetting old attempts to sign in")
	})
	if errors.Is(err, errLocked) {
		return wait, nil, nil
	}
	return 0, failures, err
}

// keepFailures is longer than any limit remembers.
const keepFailures = 7 * 24 * time.Hour

// errLocked rolls back what was counted for other subjects.
var errLocked = errors.New("locked")

// countLogin counts an attempt of one subject. until is after now if it is
// locked.
func (tx *Tx) countLogin(ctx context.Context, now time.Time, limit LoginLimit) (until time.Time, failures int, err error) {
	subject := hashSecret(limit.Subject)
	row, err := collectOne[struct {
		Failures    int
		FailedAt    time.Time
		LockedUntil *time.Time
	}](ctx, tx, "counting an attempt to sign in", `
		INSERT INTO login_failures AS f VALUES ($1, 0, $2, '-infinity')
		-- It changes nothing and locks the row.
		ON CONFLICT (subject) DO UPDATE SET failures = f.failures
		RETURNING failures, failed_at, nullif(locked_until, '-infinity') AS locked_until`, subject, now)
	if err != nil {
		return until, 0, err
	}
	if row.LockedUntil != nil && row.LockedUntil.After(now) {
		return *row.LockedUntil, row.Failures, nil
	}
	failures = row.Failures + 1
	if now.Sub(row.FailedAt) > limit.Forget {
		failures = 1
	}
	_, err = tx.Exec(ctx, `UPDATE login_failures SET failures = $2, failed_at = $3, locked_until = $4 WHERE subject = $1`,
		subject, failures, now, now.Add(limit.lock(failures)))
	return now, failures, translate(err, "counting an attempt to sign in")
}

// lock is for how long so many failures lock.
func (l LoginLimit) lock(failures int) time.Duration {
	if failures < l.Failures {
		return 0
	}
	// 2^20 times any lock is longer than any longest one.
	return min(l.MaxLock, l.Lock<<min(failures-l.Failures, 20))
}

// ForgiveLogin takes back the count of an attempt that succeeded: the account
// starts anew, the address is as it was before.
func (db *DB) ForgiveLogin(ctx context.Context, account, address LoginLimit) error {
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE login_failures SET failures = greatest(0, failures - 1), locked_until = '-infinity' WHERE subject = $1`,
			hashSecret(address.Subject))
		if err == nil {
			_, err = tx.Exec(ctx, `UPDATE login_failures SET failures = 0, locked_until = '-infinity' WHERE subject = $1`,
				hashSecret(account.Subject))
		}
		return translate(err, "forgiving attempts to sign in")
	})
}
