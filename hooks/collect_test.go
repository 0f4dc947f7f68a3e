package hooks

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/push"
)

func TestCollectOneCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.dev.Commit(gittest.Commit{Files: map[string]string{"a.go": "one\ntwo\nthree\n"}})
	w.push("main")
	tip := w.dev.Commit(gittest.Commit{
		Files:   map[string]string{"a.go": "one\n2\nthree\nfour\n"},
		Message: "Change\n\nReviewed-by: Ann <ann@example.com>\nCo-authored-by: Claude <noreply@anthropic.com>\n",
	})
	got := w.push("-oblameprompt.override=it is late", "main")

	blob := gitcmd.OID(w.dev.Git("rev-parse", "main:a.go"))
	seconds, err := strconv.ParseInt(w.dev.Git("log", "-1", "--format=%at", "main"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	when := time.Unix(seconds, 0).UTC()
	want := []Commit{{
		OID: tip, Parents: []gitcmd.OID{base}, Measured: true,
		Author:    Identity{Name: gittest.Name, Email: gittest.Email, Time: when},
		Committer: Identity{Name: gittest.Name, Email: gittest.Email, Time: when},
		Trailers: []push.Trailer{
			{Key: "Reviewed-by", Value: "Ann <ann@example.com>"},
			{Key: "Co-authored-by", Value: "Claude <noreply@anthropic.com>"},
		},
		Marks:   []push.Mark{{Agent: "claude", Evidence: "trailer Co-authored-by"}},
		Files:   []File{{Path: "a.go", Added: 2, Deleted: 1, Blob: blob, Runs: []Run{{2, 2}, {4, 4}}}},
		PatchID: gitPatchID(t, w.dev, tip),
	}}
	if diff := cmp.Diff(want, got.Commits); diff != "" {
		t.Error(diff)
	}
	wantRefs := []Ref{{Name: "refs/heads/main", Old: base, New: tip, Kind: push.Update}}
	if diff := cmp.Diff(wantRefs, got.Refs); diff != "" {
		t.Error(diff)
	}
	if got.Version != PushVersion || got.ObjectFormat != "sha1" || got.Forge != Git || got.Initial || got.Unmeasured != 0 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff([]string{"blameprompt.override=it is late"}, got.PushOptions); diff != "" {
		t.Error(diff)
	}
	if len(w.server.Git("rev-parse", "main")) != 40 || w.server.Tip("refs/heads/main") != tip {
		t.Error("push did not arrive")
	}
}

// gitPatchID asks git itself.
func gitPatchID(t *testing.T, f *gittest.Fixture, commit gitcmd.OID) string {
	t.Helper()
	args := append([]string{}, diffArguments...)
	args[1] = "--pretty=raw"
	args = append(args, string(commit))
	patch := f.Git(args...) + "\n"
	c := gitcmd.New(t.Context(), f.Dir, "patch-id", "--stable")
	c.Env = []string{"GIT_DIR=" + f.Repo.Dir()}
	c.Stdin = strings.NewReader(patch)
	out, err := c.Output(1000)
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(string(out), " ")
	return id
}

func TestCollectRefs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	main := w.dev.Commits("refs/heads/main", 3)
	w.push("main")

	work := w.dev.Import([]gittest.Commit{
		{Ref: "refs/heads/work", Parents: []gitcmd.OID{main[2]}, Files: map[string]string{"w": "1"}},
		{Ref: "refs/heads/work", Files: map[string]string{"w": "2"}},
	})
	got := w.push("work", "main:refs/heads/copy")
	expectRefs(t, got, "create refs/heads/work", "create refs/heads/copy")
	expectCommits(t, got, work...)
	for _, commit := range got.Commits {
		if diff := cmp.Diff([]string{"refs/heads/work"}, commit.Refs); diff != "" {
			t.Error(diff)
		}
	}

	got = w.push(":copy")
	expectRefs(t, got, "delete refs/heads/copy")
	expectCommits(t, got)

	got = w.push("work:main")
	expectRefs(t, got, "update refs/heads/main")
	expectCommits(t, got)

	forced := w.dev.Commit(gittest.Commit{Ref: "refs/heads/work", Parents: main[:1], Files: map[string]string{"w": "3"}})
	got = w.push("+work")
	expectRefs(t, got, "force refs/heads/work forced")
	expectCommits(t, got, forced)
	got = w.push("+" + string(main[1]) + ":refs/heads/main")
	expectRefs(t, got, "force refs/heads/main forced")
	expectCommits(t, got)

	tagged := w.dev.Commit(gittest.Commit{Ref: "refs/heads/tagged", Parents: main[:1], Files: map[string]string{"t": "1"}})
	w.dev.Git("tag", "-a", "-m", "version", "v1", string(tagged))
	w.dev.Git("tag", "-a", "-m", "version", "v2", "v1")
	w.dev.Git("tag", "light", string(main[0]))
	blob := w.dev.Object("blob", "text")
	w.dev.SetRef("refs/tags/blob", blob)
	got = w.push("v2", "light", "refs/tags/blob")
	expectRefs(t, got, "tag refs/tags/v2", "tag refs/tags/light", "tag refs/tags/blob")
	expectCommits(t, got, tagged)
	if got.Refs[0].Commit != tagged || got.Refs[2].Commit != "" || got.Refs[1].Commit != "" {
		t.Errorf("tags stand for %+v", got.Refs)
	}
	if diff := cmp.Diff([]string{"refs/tags/v2"}, got.Commits[0].Refs); diff != "" {
		t.Error(diff)
	}
	got = w.push(":refs/tags/v2")
	expectRefs(t, got, "tag refs/tags/v2")

	shared := w.dev.Commit(gittest.Commit{Ref: "refs/heads/one", Parents: main[:1], Files: map[string]string{"s": "1"}})
	w.dev.SetRef("refs/heads/two", shared)
	got = w.push("one", "two")
	if len(got.Commits) != 1 || got.Commits[0].Refs != nil {
		t.Errorf("commit of all refs: %+v", got.Commits)
	}
}

func expectRefs(t *testing.T, p Push, want ...string) {
	t.Helper()
	var got []string
	for _, ref := range p.Refs {
		word := string(ref.Kind) + " " + ref.Name
		if ref.Forced {
			word += " forced"
		}
		got = append(got, word)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func expectCommits(t *testing.T, p Push, want ...gitcmd.OID) {
	t.Helper()
	if got := ids(p.Commits); got != join(want...) {
		t.Errorf("commits: got %q, want %q", got, join(want...))
	}
}

func TestCollectManyForcedRefs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commits := w.dev.Commits("refs/heads/main", 2)
	const n = maxAncestry + 2
	refspecs := make([]string, n)
	for i := range refspecs {
		ref := fmt.Sprintf("refs/heads/b%03d", i)
		refspecs[i] = ref
		w.dev.SetRef(ref, commits[0])
	}
	w.push(append(refspecs, "main")...)
	for i := range refspecs {
		w.dev.SetRef(refspecs[i], commits[1])
	}
	got := w.push(refspecs...)
	forced := 0
	for _, ref := range got.Refs {
		if ref.Forced {
			forced++
		}
	}
	if forced != n-maxAncestry {
		t.Errorf("%d refs that git was not asked about, want %d", forced, n-maxAncestry)
	}
	if got.Commits != nil {
		t.Errorf("new commits %s", ids(got.Commits))
	}
}

// TestCollectBehindNotesRef pushes a commit to a notes ref first, where no
// rule on commits looks.
func TestCollectBehindNotesRef(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commits := w.dev.Commits("refs/heads/main", 2)
	got := w.push("main:refs/notes/hidden")
	expectRefs(t, got, "notes refs/notes/hidden")
	expectCommits(t, got)
	got = w.push("main")
	expectCommits(t, got, commits...)
}

// differences is one commit for each kind of change that a diff can show.
func differences(t *testing.T) (*gittest.Fixture, []gitcmd.OID) {
	t.Helper()
	f := gittest.New(t)
	long := strings.Repeat("x y\t", 60_000)
	text := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n"
	edited := strings.Replace(strings.Replace(text, "2\n", "two\n+++ b/x\n", 1), "19\n", "-- \n", 1)
	steps := []gittest.Commit{
		{Files: map[string]string{"text": text, "bin": "a\x00b", "del": "1\n2\n", "sp ace": "x\n"}},
		{Files: map[string]string{"text": edited}},
		{Remove: []string{"del"}},
		{Files: map[string]string{"bin": "a\x00c\nd"}},
		{Files: map[string]string{"bin": "a\x00e", "text": text, "sp ace": "y\n"}},
		{Files: map[string]string{"moved": text + "21\n"}, Remove: []string{"text"}},
		{Files: map[string]string{"exact": text + "21\n"}, Remove: []string{"moved"}},
		{Files: map[string]string{"no newline": "a\nb", "exact": strings.TrimSuffix(text+"21\n", "\n")}},
		{Files: map[string]string{"no newline": "a\nb\nc"}},
		{Files: map[string]string{"q\"uote": "1\n", "tab\there": "2\n", "new\nline": "3\n", "back\\slash": "4\n"}},
		{Files: map[string]string{"tab\there": "2\n3\n", "new\nline": "3\n4\n", "back\\slash": "0\n4\n"}},
		{Files: map[string]string{"\xff\xfe": "bytes\n", "ünï": "1\n", "d/e/f": "1\n", "ctl\x01\x7f": "1\n"}},
		{Files: map[string]string{"long": long}},
		{Files: map[string]string{"long": long + "z\n" + long + "\nend\n"}},
		{},
		{Files: map[string]string{"crlf": "a\r\nb\r\n", "blank": "\n\n\n"}},
		{Files: map[string]string{"crlf": "a\nb\n", "blank": "\n\n \n\t\n\n"}},
		{Files: map[string]string{"diff": "diff --git a/x b/x\nindex 1..2\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n"}},
		{Files: map[string]string{"diff": "Binary files a/x and b/x differ\n@@ -1 +1 @@\n-- a/x\n++ b/x\n"}},
		{Files: map[string]string{"empty": ""}},
		{Root: true, Replace: true, Files: map[string]string{"root": "1\n"}},
	}
	return f, append(f.Import(steps), modes(f)...)
}

// modes adds commits that change the mode and the type of a path.
func modes(f *gittest.Fixture) []gitcmd.OID {
	text, link := f.Object("blob", "lines\nof text\n"), f.Object("blob", "target")
	steps := []struct {
		mode string
		id   gitcmd.OID
	}{
		{"100644", text}, {"100755", text}, {"120000", link}, {"100644", text},
		{"160000", gitcmd.OID(strings.Repeat("1", 40))}, {"160000", gitcmd.OID(strings.Repeat("2", 40))}, {"100755", link},
	}
	var commits []gitcmd.OID
	parent := ""
	for _, step := range steps {
		id, _ := hex.DecodeString(string(step.id))
		tree := f.Object("tree", step.mode+" x\x00"+string(id))
		commits = append(commits, f.Object("commit", "tree "+string(tree)+"\n"+parent+
			"author a <a@x> 1 +0000\ncommitter a <a@x> 1 +0000\n\nm\n"))
		parent = "parent " + string(commits[len(commits)-1]) + "\n"
	}
	return commits
}

func TestDiffsAgreeWithGit(t *testing.T) {
	t.Parallel()
	f, commits := differences(t)
	got := measureAll(t, f, commits)
	for _, oid := range commits {
		m, ok := got[oid]
		if !ok {
			t.Fatalf("%s was not measured", oid)
		}
		if diff := cmp.Diff(numstat(f, oid), counts(m.files)); diff != "" {
			t.Errorf("%s: %s", oid, diff)
		}
		if want := gitPatchID(t, f, oid); m.patchID != want {
			t.Errorf("%s: patch id %q, want %q\n%.600s", oid, m.patchID, want, f.Git("show", "--format=", string(oid)))
		}
		expectRuns(t, f, m)
	}
}

// measureAll measures commits as Collect does.
func measureAll(t *testing.T, f *gittest.Fixture, commits []gitcmd.OID) map[gitcmd.OID]measurement {
	t.Helper()
	c := newCollection(f.Repo, []Update{{Old: gitcmd.ZeroOID, New: commits[0], Ref: "refs/heads/main"}}, DefaultLimits())
	diffs := newFeed()
	for _, oid := range commits {
		diffs.add(oid)
	}
	diffs.Close()
	if err := c.measure(t.Context(), diffs); err != nil {
		t.Fatal(err)
	}
	all := make(map[gitcmd.OID]measurement)
	for _, m := range c.measured {
		all[m.oid] = m
	}
	return all
}

// numstat returns git's counts by path, "-" of binary files.
func numstat(f *gittest.Fixture, oid gitcmd.OID) map[string]string {
	stat := make(map[string]string)
	fields := strings.Split(f.Git("diff-tree", "--root", "-r", "-M", "-l200", "--numstat", "-z", "--no-commit-id", string(oid)), "\x00")
	for i := 0; i+1 < len(fields); i++ {
		columns := strings.SplitN(fields[i], "\t", 3)
		path, from := columns[2], ""
		if path == "" {
			from, path = fields[i+1], fields[i+2]
			i += 2
		}
		stat[bounded(path, maxPath)] = columns[0] + " " + columns[1] + " " + from
	}
	return stat
}

func counts(files []File) map[string]string {
	stat := make(map[string]string)
	for _, file := range files {
		line := fmt.Sprintf("%d %d %s", file.Added, file.Deleted, file.From)
		if file.Binary {
			line = "- - " + file.From
		}
		stat[file.Path] = line
	}
	return stat
}

// expectRuns checks that the runs hold as many lines as were added, each
// within the file.
func expectRuns(t *testing.T, f *gittest.Fixture, m measurement) {
	t.Helper()
	for _, file := range m.files {
		var lines, last int64
		for _, run := range file.Runs {
			if run[0] <= last || run[1] < run[0] {
				t.Errorf("%s %q: runs %v", m.oid, file.Path, file.Runs)
			}
			lines += run[1] - run[0] + 1
			last = run[1]
		}
		if lines != file.Added {
			t.Errorf("%s %q: %d lines in runs, %d added", m.oid, file.Path, lines, file.Added)
		}
		if last > 0 && file.Blob != "" && last > int64(strings.Count(f.Git("cat-file", "blob", string(file.Blob)), "\n")+1) {
			t.Errorf("%s %q: line %d is not there", m.oid, file.Path, last)
		}
	}
}

func TestCollectMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.dev.Commit(gittest.Commit{Files: map[string]string{"f": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "g": "1\n"}})
	left := w.dev.Commit(gittest.Commit{Files: map[string]string{"f": "one\n2\n3\n4\n5\n6\n7\n8\n9\n"}})
	right := w.dev.Commit(gittest.Commit{
		Ref: "refs/heads/side", Parents: []gitcmd.OID{base}, Files: map[string]string{"f": "1\n2\n3\n4\n5\n6\n7\n8\nnine\n"},
	})
	merge := w.dev.Commit(gittest.Commit{
		Parents: []gitcmd.OID{left, right}, Files: map[string]string{"f": "one\nevil\n2\n3\n4\n6\n7\n8\nnine\n", "new": "a\nb\n"},
	})
	got := w.push("main")
	expectCommits(t, got, base, left, right, merge)
	commit := got.Commits[3]
	want := []File{
		{Path: "f", Added: 1, Deleted: 1, Blob: gitcmd.OID(w.dev.Git("rev-parse", "main:f")), Runs: []Run{{2, 2}}},
		{Path: "new", Added: 2, Blob: gitcmd.OID(w.dev.Git("rev-parse", "main:new")), Runs: []Run{{1, 2}}},
	}
	if diff := cmp.Diff(want, commit.Files); diff != "" {
		t.Error(diff)
	}
	if commit.PatchID != "" || !commit.Measured || len(commit.Parents) != 2 {
		t.Errorf("merge is %+v", commit)
	}
}

// TestCollectAttributes pushes attributes that would hide every change.
func TestCollectAttributes(t *testing.T) {
	t.Parallel()
	for format, opts := range map[string][]gittest.Option{"sha1": nil, "sha256": {gittest.SHA256()}} {
		w := newWorld(t, opts...)
		if empty := w.dev.Git("hash-object", "-t", "tree", "/dev/null"); empty != emptyTrees[format] {
			t.Errorf("the empty tree is %s", empty)
		}
		w.dev.Commit(gittest.Commit{Files: map[string]string{".gitattributes": "* -diff -text binary\n"}})
		w.push("main")
		w.dev.Commit(gittest.Commit{Files: map[string]string{"a": "1\n2\n"}})
		got := w.push("main")
		if file := got.Commits[0].Files[0]; file.Binary || file.Added != 2 {
			t.Errorf("got %+v", file)
		}
	}
}

func TestCollectFirstPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 10_000
	commits := w.dev.Commits("refs/heads/main", n)
	start := time.Now()
	got := w.push("main")
	t.Logf("a push of %d commits took %v", n, time.Since(start).Round(time.Millisecond))
	expectCommits(t, got, commits...)
	limits := DefaultLimits()
	if !got.Initial || got.MoreCommits || got.Unmeasured < n-limits.Diffs || got.Unmeasured == n {
		t.Errorf("initial %v, more %v, unmeasured %d", got.Initial, got.MoreCommits, got.Unmeasured)
	}
	if !got.Commits[n-1].Measured || got.Commits[0].Measured {
		t.Error("not the newest commits were measured")
	}
}

func TestCollectLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commits := w.dev.Commits("refs/heads/main", 30)
	tests := map[string]struct {
		limits         Limits
		listed, unread int
		more           bool
	}{
		"commits":    {Limits{Commits: 10}, 10, 0, true},
		"just fits":  {Limits{Commits: 30, Files: 30, Runs: 30}, 30, 0, false},
		"diffs":      {Limits{Diffs: 3}, 30, 27, false},
		"files":      {Limits{Files: 5}, 30, 25, false},
		"diff bytes": {Limits{DiffBytes: 1}, 30, 30, false},
		"paths":      {Limits{Text: 20}, 30, 28, false},
		"diff time":  {Limits{DiffTime: 1}, 30, 30, false},
	}
	updates := []Update{{Old: gitcmd.ZeroOID, New: commits[29], Ref: "refs/heads/new"}}
	w.dev.Delete("refs/heads/main")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Collect(t.Context(), w.dev.Repo, updates, Environment{}, tt.limits)
			if err != nil {
				t.Fatal(err)
			}
			expectCommits(t, got, commits[30-tt.listed:]...)
			if got.MoreCommits != tt.more || got.Unmeasured != tt.unread {
				t.Errorf("more %v, unmeasured %d", got.MoreCommits, got.Unmeasured)
			}
		})
	}
}

// TestCollectText pushes more text than may be told.
func TestCollectText(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	long := strings.Repeat("\x01", maxTrailer)
	message := "t\n\n" + strings.Repeat("Key: "+long+"\n", maxTrailers+9)
	branches := []string{"refs/heads/" + strings.Repeat("a", 200), "refs/heads/" + strings.Repeat("b", 200)}
	var updates []Update
	for _, ref := range branches {
		var commits []gittest.Commit
		for range 20 {
			commits = append(commits, gittest.Commit{Ref: ref, Name: strings.Repeat("n", 300), Message: message})
		}
		made := f.Import(commits)
		updates = append(updates, Update{Old: gitcmd.ZeroOID, New: made[19], Ref: ref})
		f.Delete(ref)
	}
	got, err := Collect(t.Context(), f.Repo, updates, Environment{}, Limits{Text: 3 * (maxTrailers*(maxTrailer+3) + 600)})
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for i := range got.Commits {
		commit := &got.Commits[i]
		switch {
		case !commit.Cut && len(commit.Trailers) == maxTrailers && len(commit.Author.Name) == maxName:
			whole++
		case !commit.Cut || commit.Trailers != nil || len(commit.Author.Name) != maxShortName:
			t.Errorf("got %+v", commit)
		}
		if len(commit.Refs) != 1 {
			t.Errorf("refs %v", commit.Refs)
		}
	}
	if whole != 3 || len(got.Commits) != 40 {
		t.Errorf("%d of %d commits were told as a whole", whole, len(got.Commits))
	}
	var text bytes.Buffer
	if err := got.Encode(&text); err != nil {
		t.Fatal(err)
	}
	back, err := DecodePush(&text)
	if diff := cmp.Diff(got, back, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err = Collect(t.Context(), f.Repo, updates, Environment{}, Limits{Text: 10}); err != nil || got.Commits[0].Refs != nil {
		t.Errorf("refs are named above the bound: %v %v", err, got.Commits[0].Refs)
	}
}

func TestCollectShallow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commits := w.dev.Commits("refs/heads/main", 5)
	shallow := gittest.Clone(t, "file://"+w.dev.Dir, "--bare", "--depth=1")
	tip := shallow.Commit(gittest.Commit{Files: map[string]string{"n": "1\n"}})

	result, said, err := w.tryFrom(shallow, "main")
	if err == nil || !result.Incomplete {
		t.Fatalf("got %v, %q\n%s", err, result.Error, said)
	}
	w.server.Git("config", "receive.shallowUpdate", "true")
	result, said, err = w.tryFrom(shallow, "main")
	if err != nil || result.Error != "" {
		t.Fatalf("got %v, %q\n%s", err, result.Error, said)
	}
	got := result.Push
	expectCommits(t, got, commits[4], tip)
	if !got.Shallow || !got.Commits[0].Boundary || got.Commits[0].Measured || got.Unmeasured != 1 {
		t.Errorf("got %+v", got)
	}
	if !got.Commits[1].Measured || len(got.Commits[1].Files) != 1 {
		t.Errorf("got %+v", got.Commits[1])
	}
}

// TestCollectFromShallowClone pushes from a clone whose history meets the
// server's.
func TestCollectFromShallowClone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dev.Commits("refs/heads/main", 5)
	w.push("main")
	shallow := gittest.Clone(t, "file://"+w.server.Dir, "--bare", "--depth=1")
	tip := shallow.Commit(gittest.Commit{Files: map[string]string{"n": "1\n"}})
	result, said, err := w.tryFrom(shallow, "main")
	if err != nil || result.Error != "" {
		t.Fatalf("got %v, %q\n%s", err, result.Error, said)
	}
	expectCommits(t, result.Push, tip)
	expectRefs(t, result.Push, "update refs/heads/main")
	if result.Push.Shallow || !result.Push.Commits[0].Measured {
		t.Errorf("got %+v", result.Push)
	}
}

func TestCollectPackedQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commits := w.dev.Commits("refs/heads/main", 60)
	result, said, err := w.try("main")
	if err != nil || result.Error != "" {
		t.Fatalf("got %v, %q\n%s", err, result.Error, said)
	}
	expectCommits(t, result.Push, commits...)
	if !strings.Contains(result.Quarantine.Objects, "incoming-") || result.Quarantine.Alternates == "" {
		t.Errorf("quarantine is %+v", result.Quarantine)
	}
}

func TestCollectSHA256(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gittest.SHA256())
	tip := w.dev.Commit(gittest.Commit{Files: map[string]string{"a": "1\n"}})
	w.dev.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tip: noteBody("r1", "m")}})
	got := w.push("main", "refs/notes/blameprompt")
	expectCommits(t, got, tip)
	if got.ObjectFormat != "sha256" || got.Commits[0].PatchID != gitPatchID(t, w.dev, tip) || len(got.Notes) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestCollectRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook(Limits{}, 1)
	tip := w.dev.Commit(gittest.Commit{Files: map[string]string{"a": "1\n"}})
	result, _, err := w.try("main")
	if err == nil || result.Error != "" {
		t.Fatalf("got %v, %q", err, result.Error)
	}
	expectCommits(t, result.Push, tip)
	if w.server.Tip("refs/heads/main") != "" {
		t.Error("refused push arrived")
	}
}

func TestCollectHostileCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree := w.dev.Git("hash-object", "-t", "tree", "-w", "/dev/null")
	tip := w.dev.Object("commit", "tree "+tree+"\nauthor \xff\x1b[31m"+strings.Repeat("n", 9000)+
		" <e> 99999999999999999999 +0000\ncommitter  <> 0 +9999\n\nt\n\nKey: "+strings.Repeat("v", 9000)+"\xff\n")
	w.dev.SetRef("refs/heads/main", tip)
	got := w.push("main")
	expectCommits(t, got, tip)
	commit := got.Commits[0]
	if len(commit.Author.Name) > maxName || len(commit.Trailers) != 1 || len(commit.Trailers[0].Value) != maxTrailer {
		t.Errorf("got %+v", commit)
	}
	if !commit.Measured || commit.PatchID != "" {
		t.Errorf("got %+v", commit)
	}
}

// TestCollectSideBySide pushes to one repository from several at the same time.
func TestCollectSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left := t.TempDir()
	hook := filepath.Join(w.server.Dir, "hooks", "pre-receive")
	script, err := os.ReadFile(hook)
	if err != nil {
		t.Fatal(err)
	}
	writeScript(t, hook, strings.Replace(string(script), shellQuote(w.out), shellQuote(left)+"/$$", 1))
	const n = 4
	var pushing sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		dev := gittest.New(t)
		var commits []gittest.Commit
		for n := range 40 + i {
			commits = append(commits, gittest.Commit{Name: fmt.Sprint(i), Files: map[string]string{"f": fmt.Sprint(n)}})
		}
		dev.Import(commits)
		pushing.Go(func() {
			_, errs[i] = dev.TryGit("push", "file://"+w.server.Dir, fmt.Sprintf("main:refs/heads/b%d", i))
		})
	}
	pushing.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(left + "/*")
	if err != nil || len(files) != n {
		t.Fatalf("%d pushes, %v", len(files), err)
	}
	for _, file := range files {
		got := readResult(t, file).Push
		tip := got.Commits[len(got.Commits)-1].OID
		if tip != got.Refs[0].New || len(got.Commits) < 40 || got.Unmeasured != 0 || w.server.Tip(got.Refs[0].Name) != tip {
			t.Errorf("%s: %d commits to %s, %d unmeasured", got.Refs[0].Name, len(got.Commits), tip, got.Unmeasured)
		}
	}
}

func TestUnquote(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`plain`:             "plain",
		`"a\"b"`:            `a"b`,
		`"t\ta\nb\\c\001d"`: "t\ta\nb\\c\001d",
		`"\377\"`:           "\xff\\",
		`"`:                 `"`,
		`""`:                "",
		`"\40"`:             "40",
	}
	for in, want := range tests {
		if got := unquote(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func FuzzDiffReader(f *testing.F) {
	oid := strings.Repeat("a", 40)
	f.Add([]byte(oid + "\n:100644 100644 " + oid + " " + oid + " M\tf\n\ndiff --git a/f b/f\nindex 1..2 100644\n" +
		"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@ x\n-a\n+b\n c\n\\ No newline at end of file\n"))
	f.Add([]byte(oid + "\n::100644 100644 100644 " + oid + " " + oid + " " + oid + " MM\tf\n\ndiff --cc f\n" +
		"index 1,2..3\n--- a/f\n+++ b/f\n@@@ -1,1 -1,1 +1,1 @@@\n- a\n -b\n++c\n"))
	f.Add([]byte(oid + "\n:000000 100644 " + oid + " " + oid + " R100\t\"a\\t\"\tb\n\ndiff --git a/f b/f\nBinary files\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		var all []measurement
		limits := DefaultLimits()
		err := newDiffReader(bytes.NewReader(out), "sha1", limits, func(m measurement) { all = append(all, m) }).readAll()
		for _, m := range all {
			for _, file := range m.files {
				if file.Added < 0 || int64(len(file.Runs)) > file.Added {
					t.Errorf("file %+v, error %v", file, err)
				}
			}
		}
	})
}

func TestCollectShallowFileIsBounded(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 1)
	file := t.TempDir() + "/shallow"
	if err := os.WriteFile(file, bytes.Repeat([]byte("x\n"), maxShallow), 0o600); err != nil {
		t.Fatal(err)
	}
	updates := []Update{{Old: gitcmd.ZeroOID, New: commits[0], Ref: "refs/heads/new"}}
	_, err := Collect(t.Context(), f.Repo, updates, Environment{Quarantine: Quarantine{Shallow: file}}, Limits{})
	if err == nil || !strings.Contains(err.Error(), "shallow file") {
		t.Errorf("got %v", err)
	}
}

func unhex(t *testing.T, oid gitcmd.OID) []byte {
	t.Helper()
	raw, err := hex.DecodeString(string(oid))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
