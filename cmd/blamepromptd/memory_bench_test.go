package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// memoryBound is what the daemon's process may take at any moment, in MB.
const memoryBound = 250

// memoryCommits are the commits of the large repository; every other has notes.
const memoryCommits = 5000

// BenchmarkMemory measures the most memory that the daemon's process has held
// (VmHWM of proc(5)) after each of: taking in a repository of 5,000 commits, with
// classes of added lines and the first live map; one with a file of one line of
// 50 MB, notes that attest 300,000 lines, and ranges up to 2^32-1; forty pushes
// of ten files; questions over the API; each report.
//
//	go test -run '^$' -bench BenchmarkMemory -benchtime 1x -timeout 60m ./cmd/blamepromptd
func BenchmarkMemory(b *testing.B) {
	w := newMemoryWorld(b)
	for b.Loop() {
		fmt.Printf("| the daemon's memory, at its highest until | MB | bound %d |\n|---|---|---|\n", memoryBound)
		w.large()
		w.row(fmt.Sprintf("%d commits are taken in, their lines classified, and the live map is there", memoryCommits))
		w.hostile()
		w.row("a line of 50 MB, 300,000 attested lines and absurd ranges are taken in")
		w.pushes(40)
		w.row("40 pushes of 10 changed files")
		w.questions()
		w.row("analytics and lists of everything")
		w.reports()
		w.row("reports of each kind in each format")
	}
	b.ReportMetric(float64(w.peak()), "MB")
}

// memoryWorld is a daemon on two remotes.
type memoryWorld struct {
	b      *testing.B
	daemon *instance
	db     *store.DB
	key    string
	remote *gittest.Fixture
	texts  [][]string
	rng    *rand.Rand
	n      int
}

func newMemoryWorld(b *testing.B) *memoryWorld {
	b.Helper()
	dsn := storetest.DSN(b)
	db := storetest.OpenDSN(b, dsn)
	org := storetest.MustOrg(b, db, "acme")
	w := &memoryWorld{b: b, db: db, key: storetest.MustKey(b, db, org, access.Admin), rng: rand.New(rand.NewPCG(1, 1)), remote: gittest.New(b)}
	w.daemon = begin(b, b.TempDir(), dsn, os.TempDir()).ready()
	for i := range 400 {
		w.texts = append(w.texts, nil)
		for n := range 50 + w.rng.IntN(400) {
			w.texts[i] = append(w.texts[i], fmt.Sprintf("\tline %d of file %d holds some words", n, i))
		}
	}
	return w
}

// peak is the highest resident set of the process so far, in MB.
func (w *memoryWorld) peak() int64 {
	w.b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.daemon.cmd.Process.Pid))
	if err != nil {
		w.b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		w.b.Fatalf("reading %q: %v", status, err)
	}
	return kilobytes >> 10
}

func (w *memoryWorld) row(what string) { fmt.Printf("| %s | %d | |\n", what, w.peak()) }

// edit changes a few lines of so many files, and returns them.
func (w *memoryWorld) edit(files int) map[string]string {
	out := map[string]string{}
	for range files {
		w.n++
		k := w.rng.IntN(len(w.texts))
		for at := w.rng.IntN(len(w.texts[k])); at < len(w.texts[k]) && w.rng.IntN(20) > 0; at++ {
			w.texts[k][at] = fmt.Sprintf("\tline %d was changed by edit %d", at, w.n)
		}
		out[fmt.Sprintf("dir%d/file%d.go", k%20, k)] = strings.Join(w.texts[k], "\n") + "\n"
	}
	return out
}

func (w *memoryWorld) large() {
	commits := make([]gittest.Commit, memoryCommits)
	for i := range commits {
		commits[i] = gittest.Commit{Files: w.edit(1 + w.rng.IntN(6))}
	}
	ids := w.remote.Import(commits)
	w.note(ids)
	w.remote.Git("repack", "-q", "-a", "-d")
	w.take("large", w.remote, len(ids))
}

// note leaves a receipt on every fourth commit and an authorship log on another.
func (w *memoryWorld) note(ids []gitcmd.OID) {
	receipts, logs := map[gitcmd.OID]string{}, map[gitcmd.OID]string{}
	for i, id := range ids {
		switch i % 4 {
		case 0:
			receipts[id] = noteBody("r-" + string(id))
		case 2:
			logs[id] = authorshipLog("dir1/file1.go", "1-200,220-300")
		}
	}
	w.remote.Notes(gittest.Notes{Bodies: receipts})
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: logs})
}

// authorshipLog is a git-ai note (Standard v3.0.0) of one session in one file.
func authorshipLog(path, ranges string) string {
	return path + "\n  0123456789abcdef " + ranges + `
---
{"schema_version":"authorship/3.0.0","base_commit_sha":"","prompts":{"0123456789abcdef":{"agent_id":{"tool":"cursor","id":"s","model":"opus"},
"human_author":"Dev <dev@example.com>","messages":[],"total_additions":1,"total_deletions":0,"accepted_lines":1,"overriden_lines":0}}}`
}

func (w *memoryWorld) hostile() {
	f := gittest.New(w.b)
	long := f.Commit(gittest.Commit{Files: map[string]string{"long.txt": strings.Repeat("x", 50<<20), "\x01 odd\n\"path\" ü.go": "package odd\n"}})
	many := f.Commit(gittest.Commit{Files: map[string]string{"many.txt": strings.Repeat("a line\n", 300_000)}})
	absurd := f.Commit(gittest.Commit{Files: map[string]string{"absurd.txt": "one\ntwo\n"}})
	f.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: map[gitcmd.OID]string{
		long:   authorshipLog("long.txt", "1-4294967295"),
		many:   authorshipLog("many.txt", everySecond(300_000)),
		absurd: authorshipLog("absurd.txt", "1-4294967295,2-1,0-0"),
	}})
	w.take("hostile", f, 3)
}

// everySecond line up to n: the most ranges that attest them.
func everySecond(n int) string {
	var ranges strings.Builder
	for i := 1; i <= n; i += 2 {
		fmt.Fprintf(&ranges, ",%d", i)
	}
	return ranges.String()[1:]
}

// take registers a repository and waits for the classes of its commits and for
// its live map.
func (w *memoryWorld) take(name string, f *gittest.Fixture, commits int) {
	w.b.Helper()
	w.daemon.call(w.key, http.MethodPost, "/api/v1/repos", fmt.Sprintf(`{"name": %q, "url": %q}`, name, f.Dir), &struct{}{})
	w.settled(name, f, commits)
}

// settled waits until the classes and the live map are those of the tip.
func (w *memoryWorld) settled(name string, f *gittest.Fixture, commits int) {
	w.b.Helper()
	tip := string(f.Tip("refs/heads/main"))
	eventually(w.b, name+" is taken in", func() bool {
		got := storetest.Column(w.b, w.db, `SELECT concat_ws(' ', (SELECT count(*) FROM commit_lines c WHERE c.repo_id = r.id),
			(SELECT tip FROM live_tips t WHERE t.repo_id = r.id AND building_tip = '')) FROM repos r WHERE name = '`+name+`'`)
		return len(got) == 1 && got[0] == fmt.Sprint(commits, " ", tip)
	})
}

func (w *memoryWorld) pushes(n int) {
	ids := make([]gitcmd.OID, 0, n)
	for range n {
		ids = append(ids, w.remote.Commit(gittest.Commit{Files: w.edit(10)}))
		w.note(ids[len(ids)-1:])
		w.daemon.call(w.key, http.MethodPost, "/api/v1/repos/large/sync", "", &struct{}{})
	}
	w.settled("large", w.remote, memoryCommits+n)
}

// questions asks for everything that is answered from many rows.
func (w *memoryWorld) questions() {
	for _, path := range []string{
		"/api/v1/analytics?series=day&by=user&compare=previous&from=2026-01-01&to=2026-06-30", "/api/v1/analytics?series=week&by=repo", "/api/v1/coverage", "/api/v1/live?by=path&repo=large",
		"/api/v1/recall?model=opus", "/api/v1/rework", "/api/v1/commits?limit=200", "/api/v1/receipts?limit=200", "/api/v1/repos/hostile/findings",
		"/api/v1/sessions", "/api/v1/decisions",
	} {
		w.ask(path)
	}
	for _, commit := range strings.Fields(w.remote.Git("rev-list", "-20", "main")) {
		w.ask("/api/v1/repos/large/commits/" + commit)
	}
}

// ask reads an answer and forgets it.
func (w *memoryWorld) ask(path string) {
	var answer any
	w.daemon.call(w.key, http.MethodGet, path, "", &answer)
}

func (w *memoryWorld) reports() {
	for _, kind := range []string{"soc2", "gdpr", "audit"} {
		for _, format := range []string{"json", "csv", "md", "html", "pdf"} {
			var made struct{ ID uuid.UUID }
			w.daemon.call(w.key, http.MethodPost, "/api/v1/reports",
				fmt.Sprintf(`{"type": %q, "format": %q, "from": "2025-01-01", "to": "2026-12-31"}`, kind, format), &made)
			eventually(w.b, kind+" as "+format+" is written", func() bool {
				var report struct{ State, Error string }
				w.daemon.call(w.key, http.MethodGet, "/api/v1/reports/"+made.ID.String(), "", &report)
				if report.State == "failed" {
					w.b.Fatalf("%s as %s: %s", kind, format, report.Error)
				}
				return report.State == "done"
			})
		}
	}
}
