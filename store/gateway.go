package store

import (
	"context"
	"strings"

	"github.com/google/uuid"
)

// GatewayRepo finds a repository that the gateway serves, by the name that an
// SSH client asked for: the name itself, or with ".git" at its end. ErrNotFound
// if there is none, it was removed, or the gateway does not serve it.
func (db *DB) GatewayRepo(ctx context.Context, org uuid.UUID, name string) (Repo, error) {
	return collectOne[Repo](ctx, db.pool, "finding repository "+name, `
		SELECT `+repoColumns+` FROM repos
		WHERE org_id = $1 AND removed_at IS NULL AND gateway <> 'off' AND name IN ($2, $3)
		ORDER BY name = $2 DESC LIMIT 1`, org, name, strings.TrimSuffix(name, ".git"))
}
