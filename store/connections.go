package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Connection is the record of an organisation's account at a forge, without the
// token.
type Connection struct {
	ID    uuid.UUID
	OrgID uuid.UUID
	Forge string
	// APIURL is the address of the forge's API, Owner the organisation, group,
	// workspace or project there.
	APIURL string
	Owner  string
	Selection
	CreatedBy string
	CreatedAt time.Time
	RevokedAt *time.Time
	// CheckedAt is the last look at the forge, Problem what was wrong then.
	CheckedAt *time.Time
	Problem   string
}

// Selection says which repositories of a connection are registered, and how.
type Selection struct {
	// Include and Exclude are globs over the paths of repositories: any of
	// Include, or none given, and none of Exclude.
	Include []string
	Exclude []string
	// Archived registers archived repositories too, Forks also forks.
	Archived bool
	Forks    bool
	// SSH has them fetched over ssh instead of https.
	SSH bool
	// Webhooks are set up at the forge.
	Webhooks bool
}

// NewConnection says what to connect to.
type NewConnection struct {
	Forge  string
	APIURL string
	Owner  string
	Selection
	// Token is for the API, User and Password are what git fetches with over https.
	Token          string
	User, Password string
}

const connectionColumns = `id, org_id, forge, api_url, owner, include, exclude, archived, forks, ssh, webhooks,
	created_by, created_at, revoked_at, checked_at, problem`

// SaveConnection stores a connection with its token sealed. One with the same
// forge, address and owner is changed, token included, and is due for a look, and
// what the forge refused to be told is tried again; created tells which.
func (db *DB) SaveConnection(ctx context.Context, by access.Principal, in NewConnection) (row Connection, created bool, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		found, err := collectOne[struct{ ID uuid.UUID }](ctx, tx, "finding the connection to "+in.Owner, `
			SELECT id FROM forge_connections
			WHERE org_id = $1 AND forge = $2 AND api_url = $3 AND owner = $4 AND revoked_at IS NULL FOR UPDATE`,
			by.Org, in.Forge, in.APIURL, in.Owner)
		switch {
		case errors.Is(err, ErrNotFound):
			created, found.ID = true, newID()
		case err != nil:
			return err
		}
		if row, err = tx.saveConnection(ctx, by, found.ID, in); err != nil {
			return err
		}
		if err := tx.retryStatuses(ctx, row); err != nil {
			return err
		}
		return tx.auditConnection(ctx, by, row, created)
	})
	return row, created, err
}

func (tx *Tx) saveConnection(ctx context.Context, by access.Principal, id uuid.UUID, in NewConnection) (Connection, error) {
	sealed, err := tx.sealer.Seal([]byte(in.User+"\x00"+in.Password+"\x00"+in.Token), connectionPurpose(by.Org, id))
	if err != nil {
		return Connection{}, err
	}
	return collectOne[Connection](ctx, tx, "storing the connection to "+in.Owner, `
		INSERT INTO forge_connections (id, org_id, forge, api_url, owner, sealed, include, exclude, archived, forks, ssh,
			webhooks, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, coalesce($7::text[], '{}'), coalesce($8::text[], '{}'), $9, $10, $11, $12, $13)
		ON CONFLICT (id) DO UPDATE
		SET sealed = excluded.sealed, include = excluded.include, exclude = excluded.exclude,
		    archived = excluded.archived, forks = excluded.forks, ssh = excluded.ssh, webhooks = excluded.webhooks,
		    checked_at = NULL, problem = ''
		RETURNING `+connectionColumns,
		id, by.Org, in.Forge, in.APIURL, in.Owner, sealed, in.Include, in.Exclude, in.Archived, in.Forks, in.SSH,
		in.Webhooks, by.Name)
}

func (tx *Tx) auditConnection(ctx context.Context, by access.Principal, row Connection, created bool) error {
	act := "connection.update"
	if created {
		act = "connection.create"
	}
	return tx.Audit(ctx, by, act, row.ID.String(), map[string]any{"forge": row.Forge, "api_url": row.APIURL,
		"owner": row.Owner, "include": row.Include, "exclude": row.Exclude, "archived": row.Archived, "forks": row.Forks,
		"ssh": row.SSH, "webhooks": row.Webhooks})
}

func connectionPurpose(org, id uuid.UUID) string {
	return "connection:" + org.String() + ":" + id.String()
}

// Connections lists the connections of an organisation by forge and owner,
// without revoked ones.
func (db *DB) Connections(ctx context.Context, org uuid.UUID) ([]Connection, error) {
	return collect[Connection](ctx, db.pool, "listing connections", `
		SELECT `+connectionColumns+` FROM forge_connections WHERE org_id = $1 AND revoked_at IS NULL
		ORDER BY forge, api_url, owner`, org)
}

// Connection finds a connection that is not revoked.
func (db *DB) Connection(ctx context.Context, org, id uuid.UUID) (Connection, error) {
	return collectOne[Connection](ctx, db.pool, "finding connection "+id.String(), `
		SELECT `+connectionColumns+` FROM forge_connections WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL`, org, id)
}

// ConnectionsDue lists, over all organisations, the connections that were not
// looked at for the pause, those that waited longest first.
func (db *DB) ConnectionsDue(ctx context.Context, pause time.Duration) ([]Connection, error) {
	return collect[Connection](ctx, db.pool, "finding connections to look at", `
		SELECT `+connectionColumns+` FROM forge_connections
		WHERE revoked_at IS NULL AND coalesce(checked_at, '-infinity') <= now() - $1::interval
		ORDER BY checked_at NULLS FIRST, id`, pause)
}

// ConnectionToken opens the token of a connection.
func (db *DB) ConnectionToken(ctx context.Context, org, id uuid.UUID) (token string, err error) {
	row, err := collectOne[struct{ Sealed []byte }](ctx, db.pool, "reading the token of connection "+id.String(), `
		SELECT sealed FROM forge_connections WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL`, org, id)
	if err != nil {
		return "", err
	}
	_, _, token, err = db.openConnection(row.Sealed, org, id)
	return token, err
}

// openConnection opens what SaveConnection sealed.
func (db *DB) openConnection(sealed []byte, org, id uuid.UUID) (user, password, token string, err error) {
	plain, err := db.sealer.Open(sealed, connectionPurpose(org, id))
	if err != nil {
		return "", "", "", err
	}
	user, rest, _ := strings.Cut(string(plain), "\x00")
	password, token, _ = strings.Cut(rest, "\x00")
	return user, password, token, nil
}

// ConnectionChecked records a look at the forge; problem is empty after a good
// one, else a text for administrators without secrets.
func (db *DB) ConnectionChecked(ctx context.Context, org, id uuid.UUID, problem string) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE forge_connections SET checked_at = now(), problem = $3 WHERE org_id = $1 AND id = $2`, org, id, problem)
	return translate(err, "recording a look at connection %s", id)
}

// ConnectionRepos counts the registered repositories of each connection of an
// organisation.
func (db *DB) ConnectionRepos(ctx context.Context, org uuid.UUID) (map[uuid.UUID]int, error) {
	rows, err := collect[struct {
		ID uuid.UUID
		N  int
	}](ctx, db.pool, "counting the repositories of connections", `
		SELECT connection_id AS id, count(*) AS n FROM repos
		WHERE org_id = $1 AND connection_id IS NOT NULL AND removed_at IS NULL GROUP BY 1`, org)
	counts := make(map[uuid.UUID]int, len(rows))
	for _, row := range rows {
		counts[row.ID] = row.N
	}
	return counts, err
}

// Disconnect ends a connection and forgets its token. Its repositories stay
// registered unless remove is set; without a credential of their own, private
// ones can be fetched no more. It returns how many they are.
func (db *DB) Disconnect(ctx context.Context, by access.Principal, id uuid.UUID, remove bool) (repos int, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		row, err := collectOne[Connection](ctx, tx, "ending connection "+id.String(), `
			UPDATE forge_connections SET revoked_at = now(), sealed = '' WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL
			RETURNING `+connectionColumns, by.Org, id)
		if err != nil {
			return err
		}
		if repos, err = tx.detachRepos(ctx, by.Org, id, remove); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "connection.revoke", id.String(), map[string]any{"forge": row.Forge, "api_url": row.APIURL,
			"owner": row.Owner, "repos": repos, "removed": remove})
	})
	return repos, err
}

// detachRepos forgets which connection repositories belong to, and gives up
// what its forge was still to be told about them.
func (tx *Tx) detachRepos(ctx context.Context, org, connection uuid.UUID, remove bool) (live int, err error) {
	_, err = tx.Exec(ctx, `
		UPDATE commit_statuses SET next_at = 'infinity'
		WHERE (posted <> state OR posted_description <> description) AND org_id = $1
		  AND repo_id IN (SELECT id FROM repos WHERE connection_id = $2)`, org, connection)
	if err != nil {
		return 0, translate(err, "giving up the statuses of connection %s", connection)
	}
	row, err := collectOne[struct{ Live int }](ctx, tx, "detaching the repositories of connection "+connection.String(), `
		WITH mine AS (SELECT id, removed_at FROM repos WHERE org_id = $1 AND connection_id = $2 FOR UPDATE),
		detached AS (
			UPDATE repos r SET connection_id = NULL, hooked_at = NULL,
				removed_at = CASE WHEN $3 THEN coalesce(r.removed_at, now()) ELSE r.removed_at END
			FROM mine WHERE r.id = mine.id)
		SELECT count(*) FILTER (WHERE removed_at IS NULL) AS live FROM mine`, org, connection, remove)
	return row.Live, err
}
