package hooks

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// known returns what every ref of the fixture points at.
func known(t *testing.T, f *gittest.Fixture, prefixes ...string) []gitcmd.OID {
	t.Helper()
	refs, err := f.Repo.Refs(t.Context(), prefixes...)
	if err != nil {
		t.Fatal(err)
	}
	var oids []gitcmd.OID
	for _, ref := range refs {
		oids = append(oids, ref.OID)
	}
	return oids
}

// expectPreviewed pushes and compares what the server's hook collects with
// what Preview told before.
func (w *world) expectPreviewed(refspecs ...string) {
	w.t.Helper()
	have := known(w.t, w.server, "refs/heads/", "refs/tags/")
	var updates []Update
	for _, refspec := range refspecs {
		source, ref, _ := strings.Cut(strings.TrimPrefix(refspec, "+"), ":")
		u := Update{Old: w.server.Tip(ref), Ref: ref}
		if source != "" {
			u.New = gitcmd.OID(w.dev.Git("rev-parse", source))
		}
		null := gitcmd.OID(strings.Repeat("0", max(len(u.Old), len(u.New))))
		u.Old, u.New = cmp.Or(u.Old, null), cmp.Or(u.New, null)
		updates = append(updates, u)
	}
	previewed, err := Preview(w.t.Context(), w.dev.Repo, updates, have, Environment{}, Limits{})
	if err != nil {
		w.t.Fatalf("previewing %v: %v", refspecs, err)
	}
	pushed := w.push(refspecs...)
	pushed.Environment = Environment{}
	for i := range pushed.Refs {
		pushed.Refs[i].Abandoned = nil
	}
	byName := cmpopts.SortSlices(func(a, b Ref) bool { return a.Name < b.Name })
	if diff := gocmp.Diff(pushed, previewed, byName, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("pushing %v (-pushed +previewed):\n%s", refspecs, diff)
	}
}

func TestPreviewIsWhatIsPushed(t *testing.T) {
	t.Parallel()
	for _, format := range [][]gittest.Option{nil, {gittest.SHA256()}} {
		w := newWorld(t, format...)
		main := w.dev.Commits("refs/heads/main", 3)
		w.expectPreviewed("main:refs/heads/main")

		tips := w.dev.Import([]gittest.Commit{
			{Files: map[string]string{"a.go": "one\ntwo\n"}, Message: "A\n\nCo-authored-by: Claude <noreply@anthropic.com>\n"},
			{Parents: []gitcmd.OID{gittest.Nth(0), main[0]}, Files: map[string]string{"b.go": "three\n"}},
		})
		w.dev.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{
			main[0]: noteBody("old", "claude-opus-4"), tips[0]: noteBody("new", "claude-opus-4"),
		}})
		w.expectPreviewed("main:refs/heads/main", "refs/notes/blameprompt:refs/notes/blameprompt")

		w.dev.Commit(gittest.Commit{Ref: "refs/heads/work", Parents: main[1:2], Files: map[string]string{"w": "1"}})
		w.dev.Git("tag", "-a", "-m", "tagged", "v1", "work")
		w.expectPreviewed("work:refs/heads/work", "v1:refs/tags/v1", "main:refs/heads/copy")

		w.dev.Commit(gittest.Commit{Ref: "refs/heads/work", Parents: main[:1], Files: map[string]string{"w": "2"}})
		w.expectPreviewed("+work:refs/heads/work", ":refs/heads/copy")
	}
}

func TestPreviewReadsLocalNotes(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 2)
	f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{commits[1]: noteBody("r", "claude-opus-4")}})
	updates := []Update{{Old: commits[0], New: commits[1], Ref: "refs/heads/main"}}
	got, err := Preview(t.Context(), f.Repo, updates, commits[:1], Environment{}, Limits{})
	if err != nil || ids(got.Commits) != join(commits[1]) || len(got.Notes) != 1 || got.Notes[0].Receipts[0].ID != "r" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A server reads no attributes from what is pushed: a file that declares all
// text binary would hide every line.
func TestPreviewIgnoresTheCheckout(t *testing.T) {
	t.Parallel()
	origin := gittest.New(t)
	first := origin.Commit(gittest.Commit{Files: map[string]string{"a": "1\n"}})
	f := gittest.Clone(t, "file://"+origin.Dir)
	f.Write(".gitattributes", "* binary\n")
	f.Write("a", "1\n2\n3\n")
	f.Git("add", ".")
	f.Git("commit", "-q", "-m", "hide")
	tip := gitcmd.OID(f.Git("rev-parse", "HEAD"))
	updates := []Update{{Old: first, New: tip, Ref: "refs/heads/main"}}
	got, err := Preview(t.Context(), f.Repo, updates, []gitcmd.OID{first}, Environment{}, Limits{})
	if err != nil || len(got.Commits) != 1 || len(got.Commits[0].Files) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if file := got.Commits[0].Files[1]; file.Path != "a" || file.Added != 2 || file.Binary {
		t.Errorf("got %+v", file)
	}
}

func TestPreviewOfShallowClone(t *testing.T) {
	t.Parallel()
	origin := gittest.New(t)
	commits := origin.Commits("refs/heads/main", 3)
	f := gittest.Clone(t, "file://"+origin.Dir, "--depth=2")
	f.Git("commit", "-q", "--allow-empty", "-m", "mine")
	tip := gitcmd.OID(f.Git("rev-parse", "HEAD"))
	updates := []Update{{Old: commits[2], New: tip, Ref: "refs/heads/main"}}

	got, err := Preview(t.Context(), f.Repo, updates, commits[2:], Environment{}, Limits{})
	if err != nil || ids(got.Commits) != join(tip) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err = Preview(t.Context(), f.Repo, updates, nil, Environment{}, Limits{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("history that is cut off: %v, want ErrIncomplete", err)
	}
}

func TestPreviewOfFirstPush(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tip := f.Commit(gittest.Commit{Files: map[string]string{"a": "1\n"}})
	updates := []Update{{Old: gitcmd.ZeroOID, New: tip, Ref: "refs/heads/main"}}
	got, err := Preview(t.Context(), f.Repo, updates, nil, Environment{}, Limits{})
	if err != nil || !got.Initial || len(got.Commits) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}
