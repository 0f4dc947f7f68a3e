package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// GatewayRepo finds a repository that the gateway serves, by the name that an
// SSH client asked for: the name itself, or with ".git" at its end. ErrNotFound
// if there is none, it was removed, or the gateway does not serve it.
func (db *DB) GatewayRepo(ctx context.Context, org uuid.UUID, name string) (Repo, error) {
	return collectOne[Repo](ctx, db.pool, "finding repository "+name, `
		SELECT `+repoColumns+` FROM repos
		WHERE org_id = $1 AND removed_at IS NULL AND gateway <> 'off' AND $2 IN (name, name || '.git')
		ORDER BY name = $2 DESC LIMIT 1`, org, name)
}

// SetGateway changes how the gateway serves a repository; nil leaves
// forwardNotes as it is.
func (db *DB) SetGateway(ctx context.Context, by access.Principal, id uuid.UUID, gateway Gateway, forwardNotes *bool) (Repo, error) {
	if !gateway.known() {
		return Repo{}, &InvalidError{"gateway", "give off, hosted or forwarding"}
	}
	var repo Repo
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		repo, err = collectOne[Repo](ctx, tx, "changing repository "+id.String(), `
			UPDATE repos SET gateway = $3, forward_notes = coalesce($4, forward_notes)
			WHERE org_id = $1 AND id = $2 AND removed_at IS NULL RETURNING `+repoColumns, by.Org, id, gateway, forwardNotes)
		if err != nil {
			return err
		}
		if gateway == GatewayForwarding && repo.RemoteURL == nil {
			return &InvalidError{"gateway", "a forwarding repository needs a remote, and this one has none"}
		}
		return tx.Audit(ctx, by, "repo.gateway", repo.Name,
			map[string]any{"gateway": repo.Gateway, "forward_notes": repo.ForwardNotes})
	})
	return repo, err
}
