package livetest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// Processes is how many git processes are run at once.
const Processes = 2

// Shell runs git blame for every path from a shell, several at once, and throws
// away what they say.
func Shell(b *testing.B, f *gittest.Fixture, processes int, revisions string, paths []string) {
	b.Helper()
	c := exec.CommandContext(b.Context(), "xargs", "-0", "-n1", "-P", fmt.Sprint(processes),
		"git", "-C", f.Dir, "blame", "--porcelain", "--root", revisions, "--")
	c.Stdin = strings.NewReader(strings.Join(paths, "\x00"))
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		b.Fatal(err)
	}
}

// Cost is the shortest time and the least of the processors' time that something
// took: on a busy machine the other runs measure the rest.
type Cost struct{ wall, cpu time.Duration }

// Of measures fn.
func (c *Cost) Of(fn func()) {
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

// Times is how many times as long as another something took.
func (c Cost) Times(other Cost) float64 { return c.wall.Seconds() / other.wall.Seconds() }

// Report says how own work compares with git's alone.
func Report(b *testing.B, git, own Cost) {
	b.ReportMetric(git.wall.Seconds(), "git-s")
	b.ReportMetric(own.wall.Seconds(), "own-s")
	b.ReportMetric(own.Times(git), "times-git")
	b.ReportMetric(own.cpu.Seconds()/git.cpu.Seconds(), "times-git-cpu")
}
