package store

import (
	"context"
	"crypto/rsa"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/policy/access"
)

// SSHKey is a public key by which a user is known to the gateway.
type SSHKey struct {
	ID     uuid.UUID
	UserID uuid.UUID
	// Email is the user's.
	Email string
	Name  string
	// Fingerprint is as ssh-keygen -l prints it, and PublicKey the line of
	// authorized_keys(5) without options and comment.
	Fingerprint string
	PublicKey   string
	CreatedAt   time.Time
	LastUsedAt  *time.Time
	RevokedAt   *time.Time
}

// NewSSHKey says what key to add.
type NewSSHKey struct {
	UserID uuid.UUID
	// Line is a line of a .pub file or of authorized_keys(5), without options.
	Line string
	// Name is what the key is called; empty takes the comment of the line.
	Name string
}

// sshKeyColumns are of ssh_keys k beside its users u.
const sshKeyColumns = `k.id, k.user_id, u.email, k.name, k.fingerprint, k.public_key, k.created_at, k.last_used_at, k.revoked_at`

// AddSSHKey gives a user a key. A key is one user's of one organisation:
// ErrConflict if it is anybody's already. ErrNotFound if there is no such user.
func (db *DB) AddSSHKey(ctx context.Context, by access.Principal, in NewSSHKey) (SSHKey, error) {
	public, comment, err := parseSSHKey(in.Line)
	if err != nil {
		return SSHKey{}, err
	}
	if in.Name = strings.TrimSpace(in.Name); in.Name == "" {
		in.Name = strings.TrimSpace(comment)
	}
	fingerprint := ssh.FingerprintSHA256(public)
	if in.Name == "" {
		in.Name = fingerprint
	}
	if !plainText(in.Name, 200) {
		return SSHKey{}, &InvalidError{"name", "use at most 200 printable characters"}
	}
	var key SSHKey
	err = db.InTx(ctx, func(tx *Tx) (err error) {
		key, err = collectOne[SSHKey](ctx, tx, "adding an SSH key", `
			WITH k AS (
				INSERT INTO ssh_keys (id, org_id, user_id, name, fingerprint, public_key)
				SELECT $1, org_id, id, $4, $5, $6 FROM users WHERE org_id = $2 AND id = $3 AND disabled_at IS NULL
				RETURNING *)
			SELECT `+sshKeyColumns+` FROM k JOIN users u ON u.id = k.user_id`,
			newID(), by.Org, in.UserID, in.Name, fingerprint, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))))
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "ssh_key.add", key.ID.String(),
			map[string]any{"user": key.Email, "name": key.Name, "fingerprint": key.Fingerprint})
	})
	return key, err
}

// minRSABits is what NIST SP 800-57 asks of RSA keys.
const minRSABits = 2048

// parseSSHKey reads a line and judges the key in it.
func parseSSHKey(line string) (key ssh.PublicKey, comment string, err error) {
	const field = "public_key"
	if len(line) > 16<<10 {
		return nil, "", &InvalidError{field, "a public key is one line of at most 16 KiB"}
	}
	if strings.Contains(line, "PRIVATE KEY") {
		return nil, "", &InvalidError{field, "this is a private key, which nobody else may have: give the line in the .pub file"}
	}
	key, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return nil, "", &InvalidError{field, "give a line such as \"ssh-ed25519 AAAA... ada@laptop\", as the .pub file has it"}
	case len(strings.TrimSpace(string(rest))) > 0:
		return nil, "", &InvalidError{field, "give one key at a time"}
	case len(options) > 0:
		return nil, "", &InvalidError{field, "options before the key are not supported: leave them out"}
	}
	return key, comment, judgeSSHKey(field, key)
}

// judgeSSHKey refuses what is weak, and certificates, which the gateway does
// not check.
func judgeSSHKey(field string, key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519,
		ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		wrapped, _ := key.(ssh.CryptoPublicKey)
		if public, ok := wrapped.CryptoPublicKey().(*rsa.PublicKey); ok && public.N.BitLen() >= minRSABits {
			return nil
		}
		return &InvalidError{field, fmt.Sprintf("RSA keys need at least %d bits: make one with \"ssh-keygen -t ed25519\"", minRSABits)}
	}
	return &InvalidError{field, fmt.Sprintf("keys of type %.40q are not accepted: make one with \"ssh-keygen -t ed25519\"", key.Type())}
}

// SSHKeys lists the keys of an organisation, newest first, revoked ones
// included.
func (db *DB) SSHKeys(ctx context.Context, org uuid.UUID) ([]SSHKey, error) {
	return collect[SSHKey](ctx, db.pool, "listing SSH keys", `
		SELECT `+sshKeyColumns+` FROM ssh_keys k JOIN users u ON u.id = k.user_id
		WHERE k.org_id = $1 ORDER BY k.created_at DESC, k.id DESC`, org)
}

// SSHKeyOwnerID is the user whose a key is. ErrNotFound if there is no such key.
func (db *DB) SSHKeyOwnerID(ctx context.Context, org, id uuid.UUID) (uuid.UUID, error) {
	row, err := collectOne[struct{ UserID uuid.UUID }](ctx, db.pool, "finding SSH key "+id.String(),
		`SELECT user_id FROM ssh_keys WHERE org_id = $1 AND id = $2`, org, id)
	return row.UserID, err
}

// SSHKeysOf lists the keys of a person, newest first, without revoked ones.
func (db *DB) SSHKeysOf(ctx context.Context, org, user uuid.UUID) ([]SSHKey, error) {
	return collect[SSHKey](ctx, db.pool, "listing the SSH keys of a user", `
		SELECT `+sshKeyColumns+` FROM ssh_keys k JOIN users u ON u.id = k.user_id
		WHERE k.org_id = $1 AND k.user_id = $2 AND k.revoked_at IS NULL ORDER BY k.created_at DESC, k.id DESC`, org, user)
}

// RevokeSSHKey ends a key at once. Revoking it again changes nothing.
func (db *DB) RevokeSSHKey(ctx context.Context, by access.Principal, id uuid.UUID) (SSHKey, error) {
	var key SSHKey
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		key, err = collectOne[SSHKey](ctx, tx, "revoking SSH key "+id.String(), `
			WITH k AS (
				UPDATE ssh_keys SET revoked_at = coalesce(revoked_at, now()) WHERE org_id = $1 AND id = $2 RETURNING *)
			SELECT `+sshKeyColumns+` FROM k JOIN users u ON u.id = k.user_id`, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "ssh_key.revoke", id.String(), map[string]any{"user": key.Email, "fingerprint": key.Fingerprint})
	})
	return key, err
}

// KeyOwner is whom an SSH key makes known.
type KeyOwner struct {
	OrgID   uuid.UUID
	OrgName string
	KeyID   uuid.UUID
	UserID  uuid.UUID
	Email   string
	Name    string
}

// SSHKeyOwner finds the user behind a fingerprint, over all organisations.
// ErrNotFound covers unknown and revoked keys and those of disabled users
// alike. Nothing is proven by it: anybody may offer a public key.
func (db *DB) SSHKeyOwner(ctx context.Context, fingerprint string) (KeyOwner, error) {
	return collectOne[KeyOwner](ctx, db.pool, "finding the owner of an SSH key", `
		SELECT k.org_id, o.name AS org_name, k.id AS key_id, u.id AS user_id, u.email, u.name
		FROM ssh_keys k JOIN users u ON u.id = k.user_id JOIN orgs o ON o.id = k.org_id
		WHERE k.fingerprint = $1 AND k.revoked_at IS NULL AND u.disabled_at IS NULL`, fingerprint)
}

// UseSSHKey is SSHKeyOwner for a key whose holder has proven to have it. The
// time of last use is kept to the minute.
func (db *DB) UseSSHKey(ctx context.Context, fingerprint string) (KeyOwner, error) {
	owner, err := db.SSHKeyOwner(ctx, fingerprint)
	if err != nil {
		return KeyOwner{}, err
	}
	_, err = db.pool.Exec(ctx, `
		UPDATE ssh_keys SET last_used_at = now()
		WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`, owner.KeyID)
	return owner, translate(err, "noting the use of an SSH key")
}
