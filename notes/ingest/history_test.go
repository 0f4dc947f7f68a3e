package ingest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/store/storetest"
)

// developer is a clone in which someone works as the client does: notes are
// added, moved and removed by git notes, and pushed apart from branches.
type developer struct{ *gittest.Fixture }

func (w *world) developer(name string) developer {
	d := developer{gittest.Clone(w.t, w.remote.Dir)}
	d.Git("config", "user.name", name)
	d.Git("config", "user.email", name+"@example.com")
	return d
}

// commit commits a change of file and annotates it with a receipt per id.
func (d developer) commit(file string, ids ...string) string {
	d.Write(file, fmt.Sprintf("%s %v\n", file, ids))
	d.Git("add", "-A")
	d.Git("commit", "--quiet", "-m", "change "+file)
	head := d.Git("rev-parse", "HEAD")
	if len(ids) > 0 {
		d.annotate(head, note(ids...))
	}
	return head
}

func (d developer) annotate(commit, body string) {
	path := filepath.Join(d.Dir, ".git", "note-body")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		panic(err)
	}
	d.Git("notes", "--ref=blameprompt", "add", "-f", "-F", path, commit)
}

// rewrite does what the client's post-rewrite hook does for one pair.
func (d developer) rewrite(old, new string) {
	body, err := d.TryGit("notes", "--ref=blameprompt", "show", old)
	if err != nil {
		return
	}
	d.annotate(new, body)
	d.Git("notes", "--ref=blameprompt", "remove", old)
}

func (d developer) push(args ...string) {
	d.Git(append([]string{"push", "--quiet", "origin"}, args...)...)
}

func TestAmendKeepsTheReceiptsThatItLoses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer("dev")
	old := dev.commit("a", "first")
	dev.push("HEAD:main", notesRef)
	w.sync()
	w.wantReceipts("first")

	dev.Write("a", "amended")
	dev.Git("commit", "--quiet", "-a", "--amend", "-m", "amended")
	head := dev.Git("rev-parse", "HEAD")
	dev.annotate(head, note("fresh"))
	dev.rewrite(old, head)
	dev.push("+HEAD:main", notesRef)
	w.sync()
	// The hook overwrote the fresh receipt; the history of the ref has it.
	w.wantReceipts("first", "fresh (superseded)")
	w.mustEqualFreshIngest()
}

func TestFixupKeepsEveryReceiptOfTheSquashedCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer("dev")
	dev.commit("base")
	one, two, three := dev.commit("a", "one"), dev.commit("b", "two"), dev.commit("c", "three")
	dev.push("HEAD:main", notesRef)
	w.sync()
	dev.Git("reset", "--quiet", "--soft", "HEAD~3")
	dev.Git("commit", "--quiet", "-m", "squashed")
	head := dev.Git("rev-parse", "HEAD")
	for _, old := range []string{one, two, three} {
		dev.rewrite(old, head)
	}
	dev.push("+HEAD:main", notesRef)
	w.sync()
	w.wantReceipts("one (superseded)", "three", "two (superseded)")
	w.mustEqualFreshIngest()
}

func TestRebaseMovesReceiptsToTheNewCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer("dev")
	base := dev.commit("base")
	old := []string{dev.commit("a", "one"), dev.commit("b", "two")}
	dev.push("HEAD:main", notesRef)
	w.sync()
	dev.Git("checkout", "--quiet", "-b", "other", base)
	dev.commit("upstream")
	dev.Git("cherry-pick", old[0], old[1])
	moved := strings.Fields(dev.Git("rev-list", "--reverse", "-2", "HEAD"))
	for i := range old {
		dev.rewrite(old[i], moved[i])
	}
	dev.push("+HEAD:main", notesRef)
	w.sync()
	w.wantReceipts("one", "two")
	got := storetest.Column(t, w.db, `SELECT commit_hash FROM receipts ORDER BY id`)
	if got[0] != moved[0] || got[1] != moved[1] {
		t.Errorf("receipts sit on %v, want %v", got, moved)
	}
	w.mustEqualFreshIngest()
}

func TestNotesOfTwoDevelopersMergeWithoutLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.developer("ada")
	ada.commit("base")
	ada.push("HEAD:main")
	ben := w.developer("ben")
	ada.commit("a", "of ada")
	ada.push("HEAD:ada", notesRef)
	w.sync()
	ben.commit("b", "of ben")
	ben.Git("fetch", "--quiet", "origin", notesRef+":refs/notes/theirs")
	ben.Git("notes", "--ref=blameprompt", "merge", "--quiet", "refs/notes/theirs")
	ben.push("HEAD:ben", notesRef)
	w.sync()
	w.wantReceipts("of ada", "of ben")
	w.mustEqualFreshIngest()
}

func TestAForcedNotesPushKeepsWhatItThrewAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("kept"), oid(2): note("thrown")}})
	w.sync()
	w.remote.Notes(gittest.Notes{Root: true, Bodies: map[gitcmd.OID]string{oid(1): note("kept")}})
	w.sync()
	w.wantReceipts("kept", "thrown (superseded)")
	w.wantFindings("notes_ref_rewritten")
	w.mustEqualFreshIngest()
}

func TestATipForcedBackShowsTheOlderContentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := func(cost string) map[gitcmd.OID]string {
		return map[gitcmd.OID]string{oid(1): payload(receiptJSON("r", `"cost_usd": `+cost+`,`))}
	}
	first := w.remote.Notes(gittest.Notes{Bodies: body("1")})
	w.sync()
	w.remote.Notes(gittest.Notes{Bodies: body("2")})
	w.sync()
	w.remote.SetRef(notesRef, first)
	w.sync()
	if got := storetest.Column(t, w.db, `SELECT cost_reported_usd::text FROM receipts`); got[0] != "1" {
		t.Errorf("reported cost after the tip went back = %s, want 1", got[0])
	}
	w.mustEqualFreshIngest()
}

func TestADeletedAndRecreatedNotesRefKeepsAllReceipts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("before")}})
	w.sync()
	w.remote.Delete(notesRef)
	w.sync()
	w.wantReceipts("before (superseded)")
	w.wantFindings("notes_ref_deleted")
	w.mustEqualFreshIngest()
	w.remote.Notes(gittest.Notes{Root: true, Bodies: map[gitcmd.OID]string{oid(2): note("after")}})
	w.sync()
	w.wantReceipts("after", "before (superseded)")
	w.mustEqualFreshIngest()
}

func TestAFanOutIsNoChangeOfNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bodies := map[gitcmd.OID]string{}
	for i := range 200 {
		bodies[oid(i*7919)] = note(fmt.Sprintf("r%03d", i))
	}
	w.remote.Notes(gittest.Notes{Bodies: bodies})
	w.sync()
	w.remote.Notes(gittest.Notes{Replace: true, Bodies: bodies, Fanout: 1})
	report := w.sync()
	if report.Versions != 0 || report.Bodies != 0 {
		t.Errorf("fanning out brought %d versions and %d bodies, want none", report.Versions, report.Bodies)
	}
	if got := w.receipts(); len(got) != 200 || strings.Contains(strings.Join(got, ","), "superseded") {
		t.Errorf("after the fan-out %d receipts, want 200 current ones: %v", len(got), got)
	}
	w.mustEqualFreshIngest()
}

func TestGitFansOutByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer("dev")
	for i := range 80 {
		dev.commit("f", fmt.Sprintf("r%02d", i))
	}
	dev.push("HEAD:main", notesRef)
	w.sync()
	if got := len(w.receipts()); got != 80 {
		t.Errorf("%d receipts, want 80", got)
	}
	if tree := w.remote.Git("ls-tree", "--name-only", notesRef); len(strings.Fields(tree)[0]) != 2 {
		t.Fatalf("git did not fan the tree out: %.60s", tree)
	}
	w.mustEqualFreshIngest()
}

func TestOneReceiptOnTwoCommitsIsOneReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("r"), oid(2): note("r", "s")}})
	w.sync()
	w.wantReceipts("r", "s")
	got := storetest.Column(t, w.db, `SELECT commit FROM receipt_commits WHERE receipt_id = 'r' AND current ORDER BY 1`)
	if len(got) != 2 {
		t.Errorf("the receipt stands on %v, want both commits", got)
	}
	w.mustEqualFreshIngest()
}

// A storm of everything that can happen to a notes ref, with a sync after a
// random part of it: every receipt that a synced history ever held is stored,
// and the store ends as if it had seen the end alone.
func TestAnyHistoryEndsAsAFreshIngest(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			rng := rand.New(rand.NewPCG(seed, 1))
			held := map[string]bool{}
			for range 40 {
				w.randomChange(rng)
				if rng.IntN(3) == 0 {
					w.historyInto(held)
					w.sync()
				}
			}
			w.historyInto(held)
			w.sync()
			w.mustEqualFreshIngest()
			stored := storetest.Column(t, w.db, `SELECT id FROM receipts ORDER BY id`)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(held)), stored); diff != "" {
				t.Errorf("receipts (-in the history of the ref +in the store):\n%s", diff)
			}
		})
	}
}

var heldID = regexp.MustCompile(`"id": "(r[0-9]+x?)"`)

// historyInto adds the ids of all receipts in the history of the remote's notes.
func (w *world) historyInto(ids map[string]bool) {
	w.t.Helper()
	if w.remote.Tip(notesRef) == "" {
		return
	}
	for _, m := range heldID.FindAllStringSubmatch(w.remote.Git("log", "-p", "-m", "--root", "--format=", notesRef), -1) {
		ids[m[1]] = true
	}
}

// randomChange makes one change of the remote's notes.
func (w *world) randomChange(rng *rand.Rand) {
	bodies := map[gitcmd.OID]string{}
	for range 1 + rng.IntN(4) {
		id := fmt.Sprintf("r%d", rng.IntN(30))
		extra := fmt.Sprintf(`"cost_usd": %d, "prompt_number": %d, "session_id": "s%d",`, rng.IntN(3), rng.IntN(3), rng.IntN(4))
		bodies[oid(rng.IntN(12))] = payload(receiptJSON(id, extra), receiptJSON(id+"x", ""))
	}
	change := gittest.Notes{Bodies: bodies, Fanout: rng.IntN(3), Remove: []gitcmd.OID{oid(rng.IntN(12))}}
	tip := w.remote.Tip(notesRef)
	switch rng.IntN(8) {
	case 0:
		change.Root = true
	case 1:
		w.remote.Delete(notesRef)
		return
	case 2:
		if parents := w.remote.Git("log", "--all", "--format=%H"); parents != "" && tip != "" {
			change.Parents = []gitcmd.OID{gitcmd.OID(strings.Fields(parents)[rng.IntN(len(strings.Fields(parents)))])}
		}
	case 3:
		if tip != "" {
			side := w.remote.Notes(gittest.Notes{Ref: "refs/notes/side", Root: true, Bodies: bodies})
			change.Parents = []gitcmd.OID{tip, side}
		}
	}
	w.remote.Notes(change)
}
