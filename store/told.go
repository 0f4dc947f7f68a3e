package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

// MessageType is what a message tells of.
type MessageType string

// The types of messages. docs/endpoints.md has an example of each.
const (
	ToldRefused      MessageType = "push.refused"
	ToldWarned       MessageType = "push.warned"
	ToldHeld         MessageType = "decision.held"
	ToldReleased     MessageType = "decision.released"
	ToldPending      MessageType = "decision.pending"
	ToldWithdrawn    MessageType = "decision.withdrawn"
	ToldReviewWanted MessageType = "review.wanted"
	ToldApproved     MessageType = "review.approved"
	ToldRejected     MessageType = "review.rejected"
	ToldWaived       MessageType = "waiver.created"
	ToldTampered     MessageType = "finding.receipt_tampered"
	ToldRewritten    MessageType = "finding.notes_ref_rewritten"
	ToldDeleted      MessageType = "finding.notes_ref_deleted"
	// ToldPing is sent to one endpoint when somebody asks for it, whatever it is
	// told of otherwise.
	ToldPing MessageType = "ping"
)

// MessageTypes are those that an endpoint can be told of, in the order in which
// people are shown them.
var MessageTypes = []MessageType{ToldRefused, ToldWarned, ToldHeld, ToldReleased, ToldPending, ToldWithdrawn, ToldReviewWanted, ToldApproved,
	ToldRejected, ToldWaived, ToldTampered, ToldRewritten, ToldDeleted}

// Bounds of what a message says: it leads to the page that has all of it.
const (
	maxToldRows = 20
	maxToldText = 500
)

// told is something that endpoints are to be told of.
type told struct {
	kind MessageType
	// at is when it happened; zero is the time of the transaction.
	at   time.Time
	repo uuid.UUID
	data any
}

// ToldDecision is the data of messages about a push: push.*, decision.* and
// review.wanted.
type ToldDecision struct {
	Decision   uuid.UUID     `json:"decision"`
	URL        string        `json:"url,omitempty"`
	RepoID     uuid.UUID     `json:"repo_id"`
	Repo       string        `json:"repo"`
	Pusher     string        `json:"pusher"`
	PusherName string        `json:"pusher_name"`
	Refs       []ToldRef     `json:"refs"`
	MoreRefs   int           `json:"more_refs,omitempty"`
	Outcome    push.Outcome  `json:"outcome"`
	State      DecisionState `json:"state"`
	Overridden bool          `json:"overridden,omitempty"`
	// Event is what led to a late verdict, Held the refs that its pusher is kept from.
	Event        string        `json:"event,omitempty"`
	Held         []string      `json:"held,omitempty"`
	Commits      int           `json:"commits"`
	Findings     []ToldFinding `json:"findings"`
	MoreFindings int           `json:"more_findings,omitempty"`
}

// ToldRef is a ref that a push moves.
type ToldRef struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// ToldFinding is what a policy found in a push.
type ToldFinding struct {
	PolicyID string       `json:"policy_id,omitempty"`
	Policy   string       `json:"policy"`
	Rule     string       `json:"rule"`
	Outcome  push.Outcome `json:"outcome"`
	Commit   string       `json:"commit,omitempty"`
	File     string       `json:"file,omitempty"`
	Waiver   string       `json:"waiver,omitempty"`
	Message  string       `json:"message"`
}

// ToldWaiver is the data of waiver.created.
type ToldWaiver struct {
	Waiver    uuid.UUID  `json:"waiver"`
	URL       string     `json:"url,omitempty"`
	PolicyID  uuid.UUID  `json:"policy_id"`
	Policy    string     `json:"policy"`
	RepoID    *uuid.UUID `json:"repo_id"`
	Repo      string     `json:"repo"`
	Pusher    string     `json:"pusher"`
	Commit    string     `json:"commit"`
	PatchID   string     `json:"patch_id"`
	CreatedBy string     `json:"created_by"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// ToldReview is the data of review.approved and review.rejected.
type ToldReview struct {
	URL          string    `json:"url,omitempty"`
	RepoID       uuid.UUID `json:"repo_id"`
	Repo         string    `json:"repo"`
	Reviewer     string    `json:"reviewer"`
	ReviewerName string    `json:"reviewer_name"`
	Commits      []string  `json:"commits"`
	MoreCommits  int       `json:"more_commits,omitempty"`
}

// ToldFindings is the data of finding.*: what one fetch or one push of notes
// brought to light of one kind.
type ToldFindings struct {
	URL          string      `json:"url,omitempty"`
	RepoID       uuid.UUID   `json:"repo_id"`
	Repo         string      `json:"repo"`
	Ref          string      `json:"ref"`
	Code         string      `json:"code"`
	Findings     []ToldFault `json:"findings"`
	MoreFindings int         `json:"more_findings,omitempty"`
}

// ToldFault is a finding about notes.
type ToldFault struct {
	ID      uuid.UUID `json:"id"`
	Commit  string    `json:"commit,omitempty"`
	Receipt string    `json:"receipt,omitempty"`
	Message string    `json:"message"`
}

// ToldPinged is the data of ping.
type ToldPinged struct {
	Endpoint uuid.UUID `json:"endpoint"`
	URL      string    `json:"url,omitempty"`
	Name     string    `json:"name"`
	By       string    `json:"by"`
}

// page is the address of a page, empty where nobody has said how people get here.
func (tx *Tx) page(path string) string {
	if tx.publicURL == "" {
		return ""
	}
	return tx.publicURL + path
}

// sqlTell writes a message for every endpoint. Each has an id of version 7 of its
// own: its time is that of $2, its other half is random.
const sqlTell = `
	INSERT INTO messages (org_id, id, endpoint_id, type, at, repo_id, data)
	SELECT $1, (left($2::uuid::text, 18) || right(gen_random_uuid()::text, 18))::uuid, e.id, $3, coalesce($4, now()), $5, $6
	FROM endpoints e WHERE e.org_id = $1 AND e.disabled_at IS NULL
	  AND (e.types = '{}' OR $3 = ANY(e.types)) AND (e.repos = '{}' OR $5::uuid IS NULL OR $5 = ANY(e.repos))`

// arguments are those of sqlTell.
func (t told) arguments(org uuid.UUID) ([]any, error) {
	data, err := json.Marshal(t.data)
	if err != nil {
		return nil, fmt.Errorf("encoding a message about %s: %w", t.kind, err)
	}
	var repo *uuid.UUID
	if t.repo != uuid.Nil {
		repo = &t.repo
	}
	return []any{org, newID(), t.kind, nullTime(t.at), repo, data}, nil
}

// tell writes messages for the endpoints that are told of such things.
func (tx *Tx) tell(ctx context.Context, org uuid.UUID, all ...told) error {
	if len(all) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, t := range all {
		args, err := t.arguments(org)
		if err != nil {
			return err
		}
		batch.Queue(sqlTell, args...)
	}
	var written int64
	results := tx.SendBatch(ctx, batch)
	for range all {
		tag, err := results.Exec()
		if err != nil {
			return translate(errors.Join(err, results.Close()), "writing messages")
		}
		written += tag.RowsAffected()
	}
	if err := results.Close(); err != nil {
		return translate(err, "writing messages")
	}
	return tx.wake(ctx, written)
}

// wake has messages sent soon that this transaction wrote.
func (tx *Tx) wake(ctx context.Context, written int64) error {
	if written == 0 || tx.told == nil {
		return nil
	}
	return tx.told(ctx, tx)
}

// toldOf is what is told of a decision.
func (w *decisionWriter) toldOf(verdict push.Verdict) ToldDecision {
	d := w.decision
	out := ToldDecision{Decision: d.ID, URL: w.page("/decisions/" + d.ID.String()), RepoID: d.RepoID, Repo: d.Repo, Pusher: d.Pusher,
		PusherName: d.PusherName, Outcome: verdict.Outcome, State: d.State, Overridden: d.Override != "", Commits: d.Commits, Refs: []ToldRef{}}
	for _, ref := range d.Refs[:min(len(d.Refs), maxToldRows)] {
		out.Refs = append(out.Refs, ToldRef{ref.Name, ref.Old, ref.New})
	}
	out.MoreRefs = len(d.Refs) - len(out.Refs)
	out.setFindings(verdict.Findings)
	return out
}

// setFindings takes what violates a policy.
func (t *ToldDecision) setFindings(all []push.Finding) {
	t.Findings, t.MoreFindings = []ToldFinding{}, 0
	for _, f := range all {
		switch {
		case f.Outcome != push.Warn && f.Outcome != push.Refuse:
		case len(t.Findings) == maxToldRows:
			t.MoreFindings++
		default:
			t.Findings = append(t.Findings, ToldFinding{PolicyID: f.PolicyID, Policy: f.PolicyName, Rule: f.Rule, Outcome: f.Outcome,
				Commit: f.Commit, File: cutText(f.File), Waiver: f.Waiver, Message: cutText(f.Message)})
		}
	}
}

// cutText bounds a text of a message.
func cutText(text string) string {
	text = clean(text)
	if len(text) <= maxToldText {
		return text
	}
	return clean(text[:maxToldText-3]) + "…"
}

// tellPush tells of a push that was refused, or let through with warnings.
func (w *decisionWriter) tellPush(verdict push.Verdict) {
	kind, ok := map[push.Outcome]MessageType{push.Refuse: ToldRefused, push.Warn: ToldWarned}[verdict.Outcome]
	if !ok {
		return
	}
	d := w.toldOf(verdict)
	w.tell(kind, w.decision.At, d)
	w.tellReview(verdict, w.decision.At, d)
}

// tellLate tells of a late verdict by where it leads.
func (w *decisionWriter) tellLate(s Settlement) {
	kind, ok := map[DecisionState]MessageType{StateHeld: ToldHeld, StateReleased: ToldReleased, StatePending: ToldPending}[s.State]
	if !ok {
		return
	}
	d := w.toldOf(s.Verdict)
	d.Event = s.Event
	for _, h := range s.Holds[:min(len(s.Holds), maxToldRows)] {
		d.Held = append(d.Held, h.Ref)
	}
	w.tell(kind, time.Time{}, d)
	w.tellReview(s.Verdict, time.Time{}, d)
}

// tellReview tells that commits are wanted to be reviewed, if they are.
func (w *decisionWriter) tellReview(verdict push.Verdict, at time.Time, d ToldDecision) {
	var wanted []push.Finding
	for _, f := range verdict.Findings {
		if f.Commit != "" && policy.AwaitsReview(f) {
			wanted = append(wanted, f)
		}
	}
	if len(wanted) == 0 {
		return
	}
	d.setFindings(wanted)
	w.tell(ToldReviewWanted, at, d)
}

// tell writes messages in the decision's batch.
func (w *decisionWriter) tell(kind MessageType, at time.Time, data ToldDecision) {
	args, err := told{kind: kind, at: at, repo: w.decision.RepoID, data: data}.arguments(w.org)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.messages = append(w.messages, w.batch.Len())
	w.batch.Queue(sqlTell, args...)
}

// tellReleased tells that an administrator released a decision.
func (tx *Tx) tellReleased(ctx context.Context, by access.Principal, decision uuid.UUID) error {
	d, err := collectOne[Decision](ctx, tx, "reading decision "+decision.String(), `
		SELECT `+decisionColumns+` FROM decisions d WHERE d.org_id = $1 AND d.id = $2`, by.Org, decision)
	if err != nil {
		return err
	}
	data := tx.decisionWriter(by.Org, &d).toldOf(push.Verdict{Outcome: d.Outcome})
	data.Event = string(StateReleased)
	return tx.tell(ctx, by.Org, told{kind: ToldReleased, repo: d.RepoID, data: data})
}

// told is what is told of a waiver.
func (w *Waiver) told(url string) told {
	out := told{kind: ToldWaived, data: ToldWaiver{Waiver: w.ID, URL: url, PolicyID: w.PolicyID, Policy: w.Policy, RepoID: w.RepoID, Repo: w.Repo,
		Pusher: w.Pusher, Commit: w.Commit, PatchID: w.PatchID, CreatedBy: w.CreatedBy, ExpiresAt: w.ExpiresAt.UTC()}}
	if w.RepoID != nil {
		out.repo = *w.RepoID
	}
	return out
}

// toldOfReview is what is told of an act of review.
func toldOfReview(made []Review, url string) told {
	first := made[0]
	data := ToldReview{URL: url, RepoID: first.RepoID, Repo: first.Repo, Reviewer: first.Reviewer, ReviewerName: first.Name, Commits: []string{}}
	for _, r := range made[:min(len(made), maxToldRows)] {
		data.Commits = append(data.Commits, r.Commit)
	}
	data.MoreCommits = len(made) - len(data.Commits)
	kind := ToldRejected
	if first.Approved {
		kind = ToldApproved
	}
	return told{kind: kind, repo: first.RepoID, data: data}
}

// toldCodes are the findings that endpoints are told of.
var toldCodes = map[string]MessageType{
	"receipt_tampered": ToldTampered, "notes_ref_rewritten": ToldRewritten, "notes_ref_deleted": ToldDeleted,
}

// newFinding is a finding that was not known before.
type newFinding struct {
	ID        uuid.UUID
	RepoID    uuid.UUID
	Code      string
	Ref       string
	Commit    string
	ReceiptID string
	Message   string
}

// addFindings adds the staged findings, and tells of those that are new. Where
// nobody is told it reads none of them back.
func (in *Intake) addFindings(ctx context.Context) error {
	codes := slices.Collect(maps.Keys(toldCodes))
	found, err := collect[newFinding](ctx, in.tx, "adding findings of "+in.src.Ref, sqlFindings,
		pgx.NamedArgs{"org": in.src.Org.ID, "codes": codes})
	if err != nil || len(found) == 0 {
		return err
	}
	var all []told
	for len(found) > 0 {
		n := 1
		for n < len(found) && found[n].Code == found[0].Code && found[n].Ref == found[0].Ref && found[n].RepoID == found[0].RepoID {
			n++
		}
		all = append(all, in.toldOfFindings(found[:n]))
		found = found[n:]
	}
	return in.tx.tell(ctx, in.src.Org.ID, all...)
}

// toldOfFindings is what is told of findings of one code at one ref.
func (in *Intake) toldOfFindings(found []newFinding) told {
	first := found[0]
	data := ToldFindings{RepoID: first.RepoID, Repo: in.src.Repo.Name, Ref: first.Ref, Code: first.Code, Findings: []ToldFault{},
		URL: in.tx.page("/repositories/" + first.RepoID.String())}
	for _, f := range found[:min(len(found), maxToldRows)] {
		data.Findings = append(data.Findings, ToldFault{f.ID, f.Commit, f.ReceiptID, cutText(f.Message)})
	}
	data.MoreFindings = len(found) - len(data.Findings)
	return told{kind: toldCodes[first.Code], repo: first.RepoID, data: data}
}
