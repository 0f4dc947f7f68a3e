package enforce

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// rulebook is an organisation's policies at one revision, compiled.
type rulebook struct {
	revision int64
	set      *policy.Set
	// names are the policies in force by id.
	names map[string]string
	// reviews says that a policy asks for reviews.
	reviews bool
	// unreadable are findings of policies that this program cannot read.
	unreadable []push.Finding
}

// rulebooks keeps the newest rulebook of each organisation.
type rulebooks struct {
	mu    sync.Mutex
	byOrg map[uuid.UUID]*rulebook
}

// of returns the organisation's rulebook, read in the transaction if it has
// changed.
func (b *rulebooks) of(ctx context.Context, tx *store.Tx, org uuid.UUID, revision int64, log zerolog.Logger) (*rulebook, error) {
	b.mu.Lock()
	known := b.byOrg[org]
	b.mu.Unlock()
	if known != nil && known.revision == revision {
		return known, nil
	}
	stored, err := tx.EnabledPolicies(ctx, org)
	if err != nil {
		return nil, err
	}
	book, err := compile(stored, log)
	if err != nil {
		return nil, err
	}
	book.revision = revision
	b.mu.Lock()
	defer b.mu.Unlock()
	if newer := b.byOrg[org]; newer == nil || newer.revision < revision {
		b.byOrg[org] = book
	}
	return book, nil
}

// compile reads stored policies. One that cannot be read, because a newer
// program wrote it, is a finding of every push and stops no other policy.
func compile(stored []store.Policy, log zerolog.Logger) (*rulebook, error) {
	book := &rulebook{names: map[string]string{}}
	var policies []policy.Policy
	for _, row := range stored {
		book.names[row.ID.String()] = row.Name
		p, err := row.Parse()
		if err != nil {
			log.Error().Err(err).Str("policy", row.Name).Msg("a policy cannot be read")
			book.unreadable = append(book.unreadable, unreadable(row))
			continue
		}
		book.reviews = book.reviews || slices.Contains(policy.ReviewKinds(), p.Rule.Kind())
		policies = append(policies, p)
	}
	set, err := policy.Compile(policies)
	book.set = set
	return book, err
}

// unreadable is the finding of a policy that cannot be read: it failed, with the
// outcome of a violation, as any policy that cannot be evaluated.
func unreadable(row store.Policy) push.Finding {
	var doc struct{ Action policy.Action }
	outcome := push.Warn
	if err := json.Unmarshal(row.Document, &doc); err != nil || doc.Action == policy.Block {
		outcome = push.Refuse
	}
	return push.Finding{
		PolicyID: row.ID.String(), PolicyName: row.Name, Version: row.Version, Rule: "unknown",
		Problem: push.Failed, Outcome: outcome, Found: "a policy that this version of the daemon cannot read",
		Message: "The policy cannot be read by this version of the daemon.",
		Next:    "Show this message to an administrator of the policy; nothing is wrong with the push itself.",
	}
}

// evaluate judges an input whose totals are there.
func (b *rulebook) evaluate(ctx context.Context, in push.Input) push.Verdict {
	verdict := b.set.Evaluate(ctx, in)
	judged := slices.ContainsFunc(in.Refs, push.Ref.Judged)
	for _, f := range b.unreadable {
		if judged {
			verdict.Findings = append(verdict.Findings, f)
			verdict.Policies = append(verdict.Policies, judgedBy(f))
			verdict.Outcome = verdict.Outcome.Stronger(f.Outcome)
		}
	}
	return verdict
}

func judgedBy(f push.Finding) push.Judged {
	return push.Judged{PolicyID: f.PolicyID, PolicyName: f.PolicyName, Version: f.Version, Outcome: f.Outcome}
}
