package added_test

import (
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

func TestANoteAndItsLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	dev.commit("base", "a.txt", numbered(1, 5))
	head := dev.commit("edit", "a.txt", numbered(1, 12))
	dev.annotate(head, payload(receipt("r", "opus", "a.txt", 7, 9, "")))
	dev.push("HEAD:main", notesRef)
	if report := w.sync(); report.Read != 2 || report.Written != 2 {
		t.Errorf("first run: %+v", report)
	}
	w.wantLines("edit a.txt 7-9 ai envelope r")
	w.wantSums(store.LineSums{Added: 12, AI: 3, Unknown: 9, Commits: 2, CommitsNoted: 1})
	if report := w.sync(); report.Read != 0 {
		t.Errorf("a run with nothing new: %+v", report)
	}
	w.mustEqualFreshRun()
}

func TestANoteThatComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	dev.commit("base", "a.txt", numbered(1, 5))
	head := dev.commit("edit", "a.txt", numbered(1, 12))
	dev.push("HEAD:main")
	w.sync()
	w.wantLines()
	dev.annotate(head, gitAI("a.txt", "abcdef0123456789", "6-7,9"))
	dev.push("refs/notes/blameprompt:refs/notes/ai")
	if report := w.sync(); report.Read != 1 || report.Written != 1 {
		t.Errorf("one commit is to be classified again: %+v", report)
	}
	w.wantLines("edit a.txt 6-7 ai attested git-ai:"+head+":abcdef0123456789", "edit a.txt 9-9 ai attested git-ai:"+head+":abcdef0123456789")
	w.wantSums(store.LineSums{Added: 12, AI: 3, Unknown: 9, Commits: 2, CommitsNoted: 1})
	w.mustEqualFreshRun()
}

// A receipt finds its lines in whatever commit has the content that it recorded,
// when it comes before the commit and when it comes after it.
func TestTheContentIsFoundInOtherCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	base := dev.commit("base", "a.txt", numbered(1, 5))
	old := dev.commit("edit", "a.txt", numbered(1, 9))
	blob := dev.blob("a.txt")
	dev.push("HEAD:main")
	w.sync()
	w.wantLines()
	dev.annotate(old, payload(receipt("r", "opus", "/home/dev/src/a.txt", 7, 8, blob)))
	dev.Git("checkout", "--quiet", "-b", "rebased", base)
	dev.commit("upstream", "b.txt", "b\n")
	dev.Git("cherry-pick", old)
	dev.push("+HEAD:main", notesRef)
	w.sync()
	w.wantLines("edit a.txt 7-8 ai exact r")
	w.wantSums(store.LineSums{Added: 10, AI: 2, Unknown: 8, Commits: 3})
	w.mustEqualFreshRun()

	// The note is removed; the receipt has recorded the content all the same.
	dev.Git("notes", "--ref=blameprompt", "remove", old)
	dev.push("HEAD:main", notesRef)
	w.sync()
	w.wantLines("edit a.txt 7-8 ai exact r")
	w.mustEqualFreshRun()
}

func TestASupersededReceiptGivesItsLinesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	head := dev.commit("edit", "a.txt", numbered(1, 9))
	dev.annotate(head, payload(receipt("r", "opus", "a.txt", 1, 4, "")))
	dev.push("HEAD:main", notesRef)
	w.sync()
	dev.annotate(head, payload(receipt("r", "haiku", "a.txt", 3, 4, ""), receipt("s", "opus", "a.txt", 9, 9, "")))
	dev.push("HEAD:main", notesRef)
	w.sync()
	w.wantLines("edit a.txt 3-4 ai envelope r", "edit a.txt 9-9 ai envelope s")
	w.mustEqualFreshRun()
	dev.Git("notes", "--ref=blameprompt", "remove", head)
	dev.push("HEAD:main", notesRef)
	w.sync()
	w.wantLines()
	w.wantSums(store.LineSums{Added: 9, Unknown: 9, Commits: 1})
	w.mustEqualFreshRun()
}

func TestAForcedBranchAndItsReturn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	base := dev.commit("base", "a.txt", numbered(1, 5))
	old := dev.commit("thrown", "a.txt", numbered(1, 9))
	dev.annotate(old, payload(receipt("r", "opus", "a.txt", 6, 9, "")))
	dev.push("HEAD:main", notesRef)
	w.sync()
	dev.Git("checkout", "--quiet", "-b", "other", base)
	dev.commit("kept", "b.txt", "b\n")
	dev.push("+HEAD:main")
	w.sync()
	w.wantLines()
	w.wantSums(store.LineSums{Added: 6, Unknown: 6, Commits: 2})
	w.mustEqualFreshRun()

	// Evidence that comes while it is away is seen when it is back.
	dev.annotate(old, payload(receipt("r", "opus", "a.txt", 6, 7, "")))
	dev.push(notesRef)
	w.sync()
	dev.push("+" + old + ":main")
	w.sync()
	w.wantLines("thrown a.txt 6-7 ai envelope r")
	w.mustEqualFreshRun()
}

func TestAnotherDefaultBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	dev.commit("base", "a.txt", numbered(1, 5))
	dev.push("HEAD:main")
	dev.commit("side", "b.txt", "b\n")
	dev.push("HEAD:side")
	w.sync()
	w.wantSums(store.LineSums{Added: 5, Unknown: 5, Commits: 1})
	w.remote.Git("symbolic-ref", "HEAD", "refs/heads/side")
	w.sync()
	w.wantSums(store.LineSums{Added: 6, Unknown: 6, Commits: 2})
	w.remote.Git("symbolic-ref", "HEAD", "refs/heads/main")
	w.sync()
	w.wantSums(store.LineSums{Added: 5, Unknown: 5, Commits: 1})
	w.mustEqualFreshRun()
}

func TestARepositoryThatIsRemovedAndAddedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by := access.CLI(w.org.ID)
	dev := w.developer()
	head := dev.commit("base", "a.txt", numbered(1, 5))
	dev.push("HEAD:main")
	w.sync()
	if err := w.db.RemoveRepo(t.Context(), by, w.repo.ID); err != nil {
		t.Fatal(err)
	}
	due, err := w.db.LinesDue(t.Context())
	if err != nil || len(due) != 0 {
		t.Errorf("a removed repository is due: %+v, %v", due, err)
	}
	w.wantSums(store.LineSums{Added: 5, Unknown: 5, Commits: 1})
	dev.annotate(head, payload(receipt("r", "opus", "a.txt", 1, 2, "")))
	dev.commit("more", "b.txt", "b\n")
	dev.push("HEAD:main", notesRef)
	if _, err := w.db.CreateRepo(t.Context(), by, store.NewRepo{Name: w.repo.Name, RemoteURL: w.remote.Dir}); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.wantLines("base a.txt 1-2 ai envelope r")
	w.wantSums(store.LineSums{Added: 6, AI: 2, Unknown: 4, Commits: 2, CommitsNoted: 1})
	w.mustEqualFreshRun()
}

func TestPathsThatDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	dev.Write("gen/x.txt", numbered(1, 3))
	dev.Write("go.sum", numbered(1, 4))
	dev.commit("base", "a.txt", numbered(1, 5))
	dev.push("HEAD:main")
	w.sync()
	w.wantSums(store.LineSums{Added: 8, Unknown: 8, Excluded: 4, Commits: 1})
	dev.commit("attributes", ".gitattributes", "gen/* linguist-generated\ngo.sum -linguist-generated\n")
	dev.push("HEAD:main")
	w.sync()
	w.wantSums(store.LineSums{Added: 11, Unknown: 11, Excluded: 3, Commits: 2})
	w.set(store.RepoSettings{ExcludedPaths: []string{"*.txt", "!a.txt"}})
	w.keep()
	w.wantSums(store.LineSums{Added: 11, Unknown: 11, Excluded: 3, Commits: 2})
	w.set(store.RepoSettings{ExcludedPaths: []string{"*.txt"}})
	w.keep()
	w.wantSums(store.LineSums{Added: 6, Unknown: 6, Excluded: 8, Commits: 2})
	w.mustEqualFreshRun()
	w.set(store.RepoSettings{ExcludedPaths: []string{}})
	w.keep()
	w.mustEqualFreshRun()
}

func TestTrailersBotsAndMerges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.remote.Import([]gittest.Commit{
		{Files: map[string]string{"a": numbered(1, 3)}, Message: "base"},
		{Files: map[string]string{"a": numbered(1, 5)}, Message: "marked\n\nCo-authored-by: Claude <noreply@anthropic.com>\n"},
		{Files: map[string]string{"b": "b\n"}, Message: "bot", Name: "dependabot[bot]", Email: "49699333+dependabot[bot]@users.noreply.github.com"},
		{Ref: "refs/heads/side", Parents: oids(string(gittest.Nth(0))), Files: map[string]string{"c": "c\n"}, Message: "side"},
		{Parents: oids(string(gittest.Nth(2)), string(gittest.Nth(3))), Files: map[string]string{"c": "c\n"}, Message: "merge"},
	})
	w.sync()
	w.wantLines("marked a 4-5 ai trailer claude")
	w.wantSums(store.LineSums{Added: 7, AI: 2, Unknown: 5, Trailer: 2, Commits: 3, CommitsMarked: 1, BotCommits: 1, MergeCommits: 1})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{ids[1]: payload()}})
	w.sync()
	w.wantSums(store.LineSums{Added: 7, Unknown: 7, Commits: 3, CommitsNoted: 1, BotCommits: 1, MergeCommits: 1})
	w.mustEqualFreshRun()
}
