package lines

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// history is a random history of a few files that are edited, renamed, removed
// and merged, with the files of every commit.
type history struct {
	rng     *rand.Rand
	commits []gittest.Commit
	trees   []map[string]string
	parents [][]int
	line    int
}

func newHistory(seed uint64, n int) *history {
	h := &history{rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range n {
		switch {
		case i == 0 || h.rng.IntN(20) == 0:
			h.add(nil, map[string]string{"a": h.text(8), "d/b": h.text(3)})
		case i > 3 && h.rng.IntN(3) == 0:
			h.merge(i)
		default:
			parent := h.recent(i)
			h.add([]int{parent}, h.edited(h.trees[parent], true))
		}
	}
	return h
}

func (h *history) recent(i int) int { return max(0, i-1-h.rng.IntN(4)) }

func (h *history) add(parents []int, tree map[string]string) {
	c := gittest.Commit{Ref: fmt.Sprintf("refs/heads/c%d", len(h.commits)), Root: parents == nil, Replace: true, Files: tree}
	for _, p := range parents {
		c.Parents = append(c.Parents, gittest.Nth(p))
	}
	h.commits, h.trees, h.parents = append(h.commits, c), append(h.trees, tree), append(h.parents, parents)
}

// merge takes lines of two or three parents, and sometimes lines of its own.
func (h *history) merge(i int) {
	parents := []int{h.recent(i)}
	for range 1 + h.rng.IntN(2) {
		if p := h.recent(i); !slices.Contains(parents, p) {
			parents = append(parents, p)
		}
	}
	tree := map[string]string{}
	for _, p := range parents {
		for name, text := range h.trees[p] {
			tree[name] = h.mixed(tree[name], text)
		}
	}
	if h.rng.IntN(4) > 0 {
		tree = h.edited(tree, false)
	}
	h.add(parents, tree)
}

func (h *history) mixed(a, b string) string {
	if a == "" || a == b {
		return b
	}
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	cut := h.rng.IntN(min(len(x), len(y)) + 1)
	return strings.Join(slices.Concat(x[:cut], y[cut:]), "")
}

func (h *history) text(n int) string {
	var b strings.Builder
	for range n {
		h.line++
		// Common lines give the comparison several ways to go.
		if h.rng.IntN(4) == 0 {
			b.WriteString("}\n")
			continue
		}
		fmt.Fprintf(&b, "line %d%s\n", h.line, strings.Repeat("\r", h.rng.IntN(2)))
	}
	return b.String()
}

func (h *history) edited(old map[string]string, structure bool) map[string]string {
	tree := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		text := old[name]
		if h.rng.IntN(2) == 0 {
			text = h.edit(text)
		}
		if structure && h.rng.IntN(12) == 0 {
			name = fmt.Sprintf("renamed %d", h.line)
		}
		if !structure || h.rng.IntN(20) > 0 {
			tree[name] = text
		}
	}
	if structure && h.rng.IntN(4) == 0 {
		tree[fmt.Sprintf("new%d", h.line)] = h.text(1 + h.rng.IntN(12))
	}
	return tree
}

func (h *history) edit(text string) string {
	parts := strings.SplitAfter(text, "\n")
	for range 1 + h.rng.IntN(5) {
		at := h.rng.IntN(len(parts) + 1)
		gone := min(h.rng.IntN(3), len(parts)-at)
		parts = slices.Concat(parts[:at], strings.SplitAfter(h.text(h.rng.IntN(3)), "\n"), parts[at+gone:])
	}
	text = strings.Join(parts, "")
	if h.rng.IntN(5) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

// splitText returns the lines of a text with their ends.
func splitText(text string) []string {
	return slices.Collect(strings.Lines(text))
}

// TestStorm holds the lines of a random history against git's own comparisons
// of two trees and against the texts themselves.
func TestStorm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			h := newHistory(seed, 60)
			f := gittest.New(t)
			ids := f.Import(h.commits)
			for i, c := range diffAll(t, f.Repo, ids...) {
				if c.Merge || len(h.parents[i]) > 1 {
					h.checkMerge(t, f, ids, i, c)
				} else {
					h.checkPlain(t, f, ids, i, c)
				}
			}
		})
	}
}

// checkPlain takes the added lines out of each file: what is left must be what
// the parent's file keeps.
func (h *history) checkPlain(t *testing.T, f *gittest.Fixture, ids []gitcmd.OID, i int, c *Commit) {
	t.Helper()
	before := map[string]string{}
	var parent = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	if len(h.parents[i]) == 1 {
		before = h.trees[h.parents[i][0]]
		parent = string(ids[h.parents[i][0]])
	}
	var stat strings.Builder
	for _, file := range c.Files {
		fmt.Fprintf(&stat, "%d\t%d\n", Count(file.Added), file.Deleted)
		from := file.Path
		if file.OldPath != "" {
			from = file.OldPath
		}
		added := lineSet(file.Added)
		var kept []string
		for n, line := range splitText(h.trees[i][file.Path]) {
			if !added[uint32(n+1)] {
				kept = append(kept, line)
			}
		}
		old := splitText(before[from])
		if int64(len(old))-file.Deleted != int64(len(kept)) || !isSubsequence(kept, old) {
			t.Errorf("commit %d %s: what is not added is not from the parent\n%q\n%q", i, file.Path, kept, old)
		}
	}
	var want strings.Builder
	for line := range strings.Lines(f.Git("diff-tree", "-r", "--numstat", "-M", parent, string(ids[i])) + "\n") {
		if fields := strings.SplitN(line, "\t", 3); len(fields) == 3 {
			fmt.Fprintf(&want, "%s\t%s\n", fields[0], fields[1])
		}
	}
	if stat.String() != want.String() {
		t.Errorf("commit %d: lines\n%swant\n%s", i, stat.String(), want.String())
	}
}

func isSubsequence(part, whole []string) bool {
	for _, line := range part {
		at := slices.Index(whole, line)
		if at < 0 {
			return false
		}
		whole = whole[at+1:]
	}
	return true
}

var hunkHeader = regexp.MustCompile(`(?m)^@@ -\S+ \+(\d+)(?:,(\d+))? @@`)

// checkMerge compares every file of the merge with each parent alone: the
// lines of the merge are those that are new against all of them.
func (h *history) checkMerge(t *testing.T, f *gittest.Fixture, ids []gitcmd.OID, i int, c *Commit) {
	t.Helper()
	got := map[string]map[uint32]bool{}
	for _, file := range c.Files {
		got[file.Path] = lineSet(file.Added)
	}
	for name := range h.trees[i] {
		times := map[uint32]int{}
		for _, p := range h.parents[i] {
			out := f.Git("diff-tree", "-p", "-U0", "--no-renames", "-r", string(ids[p]), string(ids[i]), "--", name)
			for _, m := range hunkHeader.FindAllStringSubmatch(out, -1) {
				first, _ := strconv.Atoi(m[1])
				count := 1
				if m[2] != "" {
					count, _ = strconv.Atoi(m[2])
				}
				for n := first; n < first+count; n++ {
					times[uint32(n)]++
				}
			}
		}
		lines := 0
		for n, k := range times {
			if k == len(h.parents[i]) {
				lines++
				if !got[name][n] {
					t.Errorf("merge %d %s: line %d is in no parent", i, name, n)
				}
			}
		}
		if lines != len(got[name]) {
			t.Errorf("merge %d %s: %d lines, want %d", i, name, len(got[name]), lines)
		}
	}
}
