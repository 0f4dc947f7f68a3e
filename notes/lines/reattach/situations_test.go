package reattach_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/store/storetest"
)

func TestARebaseThatMovesNoNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	old := w.commit("edit", "base.txt", numbered(1, 10)+"a\nb\n"+numbered(11, 30))
	w.annotate(old, receipt("r", "base.txt", 11, 12, ""))
	w.push("topic", notesRef)
	w.sync()
	w.want()
	w.dev.Git("checkout", "--quiet", "main")
	w.commit("upstream", "base.txt", "new\n"+numbered(1, 30))
	w.push("main")
	w.dev.Git("rebase", "--quiet", "main", "topic")
	w.push("+topic")
	if change := w.sync(); change.Found != 1 {
		t.Errorf("changed %+v", change)
	}
	w.want("patch-id edit edit")
	w.wantMoved("base.txt 12-13 edit base.txt 11")
	w.wantLines()
	w.dev.Git("checkout", "--quiet", "main")
	w.dev.Git("merge", "--quiet", "--ff-only", "topic")
	w.push("main")
	w.sync()
	w.wantLines("edit base.txt 12-13 ai envelope r <edit")
	w.wantNoted("edit")
}

func TestAForgeSquashesThreeCommitsWithTwoReceipts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	one := w.commit("one", "a.txt", "1\n2\n")
	w.annotate(one, receipt("r1", "a.txt", 1, 2, ""))
	w.commit("two", "b.txt", "x\n")
	three := w.commit("three", "a.txt", "0\n1\n2\n3\n")
	w.annotate(three, receipt("r3", "a.txt", 1, 4, ""))
	w.push("topic", notesRef)
	w.dev.Git("checkout", "--quiet", "main")
	w.commit("upstream", "base.txt", numbered(1, 31))
	w.dev.Git("merge", "--quiet", "--squash", "topic")
	w.dev.Git("-c", "user.name=Forge", "-c", "user.email=noreply@forge.example.com", "commit", "--quiet", "-m", "squash", "--author=Somebody <else@example.com>")
	w.push("main")
	w.sync()
	w.want()
	w.push(":topic")
	w.sync()
	w.want("patch-id one squash squash", "patch-id three squash squash")
	w.wantMoved("a.txt 1-1 three a.txt 1", "a.txt 2-3 one a.txt 1", "a.txt 4-4 three a.txt 4")
	w.wantLines("squash a.txt 1-1 ai envelope r3 <three", "squash a.txt 2-3 ai envelope r1 <one", "squash a.txt 4-4 ai envelope r3 <three")
	w.wantNoted("squash")
}

// As long as the branch is there, only the content that receipts recorded speaks of
// the squash. When the branch is merged after all, its notes speak of its commits.
func TestASquashBesideItsBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	one := w.commit("one", "a.txt", "1\n2\n")
	w.annotate(one, receipt("r1", "a.txt", 1, 2, w.dev.Git("rev-parse", "HEAD:a.txt")))
	two := w.commit("two", "b.txt", "x\n")
	w.annotate(two, receipt("r2", "b.txt", 1, 1, ""))
	w.push("topic", notesRef)
	w.dev.Git("checkout", "--quiet", "main")
	w.dev.Git("merge", "--quiet", "--squash", "topic")
	w.dev.Git("commit", "--quiet", "-m", "squash")
	w.push("main")
	w.sync()
	w.want()
	w.wantLines("squash a.txt 1-2 ai exact r1")
	w.dev.Git("merge", "--quiet", "--no-ff", "-m", "merge", "topic")
	w.push("main", ":topic")
	w.sync()
	w.want()
	w.wantLines("one a.txt 1-2 ai exact r1", "squash a.txt 1-2 ai exact r1", "two b.txt 1-1 ai envelope r2")
}

func TestACherryPickWhoseSourceIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	w.commit("other", "b.txt", "x\n")
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.push("topic", notesRef)
	w.dev.Git("checkout", "--quiet", "main")
	w.dev.Git("cherry-pick", old)
	w.push("main")
	w.sync()
	w.want() // The topic branch still has the commit.
	w.push(":topic")
	w.sync()
	w.want("patch-id edit edit")
	w.push("topic")
	w.sync()
	w.want() // It came back.
}

func TestAnAmendWithAnotherMessageAndAuthor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.push("HEAD:main", notesRef)
	w.sync()
	w.dev.Git("commit", "--quiet", "--amend", "-m", "better", "--author=Somebody <else@example.com>")
	w.push("+HEAD:main")
	w.sync()
	w.want("patch-id edit better")
}

// The client moves notes from old commits to new ones and removes the old; of
// several that became one, the last overwrites the others.
func TestNotesThatAClientMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	one := w.commit("one", "a.txt", "1\n2\n")
	w.annotate(one, receipt("r1", "a.txt", 1, 2, ""))
	two := w.commit("two", "a.txt", "1\n2\n3\n")
	w.annotate(two, receipt("r2", "a.txt", 3, 3, ""))
	w.push("topic", notesRef)
	w.sync()
	w.dev.Git("reset", "--quiet", "--soft", "HEAD~2")
	w.dev.Git("commit", "--quiet", "-m", "both")
	for _, old := range []string{one, two} {
		w.dev.Git("notes", "--ref=blameprompt", "copy", "-f", old, "HEAD")
		w.dev.Git("notes", "--ref=blameprompt", "remove", old)
	}
	w.push("+topic", notesRef)
	w.sync()
	w.want("notes-history one both squash", "notes-history two both squash")
	w.dev.Git("checkout", "--quiet", "main")
	w.dev.Git("merge", "--quiet", "--ff-only", "topic")
	w.push("main")
	w.sync()
	// The note of the first, which the second overwrote, is heard again.
	w.wantLines("both a.txt 1-2 ai envelope r1 <one", "both a.txt 3-3 ai envelope r2")
}

func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.push("HEAD:main", notesRef)
	w.sync()
	w.dev.Git("commit", "--quiet", "--amend", "-m", "better")
	w.push("+HEAD:main")
	w.enable(false)
	w.sync()
	w.want()
	w.enable(true)
	w.keep()
	w.want("patch-id edit better")
	w.enable(false)
	if change := w.keep(); change.Ended != 1 {
		t.Errorf("changed %+v", change)
	}
	w.want()
	w.enable(true)
	w.keep()
	w.want("patch-id edit better")
	w.wantMoved("a.txt 1-2 edit a.txt 1")
	w.classify()
	w.wantLines("better a.txt 1-2 ai envelope r <edit")
	w.enable(false)
	w.keep()
	w.classify()
	w.wantLines()
	w.wantNoted()
}

// The lines that git-ai attests are found where they are now.
func TestAttestedLinesAreCarriedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	one := w.commit("one", "base.txt", numbered(1, 10)+"a\nb\nc\n"+numbered(11, 30))
	w.gitAI(one, "base.txt", "11,13")
	two := w.commit("two", "base.txt", "top\n"+numbered(1, 10)+"a\nb\nc\n"+numbered(11, 30))
	w.gitAI(two, "base.txt", "1")
	w.push("topic", "refs/notes/ai")
	w.sync()
	w.dev.Git("checkout", "--quiet", "main")
	w.commit("upstream", "base.txt", numbered(1, 30)+"end\n")
	w.dev.Git("merge", "--quiet", "--squash", "topic")
	w.dev.Git("commit", "--quiet", "-m", "squash")
	w.push("main", ":topic")
	w.sync()
	w.want("patch-id one squash squash", "patch-id two squash squash")
	w.wantLines("squash base.txt 1-1 ai attested git-ai <two", "squash base.txt 12-12 ai attested git-ai <one", "squash base.txt 14-14 ai attested git-ai <one")
}

// Where the change is not the same, the content that a receipt recorded is.
func TestContentThatAReceiptRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	w.dev.Write("b.txt", "b\n")
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "/home/dev/src/a.txt", 1, 2, w.dev.Git("rev-parse", "HEAD:a.txt")))
	w.push("topic", notesRef)
	w.sync()
	w.dev.Git("checkout", "--quiet", "main")
	w.dev.Git("checkout", "topic", "--", "a.txt")
	w.commit("taken", "c.txt", "c\n")
	w.commit("undone", "a.txt", "2\n")
	w.commit("again", "a.txt", "1\n2\n")
	w.push("main", ":topic")
	w.sync()
	w.want("blob edit taken")
	w.wantNoted("taken")
	w.wantLines("taken a.txt 1-2 ai exact r", "again a.txt 1-1 ai exact r")
}

func TestEqualChangesThatBothLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.dev.Git("checkout", "--quiet", "main")
	w.commit("other", "b.txt", "x\n")
	w.dev.Git("cherry-pick", old)
	w.push("main", "topic", notesRef)
	w.sync()
	w.want()
	w.wantLines()
}

// A commit that is undone and done again is meant once, by the first.
func TestRevertsAndReapplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.push("topic", notesRef)
	w.sync()
	w.dev.Git("checkout", "--quiet", "main")
	w.commit("upstream", "b.txt", "x\n")
	w.dev.Git("cherry-pick", old)
	w.dev.Git("commit", "--quiet", "--amend", "-m", "picked")
	w.dev.Git("revert", "--no-edit", "HEAD")
	w.dev.Git("commit", "--quiet", "--amend", "-m", "reverted")
	w.dev.Git("revert", "--no-edit", "HEAD")
	w.dev.Git("commit", "--quiet", "--amend", "-m", "reapplied")
	w.push("main", ":topic")
	w.sync()
	w.want("patch-id edit picked")
	w.wantLines("picked a.txt 1-2 ai envelope r <edit")
}

// What was reverted on the branch that still has it speaks for no later commit.
func TestAReapplyOfACommitThatLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.dev.Git("revert", "--no-edit", "HEAD")
	w.dev.Git("revert", "--no-edit", "HEAD")
	w.push("HEAD:main", notesRef)
	w.sync()
	w.want()
	w.wantLines("edit a.txt 1-2 ai envelope r")
}

// A commit is not made of one that is younger.
func TestACopyThatIsLeftBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit("edit", "a.txt", "1\n2\n")
	w.wait()
	w.dev.Git("checkout", "--quiet", "-b", "release", "HEAD~1")
	w.commit("other", "b.txt", "x\n")
	w.dev.Git("cherry-pick", first)
	w.annotate(w.head(), receipt("r", "a.txt", 1, 2, ""))
	w.push("main", "release", notesRef)
	w.sync()
	w.push(":release")
	w.sync()
	w.want()
}

// A note that somebody took away is not brought back by that of another commit.
func TestAWithdrawnNote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.push("HEAD:main", notesRef)
	w.sync()
	w.dev.Git("commit", "--quiet", "--amend", "-m", "better")
	w.dev.Git("notes", "--ref=blameprompt", "copy", old, "HEAD")
	w.push("+HEAD:main", notesRef)
	w.sync()
	w.want("notes-history edit better")
	w.dev.Git("notes", "--ref=blameprompt", "remove", "HEAD")
	w.push(notesRef)
	w.sync()
	w.want()
	w.wantLines()
}

// Moving and finding notes leaves every original as it was, and so does losing
// what they were found by.
func TestOriginalsNeverChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enable(false)
	old := w.commit("edit", "a.txt", "1\n2\n")
	w.annotate(old, receipt("r", "a.txt", 1, 2, ""))
	w.gitAI(old, "a.txt", "2")
	w.push("HEAD:main", notesRef, "refs/notes/ai")
	w.sync()
	w.dev.Git("commit", "--quiet", "--amend", "-m", "better")
	w.push("+HEAD:main")
	w.sync()
	before := w.originals()
	w.enable(true)
	w.sync()
	w.want("patch-id edit better", "patch-id edit better")
	w.enable(false)
	w.sync()
	if diff := cmp.Diff(before, w.originals()); diff != "" {
		t.Errorf("originals changed:\n%s", diff)
	}
}

// What was found is kept when the mirror is made anew without the old commits.
func TestALostMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Git("checkout", "--quiet", "-b", "topic")
	one := w.commit("one", "a.txt", "1\n")
	w.annotate(one, receipt("r", "a.txt", 1, 1, ""))
	two := w.commit("two", "a.txt", "1\n2\n")
	w.annotate(two, receipt("s", "a.txt", 2, 2, ""))
	other := w.commit("thrown", "z.txt", "z\n")
	w.push("topic~1:refs/heads/topic", "topic:refs/heads/thrown", notesRef)
	w.sync()
	w.annotate(other, receipt("t", "z.txt", 1, 1, ""))
	w.dev.Git("checkout", "--quiet", "main")
	w.dev.Git("merge", "--quiet", "--squash", "topic~1")
	w.dev.Git("commit", "--quiet", "-m", "squash")
	w.push("main", ":topic", ":thrown", notesRef)
	w.sync()
	w.dev.Git("reflog", "expire", "--expire=now", "--all")
	w.want("patch-id one squash squash", "patch-id two squash squash")
	if err := os.RemoveAll(w.mirror); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.want("patch-id one squash squash", "patch-id two squash squash")
	w.wantLines("squash a.txt 1-1 ai envelope r <one", "squash a.txt 2-2 ai envelope s <two")
	got := storetest.Column(t, w.db, `SELECT f.code || ' ' || k.subject FROM findings f JOIN commits k USING (org_id, repo_id, commit) WHERE f.code LIKE 'left%'`)
	if diff := cmp.Diff([]string{"left_commit_gone thrown"}, got); diff != "" {
		t.Error(diff)
	}
}
