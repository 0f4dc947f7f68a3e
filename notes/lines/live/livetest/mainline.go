package livetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// The large history: so many commits on branches of one to five, each of which
// is merged.
const (
	largeCommits = 4000
	largeFiles   = 200
	// LargeChanged files are changed by its last merge.
	LargeChanged = 10
)

// Mainline makes the history and returns the tips of the mainline, the oldest
// first. The last merge changed LargeChanged files.
func Mainline(b testing.TB, opts ...gittest.Option) (*gittest.Fixture, []gitcmd.OID) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	h := &mainline{rng: rng, texts: map[string][]string{}}
	first := map[string]string{}
	for i := range largeFiles {
		path := fmt.Sprintf("dir%d/file%d.go", i%20, i)
		for n := range 50 + rng.IntN(400) {
			h.texts[path] = append(h.texts[path], fmt.Sprintf("\tline %d of file %d holds some words", n, i))
		}
		h.paths, first[path] = append(h.paths, path), h.text(path)
	}
	h.commits = []gittest.Commit{{Files: first}}
	tips := []int{0}
	for len(h.commits) < largeCommits {
		tips = append(tips, h.merge(tips, 1+rng.IntN(6)))
	}
	tips = append(tips, h.merge(tips, LargeChanged))
	f := gittest.New(b, opts...)
	ids := f.Import(h.commits)
	f.Git("repack", "-q", "-a", "-d")
	out := make([]gitcmd.OID, len(tips))
	for i, tip := range tips {
		out[i] = ids[tip]
	}
	return f, out
}

type mainline struct {
	rng     *rand.Rand
	paths   []string
	texts   map[string][]string
	commits []gittest.Commit
	// busy are the files that the last merges changed: a branch that began
	// before them leaves them alone.
	busy [][]string
}

func (h *mainline) text(path string) string { return strings.Join(h.texts[path], "\n") + "\n" }

// merge makes a branch that began up to eight merges ago, and its merge.
func (h *mainline) merge(tips []int, files int) int {
	back := min(h.rng.IntN(9), len(tips)-1)
	recent := slices.Concat(h.busy[max(0, len(h.busy)-back):]...)
	var chosen []string
	for len(chosen) < files {
		if path := h.paths[h.rng.IntN(len(h.paths))]; !slices.Contains(chosen, path) && !slices.Contains(recent, path) {
			chosen = append(chosen, path)
		}
	}
	from, merged := tips[len(tips)-1-back], map[string]string{}
	for i := range 1 + h.rng.IntN(5) {
		changed, some := map[string]string{}, chosen
		if i > 0 {
			some = chosen[:1+h.rng.IntN(len(chosen))]
		}
		for _, path := range some {
			h.edit(path)
			changed[path] = h.text(path)
		}
		from = h.commit(gittest.Commit{Parents: []gitcmd.OID{gittest.Nth(from)}, Files: changed})
	}
	for _, path := range chosen {
		merged[path] = h.text(path)
	}
	h.busy = append(h.busy, chosen)
	return h.commit(gittest.Commit{Parents: []gitcmd.OID{gittest.Nth(tips[len(tips)-1]), gittest.Nth(from)}, Files: merged})
}

func (h *mainline) commit(c gittest.Commit) int {
	c.Ref = fmt.Sprintf("refs/heads/c%d", len(h.commits))
	h.commits = append(h.commits, c)
	return len(h.commits) - 1
}

func (h *mainline) edit(path string) {
	text := h.texts[path]
	for range 1 + h.rng.IntN(4) {
		at := h.rng.IntN(len(text))
		for n := range 1 + h.rng.IntN(12) {
			text[(at+n)%len(text)] = fmt.Sprintf("\tline %d was changed to %d", at+n, h.rng.Uint64())
		}
	}
}
