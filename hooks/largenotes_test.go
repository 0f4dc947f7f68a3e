package hooks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// Large notes are found by their sizes among those that come with the push, and
// in no others.
func TestCollectLargeNotes(t *testing.T) {
	t.Parallel()
	const ref, other = "refs/notes/blameprompt", "refs/notes/ai"
	w := newWorld(t)
	tips := w.dev.Commits("refs/heads/main", 4)
	w.push("main")
	large := strings.Repeat("x", notes.MaxBody+1)
	want := func(what string, p Push, notes ...LargeNote) {
		t.Helper()
		if diff := cmp.Diff(notes, p.LargeNotes); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	w.dev.Notes(gittest.Notes{Fanout: 1, Bodies: map[gitcmd.OID]string{tips[0]: large[1:], tips[1]: large}})
	first := LargeNote{Ref: ref, Commit: tips[1], Size: notes.MaxBody + 1}
	want("a new ref", w.push(ref), first)
	w.dev.Notes(gittest.Notes{Fanout: 1, Bodies: map[gitcmd.OID]string{tips[2]: noteBody("r1", "m")}})
	want("what was there before", w.push(ref))
	w.dev.Notes(gittest.Notes{Ref: other, Bodies: map[gitcmd.OID]string{tips[3]: large + "x"}})
	want("several refs", w.push("main", ref+":refs/notes/copy", other), under(first, "refs/notes/copy"),
		LargeNote{Ref: other, Commit: tips[3], Size: notes.MaxBody + 2})
	want("a ref that goes", w.push(":"+other))

	// What is no note is told too, and what is no tree of notes is none.
	blob := w.dev.Git("hash-object", "-w", "--path=x", writeTemp(t, large))
	w.dev.Git("update-ref", "refs/notes/blob", blob)
	want("a blob in place of notes", w.push("refs/notes/blob"))
	w.dev.Commit(gittest.Commit{Ref: "refs/heads/files", Files: map[string]string{"dir/movie.bin": large}})
	want("a file that is no note", w.push("files:refs/notes/files"), LargeNote{Ref: "refs/notes/files", Size: notes.MaxBody + 1})
}

// under is the same note in another ref.
func under(n LargeNote, ref string) LargeNote {
	n.Ref = ref
	return n
}

// A hidden notes ref, whose old value the pusher does not know, is compared with
// what is there.
func TestLargeNotesBehindAHiddenRef(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tips := f.Commits("refs/heads/main", 2)
	large := strings.Repeat("x", notes.MaxBody+1)
	f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tips[0]: large}})
	before := f.Tip("refs/notes/blameprompt")
	f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tips[1]: "{}"}})
	after := f.Tip("refs/notes/blameprompt")
	f.SetRef("refs/notes/blameprompt", before)
	update := Update{Old: gitcmd.ZeroOID, New: after, Ref: "refs/notes/blameprompt"}
	p, err := Collect(t.Context(), f.Repo, []Update{update}, Environment{}, Limits{})
	if err != nil || len(p.LargeNotes) > 0 {
		t.Errorf("%v, large notes %+v", err, p.LargeNotes)
	}
}

// However many branches are forced beside it, a notes ref that follows what is
// there is not taken for forced.
func TestNotesAreNotTakenForForced(t *testing.T) {
	t.Parallel()
	const ref = "refs/notes/blameprompt"
	w := newWorld(t)
	tips := w.dev.Commits("refs/heads/main", 3)
	w.dev.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tips[0]: noteBody("r0", "m")}})
	create, force := []string{ref}, []string{"--force"}
	for i := range maxAncestry + 6 {
		create = append(create, fmt.Sprintf("%s:refs/heads/b%d", tips[2], i))
		force = append(force, fmt.Sprintf("%s:refs/heads/b%d", tips[1], i))
	}
	w.push(create...)
	for i := range 3 {
		w.dev.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tips[i]: noteBody(fmt.Sprint("r1", i), "m")}})
	}
	for _, r := range w.push(append(force, ref)...).Refs {
		if r.Forced != (r.Name != ref) {
			t.Errorf("%s is forced: %t", r.Name, r.Forced)
		}
	}
}

func writeTemp(t *testing.T, text string) string {
	t.Helper()
	path := t.TempDir() + "/file"
	writeScript(t, path, text)
	return path
}
