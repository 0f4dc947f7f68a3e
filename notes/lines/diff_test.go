package lines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// shown is what a test expects of a file.
type shown struct {
	Status, Path, Old string
	Added             string
	Deleted           int64
	Binary            bool
}

func showFiles(c *Commit) []shown {
	var out []shown
	for _, f := range c.Files {
		var added []string
		for _, r := range f.Added {
			added = append(added, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
		out = append(out, shown{f.Status, f.Path, f.OldPath, strings.Join(added, ","), f.Deleted, f.Binary})
	}
	return out
}

func diffAll(t testing.TB, repo *gitcmd.Repo, commits ...gitcmd.OID) []*Commit {
	t.Helper()
	out := handed(t, repo, commits...)
	for _, c := range out {
		if c.Unreadable != nil {
			t.Fatal(c.Unreadable)
		}
	}
	return out
}

func handed(t testing.TB, repo *gitcmd.Repo, commits ...gitcmd.OID) []*Commit {
	t.Helper()
	var out []*Commit
	err := Diff(t.Context(), repo, commits, func(c *Commit) error {
		out = append(out, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(commits) {
		t.Fatalf("%d commits of %d", len(out), len(commits))
	}
	for i := range out {
		if out[i].OID != commits[i] {
			t.Fatalf("commit %d is %s, want %s", i, out[i].OID, commits[i])
		}
	}
	return out
}

// tree is a work tree whose state is committed step by step.
type tree struct {
	*gittest.Fixture
	t testing.TB
}

func newTree(t testing.TB, opts ...gittest.Option) *tree {
	t.Helper()
	origin := gittest.New(t, opts...)
	origin.Commit(gittest.Commit{Files: map[string]string{".keep": ""}})
	return &tree{gittest.Clone(t, origin.Dir), t}
}

// commit stages everything and returns what Diff makes of it.
func (w *tree) commit() []shown {
	w.t.Helper()
	w.Git("add", "-A")
	w.Git("commit", "-q", "--allow-empty", "-m", "step")
	return showFiles(diffAll(w.t, w.Repo, w.head())[0])
}

func (w *tree) head() gitcmd.OID { return gitcmd.OID(w.Git("rev-parse", "HEAD")) }

func (w *tree) expect(step string, want ...shown) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.commit()); diff != "" {
		w.t.Errorf("%s:\n%s", step, diff)
	}
}

const ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"

func TestOrdinaryChanges(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var opts []gittest.Option
			if format == "sha256" {
				opts = append(opts, gittest.SHA256())
			}
			w := newTree(t, opts...)
			w.expect("nothing")
			w.Write("a.txt", ten)
			w.Write("empty", "")
			w.expect("new files", shown{Status: "A", Path: "a.txt", Added: "1-10"}, shown{Status: "A", Path: "empty"})
			w.Write("a.txt", strings.Replace(strings.Replace(ten, "3\n", "three\nand\n", 1), "7\n", "", 1)+"end")
			w.expect("edits", shown{Status: "M", Path: "a.txt", Added: "3-4,11-11", Deleted: 2})
			w.Write("a.txt", strings.Replace(strings.Replace(ten, "3\n", "three\nand\n", 1), "7\n", "", 1)+"end\n")
			w.expect("a newline at the end", shown{Status: "M", Path: "a.txt", Added: "11-11", Deleted: 1})
			w.Write("a.txt", strings.ReplaceAll(ten, "\n", "\r\n"))
			w.expect("CRLF", shown{Status: "M", Path: "a.txt", Added: "1-10", Deleted: 11})
			w.Git("mv", "a.txt", "b.txt")
			w.expect("rename", shown{Status: "R", Path: "b.txt", Old: "a.txt"})
			w.Git("mv", "b.txt", "c.txt")
			w.Write("c.txt", "0\r\n"+strings.ReplaceAll(ten, "\n", "\r\n"))
			w.expect("rename with an edit", shown{Status: "R", Path: "c.txt", Old: "b.txt", Added: "1-1"})
			if err := os.Chmod(filepath.Join(w.Dir, "c.txt"), 0o755); err != nil {
				t.Fatal(err)
			}
			w.expect("mode", shown{Status: "M", Path: "c.txt"})
			w.Git("rm", "-q", "c.txt")
			w.expect("deletion", shown{Status: "D", Path: "c.txt", Deleted: 11})
		})
	}
}

func TestHostilePaths(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	names := []string{"a b", "tab\tnew\nline", `quo"te\back`, "ümlaut", "\xff\xfe", "diff --git a x", "@@ -1 +1 @@", "\x01\x1b[31m"}
	var want []shown
	for _, name := range names {
		w.Write(name, "x\n")
	}
	got := w.commit()
	seen := map[string]bool{}
	for _, f := range got {
		seen[f.Path] = true
		want = append(want, shown{Status: "A", Path: f.Path, Added: "1-1"})
	}
	if diff := cmp.Diff(want, got); diff != "" || len(seen) != len(names) {
		t.Errorf("%d files of %d\n%s", len(seen), len(names), diff)
	}
	for _, name := range names {
		if !seen[name] {
			t.Errorf("%q is missing", name)
		}
	}
}

func TestFilesWithoutLines(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	w.Write("binary", "a\x00b\n")
	w.Write("text", "1\n")
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(w.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("text", "link")
	w.Git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",sub")
	// The missing submodule is staged: adding everything would remove it.
	w.Git("add", "binary", "text", "link")
	w.Git("commit", "-q", "-m", "step")
	want := []shown{
		{Status: "A", Path: "binary", Binary: true}, {Status: "A", Path: "link"},
		{Status: "A", Path: "sub"}, {Status: "A", Path: "text", Added: "1-1"},
	}
	if diff := cmp.Diff(want, showFiles(diffAll(t, w.Repo, w.head())[0])); diff != "" {
		t.Error(diff)
	}
	w.Write("sub/.keep", "")
	w.Git("rm", "-q", "--cached", "sub")
	w.Write("binary", "text now\n")
	if err := os.Remove(filepath.Join(w.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	w.Write("link", "1\n2\n")
	if err := os.Remove(filepath.Join(w.Dir, "text")); err != nil {
		t.Fatal(err)
	}
	link("link", "text")
	w.Write(".gitattributes", "*.txt binary\n")
	w.Write("really.txt", "1\n")
	w.expect("changes of type",
		shown{Status: "A", Path: ".gitattributes", Added: "1-1"},
		shown{Status: "M", Path: "binary", Binary: true},
		shown{Status: "T", Path: "link", Added: "1-2"},
		shown{Status: "A", Path: "really.txt", Added: "1-1"},
		shown{Status: "D", Path: "sub"},
		shown{Status: "A", Path: "sub/.keep"},
		shown{Status: "T", Path: "text", Deleted: 1})
}

func TestMerges(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	w.Write("f", ten)
	w.Write("g", ten)
	w.commit()
	branch := func(name string, change func()) {
		t.Helper()
		w.Git("checkout", "-q", "-b", name, "master-of-test")
		change()
		w.commit()
	}
	w.Git("branch", "master-of-test")
	branch("left", func() { w.Write("f", strings.Replace(ten, "2\n", "left\n", 1)) })
	branch("right", func() {
		w.Write("f", strings.Replace(ten, "9\n", "right\n", 1))
		w.Write("new", "n\n")
	})
	branch("third", func() { w.Write("g", strings.Replace(ten, "5\n", "third\n", 1)) })
	branch("conflict", func() { w.Write("f", strings.Replace(ten, "2\n", "other\n", 1)) })
	merge := func(step string, change func(), branches ...string) []shown {
		t.Helper()
		w.Git("checkout", "-q", "-B", step, "left")
		_, _ = w.TryGit(append([]string{"merge", "-q", "--no-ff", "--no-commit"}, branches...)...)
		change()
		got := w.commit()
		if n := len(strings.Fields(w.Git("log", "-1", "--format=%P"))); n != len(branches)+1 {
			t.Fatalf("%s: %d parents", step, n)
		}
		return got
	}
	check := func(step string, got []shown, want ...shown) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", step, diff)
		}
	}
	both := strings.Replace(strings.Replace(ten, "2\n", "left\n", 1), "9\n", "right\n", 1)
	check("clean", merge("clean", func() {}, "right"), shown{Status: "MM", Path: "f"})
	check("octopus", merge("octopus", func() {}, "right", "third"), shown{Status: "MMM", Path: "f"})
	check("evil line", merge("evil", func() { w.Write("f", strings.Replace(both, "5\n", "evil\nlines\n", 1)) }, "right"),
		shown{Status: "MM", Path: "f", Added: "5-6", Deleted: 1})
	check("evil file", merge("file", func() { w.Write("e vil", "+x\n-y\n") }, "right"),
		shown{Status: "AA", Path: "e vil", Added: "1-2"}, shown{Status: "MM", Path: "f"})
	check("conflict", merge("solved", func() { w.Write("f", strings.Replace(ten, "2\n", "solved\n\n", 1)) }, "conflict"),
		shown{Status: "MM", Path: "f", Added: "2-3"})
	check("evil octopus", merge("evil8", func() {
		w.Write("f", both+"evil\n")
		w.Write("g", strings.Replace(ten, "5\n", "third\nmore\n", 1))
	}, "right", "third"), shown{Status: "MMM", Path: "f", Added: "11-11"}, shown{Status: "MMM", Path: "g", Added: "6-6"})
	check("evil binary", merge("binary", func() { w.Write("f", "\x00") }, "right"),
		shown{Status: "MM", Path: "f", Binary: true})
	check("a line behind a removed one", merge("behind", func() {
		w.Write("f", strings.Replace(strings.Replace(both, "4\n", "", 1), "5\n", "5\nevil\n", 1))
	}, "right"), shown{Status: "MM", Path: "f", Added: "5-5", Deleted: 1})
	check("removed", merge("removed", func() { w.Git("rm", "-q", "-f", "f") }, "right"),
		shown{Status: "DD", Path: "f", Deleted: 8})
	got := merge("renamed", func() {
		w.Git("mv", "-f", "f", "quo\"ted\tname")
		w.Write("quo\"ted\tname", both+"evil\n")
	}, "right")
	check("renamed in the merge", got, shown{Status: "RR", Path: "quo\"ted\tname", Added: "11-11"})
}

func TestManyLinesAndLongOnes(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"many": strings.Repeat("x\n", 300_000), "long": strings.Repeat("y", 50<<20), "z": "1\n2\n"}},
		{Files: map[string]string{"long": strings.Repeat("z", 50<<20) + "\nlast", "z": "1\n"}},
	})
	got := diffAll(t, f.Repo, ids...)
	want := [][]shown{
		{
			{Status: "A", Path: "long", Added: "1-1"}, {Status: "A", Path: "many", Added: "1-300000"},
			{Status: "A", Path: "z", Added: "1-2"},
		},
		{{Status: "M", Path: "long", Added: "1-2", Deleted: 1}, {Status: "M", Path: "z", Deleted: 1}},
	}
	for i := range got {
		if diff := cmp.Diff(want[i], showFiles(got[i])); diff != "" {
			t.Error(diff)
		}
	}
}

// TestStreamHoldsNoLines reads a line that is far larger than what is held.
func TestStreamHoldsNoLines(t *testing.T) {
	t.Parallel()
	const long = 1 << 28
	s := newStream(io.MultiReader(io.LimitReader(endless{}, long), strings.NewReader("\nrest\n")))
	if err := s.skipLine(); err != nil {
		t.Fatal(err)
	}
	if line, err := s.line(100); err != nil || string(line) != "rest" {
		t.Errorf("line %q, %v", line, err)
	}
	s = newStream(io.MultiReader(io.LimitReader(endless{}, long), strings.NewReader("\nrest\n")))
	if line, err := s.line(1000); err != nil || len(line) != 1000 || cap(s.long) > 2*streamBytes {
		t.Errorf("%d bytes in room for %d, %v", len(line), cap(s.long), err)
	}
	if len(s.buf) != streamBytes {
		t.Errorf("the buffer has %d bytes", len(s.buf))
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestUnreadableCommits(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(f *gittest.Fixture, oid gitcmd.OID){
		"blob":    func(f *gittest.Fixture, oid gitcmd.OID) { f.Lose(gitcmd.OID(f.Git("rev-parse", string(oid)+":f3"))) },
		"corrupt": func(f *gittest.Fixture, oid gitcmd.OID) { f.Corrupt(gitcmd.OID(f.Git("rev-parse", string(oid)+":f3"))) },
		"tree": func(f *gittest.Fixture, oid gitcmd.OID) {
			f.Lose(gitcmd.OID(f.Git("rev-parse", string(oid)+"^{tree}")))
		},
		"commit": func(f *gittest.Fixture, oid gitcmd.OID) { f.Lose(oid) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := gittest.New(t)
			var commits []gittest.Commit
			for i := range 6 {
				commits = append(commits, gittest.Commit{Ref: fmt.Sprintf("refs/heads/b%d", i), Root: true,
					Files: map[string]string{"a": "1\n", fmt.Sprintf("f%d", i): fmt.Sprintf("%d\n2\n", i)}})
			}
			ids := f.Import(commits)
			damage(f, ids[3])
			for i, c := range handed(t, f.Repo, ids...) {
				if i == 3 {
					if !errors.Is(c.Unreadable, gitcmd.ErrMissingObject) || c.Files != nil {
						t.Errorf("the damaged commit: %v with %d files", c.Unreadable, len(c.Files))
					}
					continue
				}
				if c.Unreadable != nil || len(c.Files) != 2 || Count(c.Files[1].Added) != 2 {
					t.Errorf("commit %d: %v, %v", i, c.Unreadable, showFiles(c))
				}
			}
		})
	}
}

// TestLostRepository: that git cannot run is no word about any commit.
func TestLostRepository(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 3)
	if err := os.RemoveAll(f.Dir); err != nil {
		t.Fatal(err)
	}
	err := Diff(t.Context(), f.Repo, ids, func(c *Commit) error {
		t.Errorf("commit %s is handed over: %v", c.OID, c.Unreadable)
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
}

// TestCut reads commits with more files and ranges than are kept.
func TestCut(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"a": ten, "b": ten, "c": ten, "d": ten}},
		{Files: map[string]string{"a": strings.NewReplacer("2", "x", "4", "x", "6", "x", "8", "x").Replace(ten)}},
		{Files: map[string]string{"d": "1\n"}},
	})
	c := f.Repo.Command(t.Context(), diffArguments...)
	c.Stdin = strings.NewReader(revisions(ids))
	var got []*Commit
	err := c.Stream(func(out io.Reader) error {
		return readDiff(out, limits{files: 3, ranges: 3}, func(c *Commit) error {
			got = append(got, c)
			return nil
		})
	})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d commits, %v", len(got), err)
	}
	if !got[0].Cut || len(got[0].Files) != 3 || Count(got[0].Files[2].Added) != 10 {
		t.Errorf("too many files: %v", showFiles(got[0]))
	}
	if !got[1].Cut || len(got[1].Files[0].Added) != 3 || got[1].Files[0].Deleted != 4 {
		t.Errorf("too many ranges: %v", showFiles(got[1]))
	}
	if got[2].Cut || got[2].Files[0].Deleted != 9 {
		t.Errorf("a small commit: %v", showFiles(got[2]))
	}
}

func TestTooManyUnreadable(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	blob := f.Object("blob", "gone\n")
	tree := f.Object("tree", "100644 f\x00"+hexBytes(t, blob))
	var ids []gitcmd.OID
	for i := range maxUnreadable + 2 {
		ids = append(ids, f.Object("commit",
			fmt.Sprintf("tree %s\nauthor a <a> %d +0000\ncommitter a <a> 1 +0000\n\nx\n", tree, i)))
	}
	f.Lose(blob)
	handed := 0
	err := Diff(t.Context(), f.Repo, ids, func(*Commit) error { handed++; return nil })
	if !errors.Is(err, gitcmd.ErrMissingObject) || handed != maxUnreadable {
		t.Errorf("%v after %d commits", err, handed)
	}
}

func hexBytes(t testing.TB, oid gitcmd.OID) string {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(string(oid), "%x", &b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDiffEnds(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 50)
	stop := errors.New("stop")
	handed := 0
	err := Diff(t.Context(), f.Repo, ids, func(*Commit) error {
		if handed++; handed == 7 {
			return stop
		}
		return nil
	})
	if err != stop || handed != 7 {
		t.Errorf("error %v after %d commits", err, handed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Diff(ctx, f.Repo, ids, func(*Commit) error { cancel(); return nil })
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	err = Diff(ctx, f.Repo, ids, func(*Commit) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before the start: %v", err)
	}
	if err := Diff(t.Context(), f.Repo, []gitcmd.OID{"--output=x"}, nil); err == nil {
		t.Error("an option passed for a commit")
	}
	twice := diffAll(t, f.Repo, ids[3], ids[3], ids[0])
	if len(twice[1].Files) != 1 || twice[2].Files[0].Status != "A" {
		t.Errorf("commits named twice and backwards: %v", showFiles(twice[1]))
	}
}

func TestGeneratedHeaders(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	w.Write("a.go", "// Code generated by x. DO NOT EDIT.\n\npackage a\n")
	w.Write("b.go", "package b\n\nvar s = \"// Code generated by x. DO NOT EDIT.\"\n")
	w.Write("c.cs", "\xef\xbb\xbf// <auto-generated/>\n")
	w.Write("d.js", strings.Repeat("\n", 50)+"// @generated\n")
	w.Write("e.js", "/*\n * @generated\n */")
	w.commit()
	got := map[string]bool{}
	for _, f := range diffAll(t, w.Repo, w.head())[0].Files {
		got[f.Path] = f.Generated
	}
	want := map[string]bool{"a.go": true, "b.go": false, "c.cs": true, "d.js": false, "e.js": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// lineSet returns the lines of ranges one by one.
func lineSet(ranges []notes.LineRange) map[uint32]bool {
	set := map[uint32]bool{}
	for _, r := range ranges {
		for n := r.First; n <= r.Last; n++ {
			set[n] = true
		}
	}
	return set
}
