package gitcmd_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func newCommits(t *testing.T, r *gitcmd.Repo, limit int, tips ...gitcmd.OID) []gitcmd.OID {
	t.Helper()
	var got []gitcmd.OID
	err := r.NewCommits(context.Background(), tips, limit, func(c *gitcmd.Commit) error {
		got = append(got, c.OID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestNewCommits(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	base := f.Commits("refs/heads/main", 2)
	tip := f.Commits("refs/heads/work", 3)
	f.Git("tag", "-a", "-m", "tagged", "v1", string(tip[2]))
	tag := f.Tip("refs/tags/v1")
	f.Delete("refs/heads/work", "refs/tags/v1")
	want := []gitcmd.OID{tip[2], tip[1], tip[0]}

	if got := newCommits(t, f.Repo, 10, tip[2]); !slices.Equal(got, want) {
		t.Errorf("tip: got %v, want %v", got, want)
	}
	if got := newCommits(t, f.Repo, 10, tag); !slices.Equal(got, want) {
		t.Errorf("tag: got %v, want %v", got, want)
	}
	if got := newCommits(t, f.Repo, 2, tip[2]); !slices.Equal(got, want[:2]) {
		t.Errorf("limit: got %v, want %v", got, want[:2])
	}
	if got := newCommits(t, f.Repo, 10, base[1]); got != nil {
		t.Errorf("known commit: got %v", got)
	}
	f.SetRef("refs/notes/deep/er", tip[2])
	if got := newCommits(t, f.Repo, 10, tip[2]); !slices.Equal(got, want) {
		t.Errorf("hidden behind a notes ref: got %v, want %v", got, want)
	}
	blob := f.Object("blob", "text")
	if got := newCommits(t, f.Repo, 10, blob); got != nil {
		t.Errorf("blob: got %v", got)
	}
}

func TestCommitsBeyond(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 4)
	var got []gitcmd.OID
	add := func(c *gitcmd.Commit) error {
		got = append(got, c.OID)
		return nil
	}
	if err := f.Repo.CommitsBeyond(t.Context(), commits[3:], commits[:2], 10, add); err != nil {
		t.Fatal(err)
	}
	if want := []gitcmd.OID{commits[3], commits[2]}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = nil
	if err := f.Repo.CommitsBeyond(t.Context(), commits[3:], nil, 3, add); err != nil || len(got) != 3 {
		t.Errorf("nothing known, limit 3: got %v, %v", got, err)
	}
}

func TestNewCommitsOfIncompleteHistory(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 3)
	f.Delete("refs/heads/main")
	f.Lose(commits[0])
	nop := func(*gitcmd.Commit) error { return nil }
	err := f.Repo.NewCommits(context.Background(), commits[2:], 10, nop)
	if !errors.Is(err, gitcmd.ErrMissingObject) {
		t.Fatalf("got %v, want ErrMissingObject", err)
	}
	file := filepath.Join(t.TempDir(), "shallow")
	if err := os.WriteFile(file, []byte(commits[1]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []gitcmd.OID{commits[2], commits[1]}
	if got := newCommits(t, f.Repo.WithShallow(file), 10, commits[2]); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
