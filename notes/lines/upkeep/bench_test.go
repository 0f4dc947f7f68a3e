package upkeep_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/notes/lines/live/livetest"
)

// benchWorld has the large history, with classes for two in three of the runs
// that the map of its last tip has, from 1,000 receipts.
func benchWorld(b *testing.B, processes int) (*world, []gitcmd.OID) {
	b.Helper()
	var tips []gitcmd.OID
	w := newWorld(b, live.Options{Workers: processes}, func(o ...gittest.Option) (f *gittest.Fixture) {
		f, tips = livetest.Mainline(b, o...)
		return f
	})
	last := tips[len(tips)-1]
	w.take(main, last, last)
	w.keep()
	for i := range 1000 {
		w.receipt(fmt.Sprint("r", i), fmt.Sprint("model", i%12), fmt.Sprint("tool", i%5), fmt.Sprint("session", i/10))
	}
	w.exec(`INSERT INTO added_runs (org_id, repo_id, commit, path, first, last, class, source, confidence, receipt_id, author)
		SELECT org_id, repo_id, commit_id, origin_path, origin_line, max(origin_line + last - first), 'ai', 'blameprompt', 'exact',
		       'r' || abs(hashtext(commit_id)) % 1000, ''
		FROM live_runs WHERE hashtext(commit_id || origin_line) % 3 <> 0 GROUP BY 1, 2, 3, 4, 5`)
	w.exec(`VACUUM ANALYZE`)
	return w, tips
}

// BenchmarkLiveBuildStored makes the live map of a tip in the store, and compares
// with a shell that blames the same files and stores nothing; at most 1.15 times
// as long is promised.
func BenchmarkLiveBuildStored(b *testing.B) {
	w, tips := benchWorld(b, livetest.Processes)
	tip := tips[len(tips)-1]
	paths := slices.Sorted(maps.Keys(w.lines()))
	var git, own livetest.Cost
	for b.Loop() {
		if err := w.db.ForgetLive(context.Background(), w.org.ID, w.repo.ID); err != nil {
			b.Fatal(err)
		}
		own.Of(w.keep)
		git.Of(func() { livetest.Shell(b, w.f, livetest.Processes, string(tip), paths) })
	}
	livetest.Report(b, git, own)
}

// BenchmarkLiveUpdateStored brings the stored map over a merge of ten changed
// files, and compares with a shell that blames the same files within the range:
// one after the other (times-shell), and as many at a time as the map does
// (times-git). Of what the daemon does, two at a time, at most 1.5 times as long as
// the one shell is promised. What is stored in the end takes as long with any
// number of them.
func BenchmarkLiveUpdateStored(b *testing.B) {
	for _, processes := range []int{1, livetest.Processes} {
		b.Run(fmt.Sprintf("processes=%d", processes), func(b *testing.B) {
			w, tips := benchWorld(b, processes)
			old, tip := tips[len(tips)-2], tips[len(tips)-1]
			var paths []string
			err := w.f.Repo.DiffTrees(b.Context(), old, tip, func(c gitcmd.Change) error {
				paths = append(paths, c.Path)
				return nil
			})
			if err != nil || len(paths) != livetest.LargeChanged {
				b.Fatal(paths, err)
			}
			var git, shell, own livetest.Cost
			for b.Loop() {
				w.take(main, old)
				w.keep()
				w.take(main, tip)
				own.Of(w.keep)
				git.Of(func() { livetest.Shell(b, w.f, processes, string(old)+".."+string(tip), paths) })
				shell.Of(func() { livetest.Shell(b, w.f, 1, string(old)+".."+string(tip), paths) })
			}
			livetest.Report(b, git, own)
			b.ReportMetric(own.Times(shell), "times-shell")
		})
	}
}
