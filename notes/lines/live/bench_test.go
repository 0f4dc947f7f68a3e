package live

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// The history of the benchmarks: so many commits on branches of one to five,
// each of which is merged.
const (
	benchCommits = 4000
	benchFiles   = 200
	// benchChanged files are changed by the last merge.
	benchChanged = 10
)

// benchHistory returns the tips of the mainline, the oldest first.
func benchHistory(b *testing.B) (*gittest.Fixture, []gitcmd.OID) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	h := &benchWorld{rng: rng, texts: map[string][]string{}}
	first := map[string]string{}
	for i := range benchFiles {
		path := fmt.Sprintf("dir%d/file%d.go", i%20, i)
		for n := range 50 + rng.IntN(400) {
			h.texts[path] = append(h.texts[path], fmt.Sprintf("\tline %d of file %d holds some words", n, i))
		}
		h.paths, first[path] = append(h.paths, path), h.text(path)
	}
	h.commits = []gittest.Commit{{Files: first}}
	tips := []int{0}
	for len(h.commits) < benchCommits {
		tips = append(tips, h.merge(tips, 1+rng.IntN(6)))
	}
	tips = append(tips, h.merge(tips, benchChanged))
	f := gittest.New(b)
	ids := f.Import(h.commits)
	f.Git("repack", "-q", "-a", "-d")
	mainline := make([]gitcmd.OID, len(tips))
	for i, tip := range tips {
		mainline[i] = ids[tip]
	}
	return f, mainline
}

type benchWorld struct {
	rng     *rand.Rand
	paths   []string
	texts   map[string][]string
	commits []gittest.Commit
	// busy are the files that the last merges changed: a branch that began
	// before them leaves them alone.
	busy [][]string
}

func (h *benchWorld) text(path string) string { return strings.Join(h.texts[path], "\n") + "\n" }

// merge makes a branch that began up to eight merges ago, and its merge.
func (h *benchWorld) merge(tips []int, files int) int {
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

func (h *benchWorld) commit(c gittest.Commit) int {
	c.Ref = fmt.Sprintf("refs/heads/c%d", len(h.commits))
	h.commits = append(h.commits, c)
	return len(h.commits) - 1
}

func (h *benchWorld) edit(path string) {
	text := h.texts[path]
	for range 1 + h.rng.IntN(4) {
		at := h.rng.IntN(len(text))
		for n := range 1 + h.rng.IntN(12) {
			text[(at+n)%len(text)] = fmt.Sprintf("\tline %d was changed to %d", at+n, h.rng.Uint64())
		}
	}
}

// shell runs git blame for every path from a shell, several at once, and throws
// away what they say.
func shell(b *testing.B, f *gittest.Fixture, processes int, revisions string, paths []string) {
	b.Helper()
	c := exec.CommandContext(b.Context(), "xargs", "-0", "-n1", "-P", fmt.Sprint(processes),
		"git", "-C", f.Dir, "blame", "--porcelain", "--root", revisions, "--")
	c.Stdin = strings.NewReader(strings.Join(paths, "\x00"))
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		b.Fatal(err)
	}
}

// cost is the shortest time and the least of the processors' time that something
// took: on a busy machine the other runs measure the rest.
type cost struct{ wall, cpu time.Duration }

func (c *cost) of(fn func()) {
	start, used := time.Now(), processors()
	fn()
	wall, cpu := time.Since(start), processors()-used
	if c.wall == 0 {
		c.wall, c.cpu = wall, cpu
	}
	c.wall, c.cpu = min(c.wall, wall), min(c.cpu, cpu)
}

// processors is the time that processors spent on this process and its children.
func processors() time.Duration {
	var total int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		_ = syscall.Getrusage(who, &usage)
		total += usage.Utime.Nano() + usage.Stime.Nano()
	}
	return time.Duration(total)
}

func report(b *testing.B, git, own cost) {
	b.ReportMetric(git.wall.Seconds(), "git-s")
	b.ReportMetric(own.wall.Seconds(), "own-s")
	b.ReportMetric(own.wall.Seconds()/git.wall.Seconds(), "times-git")
	b.ReportMetric(own.cpu.Seconds()/git.cpu.Seconds(), "times-git-cpu")
}

const benchProcesses = 2

// BenchmarkLiveBuild makes the live map of a tip and compares with a shell that
// blames the same files, as many at a time; at most 1.15 times as long is
// promised.
func BenchmarkLiveBuild(b *testing.B) {
	f, tips := benchHistory(b)
	tip := tips[len(tips)-1]
	m := memory{}
	var git, own cost
	for b.Loop() {
		own.of(func() {
			if err := Build(b.Context(), f.Repo, tip, Options{Workers: benchProcesses}, m.put); err != nil {
				b.Fatal(err)
			}
		})
		paths := slices.Sorted(maps.Keys(m))
		git.of(func() { shell(b, f, benchProcesses, string(tip), paths) })
	}
	report(b, git, own)
}

// BenchmarkLiveUpdate brings a live map over a merge of ten changed files, whose
// branch began before the old tip, and compares with a shell that blames the same
// files within the range; at most 1.5 times as long is promised.
func BenchmarkLiveUpdate(b *testing.B) {
	f, tips := benchHistory(b)
	old, tip := tips[len(tips)-2], tips[len(tips)-1]
	m := memory{}
	if err := Build(b.Context(), f.Repo, old, Options{}, m.put); err != nil {
		b.Fatal(err)
	}
	for _, processes := range []int{1, benchProcesses} {
		b.Run(fmt.Sprintf("processes=%d", processes), func(b *testing.B) {
			var git, own cost
			for b.Loop() {
				var paths []string
				own.of(func() {
					err := Update(b.Context(), f.Repo, old, tip, m.stored, Options{Workers: processes}, func(f *File) error {
						paths = append(paths, f.Path)
						return nil
					})
					if err != nil || len(paths) != benchChanged {
						b.Fatal(paths, err)
					}
				})
				git.of(func() { shell(b, f, processes, string(old)+".."+string(tip), paths) })
			}
			report(b, git, own)
		})
	}
}
