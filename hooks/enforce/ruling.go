package enforce

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// ruling is a verdict while waivers, holds and overrides are laid over it.
type ruling struct {
	push.Verdict
	// hidden are the outcomes of findings that the verdict has no room for, by
	// policy.
	hidden map[string]push.Outcome
}

func newRuling(v push.Verdict) *ruling {
	r := &ruling{Verdict: v, hidden: map[string]push.Outcome{}}
	for _, p := range v.Policies {
		if p.More > 0 {
			r.hidden[p.PolicyID] = p.Outcome
		}
	}
	return r
}

// settle makes outcomes and order agree with the findings.
func (r *ruling) settle() {
	rank := map[push.Outcome]int{push.Refuse: 0, push.Pending: 1, push.Warn: 2}
	slices.SortStableFunc(r.Findings, func(a, b push.Finding) int { return cmp.Compare(rank[a.Outcome], rank[b.Outcome]) })
	strongest := map[string]push.Outcome{}
	for _, f := range r.Findings {
		strongest[f.PolicyID] = f.Outcome.Stronger(strongest[f.PolicyID])
	}
	r.Outcome = push.Accept
	for i := range r.Policies {
		p := &r.Policies[i]
		p.Outcome = push.Accept.Stronger(strongest[p.PolicyID]).Stronger(r.hidden[p.PolicyID])
		r.Outcome = r.Outcome.Stronger(p.Outcome)
	}
}

// add adds findings that come from no policy.
func (r *ruling) add(found []push.Finding) {
	if len(found) == 0 {
		return
	}
	r.Findings = append(r.Findings, found...)
	r.Policies = append(r.Policies, judgedBy(found[0]))
	r.settle()
}

// soften lets failures of policies warn: in an advisory repository a policy that
// does not work stops nobody.
func (r *ruling) soften() {
	violated := map[string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Problem == push.Failed && f.Outcome == push.Refuse {
			f.Outcome = push.Warn
		} else if f.Outcome == push.Refuse {
			violated[f.PolicyID] = true
		}
	}
	for id, outcome := range r.hidden {
		if outcome == push.Refuse && !violated[id] {
			r.hidden[id] = push.Warn
		}
	}
	r.settle()
}

// refusing are the policies that refuse the push.
func (r *ruling) refusing() []uuid.UUID {
	var ids []uuid.UUID
	for _, p := range r.Policies {
		if id, err := uuid.Parse(p.PolicyID); err == nil && p.Outcome == push.Refuse {
			ids = append(ids, id)
		}
	}
	return ids
}

// waive takes the force from the findings that a waiver covers. Findings that
// are not shown may be about any commit, so that only a waiver without one
// covers them. Patches are the patch ids of the push's commits. It returns the
// policies of which single commits were waived and nothing refuses any more.
func (r *ruling) waive(waivers []store.ActiveWaiver, patches map[string]string) (narrow map[string]bool) {
	narrow = map[string]bool{}
	for _, id := range r.refusing() {
		narrow[id.String()] = true
	}
	for _, w := range waivers {
		id := w.PolicyID.String()
		if w.Commit == "" && w.PatchID == "" {
			delete(narrow, id)
		}
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.PolicyID == id && f.Outcome == push.Refuse && covers(w, f, patches) {
				f.Outcome, f.Waiver = push.Warn, w.ID.String()
			}
		}
		if r.hidden[id] == push.Refuse && w.Commit == "" && w.PatchID == "" {
			r.hidden[id] = push.Warn
		}
	}
	r.settle()
	for _, id := range r.refusing() {
		delete(narrow, id.String())
	}
	return narrow
}

// await adds what another verdict of some policies awaits: a policy that found
// a violation says nothing of receipts that are missing beside it.
func (r *ruling) await(v push.Verdict, policies map[string]bool) {
	for _, f := range v.Findings {
		if f.Problem == push.Awaited && policies[f.PolicyID] {
			r.Findings = append(r.Findings, f)
		}
	}
	r.settle()
}

func covers(w store.ActiveWaiver, f *push.Finding, patches map[string]string) bool {
	return (w.Commit == "" || w.Commit == f.Commit) && (w.PatchID == "" || w.PatchID == patches[f.Commit])
}

// override takes the force from all refusals.
func (r *ruling) override() {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Outcome == push.Refuse {
			f.Outcome, f.Overridden = push.Warn, true
		}
	}
	for id, outcome := range r.hidden {
		if outcome == push.Refuse {
			r.hidden[id] = push.Warn
		}
	}
	r.settle()
}

// overriddenBy repeats, in a late verdict, an override of the push's own.
func (r *ruling) overriddenBy(told push.Verdict, own map[string]bool) {
	policies := map[string]bool{}
	for _, f := range told.Findings {
		if f.Overridden && (f.Commit == "" || own[f.Commit]) {
			policies[f.PolicyID] = true
		}
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Outcome == push.Refuse && policies[f.PolicyID] {
			f.Outcome, f.Overridden = push.Warn, true
		}
	}
	for id, outcome := range r.hidden {
		if outcome == push.Refuse && policies[id] {
			r.hidden[id] = push.Warn
		}
	}
	r.settle()
}

// only drops what policies say that had no part in another verdict: a late
// verdict is by the policies of the push.
func (r *ruling) only(told push.Verdict) {
	judged := map[string]bool{}
	for _, p := range told.Policies {
		judged[p.PolicyID] = true
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f push.Finding) bool { return !judged[f.PolicyID] })
	r.Policies = slices.DeleteFunc(r.Policies, func(p push.Judged) bool { return !judged[p.PolicyID] })
	r.settle()
}

// hold adds the refusals that a held decision leads to: what its policies found,
// as far as they are still in force.
func (r *ruling) hold(h store.ActiveHold, inForce map[string]string) {
	seen := map[string]bool{}
	for _, f := range h.Verdict.Findings {
		if f.Outcome != push.Refuse || seen[f.PolicyID] || inForce[f.PolicyID] == "" {
			continue
		}
		seen[f.PolicyID] = true
		f.Message = fmt.Sprintf("%s is held for you because an earlier push to it breaks this policy (decision %s). %s",
			refText(h.Ref), h.DecisionID, f.Message)
		f.Next = "Have that push reviewed or waived, or take its commits out with a forced push."
		if !slices.Contains(h.Commits, f.Commit) && len(h.Commits) > 0 {
			f.Commit = h.Commits[0]
		}
		r.Findings = append(r.Findings, f)
		if !slices.ContainsFunc(r.Policies, func(p push.Judged) bool { return p.PolicyID == f.PolicyID }) {
			r.Policies = append(r.Policies, judgedBy(f))
		}
	}
	r.settle()
}

// warnings counts the findings that warn.
func (r *ruling) warnings() int {
	n := 0
	for _, f := range r.Findings {
		if f.Outcome == push.Warn {
			n++
		}
	}
	return n
}
