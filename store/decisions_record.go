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

// NewDecision is a decision with all that is recorded of its push.
type NewDecision struct {
	// Decision lacks an ID: recording makes one of its time.
	Decision
	Org uuid.UUID
	// Day is the day of the push in the organisation's time zone, as midnight UTC.
	Day     time.Time
	Verdict push.Verdict
	// Push and Input are what was judged, as JSON.
	Push, Input json.RawMessage
	// Place is where the repository is kept, if it will be known whether it took the
	// push; see OpenPush. Place, Brought and Prompts are of accepted pushes alone.
	Place   string
	Brought []PushedCommit
	Prompts []PushedPrompt
}

// RecordDecision writes a decision, what was judged, what an accepted push
// brings, and the audit row. It sets the ID.
func (tx *Tx) RecordDecision(ctx context.Context, by access.Principal, d *NewDecision) error {
	d.ID = decisionID(d.At)
	for _, text := range []*string{&d.Pusher, &d.PusherName, &d.Forge, &d.Via, &d.Override} {
		*text = clean(*text)
	}
	w := tx.decisionWriter(d.Org, &d.Decision)
	b := w.batch
	if d.Refs == nil {
		d.Refs = []push.Ref{}
	}
	b.Queue(`
		INSERT INTO decisions (org_id, id, at, repo_id, repo, pusher, pusher_name, forge, via, refs, outcome, state, receipt_mode,
			due_at, override, commits, added, ai, human, verdict, took_us, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`,
		d.Org, d.ID, d.At, d.RepoID, d.Repo, d.Pusher, d.PusherName, d.Forge, d.Via, w.json(d.Refs), d.Outcome, d.State,
		d.ReceiptMode, d.DueAt, d.Override, d.Commits, d.Added, d.AI, d.Human, w.json(d.Verdict), d.TookUS, d.RequestID)
	b.Queue(`INSERT INTO decision_inputs (org_id, decision_id, push, input) VALUES ($1, $2, $3, $4)`, d.Org, d.ID, d.Push, d.Input)
	w.violations(d.Verdict, false)
	queuePushedCommits(b, d)
	queuePushedPrompts(b, d)
	if d.Place != "" {
		b.Queue(`INSERT INTO open_pushes (org_id, decision_id, place, session) VALUES ($1, $2, $3, $4)`, d.Org, d.ID, d.Place, d.RequestID)
	}
	w.audit(by, auditAction(d), map[string]any{"decision": d.ID, "pusher": d.Pusher, "state": d.State, "override": d.Override})
	w.tellPush(d.Verdict)
	return w.send(ctx, tx, "recording a decision")
}

func auditAction(d *NewDecision) string {
	if d.Override != "" {
		return "push.override"
	}
	return "push." + string(d.Outcome)
}

// decisionWriter gathers the rows of one decision, to be sent in one go.
type decisionWriter struct {
	batch    *pgx.Batch
	org      uuid.UUID
	decision *Decision
	err      error
	// messages are the statements of the batch that write messages, which lead to
	// pages.
	messages []int
	page     func(path string) string
}

func (tx *Tx) decisionWriter(org uuid.UUID, d *Decision) *decisionWriter {
	return &decisionWriter{batch: &pgx.Batch{}, org: org, decision: d, page: tx.page}
}

// json encodes a value of our own for a column of that type.
func (w *decisionWriter) json(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encoding a decision: %w", err)
	}
	return text
}

// violations writes the findings that warn or refuse.
func (w *decisionWriter) violations(v push.Verdict, late bool) {
	d := w.decision
	for _, f := range v.Findings {
		if f.Outcome != push.Warn && f.Outcome != push.Refuse {
			continue
		}
		policy, _ := uuid.Parse(f.PolicyID)
		var waiver *uuid.UUID
		if id, err := uuid.Parse(f.Waiver); err == nil {
			waiver = &id
		}
		w.batch.Queue(`
			INSERT INTO violations (org_id, id, decision_id, late, repo_id, repo, pusher, policy_id, policy_name, version, rule,
				outcome, commit, waiver_id, finding)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			w.org, newID(), d.ID, late, d.RepoID, d.Repo, d.Pusher, policy, clean(f.PolicyName), f.Version, clean(f.Rule), f.Outcome,
			clean(f.Commit), waiver, w.json(f))
	}
}

// event writes what happened to the decision and where it stands now.
func (w *decisionWriter) event(by access.Principal, event string, detail any) {
	w.batch.Queue(`
		INSERT INTO decision_events (org_id, decision_id, seq, event, state, principal, detail)
		SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5, $6::json FROM decision_events WHERE org_id = $1 AND decision_id = $2`,
		w.org, w.decision.ID, event, w.decision.State, actor(by), w.json(detail))
}

func (w *decisionWriter) audit(by access.Principal, action string, detail any) {
	w.batch.Queue(sqlAudit, w.org, by.Name, action, w.decision.Repo, w.json(detail), by.RequestID)
}

func (w *decisionWriter) send(ctx context.Context, tx *Tx, op string) error {
	if w.err != nil {
		return w.err
	}
	var written int64
	results := tx.SendBatch(ctx, w.batch)
	for i := range w.batch.Len() {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close()
			return translate(err, "%s", op)
		}
		if slices.Contains(w.messages, i) {
			written += tag.RowsAffected()
		}
	}
	if err := results.Close(); err != nil {
		return translate(err, "%s", op)
	}
	return tx.wake(ctx, written)
}
