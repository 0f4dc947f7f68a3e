package gitcmd_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func changes(t *testing.T, r *gitcmd.Repo, include, exclude []gitcmd.OID) []*gitcmd.CommitChanges {
	t.Helper()
	var all []*gitcmd.CommitChanges
	err := r.Changes(t.Context(), include, exclude, func(c *gitcmd.CommitChanges) error {
		all = append(all, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// describe is a change as "path old,old>new", with each object named by its
// content.
func describe(t *testing.T, r *gitcmd.Repo, c gitcmd.Change) string {
	t.Helper()
	b := r.NewBatchReader(t.Context())
	defer b.Close()
	name := func(oid gitcmd.OID) string {
		if oid.IsZero() {
			return "-"
		}
		o, err := b.Read(oid, megabyte)
		if err != nil || o.Data == nil {
			t.Fatalf("reading %s: %+v, %v", oid, o, err)
		}
		return string(o.Data)
	}
	var olds []string
	for _, old := range c.Old {
		olds = append(olds, name(old))
	}
	return fmt.Sprintf("%s %s>%s", c.Path, strings.Join(olds, ","), name(c.New))
}

type files = map[string]string

func TestChanges(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]gittest.Option{nil, {gittest.SHA256()}} {
		f := gittest.New(t, opts...)
		odd := "new\nline \"quoted\" \\ tab\t ünïcode \xff :100644 --x"
		ids := f.Import([]gittest.Commit{
			0: {Files: files{"a": "a1", "b": "b1", "d/e": "e1"}},
			1: {Files: files{"a": "a2", odd: "odd"}},
			2: {Parents: []gitcmd.OID{gittest.Nth(0)}, Files: files{"a": "a3", "c": "c3"}, Remove: []string{"b"}},
			// The merge takes c and the deletion of b from one side and decides on
			// its own about a and new.
			3: {Parents: []gitcmd.OID{gittest.Nth(1), gittest.Nth(2)}, Files: files{"a": "a4", "c": "c3", "new": "n"}, Remove: []string{"b"}},
			4: {},
			5: {Remove: []string{"a"}, Files: files{"d": "was a directory"}},
			6: {Ref: "refs/heads/other", Root: true, Files: files{"r": "r1"}},
			// Three parents; nothing that differs from all of them.
			7: {Parents: []gitcmd.OID{gittest.Nth(5), gittest.Nth(6), gittest.Nth(2)}},
		})
		want := [][]string{
			0: {"a ->a1", "b ->b1", "d/e ->e1"},
			1: {"a a1>a2", odd + " ->odd"},
			2: {"a a1>a3", "b b1>-", "c ->c3"},
			3: {"a a2,a3>a4", "new -,->n"},
			4: nil,
			5: {"a a4>-", "d ->was a directory", "d/e e1>-"},
			6: {"r ->r1"},
			7: nil,
		}
		seen := map[gitcmd.OID]bool{}
		all := changes(t, f.Repo, []gitcmd.OID{ids[7]}, nil)
		for _, c := range all {
			var got []string
			for _, change := range c.Changes {
				got = append(got, describe(t, f.Repo, change))
			}
			for i, id := range ids {
				if id == c.OID {
					if diff := cmp.Diff(want[i], got); diff != "" {
						t.Errorf("changes of commit %d (-want +got):\n%s", i, diff)
					}
				}
			}
			for _, parent := range c.Parents {
				if !seen[parent] {
					t.Errorf("commit %s comes before its parent %s", c.OID, parent)
				}
			}
			seen[c.OID] = true
		}
		if len(seen) != len(ids) {
			t.Errorf("saw %d of %d commits", len(seen), len(ids))
		}

		part := changes(t, f.Repo, []gitcmd.OID{ids[3]}, []gitcmd.OID{ids[1]})
		if len(part) != 2 || part[0].OID != ids[2] || part[1].OID != ids[3] {
			t.Errorf("commits between 1 and 3 = %v", part)
		}
		if got := changes(t, f.Repo, nil, ids); got != nil {
			t.Errorf("changes of nothing = %v", got)
		}
	}
}

func TestChangesOfDeletedModeAndFirstFields(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f.Commit(gittest.Commit{Files: files{"a": "1"}, Name: "Zoë", Email: "zoe@example.com", Time: at, Message: "one"})
	f.Commit(gittest.Commit{Remove: []string{"a"}})
	all := changes(t, f.Repo, []gitcmd.OID{f.Tip("refs/heads/main")}, nil)
	c := all[0]
	if c.AuthorName != "Zoë" || c.CommitterEmail != "zoe@example.com" || !c.AuthorTime.Equal(at) || !c.CommitTime.Equal(at) || c.Message != "" {
		t.Errorf("first commit = %+v", c.Commit)
	}
	if c.Changes[0].Mode != "100644" || all[1].Changes[0].Mode != "000000" || !all[1].Changes[0].New.IsZero() {
		t.Errorf("changes = %+v, %+v", c.Changes, all[1].Changes)
	}
}

func TestChangesWithManyExclusions(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 5000)
	got := changes(t, f.Repo, ids[4990:], ids[:4990])
	if len(got) != 10 || got[0].OID != ids[4990] || got[9].OID != ids[4999] {
		t.Errorf("%d commits beyond 4,990 exclusions", len(got))
	}
}

func TestHistoryCallbackErrors(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 100)
	enough := errors.New("enough")
	for _, stopAt := range []int{1, 50, 100} {
		n := 0
		stop := func() error {
			if n++; n == stopAt {
				return enough
			}
			return nil
		}
		err := f.Repo.Changes(t.Context(), ids[99:], nil, func(*gitcmd.CommitChanges) error { return stop() })
		if err != enough || n != stopAt {
			t.Errorf("Changes stopped at %d: %v after %d", stopAt, err, n)
		}
		n = 0
		err = f.Repo.Commits(t.Context(), ids[99:], nil, func(*gitcmd.Commit) error { return stop() })
		if err != enough || n != stopAt {
			t.Errorf("Commits stopped at %d: %v after %d", stopAt, err, n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.Repo.Changes(ctx, ids[99:], nil, func(*gitcmd.CommitChanges) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Changes with a cancelled context: %v", err)
	}
	for _, bad := range []gitcmd.OID{"HEAD", "--all", "", ids[0] + "\n--output=x"} {
		err := f.Repo.Commits(t.Context(), []gitcmd.OID{bad}, nil, func(*gitcmd.Commit) error { return nil })
		if err == nil {
			t.Errorf("Commits accepted the revision %q", bad)
		}
	}
}

func TestCommitsOfHostileAuthors(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tree := f.Object("tree", "")
	make := func(author, committer, rest string) gitcmd.OID {
		return f.Object("commit", fmt.Sprintf("tree %s\nauthor %s\ncommitter %s\n%s", tree, author, committer, rest))
	}
	long := strings.Repeat("m", 100<<10)
	tests := []struct {
		oid  gitcmd.OID
		want gitcmd.Commit
	}{
		{
			make("\xff\xfe Bad <b\xc3@x> 1700000000 +0100", "C <c@x> 1700000001 -0700", "\nsubject\n\nbody \xff\n"),
			gitcmd.Commit{AuthorName: "\uFFFD Bad", AuthorEmail: "b\uFFFD@x", AuthorTime: time.Unix(1700000000, 0).UTC(),
				CommitterName: "C", CommitterEmail: "c@x", CommitTime: time.Unix(1700000001, 0).UTC(), Message: "subject\n\nbody \uFFFD\n"},
		},
		{
			make("Zo\xeb <z@x> 99999999999999 +0000", "Zo\xeb <z@x> 99999999999999999999999999 +0000", "encoding ISO-8859-1\n\ncaf\xe9\n"),
			gitcmd.Commit{AuthorName: "Zoë", AuthorEmail: "z@x", AuthorTime: gitcmd.MaxTime,
				CommitterName: "Zoë", CommitterEmail: "z@x", CommitTime: gitcmd.MaxTime, Message: "café\n"},
		},
		{
			make(" <> -5 +0000", "%x00%H <%an> x", "\n"+long),
			gitcmd.Commit{AuthorTime: gitcmd.MinTime, CommitterName: "%x00%H", CommitterEmail: "%an",
				CommitTime: gitcmd.MinTime, Message: long[:64<<10]},
		},
		{
			make(strings.Repeat("n", 10000)+" <e@x> 0 +0000", "<script>alert(1)</script> <e@x> 1 +0000", ""),
			gitcmd.Commit{AuthorName: strings.Repeat("n", 4096), AuthorEmail: "e@x", AuthorTime: gitcmd.MinTime,
				CommitterEmail: "script", CommitterName: "", CommitTime: time.Unix(1, 0).UTC()},
		},
	}
	for i, test := range tests {
		test.want.OID, test.want.Parents = test.oid, []gitcmd.OID{}
		var got []gitcmd.Commit
		err := f.Repo.Commits(t.Context(), []gitcmd.OID{test.oid}, nil, func(c *gitcmd.Commit) error {
			got = append(got, *c)
			return nil
		})
		if err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
		if diff := cmp.Diff([]gitcmd.Commit{test.want}, got); diff != "" {
			t.Errorf("commit %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestConfigurationOfARepositoryChangesNothing(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tip := f.Commit(gittest.Commit{Files: files{"b": "1", "a": "x1"}, Name: "Old", Message: "ünï\n"})
	f.Commit(gittest.Commit{Remove: []string{"a"}, Files: files{"c": "x1"}, Name: "Old"})
	read := func() (all []*gitcmd.CommitChanges) {
		return changes(t, f.Repo, []gitcmd.OID{f.Tip("refs/heads/main")}, nil)
	}
	want := read()
	order := filepath.Join(t.TempDir(), "order")
	mailmap := filepath.Join(t.TempDir(), "mailmap")
	for path, content := range map[string]string{order: "c\nb\na\n", mailmap: "New <new@example.com> Old <ada@example.com>\n"} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string]string{
		"i18n.logOutputEncoding": "UTF-16", "log.mailmap": "true", "mailmap.file": mailmap, "log.showSignature": "true",
		"diff.renames": "copies", "diff.orderFile": order, "log.date": "human", "color.ui": "always", "core.abbrev": "7",
		"diff.external": "false", "log.showRoot": "false", "log.diffMerges": "off", "diff.noprefix": "true",
		"diff.ignoreSubmodules": "all", "core.quotePath": "true", "notes.displayRef": "*", "log.decorate": "full",
		"diff.relative": "true", "format.pretty": "oneline", "log.follow": "true", "core.pager": "false",
	} {
		f.Git("config", key, value)
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("changes under an odd configuration (-plain +odd):\n%s", diff)
	}
	var message string
	err := f.Repo.Commits(t.Context(), []gitcmd.OID{tip}, nil, func(c *gitcmd.Commit) error {
		message = c.Message
		return nil
	})
	if err != nil || message != "ünï\n" {
		t.Errorf("message = %q, %v", message, err)
	}
}

func TestShallowRepository(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 5)
	clone := gittest.Clone(t, "file://"+f.Dir, "--bare", "--depth=2")
	all := changes(t, clone.Repo, ids[4:], nil)
	if len(all) != 2 || all[0].OID != ids[3] || len(all[0].Parents) != 0 || len(all[0].Changes) != 4 || len(all[1].Changes) != 1 {
		t.Errorf("changes of a shallow clone = %+v", all)
	}
	if yes, err := clone.Repo.IsAncestor(t.Context(), ids[3], ids[4]); !yes || err != nil {
		t.Errorf("IsAncestor in a shallow clone = %v, %v", yes, err)
	}
	err := clone.Repo.Changes(t.Context(), ids[4:], ids[:1], func(*gitcmd.CommitChanges) error { return nil })
	var missing *gitcmd.MissingObjectError
	if !errors.As(err, &missing) || missing.OID != ids[0] {
		t.Errorf("excluding a commit beyond the border: %v, want MissingObjectError with %s", err, ids[0])
	}
}

func TestHistoryWithMissingObjects(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(f *gittest.Fixture, oid gitcmd.OID){
		"lost":    func(f *gittest.Fixture, oid gitcmd.OID) { f.Lose(oid) },
		"corrupt": func(f *gittest.Fixture, oid gitcmd.OID) { f.Corrupt(oid) },
	} {
		for what, suffix := range map[string]string{"commit": "", "tree": "^{tree}"} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				f := gittest.New(t)
				ids := f.Commits("refs/heads/main", 5)
				bad := gitcmd.OID(f.Git("rev-parse", string(ids[2])+suffix))
				damage(f, bad)
				var seen []gitcmd.OID
				err := f.Repo.Changes(t.Context(), ids[4:], nil, func(c *gitcmd.CommitChanges) error {
					seen = append(seen, c.OID)
					if len(c.Changes) == 0 {
						t.Errorf("commit %s came without its changes", c.OID)
					}
					return nil
				})
				var missing *gitcmd.MissingObjectError
				if !errors.As(err, &missing) || missing.OID != bad || !errors.Is(err, gitcmd.ErrMissingObject) {
					t.Errorf("Changes: %v, want MissingObjectError with %s", err, bad)
				}
				if len(seen) > 2 {
					t.Errorf("saw %d commits up to the bad one", len(seen))
				}
			})
		}
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	deep := strings.Repeat("d/", 200) + "leaf"
	paths := []string{"\n", " :x", "-rf", "a\"b\\", deep, "zoë\xff"}
	content := files{}
	for _, path := range paths {
		content[path] = "same"
	}
	tip := f.Commit(gittest.Commit{Files: content})
	var got []string
	list := func(e gitcmd.TreeEntry) error {
		if e.Type != "blob" || e.Mode != "100644" || e.OID != f.Object("blob", "same") {
			t.Errorf("entry %+v", e)
		}
		got = append(got, e.Path)
		return nil
	}
	if err := f.Repo.Tree(t.Context(), tip, list); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(paths, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}

	enough := errors.New("enough")
	if err := f.Repo.Tree(t.Context(), tip, func(gitcmd.TreeEntry) error { return enough }); err != enough {
		t.Errorf("Tree with a failing function: %v", err)
	}
	for _, oid := range []gitcmd.OID{absent, f.Object("blob", "same")} {
		if err := f.Repo.Tree(t.Context(), oid, list); !errors.Is(err, gitcmd.ErrMissingObject) {
			t.Errorf("Tree of %s: %v, want ErrMissingObject", oid, err)
		}
	}
	if err := f.Repo.Tree(t.Context(), "HEAD", list); err == nil {
		t.Error("Tree accepted a revision")
	}
}

func TestTreeCutsMonstrousPaths(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	blob := f.Object("blob", "x")
	raw := func(oid gitcmd.OID) string {
		var b strings.Builder
		for i := 0; i < len(oid); i += 2 {
			var c byte
			fmt.Sscanf(string(oid[i:i+2]), "%02x", &c)
			b.WriteByte(c)
		}
		return b.String()
	}
	name := strings.Repeat("n", 300<<10)
	tree := f.Object("tree", "100644 "+name+"\x00"+raw(blob)+"100644 z\x00"+raw(blob))
	var got []int
	err := f.Repo.Tree(t.Context(), tree, func(e gitcmd.TreeEntry) error {
		got = append(got, len(e.Path))
		return nil
	})
	if err != nil || !cmp.Equal(got, []int{gitcmd.MaxPath, 1}) {
		t.Errorf("lengths of paths = %v, %v", got, err)
	}
}

// TestNotesHistoryIsFast walks a notes history and compares the time with that
// of git alone.
func TestNotesHistoryIsFast(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := make([]gittest.Notes, 2000)
	total := 0
	for i := range commits {
		bodies := map[gitcmd.OID]string{}
		for k := range 2 + i%2 {
			annotated := sha1.Sum(fmt.Append(nil, (i*7919+k*31)%4096))
			bodies[gitcmd.OID(hex.EncodeToString(annotated[:]))] = fmt.Sprintf("note %d %d", i, k)
		}
		commits[i] = gittest.Notes{Bodies: bodies, Fanout: 1}
		total += len(bodies)
	}
	ids := f.ImportNotes(commits)
	tip := ids[len(ids)-1]

	start := time.Now()
	f.Git("log", "--raw", "-c", "--no-abbrev", "-z", "--topo-order", "--reverse", "--format=%H", string(tip))
	alone := time.Since(start)
	start, n := time.Now(), 0
	err := f.Repo.Changes(t.Context(), []gitcmd.OID{tip}, nil, func(c *gitcmd.CommitChanges) error {
		n += len(c.Changes)
		return nil
	})
	took := time.Since(start)
	t.Logf("%d changes of %d commits in %v, git alone %v", n, len(ids), took, alone)
	if err != nil || n != total {
		t.Errorf("saw %d of %d changes: %v", n, total, err)
	}
	if took > 5*alone+5*time.Second {
		t.Errorf("took %v, git alone %v", took, alone)
	}
}
