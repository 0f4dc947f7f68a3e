package store

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Repo is a registered repository.
type Repo struct {
	ID    uuid.UUID
	OrgID uuid.UUID
	Name  string
	// RemoteURL is nil for a repository that is known only through the API. It
	// never holds a password.
	RemoteURL      *string
	NotesRefs      []string
	FetchHeads     bool
	DefaultBranch  string
	ObjectFormat   string
	CreatedAt      time.Time
	RemovedAt      *time.Time
	FetchStartedAt *time.Time
	FetchedAt      *time.Time
	FetchFailures  int
	FetchError     string
	ActiveAt       time.Time
	Gateway        Gateway
	// ForwardNotes sends merged notes to the remote of a forwarding repository.
	ForwardNotes bool
	// Mode says what becomes of pushes that nobody could judge: ModeAdvisory or
	// ModeEnforcing.
	Mode string
	// ReceiptMode says when receipts are wanted: ReceiptsDeferred, ReceiptsWait or
	// ReceiptsSamePush. GraceSeconds is how long deferred ones may come after their
	// push.
	ReceiptMode  string
	GraceSeconds int
	// NotesProtection says what becomes of pushes that harm the notes refs.
	NotesProtection NotesProtection
	// ExcludedPaths are globs of paths whose lines do not count, as
	// lines.NewExcluder reads them.
	ExcludedPaths []string
	// Reattach says whether notes of commits that were left behind may speak of
	// others.
	Reattach bool
	// ConnectionID is the connection that the repository belongs to, ForgePath its
	// "owner/name" there.
	ConnectionID *uuid.UUID
	ForgePath    string
	// HookedAt is when the repository got a webhook of its own.
	HookedAt *time.Time
}

// Gateway says whether the SSH gateway serves a repository.
type Gateway string

// A hosted repository is kept by the gateway itself; a forwarding one sends
// every push on to its remote before it is accepted.
const (
	GatewayOff        Gateway = "off"
	GatewayHosted     Gateway = "hosted"
	GatewayForwarding Gateway = "forwarding"
)

func (g Gateway) known() bool {
	return g == GatewayOff || g == GatewayHosted || g == GatewayForwarding
}

// Fetched reports whether there is something to fetch the repository from: a
// remote, or the gateway's own copy.
func (r *Repo) Fetched() bool {
	return r.RemovedAt == nil && (r.RemoteURL != nil || r.Gateway != GatewayOff)
}

// fetched is Repo.Fetched in SQL.
const fetched = `removed_at IS NULL AND (remote_url IS NOT NULL OR gateway <> 'off')`

// NewRepo says what to register.
type NewRepo struct {
	Name string
	// RemoteURL must have passed mirror.Rules.Check; empty registers a
	// repository that only the API feeds.
	RemoteURL string
	// URLKey is the normalised URL that webhooks are matched with.
	URLKey string
	// User and Secret are the credential of the remote, if it needs one.
	User, Secret string
	// NotesRefs is nil for the default refs.
	NotesRefs []string
	// NotesOnly leaves the branches unmirrored.
	NotesOnly bool
	// Gateway is empty for GatewayOff. A hosted repository has no remote, a
	// forwarding one needs it.
	Gateway Gateway
}

const repoColumns = `id, org_id, name, remote_url, notes_refs, fetch_heads, default_branch, object_format,
	created_at, removed_at, fetch_started_at, fetched_at, fetch_failures, fetch_error, active_at, gateway, forward_notes,
	mode, receipt_mode, grace_seconds, notes_protection, excluded_paths, reattach, connection_id, forge_path, hooked_at`

// CreateRepo registers a repository. One that was removed, or that so far only
// the API fed, is taken up again under its old id with all that it holds.
func (db *DB) CreateRepo(ctx context.Context, by access.Principal, in NewRepo) (Repo, error) {
	var repo Repo
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		repo, err = tx.createRepo(ctx, by, in)
		return err
	})
	return repo, err
}

func (tx *Tx) createRepo(ctx context.Context, by access.Principal, in NewRepo) (Repo, error) {
	if err := errors.Join(checkRepoName(in.Name), in.checkGateway()); err != nil {
		return Repo{}, err
	}
	repo, err := collectOne[Repo](ctx, tx, "registering repository "+in.Name, `
		INSERT INTO repos AS r (id, org_id, name, remote_url, url_key, notes_refs, fetch_heads, gateway)
		VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''),
		        coalesce($6, ARRAY['refs/notes/blameprompt', 'refs/notes/ai']), $7, $8)
		ON CONFLICT (org_id, name) DO UPDATE
		SET remote_url = excluded.remote_url, url_key = excluded.url_key, notes_refs = excluded.notes_refs,
		    fetch_heads = excluded.fetch_heads, gateway = excluded.gateway, removed_at = NULL, fetch_failures = 0,
		    fetch_error = '', active_at = now(), connection_id = NULL, forge_path = '', hooked_at = NULL
		WHERE r.removed_at IS NOT NULL OR (r.remote_url IS NULL AND r.gateway = 'off'
		      AND (excluded.remote_url IS NOT NULL OR excluded.gateway <> 'off'))
		RETURNING `+repoColumns,
		newID(), by.Org, in.Name, in.RemoteURL, in.URLKey, in.NotesRefs, !in.NotesOnly, in.Gateway)
	if errors.Is(err, ErrNotFound) {
		return Repo{}, ErrConflict
	}
	if err != nil {
		return Repo{}, err
	}
	if err := tx.setCredential(ctx, repo.ID, in.User, in.Secret); err != nil {
		return Repo{}, err
	}
	if err := tx.forgetMailmap(ctx, by.Org, repo.ID); err != nil {
		return Repo{}, err
	}
	return repo, tx.Audit(ctx, by, "repo.add", in.Name,
		map[string]any{"url": in.RemoteURL, "notes_refs": repo.NotesRefs, "gateway": repo.Gateway})
}

func (in *NewRepo) checkGateway() error {
	if in.Gateway == "" {
		in.Gateway = GatewayOff
	}
	switch {
	case !in.Gateway.known():
		return &InvalidError{"gateway", "use off, hosted or forwarding"}
	case in.Gateway == GatewayHosted && in.RemoteURL != "":
		return &InvalidError{"gateway", "a hosted repository is kept here: leave its URL out, or give forwarding"}
	case in.Gateway == GatewayForwarding && in.RemoteURL == "":
		return &InvalidError{"gateway", "a forwarding repository needs the URL of its remote"}
	}
	return nil
}

func checkRepoName(name string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || !unicode.IsPrint(r) }
	switch {
	case name == "" || len(name) > 200:
		return &InvalidError{"name", "give 1 to 200 characters"}
	case strings.IndexFunc(name, bad) >= 0 || strings.TrimSpace(name) != name:
		return &InvalidError{"name", "use printable characters without spaces at the ends"}
	}
	return nil
}

func (tx *Tx) setCredential(ctx context.Context, repo uuid.UUID, user, secret string) error {
	if user == "" && secret == "" {
		_, err := tx.Exec(ctx, `UPDATE repos SET credential = NULL WHERE id = $1 AND credential IS NOT NULL`, repo)
		return translate(err, "clearing a credential")
	}
	sealed, err := tx.sealer.Seal([]byte(user+"\x00"+secret), "repo:"+repo.String())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE repos SET credential = $2 WHERE id = $1`, repo, sealed)
	return translate(err, "storing a credential")
}

// Credential opens the credential of a repository: its own, else for remotes
// over https that of its connection. Both parts are empty when there is none.
func (db *DB) Credential(ctx context.Context, org, repo uuid.UUID) (user, secret string, err error) {
	row, err := collectOne[struct {
		Credential   []byte
		ConnectionID *uuid.UUID
		Sealed       []byte
	}](ctx, db.pool, "reading a credential", `
		SELECT r.credential, c.id AS connection_id, c.sealed
		FROM repos r LEFT JOIN forge_connections c
			ON c.id = r.connection_id AND c.revoked_at IS NULL AND r.remote_url LIKE 'http%'
		WHERE r.org_id = $1 AND r.id = $2`, org, repo)
	if err != nil || row.Credential == nil && row.ConnectionID == nil {
		return "", "", err
	}
	if row.Credential == nil {
		user, secret, _, err = db.openConnection(row.Sealed, org, *row.ConnectionID)
		return user, secret, err
	}
	plain, err := db.sealer.Open(row.Credential, "repo:"+repo.String())
	if err != nil {
		return "", "", err
	}
	user, secret, _ = strings.Cut(string(plain), "\x00")
	return user, secret, nil
}

// EnsureRepo finds a repository by name, registering it as API-only when it is
// unknown. A removed one stays removed and is returned as it is.
func (tx *Tx) EnsureRepo(ctx context.Context, by access.Principal, name string) (Repo, error) {
	if err := checkRepoName(name); err != nil {
		return Repo{}, err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO repos (id, org_id, name) VALUES ($1, $2, $3) ON CONFLICT (org_id, name) DO NOTHING`, newID(), by.Org, name)
	if err != nil {
		return Repo{}, translate(err, "registering repository %s", name)
	}
	if tag.RowsAffected() > 0 {
		if err := tx.Audit(ctx, by, "repo.add", name, map[string]any{"api_only": true}); err != nil {
			return Repo{}, err
		}
	}
	return collectOne[Repo](ctx, tx, "finding repository "+name,
		`SELECT `+repoColumns+` FROM repos WHERE org_id = $1 AND name = $2`, by.Org, name)
}

// Repo finds a repository of the organisation by id or by name, removed ones
// included.
func (db *DB) Repo(ctx context.Context, org uuid.UUID, nameOrID string) (Repo, error) {
	id, _ := uuid.Parse(nameOrID)
	return collectOne[Repo](ctx, db.pool, "finding repository "+nameOrID, `
		SELECT `+repoColumns+` FROM repos WHERE org_id = $1 AND (id = $2 OR name = $3)
		ORDER BY id = $2 DESC LIMIT 1`, org, id, nameOrID)
}

// Repos lists the repositories of an organisation by name, without removed ones.
func (db *DB) Repos(ctx context.Context, org uuid.UUID) ([]Repo, error) {
	return collect[Repo](ctx, db.pool, "listing repositories",
		`SELECT `+repoColumns+` FROM repos WHERE org_id = $1 AND removed_at IS NULL ORDER BY name`, org)
}

// RemoveRepo stops fetching a repository. Its receipts and numbers stay: they
// were true, and adding it again takes them up.
func (db *DB) RemoveRepo(ctx context.Context, by access.Principal, id uuid.UUID) error {
	return db.inIdentities(ctx, by.Org, func(tx *Tx) error {
		repo, err := collectOne[Repo](ctx, tx, "removing repository "+id.String(), `
			UPDATE repos SET removed_at = now(), credential = NULL
			WHERE org_id = $1 AND id = $2 AND removed_at IS NULL RETURNING `+repoColumns, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "repo.remove", repo.Name, nil)
	})
}

// ReposByURLKey finds the repositories whose remote has one of the normalised
// addresses, by name.
func (db *DB) ReposByURLKey(ctx context.Context, org uuid.UUID, keys []string) ([]Repo, error) {
	return collect[Repo](ctx, db.pool, "finding repositories by URL", `
		SELECT `+repoColumns+` FROM repos WHERE org_id = $1 AND url_key = ANY($2) AND removed_at IS NULL ORDER BY name`, org, keys)
}

// FetchStarted notes that a fetch of the repository begins now, and returns
// that moment by the database's clock: every demand made before is satisfied
// by this fetch. ErrNotFound if it was removed.
func (db *DB) FetchStarted(ctx context.Context, org, repo uuid.UUID) (Repo, error) {
	return collectOne[Repo](ctx, db.pool, "noting the start of a fetch", `
		UPDATE repos SET fetch_started_at = clock_timestamp()
		WHERE org_id = $1 AND id = $2 AND `+fetched+` RETURNING `+repoColumns, org, repo)
}

// Fetched is the outcome of a fetch.
type Fetched struct {
	DefaultBranch string
	ObjectFormat  string
	// Changed says that the fetch brought something new.
	Changed bool
	// Problem is empty after a success, else a text for administrators
	// without credentials.
	Problem string
}

// FetchEnded records the outcome of a fetch.
func (db *DB) FetchEnded(ctx context.Context, org, repo uuid.UUID, out Fetched) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE repos SET
			default_branch = CASE WHEN $3 = '' THEN default_branch ELSE $3 END,
			object_format = CASE WHEN $4 = '' THEN object_format ELSE $4 END,
			active_at = CASE WHEN $5 THEN now() ELSE active_at END,
			fetched_at = CASE WHEN $6 = '' THEN now() ELSE fetched_at END,
			fetch_failures = CASE WHEN $6 = '' THEN 0 ELSE fetch_failures + 1 END,
			fetch_error = $6
		WHERE org_id = $1 AND id = $2`, org, repo, out.DefaultBranch, out.ObjectFormat, out.Changed, out.Problem)
	return translate(err, "recording a fetch")
}

// ReposDue lists, over all organisations, the repositories whose last fetch is
// older than their interval: active ones (something new within idleAfter)
// every active, others every idle, failing ones with doubled waits up to idle.
func (db *DB) ReposDue(ctx context.Context, active, idle, idleAfter time.Duration) ([]Repo, error) {
	return collect[Repo](ctx, db.pool, "finding repositories to sweep", `
		SELECT `+repoColumns+` FROM repos
		WHERE `+fetched+`
		  AND coalesce(fetch_started_at, '-infinity') < now() - CASE
			WHEN fetch_failures > 0 THEN least($2::interval, $1::interval * power(2, least(fetch_failures, 20)))
			WHEN active_at > now() - $3::interval THEN $1::interval
			ELSE $2::interval END`, active, idle, idleAfter)
}
