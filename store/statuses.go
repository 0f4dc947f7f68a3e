package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Status is the verdict that a forge is to show at a commit.
type Status struct {
	Commit string
	// State is StatusPending, StatusSuccess or StatusFailure.
	State       StatusState
	Description string
	Decision    uuid.UUID
}

// StatusState is what a status says in one word.
type StatusState string

// The states of a status.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure"
)

// WantStatuses notes what the forge is to show at commits of a repository, and
// reports whether anything is to be posted; the caller then pokes the task that
// posts. Without a connection there is nothing to tell anybody. A status of an
// older decision never takes the place of a newer one's. Of several statuses
// of one commit the last counts.
func (tx *Tx) WantStatuses(ctx context.Context, org, repo uuid.UUID, statuses []Status) (wanted bool, err error) {
	var commits, states, descriptions []string
	var decisions []uuid.UUID
	for _, s := range lastPerCommit(statuses) {
		commits, states = append(commits, s.Commit), append(states, string(s.State))
		descriptions, decisions = append(descriptions, s.Description), append(decisions, s.Decision)
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO commit_statuses AS s (org_id, repo_id, commit, state, description, decision_id)
		SELECT $1, $2, w.* FROM unnest($3::text[], $4::text[], $5::text[], $6::uuid[]) AS w
		WHERE EXISTS (SELECT FROM repos WHERE org_id = $1 AND id = $2 AND connection_id IS NOT NULL)
		ON CONFLICT (org_id, repo_id, commit) DO UPDATE
		SET state = excluded.state, description = excluded.description, decision_id = excluded.decision_id,
		    changed_at = clock_timestamp(), attempts = 0, error = '', next_at = now()
		WHERE s.decision_id <= excluded.decision_id
		  AND (s.state <> excluded.state OR s.description <> excluded.description)`,
		org, repo, commits, states, descriptions, decisions)
	if err != nil {
		return false, translate(err, "noting statuses of commits")
	}
	return tag.RowsAffected() > 0, nil
}

// lastPerCommit also orders by commit, as every transaction takes the rows.
func lastPerCommit(statuses []Status) []Status {
	out := slices.Clone(statuses)
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b Status) int { return strings.Compare(a.Commit, b.Commit) })
	return slices.CompactFunc(out, func(a, b Status) bool { return a.Commit == b.Commit })
}

// ClaimedStatus is a status that the claimer alone may post, until the claim
// ends.
type ClaimedStatus struct {
	OrgID       uuid.UUID
	RepoID      uuid.UUID
	Commit      string
	State       StatusState
	Description string
	DecisionID  uuid.UUID
	ChangedAt   time.Time
	// Attempts counts the claims since the status was noted, this one included.
	Attempts     int
	ClaimedUntil time.Time
	ConnectionID uuid.UUID
	ForgePath    string
}

// ClaimStatuses claims statuses that differ from what their forge was told, at
// most limit, for the time that a post may take. Nobody else posts to the same
// commit meanwhile.
func (db *DB) ClaimStatuses(ctx context.Context, limit int, claim time.Duration) ([]ClaimedStatus, error) {
	return collect[ClaimedStatus](ctx, db.pool, "claiming statuses", `
		WITH due AS (
			SELECT s.org_id, s.repo_id, s.commit, c.id AS connection_id, r.forge_path
			FROM commit_statuses s
			JOIN repos r ON r.org_id = s.org_id AND r.id = s.repo_id AND r.removed_at IS NULL
			JOIN forge_connections c ON c.id = r.connection_id AND c.revoked_at IS NULL
			WHERE (s.posted <> s.state OR s.posted_description <> s.description)
			  AND s.next_at <= now() AND s.claimed_until <= now()
			ORDER BY s.next_at LIMIT $1 FOR UPDATE OF s SKIP LOCKED)
		UPDATE commit_statuses s SET claimed_until = now() + $2::interval, attempts = s.attempts + 1
		FROM due WHERE s.org_id = due.org_id AND s.repo_id = due.repo_id AND s.commit = due.commit
		RETURNING s.org_id, s.repo_id, s.commit, s.state, s.description, s.decision_id, s.changed_at, s.attempts,
			s.claimed_until, due.connection_id, due.forge_path`, limit, claim)
}

// StatusPosted records that the forge took a claimed status. If another one was
// noted meanwhile, that one is posted next.
func (db *DB) StatusPosted(ctx context.Context, s ClaimedStatus) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE commit_statuses
		SET posted = $5, posted_description = $6, posted_at = now(), error = '', attempts = 0, claimed_until = '-infinity'
		WHERE org_id = $1 AND repo_id = $2 AND commit = $3 AND claimed_until = $4`,
		s.OrgID, s.RepoID, s.Commit, s.ClaimedUntil, s.State, s.Description)
	return translate(err, "recording a posted status")
}

// PostFailure is why a status could not be posted.
type PostFailure struct {
	// Problem is a text for administrators without secrets.
	Problem string
	// Pause is how long to wait with the next try; GiveUp makes none.
	Pause  time.Duration
	GiveUp bool
	// Unsure says that the forge may take the status all the same, a little later:
	// then the claim stays to its end.
	Unsure bool
}

// StatusFailed records that a claimed status could not be posted. One that was
// noted meanwhile is tried without a pause.
func (db *DB) StatusFailed(ctx context.Context, s ClaimedStatus, f PostFailure) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE commit_statuses
		SET error = $5, claimed_until = CASE WHEN $7 THEN claimed_until ELSE '-infinity' END,
			next_at = CASE WHEN changed_at <> $8 THEN next_at WHEN $9 THEN 'infinity' ELSE now() + $6::interval END
		WHERE org_id = $1 AND repo_id = $2 AND commit = $3 AND claimed_until = $4`,
		s.OrgID, s.RepoID, s.Commit, s.ClaimedUntil, f.Problem, f.Pause, f.Unsure, s.ChangedAt, f.GiveUp)
	return translate(err, "recording a status that could not be posted")
}

// retryStatuses lets a connection's statuses be tried anew that wait or were
// given up; of those of a week ago nobody waits any more.
func (tx *Tx) retryStatuses(ctx context.Context, c Connection) error {
	_, err := tx.Exec(ctx, `
		UPDATE commit_statuses SET next_at = now(), attempts = 0
		WHERE (posted <> state OR posted_description <> description) AND org_id = $1
		  AND changed_at > now() - interval '7 days' AND repo_id IN (SELECT id FROM repos WHERE connection_id = $2)`, c.OrgID, c.ID)
	return translate(err, "taking up the statuses of connection %s", c.ID)
}

// StatusBacklog counts the statuses of an organisation that their forges are
// still to be told, and those that were given up.
type StatusBacklog struct{ Waiting, GivenUp int }

// StatusBacklog counts the backlog of a connection.
func (db *DB) StatusBacklog(ctx context.Context, org, connection uuid.UUID) (StatusBacklog, error) {
	return collectOne[StatusBacklog](ctx, db.pool, "counting statuses", `
		SELECT count(*) FILTER (WHERE s.next_at < 'infinity') AS waiting, count(*) FILTER (WHERE s.next_at = 'infinity') AS given_up
		FROM commit_statuses s JOIN repos r ON r.org_id = s.org_id AND r.id = s.repo_id
		WHERE (s.posted <> s.state OR s.posted_description <> s.description) AND r.org_id = $1 AND r.connection_id = $2`,
		org, connection)
}
