package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Reconsider judges again what is pending or held in a repository, or for the
// nil UUID in the whole organisation, because of an event (store.EventNotes and
// the like). Of notes, those decisions are judged that have new ones. One
// decision that cannot be judged keeps no other from it.
func (e *Enforcer) Reconsider(ctx context.Context, org, repo uuid.UUID, event string) error {
	if event == store.EventNotes {
		stale, err := e.cfg.DB.StaleDecisions(ctx, org, repo)
		if err != nil {
			return err
		}
		return e.rejudgeAll(ctx, slices.DeleteFunc(stale, func(w store.WaitingRef) bool { return w.Event != event }))
	}
	waiting, err := e.cfg.DB.WaitingDecisions(ctx, org, repo)
	if err != nil {
		return err
	}
	for i := range waiting {
		waiting[i].Event = event
	}
	return e.rejudgeAll(ctx, waiting)
}

// Due settles what no call tells of: it judges decisions whose time for
// receipts is over and those that newer notes, waivers, reviews or policies
// concern, and sums up what pushes cost. It is to be run regularly, by one daemon
// or by several.
//
// A decision that is due is judged on a fetch that began after it was due, so
// that nobody is held because the daemon had not looked.
func (e *Enforcer) Due(ctx context.Context) error {
	due, err := e.due(ctx)
	if err != nil {
		return err
	}
	stale, err := e.cfg.DB.StaleDecisions(ctx, uuid.Nil, uuid.Nil)
	if err != nil {
		return err
	}
	return errors.Join(e.rejudgeAll(ctx, append(due, stale...)), e.sum(ctx))
}

// due lists the decisions that can be judged now, and demands fetches for those
// that cannot.
func (e *Enforcer) due(ctx context.Context) ([]store.WaitingRef, error) {
	list, err := e.cfg.DB.DueDecisions(ctx, e.clock())
	if err != nil {
		return nil, err
	}
	var ready []store.WaitingRef
	for _, d := range list {
		d.Event = store.EventDue
		if d.Fetched {
			ready = append(ready, d.WaitingRef)
			continue
		}
		if err := e.demand(ctx, d.WaitingRef); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

func (e *Enforcer) demand(ctx context.Context, d store.WaitingRef) error {
	if e.cfg.Fetches == nil {
		return nil
	}
	return e.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		return e.cfg.Fetches.DemandFetch(ctx, tx, d.OrgID, d.RepoID, queue.Once)
	})
}

// sumBatch bounds one statement of sum.
const sumBatch = 5000

// sum keeps reading totals short.
func (e *Enforcer) sum(ctx context.Context) error {
	for {
		n, err := e.cfg.DB.SumPushedPrompts(ctx, sumBatch)
		if err != nil || n < sumBatch {
			return err
		}
	}
}

// rejudgeBatch is how many decisions of a repository share one reading of notes.
const rejudgeBatch = 25

// rejudgeAll judges waiting decisions again, which come by repository.
func (e *Enforcer) rejudgeAll(ctx context.Context, waiting []store.WaitingRef) error {
	var errs []error
	for len(waiting) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(waiting) && n < rejudgeBatch && waiting[n].RepoID == waiting[0].RepoID {
			n++
		}
		errs = append(errs, e.rejudgeSome(ctx, waiting[:n]))
		waiting = waiting[n:]
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// errOvertaken says that somebody else judged the decision meanwhile.
var errOvertaken = errors.New("decided by somebody else meanwhile")

// rejudgeSome judges decisions of one repository again; those in whose way
// somebody else came by themselves.
func (e *Enforcer) rejudgeSome(ctx context.Context, waiting []store.WaitingRef) error {
	var errs []error
	failed := func(id uuid.UUID, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("judging decision %s again: %w", id, err))
		}
	}
	var lates []*late
	for _, ref := range waiting {
		l, err := e.read(ctx, ref)
		failed(ref.ID, err)
		if l != nil {
			lates = append(lates, l)
		}
	}
	if err := e.readNotes(ctx, lates); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, l := range lates {
		err := e.settle(ctx, l)
		if errors.Is(err, errOvertaken) {
			err = e.retry(ctx, l.ref, l.w.ReadAt)
		}
		failed(l.ref.ID, err)
	}
	return errors.Join(errs...)
}

// retries is how often a decision that others judge at the same time is read
// anew.
const retries = 5

// retry judges a decision again that others judge at the same time, unless one
// of them did so on facts that were read since the moment.
func (e *Enforcer) retry(ctx context.Context, ref store.WaitingRef, since time.Time) error {
	err := errOvertaken
	for try := 0; try < retries && errors.Is(err, errOvertaken); try++ {
		l, readErr := e.read(ctx, ref)
		if l == nil || readErr != nil {
			return readErr
		}
		if l.w.JudgedAt != nil && !l.w.JudgedAt.Before(since) {
			return nil
		}
		if err := e.readNotes(ctx, []*late{l}); err != nil {
			return err
		}
		err = e.settle(ctx, l)
	}
	return err
}

// settle judges a decision on what is known now and writes what that leads to,
// unless it was judged since it was read: then errOvertaken.
func (e *Enforcer) settle(ctx context.Context, l *late) error {
	ctx, cancel := context.WithTimeout(ctx, lateTimeout)
	defer cancel()
	return e.cfg.DB.Judge(ctx, func(tx *store.Tx) error {
		s, statuses, err := l.judge(ctx, tx)
		if err != nil {
			return err
		}
		current := *l.w
		s.Waiting = &current
		same, err := tx.LockWaiting(ctx, &current)
		if err != nil {
			return err
		}
		if !same {
			return errOvertaken
		}
		if err := tx.Settle(ctx, access.Daemon(current.OrgID), *s); err != nil {
			return err
		}
		return e.want(ctx, tx, current.OrgID, current.RepoID, statuses)
	})
}

// late is a decision that is judged again: its push as far as it is still
// there, with the notes that are there now.
type late struct {
	e     *Enforcer
	ref   store.WaitingRef
	w     *store.WaitingDecision
	push  hooks.Push
	input push.Input
	await bool
}

// read prepares the push of a decision for another judgement; nil if it does
// not wait any more.
func (e *Enforcer) read(ctx context.Context, ref store.WaitingRef) (*late, error) {
	w, err := e.cfg.DB.WaitingDecision(ctx, ref.OrgID, ref.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := &late{e: e, ref: ref, w: &w}
	if err := json.Unmarshal(w.Push, &l.push); err != nil {
		return nil, fmt.Errorf("reading its push: %w", err)
	}
	if err := json.Unmarshal(w.Input, &l.input); err != nil {
		return nil, fmt.Errorf("reading its input: %w", err)
	}
	l.await = w.DueAt != nil && (e.now(w.ReadAt).Before(*w.DueAt) || !w.Fetched)
	l.forget()
	return l, nil
}

// readNotes reads the notes of all commits of decisions of one repository.
func (e *Enforcer) readNotes(ctx context.Context, lates []*late) error {
	var commits []string
	for _, l := range lates {
		for i := range l.push.Commits {
			commits = append(commits, string(l.push.Commits[i].OID))
		}
	}
	if e.cfg.Notes == nil || len(commits) == 0 {
		return nil
	}
	found, err := e.cfg.Notes.Notes(ctx, lates[0].w.OrgID, lates[0].w.RepoID, commits)
	if err != nil {
		return err
	}
	byCommit := map[gitcmd.OID][]hooks.Note{}
	for _, note := range found {
		byCommit[note.Commit] = append(byCommit[note.Commit], note)
	}
	for _, l := range lates {
		var own []hooks.Note
		for i := range l.push.Commits {
			own = append(own, byCommit[l.push.Commits[i].OID]...)
		}
		l.push.Notes = newer(l.push.Notes, own)
	}
	return nil
}

// forget drops the refs and commits of the push that are there no more.
func (l *late) forget() {
	there := make(map[string]bool, len(l.w.There))
	for _, oid := range l.w.There {
		there[oid] = true
	}
	isGone := func(ref string) bool { return slices.Contains(l.w.GoneRefs, ref) }
	l.push.Refs = slices.DeleteFunc(l.push.Refs, func(r hooks.Ref) bool { return isGone(r.Name) })
	judged := l.refs()
	l.push.Commits = slices.DeleteFunc(l.push.Commits, func(c hooks.Commit) bool {
		left := c.Refs
		if len(left) == 0 {
			left = judged
		}
		return !there[string(c.OID)] || !slices.ContainsFunc(left, func(ref string) bool { return !isGone(ref) })
	})
	l.push.Notes = slices.DeleteFunc(l.push.Notes, func(n hooks.Note) bool { return !there[string(n.Commit)] })
}

// refs are the names of the refs that rules on commits apply to.
func (l *late) refs() []string {
	var names []string
	for _, r := range l.push.Refs {
		if (push.Ref{Kind: r.Kind, New: string(r.New)}).Judged() {
			names = append(names, r.Name)
		}
	}
	return names
}

// newer joins notes: of one commit and ref the found one counts.
func newer(old, found []hooks.Note) []hooks.Note {
	type place struct {
		commit gitcmd.OID
		ref    string
	}
	replaced := make(map[place]bool, len(found))
	for i := range found {
		replaced[place{found[i].Commit, found[i].Ref}] = true
	}
	kept := slices.DeleteFunc(slices.Clone(old), func(n hooks.Note) bool { return replaced[place{n.Commit, n.Ref}] })
	return append(kept, found...)
}

// judge comes to the late verdict and what it leads to. The rules are those of
// the push, as they are now; the day is that of the push.
func (l *late) judge(ctx context.Context, tx *store.Tx) (*store.Settlement, []store.Status, error) {
	if len(l.push.Commits) == 0 {
		none := push.Verdict{Outcome: push.Accept, Findings: []push.Finding{}, Policies: []push.Judged{}}
		return &store.Settlement{State: store.StateReleased, Verdict: none, Event: store.EventGone}, nil, nil
	}
	j, err := l.judgement(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	r, err := l.rule(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	s := l.settlement(j, r)
	if !l.w.Connected {
		return s, nil, nil
	}
	told := verdict{decision: l.w.ID, state: s.State, held: s.Holds, ruling: r}
	return s, told.statuses(&l.push, j.in.Commits), nil
}

// rule comes to the ruling.
func (l *late) rule(ctx context.Context, j *judgement) (*ruling, error) {
	if err := j.fill(ctx, l.await); err != nil {
		return nil, err
	}
	r, err := j.evaluate(ctx)
	if err != nil {
		return nil, err
	}
	r.only(l.w.Verdict)
	if err := j.waive(ctx, r); err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, oid := range j.oids() {
		own[oid] = true
	}
	r.overriddenBy(l.w.Verdict, own)
	return r, nil
}

func (l *late) judgement(ctx context.Context, tx *store.Tx) (*judgement, error) {
	to, err := tx.PushTarget(ctx, l.w.OrgID, l.w.Repo)
	if err != nil {
		return nil, err
	}
	j := &judgement{tx: tx, push: &l.push, org: l.w.OrgID, repo: l.w.RepoID, mode: hooks.Mode(l.w.Mode), at: l.input.Now,
		in: l.push.Input(), locked: true}
	j.in.Pusher, j.in.Repo = l.input.Pusher, l.input.Repo
	if j.zone, err = zone(to.TimeZone); err != nil {
		return nil, err
	}
	j.rules, err = l.e.rules.of(ctx, tx, l.w.OrgID, to.PolicyRevision, l.e.cfg.Log)
	return j, err
}

// states are where a late verdict leads to.
var states = map[push.Outcome]store.DecisionState{
	push.Accept: store.StateReleased, push.Warn: store.StateReleased, push.Pending: store.StatePending, push.Refuse: store.StateHeld,
}

func (l *late) settlement(j *judgement, r *ruling) *store.Settlement {
	s := &store.Settlement{State: states[r.Outcome], Verdict: r.Verdict, Event: l.ref.Event, Brought: j.brought()}
	if s.State == store.StateHeld {
		s.Holds = l.holds(j, r)
	}
	return s
}

// holds are the refs that are to be held and the commits at fault in each.
func (l *late) holds(j *judgement, r *ruling) []store.WantedHold {
	refs := l.refs()
	fault, atFault := faulty(j.in, r), map[string][]string{}
	for i := range j.in.Commits {
		c := &j.in.Commits[i]
		if !fault[c.OID] {
			continue
		}
		reached := c.Refs
		if len(reached) == 0 {
			reached = refs
		}
		for _, ref := range reached {
			atFault[ref] = append(atFault[ref], c.OID)
		}
	}
	var out []store.WantedHold
	for _, ref := range refs {
		if commits := atFault[ref]; len(commits) > 0 {
			// The newest: of those that a push leaves behind a hook names no more.
			out = append(out, store.WantedHold{Ref: ref, Commits: commits[max(0, len(commits)-hooks.MaxAbandoned):]})
		}
	}
	return out
}

// perCommit are the rules whose findings name each commit at fault. The others
// judge sums, to which every commit with receipts or AI lines adds.
var perCommit = map[string]bool{
	string(policy.MaxCostPerPrompt): true, string(policy.AllowedModels): true, string(policy.BlockedModels): true,
	string(policy.AllowedProviders): true, string(policy.BlockedProviders): true, string(policy.RequireReceipts): true,
	string(policy.ProtectedPaths): true, string(policy.ForbidSecrets): true,
}

// faulty are the commits that the refusing findings are about.
func faulty(in push.Input, r *ruling) map[string]bool {
	fault, sums := map[string]bool{}, false
	for _, f := range r.Findings {
		if f.Outcome == push.Refuse && perCommit[f.Rule] && f.Commit != "" {
			fault[f.Commit] = true
		} else if f.Outcome == push.Refuse {
			sums = true
		}
	}
	for _, p := range r.Policies {
		sums = sums || r.hidden[p.PolicyID] == push.Refuse
	}
	if !sums {
		return fault
	}
	receipts := map[string]bool{}
	for i := range in.Receipts {
		receipts[in.Receipts[i].Commit] = true
	}
	for i := range in.Commits {
		if c := &in.Commits[i]; receipts[c.OID] || c.Lines().AI > 0 {
			fault[c.OID] = true
		}
	}
	if len(fault) == 0 {
		for i := range in.Commits {
			fault[in.Commits[i].OID] = true
		}
	}
	return fault
}
