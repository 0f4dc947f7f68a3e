package mirror

import (
	"context"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// settle moves the tips to what was fetched; a tip that would be lost is
// archived in the same ref transaction. Before a transfer (leftover) it does so
// with what a killed fetch has left, which the transfer could overwrite; then
// an absent ref says nothing.
func (f *fetch) settle(ctx context.Context, leftover bool) error {
	tips, err := refMap(ctx, f.repo, tipPrefix)
	if err != nil {
		return damageOr(err)
	}
	incoming, err := refMap(ctx, f.repo, incomingPrefix)
	if err != nil {
		return damageOr(err)
	}
	var changes []TipChange
	// Deletions go first, so that a ref a/b can take the place of a ref a.
	var deletions, moves []gitcmd.RefUpdate
	for _, ref := range slices.Compact(slices.Sorted(slices.Values(f.o.NotesRefs))) {
		fetched := incoming[incomingPrefix+strings.TrimPrefix(ref, tipPrefix)]
		if leftover && fetched == "" || fetched == tips[ref] {
			continue
		}
		change, err := f.step(ctx, ref, tips[ref], fetched)
		if err != nil {
			return damageOr(err)
		}
		if change.Ref == "" {
			continue
		}
		changes = append(changes, change)
		if change.New.IsZero() {
			deletions = append(deletions, change.updates()...)
		} else {
			moves = append(moves, change.updates()...)
		}
	}
	for _, updates := range [][]gitcmd.RefUpdate{deletions, moves} {
		if err := f.repo.UpdateRefs(ctx, updates); err != nil {
			return damageOr(err)
		}
	}
	f.result.Notes = append(f.result.Notes, changes...)
	return nil
}

// step judges the way from one tip to the next; both may be empty. The Ref of
// the answer is empty when the tip has to stay.
func (f *fetch) step(ctx context.Context, ref string, old, next gitcmd.OID) (TipChange, error) {
	change := TipChange{Ref: ref, Old: orZero(old), New: orZero(next)}
	if next != "" {
		isCommit, err := f.repo.HasCommit(ctx, next)
		if err != nil {
			return TipChange{}, err
		}
		if !isCommit {
			f.reportNotCommit(gitcmd.Ref{Name: ref, OID: next})
			return TipChange{}, nil
		}
	}
	if old == "" {
		return change, nil
	}
	if next != "" {
		forward, err := f.repo.IsAncestor(ctx, old, next)
		if err != nil || forward {
			return change, err
		}
	}
	change.Rewritten = true
	change.ArchivedAs = archiveName(ref, old)
	return change, nil
}

// reportNotCommit reports each ref once, though it may be looked at before and
// after the transfer.
func (f *fetch) reportNotCommit(ref gitcmd.Ref) {
	if !slices.Contains(f.result.NotCommits, ref) {
		f.result.NotCommits = append(f.result.NotCommits, ref)
	}
}

func (c TipChange) updates() []gitcmd.RefUpdate {
	updates := []gitcmd.RefUpdate{{Name: c.Ref, Old: c.Old, New: c.New}}
	if c.ArchivedAs != "" {
		// The name tells the value, so it does no harm if it is there already.
		updates = append(updates, gitcmd.RefUpdate{Name: c.ArchivedAs, New: c.Old})
	}
	return updates
}

func orZero(oid gitcmd.OID) gitcmd.OID {
	if oid == "" {
		return gitcmd.ZeroOID
	}
	return oid
}
