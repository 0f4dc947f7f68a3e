package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// ForgeRepo is a repository as a forge lists it.
type ForgeRepo struct {
	// Path is "owner/name" at the forge, and the name under which a repository
	// that is not known yet is registered.
	Path string
	// RemoteURL must have passed mirror.Rules.Check; URLKey is its normalised form.
	RemoteURL string
	URLKey    string
}

// Placement is what became of a repository that a forge lists.
type Placement string

// An added repository is registered now, an attached one was registered and
// belongs to the connection now, a known one belonged to it before. A removed
// one was taken out by somebody and is left alone. A taken one has a name that
// another repository has, or belongs to another connection.
const (
	RepoAdded    Placement = "added"
	RepoAttached Placement = "attached"
	RepoKnown    Placement = "known"
	RepoRemoved  Placement = "removed"
	RepoTaken    Placement = "taken"
)

// PlaceRepo registers a repository of a connection, or attaches the one that
// has the same remote already. Removed ones are taken up again only if revive
// is set. The repository is the zero Repo where it is left alone.
func (tx *Tx) PlaceRepo(ctx context.Context, by access.Principal, c Connection, in ForgeRepo, revive bool) (Repo, Placement, error) {
	at, place, err := tx.findPlace(ctx, c, in)
	if err != nil {
		return Repo{}, "", err
	}
	switch {
	case place == RepoRemoved && revive:
		in.Path, place = at.Name, RepoAdded
	case place == RepoRemoved, place == RepoTaken:
		return Repo{}, place, nil
	}
	if place == RepoAdded {
		at.ID, err = tx.addPlaced(ctx, by, in)
	}
	if err != nil {
		return Repo{}, "", err
	}
	repo, err := tx.attach(ctx, c, at.ID, in)
	if err == nil && place == RepoAttached {
		err = tx.Audit(ctx, by, "repo.attach", repo.Name, map[string]any{"connection": c.ID, "path": in.Path})
	}
	return repo, place, err
}

// FindPlace says what PlaceRepo would do.
func (tx *Tx) FindPlace(ctx context.Context, c Connection, in ForgeRepo) (Placement, error) {
	_, place, err := tx.findPlace(ctx, c, in)
	return place, err
}

// placed is the repository that stands where one of a forge belongs.
type placed struct {
	ID           uuid.UUID
	Name         string
	RemovedAt    *time.Time
	Remote       bool
	SameRemote   bool
	Hosted       bool
	ConnectionID *uuid.UUID
}

// findPlace looks for the repository with the remote, then for the one with the
// name, then for a removed one with the remote.
func (tx *Tx) findPlace(ctx context.Context, c Connection, in ForgeRepo) (placed, Placement, error) {
	at, err := collectOne[placed](ctx, tx, "finding repository "+in.Path, `
		SELECT id, name, removed_at, remote_url IS NOT NULL AS remote, url_key IS NOT DISTINCT FROM $3 AS same_remote,
			gateway = 'hosted' AS hosted, connection_id
		FROM repos WHERE org_id = $1 AND (name = $2 OR url_key = $3)
		ORDER BY removed_at IS NULL AND url_key IS NOT DISTINCT FROM $3 DESC, name = $2 DESC, removed_at DESC NULLS FIRST
		LIMIT 1 FOR UPDATE`, c.OrgID, in.Path, in.URLKey)
	ours := at.ConnectionID != nil && *at.ConnectionID == c.ID
	switch {
	case errors.Is(err, ErrNotFound):
		return placed{}, RepoAdded, nil
	case err != nil:
		return placed{}, "", err
	case at.RemovedAt != nil:
		return at, RepoRemoved, nil
	case ours:
		return at, RepoKnown, nil
	case at.SameRemote && at.ConnectionID == nil:
		return at, RepoAttached, nil
	case !at.SameRemote && !at.Remote && !at.Hosted:
		return at, RepoAdded, nil
	}
	return at, RepoTaken, nil
}

func (tx *Tx) addPlaced(ctx context.Context, by access.Principal, in ForgeRepo) (uuid.UUID, error) {
	repo, err := tx.createRepo(ctx, by, NewRepo{Name: in.Path, RemoteURL: in.RemoteURL, URLKey: in.URLKey})
	return repo.ID, err
}

// attach ties a repository to its connection. One that moved at the forge is
// fetched from its new address; one that has the address in another form keeps
// that form.
func (tx *Tx) attach(ctx context.Context, c Connection, repo uuid.UUID, in ForgeRepo) (Repo, error) {
	return collectOne[Repo](ctx, tx, "attaching repository "+in.Path, `
		UPDATE repos SET connection_id = $3, forge_path = $4,
			remote_url = CASE WHEN url_key = $6 THEN remote_url ELSE $5 END, url_key = $6
		WHERE org_id = $1 AND id = $2 RETURNING `+repoColumns, c.OrgID, repo, c.ID, in.Path, in.RemoteURL, in.URLKey)
}

// RepoHooked notes that the repository has a webhook of its own now.
func (db *DB) RepoHooked(ctx context.Context, org, repo uuid.UUID) error {
	_, err := db.pool.Exec(ctx, `UPDATE repos SET hooked_at = now() WHERE org_id = $1 AND id = $2`, org, repo)
	return translate(err, "noting the webhook of repository %s", repo)
}
