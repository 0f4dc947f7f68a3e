package hooks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// pushed is a repository of 2,000 commits and notes whose newest n commits are
// not reached by any ref.
func pushed(tb testing.TB, n int) (*gittest.Fixture, []Update) {
	f := gittest.New(tb)
	old := f.Commits("refs/heads/main", 2000)
	tips := f.Commits("refs/heads/main", n)
	bodies := make(map[gitcmd.OID]string)
	for i, oid := range append(old, tips...) {
		bodies[oid] = noteBody(fmt.Sprint(i), "claude-opus-4")
	}
	f.Notes(gittest.Notes{Fanout: 1, Bodies: bodies})
	f.SetRef("refs/heads/main", old[len(old)-1])
	return f, []Update{{Old: old[len(old)-1], New: tips[n-1], Ref: "refs/heads/main"}}
}

func BenchmarkCollect(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, updates := pushed(b, n)
			for b.Loop() {
				got, err := Collect(b.Context(), f.Repo, updates, Environment{}, Limits{})
				if err != nil || len(got.Commits) != n || len(got.Notes) != n || got.Unmeasured != 0 {
					b.Fatalf("%d commits, %d notes, %v", len(got.Commits), len(got.Notes), err)
				}
			}
		})
	}
}

// TestCollectChildren counts the children of git that a usual push costs.
func TestCollectChildren(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	f, updates := pushed(t, 10)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	writeScript(t, filepath.Join(dir, "git"), "#!/bin/sh\necho \"$*\" >>"+shellQuote(log)+"\nexec "+shellQuote(git)+" \"$@\"\n")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if _, err := Collect(t.Context(), f.Repo, updates, Environment{}, Limits{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 3 {
		t.Errorf("%d children:\n%s", n, text)
	}
}
