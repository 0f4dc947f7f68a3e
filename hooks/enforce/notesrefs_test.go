package enforce_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// notesPush is a push to a notes ref alone.
func notesPush(ref string, old, tip gitcmd.OID, forced bool) hooks.Push {
	p := pushed()
	p.Refs = []hooks.Ref{{Name: ref, Old: old, New: tip, Kind: push.Notes, Forced: forced}}
	return p
}

const notesRef = "refs/notes/blameprompt"

func largePush(ref string, commit gitcmd.OID) hooks.Push {
	p := notesPush(ref, oid("n1"), oid("n2"), false)
	p.LargeNotes = []hooks.LargeNote{{Ref: ref, Commit: commit, Size: notes.MaxBody + 5}}
	return p
}

// Pushes that harm notes refs end by the notes protection of the repository, and
// no others do.
func TestNotesProtection(t *testing.T) {
	t.Parallel()
	deleted, forced := notesPush(notesRef, oid("n1"), gitcmd.ZeroOID, false), notesPush("refs/notes/ai", oid("n1"), oid("n2"), true)
	both := pushed(commit("c1"))
	both.Refs = append(both.Refs, deleted.Refs...)
	harmless := map[string]hooks.Push{
		"new":                    notesPush(notesRef, gitcmd.ZeroOID, oid("n2"), false),
		"a fast-forward":         notesPush(notesRef, oid("n1"), oid("n2"), false),
		"others' notes, deleted": notesPush("refs/notes/commits", oid("n1"), gitcmd.ZeroOID, false),
		"others' notes, forced":  notesPush("refs/notes/review", oid("n1"), oid("n2"), true),
		"others' notes, large":   largePush("refs/notes/review", oid("c1")),
		"a branch, deleted": func() hooks.Push {
			p := pushed()
			p.Refs[0].New, p.Refs[0].Kind = gitcmd.ZeroOID, push.Delete
			return p
		}(),
		"hidden, and not deleted": notesPush(notesRef, gitcmd.ZeroOID, gitcmd.ZeroOID, false),
	}
	harmful := map[string]hooks.Push{
		"deleted": deleted, "forced": forced, "large": largePush(notesRef, oid("c1")), "a large file": largePush(notesRef, ""), "with a branch": both,
	}
	dsn := storetest.DSN(t)
	db := storetest.OpenDSN(t, dsn)
	for _, c := range []struct {
		mode       string
		protection store.NotesProtection
		want       push.Outcome
	}{
		{"enforcing", store.NotesByMode, push.Refuse}, {"advisory", store.NotesByMode, push.Warn},
		{"enforcing", store.NotesWarn, push.Warn}, {"advisory", store.NotesRefuse, push.Refuse},
		{"enforcing", store.NotesWithout, push.Accept},
	} {
		t.Run(fmt.Sprintf("%s %s", c.mode, c.protection), func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, dsn, db, c.mode+string(c.protection))
			w.set(fmt.Sprintf("mode = '%s', notes_protection = '%s'", c.mode, c.protection))
			for name, p := range harmless {
				if a := w.decide(p); a.Verdict.Outcome != push.Accept {
					t.Errorf("%s: %s\n%s", name, a.Verdict.Outcome, a.Text(hooks.Git))
				}
			}
			for name, p := range harmful {
				a := w.decide(p)
				d := w.decision(a)
				if a.Verdict.Outcome != c.want || d.Outcome != c.want || d.State != store.StateFinal {
					t.Errorf("%s: %s, recorded %s (%s), want %s", name, a.Verdict.Outcome, d.Outcome, d.State, c.want)
				}
				if n := len(d.Violations); (n == 1) != (c.want != push.Accept) {
					t.Errorf("%s: %d violations", name, n)
				}
			}
		})
	}
}

// TestNotesProtectionTexts has all that a pusher reads.
func TestNotesProtectionTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("mode = 'enforcing', notes_refs = ARRAY['refs/notes/blameprompt', 'refs/notes/a$(id)']")
	for name, c := range map[string]struct {
		push hooks.Push
		want string
	}{
		"deleted": {notesPush(notesRef, oid("n1"), gitcmd.ZeroOID, false), `BlamePrompt: this push is refused.

  Rules of notes refs:
    - Ref "refs/notes/blameprompt" would be deleted, with everybody's
      receipts.
      Next: Leave it there. To take out notes of your own: git notes
        --ref=blameprompt remove COMMIT, and push that.

`},
		"forced": {notesPush("refs/notes/a$(id)", oid("n1"), oid("n2"), true), `BlamePrompt: this push is refused.

  Rules of notes refs:
    - Ref "refs/notes/a$(id)" has notes that this push would throw away:
      what it brings does not follow 6e3100000000.
      Next: Join both, and push without force: git fetch origin
        'refs/notes/a$(id)':refs/notes/theirs && git notes --ref='a$(id)'
        merge theirs

`},
		"large": {largePush(notesRef, oid("c1")), `BlamePrompt: this push is refused.

  Rules of notes refs:
    - Ref "refs/notes/blameprompt" would get a note of commit 633100000000
      that is too large to be read, so that its receipts would not count.
      Where: commit 633100000000
      Limit: 16777216 bytes in a note; found: 16777221 bytes
      Next: Take it out, and push again: git notes --ref=blameprompt remove
        633100000000

`},
	} {
		got, _, _ := strings.Cut(w.decide(c.push).Text(hooks.Git), "  Decision: ")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// An override passes what protects notes refs; a late verdict does not repeat it.
func TestOverridesOfNotesProtection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("mode = 'enforcing'")
	w.policy("Models", "block", `{"blocked_models": ["gpt-4*"]}`)
	w.mayOverride(w.user(ada))
	p := pushed(marked("c1"))
	p.Refs = append(p.Refs, notesPush(notesRef, oid("n1"), gitcmd.ZeroOID, false).Refs...)
	if a := w.decide(p); !a.Refused() || !a.Override || !strings.Contains(a.Text(hooks.Git), "  Override: you may go ahead") {
		t.Errorf("not offered:\n%s", a.Text(hooks.Git))
	}
	p.PushOptions = []string{"blameprompt.override=cleaning up"}
	a := w.decide(p)
	if d := w.decision(a); a.Refused() || d.State != store.StatePending || d.Override != "cleaning up" {
		t.Errorf("%s, %+v", a.Verdict.Outcome, d.Decision)
	}
	w.arrive("c1", good, "1")
	w.due()
	if d := w.decision(a); d.State != store.StateReleased {
		t.Errorf("the decision is %s: %+v", d.State, d.LateVerdict)
	}
}
