package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

var benchPushes = flag.Int("pushes", 50, "pushes of each kind and size that BenchmarkPush makes")

// pushSizes are the commits of a push, and how many milliseconds the hook may
// add to it.
var pushSizes = []struct {
	commits int
	bound   float64
}{{1, 25}, {10, 25}, {100, 100}}

// benchPolicies are in force while pushes are measured.
var benchPolicies = []string{
	`{"name":"no gpt-4","action":"block","rule":{"blocked_models":["gpt-4*"]}}`,
	`{"name":"budget","action":"block","rule":{"max_cost_per_day":500}}`,
	`{"name":"month","action":"warn","rule":{"max_cost_per_month":5000}}`,
	`{"name":"share","action":"warn","rule":{"max_ai_percentage":90}}`,
	`{"name":"marked","action":"warn","rule":{"require_receipts":true}}`,
}

// BenchmarkPush measures what the hook adds to a push: the same commits to two
// bare repositories on this machine, of which one has the hook, in turns. The
// daemon is a process of its own with a private PostgreSQL and five policies.
//
//	go test -run '^$' -bench BenchmarkPush -benchtime 1x -timeout 60m ./cmd/blamepromptd
//
// prints a table of medians; -pushes after the package changes their number.
func BenchmarkPush(b *testing.B) {
	w := newPushWorld(b)
	for b.Loop() {
		fmt.Println("| push of | plain | with the hook | ratio | more | of which the decision | bound |\n|---|---|---|---|---|---|---|")
		for _, size := range pushSizes {
			plain, hooked := w.measure(size.commits)
			more := hooked - plain
			fmt.Printf("| %d commit(s) | %.1f ms | %.1f ms | %.2f times | %.1f ms | %.1f ms | %.0f ms |\n",
				size.commits, plain, hooked, hooked/plain, more, w.decided(size.commits), size.bound)
			b.ReportMetric(more, fmt.Sprintf("ms-more/%d", size.commits))
		}
	}
}

// pushWorld is a developer's repository and two on a server.
type pushWorld struct {
	b             *testing.B
	daemon        *instance
	dev           *gittest.Fixture
	db            *store.DB
	plain, hooked string
}

func newPushWorld(b *testing.B) *pushWorld {
	b.Helper()
	dir := b.TempDir()
	// The account of the private PostgreSQL passes through.
	for up := dir; strings.HasPrefix(up, os.TempDir()+"/"); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o711); err != nil {
			b.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o711); err != nil {
		b.Fatal(err)
	}
	daemon := begin(b, data, "", dir).ready()
	w := &pushWorld{b: b, daemon: daemon, dev: gittest.New(b)}
	files := make(map[string]string)
	for i := range 200 {
		files[fmt.Sprintf("src/dir%d/file%d.go", i%20, i)] = strings.Repeat("a line of code\n", 50)
	}
	w.dev.Commit(gittest.Commit{Files: files})
	notes := make(map[gitcmd.OID]string)
	for i := range 2000 {
		notes[gitcmd.OID(fmt.Sprintf("%040x", i*7919+1))] = noteBody(fmt.Sprintf("receipt-%d", i))
	}
	w.dev.Notes(gittest.Notes{Bodies: notes, Fanout: 1})
	w.plain, w.hooked = w.server(dir, "plain"), w.server(dir, "hooked")
	w.install(dir, daemon)
	return w
}

// server is a bare repository with some history and no hooks.
func (w *pushWorld) server(dir, name string) string {
	w.b.Helper()
	path := filepath.Join(dir, name+".git")
	f := gittest.New(w.b, gittest.In(path))
	f.Git("config", "receive.autogc", "false")
	w.push(path, "refs/heads/main", "refs/notes/blameprompt")
	return path
}

func (w *pushWorld) install(dir string, daemon *instance) {
	w.b.Helper()
	note, err := readRunning(filepath.Join(daemon.dir, "daemon.json"))
	if err != nil {
		w.b.Fatal(err)
	}
	db, err := store.Open(w.b.Context(), store.Config{DSN: note.DatabaseURL})
	if err != nil {
		w.b.Fatal(err)
	}
	w.db = db
	w.b.Cleanup(db.Close)
	org, err := db.OrgByName(w.b.Context(), defaultOrg)
	if err != nil {
		w.b.Fatal(err)
	}
	for _, text := range benchPolicies {
		p, err := policy.Parse([]byte(text))
		if err == nil {
			_, err = db.CreatePolicy(w.b.Context(), access.CLI(org.ID), p)
		}
		if err != nil {
			w.b.Fatalf("%s: %v", text, err)
		}
	}
	program, err := hookProgram()
	if err != nil {
		w.b.Fatal(err)
	}
	options := hooks.Options{Client: hooks.ClientConfig{Socket: note.HookSocket, Repo: "hooked"}, Mode: hooks.Enforcing}
	_, err = hooks.Install(w.b.Context(), w.hooked, hooks.Git, program, hooks.InstallOptions{Mode: options.Mode, Args: options.Args()})
	if err != nil {
		w.b.Fatal(err)
	}
}

// measure returns the medians of both pushes in milliseconds.
func (w *pushWorld) measure(commits int) (plain, hooked float64) {
	var both [2][]time.Duration
	for round := range *benchPushes {
		w.commit(round, commits)
		// Neither is always the first.
		for _, turn := range []int{round % 2, 1 - round%2} {
			both[turn] = append(both[turn], w.push([]string{w.plain, w.hooked}[turn], "refs/heads/main"))
		}
	}
	return milliseconds(both[0]), milliseconds(both[1])
}

// decided is the median of how long the daemon took to decide, in milliseconds.
func (w *pushWorld) decided(commits int) float64 {
	w.b.Helper()
	var took float64
	err := w.db.Pool().QueryRow(w.b.Context(), `
		SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY took_us) / 1000.0 FROM decisions WHERE commits = $1`, commits).Scan(&took)
	if err != nil {
		w.b.Fatal(err)
	}
	return took
}

func (w *pushWorld) commit(round, n int) {
	var list []gittest.Commit
	for i := range n {
		commit := gittest.Commit{Files: map[string]string{
			fmt.Sprintf("src/dir%d/file%d.go", i%20, i%200): strings.Repeat("a line of code\n", 50) + fmt.Sprintf("line %d of round %d of %d\n", i, round, n),
		}, Message: "A change\n\nCo-authored-by: Claude <noreply@anthropic.com>\n"}
		if i > 0 {
			commit.Parents = []gitcmd.OID{gittest.Nth(i - 1)}
		}
		list = append(list, commit)
	}
	w.dev.Import(list)
}

// push pushes as a developer would and returns how long it took.
func (w *pushWorld) push(to string, refs ...string) time.Duration {
	w.b.Helper()
	cmd := exec.CommandContext(context.Background(), "git", append([]string{"push", "-q", to}, refs...)...)
	cmd.Dir = w.dev.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		w.b.Fatalf("pushing: %v: %s", err, out)
	}
	return time.Since(began)
}

func milliseconds(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
