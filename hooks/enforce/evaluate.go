package enforce

import (
	"context"
	"fmt"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// EvaluateInput is a push that nobody made.
type EvaluateInput struct {
	// Repo is the name of the repository; empty means Push.Repo.
	Repo string
	Push hooks.Push
	// Policies, unless nil, judge instead of those in force: to try what is not.
	Policies *policy.Set
}

// Evaluate judges as Decide would now, and records nothing: neither a decision
// nor an unknown repository. The pusher is the person who asks, where one does.
// Overrides do not count.
func (e *Enforcer) Evaluate(ctx context.Context, by access.Principal, in EvaluateInput) (push.Verdict, error) {
	name, err := repoName(in.Repo, &in.Push)
	if err != nil {
		return push.Verdict{}, err
	}
	in.Push.PushOptions, in.Push.DryRun = nil, true
	var c *decision
	err = e.cfg.DB.Judge(ctx, func(tx *store.Tx) error {
		c = &decision{e: e, by: by, push: &in.Push, verified: by.User}
		if in.Policies != nil {
			c.rules = trial(in.Policies)
		}
		return c.decide(ctx, tx, name)
	})
	if err != nil {
		return push.Verdict{}, fmt.Errorf("evaluating a push to %s: %w", name, err)
	}
	return c.ruling.Verdict, nil
}

// trial is a rulebook of policies that are not in force.
func trial(set *policy.Set) *rulebook {
	book := &rulebook{set: set, names: map[string]string{}, reviews: true}
	for _, p := range set.Policies() {
		book.names[p.ID] = p.Name
	}
	return book
}
