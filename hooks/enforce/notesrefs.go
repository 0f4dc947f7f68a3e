package enforce

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Policies do not judge notes refs. These have rules of their own, which hold
// for every repository as its notes protection says: what would take everybody's
// receipts away, or bring what nobody can read, is not what a developer's tool
// does by itself.

// The rules of notes refs as findings and records name them.
const (
	notesRules = "Rules of notes refs"
	notesRule  = "notes_refs"
)

// guarded is what breaking the rules of notes refs leads to; accept is not to
// look.
func guarded(to *store.PushTarget) push.Outcome {
	switch to.NotesProtection {
	case store.NotesWithout:
		return push.Accept
	case store.NotesWarn:
		return push.Warn
	case store.NotesRefuse:
		return push.Refuse
	}
	if to.Mode == store.ModeEnforcing {
		return push.Refuse
	}
	return push.Warn
}

// guardNotes judges what the push does to the repository's notes refs.
func guardNotes(p *hooks.Push, to *store.PushTarget) []push.Finding {
	outcome := guarded(to)
	if outcome == push.Accept {
		return nil
	}
	var found []push.Finding
	for _, ref := range p.Refs {
		if !slices.Contains(to.NotesRefs, ref.Name) || ref.Old.IsZero() {
			// Of a ref that pushers do not see, nothing is lost: the gateway merges.
			continue
		}
		switch {
		case ref.New.IsZero():
			found = append(found, deletedNotes(ref))
		case ref.Forced:
			found = append(found, forcedNotes(ref))
		}
	}
	for _, large := range p.LargeNotes {
		if slices.Contains(to.NotesRefs, large.Ref) {
			found = append(found, largeNote(large))
		}
	}
	for i := range found {
		f := &found[i]
		f.PolicyName, f.Rule, f.Problem, f.Outcome = notesRules, notesRule, push.Violated, outcome
	}
	return found
}

func deletedNotes(ref hooks.Ref) push.Finding {
	return push.Finding{
		Message: fmt.Sprintf("%s would be deleted, with everybody's receipts.", refText(ref.Name)),
		Next: fmt.Sprintf("Leave it there. To take out notes of your own: git notes --ref=%s remove COMMIT, and push that.",
			quoted(shortNotes(ref.Name))),
	}
}

func forcedNotes(ref hooks.Ref) push.Finding {
	name := quoted(shortNotes(ref.Name))
	return push.Finding{
		Message: fmt.Sprintf("%s has notes that this push would throw away: what it brings does not follow %.12s.",
			refText(ref.Name), ref.Old),
		Next: fmt.Sprintf("Join both, and push without force: git fetch origin %s:refs/notes/theirs && git notes --ref=%s merge theirs",
			quoted(ref.Name), name),
	}
}

func largeNote(large hooks.LargeNote) push.Finding {
	f := push.Finding{
		Commit: string(large.Commit), Limit: fmt.Sprintf("%d bytes in a note", notes.MaxBody), Found: fmt.Sprintf("%d bytes", large.Size),
		Message: fmt.Sprintf("%s would get a file that is too large to be read as a note.", refText(large.Ref)),
		Next:    "Take it out, and push again.",
	}
	if large.Commit != "" {
		f.Message = fmt.Sprintf("%s would get a note of commit %.12s that is too large to be read, so that its receipts would not count.",
			refText(large.Ref), large.Commit)
		f.Next = fmt.Sprintf("Take it out, and push again: git notes --ref=%s remove %.12s", quoted(shortNotes(large.Ref)), large.Commit)
	}
	return f
}

// shortNotes names a notes ref as git notes takes it.
func shortNotes(ref string) string { return strings.TrimPrefix(ref, "refs/notes/") }
