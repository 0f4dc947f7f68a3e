package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// mergedNotes is how a notes ref was moved.
type mergedNotes struct {
	old, new gitcmd.OID
	events   []mergeEvent
}

// The bounds of the tries to move a ref that others move at the same time.
const (
	maxMergeTries = 100
	maxMergeTime  = 2 * time.Minute
	maxMergePause = 50 * time.Millisecond
)

// mergeNotes joins a tip into a notes ref. The ref is moved only from the value
// that was merged: who else moves it, here or in another process, has it merged
// anew.
func (r *Repos) mergeNotes(ctx context.Context, row store.Repo, repo *gitcmd.Repo, ref string, tip gitcmd.OID, pusher string) (mergedNotes, error) {
	ctx, cancel := context.WithTimeout(ctx, maxMergeTime)
	defer cancel()
	state := r.state(row.ID)
	state.merging.Lock()
	defer state.merging.Unlock()
	for range maxMergeTries {
		merged, err := r.tryMerge(ctx, repo, ref, tip, pusher)
		if !errors.Is(err, gitcmd.ErrRefMoved) && !errors.Is(err, gitcmd.ErrRefLocked) {
			return merged, err
		}
		select {
		case <-time.After(rand.N(maxMergePause)):
		case <-ctx.Done():
			return mergedNotes{}, ctx.Err()
		}
	}
	return mergedNotes{}, fmt.Errorf("%s moved %d times while it was merged: %w", ref, maxMergeTries, gitcmd.ErrRefMoved)
}

func (r *Repos) tryMerge(ctx context.Context, repo *gitcmd.Repo, ref string, tip gitcmd.OID, pusher string) (mergedNotes, error) {
	ours, err := tipOf(ctx, repo, ref)
	if err != nil {
		return mergedNotes{}, err
	}
	m := &notesMerge{
		repo: repo, format: formatOf(ref), pusher: strings.ToLower(pusher), now: r.cfg.Now(), ours: ours, theirs: tip,
	}
	result, err := m.run(ctx)
	if err != nil {
		return mergedNotes{}, fmt.Errorf("merging %s into %s: %w", tip, ref, err)
	}
	old := ours
	if old == "" {
		old = gitcmd.ZeroOID
	}
	if result != ours {
		if err := repo.UpdateRefs(ctx, []gitcmd.RefUpdate{{Name: ref, Old: old, New: result}}); err != nil {
			return mergedNotes{}, err
		}
	}
	return mergedNotes{old: old, new: result, events: m.events}, nil
}

func formatOf(ref string) notes.Format {
	if format, known := notes.RefFormats[ref]; known {
		return format
	}
	return notes.FormatBlamePrompt
}

// tipOf returns what a ref points at, "" for none.
func tipOf(ctx context.Context, repo *gitcmd.Repo, ref string) (gitcmd.OID, error) {
	refs, err := repo.Refs(ctx, ref)
	if err != nil {
		return "", err
	}
	for _, r := range refs {
		if r.Name == ref {
			return r.OID, nil
		}
	}
	return "", nil
}

// The findings about what a merge did not let happen; docs/findings.md.
const (
	codeTampered = "receipt_tampered"
	codeKept     = "receipt_kept"
)

// record makes findings, and rows of the audit log, of what a merge refused.
func (r *Repos) record(ctx context.Context, by access.Principal, row store.Repo, ref string, events []mergeEvent) error {
	if len(events) == 0 {
		return nil
	}
	who := by.User
	if who == "" {
		who = by.Name
	}
	faults := make([]store.Fault, len(events))
	for i, e := range events {
		faults[i] = store.Fault{Pair: store.Pair{Commit: e.commit, Blob: string(e.blob)}, Finding: e.finding(ref, who)}
	}
	return r.cfg.DB.RecordRefusedNotes(ctx, by, row, ref, faults)
}

func (e mergeEvent) finding(ref, who string) notes.Finding {
	if e.tampered() {
		return notes.Finding{Code: codeTampered, Severity: notes.Warning, ReceiptID: e.receipt,
			Message: fmt.Sprintf("A push by %s to %s has this receipt with other content (%s) than the one that is here (%s). "+
				"What is here was kept.", who, ref, e.refused, e.kept)}
	}
	return notes.Finding{Code: codeKept, Severity: notes.Info, ReceiptID: e.receipt,
		Message: fmt.Sprintf("A push by %s to %s has removed this receipt of somebody else. It was kept.", who, ref)}
}
