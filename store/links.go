package store

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// LinkKind is what an account link is for.
type LinkKind string

// The kinds: the first admin, a person of an organisation, a new password.
const (
	LinkSetup      LinkKind = "setup"
	LinkInvitation LinkKind = "invitation"
	LinkPassword   LinkKind = "password"
)

// linkLives is for how long a link of a kind is good.
var linkLives = map[LinkKind]time.Duration{
	LinkSetup: 24 * time.Hour, LinkInvitation: 7 * 24 * time.Hour, LinkPassword: 24 * time.Hour,
}

// AccountLink is a link that is good once and for a while, without its secret.
type AccountLink struct {
	ID   uuid.UUID
	Kind LinkKind
	// Email is whose it is; empty for setup.
	Email, Name string
	Role        access.Role
	CreatedBy   string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	UsedAt      *time.Time
	RevokedAt   *time.Time
}

const linkColumns = `id, kind, email, name, role, created_by, created_at, expires_at, used_at, revoked_at`

// NewInvitation says whom to invite.
type NewInvitation struct {
	Email, Name string
	// Role is a member's if empty.
	Role access.Role
	Now  time.Time
}

// Invite makes an invitation, and ends earlier ones to the same address.
// ErrConflict if the person can sign in already.
func (db *DB) Invite(ctx context.Context, by access.Principal, in NewInvitation) (AccountLink, string, error) {
	person := NewUser{Email: in.Email, Name: in.Name, Role: in.Role}
	if err := person.tidy(); err != nil {
		return AccountLink{}, "", err
	}
	var link AccountLink
	var secret string
	err := db.InTx(ctx, func(tx *Tx) error {
		user, err := activeUser(ctx, tx, by.Org, person.Email)
		if err == nil && user.HasPassword {
			return ErrConflict
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		link, secret, err = tx.makeLink(ctx, by, LinkInvitation, person, in.Now)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "invitation.create", link.Email, map[string]any{"role": link.Role, "expires_at": link.ExpiresAt})
	})
	return link, secret, err
}

// PasswordLink makes a link by which a person gives themself a new password.
// ErrNotFound for unknown and disabled people.
func (db *DB) PasswordLink(ctx context.Context, by access.Principal, email string, now time.Time) (AccountLink, string, error) {
	var link AccountLink
	var secret string
	err := db.InTx(ctx, func(tx *Tx) error {
		user, err := activeUser(ctx, tx, by.Org, email)
		if err != nil {
			return err
		}
		link, secret, err = tx.makeLink(ctx, by, LinkPassword, NewUser{Email: user.Email, Name: user.Name, Role: user.Role}, now)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "password.link", user.Email, map[string]any{"expires_at": link.ExpiresAt})
	})
	return link, secret, err
}

// makeLink makes a link in place of earlier ones for the same address.
func (tx *Tx) makeLink(ctx context.Context, by access.Principal, kind LinkKind, in NewUser, now time.Time) (AccountLink, string, error) {
	if err := tx.endLinks(ctx, by.Org, in.Email); err != nil {
		return AccountLink{}, "", err
	}
	secret, hash := newSecret()
	link, err := collectOne[AccountLink](ctx, tx, "making a link", `
		INSERT INTO account_links (id, org_id, kind, hash, email, name, role, created_by, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING `+linkColumns,
		newID(), by.Org, kind, hash, in.Email, in.Name, in.Role, actor(by), now, now.Add(linkLives[kind]))
	return link, secret, err
}

// endLinks ends the open links of an address.
func (tx *Tx) endLinks(ctx context.Context, org uuid.UUID, email string) error {
	_, err := tx.Exec(ctx, `
		UPDATE account_links SET revoked_at = now()
		WHERE org_id = $1 AND email = $2 AND used_at IS NULL AND revoked_at IS NULL`, org, email)
	return translate(err, "ending links")
}

// Invitations lists the invitations of an organisation, newest first, those
// included that are used, revoked or expired.
func (db *DB) Invitations(ctx context.Context, org uuid.UUID) ([]AccountLink, error) {
	return collect[AccountLink](ctx, db.pool, "listing invitations", `
		SELECT `+linkColumns+` FROM account_links WHERE org_id = $1 AND kind = 'invitation'
		ORDER BY created_at DESC, id DESC LIMIT 1000`, org)
}

// RevokeInvitation ends an invitation. Revoking it again changes nothing.
func (db *DB) RevokeInvitation(ctx context.Context, by access.Principal, id uuid.UUID) (AccountLink, error) {
	var link AccountLink
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		link, err = collectOne[AccountLink](ctx, tx, "revoking invitation "+id.String(), `
			UPDATE account_links SET revoked_at = coalesce(revoked_at, now())
			WHERE org_id = $1 AND id = $2 AND kind = 'invitation' RETURNING `+linkColumns, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "invitation.revoke", link.Email, nil)
	})
	return link, err
}

// linkIsOpen is what makes a link good: the kind, the hash of its secret and the
// time are given.
const linkIsOpen = `kind = $1 AND hash = $2 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $3`

// OpenLink finds the link of a secret, and the name of its organisation.
// ErrNotFound covers unknown, used, revoked and expired ones alike.
func (db *DB) OpenLink(ctx context.Context, kind LinkKind, secret string, now time.Time) (AccountLink, string, error) {
	row, err := collectOne[struct {
		AccountLink
		Org string
	}](ctx, db.pool, "opening a link", `
		SELECT `+linkColumns+`, (SELECT o.name FROM orgs o WHERE o.id = org_id) AS org FROM account_links WHERE `+linkIsOpen,
		kind, hashSecret(secret), now)
	return row.AccountLink, row.Org, err
}

// TakenLink is what somebody who follows a link says.
type TakenLink struct {
	// Email is taken of setup links alone: others are somebody's already.
	Email, Name string
	// Hash is of the password that they chose.
	Hash string
	Now  time.Time
	// RequestID ties what is done to the request that asked for it.
	RequestID string
}

// TakeLink uses a link: it makes or enables its person, stores the password and
// ends the person's sessions. Of two at once one gets ErrNotFound.
func (db *DB) TakeLink(ctx context.Context, kind LinkKind, secret string, in TakenLink) (Credentials, error) {
	var made Credentials
	err := db.InTx(ctx, func(tx *Tx) error {
		link, err := collectOne[struct {
			OrgID uuid.UUID
			AccountLink
		}](ctx, tx, "using a link", `
			UPDATE account_links SET used_at = $3::timestamptz WHERE `+linkIsOpen+` RETURNING org_id, `+linkColumns,
			kind, hashSecret(secret), in.Now)
		if err != nil {
			return err
		}
		person := NewUser{Email: link.Email, Name: cmp.Or(strings.TrimSpace(in.Name), link.Name), Role: link.Role}
		if kind == LinkSetup {
			person.Email = in.Email
		}
		user, err := tx.linkedUser(ctx, link.OrgID, kind, person)
		if err != nil {
			return err
		}
		made = Credentials{OrgID: link.OrgID, User: user, Hash: in.Hash}
		if err := tx.setPassword(ctx, link.OrgID, user.ID, in.Hash); err != nil {
			return err
		}
		if err := tx.endSessions(ctx, user.ID, uuid.Nil); err != nil {
			return err
		}
		by := access.Principal{Org: link.OrgID, Name: "user:" + user.Email, User: user.Email, RequestID: in.RequestID}
		return tx.Audit(ctx, by, string(kind)+".accept", user.Email, map[string]any{"role": user.Role})
	})
	return made, err
}

// linkedUser is the person of a link: for a new password the one that is there,
// else made, enabled or given the link's role.
func (tx *Tx) linkedUser(ctx context.Context, org uuid.UUID, kind LinkKind, in NewUser) (User, error) {
	if kind == LinkPassword {
		return activeUser(ctx, tx, org, in.Email)
	}
	if err := in.tidy(); err != nil {
		return User{}, err
	}
	return collectOne[User](ctx, tx, "adding user "+in.Email, `
		INSERT INTO users AS u (id, org_id, email, name, role) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (org_id, email) DO UPDATE
		SET name = coalesce(nullif(excluded.name, ''), u.name), role = excluded.role, disabled_at = NULL
		RETURNING `+userColumns, newID(), org, in.Email, in.Name, in.Role)
}
