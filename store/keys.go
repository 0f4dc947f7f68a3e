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

// KeyPrefix begins every API key, so that secret scanners can find one that leaked.
const KeyPrefix = "bpe_"

// Key is an API key without its secret.
type Key struct {
	ID         uuid.UUID
	Name       string
	Prefix     string
	Scopes     []access.Scope
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
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt time.Time
}

const keyColumns = `id, name, prefix, scopes, created_by, created_at, expires_at, last_used_at, revoked_at`

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
	if name == "" || len(name) > 200 {
		return Key{}, "", &InvalidError{"name", "give 1 to 200 characters that say what the key is for"}
	}
	if len(in.Scopes) == 0 {
		return Key{}, "", &InvalidError{"scopes", "give one or more of ingest, hook, read, write, admin"}
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
		INSERT INTO api_keys (id, org_id, name, prefix, hash, scopes, created_by, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING `+keyColumns,
		newID(), by.Org, name, secret[:len(KeyPrefix)+6], hash[:], in.Scopes, by.Name, expires)
	if err != nil {
		return Key{}, "", err
	}
	return key, secret, tx.Audit(ctx, by, "key.create", key.ID.String(), map[string]any{"name": name, "scopes": in.Scopes})
}

// Keys lists the keys of an organisation, newest first, revoked ones included.
func (db *DB) Keys(ctx context.Context, org uuid.UUID) ([]Key, error) {
	return collect[Key](ctx, db.pool, "listing keys",
		`SELECT `+keyColumns+` FROM api_keys WHERE org_id = $1 ORDER BY created_at DESC, id DESC`, org)
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
// and revoked keys alike. The time of last use is kept to the minute.
func (db *DB) PrincipalByKey(ctx context.Context, secret string) (access.Principal, error) {
	hash := sha256.Sum256([]byte(secret))
	row, err := collectOne[struct {
		ID     uuid.UUID
		OrgID  uuid.UUID
		Scopes []access.Scope
		Stale  bool
	}](ctx, db.pool, "authenticating a key", `
		SELECT id, org_id, scopes, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS stale
		FROM api_keys WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`, hash[:])
	if err != nil {
		return access.Principal{}, err
	}
	if row.Stale {
		if _, err := db.pool.Exec(ctx, `UPDATE api_keys SET last_used_at = now() WHERE id = $1`, row.ID); err != nil {
			return access.Principal{}, translate(err, "noting the use of a key")
		}
	}
	return access.Principal{Org: row.OrgID, Name: "key:" + row.ID.String(), Scopes: row.Scopes}, nil
}
