package added_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	commit("D\n\nCo-authored-by: Claude <noreply@anthropic.com>\n", map[string]string{"pay.py": numbered(1, 5)})
	commit("E", map[string]string{"package-lock.json": numbered(1, 100)})
	commit("F", map[string]string{"cart.py": numbered(1, 4) + "by hand\nby hand too\n" + numbered(7, 13)})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{
		b: payload(reported("r1", "0.30", "6", 5, 10, blob(b))), c: payload(reported("r2", "0.45", "9", 5, 13, blob(c)))}})
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
		{"live lines", fmt.Sprint(all.Live.AI + all.Live.Human + all.Live.Unknown), "not asked"},
		{"live AI lines", fmt.Sprint(all.Live.AI), claimed + ", as nothing ever goes"},
		{"cost per live AI line", string(cmp.Or(all.LiveCost.Per(all.Live.AI), "-")), "not asked"},
	} {
		if want := "| " + strings.Join(row[:], " | ") + " |\n"; !strings.Contains(string(doc), want) {
			t.Errorf("docs/numbers.md lacks\n%s", want)
		}
	}
}
