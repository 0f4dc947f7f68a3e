package store

import (
	"context"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Org is an organisation: the boundary that no key sees across.
type Org struct {
	ID                 uuid.UUID
	Name               string
	TimeZone           string
	StoreConversations bool
	CreatedAt          time.Time
}

var orgName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

const orgColumns = `id, name, time_zone, store_conversations, created_at`

// CreateOrg adds an organisation. timeZone is an IANA name; empty means UTC.
func (db *DB) CreateOrg(ctx context.Context, name, timeZone string) (Org, error) {
	var org Org
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		org, err = tx.createOrg(ctx, name, timeZone)
		return err
	})
	return org, err
}

func (tx *Tx) createOrg(ctx context.Context, name, timeZone string) (Org, error) {
	if !orgName.MatchString(name) {
		return Org{}, &InvalidError{"name", "use 1 to 63 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit"}
	}
	if timeZone == "" {
		timeZone = "UTC"
	}
	if err := checkTimeZone(timeZone); err != nil {
		return Org{}, err
	}
	org, err := collectOne[Org](ctx, tx, "creating organisation "+name, `
		INSERT INTO orgs (id, name, time_zone) VALUES ($1, $2, $3) RETURNING `+orgColumns,
		newID(), name, timeZone)
	if err != nil {
		return Org{}, err
	}
	return org, tx.Audit(ctx, access.CLI(org.ID), "org.create", name, map[string]any{"time_zone": timeZone})
}

func checkTimeZone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return &InvalidError{"time_zone", "use an IANA name such as Europe/Athens or UTC"}
	}
	return nil
}

// OrgByName finds an organisation.
func (db *DB) OrgByName(ctx context.Context, name string) (Org, error) {
	return collectOne[Org](ctx, db.pool, "finding organisation "+name,
		`SELECT `+orgColumns+` FROM orgs WHERE name = $1`, name)
}

// OrgByID finds an organisation.
func (db *DB) OrgByID(ctx context.Context, id uuid.UUID) (Org, error) {
	return collectOne[Org](ctx, db.pool, "finding organisation "+id.String(),
		`SELECT `+orgColumns+` FROM orgs WHERE id = $1`, id)
}

// Orgs lists all organisations by name. It is for the daemon and its command
// line alone: no API key reaches it.
func (db *DB) Orgs(ctx context.Context) ([]Org, error) {
	return collect[Org](ctx, db.pool, "listing organisations", `SELECT `+orgColumns+` FROM orgs ORDER BY name`)
}

// UpdateOrg changes the settings of the principal's organisation; nil keeps.
func (db *DB) UpdateOrg(ctx context.Context, by access.Principal, storeConversations *bool) (Org, error) {
	var org Org
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		org, err = collectOne[Org](ctx, tx, "changing the organisation", `
			UPDATE orgs SET store_conversations = coalesce($2, store_conversations)
			WHERE id = $1 RETURNING `+orgColumns, by.Org, storeConversations)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "org.update", org.Name, map[string]any{"store_conversations": org.StoreConversations})
	})
	return org, err
}

// Bootstrap creates the organisation "default" and its first admin key when
// the database holds no organisation. The key is returned once, at that moment;
// later and for a second starter it is empty.
func (db *DB) Bootstrap(ctx context.Context) (secret string, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		// Two daemons may start on one new database: the second waits and finds the first's row.
		if _, err := tx.Exec(ctx, `LOCK TABLE orgs IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return translate(err, "locking the organisations")
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM orgs`).Scan(&n); err != nil || n > 0 {
			return translate(err, "counting the organisations")
		}
		org, err := tx.createOrg(ctx, "default", "")
		if err != nil {
			return err
		}
		_, secret, err = tx.createKey(ctx, access.Daemon(org.ID), NewKey{Name: "first admin", Scopes: []access.Scope{access.Admin}})
		return err
	})
	return secret, err
}

// newID makes a UUIDv7 (RFC 9562): ordered by time, so that inserts stay at
// the right end of an index.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
