package upkeep_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/notes/lines/live/livetest"
)

// TestStorm brings a stored map through every step of random histories, while
// commits are classified early, late and anew and receipts change. At each step
// it is held against git blame of every file and the classes of each line;
// removed lines against those that went from one step to the next; and now and
// then what is summed up against all of it.
func TestStorm(t *testing.T) {
	t.Parallel()
	for seed, steps := range []int{300, 60} {
		if testing.Short() {
			steps = 15
		}
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, uint64(seed), steps)
			for i := range s.Tips {
				s.step(i)
				if t.Failed() {
					t.Fatalf("step %d, to %s", i, s.ids[s.Tips[i]])
				}
			}
			// A repository that is removed leaves nothing.
			s.exec(`UPDATE repos SET removed_at = now() WHERE id = $1`, s.repo.ID)
			if err := s.keeper.Work(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.checkSums()
			if len(s.lines()) > 0 || len(s.removed()) > 0 {
				t.Error("lines of a removed repository are there")
			}
		})
	}
}

type storm struct {
	*world
	*livetest.World
	rng *rand.Rand
	ids []gitcmd.OID
	// classes are what the store was told last.
	classes map[origin][]class
	// before are the lines of the files of the step before.
	before map[string][]origin
	// blamed is what git says of the files of a commit.
	blamed   map[string][]origin
	blamedAt int
	// gone has the tips that lacked lines first.
	gone map[origin]string
}

func newStorm(t *testing.T, seed uint64, steps int) *storm {
	h := livetest.New(seed, steps)
	s := &storm{World: h, rng: rand.New(rand.NewPCG(seed, 3)), classes: map[origin][]class{}, gone: map[origin]string{}}
	s.world = newWorld(t, live.Options{Workers: 1, MaxBytes: livetest.MaxBytes}, func(o ...gittest.Option) *gittest.Fixture {
		f := gittest.New(t, o...)
		s.ids = h.Build(f)
		f.Git("repack", "-q", "-a", "-d")
		return f
	})
	s.take("refs/heads/main", s.ids[0], s.ids...)
	return s
}

func (s *storm) step(i int) {
	at := s.Tips[i]
	if s.rng.IntN(2) == 0 {
		s.gossip(at)
	}
	s.take("refs/heads/main", s.ids[at])
	if s.rng.IntN(3) == 0 {
		s.gossip(at)
	}
	s.keep()
	s.follow(i, s.check(at))
	if s.rng.IntN(3) == 0 {
		s.gossip(at)
		s.keep()
		s.check(at)
	}
	s.compareGone()
	if i%10 == 0 || i == len(s.Tips)-1 {
		s.checkSums()
	}
}

// gossip classifies commits, of late or of old, and changes receipts.
func (s *storm) gossip(at int) {
	for range 1 + s.rng.IntN(6) {
		commit := max(0, at-s.rng.IntN(30))
		if s.rng.IntN(4) == 0 {
			commit = s.rng.IntN(at + 1)
		}
		tree := s.Trees[commit]
		for path := range tree {
			if s.rng.IntN(2) == 0 {
				o := origin{string(s.ids[commit]), path, 0}
				s.classes[o] = s.someClasses()
				s.classify(s.ids[commit], path, s.classes[o]...)
			}
		}
	}
	id := fmt.Sprint("r", s.rng.IntN(5))
	switch s.rng.IntN(4) {
	case 0:
		s.exec(`DELETE FROM receipts WHERE id = $1`, id)
	default:
		s.receipt(id, fmt.Sprint("model", s.rng.IntN(3)), fmt.Sprint("tool", s.rng.IntN(2)), fmt.Sprint("session", s.rng.IntN(2)))
	}
}

func (s *storm) someClasses() []class {
	var out []class
	for line := 1 + s.rng.IntN(4); line < 40; line += s.rng.IntN(5) {
		c := class{first: line, last: line + s.rng.IntN(6), class: "human"}
		if s.rng.IntN(3) > 0 {
			c.class, c.receipt = "ai", fmt.Sprint("r", s.rng.IntN(5))
		}
		out = append(out, c)
		line = c.last + 1
	}
	return out
}

func (s *storm) owner(o origin) owned {
	for _, c := range s.classes[origin{o.commit, o.path, 0}] {
		if c.first <= o.line && o.line <= c.last {
			return owned{o, c.class, c.receipt}
		}
	}
	return owned{o, "unknown", ""}
}

func isText(l livetest.Leaf) bool {
	return l.Mode != "120000" && l.Mode != "160000" && len(l.Content) <= livetest.MaxBytes && !slices.Contains([]byte(l.Content), 0)
}

// check holds the stored map against git and returns the lines of its files.
func (s *storm) check(at int) map[string][]origin {
	s.t.Helper()
	stored := s.lines()
	files := map[string][]origin{}
	for path, l := range s.Trees[at] {
		var want []owned
		if isText(l) {
			files[path] = s.blame(at, path)
			for _, o := range files[path] {
				want = append(want, s.owner(o))
			}
		}
		if !slices.Equal(stored[path], want) {
			s.t.Errorf("%q:\n%v\nwant\n%v", path, stored[path], want)
		}
		delete(stored, path)
	}
	if len(stored) > 0 {
		s.t.Errorf("%q are stored too", sortedKeys(stored))
	}
	if state := s.state(); state.Tip != string(s.ids[at]) || state.BuildingTip != "" {
		s.t.Errorf("%+v", state)
	}
	return files
}

func (s *storm) blame(at int, path string) []origin {
	if s.blamed == nil || s.blamedAt != at {
		s.blamed, s.blamedAt = map[string][]origin{}, at
	}
	if s.blamed[path] == nil {
		for _, o := range livetest.Blamed(s.t, s.f, s.ids[at], path) {
			s.blamed[path] = append(s.blamed[path], origin{o.Commit, o.Path, o.Line})
		}
	}
	return s.blamed[path]
}

// follow keeps the account of lines that went, as the documentation defines it.
func (s *storm) follow(i int, files map[string][]origin) {
	alive := map[origin]bool{}
	for _, lines := range files {
		for _, o := range lines {
			alive[o] = true
		}
	}
	abandoned := map[string]bool{}
	if i > 0 {
		abandoned = s.abandoned(s.ids[s.Tips[i-1]], s.ids[s.Tips[i]])
	}
	for path, lines := range s.before {
		if l, there := s.Trees[s.Tips[i]][path]; there && !isText(l) {
			continue
		}
		for _, o := range lines {
			s.gone[o] = string(s.ids[s.Tips[i]])
		}
	}
	maps.DeleteFunc(s.gone, func(o origin, _ string) bool { return alive[o] || abandoned[o.commit] })
	s.before = files
}

func (s *storm) abandoned(old, tip gitcmd.OID) map[string]bool {
	commits := map[string]bool{}
	err := s.f.Repo.RevList(context.Background(), gitcmd.Walk{Include: []gitcmd.OID{old}, Exclude: []gitcmd.OID{tip}},
		func(commit gitcmd.OID, _ []gitcmd.OID) error {
			commits[string(commit)] = true
			return nil
		})
	if err != nil {
		s.t.Fatal(err)
	}
	return commits
}

func (s *storm) compareGone() {
	s.t.Helper()
	want := map[owned]string{}
	for o, tip := range s.gone {
		want[s.owner(o)] = tip
	}
	if got := s.removed(); !maps.Equal(got, want) {
		s.t.Errorf("removed are\n%v\nwant\n%v", got, want)
	}
}
