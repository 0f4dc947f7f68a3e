package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

// WaitingRef names a decision that is pending or held.
type WaitingRef struct {
	OrgID, ID, RepoID uuid.UUID
	// Event says what happened to it.
	Event string
}

// The events of a decision, as decision_events has them.
const (
	// EventNotes: notes of the commits arrived. EventDue: the time for them is over.
	EventNotes = "notes"
	EventDue   = "due"
	// EventWaiver, EventReview and EventPolicy: one was made, changed or taken back.
	EventWaiver = "waiver"
	EventReview = "review"
	EventPolicy = "policy"
	// EventGone: commits or a ref of the push are there no more.
	EventGone = "gone"
	// EventWithdrawn: the repository did not take the push.
	EventWithdrawn = "withdrawn"
)

// WaitingDecisions lists the pending and held decisions of a repository, oldest
// first, or of the whole organisation for the nil UUID.
func (db *DB) WaitingDecisions(ctx context.Context, org, repo uuid.UUID) ([]WaitingRef, error) {
	return collect[WaitingRef](ctx, db.pool, "listing waiting decisions", `
		SELECT org_id, id, repo_id, '' AS event FROM decisions
		WHERE org_id = $1 AND (repo_id = $2 OR $2 = $3) AND state IN ('pending', 'held') ORDER BY repo_id, id`, org, repo, uuid.Nil)
}

// DueDecision is a pending decision whose time for receipts is over.
type DueDecision struct {
	WaitingRef
	// Fetched says that what the remote had when the time was over is here, or that
	// the repository has no remote.
	Fetched bool
}

// DueDecisions lists, over all organisations, the pending decisions that were
// due at the moment, or are now for nil.
func (db *DB) DueDecisions(ctx context.Context, at *time.Time) ([]DueDecision, error) {
	return collect[DueDecision](ctx, db.pool, "listing due decisions", `
		SELECT d.org_id, d.id, d.repo_id, '' AS event, `+fetchedSince+` AS fetched
		FROM decisions d LEFT JOIN repos r ON r.org_id = d.org_id AND r.id = d.repo_id
		WHERE d.state = 'pending' AND d.due_at <= coalesce($1, now()) ORDER BY d.org_id, d.repo_id, d.id`, at)
}

// fetchedSince is whether a fetch of r that began when d was due has succeeded,
// or none can be made.
const fetchedSince = `(d.due_at IS NULL OR r.id IS NULL OR NOT (` + fetched + `)
	OR coalesce(r.fetch_failures = 0 AND r.fetch_started_at >= d.due_at AND r.fetched_at >= r.fetch_started_at, false))`

// factMargin is how long the transaction may have taken that wrote a fact.
const factMargin = 10 * time.Second

// StaleDecisions lists the waiting decisions that a note, waiver, review or
// policy concerns which their last judgement did not know: of a repository, or
// over all organisations for nil UUIDs.
func (db *DB) StaleDecisions(ctx context.Context, org, repo uuid.UUID) ([]WaitingRef, error) {
	return staleDecisions(ctx, db.pool, org, repo)
}

func staleDecisions(ctx context.Context, q querier, org, repo uuid.UUID) ([]WaitingRef, error) {
	return collect[WaitingRef](ctx, q, "listing stale decisions", `
		WITH waived AS MATERIALIZED (SELECT org_id, max(greatest(created_at, revoked_at)) AS at FROM waivers GROUP BY org_id),
		ruled AS MATERIALIZED (SELECT org_id, max(updated_at) AS at FROM policies GROUP BY org_id)
		SELECT * FROM (
			SELECT d.org_id, d.id, d.repo_id, CASE
				WHEN `+anyCommit(`CROSS JOIN LATERAL unnest(r.notes_refs) AS n (ref)
					JOIN note_versions v ON v.org_id = c.org_id AND v.repo_id = c.repo_id AND v.ref = n.ref AND v.commit = c.commit`,
		`(NOT c.noted AND v.current AND v.blob IS NOT NULL OR v.received_at > j.since)`)+`
				  OR `+anyCommit(`JOIN receipt_commits l ON l.org_id = c.org_id AND l.commit = c.commit`, `l.ref = $2 AND l.noted_at > j.since`)+`
				  OR `+anyCommit(`JOIN note_uploads u ON u.org_id = c.org_id AND u.commit = c.commit`, `u.received_at > j.since`)+`
				THEN '`+EventNotes+`'
				WHEN (SELECT w.at FROM waived w WHERE w.org_id = d.org_id) > j.since
				THEN '`+EventWaiver+`'
				WHEN `+anyCommit(`JOIN reviews v ON v.org_id = c.org_id AND v.repo_id = c.repo_id AND v.commit = c.commit`,
		`v.created_at > j.since`)+`
				  OR `+anyCommit(`JOIN reviews v ON v.org_id = c.org_id AND v.repo_id = c.repo_id AND v.patch_id = c.patch_id`,
		`v.patch_id <> '' AND v.created_at > j.since`)+`
				THEN '`+EventReview+`'
				WHEN (SELECT p.at FROM ruled p WHERE p.org_id = d.org_id) > j.since
				THEN '`+EventPolicy+`'
				ELSE '' END AS event
			FROM decisions d JOIN repos r ON r.org_id = d.org_id AND r.id = d.repo_id,
			     LATERAL (SELECT coalesce(d.judged_at, d.at) - $1::interval AS since) j
			WHERE d.state IN ('pending', 'held') AND (d.org_id = $3 OR $3 = $5) AND (d.repo_id = $4 OR $4 = $5)
			OFFSET 0) s
		WHERE event <> '' ORDER BY org_id, repo_id, id`, factMargin, APIRef, org, repo, uuid.Nil)
}

// anyCommit is whether a commit c of decision d meets a condition.
func anyCommit(join, condition string) string {
	return `EXISTS (SELECT FROM pushed_commits c ` + join + ` WHERE c.org_id = d.org_id AND c.decision_id = d.id AND ` + condition + `)`
}

// WaitingDecision is a pending or held decision with what it takes to judge it
// again.
type WaitingDecision struct {
	Decision
	OrgID       uuid.UUID
	Verdict     push.Verdict
	LateVerdict *push.Verdict
	// Push and Input are what was judged at the push.
	Push, Input json.RawMessage
	// ReadAt is when this was read: facts that are read later are newer.
	ReadAt time.Time
	// Fetched says that no fetch is needed before it may be judged without the
	// receipts that are missing.
	Fetched   bool
	Mode      string
	Connected bool
	// There are the commits of the push that no later push left behind.
	There []string
	// GoneRefs are the refs of the push that were deleted since.
	GoneRefs []string
	// Holding are the refs that it keeps its pusher from.
	Holding []string
}

// WaitingDecision reads a decision that waits. ErrNotFound if it does not, or no
// more.
func (db *DB) WaitingDecision(ctx context.Context, org, id uuid.UUID) (WaitingDecision, error) {
	var w WaitingDecision
	err := db.snapshot(ctx, func(q querier) (err error) {
		w, err = collectOne[WaitingDecision](ctx, q, "reading waiting decision "+id.String(), sqlWaiting, org, id, EventGone)
		if err != nil {
			return err
		}
		// The documents may hold U+0000, which PostgreSQL cannot look past.
		var pushed struct{ Commits []struct{ OID string } }
		if err := json.Unmarshal(w.Push, &pushed); err != nil {
			return fmt.Errorf("reading the push of decision %s: %w", id, err)
		}
		commits := make([]string, len(pushed.Commits))
		for i, c := range pushed.Commits {
			commits[i] = c.OID
		}
		rows, err := q.Query(ctx, `SELECT commit FROM pushed_commits WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)`,
			org, w.RepoID, commits)
		if err != nil {
			return translate(err, "reading the commits of a decision")
		}
		w.There, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return translate(err, "reading the commits of a decision")
	})
	return w, err
}

const sqlWaiting = `
	SELECT ` + decisionColumns + `, d.org_id, d.verdict, d.late_verdict, i.push, i.input, clock_timestamp() AS read_at,
	       ` + fetchedSince + ` AS fetched, coalesce(r.mode, 'advisory') AS mode, r.connection_id IS NOT NULL AS connected,
	       '{}'::text[] AS there,
	       ARRAY(SELECT json_array_elements_text(e.detail->'refs') FROM decision_events e
	             WHERE e.org_id = $1 AND e.decision_id = d.id AND e.event = $3) AS gone_refs,
	       ARRAY(SELECT h.ref FROM holds h WHERE h.org_id = $1 AND h.decision_id = d.id AND h.released_at IS NULL) AS holding
	FROM decisions d
	JOIN decision_inputs i ON i.org_id = d.org_id AND i.decision_id = d.id
	LEFT JOIN repos r ON r.org_id = d.org_id AND r.id = d.repo_id
	WHERE d.org_id = $1 AND d.id = $2 AND d.state IN ('pending', 'held')`

// LockWaiting keeps a decision for the caller until its transaction ends. It
// reports false if somebody judged or released it since it was read: then what
// the caller knows is old.
func (tx *Tx) LockWaiting(ctx context.Context, w *WaitingDecision) (bool, error) {
	row, err := collectOne[struct {
		State    DecisionState
		JudgedAt *time.Time
		Holding  int
	}](ctx, tx, "locking a decision", `
		SELECT state, judged_at, (SELECT count(*) FROM holds h
			WHERE h.org_id = d.org_id AND h.decision_id = d.id AND h.released_at IS NULL)::int AS holding
		FROM decisions d WHERE org_id = $1 AND id = $2 FOR UPDATE`, w.OrgID, w.ID)
	if err != nil {
		return false, err
	}
	same := row.JudgedAt == nil && w.JudgedAt == nil || row.JudgedAt != nil && w.JudgedAt != nil && row.JudgedAt.Equal(*w.JudgedAt)
	return same && row.State == w.State && row.Holding == len(w.Holding), nil
}

// WantedHold is a ref that a decision shall keep its pusher from, and why.
type WantedHold struct {
	Ref     string
	Commits []string
}

// Settlement is what a late judgement leads to.
type Settlement struct {
	// Waiting was locked in this transaction.
	Waiting *WaitingDecision
	State   DecisionState
	Verdict push.Verdict
	Event   string
	// Holds are all that are wanted; others of the decision end.
	Holds []WantedHold
	// Brought has what the commits count as now.
	Brought []PushedCommit
}

// releases are the words for the end of a hold by what ended it.
var releases = map[string]string{
	EventNotes: "judged", EventDue: "judged", EventPolicy: "judged", EventWaiver: "waived", EventReview: "reviewed", EventGone: "gone",
}

// Settle writes a late judgement: the newest verdict, the state and the event
// that led to it, violations, holds and counts. A judgement that changes nothing
// leaves only the note of when it was made.
func (tx *Tx) Settle(ctx context.Context, by access.Principal, s Settlement) error {
	w := tx.decisionWriter(s.Waiting.OrgID, &s.Waiting.Decision)
	before := s.Waiting.Verdict
	if s.Waiting.LateVerdict != nil {
		before = *s.Waiting.LateVerdict
	}
	verdict := w.json(s.Verdict)
	changed := s.Waiting.LateVerdict == nil || string(verdict) != string(w.json(before))
	moved := s.State != s.Waiting.State || !sameRefs(s.Holds, s.Waiting.Holding)
	w.decision.State = s.State
	w.batch.Queue(`
		UPDATE decisions SET state = $3, late_verdict = $4, judged_at = $5, due_at = CASE WHEN $3 <> 'released' THEN due_at END
		WHERE org_id = $1 AND id = $2`, w.org, w.decision.ID, s.State, verdict, s.Waiting.ReadAt)
	if changed {
		w.batch.Queue(`DELETE FROM violations WHERE org_id = $1 AND decision_id = $2 AND late`, w.org, w.decision.ID)
		w.violations(s.Verdict, true)
	}
	w.recount(s.Brought)
	w.holds(by, s)
	if moved {
		w.event(by, s.Event, map[string]any{"outcome": s.Verdict.Outcome})
		w.audit(by, "decision."+string(s.State), map[string]any{"decision": w.decision.ID, "event": s.Event})
		w.tellLate(s)
	}
	return w.send(ctx, tx, "settling a decision")
}

func sameRefs(holds []WantedHold, refs []string) bool {
	wanted := make([]string, len(holds))
	for i, h := range holds {
		wanted[i] = h.Ref
	}
	slices.Sort(wanted)
	return slices.Equal(wanted, slices.Sorted(slices.Values(refs)))
}

// holds brings the active holds of the decision in line with those wanted.
func (w *decisionWriter) holds(by access.Principal, s Settlement) {
	refs := make([]string, len(s.Holds))
	for i, h := range s.Holds {
		refs[i] = h.Ref
	}
	w.batch.Queue(`
		UPDATE holds SET released_at = now(), released_by = $3, release = $4
		WHERE org_id = $1 AND decision_id = $2 AND released_at IS NULL AND ref <> ALL($5::text[])`,
		w.org, w.decision.ID, actor(by), releases[s.Event], refs)
	for _, h := range s.Holds {
		w.batch.Queue(`
			INSERT INTO holds (org_id, id, decision_id, repo_id, ref, pusher, commits) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (org_id, repo_id, ref, pusher, decision_id) WHERE released_at IS NULL DO UPDATE SET commits = excluded.commits`,
			w.org, newID(), w.decision.ID, w.decision.RepoID, h.Ref, w.decision.Pusher, h.Commits)
	}
}

// recount writes what commits count as by the newest reading of their notes,
// unless a later push brought them again.
func (w *decisionWriter) recount(commits []PushedCommit) {
	n := len(commits)
	if n == 0 {
		return
	}
	oids, added, ai, human, noted := make([]string, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]bool, n)
	var sum push.Lines
	for i, c := range commits {
		oids[i], noted[i] = c.Commit, c.Noted
		added[i], ai[i], human[i] = c.Lines.Added, c.Lines.AI, c.Lines.Human
		sum = sum.Plus(c.Lines)
	}
	w.batch.Queue(`
		UPDATE pushed_commits p SET added = c.added, ai = c.ai, human = c.human, noted = c.noted
		FROM unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[]) AS c (commit, added, ai, human, noted)
		WHERE p.org_id = $1 AND p.repo_id = $2 AND p.commit = c.commit AND p.decision_id = $3
		  AND (p.added, p.ai, p.human, p.noted) <> (c.added, c.ai, c.human, c.noted)`,
		w.org, w.decision.RepoID, w.decision.ID, oids, added, ai, human, noted)
	w.batch.Queue(`UPDATE decisions SET added = $3, ai = $4, human = $5 WHERE org_id = $1 AND id = $2`,
		w.org, w.decision.ID, sum.Added, sum.AI, sum.Human)
}

// AcceptedPush is a push that was let through.
type AcceptedPush struct {
	ID   uuid.UUID
	At   time.Time
	Refs []push.Ref
}

// AcceptedPushes lists the newest limit pushes to a repository that were let
// through after a decision (the nil UUID: any) and not withdrawn, newest first.
func (tx *Tx) AcceptedPushes(ctx context.Context, org, repo, after uuid.UUID, limit int) ([]AcceptedPush, error) {
	return collect[AcceptedPush](ctx, tx, "listing accepted pushes", `
		SELECT id, at, refs FROM decisions
		WHERE org_id = $1 AND repo_id = $2 AND id > $3 AND outcome <> 'refuse' AND state <> 'withdrawn' ORDER BY id DESC LIMIT $4`, org, repo, after, limit)
}

// RecordedPush reads the push that was decided on, as it was recorded.
func (tx *Tx) RecordedPush(ctx context.Context, org, decision uuid.UUID) (json.RawMessage, error) {
	row, err := collectOne[struct{ Push json.RawMessage }](ctx, tx, "reading the push of decision "+decision.String(), `
		SELECT push FROM decision_inputs WHERE org_id = $1 AND decision_id = $2`, org, decision)
	return row.Push, err
}

// Leave notes that a push, which was let through, has moved or deleted refs:
// commits that no ref has any more count no longer, and waiting decisions know
// which of their refs are gone. It returns the waiting decisions that this
// concerns. Noting it again changes nothing.
func (tx *Tx) Leave(ctx context.Context, by access.Principal, repo, decision uuid.UUID, commits, deleted []string) ([]WaitingRef, error) {
	noted, err := tx.noteGone(ctx, by, repo, decision, deleted)
	if err != nil {
		return nil, err
	}
	return collect[WaitingRef](ctx, tx, "forgetting commits that were left behind", `
		WITH gone AS (
			DELETE FROM pushed_commits WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($4) AND decision_id < $3 RETURNING decision_id)
		SELECT org_id, id, repo_id, $6 AS event FROM decisions
		WHERE org_id = $1 AND state IN ('pending', 'held') AND (id = ANY($5) OR id IN (SELECT decision_id FROM gone)) ORDER BY id`,
		by.Org, repo, decision, commits, noted, EventGone)
}

// noteGone tells waiting decisions which of their refs were deleted.
func (tx *Tx) noteGone(ctx context.Context, by access.Principal, repo, decision uuid.UUID, deleted []string) ([]uuid.UUID, error) {
	if len(deleted) == 0 {
		return []uuid.UUID{}, nil
	}
	waiting, err := collect[Decision](ctx, tx, "finding decisions on deleted refs", `SELECT `+decisionColumns+`
		FROM decisions d WHERE d.org_id = $1 AND d.repo_id = $2 AND d.id < $3 AND d.state IN ('pending', 'held')
		  AND NOT EXISTS (SELECT FROM decision_events e WHERE e.org_id = $1 AND e.decision_id = d.id
		                  AND e.event = $4 AND e.detail->>'by' = $3::text)
		ORDER BY d.id FOR UPDATE`, by.Org, repo, decision, EventGone)
	if err != nil {
		return nil, err
	}
	noted := []uuid.UUID{}
	for i := range waiting {
		var gone []string
		for _, ref := range waiting[i].Refs {
			if slices.Contains(deleted, ref.Name) {
				gone = append(gone, ref.Name)
			}
		}
		if len(gone) == 0 {
			continue
		}
		noted = append(noted, waiting[i].ID)
		w := tx.decisionWriter(by.Org, &waiting[i])
		w.event(by, EventGone, map[string]any{"refs": gone, "by": decision})
		if err := w.send(ctx, tx, "noting deleted refs"); err != nil {
			return nil, err
		}
	}
	return noted, nil
}
