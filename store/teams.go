package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
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
	// Role is admin, member or viewer. Admins change the team.
	Role access.Role `json:"role"`
}

const teamColumns = `t.id, t.name, t.created_at, coalesce(
	(SELECT json_agg(json_build_object('email', m.email, 'role', m.role) ORDER BY m.email)
	 FROM team_members m WHERE m.org_id = t.org_id AND m.team_id = t.id), '[]') AS members`

// Teams lists the teams of an organisation by name, with their members.
func (db *DB) Teams(ctx context.Context, org uuid.UUID) ([]Team, error) {
	return collect[Team](ctx, db.pool, "listing teams",
		`SELECT `+teamColumns+` FROM teams t WHERE t.org_id = $1 ORDER BY t.name`, org)
}

// Team finds a team by name or id. ErrNotFound if there is none.
func (db *DB) Team(ctx context.Context, org uuid.UUID, nameOrID string) (Team, error) {
	id, _ := uuid.Parse(nameOrID)
	return collectOne[Team](ctx, db.pool, "finding team "+nameOrID, `
		SELECT `+teamColumns+` FROM teams t WHERE t.org_id = $1 AND (t.id = $2 OR t.name = $3)
		ORDER BY t.id = $2 DESC LIMIT 1`, org, id, nameOrID)
}

func tidyTeam(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || !plainText(name, 200) || uuid.Validate(name) == nil {
		return "", &InvalidError{"name", "use 1 to 200 printable characters that are no id"}
	}
	return name, nil
}

// CreateTeam makes a team without members. ErrConflict if the name is taken.
func (db *DB) CreateTeam(ctx context.Context, by access.Principal, name string) (Team, error) {
	name, err := tidyTeam(name)
	if err != nil {
		return Team{}, err
	}
	var team Team
	err = db.InTx(ctx, func(tx *Tx) (err error) {
		team, err = collectOne[Team](ctx, tx, "creating team "+name, `
			INSERT INTO teams AS t (id, org_id, name) VALUES ($1, $2, $3) RETURNING `+teamColumns, newID(), by.Org, name)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "team.create", team.Name, nil)
	})
	return team, err
}

// RenameTeam gives a team another name. Policies whose scope names the team
// by the old one do not follow. ErrConflict if the name is taken.
func (db *DB) RenameTeam(ctx context.Context, by access.Principal, id uuid.UUID, name string) (Team, error) {
	name, err := tidyTeam(name)
	if err != nil {
		return Team{}, err
	}
	var team Team
	err = db.InTx(ctx, func(tx *Tx) error {
		before, err := collectOne[struct{ Name string }](ctx, tx, "finding team "+id.String(),
			`SELECT name FROM teams WHERE org_id = $1 AND id = $2 FOR UPDATE`, by.Org, id)
		if err != nil {
			return err
		}
		team, err = collectOne[Team](ctx, tx, "renaming team "+before.Name,
			`UPDATE teams t SET name = $3 WHERE t.org_id = $1 AND t.id = $2 RETURNING `+teamColumns, by.Org, id, name)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "team.rename", team.Name, map[string]any{"old_name": before.Name})
	})
	return team, err
}

// RemoveTeam ends a team, its memberships and its grants.
func (db *DB) RemoveTeam(ctx context.Context, by access.Principal, id uuid.UUID) error {
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM grants WHERE org_id = $1 AND subject = 'team' AND subject_id = $2`, by.Org, id)
		if err != nil {
			return translate(err, "taking back the grants of a team")
		}
		team, err := collectOne[struct{ Name string }](ctx, tx, "removing team "+id.String(),
			`DELETE FROM teams WHERE org_id = $1 AND id = $2 RETURNING name`, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "team.remove", team.Name, nil)
	})
}

// SetTeamMember puts somebody, who need not be a user, into a team, or gives
// them another role there.
func (db *DB) SetTeamMember(ctx context.Context, by access.Principal, team uuid.UUID, email string, role access.Role) (TeamMember, error) {
	email, err := tidyEmail(email)
	if err != nil {
		return TeamMember{}, err
	}
	if err := checkPerson("", role); err != nil {
		return TeamMember{}, err
	}
	err = db.InTx(ctx, func(tx *Tx) error {
		row, err := collectOne[struct{ Name string }](ctx, tx, "changing a team", `
			WITH t AS (SELECT id, org_id, name FROM teams WHERE org_id = $1 AND id = $2 FOR KEY SHARE),
			m AS (INSERT INTO team_members (org_id, team_id, email, role) SELECT org_id, id, $3, $4 FROM t
			      ON CONFLICT (org_id, team_id, email) DO UPDATE SET role = excluded.role)
			SELECT name FROM t`, by.Org, team, email, role)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "team.member_set", row.Name, map[string]any{"email": email, "role": role})
	})
	return TeamMember{Email: email, Role: role}, err
}

// RemoveTeamMember takes somebody out of a team. ErrNotFound if they are not in it.
func (db *DB) RemoveTeamMember(ctx context.Context, by access.Principal, team uuid.UUID, email string) error {
	email = strings.ToLower(strings.TrimSpace(email))
	return db.InTx(ctx, func(tx *Tx) error {
		row, err := collectOne[struct{ Name string }](ctx, tx, "taking "+email+" out of a team", `
			DELETE FROM team_members m USING teams t
			WHERE m.org_id = $1 AND m.team_id = $2 AND m.email = $3 AND t.id = m.team_id RETURNING t.name`, by.Org, team, email)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "team.member_remove", row.Name, map[string]any{"email": email})
	})
}

// TeamID finds a team by name or id. ErrNotFound if there is none.
func (db *DB) TeamID(ctx context.Context, org uuid.UUID, nameOrID string) (uuid.UUID, error) {
	id, _ := uuid.Parse(nameOrID)
	team, err := collectOne[struct{ ID uuid.UUID }](ctx, db.pool, "finding team "+nameOrID, `
		SELECT id FROM teams WHERE org_id = $1 AND (id = $2 OR name = $3) ORDER BY id = $2 DESC LIMIT 1`, org, id, nameOrID)
	return team.ID, err
}

// TeamEmails returns all lower-case addresses of the people whose addresses are in
// a team, by its name or id. ErrNotFound if there is no such team.
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
	if err != nil {
		return nil, translate(err, "listing the members of a team")
	}
	return db.AddressesOf(ctx, org, emails)
}
