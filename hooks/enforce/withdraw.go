package enforce

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// What a push brings counts for the one that was let through last. When that one
// is withdrawn, pushes of the same commits and prompts that were let through
// about that time are looked for: so long before it, and so many.
const (
	sharedSince = time.Hour
	sharedLimit = 50
)

// Withdraw takes back a decision on a push that was let through and that its
// repository did not take; why says how that is known. What the push brought
// counts no more, its holds end, and nothing of it is judged again. Decisions
// that refused are left alone, and withdrawing again changes nothing.
func (e *Enforcer) Withdraw(ctx context.Context, by access.Principal, decision uuid.UUID, why string) error {
	err := e.cfg.DB.Judge(ctx, func(tx *store.Tx) error {
		w, err := tx.Withdraw(ctx, by, decision, why)
		if err != nil || len(w.Commits) == 0 && len(w.Prompts) == 0 {
			return err
		}
		others, err := tx.CountedPushes(ctx, by.Org, w.RepoID, w.At.Add(-sharedSince), sharedLimit)
		if err != nil {
			return err
		}
		share := newShare(&w)
		for _, other := range others {
			if err := share.count(ctx, tx, by.Org, other); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("withdrawing decision %s: %w", decision, err)
	}
	return nil
}

// share is what a withdrawn push brought, of which others may have brought some.
type share struct {
	repo    uuid.UUID
	commits map[string]bool
	prompts map[uuid.UUID]bool
}

func newShare(w *store.Withdrawn) *share {
	s := &share{repo: w.RepoID, commits: map[string]bool{}, prompts: map[uuid.UUID]bool{}}
	for _, commit := range w.Commits {
		s.commits[commit] = true
	}
	for _, prompt := range w.Prompts {
		s.prompts[prompt] = true
	}
	return s
}

// count lets count for another push what both brought.
func (s *share) count(ctx context.Context, tx *store.Tx, org uuid.UUID, other store.CountedPush) error {
	j := &judgement{}
	if err := json.Unmarshal(other.Input, &j.in); err != nil {
		return fmt.Errorf("reading the input of decision %s: %w", other.ID, err)
	}
	s.keep(j)
	if len(j.in.Commits) == 0 && len(j.in.Receipts) == 0 {
		return nil
	}
	return tx.CountAgain(ctx, &store.NewDecision{Org: org, Day: midnight(j.in.Today), Brought: j.brought(), Prompts: j.spent(),
		Decision: store.Decision{ID: other.ID, At: other.At, RepoID: s.repo}})
}

// keep leaves of a judged push what is in the share.
func (s *share) keep(j *judgement) {
	j.in.Commits = slices.DeleteFunc(j.in.Commits, func(c push.Commit) bool { return !s.commits[c.OID] })
	var kept []push.Receipt
	for _, r := range j.in.Receipts {
		prompt, err := uuid.Parse(r.Prompt)
		if err != nil || !s.prompts[prompt] {
			continue
		}
		if midnight(r.Day).IsZero() {
			r.Day = j.in.Today
		}
		kept, j.prompts = append(kept, r), append(j.prompts, prompt)
	}
	j.in.Receipts = kept
}
