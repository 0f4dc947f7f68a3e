package enforce

import (
	"fmt"
	"slices"
	"strings"

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

// statuses are what a forge shall show: at the tip of each branch whose tip came
// with the push. A tip that was there before shows the verdict on the push that
// brought it. Held are the refs that the decision holds.
func statuses(p *hooks.Push, commits []push.Commit, held []store.WantedHold, state store.DecisionState, r *ruling) []store.DesiredStatus {
	var out []store.DesiredStatus
	for _, ref := range p.Refs {
		came := slices.ContainsFunc(commits, func(c push.Commit) bool { return c.OID == string(ref.New) })
		if !came || !strings.HasPrefix(ref.Name, "refs/heads/") {
			continue
		}
		status := store.DesiredStatus{Commit: string(ref.New), State: "success"}
		holds := slices.ContainsFunc(held, func(h store.WantedHold) bool { return h.Ref == ref.Name })
		switch {
		case holds:
			status.State, status.Description = "failure", "Held by "+policyNames(r)
		case state == store.StatePending:
			status.State, status.Description = "pending", "Receipts are awaited"
		case r.warnings() > 0:
			status.Description = fmt.Sprintf("Accepted, warnings: %d", r.warnings())
		default:
			status.Description = "Accepted"
		}
		if len(status.Description) > maxDescription {
			status.Description = strings.ToValidUTF8(status.Description[:maxDescription-3], "") + "..."
		}
		out = append(out, status)
	}
	return out
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
