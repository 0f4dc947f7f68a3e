package enforce

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

const receiptRule = string(policy.RequireReceipts)

// refText names a ref for people.
func refText(ref string) string {
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		return fmt.Sprintf("Branch %q", branch)
	}
	return fmt.Sprintf("Ref %q", ref)
}

// maxDescription bounds what forges show beside a commit.
const maxDescription = 140

// verdict is what a forge is told of one decision.
type verdict struct {
	decision uuid.UUID
	state    store.DecisionState
	// held are the refs that the decision holds.
	held []store.WantedHold
	*ruling
}

// statuses are what a forge shall show: at the tip of each branch whose tip came
// with the push. A tip that was there before shows the verdict on the push that
// brought it.
func (v verdict) statuses(p *hooks.Push, commits []push.Commit) []store.Status {
	came := make(map[string]bool, len(commits))
	for i := range commits {
		came[commits[i].OID] = true
	}
	held := make(map[string]bool, len(v.held))
	for _, h := range v.held {
		held[h.Ref] = true
	}
	var out []store.Status
	for _, ref := range p.Refs {
		if came[string(ref.New)] && strings.HasPrefix(ref.Name, "refs/heads/") {
			out = append(out, v.status(string(ref.New), held[ref.Name]))
		}
	}
	return out
}

func (v verdict) status(commit string, held bool) store.Status {
	s := store.Status{Commit: commit, State: store.StatusSuccess, Decision: v.decision}
	switch {
	case held:
		s.State, s.Description = store.StatusFailure, "Held by "+policyNames(v.ruling)
	case v.state == store.StatePending:
		s.State, s.Description = store.StatusPending, "Receipts are awaited"
	case v.warnings() > 0:
		s.Description = fmt.Sprintf("Accepted, warnings: %d", v.warnings())
	default:
		s.Description = "Accepted"
	}
	if len(s.Description) > maxDescription {
		s.Description = strings.ToValidUTF8(s.Description[:maxDescription-3], "") + "..."
	}
	return s
}

// policyNames names the policies that refuse.
func policyNames(r *ruling) string {
	var names []string
	for _, p := range r.Policies {
		if p.Outcome == push.Refuse {
			names = append(names, fmt.Sprintf("%q", p.PolicyName))
		}
	}
	return "policy " + strings.Join(names, ", ")
}
