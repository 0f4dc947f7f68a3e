package added_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func (w *world) wantFindings(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `SELECT code FROM findings WHERE code LIKE 'commit%' OR code LIKE 'branch%' ORDER BY 1`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestRangesOfAnySizeAreCutToTheLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.remote.Commit(gittest.Commit{Files: map[string]string{"a": numbered(1, 9), "b": numbered(1, 9)}, Message: "edit"})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{id: payload(receipt("r", "opus", "b", 3, 9_007_199_254_740_991, ""))}})
	var many strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&many, "%d-%d,", 10+3*n, 11+3*n)
	}
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: map[gitcmd.OID]string{id: gitAI("a", "k", many.String()+"5-4294967295")}})
	w.sync()
	w.wantLines("edit a 5-9 ai attested git-ai:"+string(id)+":k", "edit b 3-9 ai envelope r")
	w.mustEqualFreshRun()
}

func TestThreeHundredThousandAttestedLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.remote.Commit(gittest.Commit{Files: map[string]string{"a": numbered(1, 300_000)}})
	var runs []string
	for n := range 100_000 {
		runs = append(runs, fmt.Sprintf("%d-%d", 3*n+1, 3*n+2))
	}
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: map[gitcmd.OID]string{id: gitAI("a", "k", strings.Join(runs, ","))}})
	w.sync()
	w.wantSums(store.LineSums{Added: 300_000, AI: 200_000, Unknown: 100_000, Commits: 1, CommitsNoted: 1})
}

func TestPathsWithOddBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("d/", 1200) + "long"
	files := map[string]string{long: "x\n", ".gitattributes": "*.gen linguist-generated\n", "\"\n\t\xff.gen": "x\n", ".GIT/x.gen": "x\n"}
	for _, name := range []string{"new\nline", "ta\tb", "quo\"te", "back\\slash", "\xff\xfe", " ", "-", "ü", "a\x01b"} {
		files[name] = "x\n"
	}
	w.remote.Git("config", "core.protectHFS", "false")
	w.remote.Commit(gittest.Commit{Files: files})
	w.sync()
	w.wantSums(store.LineSums{Added: 11, Unknown: 11, Excluded: 2, Commits: 1})
	w.wantFindings("commit_path_too_long")
	got := storetest.Column(t, w.db, `SELECT convert_from(path, 'LATIN1') FROM added_files WHERE path IN ('\xfffe', convert_to(E'new\nline', 'UTF8')) ORDER BY 1`)
	if diff := cmp.Diff([]string{"new\nline", "\u00ff\u00fe"}, got); diff != "" {
		t.Error(diff)
	}
	w.mustEqualFreshRun()
}

func TestALineOfFiftyMegabytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.remote.Commit(gittest.Commit{Files: map[string]string{"a": strings.Repeat("x", 50<<20)}, Message: "edit"})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{id: payload(receipt("r", "opus", "a", 1, 2, ""))}})
	w.sync()
	w.wantLines("edit a 1-1 ai envelope r")
}

// A commit whose objects are missing has no lines and a finding, until a fetch
// brings them; the others are not touched by it.
func TestMissingObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dev := w.developer()
	dev.commit("base", "a.txt", numbered(1, 3))
	dev.commit("edit", "a.txt", numbered(1, 5))
	blob := dev.blob("a.txt")
	dev.commit("other", "b.txt", "b\n")
	dev.push("HEAD:main")
	w.fetch()
	mirror := gittest.Open(t, w.mirror)
	mirror.Lose(gitcmd.OID(blob))
	w.keep()
	w.wantSums(store.LineSums{Added: 4, Unknown: 4, Commits: 3})
	w.wantFindings("commit_unreadable")

	cmd := mirror.Repo.Command(t.Context(), "hash-object", "-w", "--stdin")
	cmd.Stdin = strings.NewReader(numbered(1, 5))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	dev.commit("more", "b.txt", "b\nc\n")
	dev.push("HEAD:main")
	w.sync()
	w.wantSums(store.LineSums{Added: 7, Unknown: 7, Commits: 4})
	w.wantFindings()
	w.mustEqualFreshRun()
}

// At the border of a shallow history git would show every line as added.
func TestAShallowHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.remote.Import([]gittest.Commit{
		{Files: map[string]string{"a": numbered(1, 100)}}, {Files: map[string]string{"a": numbered(1, 102)}}, {Files: map[string]string{"b": "b\n"}}})
	if err := os.WriteFile(filepath.Join(w.remote.Dir, "shallow"), []byte(string(ids[1])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.wantSums(store.LineSums{Added: 1, Unknown: 1, Commits: 2})
	w.wantFindings("commit_unreadable")
}

// TestEverythingAbsurdAtOnce takes a push of all that is hostile through ingest,
// added and live lines: it ends in time, holds little memory, counts what is
// there, and says of each thing what it is. It runs alone, since memory is the
// whole program's.
func TestEverythingAbsurdAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 50 MB")
	}
	w := newWorld(t)
	files := map[string]string{"line": strings.Repeat("x", 50<<20), "many": numbered(1, 300_000), strings.Repeat("d/", 1200) + "long": "x\n"}
	odd := []string{"new\nline", "quo\"te", "back\\slash", "\xff\xfe", " ", "a\x01b", "<script>", "=cmd()", "%00", "ü/\xc0\xaf"}
	receipts := []string{receipt("huge", "opus", "many", 1, 4_294_967_295, ""), receipt("turned", "opus", "many", 4_294_967_295, 1, ""),
		receipt("line", "opus", "line", 1, 1, "")}
	for i, name := range odd {
		files[name] = numbered(1, 3)
		receipts = append(receipts, receipt(fmt.Sprint("odd", i), "opus", strings.ToValidUTF8(name, "?"), 2, 2, ""))
	}
	var runs strings.Builder
	for n := range 150_000 {
		fmt.Fprintf(&runs, "%d-%d,", 1+2*n, 2+2*n)
	}
	id := w.remote.Commit(gittest.Commit{Files: files, Message: "edit"})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{id: payload(receipts...)}})
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: map[gitcmd.OID]string{
		id: gitAI("many", "k", runs.String()+"1-4294967295,7-3,5-9,3-7,5-9,0,x,-1,99999999999999999999")}})

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const allowed = 250 << 20
	peak := peakHeap(t, func() {
		w.sync()
		if err := upkeep.New(upkeep.Config{DB: w.db, MirrorRoot: filepath.Dir(w.mirror)}).Work(ctx); err != nil {
			t.Fatal(err)
		}
	})
	if peak > allowed {
		t.Errorf("%d MB were held at once", peak>>20)
	}
	n := w.sums()
	if n.Added != 300_000+1+1+3*int64(len(odd))-1 || n.AI < 300_000 || n.Added != n.AI+n.Human+n.Unknown {
		t.Errorf("%+v", n)
	}
	w.checkSums()
	got := storetest.Column(t, w.db, `SELECT DISTINCT code FROM findings ORDER BY 1`)
	for _, code := range []string{"line_range_clamped", "line_range_swapped", "line_range_invalid", "commit_path_too_long", "file_too_large", "path_too_long"} {
		if !slices.Contains(got, code) {
			t.Errorf("there is no finding %s among %s", code, got)
		}
	}
}

// peakHeap returns the most that was held on the heap at once while fn ran, beyond
// what was there before.
func peakHeap(t *testing.T, fn func()) uint64 {
	t.Helper()
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	before, peak := sample[0].Value.Uint64(), uint64(0)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}()
	fn()
	close(ended)
	<-done
	return peak - min(peak, before)
}
