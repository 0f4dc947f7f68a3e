package gitcmd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// absent is an id that no fixture has.
const absent = gitcmd.OID("1111111111111111111111111111111111111111")

func TestParseOID(t *testing.T) {
	t.Parallel()
	valid := []string{strings.Repeat("a", 40), strings.Repeat("09af", 16), string(gitcmd.ZeroOID)}
	for _, s := range valid {
		if oid, err := gitcmd.ParseOID(s); err != nil || string(oid) != s {
			t.Errorf("ParseOID(%q) = %q, %v", s, oid, err)
		}
	}
	invalid := []string{"", "HEAD", strings.Repeat("A", 40), strings.Repeat("g", 40), strings.Repeat("a", 39),
		strings.Repeat("a", 41), "-" + strings.Repeat("a", 39), strings.Repeat("a", 39) + "\n"}
	for _, s := range invalid {
		if oid, err := gitcmd.ParseOID(s); err == nil {
			t.Errorf("ParseOID(%q) = %q, want an error", s, oid)
		}
	}
	if !gitcmd.OID("").IsZero() || !gitcmd.OID(strings.Repeat("0", 64)).IsZero() || absent.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 2)
	hostile := []string{"refs/heads/-rf", "refs/heads/a'b\"c$(id)`x`", "refs/heads/\xffé", "refs/notes/a/b/c/d/e"}
	for _, name := range hostile {
		f.SetRef(name, commits[0])
	}
	got, err := f.Repo.Refs(t.Context(), "refs/heads/", "refs/notes")
	if err != nil {
		t.Fatal(err)
	}
	want := []gitcmd.Ref{
		{Name: hostile[0], OID: commits[0]}, {Name: hostile[1], OID: commits[0]},
		{Name: "refs/heads/main", OID: commits[1]}, {Name: hostile[2], OID: commits[0]}, {Name: hostile[3], OID: commits[0]},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	for _, prefix := range []string{"heads", "--all", "refs/*", "refs/[a]"} {
		if _, err := f.Repo.Refs(t.Context(), prefix); err == nil {
			t.Errorf("Refs(%q) is no error", prefix)
		}
	}
	if got, err := gittest.New(t).Repo.Refs(t.Context()); err != nil || got != nil {
		t.Errorf("refs of an empty repository = %v, %v", got, err)
	}
}

func TestUpdateRefs(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]gittest.Option{nil, {gittest.SHA256()}} {
		f := gittest.New(t, opts...)
		c := f.Commits("refs/heads/main", 3)
		update := func(updates ...gitcmd.RefUpdate) error { return f.Repo.UpdateRefs(t.Context(), updates) }
		const a, b = "refs/heads/a", "refs/heads/b"
		steps := []struct {
			name    string
			updates []gitcmd.RefUpdate
			want    error
			a, b    gitcmd.OID
		}{
			{"create", []gitcmd.RefUpdate{{a, gitcmd.ZeroOID, c[0]}}, nil, c[0], ""},
			{"create what exists", []gitcmd.RefUpdate{{a, gitcmd.ZeroOID, c[1]}}, gitcmd.ErrRefMoved, c[0], ""},
			{"move from a wrong value", []gitcmd.RefUpdate{{a, c[1], c[2]}}, gitcmd.ErrRefMoved, c[0], ""},
			{"all or nothing", []gitcmd.RefUpdate{{b, gitcmd.ZeroOID, c[0]}, {a, c[1], c[2]}}, gitcmd.ErrRefMoved, c[0], ""},
			{"move", []gitcmd.RefUpdate{{a, c[0], c[1]}, {b, "", c[2]}}, nil, c[1], c[2]},
			{"move whatever it is", []gitcmd.RefUpdate{{a, "", c[2]}}, nil, c[2], c[2]},
			{"to an absent object", []gitcmd.RefUpdate{{a, "", absent + absent[:len(c[0])-40]}}, gitcmd.ErrMissingObject, c[2], c[2]},
			{"verify absence", []gitcmd.RefUpdate{{a, gitcmd.ZeroOID, gitcmd.ZeroOID}}, gitcmd.ErrRefMoved, c[2], c[2]},
			{"delete a wrong value", []gitcmd.RefUpdate{{a, c[0], gitcmd.ZeroOID}}, gitcmd.ErrRefMoved, c[2], c[2]},
			{"delete", []gitcmd.RefUpdate{{a, c[2], gitcmd.ZeroOID}}, nil, "", c[2]},
			{"move what is gone", []gitcmd.RefUpdate{{a, c[2], c[1]}}, gitcmd.ErrRefMoved, "", c[2]},
			{"delete whatever it is", []gitcmd.RefUpdate{{b, "", gitcmd.ZeroOID}}, nil, "", ""},
			{"nothing", nil, nil, "", ""},
		}
		for _, step := range steps {
			if err := update(step.updates...); !errors.Is(err, step.want) {
				t.Errorf("%s: %v, want %v", step.name, err, step.want)
			}
			if f.Tip(a) != step.a || f.Tip(b) != step.b {
				t.Errorf("%s: a = %q, b = %q; want %q, %q", step.name, f.Tip(a), f.Tip(b), step.a, step.b)
			}
		}
	}
}

func TestUpdateRefsRefusesNonsense(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tip := f.Commits("refs/heads/main", 1)[0]
	for _, u := range []gitcmd.RefUpdate{
		{Name: "main", New: tip}, {Name: "refs/heads/a\x00b", New: tip}, {Name: "refs/heads/x"},
		{Name: "refs/heads/x", New: "HEAD"}, {Name: "refs/heads/x", Old: "HEAD", New: tip},
		{Name: "refs/heads/a..b", New: tip}, {Name: "refs/heads/main/below", New: tip},
	} {
		err := f.Repo.UpdateRefs(t.Context(), []gitcmd.RefUpdate{u})
		if err == nil || errors.Is(err, gitcmd.ErrRefMoved) || errors.Is(err, gitcmd.ErrMissingObject) {
			t.Errorf("update %+v: %v, want a plain error", u, err)
		}
	}
	lock := filepath.Join(f.Repo.Dir(), "refs/heads/main.lock")
	if err := os.WriteFile(lock, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	err := f.Repo.UpdateRefs(t.Context(), []gitcmd.RefUpdate{{Name: "refs/heads/main", Old: tip, New: gitcmd.ZeroOID}})
	if !errors.Is(err, gitcmd.ErrRefLocked) {
		t.Errorf("update of a locked ref: %v, want ErrRefLocked", err)
	}
}

func TestIsAncestorAndHasCommit(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	c := f.Commits("refs/heads/main", 4)
	orphan := f.Commit(gittest.Commit{Ref: "refs/heads/orphan", Root: true})
	for _, test := range []struct {
		a, b gitcmd.OID
		want bool
	}{{c[0], c[3], true}, {c[3], c[0], false}, {c[1], c[1], true}, {c[0], orphan, false}, {orphan, c[3], false}} {
		if got, err := f.Repo.IsAncestor(t.Context(), test.a, test.b); err != nil || got != test.want {
			t.Errorf("IsAncestor(%s, %s) = %v, %v; want %v", test.a, test.b, got, err, test.want)
		}
	}
	blob := f.Object("blob", "no commit")
	for oid, want := range map[gitcmd.OID]bool{c[2]: true, orphan: true, blob: false, absent: false, gitcmd.ZeroOID: false} {
		if got, err := f.Repo.HasCommit(t.Context(), oid); err != nil || got != want {
			t.Errorf("HasCommit(%s) = %v, %v; want %v", oid, got, err, want)
		}
	}
	if _, err := f.Repo.HasCommit(t.Context(), "--help"); err == nil {
		t.Error("HasCommit accepted an option")
	}

	for _, pair := range [][2]gitcmd.OID{{absent, c[3]}, {c[3], absent}} {
		if _, err := f.Repo.IsAncestor(t.Context(), pair[0], pair[1]); !errors.Is(err, gitcmd.ErrMissingObject) {
			t.Errorf("IsAncestor(%s, %s): %v, want ErrMissingObject", pair[0], pair[1], err)
		}
	}
	f.Lose(c[1])
	var missing *gitcmd.MissingObjectError
	if ok, err := f.Repo.IsAncestor(t.Context(), c[0], c[3]); !errors.As(err, &missing) || missing.OID != c[1] {
		t.Errorf("IsAncestor over a lost commit = %v, %v; want it to be named", ok, err)
	}
}

func FuzzParseOID(f *testing.F) {
	f.Add(strings.Repeat("a", 40))
	f.Add(strings.Repeat("0", 64))
	f.Add("-" + strings.Repeat("a", 39))
	f.Fuzz(func(t *testing.T, s string) {
		oid, err := gitcmd.ParseOID(s)
		if err == nil && strings.Trim(string(oid), "0123456789abcdef") != "" {
			t.Errorf("ParseOID(%q) = %q", s, oid)
		}
	})
}
