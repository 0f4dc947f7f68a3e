package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Subject is what a grant is given to.
type Subject string

// The subjects: a user, or everybody whose address is among a team's members.
const (
	SubjectUser Subject = "user"
	SubjectTeam Subject = "team"
)

// Grant lets a subject use a repository, or all, through the gateway.
type Grant struct {
	Subject   Subject
	SubjectID uuid.UUID
	// SubjectName is the user's address or the team's name.
	SubjectName string
	// RepoID and Repo are zero for a grant on every repository.
	RepoID     uuid.UUID
	Repo       string
	Permission access.Permission
	// Override lets the subject go ahead with pushes that policies refuse, on
	// the record, in whatever way they are made.
	Override  bool
	CreatedBy string
	CreatedAt time.Time
}

// NewGrant says what to grant.
type NewGrant struct {
	Subject   Subject
	SubjectID uuid.UUID
	// RepoID is zero for every repository.
	RepoID     uuid.UUID
	Permission access.Permission
	Override   bool
}

// grantColumns are of grants g beside what grantNames joins.
const (
	grantColumns = `g.subject, g.subject_id, coalesce(u.email, t.name) AS subject_name, g.repo_id, coalesce(r.name, '') AS repo,
	g.permission, g.override, g.created_by, g.created_at`
	grantNames = `
		LEFT JOIN users u ON g.subject = 'user' AND u.org_id = g.org_id AND u.id = g.subject_id
		LEFT JOIN teams t ON g.subject = 'team' AND t.org_id = g.org_id AND t.id = g.subject_id
		LEFT JOIN repos r ON r.org_id = g.org_id AND r.id = g.repo_id`
)

// SetGrant makes a grant, or replaces the one that the subject has on that
// repository. ErrNotFound if there is no such user, team or repository.
func (db *DB) SetGrant(ctx context.Context, by access.Principal, in NewGrant) (Grant, error) {
	if in.Permission != access.ReadRepo && in.Permission != access.WriteRepo {
		return Grant{}, &InvalidError{"permission", "give read or write"}
	}
	if in.Override && in.Permission != access.WriteRepo {
		return Grant{}, &InvalidError{"override", "only who may write can override"}
	}
	var grant Grant
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		grant, err = collectOne[Grant](ctx, tx, "granting", `
			WITH g AS (
				INSERT INTO grants AS g (org_id, subject, subject_id, repo_id, permission, override, created_by)
				SELECT $1::uuid, $2::text, $3::uuid, $4::uuid, $5::text, $6::bool, $7::text
				WHERE ($2 = 'user' AND EXISTS (SELECT FROM users WHERE org_id = $1 AND id = $3)
				    OR $2 = 'team' AND EXISTS (SELECT FROM teams WHERE org_id = $1 AND id = $3))
				  AND ($4 = '00000000-0000-0000-0000-000000000000' OR EXISTS (SELECT FROM repos WHERE org_id = $1 AND id = $4))
				ON CONFLICT (org_id, subject, subject_id, repo_id) DO UPDATE
				SET permission = excluded.permission, override = excluded.override,
				    created_by = excluded.created_by, created_at = now()
				RETURNING *)
			SELECT `+grantColumns+` FROM g`+grantNames,
			by.Org, in.Subject, in.SubjectID, in.RepoID, in.Permission, in.Override, by.Name)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "grant.set", grant.SubjectName, grant.detail())
	})
	return grant, err
}

func (g *Grant) detail() map[string]any {
	return map[string]any{"subject": g.Subject, "repo": g.Repo, "permission": g.Permission, "override": g.Override}
}

// RemoveGrant takes a grant back. ErrNotFound if there is none.
func (db *DB) RemoveGrant(ctx context.Context, by access.Principal, subject Subject, subjectID, repo uuid.UUID) (Grant, error) {
	var grant Grant
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		grant, err = collectOne[Grant](ctx, tx, "taking back a grant", `
			WITH g AS (
				DELETE FROM grants WHERE org_id = $1 AND subject = $2 AND subject_id = $3 AND repo_id = $4 RETURNING *)
			SELECT `+grantColumns+` FROM g`+grantNames, by.Org, subject, subjectID, repo)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "grant.remove", grant.SubjectName, grant.detail())
	})
	return grant, err
}

// Grants lists the grants of an organisation by subject and repository; those
// on every repository come first.
func (db *DB) Grants(ctx context.Context, org uuid.UUID) ([]Grant, error) {
	return collect[Grant](ctx, db.pool, "listing grants", `
		SELECT `+grantColumns+` FROM grants g`+grantNames+`
		WHERE g.org_id = $1 AND coalesce(u.id, t.id) IS NOT NULL ORDER BY g.subject DESC, subject_name, repo`, org)
}

// Permission adds up what a user may do with a repository: by grants of their
// own and of their teams, on the repository and on every one. Nobody who has
// none may do anything, nor may a disabled user.
func (db *DB) Permission(ctx context.Context, org, user, repo uuid.UUID) (access.Grants, error) {
	sum, err := collectOne[struct{ Read, Write, Override bool }](ctx, db.pool, "reading the grants of a user", `
		SELECT count(*) > 0 AS read, coalesce(bool_or(g.permission = 'write'), false) AS write,
		       coalesce(bool_or(g.override), false) AS override
		FROM users u JOIN grants g ON g.org_id = u.org_id
		 AND (g.subject = 'user' AND g.subject_id = u.id
		   OR g.subject = 'team' AND g.subject_id IN (
		      SELECT team_id FROM team_members m WHERE m.org_id = u.org_id AND m.email = u.email))
		WHERE u.org_id = $1 AND u.id = $2 AND u.disabled_at IS NULL
		  AND g.repo_id IN ($3, '00000000-0000-0000-0000-000000000000')`, org, user, repo)
	return access.Grants(sum), err
}
