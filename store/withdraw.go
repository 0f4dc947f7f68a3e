package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

// OpenPush is a push that was let through and of which it is not known yet
// whether its repository took it.
type OpenPush struct {
	OrgID, DecisionID, RepoID uuid.UUID
	// Session names the connection that the push came on.
	Session string
	At      time.Time
	Refs    []push.Ref
	// Followed says that a later push found a ref where this one set it.
	Followed bool
}

// OpenPushes lists the open pushes to the repositories of a place that were let
// through before the moment, by repository.
func (db *DB) OpenPushes(ctx context.Context, place string, before time.Time) ([]OpenPush, error) {
	return collect[OpenPush](ctx, db.pool, "listing open pushes", `
		SELECT d.org_id, d.id AS decision_id, d.repo_id, o.session, d.at, d.refs, EXISTS (
			SELECT FROM decisions l, json_array_elements(l.refs) s, json_array_elements(d.refs) r
			WHERE l.org_id = d.org_id AND l.repo_id = d.repo_id AND l.id > d.id
			  AND s->>'name' = r->>'name' AND s->>'old' = r->>'new') AS followed
		FROM open_pushes o JOIN decisions d ON d.org_id = o.org_id AND d.id = o.decision_id
		WHERE o.place = $1 AND d.at < $2 ORDER BY d.repo_id, d.id`, place, before)
}

// PushArrived notes that the repository took the push: its decision stands. Of a
// push that is not open it changes nothing.
func (db *DB) PushArrived(ctx context.Context, org, decision uuid.UUID) error {
	_, err := db.pool.Exec(ctx, `DELETE FROM open_pushes WHERE org_id = $1 AND decision_id = $2`, org, decision)
	return translate(err, "closing an open push")
}

// SessionArrived is PushArrived of the push that came on a connection.
func (tx *Tx) SessionArrived(ctx context.Context, org uuid.UUID, place, session string) error {
	_, err := tx.Exec(ctx, `DELETE FROM open_pushes WHERE org_id = $1 AND place = $2 AND session = $3`, org, place, session)
	return translate(err, "closing an open push")
}

// Withdrawn is a decision that was withdrawn, and what counted through it.
type Withdrawn struct {
	Decision
	Commits []string
	Prompts []uuid.UUID
}

// Withdraw takes back a decision that let a push through which its repository
// did not take: what it brought counts no more, and its holds end. Decisions that
// refused, and those that are withdrawn, stay as they are and give back nothing.
func (tx *Tx) Withdraw(ctx context.Context, by access.Principal, id uuid.UUID, why string) (Withdrawn, error) {
	var out Withdrawn
	var err error
	out.Decision, err = collectOne[Decision](ctx, tx, "withdrawing decision "+id.String(), `
		SELECT `+decisionColumns+` FROM decisions d WHERE d.org_id = $1 AND d.id = $2 FOR UPDATE`, by.Org, id)
	if err != nil {
		return Withdrawn{}, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM open_pushes WHERE org_id = $1 AND decision_id = $2`, by.Org, id); err != nil {
		return Withdrawn{}, translate(err, "closing an open push")
	}
	if out.Outcome == push.Refuse || out.State == StateWithdrawn {
		return out, nil
	}
	if err := tx.uncount(ctx, by.Org, &out); err != nil {
		return Withdrawn{}, err
	}
	out.State, out.DueAt = StateWithdrawn, nil
	return out, tx.recordWithdrawal(ctx, by, &out.Decision, why)
}

// uncount takes out what counts through the decision. A prompt that is summed up
// stays as one that cost nothing, until the sums are mended.
func (tx *Tx) uncount(ctx context.Context, org uuid.UUID, w *Withdrawn) error {
	rows, err := tx.Query(ctx, `DELETE FROM pushed_commits WHERE org_id = $1 AND decision_id = $2 RETURNING commit`, org, w.ID)
	if err == nil {
		w.Commits, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return translate(err, "forgetting the commits of a decision")
	}
	rows, err = tx.Query(ctx, `
		WITH loose AS (
			DELETE FROM pushed_prompts WHERE org_id = $1 AND decision_id = $2 AND summed_usd IS NULL RETURNING prompt_id
		), summed AS (
			UPDATE pushed_prompts SET cost_usd = 0, stale = true
			WHERE org_id = $1 AND decision_id = $2 AND summed_usd IS NOT NULL RETURNING prompt_id)
		SELECT prompt_id FROM loose UNION ALL SELECT prompt_id FROM summed`, org, w.ID)
	if err == nil {
		w.Prompts, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	}
	return translate(err, "forgetting the prompts of a decision")
}

// recordWithdrawal writes the state with all that follows from it. Forges are
// told nothing of commits that they have not.
func (tx *Tx) recordWithdrawal(ctx context.Context, by access.Principal, d *Decision, why string) error {
	w := tx.decisionWriter(by.Org, d)
	w.batch.Queue(`UPDATE decisions SET state = $3, due_at = NULL WHERE org_id = $1 AND id = $2`, by.Org, d.ID, d.State)
	w.batch.Queue(`
		UPDATE holds SET released_at = now(), released_by = $3, release = $4
		WHERE org_id = $1 AND decision_id = $2 AND released_at IS NULL`, by.Org, d.ID, actor(by), EventWithdrawn)
	w.batch.Queue(`DELETE FROM commit_statuses WHERE org_id = $1 AND repo_id = $2 AND decision_id = $3 AND posted = ''`,
		by.Org, d.RepoID, d.ID)
	detail := map[string]any{"decision": d.ID, "pusher": d.Pusher, "why": why}
	w.event(by, EventWithdrawn, detail)
	w.audit(by, "decision."+string(d.State), detail)
	told := w.toldOf(push.Verdict{Outcome: d.Outcome})
	told.Event = EventWithdrawn
	w.tell(ToldWithdrawn, time.Time{}, told)
	return w.send(ctx, tx, "withdrawing a decision")
}

// CountedPush is a push that counts, with what was judged as JSON.
type CountedPush struct {
	ID    uuid.UUID
	At    time.Time
	Input json.RawMessage
}

// CountedPushes lists the pushes to a repository since the moment that count,
// the oldest of the newest limit first.
func (tx *Tx) CountedPushes(ctx context.Context, org, repo uuid.UUID, since time.Time, limit int) ([]CountedPush, error) {
	return collect[CountedPush](ctx, tx, "listing pushes that count", `
		SELECT id, at, input FROM (
			SELECT d.id, d.at, i.input FROM decisions d JOIN decision_inputs i ON i.org_id = d.org_id AND i.decision_id = d.id
			WHERE d.org_id = $1 AND d.repo_id = $2 AND d.id >= $3 AND d.outcome <> 'refuse' AND d.state <> 'withdrawn'
			ORDER BY d.id DESC LIMIT $4) d
		ORDER BY id`, org, repo, idFloor(since), limit)
}

// CountAgain lets count what a push brought and a withdrawn decision has counted
// last. Of d are read: the organisation, the day, the decision's id, time and
// repository, and what was brought.
func (tx *Tx) CountAgain(ctx context.Context, d *NewDecision) error {
	w := tx.decisionWriter(d.Org, &d.Decision)
	queuePushedCommits(w.batch, d)
	queuePushedPrompts(w.batch, d)
	return w.send(ctx, tx, "counting a push again")
}
