package live

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/live/livetest"
)

// memory is a stored live map.
type memory map[string]*File

func (m memory) stored(_ context.Context, paths []string) (map[string]*File, error) {
	files := map[string]*File{}
	for _, path := range paths {
		if f, ok := m[path]; ok {
			files[path] = f
		}
	}
	return files, nil
}

func (m memory) put(f *File) error {
	m[f.Path] = f
	if f.Kind == KindRemoved {
		delete(m, f.Path)
	}
	return nil
}

// TestStorm brings a live map through every step of random histories and holds
// it at each of them against git blame of every file, line by line.
func TestStorm(t *testing.T) {
	t.Parallel()
	for seed, steps := range []int{300, 100, 100} {
		if testing.Short() {
			steps = 20
		}
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			w := livetest.New(uint64(seed), steps)
			f := gittest.New(t)
			ids := w.Build(f)
			f.Git("repack", "-q", "-a", "-d")
			if seed%2 == 1 {
				if err := f.Repo.WriteCommitGraph(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			o := Options{Workers: 1, MaxBytes: livetest.MaxBytes}
			m := memory{}
			if err := Build(t.Context(), f.Repo, ids[w.Tips[0]], o, m.put); err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(w.Tips); i++ {
				old, tip := ids[w.Tips[i-1]], ids[w.Tips[i]]
				if err := Update(t.Context(), f.Repo, old, tip, m.stored, o, m.put); err != nil {
					t.Fatalf("step %d, from %s to %s: %v", i, old, tip, err)
				}
				m.check(t, f, tip, w.Trees[w.Tips[i]])
				if t.Failed() {
					t.Fatalf("step %d, from %s to %s", i, old, tip)
				}
			}
		})
	}
}

// check holds the map against the tree and git blame.
func (m memory) check(t *testing.T, f *gittest.Fixture, tip gitcmd.OID, files livetest.Tree) {
	t.Helper()
	if got, want := slices.Sorted(maps.Keys(m)), slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
		return
	}
	for path, l := range files {
		got := m[path]
		if want := kindOf(l); got.Kind != want || (got.Finding != nil) != (want == KindTooLarge) {
			t.Errorf("%q is %s, %v, want %s", path, got.Kind, got.Finding, want)
		}
		if got.Kind != KindText {
			continue
		}
		if want := blamed(t, f, tip, path); !slices.Equal(expand(got), want) {
			t.Errorf("%q:\n%s\nwant\n%s", path, strings.Join(expand(got), "\n"), strings.Join(want, "\n"))
		}
	}
}

func kindOf(l livetest.Leaf) Kind {
	switch {
	case l.Mode == "160000":
		return KindSubmodule
	case l.Mode == "120000":
		return KindSymlink
	case len(l.Content) > livetest.MaxBytes:
		return KindTooLarge
	case strings.Contains(l.Content, "\x00"):
		return KindBinary
	}
	return KindText
}

// expand returns the origin of every line.
func expand(f *File) []string {
	var out []string
	for _, r := range f.Runs {
		for n := r.First; n <= r.Last; n++ {
			out = append(out, fmt.Sprintf("%d: %s %q %d", n, r.Commit, r.Path, r.Line+n-r.First))
		}
	}
	return out
}

// blamed is what git says, in the form of expand.
func blamed(t *testing.T, f *gittest.Fixture, tip gitcmd.OID, path string) []string {
	t.Helper()
	var out []string
	for i, o := range livetest.Blamed(t, f, tip, path) {
		out = append(out, fmt.Sprintf("%d: %s %q %d", i+1, o.Commit, o.Path, o.Line))
	}
	return out
}
