package added_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// reported is a receipt of one prompt, with what the client says of it.
func reported(id, cost, additions string, first, last int, blob string) string {
	text := receipt(id, "opus", "cart.py", first, last, blob)
	text = strings.Replace(text, `"cost_usd": 0.25`, `"prompt_number": 1, "cost_usd": `+cost, 1)
	return strings.Replace(text, `"additions": 3`, `"additions": `+additions, 1)
}

// exampleOf makes the repository of the example in docs/numbers.md.
func exampleOf(w *world) {
	commit := func(message string, files map[string]string) gitcmd.OID {
		return w.remote.Commit(gittest.Commit{Message: message, Files: files})
	}
	blob := func(id gitcmd.OID) string { return w.remote.Git("rev-parse", string(id)+":cart.py") }
	commit("A", map[string]string{"cart.py": numbered(1, 4)})
	b := commit("B", map[string]string{"cart.py": numbered(1, 10)})
	c := commit("C", map[string]string{"cart.py": numbered(1, 13)})
	commit("D\n\nCo-authored-by: Claude <noreply@anthropic.com>\n", map[string]string{"src/pay.py": numbered(1, 5)})
	commit("E", map[string]string{"package-lock.json": numbered(1, 100)})
	commit("F", map[string]string{"cart.py": numbered(1, 4) + "by hand\nby hand too\n" + numbered(7, 13)})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{
		b: payload(rated(reported("r1", "0.30", "6", 5, 10, blob(b)), 60, "code_generation", 900)),
		c: payload(rated(reported("r2", "0.45", "9", 5, 13, blob(c)), 80, "code_generation", 1800))}})
}

// TestTheWorkedExample holds the table of the example in docs/numbers.md: what is
// defined, and what sums over receipts and commits would say instead.
func TestTheWorkedExample(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	exampleOf(w)
	w.sync()
	if err := upkeep.New(upkeep.Config{DB: w.db, MirrorRoot: filepath.Dir(w.mirror)}).Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.checkSums()
	all, err := w.db.Figures(t.Context(), w.org.ID, store.FiguresQuestion{})
	if err != nil {
		t.Fatal(err)
	}
	folders := w.folders("")
	naive := func(sql string) string { return storetest.Column(t, w.db, sql)[0] }
	claimed := naive(`SELECT sum(additions)::text FROM receipt_files`)
	f, n := all.Total, all.Total.Lines
	share := func(part, whole int64) string { return fmt.Sprintf("%d of %d", part, whole) }
	doc, err := os.ReadFile("../../../docs/numbers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range [][3]string{
		{"added lines", fmt.Sprint(n.Added), fmt.Sprint(n.Added+n.Excluded) + ", with the lockfile"},
		{"AI lines", fmt.Sprint(n.AI), claimed + ", as receipts report additions of the whole session, and trailers none"},
		{"of them by a trailer alone", fmt.Sprint(n.Trailer), "0"},
		{"human lines", fmt.Sprint(n.Human), fmt.Sprintf("%d - %s, whatever no receipt claims", n.Added+n.Excluded, claimed)},
		{"unknown lines", fmt.Sprint(n.Unknown), "no such thing"},
		{"excluded lines", fmt.Sprint(n.Excluded), "0"},
		{"AI share", share(n.AI, n.Added), claimed + " of " + fmt.Sprint(n.Added+n.Excluded)},
		{"coverage", share(n.CommitsNoted, n.Commits) + " commits", "not asked"},
		{"AI-marked without a note", fmt.Sprint(n.CommitsMarked), "not asked"},
		{"receipts, prompts", fmt.Sprint(f.Receipts, ", ", f.Prompts), naive(`SELECT count(*)::text FROM receipts`) + " of each"},
		{"cost", string(f.CostUSD), naive(`SELECT trim_scale(sum(cost_reported_usd))::text FROM receipts`)},
		{"cost per added AI line", string(f.CostUSD.Per(n.AI)), string(store.Decimal(naive(`SELECT sum(cost_reported_usd)::text FROM receipts`)).Per(15))},
		{"prompts with a score, their average", fmt.Sprint(f.Facets.Scored, ", ", f.Facets.Score/f.Facets.Scored), naive(`
			SELECT count(*) || ', ' || avg((detail -> 'prompt_quality' ->> 'score')::integer)::integer FROM receipts`)},
		{"hours", fmt.Sprint(float64(f.Facets.Seconds) / 3600), naive(`SELECT trim_scale(sum(prompt_duration_secs) / 3600.0)::text FROM receipts`)},
		{"AI lines below `src/`", fmt.Sprint(folders[0].Lines.AI), "not asked"},
		{"live lines", fmt.Sprint(all.Live.AI + all.Live.Human + all.Live.Unknown), "not asked"},
		{"live AI lines", fmt.Sprint(all.Live.AI), claimed + ", as nothing ever goes"},
		{"cost per live AI line", string(cmp.Or(all.LiveCost.Per(all.Live.AI), "-")), "not asked"},
	} {
		if want := "| " + strings.Join(row[:], " | ") + " |\n"; !strings.Contains(string(doc), want) {
			t.Errorf("docs/numbers.md lacks\n%s", want)
		}
	}
}

func (w *world) folders(folder string) []store.FolderFigures {
	w.t.Helper()
	ask := store.FiguresQuestion{By: store.FiguresByPath, Folder: folder, Top: 100}
	ask.Repos = []uuid.UUID{w.repo.ID}
	all, err := w.db.Figures(w.t.Context(), w.org.ID, ask)
	if err != nil {
		w.t.Fatal(err)
	}
	return all.Folders
}

// TestAddedLinesOfFolders looks at every folder of a tree with odd names, also
// for a part of the time, and after the branch has gone back.
func TestAddedLinesOfFolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odd := "a b/\\\xff\n%_/"
	first := w.remote.Commit(gittest.Commit{Message: "A", Files: map[string]string{"top.go": numbered(1, 3), "src/x.go": numbered(1, 4),
		"src/deep/er/y.go": numbered(1, 5), odd + "z.go": numbered(1, 6), "vendor/v.go": numbered(1, 50)}})
	w.remote.Commit(gittest.Commit{Message: "B\n\nCo-authored-by: Claude <noreply@anthropic.com>\n", Files: map[string]string{"src/deep/w.go": numbered(1, 7)}})
	w.sync()
	w.checkSums()
	shown := func(folder string) (out []string) {
		for _, f := range w.folders(folder) {
			out = append(out, fmt.Sprintf("%q %d %d %d", f.Path, f.Lines.Added, f.Lines.AI, f.Lines.Excluded))
		}
		return out
	}
	want := func(folder string, want ...string) {
		t.Helper()
		if diff := gocmp.Diff(want, shown(folder)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", folder, diff)
		}
	}
	want("", `"src/" 16 7 0`, `"a b/" 6 0 0`, `"vendor/" 0 0 50`, `"" 3 0 0`)
	want("src/", `"src/deep/" 12 7 0`, `"src/" 4 0 0`)
	want("src/deep/", `"src/deep/er/" 5 0 0`, `"src/deep/" 7 7 0`)
	want("a b/", fmt.Sprintf("%q 6 0 0", odd))
	want(odd, fmt.Sprintf("%q 6 0 0", odd))
	want("nowhere/")
	w.remote.SetRef("refs/heads/main", first)
	w.sync()
	w.checkSums()
	want("src/", `"src/deep/" 5 0 0`, `"src/" 4 0 0`)
}
