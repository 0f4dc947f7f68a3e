package live

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
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
			w := newWorld(uint64(seed), steps)
			f := gittest.New(t)
			ids := w.build(f)
			f.Git("repack", "-q", "-a", "-d")
			if seed%2 == 1 {
				if err := f.Repo.WriteCommitGraph(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			o := Options{Workers: 1, MaxBytes: maxTestBytes}
			m := memory{}
			if err := Build(t.Context(), f.Repo, ids[w.tips[0]], o, m.put); err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(w.tips); i++ {
				old, tip := ids[w.tips[i-1]], ids[w.tips[i]]
				if err := Update(t.Context(), f.Repo, old, tip, m.stored, o, m.put); err != nil {
					t.Fatalf("step %d, from %s to %s: %v", i, old, tip, err)
				}
				m.check(t, f, tip, w.trees[w.tips[i]])
				if t.Failed() {
					t.Fatalf("step %d, from %s to %s", i, old, tip)
				}
			}
		})
	}
}

// check holds the map against the tree and git blame.
func (m memory) check(t *testing.T, f *gittest.Fixture, tip gitcmd.OID, files tree) {
	t.Helper()
	if got, want := slices.Sorted(maps.Keys(m)), slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
		return
	}
	for path, l := range files {
		got := m[path]
		if want := l.kind(); got.Kind != want || (got.Finding != nil) != (want == KindTooLarge) {
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

func (l leaf) kind() Kind {
	switch {
	case l.mode == "160000":
		return KindSubmodule
	case l.mode == "120000":
		return KindSymlink
	case len(l.content) > maxTestBytes:
		return KindTooLarge
	case strings.Contains(l.content, "\x00"):
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

// blamed asks git, with a user's own command and another form of output than
// readBlame reads.
func blamed(t *testing.T, f *gittest.Fixture, tip gitcmd.OID, path string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "-C", f.Dir, "-c", "core.quotePath=false", "blame", "--root", "--incremental", string(tip), "--", path)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_GLOBAL=/dev/null"}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("blaming %q: %v", path, err)
	}
	origins := map[int]string{}
	var commit string
	var there, here, count int
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		var c string
		var n [3]int
		if got, _ := fmt.Sscanf(line, "%40s %d %d %d", &c, &n[0], &n[1], &n[2]); got == 4 && len(c) == 40 {
			commit, there, here, count = c, n[0], n[1], n[2]
		}
		if name, ok := strings.CutPrefix(line, "filename "); ok {
			for i := range count {
				origins[here+i] = fmt.Sprintf("%d: %s %q %d", here+i, commit, gitcmd.Unquote([]byte(name)), there+i)
			}
		}
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(origins)) {
		out = append(out, origins[n])
	}
	return out
}
