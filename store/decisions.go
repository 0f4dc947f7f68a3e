package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
)

// DecisionState is where a decision stands; docs/enforcement.md draws the ways
// between them.
type DecisionState string

// The states. Pending decisions wait for receipts, held ones keep their pusher
// from pushing to the branch; Final and Released are ends. Withdrawn ones let a
// push through that its repository did not take.
const (
	StateFinal     DecisionState = "final"
	StatePending   DecisionState = "pending"
	StateHeld      DecisionState = "held"
	StateReleased  DecisionState = "released"
	StateWithdrawn DecisionState = "withdrawn"
)

// Decision is what was decided on one push, as lists show it.
type Decision struct {
	ID     uuid.UUID
	At     time.Time
	RepoID uuid.UUID
	Repo   string
	// Pusher is the key under which the pusher counts: the user's e-mail address,
	// else the lower-case address or account name that the forge gave.
	Pusher     string
	PusherName string
	Forge      string
	Via        string
	Refs       []push.Ref
	// Outcome is what the pusher was told, State where the decision stands now.
	Outcome     push.Outcome
	State       DecisionState
	ReceiptMode string
	// DueAt is when a pending decision is judged with what is there.
	DueAt *time.Time
	// Override is the reason of an override that let a refused push pass.
	Override string
	// Commits counts the new commits that the hook listed, the others the lines
	// that they added, as far as they count.
	Commits   int
	Added     int64
	AI        int64
	Human     int64
	JudgedAt  *time.Time
	TookUS    int
	RequestID string
}

const decisionColumns = `d.id, d.at, d.repo_id, d.repo, d.pusher, d.pusher_name, d.forge, d.via, d.refs, d.outcome, d.state,
	d.receipt_mode, d.due_at, d.override, d.commits, d.added, d.ai, d.human, d.judged_at, d.took_us, d.request_id`

// DecisionFilter selects decisions; its conditions are joined by AND and zero
// values select everything.
type DecisionFilter struct {
	Repo    uuid.UUID
	Pusher  string
	Outcome push.Outcome
	State   DecisionState
	// From is inclusive, To is exclusive.
	From, To time.Time
	// Policy selects decisions in which the policy was violated or failed.
	Policy uuid.UUID
}

func (f DecisionFilter) conditions(org, after uuid.UUID) *conditions {
	c := &conditions{}
	c.add("d.org_id = ?", org)
	if after != uuid.Nil {
		c.add("d.id < ?", after)
	}
	if f.Repo != uuid.Nil {
		c.add("d.repo_id = ?", f.Repo)
	}
	if f.Pusher != "" {
		c.add("d.pusher = ?", f.Pusher)
	}
	if f.Outcome != "" {
		c.add("d.outcome = ?", f.Outcome)
	}
	if f.State != "" {
		c.add("d.state = ?", f.State)
	}
	// An id begins with the time of its decision, so that the key leads to a period.
	if !f.From.IsZero() {
		c.add("d.at >= ? AND d.id >= ?", f.From, idFloor(f.From))
	}
	if !f.To.IsZero() {
		c.add("d.at < ? AND d.id < ?", f.To, idFloor(f.To.Add(time.Millisecond)))
	}
	if f.Policy != uuid.Nil {
		c.add("d.id IN (SELECT v.decision_id FROM violations v WHERE v.org_id = ? AND v.policy_id = ?)", org, f.Policy)
	}
	return c
}

// Decisions lists up to limit decisions, newest first, after the one with the
// id after (the nil UUID: from the newest).
func (db *DB) Decisions(ctx context.Context, org uuid.UUID, f DecisionFilter, after uuid.UUID, limit int) ([]Decision, error) {
	return decisionsPage(ctx, db.pool, org, f, after, limit)
}

const newestDecisions = ` ORDER BY d.id DESC LIMIT `

func decisionsPage(ctx context.Context, q querier, org uuid.UUID, f DecisionFilter, after uuid.UUID, limit int) ([]Decision, error) {
	c := f.conditions(org, after)
	where := c.where()
	if f.Policy != uuid.Nil {
		// Of a policy the ids are found first, which indexes have: two orders of them are
		// walked side by side, however few they share.
		where = "d.org_id = $1 AND d.id IN (SELECT d.id FROM decisions d WHERE " + where + newestDecisions + itoa(limit) + ")"
	}
	return collect[Decision](ctx, q, "listing decisions", `SELECT `+decisionColumns+` FROM decisions d
		WHERE `+where+newestDecisions+itoa(limit), append([]any{planned}, c.args...)...)
}

// Violation is a finding of the outcome warn or refuse, at the push or late.
type Violation struct {
	ID         uuid.UUID
	DecisionID uuid.UUID
	At         time.Time
	// Late says that a late verdict found it.
	Late       bool
	RepoID     uuid.UUID
	Repo       string
	Pusher     string
	PolicyID   uuid.UUID
	PolicyName string
	Version    int
	Rule       string
	Outcome    push.Outcome
	Commit     string
	// WaiverID is the waiver that took the finding's force away.
	WaiverID *uuid.UUID
	Finding  push.Finding
}

const violationColumns = `v.id, v.decision_id, v.at, v.late, v.repo_id, v.repo, v.pusher, v.policy_id, v.policy_name, v.version,
	v.rule, v.outcome, v.commit, v.waiver_id, v.finding`

// Hold keeps a pusher from a branch until its decision is released.
type Hold struct {
	ID         uuid.UUID
	DecisionID uuid.UUID
	RepoID     uuid.UUID
	Ref        string
	Pusher     string
	// Commits are those at fault.
	Commits    []string
	CreatedAt  time.Time
	ReleasedAt *time.Time
	ReleasedBy string
	// Release says why it ended: waived, reviewed, gone, judged, released or
	// withdrawn.
	Release string
	Reason  string
}

const holdColumns = `h.id, h.decision_id, h.repo_id, h.ref, h.pusher, h.commits, h.created_at, h.released_at, h.released_by,
	h.release, h.reason`

// DecisionEvent is something that happened to a decision.
type DecisionEvent struct {
	Seq       int
	At        time.Time
	Event     string
	State     DecisionState
	Principal string
	Detail    json.RawMessage
}

// DecisionDetail is a decision with all that hangs on it.
type DecisionDetail struct {
	Decision
	// Verdict is what the pusher was told, LateVerdict the newest late one.
	Verdict     push.Verdict
	LateVerdict *push.Verdict
	Events      []DecisionEvent
	// Violations are of the newest judgement of the push and of late ones, in order.
	Violations []Violation
	Holds      []Hold
}

// Decision reads one decision. ErrNotFound if the organisation has none with
// that id.
func (db *DB) Decision(ctx context.Context, org, id uuid.UUID) (DecisionDetail, error) {
	var out DecisionDetail
	err := db.snapshot(ctx, func(q querier) (err error) {
		row, err := collectOne[struct {
			Decision
			Verdict     push.Verdict
			LateVerdict *push.Verdict
		}](ctx, q, "reading decision "+id.String(), `SELECT `+decisionColumns+`, d.verdict, d.late_verdict
			FROM decisions d WHERE d.org_id = $1 AND d.id = $2`, org, id)
		if err != nil {
			return err
		}
		out.Decision, out.Verdict, out.LateVerdict = row.Decision, row.Verdict, row.LateVerdict
		out.Events, err = collect[DecisionEvent](ctx, q, "reading the events of a decision", `
			SELECT seq, at, event, state, principal, detail FROM decision_events
			WHERE org_id = $1 AND decision_id = $2 ORDER BY seq`, org, id)
		if err != nil {
			return err
		}
		out.Violations, err = collect[Violation](ctx, q, "reading the violations of a decision", `SELECT `+violationColumns+`
			FROM violations v WHERE v.org_id = $1 AND v.decision_id = $2 ORDER BY v.id`, org, id)
		if err != nil {
			return err
		}
		out.Holds, err = collect[Hold](ctx, q, "reading the holds of a decision", `SELECT `+holdColumns+`
			FROM holds h WHERE h.org_id = $1 AND h.decision_id = $2 ORDER BY h.id`, org, id)
		return err
	})
	return out, err
}

// decisionID makes the id of a decision: a UUIDv7 (RFC 9562) of its time, so
// that ids and times have one order.
func decisionID(at time.Time) uuid.UUID {
	id := newID()
	putTime(&id, at)
	return id
}

// idFloor is below every id of the moment and later ones.
func idFloor(at time.Time) uuid.UUID {
	var id uuid.UUID
	putTime(&id, at)
	return id
}

func putTime(id *uuid.UUID, at time.Time) {
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
}

// maxShownInput bounds the inputs that are read to be shown, in bytes.
const maxShownInput = 1 << 20

// DecisionInputs reads what was judged of each of the decisions, as recorded.
// Inputs that are not kept any more or are larger than 1 MiB are left out.
func (db *DB) DecisionInputs(ctx context.Context, org uuid.UUID, decisions []uuid.UUID) (map[uuid.UUID]json.RawMessage, error) {
	rows, err := collect[struct {
		DecisionID uuid.UUID
		Input      json.RawMessage
	}](ctx, db.pool, "reading the inputs of decisions", `
		SELECT decision_id, input FROM decision_inputs
		WHERE org_id = $1 AND decision_id = ANY($2) AND octet_length(input::text) <= $3`, org, decisions, maxShownInput)
	out := make(map[uuid.UUID]json.RawMessage, len(rows))
	for _, row := range rows {
		out[row.DecisionID] = row.Input
	}
	return out, err
}
