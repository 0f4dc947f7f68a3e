package added_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

const benchCommits = 5000

// benchHistory is a line of commits, each with edits in a few of 400 files, of
// which every other has a receipt or an authorship log.
func benchHistory(w *world) {
	rng := rand.New(rand.NewPCG(1, 1))
	texts := make([][]string, 400)
	for i := range texts {
		for n := range 50 + rng.IntN(400) {
			texts[i] = append(texts[i], fmt.Sprintf("\tline %d of file %d holds some words", n, i))
		}
	}
	commits := make([]gittest.Commit, benchCommits)
	paths := make([]string, benchCommits)
	for i := range commits {
		files := map[string]string{}
		for range 1 + rng.IntN(6) {
			k := rng.IntN(len(texts))
			for range 1 + rng.IntN(4) {
				at := rng.IntN(len(texts[k]))
				for n := range 1 + rng.IntN(20) {
					texts[k][(at+n)%len(texts[k])] = fmt.Sprintf("\tline %d was changed by commit %d", at+n, i)
				}
			}
			paths[i] = fmt.Sprintf("dir%d/file%d.go", k%20, k)
			files[paths[i]] = strings.Join(texts[k], "\n") + "\n"
		}
		commits[i] = gittest.Commit{Files: files}
	}
	ids := w.remote.Import(commits)
	receipts, logs := map[gitcmd.OID]string{}, map[gitcmd.OID]string{}
	for i, id := range ids {
		switch i % 4 {
		case 0:
			receipts[id] = payload(receipt(fmt.Sprintf("r%d", i), "opus", paths[i], 1, 400, ""))
		case 2:
			logs[id] = gitAI(paths[i], fmt.Sprintf("%016x", i), "1-200,220-300")
		}
	}
	w.remote.Notes(gittest.Notes{Bodies: receipts})
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: logs})
	w.remote.Git("repack", "-q", "-a", "-d")
	w.fetch()
}

// BenchmarkKeep classifies and stores 5,000 commits of a mirror and compares with
// git writing the same history to nowhere; then one more of them after its note
// has changed. The best runs are compared: on a busy machine the others measure
// the rest.
func BenchmarkKeep(b *testing.B) {
	w := newWorld(b)
	benchHistory(w)
	git, own, one := time.Hour, time.Hour, time.Hour
	for b.Loop() {
		_, err := w.db.Pool().Exec(b.Context(), `TRUNCATE commit_lines, commit_owners, added_files, added_runs, line_demands, line_tips,
			line_rollups, line_rollup_months, path_rollups, path_rollup_months`)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := exec.CommandContext(b.Context(), "git", "-C", w.mirror, "log", "-p", "-U0", "--first-parent", "main").Run(); err != nil {
			b.Fatal(err)
		}
		git = min(git, time.Since(start))
		start = time.Now()
		if report := w.keep(); report.Written != benchCommits {
			b.Fatalf("%+v", report)
		}
		own = min(own, time.Since(start))
		w.demandOne(b)
		start = time.Now()
		w.keep()
		one = min(one, time.Since(start))
	}
	fmt.Printf("| classes of the added lines of %d commits, in the database | %.1f s | %.1f s: git log -p -U0 --first-parent to nowhere | %.2f times |\n",
		benchCommits, own.Seconds(), git.Seconds(), own.Seconds()/git.Seconds())
	fmt.Printf("| one of them again, after its note changed | %d ms | | |\n", one.Milliseconds())
	b.ReportMetric(git.Seconds(), "git-s")
	b.ReportMetric(own.Seconds(), "own-s")
	b.ReportMetric(own.Seconds()/git.Seconds(), "times-git")
	b.ReportMetric(float64(one.Milliseconds()), "one-ms")
}

func (w *world) demandOne(b *testing.B) {
	_, err := w.db.Pool().Exec(b.Context(), `INSERT INTO line_demands (org_id, repo_id, commit)
		SELECT org_id, repo_id, commit FROM commit_lines LIMIT 1`)
	if err != nil {
		b.Fatal(err)
	}
}
