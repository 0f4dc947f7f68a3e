package gitcmd_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestRevList(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{}, {Parents: []gitcmd.OID{gittest.Nth(0)}},
		// Older than its parent, so that only Topo keeps the order.
		{Parents: []gitcmd.OID{gittest.Nth(0)}, Time: gittest.Epoch.AddDate(-1, 0, 0)},
		{Parents: []gitcmd.OID{gittest.Nth(1), gittest.Nth(2)}},
		{Parents: []gitcmd.OID{gittest.Nth(3)}},
	})
	for name, c := range map[string]struct {
		walk gitcmd.Walk
		want [][]int
	}{
		"all":          {gitcmd.Walk{Include: ids[4:], Topo: true}, [][]int{{4, 3}, {3, 1, 2}, {2, 0}, {1, 0}, {0}}},
		"range":        {gitcmd.Walk{Include: ids[4:], Exclude: ids[1:2], Topo: true}, [][]int{{4, 3}, {3, 1, 2}, {2, 0}}},
		"by time":      {gitcmd.Walk{Include: ids[4:]}, [][]int{{4, 3}, {3, 1, 2}, {1, 0}, {0}, {2, 0}}},
		"first parent": {gitcmd.Walk{Include: ids[4:], FirstParent: true}, [][]int{{4, 3}, {3, 1, 2}, {1, 0}, {0}}},
		"limit":        {gitcmd.Walk{Include: ids[4:], Limit: 1}, [][]int{{4, 3}}},
		"empty range":  {gitcmd.Walk{Include: ids[:1], Exclude: ids[4:]}, nil},
		"nothing":      {gitcmd.Walk{}, nil},
	} {
		var got [][]int
		err := f.Repo.RevList(t.Context(), c.walk, func(commit gitcmd.OID, parents []gitcmd.OID) error {
			row := []int{slices.Index(ids, commit)}
			for _, p := range parents {
				row = append(row, slices.Index(ids, p))
			}
			got = append(got, row)
			return nil
		})
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestRevListFails(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Commits("refs/heads/main", 3)
	stop := errors.New("stop")
	all := gitcmd.Walk{Include: ids[2:]}
	if err := f.Repo.RevList(t.Context(), all, func(gitcmd.OID, []gitcmd.OID) error { return stop }); err != stop {
		t.Errorf("error of the function: %v", err)
	}
	nothing := func(gitcmd.OID, []gitcmd.OID) error { return nil }
	if err := f.Repo.RevList(t.Context(), gitcmd.Walk{Include: []gitcmd.OID{"--all"}}, nothing); err == nil {
		t.Error("an option is no object id")
	}
	f.Lose(ids[0])
	if err := f.Repo.RevList(t.Context(), all, nothing); !errors.Is(err, gitcmd.ErrMissingObject) {
		t.Errorf("without a commit: %v", err)
	}
}
