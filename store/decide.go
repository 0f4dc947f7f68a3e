package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

// judgeTries is how often a judgement begins anew after a deadlock.
const judgeTries = 4

// beginJudging begins with the settings of short queries: starting parallel
// workers and compiling take longer than they do.
const beginJudging = `BEGIN; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off`

// Judge is InTx for what judges pushes: where the transaction met a deadlock,
// and so had no effect, fn runs again. Fn must not keep anything of a run that
// failed.
func (db *DB) Judge(ctx context.Context, fn func(*Tx) error) error {
	var err error
	for range judgeTries {
		err = db.inTx(ctx, pgx.TxOptions{BeginQuery: beginJudging}, fn)
		if !errors.Is(err, ErrMoved) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// PushTarget is the repository that is pushed to and what its pushes are judged
// by.
type PushTarget struct {
	OrgID    uuid.UUID
	TimeZone string
	// PolicyRevision rises with every change of the organisation's policies.
	PolicyRevision int64
	// RepoID is the nil UUID for a name that nothing is known of.
	RepoID        uuid.UUID
	Repo          string
	DefaultBranch string
	Mode          string
	ReceiptMode   string
	GraceSeconds  int
	// Connected says that a forge is to be told of verdicts.
	Connected bool
	// NotesRefs are the refs whose notes are taken in, NotesProtection what they are
	// protected by.
	NotesRefs       []string
	NotesProtection NotesProtection
	// Now is the database's time, the same for all of a transaction's questions.
	Now time.Time
}

// PushTarget reads what pushes to the repository of that name are judged by. A
// name that is not registered has the settings of a new repository.
func (tx *Tx) PushTarget(ctx context.Context, org uuid.UUID, name string) (PushTarget, error) {
	if err := checkRepoName(name); err != nil {
		return PushTarget{}, err
	}
	return collectOne[PushTarget](ctx, tx, "finding repository "+name, `
		SELECT o.id AS org_id, o.time_zone, o.policy_revision, coalesce(r.id, $3) AS repo_id, $2 AS repo,
		       coalesce(r.default_branch, '') AS default_branch, coalesce(r.mode, 'advisory') AS mode,
		       coalesce(r.receipt_mode, 'deferred') AS receipt_mode, coalesce(r.grace_seconds, 900) AS grace_seconds,
		       r.connection_id IS NOT NULL AS connected,
		       coalesce(r.notes_refs, ARRAY['refs/notes/blameprompt', 'refs/notes/ai']) AS notes_refs,
		       coalesce(r.notes_protection, 'mode') AS notes_protection, now() AS now
		FROM orgs o LEFT JOIN repos r ON r.org_id = o.id AND r.name = $2
		WHERE o.id = $1`, org, name, uuid.Nil)
}

// Register makes sure that the repository is registered, as API-only if it was
// not.
func (tx *Tx) Register(ctx context.Context, by access.Principal, to *PushTarget) error {
	if to.RepoID != uuid.Nil {
		return nil
	}
	repo, err := tx.EnsureRepo(ctx, by, to.Repo)
	to.RepoID = repo.ID
	return err
}

// PusherClaim is what is said of who pushes.
type PusherClaim struct {
	// Verified is the e-mail address of a user whose key was verified here. If it
	// is given, nothing else counts.
	Verified string
	// Email and Login are what a forge says.
	Email, Login string
	// Name is shown where no user is found.
	Name string
}

// Pusher is who pushes, as far as the organisation knows.
type Pusher struct {
	// Key is what costs, holds and limits go by: the user's e-mail address, else
	// the lower-case address that the forge gave, else its account name, else
	// empty.
	Key   string
	Name  string
	Email string
	// Known says that the pusher is a user of the organisation.
	Known bool
	// MayOverride says that a grant allows the pusher to override refusals in the
	// repository.
	MayOverride bool
}

// Pusher finds who pushes to a repository: the verified user, else the user
// with the address, else the one user who has the account. An account name that
// several users have identifies none of them.
func (tx *Tx) Pusher(ctx context.Context, org, repo uuid.UUID, claim PusherClaim) (Pusher, error) {
	verified, email := lowered(claim.Verified), lowered(claim.Email)
	login := strings.TrimSpace(clean(claim.Login))
	if verified != "" {
		email, login = verified, ""
	}
	rows, err := collect[struct {
		Email, Name string
		Override    bool
	}](ctx, tx, "finding the pusher", `
		WITH found AS (
			SELECT id, email, name, disabled_at FROM (
				SELECT u.*, 1 AS rank, 1 AS n FROM users u WHERE u.org_id = $1 AND u.email = $2 AND $2 <> ''
				UNION ALL
				SELECT u.*, 2, count(*) OVER () FROM users u
				WHERE u.org_id = $1 AND u.logins @> ARRAY[$3] AND u.disabled_at IS NULL AND $3 <> '') u
			WHERE n = 1 ORDER BY rank LIMIT 1)
		SELECT f.email, f.name, f.disabled_at IS NULL AND EXISTS (
			SELECT FROM grants g
			WHERE g.org_id = $1 AND g.repo_id = ANY(ARRAY[$4, $5]::uuid[]) AND g.override
			  AND (g.subject = 'user' AND g.subject_id = f.id
			       OR g.subject = 'team' AND g.subject_id IN (SELECT m.team_id FROM team_members m WHERE m.org_id = $1 AND m.email = f.email))
		) AS override
		FROM found f`, org, email, strings.ToLower(login), repo, uuid.Nil)
	if err != nil {
		return Pusher{}, err
	}
	if len(rows) > 0 {
		return Pusher{Key: rows[0].Email, Name: named(rows[0].Name, claim.Name), Email: rows[0].Email, Known: true,
			MayOverride: rows[0].Override}, nil
	}
	out := Pusher{Key: email, Name: named(clean(claim.Name), login, email), Email: email}
	if out.Key == "" {
		out.Key = login
	}
	return out, nil
}

func lowered(email string) string { return strings.ToLower(strings.TrimSpace(clean(email))) }

// named is the first name that says something.
func named(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// TeamNames returns the names of the teams of each of the lower-case addresses
// that is in one, sorted.
func (tx *Tx) TeamNames(ctx context.Context, org uuid.UUID, emails []string) (map[string][]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT m.email, t.name FROM team_members m JOIN teams t ON t.id = m.team_id
		WHERE m.org_id = $1 AND m.email = ANY($2) ORDER BY 1, 2`, org, emails)
	if err != nil {
		return nil, translate(err, "finding teams")
	}
	teams := map[string][]string{}
	var email, team string
	_, err = pgx.ForEachRow(rows, []any{&email, &team}, func() error {
		teams[email] = append(teams[email], team)
		return nil
	})
	return teams, translate(err, "finding teams")
}

// EnabledPolicies reads the policies that are in force. Read after PushTarget,
// they are at least as new as its PolicyRevision.
func (tx *Tx) EnabledPolicies(ctx context.Context, org uuid.UUID) ([]Policy, error) {
	return collect[Policy](ctx, tx, "reading policies", `
		SELECT `+policyColumns+` FROM policies WHERE org_id = $1 AND enabled AND removed_at IS NULL ORDER BY name, id`, org)
}

// ChangeReview is a recorded review and what it is bound to.
type ChangeReview struct {
	Commit    string
	PatchID   string
	Reviewer  string
	Name      string
	Approved  bool
	CreatedAt time.Time
}

// Reviews lists the reviews of commits and patches in a repository, oldest
// first.
func (tx *Tx) Reviews(ctx context.Context, org, repo uuid.UUID, commits, patches []string) ([]ChangeReview, error) {
	return collect[ChangeReview](ctx, tx, "reading reviews", `
		SELECT commit, patch_id, reviewer, name, approved, created_at FROM (
			SELECT id, commit, patch_id, reviewer, name, approved, created_at FROM reviews
			WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)
			UNION
			SELECT id, commit, patch_id, reviewer, name, approved, created_at FROM reviews
			WHERE org_id = $1 AND repo_id = $2 AND patch_id <> '' AND patch_id = ANY($4)) r
		ORDER BY created_at, id`, org, repo, commits, patches)
}

// ActiveWaiver is a waiver and what it is limited to; empty fields are all.
type ActiveWaiver struct {
	ID       uuid.UUID
	PolicyID uuid.UUID
	Commit   string
	PatchID  string
}

// ActiveWaivers lists the waivers of policies that hold for the repository, the
// pusher and a push at the moment. One that expired since the push still covers
// it; one that was revoked does not.
func (tx *Tx) ActiveWaivers(ctx context.Context, org, repo uuid.UUID, pusher string, policies []uuid.UUID,
	at time.Time) ([]ActiveWaiver, error) {
	return collect[ActiveWaiver](ctx, tx, "reading waivers", `
		SELECT id, policy_id, commit, patch_id FROM waivers
		WHERE org_id = $1 AND policy_id = ANY($4) AND revoked_at IS NULL AND expires_at > $5
		  AND (repo_id IS NULL OR repo_id = $2) AND pusher IN ('', $3)
		ORDER BY id`, org, repo, pusher, policies, at)
}

// ActiveHold is a hold with the verdict that made it.
type ActiveHold struct {
	Hold
	Verdict push.Verdict
}

// ActiveHolds lists the holds of some of a repository's refs, oldest first.
func (tx *Tx) ActiveHolds(ctx context.Context, org, repo uuid.UUID, refs []string) ([]ActiveHold, error) {
	return collect[ActiveHold](ctx, tx, "reading holds", `
		SELECT `+holdColumns+`, coalesce(d.late_verdict, d.verdict) AS verdict
		FROM holds h JOIN decisions d ON d.org_id = h.org_id AND d.id = h.decision_id
		WHERE h.org_id = $1 AND h.repo_id = $2 AND h.ref = ANY($3) AND h.released_at IS NULL
		ORDER BY h.decision_id, h.ref`, org, repo, refs)
}
