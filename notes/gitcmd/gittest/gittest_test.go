package gittest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestFixturesAreDeterministic(t *testing.T) {
	t.Parallel()
	build := func() []gitcmd.OID {
		f := gittest.New(t)
		ids := f.Commits("refs/heads/main", 3)
		return append(ids, f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{ids[0]: "a", ids[1]: "b"}}))
	}
	if diff := cmp.Diff(build(), build()); diff != "" {
		t.Errorf("two builds differ:\n%s", diff)
	}
}

func TestNotesAreGitsOwn(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	c := f.Commits("refs/heads/main", 3)
	const ref = "refs/notes/blameprompt"
	show := func(oid gitcmd.OID) string {
		out, err := f.TryGit("notes", "--ref", ref, "show", string(oid))
		if err != nil {
			return "none"
		}
		return out
	}
	first := f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{c[0]: "zero", c[1]: "one"}, Fanout: 1})
	second := f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{c[2]: "two"}, Remove: []gitcmd.OID{c[0]}, Fanout: 1})
	if show(c[0]) != "none" || show(c[1]) != "one" || show(c[2]) != "two" {
		t.Errorf("notes = %q, %q, %q", show(c[0]), show(c[1]), show(c[2]))
	}
	root := f.Notes(gittest.Notes{Root: true, Bodies: map[gitcmd.OID]string{c[0]: "again"}})
	merge := f.Notes(gittest.Notes{Parents: []gitcmd.OID{root, second}, Replace: true,
		Bodies: map[gitcmd.OID]string{c[0]: "merged"}, Fanout: 2})
	if show(c[0]) != "merged" || show(c[1]) != "none" || f.Tip(ref) != merge {
		t.Errorf("after the merge: %q, %q at %s", show(c[0]), show(c[1]), f.Tip(ref))
	}
	want := fmt.Sprintf("%s %s", root, second)
	if got := f.Git("log", "-1", "--format=%P", ref); got != want {
		t.Errorf("parents of the merge = %s, want %s", got, want)
	}
	if got := f.Git("log", "--format=%H", string(second)); got != string(second)+"\n"+string(first) {
		t.Errorf("history of the second notes commit = %s", got)
	}
	if got := f.Git("log", "-1", "--format=%P", string(root)); got != "" {
		t.Errorf("parents of the root = %q", got)
	}
	f.Git("notes", "--ref", ref, "add", "-m", "by git", string(c[2]))
	if show(c[2]) != "by git" {
		t.Errorf("note written by git = %q", show(c[2]))
	}
	f.Git("fsck", "--strict")
}

func TestTenThousandNotes(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	bodies := map[gitcmd.OID]string{}
	for _, oid := range f.Commits("refs/heads/main", 10_000) {
		bodies[oid] = "note of " + string(oid)
	}
	f.Notes(gittest.Notes{Bodies: bodies, Fanout: 2})
	if n := strings.Count(f.Git("notes", "--ref=blameprompt", "list"), "\n") + 1; n != 10_000 {
		t.Errorf("git lists %d notes", n)
	}
}

func TestCloneHasAWorkTree(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	f.Commits("refs/heads/main", 1)
	clone := gittest.Clone(t, f.Dir)
	clone.Write("sub/new.txt", "new\n")
	clone.Git("add", ".")
	clone.Git("commit", "-q", "-m", "new")
	clone.Git("push", "-q", "origin", "HEAD:main")
	if got := f.Tip("refs/heads/main"); string(got) != clone.Git("rev-parse", "HEAD") {
		t.Errorf("tip after the push = %s", got)
	}
}
