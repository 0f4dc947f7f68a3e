package gitcmd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// differences returns "<status> <path>" of each change: A, D, M, or T.
func differences(t *testing.T, d *gitcmd.TreeDiffer, base, commit gitcmd.OID) []string {
	t.Helper()
	var got []string
	err := d.Diff(base, commit, func(c gitcmd.TreeChange) error {
		kind := "M"
		switch {
		case c.Old.IsZero():
			kind = "A"
		case c.New.IsZero():
			kind = "D"
		case c.Old == c.New:
			kind = "T"
		}
		got = append(got, fmt.Sprintf("%s %s %s %q", kind, c.OldMode, c.Mode, c.Path))
		return nil
	})
	if err != nil {
		t.Errorf("comparing %s and %s: %v", base, commit, err)
	}
	return got
}

func TestTreeDiffer(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]gittest.Option{nil, {gittest.SHA256()}} {
		f := gittest.New(t, opts...)
		ids := f.Import([]gittest.Commit{
			{Files: map[string]string{"a": "1", "d/x": "1", "d/y\n.\n": "1", ".": "1"}},
			{Files: map[string]string{"d/x": "2", ".\n": "new"}, Remove: []string{"a", "."}},
			{Ref: "refs/heads/other", Root: true, Files: map[string]string{"z": "1"}},
			{Parents: []gitcmd.OID{gittest.Nth(1), gittest.Nth(2)}, Files: map[string]string{"z": "1"}},
		})
		d := f.Repo.NewTreeDiffer(t.Context())
		defer d.Close()
		second := []string{`D 100644 000000 "."`, `A 000000 100644 ".\n"`, `D 100644 000000 "a"`, `M 100644 100644 "d/x"`}
		for _, c := range []struct {
			base, commit int
			want         []string
		}{
			{0, 1, second}, {0, 0, nil}, {0, 1, second}, {1, 3, []string{`A 000000 100644 "z"`}}, {3, 1, []string{`D 100644 000000 "z"`}},
			{2, 3, []string{`A 000000 100644 ".\n"`, `A 000000 100644 "d/x"`, `A 000000 100644 "d/y\n.\n"`}},
		} {
			if diff := cmp.Diff(c.want, differences(t, d, ids[c.base], ids[c.commit])); diff != "" {
				t.Errorf("%d and %d:\n%s", c.base, c.commit, diff)
			}
		}
	}
}

func TestTreeDifferAfterFailures(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"d/a": "1"}}, {Files: map[string]string{"d/a": "2"}}, {Files: map[string]string{"e": "2"}},
	})
	lost := gitcmd.OID(f.Git("rev-parse", string(ids[0])+":d"))
	f.Lose(lost)
	d := f.Repo.NewTreeDiffer(t.Context())
	absent := gitcmd.OID(strings.Repeat("1", 40))
	blob := f.Object("blob", "x")
	none := func(gitcmd.TreeChange) error { return nil }
	for _, c := range [][2]gitcmd.OID{{ids[0], ids[1]}, {absent, ids[1]}, {ids[1], absent}, {ids[1], blob}} {
		if err := d.Diff(c[0], c[1], none); err == nil {
			t.Errorf("comparing %v is no error", c)
		} else if c[1] != blob && !errors.Is(err, gitcmd.ErrMissingObject) {
			t.Errorf("comparing %v: %v", c, err)
		}
		if got := differences(t, d, ids[1], ids[2]); len(got) != 1 {
			t.Errorf("after a failure: %v", got)
		}
	}
	stop := errors.New("stop")
	if err := d.Diff(ids[1], ids[2], func(gitcmd.TreeChange) error { return stop }); err != stop {
		t.Errorf("error of the function: %v", err)
	}
	if err := d.Diff("main", ids[2], none); err == nil {
		t.Error("a name is no object id")
	}
	if got := differences(t, d, ids[1], ids[2]); len(got) != 1 {
		t.Errorf("after an error of the function: %v", got)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestTreeDifferEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 2)
	ctx, cancel := context.WithCancel(t.Context())
	d := f.Repo.NewTreeDiffer(ctx)
	if got := differences(t, d, ids[0], ids[1]); len(got) != 1 {
		t.Fatalf("changes: %v", got)
	}
	cancel()
	err := d.Diff(ids[0], ids[1], func(gitcmd.TreeChange) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}
