package ingest_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// The benchmarks print one table row each: what is measured, its floor in the
// same run, the ratio and the bound. "make bench-ingest" runs them.

const benchRounds = 3

// BenchmarkBlamePromptRepository takes in 10,000 notes with 30,000 receipts.
// The floor is to read the same notes with git alone and to COPY the resulting
// rows into the same, empty tables.
func BenchmarkBlamePromptRepository(b *testing.B) {
	remote := gittest.New(b)
	generateBlamePrompt(remote, 10_000)
	bench := newBench(b, remote, notesRef)
	var took, floor []time.Duration
	var peak int64
	for range benchRounds {
		d := bench.daemon(b)
		elapsed, rss := d.rebuildInChild(b)
		took, peak = append(took, elapsed), max(peak, rss)
		floor = append(floor, bench.catFile(b)+d.copyAgain(b))
	}
	row(b, "first ingest of 10,000 BlamePrompt notes, 30,000 receipts", median(took), median(floor), 3)
	fmt.Printf("| peak memory of the ingesting process | %d MB | bound 150 MB | |\n", peak>>10)
	bench.changeTwenty(b, remote)
}

// BenchmarkTranscripts takes in git-ai notes of 50 KB with chat transcripts.
// The floor is git cat-file --batch alone.
func BenchmarkTranscripts(b *testing.B) {
	remote := gittest.New(b)
	generateTranscripts(remote, 4_000)
	bench := newBench(b, remote, "refs/notes/ai")
	var took, floor []time.Duration
	for range benchRounds {
		d := bench.daemon(b)
		elapsed, _ := d.rebuildInChild(b)
		took, floor = append(took, elapsed), append(floor, bench.catFile(b))
	}
	row(b, "first ingest of 4,000 git-ai notes of 50 KB", median(took), median(floor), 2.5)
}

func row(b *testing.B, what string, took, floor time.Duration, bound float64) {
	ratio := took.Seconds() / floor.Seconds()
	fmt.Printf("| %s | %.2f s | floor %.2f s | %.2f times, bound %.1f |\n", what, took.Seconds(), floor.Seconds(), ratio, bound)
	b.ReportMetric(ratio, "times-floor")
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// bench is a mirror that is taken in again and again, each time by a daemon
// with an empty database.
type bench struct {
	ref    string
	remote string
	mirror string
}

type benchDaemon struct {
	daemon
	dsn string
}

func newBench(b *testing.B, remote *gittest.Fixture, ref string) *bench {
	d := newDaemon(b, remote.Dir, b.TempDir())
	if _, err := d.ing.Sync(b.Context(), d.org.ID, d.repo.ID, nil); err != nil {
		b.Fatal(err)
	}
	return &bench{ref: ref, remote: remote.Dir, mirror: filepath.Join(d.mirrors, mirrorName(d.repo))}
}

func (n *bench) daemon(b *testing.B) benchDaemon {
	dsn := storetest.DSN(b)
	d := benchDaemon{daemon: newDaemonOn(b, storetest.OpenDSN(b, dsn), n.remote, b.TempDir()), dsn: dsn}
	if err := os.Symlink(n.mirror, filepath.Join(d.mirrors, mirrorName(d.repo))); err != nil {
		b.Fatal(err)
	}
	return d
}

// catFile is what git alone needs to read all notes.
func (n *bench) catFile(b *testing.B) time.Duration {
	refs := strings.Fields(gitOutput(b, n.mirror, "for-each-ref", "--format=%(refname)"))
	i := slices.IndexFunc(refs, func(ref string) bool { return strings.HasSuffix(ref, strings.TrimPrefix(n.ref, "refs/")) })
	script := fmt.Sprintf(`git ls-tree -r %s | cut -d' ' -f3 | cut -f1 | git cat-file --batch > /dev/null`, refs[i])
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = n.mirror
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return time.Since(begin)
}

func gitOutput(b *testing.B, dir string, args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	return string(out)
}

// childEnv makes the test binary an ingesting process, so that its memory is
// its own.
const childEnv = "BLAMEPROMPT_BENCH_REBUILD"

func (d benchDaemon) rebuildInChild(b *testing.B) (time.Duration, int64) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestRebuildChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{d.dsn, d.mirrors, d.org.ID.String(), d.repo.ID.String()}, " "))
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	_, after, _ := strings.Cut(string(out), "took ")
	elapsed, err := time.ParseDuration(strings.Fields(after)[0])
	if err != nil {
		b.Fatalf("reading %q: %v", out, err)
	}
	_, after, _ = strings.Cut(string(out), "VmHWM:")
	var peak int64
	if _, err := fmt.Sscan(after, &peak); err != nil {
		b.Fatalf("reading %q: %v", out, err)
	}
	return elapsed, peak
}

// TestRebuildChild is the ingesting process of the benchmarks.
func TestRebuildChild(t *testing.T) {
	args := strings.Fields(os.Getenv(childEnv))
	if len(args) == 0 {
		return
	}
	db, err := store.Open(t.Context(), store.Config{DSN: args[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ing := ingest.New(ingest.Config{DB: db, MirrorRoot: args[1]})
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, err := ing.Rebuild(t.Context(), mustUUID(t, args[2]), mustUUID(t, args[3]), nil); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("took %s \n", time.Since(begin))
	// Not rusage: that counts what the parent had when it forked.
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.Write(status)
}

// copiedTables are the tables that an ingest fills; rollups follow by trigger.
var copiedTables = []string{"note_refs", "note_versions", "note_bodies", "receipt_commits", "receipts", "receipt_files",
	"attestations", "prompts", "findings"}

// copyAgain empties the tables and times the COPY of the same rows into them.
func (d benchDaemon) copyAgain(b *testing.B) time.Duration {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, d.dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(ctx)
	dir := b.TempDir()
	for _, table := range copiedTables {
		file, err := os.Create(filepath.Join(dir, table))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.PgConn().CopyTo(ctx, file, `COPY `+table+` TO STDOUT (FORMAT binary)`); err != nil {
			b.Fatal(err)
		}
		file.Close()
	}
	if _, err := conn.Exec(ctx, `TRUNCATE rollups, rollup_months, `+strings.Join(copiedTables, ", ")); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	tx, err := conn.Begin(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for _, table := range copiedTables {
		file, err := os.Open(filepath.Join(dir, table))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.PgConn().CopyFrom(ctx, io.Reader(file), `COPY `+table+` FROM STDIN (FORMAT binary)`); err != nil {
			b.Fatal(err)
		}
		file.Close()
	}
	if err := tx.Commit(ctx); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// changeTwenty times the intake of 20 changed notes after their fetch.
func (n *bench) changeTwenty(b *testing.B, remote *gittest.Fixture) {
	d := newDaemon(b, remote.Dir, b.TempDir())
	if _, err := d.ing.Sync(b.Context(), d.org.ID, d.repo.ID, nil); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for round := range 15 {
		bodies := map[gitcmd.OID]string{}
		for i := range 20 {
			bodies[oid(i*37)] = note(fmt.Sprintf("changed-%d-%d", round, i))
		}
		remote.Notes(gittest.Notes{Bodies: bodies, Fanout: 1})
		var fetched time.Time
		_, err := d.ing.Sync(b.Context(), d.org.ID, d.repo.ID, func(s ingest.Stage, _, _ int) {
			if s == ingest.Reading && fetched.IsZero() {
				fetched = time.Now()
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(fetched))
	}
	fmt.Printf("| 20 changed notes on top of 10,000, after the fetch | %.0f ms | bound 150 ms | |\n", float64(median(took).Microseconds())/1000)
}

// generateBlamePrompt makes n notes with three receipts each, 20 to a notes
// commit, by 20 people over 90 days.
func generateBlamePrompt(remote *gittest.Fixture, n int) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []gittest.Notes
	for first := 0; first < n; first += 20 {
		bodies := map[gitcmd.OID]string{}
		for i := first; i < min(n, first+20); i++ {
			bodies[oid(i*7919)] = payload(benchReceipt(rng, i, 0), benchReceipt(rng, i, 1), benchReceipt(rng, i, 2))
		}
		all = append(all, gittest.Notes{Bodies: bodies, Fanout: 1})
	}
	remote.ImportNotes(all)
}

func benchReceipt(rng *rand.Rand, note, i int) string {
	person := rng.IntN(20)
	models := []string{"claude-opus-4-6", "claude-sonnet-4-5", "gpt-5.5", "gemini-2.5-pro"}
	return fmt.Sprintf(`{"id": "%08x-%04x-4000-8000-%012x", "provider": "claude", "model": %q,
    "session_id": "session-%d", "prompt_summary": %q, "response_summary": %q, "prompt_hash": "sha256:%064x",
    "message_count": %d, "cost_usd": %.4f, "input_tokens": %d, "output_tokens": %d, "cache_read_tokens": %d,
    "timestamp": "2026-%02d-%02dT%02d:%02d:00.123Z", "session_start": "2026-02-25T06:28:17.467Z", "session_duration_secs": %d,
    "user": "Dev %d <dev%d@example.com>", "prompt_number": %d, "tools_used": ["Bash", "Edit", "Read"],
    "conversation": [{"turn": 0, "role": "user", "content": %q}, {"turn": 1, "role": "assistant", "content": %q}],
    "prompt_quality": {"score": 72, "rating": "Good", "category": "refactor"},
    "files_changed": [{"path": "src/pkg%d/file%d.go", "line_range": [%d, %d], "blob_hash": "%040x", "additions": %d}],
    "file_path": "", "line_range": [0, 0]}`,
		note, i, note*3+i, models[rng.IntN(len(models))], note/10, words(rng, 25), words(rng, 40), note*3+i, rng.IntN(400),
		rng.Float64(), rng.IntN(90000), rng.IntN(9000), rng.IntN(900000), 1+rng.IntN(3), 1+rng.IntN(28), rng.IntN(24),
		rng.IntN(60), rng.IntN(9000), person, person, note%10*3+i, words(rng, 30), words(rng, 40), rng.IntN(40), rng.IntN(200),
		1+rng.IntN(50), 60+rng.IntN(400), note*3+i, rng.IntN(90))
}

var vocabulary = strings.Fields(`please make the parser of requests faster and keep errors clear when a field is missing add tests for
	empty bodies rename handler move validation into its own file explain why cache misses grow after deploy fix flaky timeout in worker`)

func words(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(vocabulary[rng.IntN(len(vocabulary))])
		b.WriteByte(' ')
	}
	return b.String()
}

// generateTranscripts makes n git-ai notes of about 50 KB in the legacy shape
// with messages.
func generateTranscripts(remote *gittest.Fixture, n int) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []gittest.Notes
	for first := 0; first < n; first += 50 {
		bodies := map[gitcmd.OID]string{}
		for i := first; i < min(n, first+50); i++ {
			bodies[oid(i*7919)] = transcript(rng, i)
		}
		all = append(all, gittest.Notes{Ref: "refs/notes/ai", Bodies: bodies, Fanout: 1})
	}
	remote.ImportNotes(all)
}

func transcript(rng *rand.Rand, i int) string {
	var messages []string
	for len(messages) < 90 {
		messages = append(messages,
			fmt.Sprintf(`{"type": "user", "text": %q, "timestamp": "2026-02-25T06:28:17Z"}`, words(rng, 20)),
			fmt.Sprintf(`{"type": "assistant", "text": %q}`, words(rng, 80)),
			fmt.Sprintf(`{"type": "tool_use", "name": "Edit", "input": {"file_path": "src/a.rs", "old_string": %q, "new_string": %q}}`,
				words(rng, 30), words(rng, 140)))
	}
	key := fmt.Sprintf("%016x", i+1)
	return fmt.Sprintf("src/a.rs\n  %s 1-40,50-60\n---\n{\"schema_version\": \"authorship/3.0.0\", \"git_ai_version\": \"1.3.1\", "+
		"\"base_commit_sha\": \"%s\", \"prompts\": {%q: {\"agent_id\": {\"tool\": \"claude\", \"id\": \"c%d\", \"model\": \"claude-opus-4-6\"}, "+
		"\"human_author\": \"Dev <dev@example.com>\", \"messages\": [%s], \"total_additions\": 51, \"total_deletions\": 0, "+
		"\"accepted_lines\": 51, \"overriden_lines\": 0}}}", key, oid(i*7919), key, i, strings.Join(messages, ",\n"))
}
