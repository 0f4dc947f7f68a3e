package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Session is the time for which a person is signed in at one browser.
type Session struct {
	ID uuid.UUID
	// Address and UserAgent are where it began.
	Address, UserAgent string
	CreatedAt          time.Time
	// SeenAt is kept to the minute.
	SeenAt time.Time
	// IdleAt is when it ends unless it is used before, ExpiresAt when it ends all
	// the same.
	IdleAt, ExpiresAt time.Time
	RevokedAt         *time.Time
}

// NewSession says what session to begin.
type NewSession struct {
	OrgID, UserID      uuid.UUID
	Address, UserAgent string
	Now                time.Time
	Idle, Lifetime     time.Duration
	// Failures is how many attempts to sign in failed before.
	Failures int
	// RequestID ties the session to the request that began it.
	RequestID string
	// Replaces is the secret of a session that ends with it, empty for none.
	Replaces string
}

const (
	sessionColumns = `id, address, user_agent, created_at, seen_at, idle_at, expires_at, revoked_at`
	// maxSessions is how many sessions of a person live at a time: the oldest ends.
	maxSessions = 50
	// keepSessions is for how long ended ones stay to be looked at.
	keepSessions = 30 * 24 * time.Hour
)

// newSecret makes 256 random bits and what is stored of them. With as many a
// slow hash adds nothing.
func newSecret() (secret string, hash []byte) {
	var raw [32]byte
	rand.Read(raw[:])
	secret = base64.RawURLEncoding.EncodeToString(raw[:])
	return secret, hashSecret(secret)
}

func hashSecret(secret string) []byte {
	hash := sha256.Sum256([]byte(secret))
	return hash[:]
}

// BeginSession begins a session of a person who has proven who they are. The
// secret is for the cookie and is not stored.
func (db *DB) BeginSession(ctx context.Context, in NewSession) (access.Principal, string, error) {
	secret, hash := newSecret()
	err := db.InTx(ctx, func(tx *Tx) error {
		if err := tx.tidySessions(ctx, in); err != nil {
			return err
		}
		made, err := collectOne[struct {
			Email string
			ID    uuid.UUID
		}](ctx, tx, "beginning a session", `
			WITH s AS (
				INSERT INTO sessions (id, org_id, user_id, hash, address, user_agent, created_at, seen_at, idle_at, expires_at)
				SELECT $1::uuid, org_id, id, $4, $5, $6, $7::timestamptz, $7, $8, $9 FROM users
				WHERE org_id = $2 AND id = $3 AND disabled_at IS NULL RETURNING id, user_id)
			SELECT u.email, s.id FROM s JOIN users u ON u.id = s.user_id`,
			newID(), in.OrgID, in.UserID, hash, cut(in.Address, 100), cut(in.UserAgent, 300), in.Now,
			in.Now.Add(min(in.Idle, in.Lifetime)), in.Now.Add(in.Lifetime))
		if err != nil {
			return err
		}
		by := access.Principal{Org: in.OrgID, Name: "user:" + made.Email, User: made.Email, RequestID: in.RequestID}
		return tx.Audit(ctx, by, "session.begin", made.ID.String(), map[string]any{"failures": in.Failures})
	})
	if err != nil {
		return access.Principal{}, "", err
	}
	p, err := db.PrincipalBySession(ctx, secret, in.Now, in.Idle)
	return p, secret, err
}

// tidySessions ends the session that a new one replaces and those that are too
// many, and forgets old ones.
func (tx *Tx) tidySessions(ctx context.Context, in NewSession) error {
	_, err := tx.Exec(ctx, `UPDATE sessions SET revoked_at = $2 WHERE hash = $1 AND revoked_at IS NULL`,
		hashSecret(in.Replaces), in.Now)
	if err != nil {
		return translate(err, "ending the session before")
	}
	_, err = tx.Exec(ctx, `
		UPDATE sessions SET revoked_at = $2 WHERE id IN (
			SELECT id FROM sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2
			ORDER BY created_at DESC, id DESC OFFSET $3)`, in.UserID, in.Now, maxSessions-1)
	if err != nil {
		return translate(err, "ending sessions that are too many")
	}
	_, err = tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND (expires_at < $2 OR revoked_at < $2)`,
		in.UserID, in.Now.Add(-keepSessions))
	return translate(err, "forgetting old sessions")
}

// PrincipalBySession authenticates the secret of a cookie, and lets the session
// live for idle longer. ErrNotFound covers unknown, revoked and expired ones and
// those of disabled users alike. A person's role and teams are those of this
// moment.
func (db *DB) PrincipalBySession(ctx context.Context, secret string, now time.Time, idle time.Duration) (access.Principal, error) {
	row, err := collectOne[struct {
		ID, OrgID, UserID uuid.UUID
		Email             string
		Role              access.Role
		Teams             []uuid.UUID
		Stale             bool
	}](ctx, db.pool, "authenticating a session", sqlSession, hashSecret(secret), now)
	if err != nil {
		return access.Principal{}, err
	}
	if row.Stale {
		_, err := db.pool.Exec(ctx, `
			UPDATE sessions SET seen_at = $2, idle_at = least(expires_at, $3) WHERE id = $1 AND seen_at < $2`, row.ID, now, now.Add(idle))
		if err != nil {
			return access.Principal{}, translate(err, "noting the use of a session")
		}
	}
	return access.Principal{Org: row.OrgID, Name: "user:" + row.Email, User: row.Email, UserID: row.UserID, Role: row.Role,
		Scopes: row.Role.Scopes(), Teams: row.Teams, Session: row.ID}, nil
}

// sqlSession is asked with every request of a browser.
const sqlSession = `
	SELECT s.id, s.org_id, u.id AS user_id, u.email, u.role, ` + administered + ` AS teams,
	       s.seen_at < $2::timestamptz - interval '1 minute' AS stale
	FROM sessions s JOIN users u ON u.id = s.user_id
	WHERE s.hash = $1 AND s.revoked_at IS NULL AND s.idle_at > $2 AND s.expires_at > $2 AND u.disabled_at IS NULL`

// administered are the teams of which users u are admins.
const administered = `coalesce((SELECT array_agg(m.team_id ORDER BY m.team_id) FROM team_members m
	WHERE m.org_id = u.org_id AND m.email = u.email AND m.role = 'admin'), '{}')`

// Sessions lists the sessions of a person that live at a moment, the last used
// first.
func (db *DB) Sessions(ctx context.Context, org, user uuid.UUID, now time.Time) ([]Session, error) {
	return collect[Session](ctx, db.pool, "listing sessions", `
		SELECT `+sessionColumns+` FROM sessions
		WHERE org_id = $1 AND user_id = $2 AND revoked_at IS NULL AND idle_at > $3 AND expires_at > $3
		ORDER BY seen_at DESC, id DESC`, org, user, now)
}

// RevokeSession ends a session of the principal's own. Revoking it again
// changes nothing; ErrNotFound if it is nobody's or somebody else's.
func (db *DB) RevokeSession(ctx context.Context, by access.Principal, id uuid.UUID) (Session, error) {
	var session Session
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		session, err = collectOne[Session](ctx, tx, "revoking session "+id.String(), `
			UPDATE sessions SET revoked_at = coalesce(revoked_at, now())
			WHERE org_id = $1 AND user_id = $2 AND id = $3 RETURNING `+sessionColumns, by.Org, by.UserID, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "session.revoke", id.String(), nil)
	})
	return session, err
}

// RevokeOtherSessions ends the principal's sessions but the one that asks.
func (db *DB) RevokeOtherSessions(ctx context.Context, by access.Principal) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.endSessions(ctx, by.UserID, by.Session); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "session.revoke_others", by.Session.String(), nil)
	})
}

// endSessions ends a person's sessions but one, which may be the nil UUID.
func (tx *Tx) endSessions(ctx context.Context, user, but uuid.UUID) error {
	_, err := tx.Exec(ctx, `UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL`, user, but)
	return translate(err, "ending the sessions of a user")
}

// cut makes text of a client fit to be stored: valid, without U+0000, at most
// limit bytes.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}
