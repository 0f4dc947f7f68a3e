package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// report gathers the findings of one policy.
type report struct {
	policy   *Policy
	findings []found
}

// found is a finding with the place of its commit in the push.
type found struct {
	push.Finding
	commit int
}

// noCommit orders findings about no single commit before those about one.
const noCommit = -1

// violated records a violation; c may be nil.
func (r *report) violated(c *commit, f push.Finding) {
	f.Problem, f.Outcome = push.Violated, r.policy.outcome()
	r.add(c, f)
}

// await records that receipts of the commits may still decide the rule. It is
// kept only if nothing is violated: then there is nothing to wait for.
func (r *report) await(commits []*commit) {
	if len(commits) == 0 {
		return
	}
	r.add(commits[0], push.Finding{
		Problem: push.Awaited,
		Outcome: push.Pending,
		Found:   fmt.Sprintf("%d without receipts", len(commits)),
		Message: fmt.Sprintf("%s no receipts yet, so that the rule cannot be decided.", commitsHave(commits)),
		Next: "Push the notes (git push origin refs/notes/blameprompt); " +
			"the push is judged again when they are there.",
	})
}

// failed records that the rule could not be evaluated.
func (r *report) failed(c *commit, outcome push.Outcome, reason string) {
	next := "Show this message to an administrator of the policy; nothing is wrong with the push itself."
	r.add(c, push.Finding{
		Problem: push.Failed,
		Outcome: outcome,
		Found:   reason,
		Message: "The rule could not be evaluated: " + reason + ".",
		Next:    next,
	})
}

func (r *report) add(c *commit, f push.Finding) {
	place := noCommit
	if c != nil {
		place, f.Commit = c.index, c.OID
	}
	f.PolicyID, f.PolicyName, f.Version = r.policy.ID, r.policy.Name, r.policy.Version
	f.Rule = string(r.policy.Rule.kind)
	r.findings = append(r.findings, found{Finding: f, commit: place})
}

// outcome is what a violation of the policy leads to.
func (p *Policy) outcome() push.Outcome {
	if p.Action == Block {
		return push.Refuse
	}
	return push.Warn
}

// finish orders the findings, drops what a violation makes idle and bounds them.
func (r *report) finish() ([]found, push.Judged) {
	isViolated := func(f found) bool { return f.Problem == push.Violated }
	if slices.ContainsFunc(r.findings, isViolated) {
		r.findings = slices.DeleteFunc(r.findings, func(f found) bool { return f.Problem == push.Awaited })
	}
	slices.SortStableFunc(r.findings, compareFound)
	judged := push.Judged{
		PolicyID:   r.policy.ID,
		PolicyName: r.policy.Name,
		Version:    r.policy.Version,
		Outcome:    push.Accept,
		More:       max(0, len(r.findings)-push.MaxFindings),
	}
	for _, f := range r.findings {
		judged.Outcome = judged.Outcome.Stronger(f.Outcome)
	}
	return r.findings[:min(len(r.findings), push.MaxFindings)], judged
}

// compareFound orders findings of one verdict.
func compareFound(a, b found) int {
	if a.Outcome != b.Outcome {
		if a.Outcome.Stronger(b.Outcome) == a.Outcome {
			return -1
		}
		return 1
	}
	return cmp.Or(
		strings.Compare(a.PolicyName, b.PolicyName),
		strings.Compare(a.PolicyID, b.PolicyID),
		cmp.Compare(a.commit, b.commit),
		strings.Compare(a.File, b.File),
		strings.Compare(a.Model, b.Model),
		strings.Compare(a.Receipt, b.Receipt),
		strings.Compare(a.Message, b.Message),
	)
}

// short is an object id as people read it.
func short(oid string) string {
	const digits = 12
	if strings.Trim(oid, "0123456789abcdef") != "" || oid == "" {
		return quote(oid)
	}
	return oid[:min(len(oid), digits)]
}

// commitsHave begins a sentence about commits: "Commit 1a2b has".
func commitsHave(commits []*commit) string {
	if len(commits) == 1 {
		return "Commit " + short(commits[0].OID) + " has"
	}
	return fmt.Sprintf("%s (first %s) have", plural(int64(len(commits)), "commit"), short(commits[0].OID))
}

// plural is "1 line", "2 lines".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// quoteList writes at most five quoted texts.
func quoteList(texts []string) string {
	const most = 5
	quoted := make([]string, 0, most)
	for _, text := range texts[:min(len(texts), most)] {
		quoted = append(quoted, quote(text))
	}
	if more := len(texts) - most; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(quoted, ", ")
}
