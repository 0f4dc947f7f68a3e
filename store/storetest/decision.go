package storetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Decision is a decision to be recorded as it is. Zero fields have the values of
// an accepted push that just ended.
type Decision struct {
	At      time.Time
	Repo    store.Repo
	Pusher  string
	State   store.DecisionState
	Verdict push.Verdict
	Input   push.Input
	// Holds are refs that the decision holds for its pusher.
	Holds []string
}

// MustDecision records a decision with its input, violations, holds and, unless
// it refuses, its commits, as judging the push would.
func MustDecision(t testing.TB, db *store.DB, org store.Org, d Decision) uuid.UUID {
	t.Helper()
	if d.At.IsZero() {
		d.At = time.Now()
	}
	if d.State == "" {
		d.State = store.StateFinal
	}
	if d.Verdict.Outcome == "" {
		d.Verdict.Outcome = push.Accept
	}
	id := idAt(d.At)
	err := db.InTx(context.Background(), func(tx *store.Tx) error {
		return insert(&inserting{tx: tx, org: org.ID, id: id, Decision: d})
	})
	if err != nil {
		t.Fatalf("recording a decision: %v", err)
	}
	return id
}

// inserting is a decision on its way into the database.
type inserting struct {
	tx      *store.Tx
	org, id uuid.UUID
	Decision
}

// exec runs a statement whose first parameters are organisation, decision and
// repository.
func (d *inserting) exec(sql string, args ...any) error {
	_, err := d.tx.Exec(context.Background(), sql, append([]any{d.org, d.id, d.Repo.ID}, args...)...)
	return err
}

func insert(d *inserting) error {
	var lines push.Lines
	for i := range d.Input.Commits {
		lines = lines.Plus(d.Input.Commits[i].Lines())
	}
	err := d.exec(`
		INSERT INTO decisions (org_id, id, at, repo_id, repo, pusher, pusher_name, forge, via, refs, outcome, state, receipt_mode,
			commits, added, ai, human, verdict, took_us, request_id)
		VALUES ($1, $2, $4, $3, $5, $6, $6, 'git', 'push', $7, $8, $9, 'deferred', $10, $11, $12, $13, $14, 1000, '')`,
		d.At, d.Repo.Name, d.Pusher, text(d.Input.Refs), d.Verdict.Outcome, d.State, len(d.Input.Commits),
		lines.Added, lines.AI, lines.Human, text(d.Verdict))
	if err != nil {
		return err
	}
	err = d.exec(`INSERT INTO decision_inputs (org_id, decision_id, push, input) SELECT $1, $2, '{}', $4 WHERE $3::uuid IS NOT NULL`, text(d.Input))
	if err != nil {
		return err
	}
	if err := d.insertFindings(); err != nil {
		return err
	}
	return d.insertCommits()
}

func (d *inserting) insertFindings() error {
	for _, f := range d.Verdict.Findings {
		if f.Outcome != push.Refuse && f.Outcome != push.Warn {
			continue
		}
		if err := d.exec(`
			INSERT INTO violations (org_id, id, decision_id, at, late, repo_id, repo, pusher, policy_id, policy_name, version, rule,
				outcome, commit, finding)
			VALUES ($1, $14, $2, $4, false, $3, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			d.At, d.Repo.Name, d.Pusher, f.PolicyID, f.PolicyName, f.Version, f.Rule, f.Outcome, f.Commit, text(f), idAt(d.At)); err != nil {
			return err
		}
	}
	for _, ref := range d.Holds {
		if err := d.exec(`
			INSERT INTO holds (org_id, id, decision_id, repo_id, ref, pusher, commits) VALUES ($1, $6, $2, $3, $4, $5, '{}')`,
			ref, d.Pusher, idAt(d.At)); err != nil {
			return err
		}
	}
	return nil
}

func (d *inserting) insertCommits() error {
	if d.Verdict.Outcome == push.Refuse {
		return nil
	}
	for i := range d.Input.Commits {
		c := &d.Input.Commits[i]
		lines := c.Lines()
		if err := d.exec(`
			INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day, pushed_at)
			VALUES ($1, $3, $4, $2, $5, $6, $7, $8, $9, $10, $11::timestamptz::date, $11) ON CONFLICT DO NOTHING`,
			c.OID, c.PatchID, c.Author.Email, lines.Added, lines.AI, lines.Human, c.Noted, d.At); err != nil {
			return err
		}
	}
	return nil
}

// idAt is a UUID of version 7 (RFC 9562, section 5.7) of a moment, with its
// fraction of a millisecond behind it, so that ids are in the order of moments.
func idAt(at time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	for i, ms := 0, at.UnixMilli(); i < 6; i++ {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	const fractions = 1 << 12
	fraction := at.Nanosecond() % int(time.Millisecond) * fractions / int(time.Millisecond)
	id[6], id[7] = 0x70|byte(fraction>>8), byte(fraction)
	return id
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
