// Package livetest makes histories for tests of live maps: a random one in which
// all happens that a map must follow, and a large one to measure with.
package livetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// Leaf is one path of a tree. An empty mode is that of a file.
type Leaf struct{ Mode, Content string }

// Tree is what a commit has, by path.
type Tree map[string]Leaf

// World is a random history in which all happens that a live map must follow:
// edits, renames with and without edits, copies, deletions and their return,
// reverts, picked changes, changes of mode and type, text that becomes binary or
// too large and is text again, line ends, merges of every kind, and tips that do
// not descend from the one before.
type World struct {
	rng     *rand.Rand
	Commits []gittest.Commit
	// Trees are those of the commits.
	Trees []Tree
	// Tips are the commits that the branch came to, one after the other.
	Tips []int
	line int
}

// Files of worlds that are too large have more than MaxBytes; trees have no more
// than MaxFiles.
const (
	MaxBytes = 4000
	MaxFiles = 12
)

// oddPaths are names that git quotes, or that look like something else.
var oddPaths = []string{
	"a.go", "dir/b.go", "dir/c d.go", "--help", "-L1,2", ":(top)x", "new\nline", "tab\there", `q"uo"te\`, "ümläut", "\xff\xfe",
	"HEAD", "dir/sub/*.go", "boundary", "filename x", "$(true)", "'", "dir/sub/.gitattributes",
}

// New makes a history in which the branch moves so many times.
func New(seed uint64, steps int) *World {
	w := &World{rng: rand.New(rand.NewPCG(seed, 7))}
	first := Tree{}
	for _, path := range oddPaths[:6] {
		first[path] = Leaf{Content: w.text(5 + w.rng.IntN(20))}
	}
	w.Tips = []int{w.commit(first)}
	for len(w.Tips) <= steps {
		w.step()
	}
	return w
}

// step moves the branch on.
func (w *World) step() {
	old := w.Tips[len(w.Tips)-1]
	tip := old
	switch n := w.rng.IntN(100); {
	case n < 35:
		for range 1 + w.rng.IntN(3) {
			tip = w.commit(w.changed(w.Trees[tip]), tip)
		}
	case n < 60:
		tip = w.merged(old, w.branch(w.former(15)))
	case n < 67: // The branch that was merged takes the place of the tip.
		tip = w.merged(w.branch(w.former(8)), old)
	case n < 72:
		tip = w.merged(old, w.branch(w.former(8)), w.branch(w.former(8)))
	case n < 80: // Criss-cross.
		side := w.branch(w.former(4))
		a, b := w.merged(old, side), w.merged(side, old)
		a, b = w.commit(w.changed(w.Trees[a]), a), w.commit(w.changed(w.Trees[b]), b)
		tip = w.merged(a, b)
	case n < 88: // A branch of a branch, brought up to date on the way.
		side := w.branch(w.former(20))
		tip = w.merged(old, w.branch(side))
		side = w.commit(w.changed(w.Trees[side]), w.merged(side, old))
		tip = w.merged(tip, side)
	case n < 92: // Changes and their revert.
		tip = w.commit(w.changed(w.Trees[old]), old)
		tip = w.commit(w.Trees[old], tip)
	case n < 94:
		tip = w.merged(old, w.commit(Tree{fmt.Sprintf("import %d", w.line): {Content: w.text(4)}}))
	case n < 97:
		tip = w.former(10)
	default:
		tip = w.branch(w.former(10))
	}
	w.Tips = append(w.Tips, tip)
}

// former returns a tip of the last n, or any commit of late.
func (w *World) former(n int) int {
	if w.rng.IntN(4) == 0 {
		return max(0, len(w.Commits)-1-w.rng.IntN(2*n))
	}
	return w.Tips[max(0, len(w.Tips)-1-w.rng.IntN(n))]
}

func (w *World) commit(files Tree, parents ...int) int {
	i := len(w.Commits)
	c := gittest.Commit{
		Ref: fmt.Sprintf("refs/heads/c%d", i), Root: len(parents) == 0, Replace: true,
		Files: map[string]string{}, Modes: map[string]string{},
		// Some clocks are wrong.
		Time: gittest.Epoch.Add(time.Duration(i) * time.Minute),
	}
	if w.rng.IntN(15) == 0 {
		c.Time = c.Time.Add(-time.Duration(w.rng.IntN(300)) * time.Minute)
	}
	for _, p := range parents {
		c.Parents = append(c.Parents, gittest.Nth(p))
	}
	for path, l := range files {
		c.Files[path] = l.Content
		if l.Mode != "" {
			c.Modes[path] = l.Mode
		}
	}
	w.Commits, w.Trees = append(w.Commits, c), append(w.Trees, files)
	return i
}

// branch makes commits beside the branch.
func (w *World) branch(from int) int {
	for range 1 + w.rng.IntN(3) {
		from = w.commit(w.changed(w.Trees[from]), from)
	}
	return from
}

// merged takes of every file one side or lines of several.
func (w *World) merged(parents ...int) int {
	files := maps.Clone(w.Trees[parents[0]])
	for _, p := range parents[1:] {
		for _, path := range slices.Sorted(maps.Keys(w.Trees[p])) {
			l := w.Trees[p][path]
			if _, ok := files[path]; !ok && w.rng.IntN(4) == 0 {
				continue
			}
			switch w.rng.IntN(4) {
			case 0: // As it is in the first parent.
			case 1:
				files[path] = Leaf{l.Mode, w.mixed(files[path].Content, l.Content)}
			default:
				files[path] = l
			}
		}
	}
	if w.rng.IntN(5) == 0 {
		files = w.changed(files)
	}
	return w.commit(w.repaired(files), parents...)
}

func (w *World) mixed(a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	cut := w.rng.IntN(min(len(x), len(y)) + 1)
	return strings.Join(slices.Concat(x[:cut], y[cut:]), "")
}

// repaired drops files whose names are folders of others, or that are too many,
// and gives every submodule a content that git takes for one.
func (w *World) repaired(files Tree) Tree {
	for len(files) > MaxFiles {
		delete(files, w.some(files))
	}
	for path, l := range files {
		for dir := path; strings.Contains(dir, "/"); {
			dir = dir[:strings.LastIndex(dir, "/")]
			delete(files, dir)
		}
		if l.Mode == "160000" {
			files[path] = Leaf{l.Mode, strings.Repeat("5", 40)}
		}
	}
	return files
}

// changed returns a tree with one to four changes.
func (w *World) changed(old Tree) Tree {
	files := maps.Clone(old)
	for range 1 + w.rng.IntN(4) {
		w.change(files)
	}
	return w.repaired(files)
}

func (w *World) change(files Tree) {
	path := w.some(files)
	l := files[path]
	switch n := w.rng.IntN(60); {
	case path == "" || n < 5:
		files[w.name()] = Leaf{Content: w.text(w.rng.IntN(25))}
	case n < 10: // Renamed, perhaps with changes, perhaps with another in its place.
		delete(files, path)
		if n < 8 {
			l.Content = w.edited(l.Content)
		}
		files[w.name()] = l
		if n == 5 {
			files[path] = Leaf{Content: w.text(10)}
		}
	case n < 13: // Split: both halves are like the whole.
		delete(files, path)
		files[w.name()] = Leaf{Content: w.edited(l.Content)}
		files[w.name()] = Leaf{Content: w.edited(l.Content)}
	case n < 15:
		files[w.name()] = l
	case n < 18:
		delete(files, path)
	case n < 24: // As it was, or as it is elsewhere.
		was := w.Trees[max(0, len(w.Trees)-1-w.rng.IntN(25))]
		if former, ok := was[w.some(was)]; ok {
			files[path] = former
		}
		if former, ok := was[path]; ok {
			files[path] = former
		}
	case n < 27:
		l.Mode = []string{"", "100755", "120000", "160000"}[w.rng.IntN(4)]
		files[path] = l
	case n == 27:
		files[path] = Leaf{Content: "\x00" + l.Content}
	case n == 28:
		files[path] = Leaf{Content: l.Content + strings.Repeat("large\n", MaxBytes/6)}
	case n == 29:
		files[path] = Leaf{Content: strings.ReplaceAll(l.Content, "\n", "\r\n")}
	case n == 30:
		files[path] = Leaf{Content: strings.ReplaceAll(l.Content, "\r", "")}
	case n == 31:
		files[path] = Leaf{}
	case n == 32:
		files[path] = Leaf{Content: strings.TrimSuffix(strings.TrimPrefix(l.Content, "\x00"), "\n")}
	default:
		l.Content = w.edited(l.Content)
		if len(l.Content) > MaxBytes {
			l.Content = w.text(10)
		}
		files[path] = l
	}
}

// some returns a path of the tree, or "" when it is empty.
func (w *World) some(files Tree) string {
	if len(files) == 0 {
		return ""
	}
	return slices.Sorted(maps.Keys(files))[w.rng.IntN(len(files))]
}

func (w *World) name() string {
	if w.rng.IntN(2) == 0 {
		return oddPaths[w.rng.IntN(len(oddPaths))]
	}
	return fmt.Sprintf("dir/new%d", w.line)
}

func (w *World) text(n int) string {
	var b strings.Builder
	for range n {
		w.line++
		// Common lines give a comparison several ways to go.
		switch w.rng.IntN(5) {
		case 0:
			b.WriteString("}\n")
		case 1:
			b.WriteString("\n")
		default:
			fmt.Fprintf(&b, "line %d\n", w.line)
		}
	}
	return b.String()
}

func (w *World) edited(text string) string {
	parts := strings.SplitAfter(text, "\n")
	for range 1 + w.rng.IntN(3) {
		at := w.rng.IntN(len(parts) + 1)
		gone := min(w.rng.IntN(4), len(parts)-at)
		parts = slices.Concat(parts[:at], strings.SplitAfter(w.text(w.rng.IntN(4)), "\n"), parts[at+gone:])
	}
	return strings.Join(parts, "")
}

// Build writes the history and returns the commits' ids.
func (w *World) Build(f *gittest.Fixture) []gitcmd.OID { return f.Import(w.Commits) }
