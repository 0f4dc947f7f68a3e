package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// used is a receipt whose tokens are known.
func used(id string, prompt int64, cost, model string, input, output int64) notes.Receipt {
	r := receipt(id, prompt, cost)
	r.Model, r.InputTokens, r.OutputTokens = model, &input, &output
	return r
}

func (f *fixture) by() access.Principal { return access.CLI(f.src.Org.ID) }

func (f *fixture) setPrices(change store.PriceChange) []store.Price {
	f.t.Helper()
	var set []store.Price
	err := f.db.InTx(f.t.Context(), func(tx *store.Tx) (err error) {
		set, err = tx.SetPrices(f.t.Context(), f.by(), change)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return set
}

func (f *fixture) reprice() {
	f.t.Helper()
	if err := f.db.Reprice(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// costs is an entry with prices of input and output.
func costs(model, from, input, output string) price.Entry {
	e := price.Entry{Model: model}
	var err error
	if e.From, err = price.ParseTime(from); err != nil {
		panic(err)
	}
	for _, r := range []struct {
		text string
		into **price.Rate
	}{{input, &e.Input}, {output, &e.Output}} {
		rate, err := price.ParseRate(r.text)
		if err != nil {
			panic(err)
		}
		*r.into = &rate
	}
	return e
}

const costState = `SELECT id || ' ' || coalesce(trim_scale(cost_usd)::text, '-') || ' ' || cost_basis || ' '
	|| coalesce(trim_scale(cost_reported_usd)::text, '-') FROM receipts ORDER BY id`

func TestCostsAreComputedWhereModelAndTokensAreKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	silent := receipt("silent", 3, "")
	none := used("uncounted", 4, "0.5", "claude-opus-4-6", 0, 0)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", used("known", 1, "9", "anthropic/Claude-Opus-4.6", 1000, 2000),
			used("nameless", 2, "0.25", "my-model", 1000, 1000), silent, none)}})
	f.want(costState, "known 0.055 computed 9", "nameless 0.25 reported 0.25", "silent - none -", "uncounted 0.5 reported 0.5")
	f.want(totalState, "4 4 4 0.805")
	detail, err := f.db.ReceiptDetail(t.Context(), f.src.Org.ID, "known")
	if err != nil || detail.Price == nil {
		t.Fatalf("the price is %v, %v", detail.Price, err)
	}
	if p := detail.Price; p.Model != "claude-opus-4-6" || p.Input.String() != "5" || p.Output.String() != "25" ||
		p.Source != "models.dev catalogue, as of 2026-08-22" {
		t.Errorf("the cost explains itself by %+v", p)
	}
}

func TestAPostedReceiptIsPricedLikeANote(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	note := notes.Note{Format: notes.FormatBlamePrompt, Receipts: []notes.Receipt{used("r1", 1, "9", "gpt-5", 1_000_000, 100_000)}}
	if _, err := f.db.PostNotes(t.Context(), f.by(), "backend", []store.PostedNote{{Commit: "c1", Note: note}}); err != nil {
		t.Fatal(err)
	}
	f.want(costState, "r1 2.25 computed 9")
}

func TestAChangeOfPricesComputesCostsAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", used("r1", 1, "1", "house/model-x", 1_000_000, 0),
			used("r2", 2, "2", "model-x", 2_000_000, 0), used("r3", 2, "0.5", "gpt-5", 1_000_000, 0))}})
	f.want(totalState, "3 3 2 3")

	// From the day of the receipts on, and until then another price.
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("Model.X", "2026-03-01", "3", "1"), costs("model-x", "", "100", "1")}})
	if n, err := f.db.RepricePending(t.Context(), f.src.Org.ID); err != nil || n == 0 {
		t.Errorf("%d models wait, %v", n, err)
	}
	f.reprice()
	f.want(costState, "r1 3 computed 1", "r2 6 computed 2", "r3 1.25 computed 0.5")
	f.want(totalState, "3 3 2 9")
	f.want(`SELECT action || ' ' || target || ' ' || (detail->>'receipts') || ' ' || (detail->>'changed') FROM audit_log
		WHERE action = 'price.recompute' ORDER BY target`, "price.recompute house/model-x 1 1", "price.recompute model-x 1 1")
	f.want(`SELECT principal || ' ' || target || ' ' || coalesce(detail->>'valid_until', '-') FROM audit_log WHERE action = 'price.set' ORDER BY seq`,
		"cli Model.X -", "cli model-x 2026-03-01T00:00:00Z")

	f.setPrices(store.PriceChange{Aliases: map[string]string{"model-x": "gpt-5"}})
	own, err := f.db.Prices(t.Context(), f.src.Org.ID)
	if err != nil || len(own) != 2 {
		t.Fatalf("own prices %+v, %v", own, err)
	}
	for _, p := range own {
		if err := f.db.InTx(t.Context(), func(tx *store.Tx) error { _, err := tx.RemovePrice(t.Context(), f.by(), p.ID); return err }); err != nil {
			t.Fatal(err)
		}
	}
	f.reprice()
	f.want(costState, "r1 1.25 computed 1", "r2 2.5 computed 2", "r3 1.25 computed 0.5")
	if n, err := f.db.RepricePending(t.Context(), f.src.Org.ID); err != nil || n != 0 {
		t.Errorf("%d models wait, %v", n, err)
	}
}

// TestALowerPriceLowersWhatPushesCount: a prompt that was pushed and stored before
// its price fell does not count by the old one beside the new one.
func TestALowerPriceLowersWhatPushesCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", used("r1", 1, "1", "gpt-5", 1_000_000, 0), used("r2", 2, "1", "gpt-5", 1_000_000, 0))}})
	exec(t, f.db, `INSERT INTO pushed_prompts (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd, summed_usd, summed_user_usd)
		SELECT org_id, prompt_id, repo_id, repo_id, user_email, day, 1.25, CASE receipt_id WHEN 'r1' THEN 0 END, CASE receipt_id WHEN 'r1' THEN 0 END
		FROM prompts`)
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("gpt-5", "", "0.5", "1")}})
	f.reprice()
	f.want(`SELECT trim_scale(cost_usd) || ' ' || stale FROM pushed_prompts ORDER BY stale`, "0.5 false", "0.5 true")
	exec(t, f.db, `UPDATE pushed_prompts SET cost_usd = 0.25`)
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("gpt-5", "", "2", "1")}})
	f.reprice()
	f.want(`SELECT trim_scale(cost_usd)::text FROM pushed_prompts`, "0.25", "0.25")
}

func TestPricesThatMakeNoBookAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := costs("m", "2025-01-01", "1", "1")
	long.Until = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("m", "2026-01-01", "1", "1")}})
	for name, change := range map[string]store.PriceChange{
		"two prices at a time": {Set: []price.Entry{long}},
		"no name":              {Set: []price.Entry{costs(" ", "", "1", "1")}},
		"no price":             {Set: []price.Entry{{Model: "x"}}},
		"control character":    {Set: []price.Entry{costs("a\x00b", "", "1", "1")}},
		"empty alias":          {Aliases: map[string]string{"": "m"}},
	} {
		err := f.db.InTx(t.Context(), func(tx *store.Tx) error { _, err := tx.SetPrices(t.Context(), f.by(), change); return err })
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none error = f.db.InTx(t.Context(), func(tx *store.Tx) error { _, err := tx.RemovePrice(t.Context(), f.by(), uuid.New()); return err })
	if !errors.Is(none, store.ErrNotFound) {
		t.Errorf("removing an unknown price: %v", none)
	}
}

func TestAPriceHoldsForItsPeriodAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const state = `SELECT coalesce(valid_from::date::text, '-') || ' ' || coalesce(valid_until::date::text, '-') || ' ' || input_rate / 1000000
		FROM price_entries ORDER BY valid_from NULLS FIRST`
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("m", "2026-01-01", "3", "1")}})
	offer := costs("M", "2026-07-01", "2", "1")
	offer.Until = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	f.setPrices(store.PriceChange{Set: []price.Entry{offer}})
	f.want(state, "2026-01-01 2026-07-01 3", "2026-07-01 2026-08-01 2", "2026-08-01 - 3")
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("m", "", "9", "1"), costs("m", "2026-07-15", "1", "1"), costs("m", "2026-08-01", "4", "1")}})
	f.want(state, "- 2026-01-01 9", "2026-01-01 2026-07-01 3", "2026-07-01 2026-07-15 2", "2026-07-15 2026-08-01 1", "2026-08-01 - 4")
}

// TestANewerBuiltInBookComputesCostsAnew starts programs with other books on one
// database; an older one leaves the work of a newer one alone.
func TestANewerBuiltInBookComputesCostsAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", used("r1", 1, "1", "gpt-5", 1_000_000, 0))}})
	with := func(asOf, input string) *store.DB {
		book, err := price.Parse([]byte(`{"as_of": "` + asOf + `", "entries": [{"model": "gpt-5", "input": ` + input + `, "output": 1}]}`))
		if err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(t.Context(), store.Config{DSN: f.dsn, Prices: book})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	for _, c := range []struct{ asOf, input, want string }{
		{"2027-01-01", "7", "r1 7 computed 1"}, {"2026-12-01", "5", "r1 7 computed 1"}, {"2027-01-02", "5", "r1 5 computed 1"},
	} {
		if err := with(c.asOf, c.input).Reprice(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.want(costState, c.want)
	}
	f.want(totalState, "1 1 1 5")
}

// TestCostsOfAnOlderSchemaAreComputed: receipts that were stored before there was
// a book in the database are computed by the first look.
func TestCostsOfAnOlderSchemaAreComputed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var many []notes.Receipt
	for i := range 25 {
		many = append(many, used(fmt.Sprintf("r%02d", i), int64(i), "1", "gpt-5", 1_000_000, 0))
	}
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"), Bodies: []store.Body{body("c1", "b1", many...)}})
	for _, sql := range []string{`DELETE FROM price_models`, `DELETE FROM price_periods`,
		`UPDATE receipts SET cost_usd = 1, cost_basis = 'reported', price_id = NULL`, `UPDATE prompts SET cost_usd = 1`} {
		if _, err := f.db.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	f.want(totalState, "25 25 25 25")
	steps := 0
	for more := true; more; steps++ {
		var err error
		if more, err = store.RepriceOnce(t.Context(), f.db, f.src.Org.ID, 10); err != nil {
			t.Fatal(err)
		}
		f.checkSums()
	}
	if steps < 3 {
		t.Errorf("%d steps of 10 for 25 receipts", steps)
	}
	f.want(totalState, "25 25 25 31.25")
}

// checkSums compares the rollups with sums over receipts and prompts.
func (f *fixture) checkSums() {
	f.t.Helper()
	for table, grain := range map[string]string{"rollups": "day", "rollup_months": "month"} {
		f.want(`WITH want AS (SELECT * FROM rollup_sums(ARRAY(
			SELECT ROW(org_id, repo_id, day, user_email, provider, model, source, 1, current::int, 0, 0, 0, 0, 0, 0)::rollup_delta FROM receipts
			UNION ALL
			SELECT ROW(org_id, repo_id, day, user_email, provider, model, source, 0, 0, 1, coalesce(cost_usd, 0), coalesce(input_tokens, 0),
				coalesce(output_tokens, 0), coalesce(cache_read_tokens, 0), coalesce(cache_creation_tokens, 0))::rollup_delta FROM prompts), '` + grain + `')),
			got AS (SELECT * FROM ` + table + ` WHERE receipts <> 0 OR receipts_current <> 0 OR prompts <> 0 OR cost_usd <> 0
			        OR input_tokens <> 0 OR output_tokens <> 0)
			SELECT '` + table + ` ' || d::text FROM ((TABLE want EXCEPT TABLE got) UNION ALL (TABLE got EXCEPT TABLE want)) d ORDER BY 1 LIMIT 5`)
	}
	f.want(`SELECT p.prompt_id || ' ' || coalesce(p.cost_usd::text, '-') || ' is not that of its largest report' FROM prompts p
		JOIN receipts r ON r.org_id = p.org_id AND r.id = p.receipt_id
		WHERE p.cost_usd IS DISTINCT FROM r.cost_usd OR EXISTS (SELECT FROM receipts o WHERE o.org_id = p.org_id
			AND o.prompt_id = p.prompt_id AND (o.cost_usd > p.cost_usd OR p.cost_usd IS NULL AND o.cost_usd IS NOT NULL))`)
}

// checkCosts compares every receipt's cost with what the book says of it.
func (f *fixture) checkCosts() {
	f.t.Helper()
	book, err := f.db.PriceBook(f.t.Context(), f.src.Org.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	rows, err := f.db.Pool().Query(f.t.Context(), `SELECT id, model, timestamp, input_tokens, output_tokens, cache_read_tokens,
		cache_creation_tokens, trim_scale(cost_usd)::text, trim_scale(cost_reported_usd)::text, cost_basis FROM receipts`)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, model, basis string
		var at time.Time
		var tokens price.Tokens
		var cost, reported *string
		if err := rows.Scan(&id, &model, &at, &tokens.Input, &tokens.Output, &tokens.CacheRead, &tokens.CacheWrite, &cost, &reported, &basis); err != nil {
			f.t.Fatal(err)
		}
		want, wantBasis := reported, "reported"
		if computed, ok := book.Cost(model, at, tokens); ok {
			want, wantBasis = &computed.USD, "computed"
		} else if reported == nil {
			wantBasis = "none"
		}
		if !cmp.Equal(want, cost) || basis != wantBasis {
			f.t.Errorf("%s of %q at %s: %s %s, want %s %s", id, model, at, text(cost), basis, text(want), wantBasis)
		}
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// TestStormsOfPricesAndNotes mixes intakes that supersede each other with changes
// of prices and steps of the work that follows them. After every step the sums are
// those of what is stored, and in the end every cost is the book's.
func TestStormsOfPricesAndNotes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := &priceStorm{fixture: newFixture(t), r: rand.New(rand.NewPCG(seed, 4))}
			for range 40 {
				s.step()
				s.checkSums()
			}
			if err := store.RepriceBy(t.Context(), s.db, 3); err != nil {
				t.Fatal(err)
			}
			s.checkSums()
			s.checkCosts()
		})
	}
}

type priceStorm struct {
	*fixture
	r    *rand.Rand
	tip  string
	when int
}

var stormModels = []string{"gpt-5", "openai/GPT-5", "claude-opus-4-6", "house", "ollama:llama3", "unheard-of", "x1-20260101"}

func (s *priceStorm) pick(names []string) string { return names[s.r.IntN(len(names))] }

func (s *priceStorm) step() {
	s.t.Helper()
	switch n := s.r.IntN(10); {
	case n < 5:
		s.notes()
	case n < 7:
		from := start.AddDate(0, 0, s.r.IntN(20)-10).Format(time.DateOnly)
		if s.r.IntN(4) == 0 {
			from = ""
		}
		s.setPrices(store.PriceChange{Set: []price.Entry{costs(s.pick(append(stormModels, "x1")), from, fmt.Sprint(s.r.IntN(9)), "0.5")}})
	case n < 8:
		s.setPrices(store.PriceChange{Aliases: map[string]string{s.pick(stormModels): s.pick(stormModels)}})
	case n < 9:
		s.remove()
	default:
		if _, err := store.RepriceOnce(context.Background(), s.db, s.src.Org.ID, 1+s.r.IntN(4)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *priceStorm) remove() {
	own, err := s.db.Prices(s.t.Context(), s.src.Org.ID)
	if err != nil || len(own) == 0 {
		return
	}
	id := own[s.r.IntN(len(own))].ID
	err = s.db.InTx(s.t.Context(), func(tx *store.Tx) error { _, err := tx.RemovePrice(s.t.Context(), s.by(), id); return err })
	if err != nil {
		s.t.Fatal(err)
	}
}

// notes takes in a note of one of few commits with some of few receipts, one of
// whose times is the note's.
func (s *priceStorm) notes() {
	s.when++
	commit, blob := s.pick([]string{"c1", "c2", "c3"}), fmt.Sprintf("b%d", s.when)
	var rs []notes.Receipt
	for _, id := range []string{"r1", "r2", "r3", "r4", "r5", "r6"} {
		if s.r.IntN(3) > 0 {
			continue
		}
		r := used(id, int64(s.r.IntN(3)), s.pick([]string{"", "0.5", "2"}), s.pick(stormModels), int64(s.r.IntN(3))*1_000_000, int64(s.r.IntN(1000)))
		if r.Timestamp = start.AddDate(0, 0, s.r.IntN(20)-10); s.r.IntN(3) == 0 {
			r.Timestamp = time.Time{}
		}
		if s.r.IntN(4) == 0 {
			r.OutputTokens = nil
		}
		rs = append(rs, r)
	}
	version := step(s.when%20, commit, blob)
	version.NotesCommit = fmt.Sprintf("n%02d", s.when)
	version.CommittedAt = start.AddDate(0, 0, s.r.IntN(30)-15)
	next := fmt.Sprintf("t%d", s.when)
	ctx := s.t.Context()
	err := s.db.Intake(ctx, s.src, func(in *store.Intake) error {
		if err := in.MoveTip(ctx, s.tip, next); err != nil {
			return err
		}
		batch := store.Batch{Versions: []store.Version{version}, Bodies: []store.Body{body(commit, blob, rs...)}, Tip: tip(commit, blob)}
		if err := in.Stage(ctx, store.NewRows(s.src, batch)); err != nil {
			return err
		}
		// Bodies that cannot be read again leave the content as it is.
		return in.Merge(ctx, store.MergeOptions{}, func(context.Context, []store.BodyRef) error { return nil })
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.tip = next
}

func TestPricesOfOneOrganisationAreNotAnothers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setPrices(store.PriceChange{Set: []price.Entry{costs("gpt-5", "", "100", "100")}})
	rival := storetest.MustOrg(t, f.db, "rival")
	book, err := f.db.PriceBook(t.Context(), rival.ID)
	if err != nil {
		t.Fatal(err)
	}
	periods := book.Periods("gpt-5")
	if len(periods) != 1 || periods[0].Entry.Input.String() != "1.25" {
		t.Errorf("another organisation pays %+v", periods)
	}
	own, err := f.db.Prices(t.Context(), rival.ID)
	if err != nil || !slices.Equal(own, nil) {
		t.Errorf("another organisation has %v, %v", own, err)
	}
}
