package livetest

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// Origin is where a line comes from.
type Origin struct {
	Commit, Path string
	Line         int
}

// Blamed returns the origins of the lines of a file as git tells them, asked with
// a user's own command and for another form of output than package live reads.
func Blamed(t testing.TB, f *gittest.Fixture, tip gitcmd.OID, path string) []Origin {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "-C", f.Dir, "-c", "core.quotePath=false", "blame", "--root", "--incremental", string(tip), "--", path)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_GLOBAL=/dev/null"}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("blaming %q: %v", path, err)
	}
	origins := map[int]Origin{}
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
				origins[here+i] = Origin{commit, gitcmd.Unquote([]byte(name)), there + i}
			}
		}
	}
	out := make([]Origin, len(origins))
	for n, o := range origins {
		out[n-1] = o
	}
	return out
}
