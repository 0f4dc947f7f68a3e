package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

const main = "refs/heads/main"

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

// TestFirstMapGoesOn cuts the first map short again and again; files that are
// stored are not read again.
func TestFirstMapGoesOn(t *testing.T) {
	t.Parallel()
	// Behind a batch that is being written, as many files may have been read as
	// the next one and what waits for it.
	const files, ahead = 1000, 401
	w := newWorld(t, live.Options{}, fixture(t))
	first := map[string]string{strings.Repeat("long/", 401) + "path": "1\n"}
	for i := range files {
		first[fmt.Sprintf("dir%d/f%d", i%7, i)] = numbered(3)
	}
	ids := w.f.Import([]gittest.Commit{{Files: first}, {Files: map[string]string{"dir0/f0": numbered(4)}}})
	w.take(main, ids[0], ids...)
	read := 0
	for run := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		had := w.stored()
		err := w.keeper.Keep(ctx, w.org.ID, w.repo.ID, func(done, total int) {
			read++
			if run < 2 && w.stored() > had {
				cancel()
			}
		})
		if run < 2 && !errors.Is(err, context.Canceled) || run == 2 && err != nil {
			t.Fatalf("run %d ended with %v", run, err)
		}
		// The branch moves on meanwhile.
		w.take(main, ids[1])
	}
	w.keep()
	if read > files+2*ahead+10 {
		t.Errorf("%d files were read", read)
	}
	state := w.state()
	if state.Generation != 1 || state.Tip != string(ids[1]) || len(w.lines()) != files || len(w.lines()["dir0/f0"]) != 4 {
		t.Errorf("%+v with %d files", state, len(w.lines()))
	}
	if got := storetest.Column(t, w.db, `SELECT code FROM findings`); !cmp.Equal(got, []string{"path_too_long"}) {
		t.Errorf("findings %q", got)
	}
	w.checkSums()
}

// stored is how many files of a map that is being made are stored.
func (w *world) stored() int {
	w.t.Helper()
	done, _, err := w.db.LiveProgress(context.Background(), w.org.ID, w.repo.ID)
	if err != nil {
		w.t.Error(err)
	}
	return done
}

// TestTwoAtOnce: two programs that make and move one map come to the same.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Options{}, fixture(t))
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprint("f", i)] = numbered(2)
	}
	ids := w.f.Import([]gittest.Commit{{Files: files}, {Files: map[string]string{"f7": numbered(5)}, Remove: []string{"f8"}}})
	for _, tip := range ids {
		w.take(main, tip, ids...)
		failed := make(chan error)
		for range 3 {
			go func() { failed <- w.keeper.Keep(context.Background(), w.org.ID, w.repo.ID, nil) }()
		}
		for range 3 {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	}
	if got := len(w.lines()); got != 299 || len(w.lines()["f7"]) != 5 || len(w.removed()) != 2 {
		t.Errorf("%d files, %v", got, w.removed())
	}
	w.checkSums()
}

// TestMadeAnew: a map is made anew where it stands when another git reads it or
// other paths are excluded, and keeps its beginning and what was removed.
func TestMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Options{}, fixture(t))
	ids := w.f.Import([]gittest.Commit{
		{Files: map[string]string{"a": numbered(5), "gen/b": numbered(4)}},
		{Files: map[string]string{"a": numbered(3)}},
		{Files: map[string]string{"c": "new\n"}},
	})
	w.take(main, ids[0], ids...)
	w.keep()
	w.take(main, ids[1])
	w.keep()
	began := w.state().BeganAt
	if len(w.removed()) != 2 {
		t.Errorf("removed %v", w.removed())
	}
	w.exec(`UPDATE live_tips SET git_version = 'older'`)
	w.exec(`UPDATE repos SET excluded_paths = ARRAY['gen/']`)
	w.take(main, ids[2])
	w.keep()
	state := w.state()
	if state.GitVersion == "older" || state.Generation != 2 || !state.BeganAt.Equal(*began) || state.Tip != string(ids[2]) {
		t.Errorf("%+v", state)
	}
	if lines := w.lines(); len(lines["gen/b"]) > 0 || len(lines["a"]) != 3 || len(w.removed()) != 2 {
		t.Errorf("%v, removed %v", lines, w.removed())
	}
	w.checkSums()
}

// TestLostTip: a map whose tip is no longer in the mirror is made from nothing.
func TestLostTip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Options{}, fixture(t))
	ids := w.f.Import([]gittest.Commit{{Files: map[string]string{"a": numbered(5)}}, {Root: true, Files: map[string]string{"a": numbered(3)}}})
	w.take(main, ids[0], ids...)
	w.keep()
	w.f.Lose(ids[0])
	w.take(main, ids[1])
	w.keep()
	if state := w.state(); state.Tip != string(ids[1]) || len(w.lines()["a"]) != 3 || len(w.removed()) > 0 {
		t.Errorf("%+v, %v", state, w.removed())
	}
	w.checkSums()
}

// TestNoMap: no branch, no map; and a mirror that has not fetched yet changes
// nothing.
func TestNoMap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Options{}, fixture(t))
	ids := w.f.Import([]gittest.Commit{{Files: map[string]string{"a": numbered(5)}}, {Files: map[string]string{"a": numbered(6)}}})
	w.keep()
	if _, err := w.db.LiveMap(t.Context(), w.org.ID, w.repo.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without a branch: %v", err)
	}
	w.take(main, ids[0], ids...)
	w.keep()
	w.take(main, gitcmd.OID(strings.Repeat("1", 40)))
	w.keep()
	if state := w.state(); state.Tip != string(ids[0]) {
		t.Errorf("%+v", state)
	}
	// The default branch has another name now: that is a move like any other.
	w.take("refs/heads/trunk", ids[1])
	w.exec(`UPDATE repos SET default_branch = 'refs/heads/trunk'`)
	w.keep()
	if state := w.state(); state.Tip != string(ids[1]) || state.Ref != "refs/heads/trunk" || state.Generation != 1 {
		t.Errorf("%+v", state)
	}
	w.take(main, "")
	w.keep()
	if _, err := w.db.LiveMap(t.Context(), w.org.ID, w.repo.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without its branch: %v", err)
	}
	w.checkSums()
}

// TestRemovedWithin counts lines by how long they lived.
func TestRemovedWithin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Options{}, fixture(t))
	var commits []gittest.Commit
	// Line n of "a" is removed at the commit n*15 days later.
	for i := range 8 {
		commits = append(commits, gittest.Commit{Files: map[string]string{"a": numbered(20)[7*i:]}, Time: day(i * 15)})
	}
	commits = append([]gittest.Commit{{Files: map[string]string{"z": "z\n"}, Time: day(0)}}, commits...)
	ids := w.f.Import(commits)
	for i, tip := range ids {
		w.take(main, tip, ids...)
		w.keep()
		if i == 1 {
			w.receipt("r1", "m", "p", "s")
			w.classify(tip, "a", class{1, 4, "ai", "r1"})
		}
	}
	w.keep()
	got := storetest.Column(t, w.db, `SELECT format('%s %s %s: %s live, %s %s %s %s', dimension, key, class, live, removed14, removed30, removed90, removed)
		FROM live_cohorts WHERE repo_id = $1 AND watched AND dimension <> 'user' AND (live, removed) <> (0, 0) ORDER BY 1`, w.repo.ID)
	want := []string{
		"all  ai: 0 live, 0 2 4 4", "all  unknown: 13 live, 0 0 2 3", "model m ai: 0 live, 0 2 4 4", "provider p ai: 0 live, 0 2 4 4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.checkSums()
}
