package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Team is a named group of people.
type Team struct {
	ID        uuid.UUID
	Name      string
	CreatedAt time.Time
	// Members are by e-mail address.
	Members []TeamMember
}

// TeamMember is somebody's place in a team.
type TeamMember struct {
	Email string `json:"email"`
	// Role is admin, member or viewer.
	Role string `json:"role"`
}

// Teams lists the teams of an organisation by name, with their members.
func (db *DB) Teams(ctx context.Context, org uuid.UUID) ([]Team, error) {
	return collect[Team](ctx, db.pool, "listing teams", `
		SELECT t.id, t.name, t.created_at, coalesce(
			(SELECT json_agg(json_build_object('email', m.email, 'role', m.role) ORDER BY m.email)
			 FROM team_members m WHERE m.org_id = t.org_id AND m.team_id = t.id), '[]') AS members
		FROM teams t WHERE t.org_id = $1 ORDER BY t.name`, org)
}

// TeamID finds a team by name or id. ErrNotFound if there is none.
func (db *DB) TeamID(ctx context.Context, org uuid.UUID, nameOrID string) (uuid.UUID, error) {
	id, _ := uuid.Parse(nameOrID)
	team, err := collectOne[struct{ ID uuid.UUID }](ctx, db.pool, "finding team "+nameOrID, `
		SELECT id FROM teams WHERE org_id = $1 AND (id = $2 OR name = $3) ORDER BY id = $2 DESC LIMIT 1`, org, id, nameOrID)
	return team.ID, err
}

// TeamEmails returns the lower-case addresses of a team's members by the
// team's name or id. ErrNotFound if there is no such team.
func (db *DB) TeamEmails(ctx context.Context, org uuid.UUID, nameOrID string) ([]string, error) {
	team, err := db.TeamID(ctx, org, nameOrID)
	if err != nil {
		return nil, err
	}
	rows, err := db.pool.Query(ctx, `SELECT email FROM team_members WHERE org_id = $1 AND team_id = $2 ORDER BY email`,
		org, team)
	if err != nil {
		return nil, translate(err, "listing the members of a team")
	}
	emails, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return emails, translate(err, "listing the members of a team")
}
