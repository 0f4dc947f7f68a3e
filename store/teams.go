package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// TeamEmails returns the lower-case addresses of a team's members by the
// team's name or id. ErrNotFound if there is no such team.
func (db *DB) TeamEmails(ctx context.Context, org uuid.UUID, nameOrID string) ([]string, error) {
	id, _ := uuid.Parse(nameOrID)
	team, err := collectOne[struct{ ID uuid.UUID }](ctx, db.pool, "finding team "+nameOrID, `
		SELECT id FROM teams WHERE org_id = $1 AND (id = $2 OR name = $3) ORDER BY id = $2 DESC LIMIT 1`, org, id, nameOrID)
	if err != nil {
		return nil, err
	}
	rows, err := db.pool.Query(ctx, `SELECT email FROM team_members WHERE org_id = $1 AND team_id = $2 ORDER BY email`,
		org, team.ID)
	if err != nil {
		return nil, translate(err, "listing the members of a team")
	}
	emails, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return emails, translate(err, "listing the members of a team")
}
