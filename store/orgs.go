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
	ID uuid.UUID
	// Name is for ever: hooks and webhooks know the organisation by it.
	Name string
	// Title is what people read; empty for the name.
	Title              string
	TimeZone           string
	StoreConversations bool
	CreatedAt          time.Time
	// Prompts says what is kept of the text of prompts.
	Prompts Prompts
	// PrivacyRevision rises with every erasure and every change of Prompts.
	PrivacyRevision int64

	// erased are the people of whom nothing may be stored.
	erased erased
}

var orgName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

const orgColumns = `id, name, title, time_zone, store_conversations, created_at, prompts, privacy_revision`

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
	return orgOf(ctx, db.pool, db.sealer, id)
}

// orgOf finds an organisation with what an intake must know of it.
func orgOf(ctx context.Context, q querier, sealer Sealer, id uuid.UUID) (Org, error) {
	org, err := collectOne[Org](ctx, q, "finding organisation "+id.String(), `SELECT `+orgColumns+` FROM orgs WHERE id = $1`, id)
	org.erased.sealer = sealer
	if err == nil && org.PrivacyRevision > 0 {
		org.erased, err = erasedPeople(ctx, q, sealer, id)
	}
	return org, err
}

// Orgs lists all organisations by name. It is for the daemon and its command
// line alone: no API key reaches it.
func (db *DB) Orgs(ctx context.Context) ([]Org, error) {
	return collect[Org](ctx, db.pool, "listing organisations", `SELECT `+orgColumns+` FROM orgs ORDER BY name`)
}

// OrgChange is what to change of an organisation; nil keeps.
type OrgChange struct {
	Title              *string
	TimeZone           *string
	StoreConversations *bool
	Prompts            *Prompts
}

// UpdateOrg changes the settings of the principal's organisation. The
// time zone can be changed until the first receipt, commit or push was counted:
// by its days everything is counted since.
func (db *DB) UpdateOrg(ctx context.Context, by access.Principal, change OrgChange) (Org, error) {
	if change.Title != nil && !plainText(*change.Title, 200) {
		return Org{}, &InvalidError{"title", "use at most 200 printable characters"}
	}
	if change.TimeZone != nil {
		if err := checkTimeZone(*change.TimeZone); err != nil {
			return Org{}, err
		}
	}
	if p := change.Prompts; p != nil && *p != PromptsStored && *p != PromptsHashed && *p != PromptsDropped {
		return Org{}, &InvalidError{"prompts", "use stored, hashed or dropped"}
	}
	if p := change.Prompts; p != nil && *p == PromptsHashed && db.sealer.names == nil {
		return Org{}, ErrNoSealKey
	}
	var org Org
	err := db.InTx(ctx, func(tx *Tx) error {
		// What is being taken in by the old settings is there before the change, and
		// nothing more comes before its end.
		if change.Prompts != nil || change.TimeZone != nil {
			if err := tx.lockOrg(ctx, by.Org); err != nil {
				return err
			}
		}
		before, err := collectOne[Org](ctx, tx, "finding the organisation",
			`SELECT `+orgColumns+` FROM orgs WHERE id = $1 FOR NO KEY UPDATE`, by.Org)
		if err != nil {
			return err
		}
		if change.TimeZone != nil && *change.TimeZone != before.TimeZone {
			if err := tx.nothingCounted(ctx, by.Org); err != nil {
				return err
			}
		}
		org, err = collectOne[Org](ctx, tx, "changing the organisation", `
			UPDATE orgs SET title = coalesce($2, title), time_zone = coalesce($3, time_zone),
				store_conversations = coalesce($4, store_conversations), prompts = coalesce($5, prompts),
				privacy_revision = privacy_revision + ($5 IS NOT NULL AND $5 <> prompts)::int
			WHERE id = $1 RETURNING `+orgColumns, by.Org, change.Title, change.TimeZone, change.StoreConversations, change.Prompts)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "org.update", org.Name, map[string]any{
			"title": org.Title, "time_zone": org.TimeZone, "store_conversations": org.StoreConversations, "prompts": org.Prompts})
	})
	return org, err
}

// nothingCounted makes sure that no row is counted by the days of the time zone.
func (tx *Tx) nothingCounted(ctx context.Context, org uuid.UUID) error {
	var counted bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM receipts WHERE org_id = $1)
		OR EXISTS (SELECT FROM pushed_commits WHERE org_id = $1) OR EXISTS (SELECT FROM pushed_prompts WHERE org_id = $1)
		OR EXISTS (SELECT FROM commit_lines WHERE org_id = $1)`, org).Scan(&counted)
	if err == nil && counted {
		return &InvalidError{"time_zone", "can be set until the first receipt, commit or push was counted by its days"}
	}
	return translate(err, "looking for what was counted")
}

// SoleOrg reports whether there is one organisation only, so that whoever signs
// in need not name it.
func (db *DB) SoleOrg(ctx context.Context) (bool, error) {
	var sole bool
	err := db.pool.QueryRow(ctx, `SELECT count(*) < 2 FROM (SELECT FROM orgs LIMIT 2) o`).Scan(&sole)
	return sole, translate(err, "counting the organisations")
}

// FirstSecrets are what the first start makes, each shown once.
type FirstSecrets struct {
	// Key administers the organisation "default".
	Key string
	// Setup is the secret of the link that makes its first admin.
	Setup string
}

// Bootstrap creates the organisation "default", its first admin key and the link
// of its first admin when the database holds no organisation. The secrets are
// returned once, at that moment; later and for a second starter they are empty.
func (db *DB) Bootstrap(ctx context.Context) (secrets FirstSecrets, err error) {
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
		by := access.Daemon(org.ID)
		_, secrets.Key, err = tx.createKey(ctx, by, NewKey{Name: "first admin", Scopes: []access.Scope{access.Admin}})
		if err != nil {
			return err
		}
		_, secrets.Setup, err = tx.makeLink(ctx, by, LinkSetup, NewUser{Role: access.RoleAdmin}, time.Now())
		return err
	})
	return secrets, err
}

// newID makes a UUIDv7 (RFC 9562): ordered by time, so that inserts stay at
// the right end of an index.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
