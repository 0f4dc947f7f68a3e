package store

import (
	"context"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// User is a person of an organisation.
type User struct {
	ID uuid.UUID
	// Email is the user's key, in lower case.
	Email string
	Name  string
	// Logins are the names of the user's accounts at forges, in lower case.
	Logins     []string
	CreatedAt  time.Time
	DisabledAt *time.Time
}

// NewUser says whom to add.
type NewUser struct {
	Email, Name string
	Logins      []string
}

const (
	userColumns = `id, email, name, logins, created_at, disabled_at`
	maxLogins   = 50
)

// CreateUser adds a person. One who was disabled is enabled again, with the
// new name and logins; ErrConflict if the address is taken by another.
func (db *DB) CreateUser(ctx context.Context, by access.Principal, in NewUser) (User, error) {
	if err := in.tidy(); err != nil {
		return User{}, err
	}
	var user User
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		user, err = collectOne[User](ctx, tx, "adding user "+in.Email, `
			INSERT INTO users AS u (id, org_id, email, name, logins) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org_id, email) DO UPDATE
			SET name = excluded.name, logins = excluded.logins, disabled_at = NULL WHERE u.disabled_at IS NOT NULL
			RETURNING `+userColumns, newID(), by.Org, in.Email, in.Name, in.Logins)
		if errors.Is(err, ErrNotFound) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "user.create", user.Email, map[string]any{"name": user.Name, "logins": user.Logins})
	})
	return user, err
}

// tidy brings the fields into the form in which they are stored.
func (in *NewUser) tidy() error {
	in.Email, in.Name = strings.ToLower(strings.TrimSpace(in.Email)), strings.TrimSpace(in.Name)
	if address, err := mail.ParseAddress(in.Email); err != nil || address.Address != in.Email || !plainText(in.Email, 254) {
		return &InvalidError{"email", "give an address such as ada@example.com"}
	}
	if !plainText(in.Name, 200) {
		return &InvalidError{"name", "use at most 200 printable characters"}
	}
	logins := make([]string, 0, len(in.Logins))
	for _, login := range in.Logins {
		login = strings.ToLower(strings.TrimSpace(login))
		if login == "" || !plainText(login, 200) {
			return &InvalidError{"logins", "give names of 1 to 200 printable characters"}
		}
		logins = append(logins, login)
	}
	slices.Sort(logins)
	in.Logins = slices.Compact(logins)
	if len(in.Logins) > maxLogins {
		return &InvalidError{"logins", "give at most 50"}
	}
	return nil
}

// plainText reports whether text has at most limit bytes, all of them visible.
func plainText(text string, limit int) bool {
	return len(text) <= limit && utf8.ValidString(text) &&
		strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// Users lists the people of an organisation by address, disabled ones included.
func (db *DB) Users(ctx context.Context, org uuid.UUID) ([]User, error) {
	return collect[User](ctx, db.pool, "listing users",
		`SELECT `+userColumns+` FROM users WHERE org_id = $1 ORDER BY email`, org)
}

// User finds a person of the organisation by address or id, disabled ones
// included.
func (db *DB) User(ctx context.Context, org uuid.UUID, emailOrID string) (User, error) {
	id, _ := uuid.Parse(emailOrID)
	return collectOne[User](ctx, db.pool, "finding user "+emailOrID,
		`SELECT `+userColumns+` FROM users WHERE org_id = $1 AND (id = $2 OR email = $3)`, org, id, strings.ToLower(emailOrID))
}

// Pusher finds the person behind what a hook knows: by the address, else by
// the account's name at the forge; both may be empty. Disabled people are not
// found, nor is one of several with that account.
func (db *DB) Pusher(ctx context.Context, org uuid.UUID, email, login string) (User, error) {
	found, err := collect[User](ctx, db.pool, "finding a pusher", `
		SELECT `+userColumns+` FROM users
		WHERE org_id = $1 AND disabled_at IS NULL AND (email = $2 AND $2 <> '' OR logins @> ARRAY[$3] AND $3 <> '')
		ORDER BY email = $2 DESC LIMIT 2`, org, strings.ToLower(email), strings.ToLower(login))
	switch {
	case err != nil:
		return User{}, err
	case len(found) == 0, len(found) == 2 && found[0].Email != strings.ToLower(email):
		return User{}, ErrNotFound
	}
	return found[0], nil
}

// DisableUser takes a person's access away at once: keys of all kinds end to
// work, and work again when the person is added again. Disabling again changes
// nothing.
func (db *DB) DisableUser(ctx context.Context, by access.Principal, id uuid.UUID) (User, error) {
	var user User
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		user, err = collectOne[User](ctx, tx, "disabling user "+id.String(), `
			UPDATE users SET disabled_at = coalesce(disabled_at, now())
			WHERE org_id = $1 AND id = $2 RETURNING `+userColumns, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "user.disable", user.Email, nil)
	})
	return user, err
}
