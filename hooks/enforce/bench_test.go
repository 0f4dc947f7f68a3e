package enforce_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var (
	benchReceipts  = flag.Int("receipts", 1_000_000, "receipts in the database of BenchmarkDecide")
	benchDecisions = flag.Int("decisions", 500, "decisions of each size that BenchmarkDecide makes")
)

// BenchmarkDecide measures what deciding on a push takes inside of the daemon,
// the commit of the decision included, with a million stored receipts and 50
// policies in force:
//
//	go test -run '^$' -bench BenchmarkDecide -benchtime 1x -timeout 60m ./hooks/enforce
//
// prints the times by the number of commits; -receipts and -decisions after the
// package change the sizes. Each commit has a note with two receipts. The daemon's
// regular look at decisions, which it makes every 15 seconds, is made after
// every 500 commits.
func BenchmarkDecide(b *testing.B) {
	w := newWorld(b)
	w.clock.now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	start := time.Now()
	storetest.Fill(b, w.db.Pool(), w.org.ID, *benchReceipts)
	w.fillPushed(50_000, 50_000)
	w.fiftyPolicies()
	b.Logf("%d receipts made in %s", *benchReceipts, time.Since(start).Round(time.Second))
	w.backends = w.rows(`SELECT pid::text FROM pg_stat_activity WHERE datname = current_database()`)
	for b.Loop() {
		w.measureFloor(b)
		for _, commits := range []int{1, 10, 100} {
			w.measure(b, commits)
		}
	}
}

// fillPushed makes what the pushes of the last month have left.
func (w *world) fillPushed(commits, prompts int) {
	w.t.Helper()
	w.exec(`INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day, pushed_at)
		SELECT $1, md5('repo' || i % 50)::uuid, md5('pushed' || i) || '00000000', md5(i::text)::uuid, md5('patch' || i) || '00000000',
		       'dev' || i % 200 || '@example.com', 40, 20, 0, true, date '2026-07-01' - i % 30, timestamptz '2026-07-01' - i % 30 * interval '1 day'
		FROM generate_series(1, $2) i`, w.org.ID, commits)
	w.exec(`INSERT INTO pushed_prompts (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd, pushed_at)
		SELECT $1, md5('unstored' || i)::uuid, md5(i::text)::uuid, md5('repo' || i % 50)::uuid, 'dev' || i % 200 || '@example.com',
		       date '2026-07-01' - i % 30, 0.2, timestamptz '2025-07-01' FROM generate_series(1, $2) i`, w.org.ID, prompts)
	w.due()
	w.exec(`VACUUM ANALYZE`)
}

// fiftyPolicies puts policies of every rule in force that these pushes keep.
func (w *world) fiftyPolicies() {
	w.t.Helper()
	var rules []string
	for i, per := range []string{"org", "repo", "user", "team"} {
		for _, rule := range []string{"max_cost_per_day", "max_cost_per_month"} {
			rules = append(rules, fmt.Sprintf(`{%q: %d, "per": %q}`, rule, 100_000_000+i, per),
				fmt.Sprintf(`{%q: %d, "per": %q, "periods": "touched"}`, rule, 200_000_000+i, per))
		}
	}
	for i := range 5 {
		rules = append(rules, fmt.Sprintf(`{"blocked_models": ["gpt-%d*", "old-%d"]}`, i, i), fmt.Sprintf(`{"blocked_providers": ["tool-%d"]}`, i),
			fmt.Sprintf(`{"require_review_above": %d}`, 1_000_000+i), fmt.Sprintf(`{"protected_paths": ["/infra-%d/**", "*.pem%d"]}`, i, i))
	}
	for _, window := range []string{"1d", "7d", "30d", "90d"} {
		rules = append(rules, fmt.Sprintf(`{"max_ai_percentage": 100, "window": %q}`, window))
	}
	for i := len(rules); i < 50; i++ {
		rules = append(rules, []string{`{"require_receipts": true}`, `{"forbid_secrets": true}`, `{"max_cost_per_prompt": 1000}`,
			`{"expression": "receipts.all(r, r.cost_usd < 50.0)"}`,
			`{"expression": "totals.org_day < 1000000000.0 && size(commits) < 5000"}`}[i%5])
	}
	for i, rule := range rules {
		w.policy(fmt.Sprintf("Policy %d", i), "block", rule)
	}
}

// measureFloor prints what the machine takes for a transaction that writes one
// row: what is above it is this package's.
func (w *world) measureFloor(b *testing.B) {
	b.Helper()
	times := make([]time.Duration, *benchDecisions)
	for i := range times {
		start := time.Now()
		err := w.db.InTx(context.Background(), func(tx *store.Tx) error {
			return tx.Audit(context.Background(), w.by, "floor", "", nil)
		})
		times[i] = time.Since(start)
		if err != nil {
			b.Fatal(err)
		}
	}
	at := quantiles(times)
	b.Logf("floor, one row: p50 %s, p95 %s, p99 %s, fastest %s", at(0.5), at(0.95), at(0.99), at(0))
}

func quantiles(times []time.Duration) func(q float64) time.Duration {
	slices.Sort(times)
	return func(q float64) time.Duration { return times[int(q*float64(len(times)-1))].Round(10 * time.Microsecond) }
}

// measure makes decisions on pushes of so many commits and prints their times.
func (w *world) measure(b *testing.B, commits int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(uint64(commits), 1))
	n := *benchDecisions
	if commits >= 100 {
		n /= 5
	}
	times := make([]time.Duration, n)
	var daemon, database time.Duration
	for i := range times {
		if i*commits%500 == 0 {
			w.due()
		}
		p := w.benchPush(rng, commits)
		daemonBefore, databaseBefore := processorTime(), w.databaseTime()
		start := time.Now()
		a, err := w.Decide(context.Background(), w.by, fmt.Sprintf("repo-%d", rng.IntN(50)), p)
		times[i] = time.Since(start)
		daemon, database = daemon+processorTime()-daemonBefore, database+w.databaseTime()-databaseBefore
		if err != nil || a.Refused() || len(a.Verdict.Policies) != 50 {
			b.Fatalf("%v: %+v", err, a.Verdict)
		}
	}
	at := quantiles(times)
	b.Logf("%3d commits: p50 %s, p95 %s, p99 %s, fastest %s, of %d decisions; processor time %s each, and PostgreSQL's %s", commits,
		at(0.5), at(0.95), at(0.99), at(0), n, (daemon / time.Duration(n)).Round(10*time.Microsecond), (database / time.Duration(n)).Round(10*time.Microsecond))
	b.ReportMetric(at(0.95).Seconds()*1000, fmt.Sprintf("p95-ms/%d-commits", commits))
}

// processorTime is what this process has used: on a busy machine it tells more
// than the clock.
func processorTime() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// databaseTime is what the database's processes of these connections have used,
// 0 if they are not on this machine.
func (w *world) databaseTime() time.Duration {
	w.t.Helper()
	var sum time.Duration
	for _, pid := range w.backends {
		stat, err := os.ReadFile("/proc/" + pid + "/schedstat")
		if fields := strings.Fields(string(stat)); err == nil && len(fields) == 3 {
			ns, _ := strconv.ParseInt(fields[0], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// benchPush makes a push whose commits have notes with two receipts each.
func (w *world) benchPush(rng *rand.Rand, commits int) hooks.Push {
	p := as(fmt.Sprintf("dev%d@example.com", rng.IntN(200)), pushed())
	for range commits {
		name := fmt.Sprintf("%08x", rng.Uint32())
		c := marked(name)
		for f := range 4 {
			c.Files = append(c.Files, hooks.File{Path: fmt.Sprintf("src/mod%d/file%d.go", f, rng.IntN(400)), Added: 30, Deleted: 4,
				Blob: oid(name + fmt.Sprint(f)), Runs: []hooks.Run{{3, 12}, {40, 59}}})
		}
		note := noted(name, good, "0.1234")
		note.Receipts[0].Timestamp = w.clock.Now().Add(-time.Duration(rng.IntN(48)) * time.Hour)
		note.Receipts[0].UserEmail = p.Email
		second := note.Receipts[0]
		second.ID, second.SessionID = second.ID+"-2", second.SessionID+"-2"
		for _, f := range c.Files[1:] {
			second.Files = append(second.Files, hooks.ReceiptFile{Path: f.Path, Lines: hooks.Run{1, 50}, Blob: string(f.Blob)})
		}
		note.Receipts = append(note.Receipts, second)
		p.Commits, p.Notes = append(p.Commits, c), append(p.Notes, note)
	}
	p.Refs[0].New = p.Commits[commits-1].OID
	return p
}
