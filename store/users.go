package store

import (
	"cmp"
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
	// Role is what the user may do; see access.Role.
	Role access.Role
	// Logins are the names of the user's accounts at forges, in lower case.
	Logins     []string
	CreatedAt  time.Time
	DisabledAt *time.Time
	// HasPassword says that the user can sign in.
	HasPassword bool
}

// NewUser says whom to add.
type NewUser struct {
	Email, Name string
	// Role is a member's if empty.
	Role   access.Role
	Logins []string
}

const (
	userColumns = `id, email, name, role, logins, created_at, disabled_at,
		EXISTS (SELECT FROM passwords WHERE user_id = id) AS has_password`
	maxLogins = 50
)

// CreateUser adds a person. One who was disabled is enabled again, with the
// new name, role and logins; ErrConflict if the address is taken by another.
func (db *DB) CreateUser(ctx context.Context, by access.Principal, in NewUser) (User, error) {
	if err := in.tidy(); err != nil {
		return User{}, err
	}
	var user User
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		user, err = collectOne[User](ctx, tx, "adding user "+in.Email, `
			INSERT INTO users AS u (id, org_id, email, name, role, logins) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (org_id, email) DO UPDATE
			SET name = excluded.name, role = excluded.role, logins = excluded.logins, disabled_at = NULL
			WHERE u.disabled_at IS NOT NULL
			RETURNING `+userColumns, newID(), by.Org, in.Email, in.Name, in.Role, in.Logins)
		if errors.Is(err, ErrNotFound) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "user.create", user.Email,
			map[string]any{"name": user.Name, "role": user.Role, "logins": user.Logins})
	})
	return user, err
}

// tidy brings the fields into the form in which they are stored.
func (in *NewUser) tidy() error {
	in.Name, in.Role = strings.TrimSpace(in.Name), cmp.Or(in.Role, access.RoleMember)
	var err error
	if in.Email, err = tidyEmail(in.Email); err != nil {
		return err
	}
	if err := checkPerson(in.Name, in.Role); err != nil {
		return err
	}
	in.Logins, err = tidyLogins(in.Logins)
	return err
}

// tidyEmail brings an address into the form in which it is stored.
func tidyEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if address, err := mail.ParseAddress(email); err != nil || address.Address != email || !plainText(email, 254) {
		return "", &InvalidError{"email", "give an address such as ada@example.com"}
	}
	return email, nil
}

func checkPerson(name string, role access.Role) error {
	if !plainText(name, 200) {
		return &InvalidError{"name", "use at most 200 printable characters"}
	}
	if !slices.Contains(access.Roles, role) {
		return &InvalidError{"role", "give admin, member or viewer"}
	}
	return nil
}

func tidyLogins(names []string) ([]string, error) {
	logins := make([]string, 0, len(names))
	for _, login := range names {
		login = strings.ToLower(strings.TrimSpace(login))
		if login == "" || !plainText(login, 200) {
			return nil, &InvalidError{"logins", "give names of 1 to 200 printable characters"}
		}
		logins = append(logins, login)
	}
	slices.Sort(logins)
	if logins = slices.Compact(logins); len(logins) > maxLogins {
		return nil, &InvalidError{"logins", "give at most 50"}
	}
	return logins, nil
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

// UserChange is what to change of a user; nil keeps.
type UserChange struct {
	Name   *string
	Role   *access.Role
	Logins *[]string
}

// ErrLastAdmin: the act would leave an organisation without an enabled admin.
var ErrLastAdmin = errors.New("the last admin stays one")

// UpdateUser changes a person. Keys and sessions follow a new role at once.
func (db *DB) UpdateUser(ctx context.Context, by access.Principal, id uuid.UUID, change UserChange) (User, error) {
	var user User
	err := db.InTx(ctx, func(tx *Tx) error {
		before, err := tx.lockUser(ctx, by.Org, id)
		if err != nil {
			return err
		}
		if user, err = before.changed(change); err != nil {
			return err
		}
		if before.Role == access.RoleAdmin && user.Role != access.RoleAdmin {
			if err := tx.anotherAdmin(ctx, by.Org, id); err != nil {
				return err
			}
		}
		user, err = collectOne[User](ctx, tx, "changing user "+id.String(), `
			UPDATE users SET name = $3, role = $4, logins = $5 WHERE org_id = $1 AND id = $2 RETURNING `+userColumns,
			by.Org, id, user.Name, user.Role, user.Logins)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "user.update", user.Email,
			map[string]any{"name": user.Name, "role": user.Role, "old_role": before.Role, "logins": user.Logins})
	})
	return user, err
}

// changed is a user after a change, in the form in which it is stored.
func (u User) changed(change UserChange) (User, error) {
	if change.Name != nil {
		u.Name = strings.TrimSpace(*change.Name)
	}
	if change.Role != nil {
		u.Role = *change.Role
	}
	var err error
	if change.Logins != nil {
		u.Logins, err = tidyLogins(*change.Logins)
	}
	if err != nil {
		return u, err
	}
	return u, checkPerson(u.Name, u.Role)
}

// lockUser finds a user and keeps others from changing it. The organisation's
// row is locked first, so that two admins cannot each take the other for the
// one who stays.
func (tx *Tx) lockUser(ctx context.Context, org, id uuid.UUID) (User, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM orgs WHERE id = $1 FOR NO KEY UPDATE`, org); err != nil {
		return User{}, translate(err, "locking the people of an organisation")
	}
	return collectOne[User](ctx, tx, "finding user "+id.String(),
		`SELECT `+userColumns+` FROM users WHERE org_id = $1 AND id = $2`, org, id)
}

// anotherAdmin makes sure that somebody else is an admin.
func (tx *Tx) anotherAdmin(ctx context.Context, org, but uuid.UUID) error {
	var found bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM users WHERE org_id = $1 AND id <> $2 AND role = 'admin' AND disabled_at IS NULL)`,
		org, but).Scan(&found)
	if err == nil && !found {
		return ErrLastAdmin
	}
	return translate(err, "looking for another admin")
}

// DisableUser takes a person's access away at once: sessions and links end,
// keys of all kinds end to work, and work again when the person is added again.
// Disabling again changes nothing. The last admin cannot be disabled.
func (db *DB) DisableUser(ctx context.Context, by access.Principal, id uuid.UUID) (User, error) {
	var user User
	err := db.InTx(ctx, func(tx *Tx) error {
		before, err := tx.lockUser(ctx, by.Org, id)
		if err != nil {
			return err
		}
		if before.Role == access.RoleAdmin && before.DisabledAt == nil {
			if err := tx.anotherAdmin(ctx, by.Org, id); err != nil {
				return err
			}
		}
		user, err = collectOne[User](ctx, tx, "disabling user "+id.String(), `
			UPDATE users SET disabled_at = coalesce(disabled_at, now())
			WHERE org_id = $1 AND id = $2 RETURNING `+userColumns, by.Org, id)
		if err != nil {
			return err
		}
		if err := tx.endSessions(ctx, user.ID, uuid.Nil); err != nil {
			return err
		}
		if err := tx.endLinks(ctx, by.Org, user.Email); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "user.disable", user.Email, nil)
	})
	return user, err
}
