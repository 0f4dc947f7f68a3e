package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// KeyPrefix begins every API key, so that secret scanners can find one that leaked.
const KeyPrefix = "bpe_"

// Key is an API key without its secret.
type Key struct {
	ID     uuid.UUID
	Name   string
	Prefix string
	Scopes []access.Scope
	// User is the e-mail address of the person whose key it is, empty for a
	// machine's.
	User       string
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  *time.Time
	LastUsedAt *time.Time
	RevokedAt  *time.Time
}

// NewKey says what key to make.
type NewKey struct {
	Name   string
	Scopes []access.Scope
	// User is the e-mail address of the person who will act with the key; empty
	// for a machine's.
	User string
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt time.Time
}

const keyColumns = `id, name, prefix, scopes, coalesce((SELECT u.email FROM users u WHERE u.id = user_id), '') AS "user",
	created_by, created_at, expires_at, last_used_at, revoked_at`

// CreateKey makes a key in the principal's organisation. The secret is
// returned once and stored only as its SHA-256: with 256 random bits a slow
// hash adds nothing.
func (db *DB) CreateKey(ctx context.Context, by access.Principal, in NewKey) (Key, string, error) {
	var key Key
	var secret string
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		key, secret, err = tx.createKey(ctx, by, in)
		return err
	})
	return key, secret, err
}

func (tx *Tx) createKey(ctx context.Context, by access.Principal, in NewKey) (Key, string, error) {
	name := strings.TrimSpace(in.Name)
	if name == "" || len(name) > 200 || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return Key{}, "", &InvalidError{"name", "give 1 to 200 characters that say what the key is for"}
	}
	if len(in.Scopes) == 0 {
		return Key{}, "", &InvalidError{"scopes", "give one or more of ingest, hook, read, write, admin"}
	}
	if i := slices.IndexFunc(in.Scopes, func(scope access.Scope) bool { return !by.Has(scope) }); i >= 0 {
		return Key{}, "", &InvalidError{"scopes", "cannot give " + string(in.Scopes[i]) + ", which you have not yourself"}
	}
	user, err := tx.keyOwner(ctx, by.Org, in.User)
	if err != nil {
		return Key{}, "", err
	}
	var raw [32]byte
	rand.Read(raw[:])
	secret := KeyPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	hash := sha256.Sum256([]byte(secret))
	var expires *time.Time
	if !in.ExpiresAt.IsZero() {
		expires = &in.ExpiresAt
	}
	key, err := collectOne[Key](ctx, tx, "creating a key", `
		INSERT INTO api_keys (id, org_id, name, prefix, hash, scopes, user_id, created_by, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING `+keyColumns,
		newID(), by.Org, name, secret[:len(KeyPrefix)+6], hash[:], in.Scopes, user, actor(by), expires)
	if err != nil {
		return Key{}, "", err
	}
	detail := map[string]any{"name": name, "scopes": in.Scopes}
	if key.User != "" {
		detail["user"] = key.User
	}
	return key, secret, tx.Audit(ctx, by, "key.create", key.ID.String(), detail)
}

// keyOwner finds the person that a key is to be of; nil for a machine's.
func (tx *Tx) keyOwner(ctx context.Context, org uuid.UUID, email string) (*uuid.UUID, error) {
	if email == "" {
		return nil, nil
	}
	user, err := activeUser(ctx, tx, org, email)
	if errors.Is(err, ErrNotFound) {
		return nil, &InvalidError{"user", "is no user of the organisation; add the user first"}
	}
	return &user.ID, err
}

// activeUser finds a user by e-mail address, in any case of letters, who is not
// disabled.
func activeUser(ctx context.Context, q querier, org uuid.UUID, email string) (User, error) {
	return collectOne[User](ctx, q, "finding user "+email, `
		SELECT `+userColumns+` FROM users WHERE org_id = $1 AND email = lower($2) AND disabled_at IS NULL`, org, email)
}

// Keys lists the keys of an organisation, newest first, revoked ones included.
func (db *DB) Keys(ctx context.Context, org uuid.UUID) ([]Key, error) {
	return collect[Key](ctx, db.pool, "listing keys",
		`SELECT `+keyColumns+` FROM api_keys WHERE org_id = $1 ORDER BY created_at DESC, id DESC`, org)
}

// KeyOwnerID is the user whose a key is; the nil UUID for a machine's.
// ErrNotFound if there is no such key.
func (db *DB) KeyOwnerID(ctx context.Context, org, id uuid.UUID) (uuid.UUID, error) {
	row, err := collectOne[struct{ Owner uuid.UUID }](ctx, db.pool, "finding key "+id.String(), `
		SELECT coalesce(user_id, '00000000-0000-0000-0000-000000000000') AS owner FROM api_keys WHERE org_id = $1 AND id = $2`, org, id)
	return row.Owner, err
}

// KeysOf lists the keys of a person, newest first, without revoked ones.
func (db *DB) KeysOf(ctx context.Context, org, user uuid.UUID) ([]Key, error) {
	return collect[Key](ctx, db.pool, "listing the keys of a user", `
		SELECT `+keyColumns+` FROM api_keys WHERE org_id = $1 AND user_id = $2 AND revoked_at IS NULL
		ORDER BY created_at DESC, id DESC`, org, user)
}

// RevokeKey ends a key at once. Revoking it again changes nothing.
func (db *DB) RevokeKey(ctx context.Context, by access.Principal, id uuid.UUID) (Key, error) {
	var key Key
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		key, err = collectOne[Key](ctx, tx, "revoking key "+id.String(), `
			UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
			WHERE org_id = $1 AND id = $2 RETURNING `+keyColumns, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "key.revoke", id.String(), map[string]any{"name": key.Name})
	})
	return key, err
}

// PrincipalByKey authenticates a secret. ErrNotFound covers unknown, expired
// and revoked keys and those of disabled users alike. A person's key may do no
// more than the person. The time of last use is kept to the minute.
func (db *DB) PrincipalByKey(ctx context.Context, secret string) (access.Principal, error) {
	hash := sha256.Sum256([]byte(secret))
	row, err := collectOne[struct {
		ID     uuid.UUID
		OrgID  uuid.UUID
		Scopes []access.Scope
		User   string
		UserID *uuid.UUID
		Role   access.Role
		Stale  bool
	}](ctx, db.pool, "authenticating a key", `
		SELECT k.id, k.org_id, k.scopes, coalesce(u.email, '') AS "user", k.user_id, coalesce(u.role, '') AS role,
		       k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute' AS stale
		FROM api_keys k LEFT JOIN users u ON u.id = k.user_id
		WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
		  AND u.disabled_at IS NULL`, hash[:])
	if err != nil {
		return access.Principal{}, err
	}
	if row.Stale {
		if _, err := db.pool.Exec(ctx, `UPDATE api_keys SET last_used_at = now() WHERE id = $1`, row.ID); err != nil {
			return access.Principal{}, translate(err, "noting the use of a key")
		}
	}
	p := access.Principal{Org: row.OrgID, Name: "key:" + row.ID.String(), Scopes: row.Scopes, User: row.User, Role: row.Role}
	if row.UserID != nil {
		p.UserID, p.Scopes = *row.UserID, row.Role.Limit(row.Scopes)
	}
	return p, nil
}
