package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// Set is an organisation's policies, compiled once and used for many pushes. It
// is immutable and safe for concurrent use.
type Set struct {
	policies []Policy
}

// ErrDuplicate is the error of Compile for two policies with one id.
var ErrDuplicate = errors.New("two policies have one id")

// ErrNoRule is the error of Compile for a policy that did not come from Parse.
var ErrNoRule = errors.New("policy has no rule")

// Compile makes a Set. Policies that are not enabled are left out; two versions
// of one policy are refused with ErrDuplicate.
func Compile(policies []Policy) (*Set, error) {
	set := &Set{}
	seen := map[string]bool{}
	for _, p := range policies {
		if p.Rule.judge == nil {
			return nil, fmt.Errorf("compiling policy %s: %w", quote(p.Name), ErrNoRule)
		}
		if p.ID != "" && seen[p.ID] {
			return nil, fmt.Errorf("compiling policy %s: %w", quote(p.Name), ErrDuplicate)
		}
		seen[p.ID] = true
		if p.Enabled {
			set.policies = append(set.policies, p)
		}
	}
	slices.SortStableFunc(set.policies, func(a, b Policy) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID),
			bytesCompare(a.Rule.text, b.Rule.text), strings.Compare(string(a.Action), string(b.Action)))
	})
	return set, nil
}

func bytesCompare(a, b []byte) int { return strings.Compare(string(a), string(b)) }

// Policies are those of the set, by name and id.
func (s *Set) Policies() []Policy { return slices.Clone(s.policies) }

// Needs names the stored totals that Evaluate reads for this push. It looks at
// everything in the input but the totals.
func (s *Set) Needs(in push.Input) push.Needs {
	n := &needs{accounts: map[push.Account]bool{}, windows: map[int]bool{}}
	whole := newPushed(&in)
	for i := range s.policies {
		p := &s.policies[i]
		if refs := p.Scope.refs(&in); len(refs) > 0 {
			p.Rule.needs(whole.view(refs), &p.Scope, n)
		}
	}
	return n.result()
}

// Evaluate judges a push. Policies whose scope holds none of its refs are left
// out of the verdict. When the context ends, policies that were not evaluated
// yet have a finding of the problem Failed with the outcome of a violation, so
// that a block policy is never passed by being slow; whoever would rather fail
// open can tell by the problem.
func (s *Set) Evaluate(ctx context.Context, in push.Input) push.Verdict {
	verdict := push.Verdict{Outcome: push.Accept, Findings: []push.Finding{}, Policies: []push.Judged{}}
	whole := newPushed(&in)
	var all []found
	for i := range s.policies {
		p := &s.policies[i]
		refs := p.Scope.refs(&in)
		if len(refs) == 0 {
			continue
		}
		findings, judged := p.evaluate(ctx, whole.view(refs))
		all = append(all, findings...)
		verdict.Policies = append(verdict.Policies, judged)
		verdict.Outcome = verdict.Outcome.Stronger(judged.Outcome)
	}
	slices.SortStableFunc(all, compareFound)
	for _, f := range all {
		verdict.Findings = append(verdict.Findings, f.Finding)
	}
	return verdict
}

// evaluate runs one policy; a panic or an ended context is a finding of it.
func (p *Policy) evaluate(ctx context.Context, v *view) (findings []found, judged push.Judged) {
	r := &report{policy: p}
	defer func() {
		if thrown := recover(); thrown != nil {
			r.failed(nil, p.outcome(), "it stopped by "+quote(fmt.Sprint(thrown)))
			findings, judged = r.finish()
		}
	}()
	if ctx.Err() == nil {
		p.Rule.judge.judge(ctx, v, r)
	}
	if ctx.Err() != nil {
		r.failed(nil, p.outcome(), "the time for judging the push ran out")
	}
	return r.finish()
}
