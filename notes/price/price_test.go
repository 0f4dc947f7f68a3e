package price

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var summer = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

func loaded(t testing.TB) *Book {
	t.Helper()
	b, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t testing.TB, text string) *Book {
	t.Helper()
	b, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ptr(n int64) *int64 { return &n }

// TestEveryModel holds one computation per model of the built-in book against
// amounts that were worked out by another program in decimal arithmetic.
func TestEveryModel(t *testing.T) {
	t.Parallel()
	b := loaded(t)
	data, err := os.ReadFile("testdata/golden.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(data)), "\n")[1:]
	if len(rows) != len(b.Entries()) {
		t.Errorf("%d golden rows for %d entries", len(rows), len(b.Entries()))
	}
	for _, row := range rows {
		var model, want string
		var n [4]int64
		if _, err := fmt.Sscan(row, &model, &n[0], &n[1], &n[2], &n[3], &want); err != nil {
			t.Fatal(err)
		}
		got, ok := b.Cost(model, summer, Tokens{&n[0], &n[1], &n[2], &n[3]})
		if !ok || got.USD != want || got.Entry.Model != model {
			t.Errorf("%s: %q of %q, %v; want %s", model, got.USD, got.Entry.Model, ok, want)
		}
		if got.Entry.Source != "models.dev catalogue, as of 2026-08-22" {
			t.Errorf("%s: source %q", model, got.Entry.Source)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	b := loaded(t)
	for model, want := range map[string]string{
		"claude-sonnet-4-5":                            "claude-sonnet-4-5",
		"Claude-Sonnet-4.5":                            "claude-sonnet-4-5",
		" \"claude_sonnet_4_5\" ":                      "claude-sonnet-4-5",
		"anthropic/claude-sonnet-4.5":                  "claude-sonnet-4-5",
		"openrouter/anthropic/claude-sonnet-4.5":       "claude-sonnet-4-5",
		"anthropic:claude-sonnet-4-5":                  "claude-sonnet-4-5",
		"claude-sonnet-4-5-20250929":                   "claude-sonnet-4-5-20250929",
		"claude-sonnet-4-5@20250929":                   "claude-sonnet-4-5-20250929",
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5-20250929",
		"claude-sonnet-4-5-20270101":                   "claude-sonnet-4-5",
		"claude-opus-4-6[1m]":                          "claude-opus-4-6",
		"claude-4.5-sonnet":                            "claude-sonnet-4-5",
		"gpt-4o-2024-05-13":                            "gpt-4o-2024-05-13",
		"gpt-4o-2030-05-13":                            "gpt-4o",
		"gpt-4o-latest":                                "gpt-4o",
		"GPT 5.2":                                      "gpt-5.2",
		"models/gemini-2-5-pro":                        "gemini-2.5-pro",
		"codestral":                                    "codestral-latest",
		"mistral-large-2411":                           "mistral-large-2411",
		"ollama:deepseek-chat":                         "ollama:deepseek-chat",
		"ollama/llama3:8b":                             "ollama/llama3:8b",
		"ollama/gpt-oss:120b-cloud":                    "",
		"ollama:":                                      "",
		"mistral-large-2412":                           "",
		"gpt-6":                                        "",
		"unknown":                                      "",
		"<synthetic>":                                  "",
		"":                                             "",
		strings.Repeat("a", 1<<20):                     "",
	} {
		got, ok := b.Entry(model, summer)
		if got.Model != want || ok != (want != "") {
			t.Errorf("%.60q: entry %q, %v; want %q", model, got.Model, ok, want)
		}
	}
}

func TestNotComputed(t *testing.T) {
	t.Parallel()
	b := loaded(t).With(parsed(t, `{"entries": [{"model": "dear", "input": 1000000, "output": 1}]}`))
	one := ptr(1)
	for name, c := range map[string]struct {
		model  string
		tokens Tokens
		want   string
	}{
		"all known":          {"gpt-5", Tokens{one, one, one, one}, "0.000011375"},
		"silent cache":       {"gpt-5", Tokens{one, one, nil, nil}, "0.00001125"},
		"nothing used":       {"gpt-5", Tokens{ptr(0), ptr(0), nil, nil}, ""},
		"no input":           {"gpt-5", Tokens{nil, one, one, one}, ""},
		"no output":          {"gpt-5", Tokens{one, nil, one, one}, ""},
		"negative":           {"gpt-5", Tokens{ptr(-1), one, nil, nil}, ""},
		"negative cache":     {"gpt-5", Tokens{one, one, ptr(-1), nil}, ""},
		"kind without price": {"o1-pro", Tokens{one, one, one, nil}, ""},
		"kind not used":      {"o1-pro", Tokens{one, one, ptr(0), nil}, "0.00075"},
		"unknown model":      {"gpt-6", Tokens{one, one, nil, nil}, ""},
		"local model":        {"ollama:llama3", Tokens{one, one, one, one}, "0"},
		"ten digits":         {"dear", Tokens{ptr(9_999_999_999), one, nil, nil}, "9999999999.000001"},
		"eleven digits":      {"dear", Tokens{ptr(10_000_000_000), one, nil, nil}, ""},
		"largest numbers":    {"dear", Tokens{ptr(1<<63 - 1), ptr(1<<63 - 1), nil, nil}, ""},
	} {
		got, ok := b.Cost(c.model, summer, c.tokens)
		if got.USD != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got.USD, ok, c.want)
		}
	}
}

func TestDatedOverrides(t *testing.T) {
	t.Parallel()
	b := loaded(t).With(parsed(t, `{"source": "contract", "aliases": {"house-model": "gpt-5", "gpt-5-mini": "gpt-5"},
		"entries": [
			{"model": "GPT.5", "from": "2026-07-01", "until": "2026-09-01", "input": "2", "output": 3},
			{"model": "gpt-5", "until": "2026-01-01", "input": 9, "output": 9},
			{"model": "ollama/llama3", "input": 0.5, "output": 0.5}]}`))
	day := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		model, at, usd, source string
	}{
		{"gpt-5", "2025-12-31T23:59:59Z", "18", "contract"},
		{"gpt-5", "2026-01-01T00:00:00Z", "11.25", "models.dev catalogue, as of 2026-08-22"},
		{"gpt-5", "2026-06-30T23:59:59.999Z", "11.25", "models.dev catalogue, as of 2026-08-22"},
		{"gpt-5", "2026-07-01T00:00:00Z", "5", "contract"},
		{"gpt-5", "2026-07-01T01:00:00+02:00", "11.25", "models.dev catalogue, as of 2026-08-22"},
		{"openai/gpt-5-2025-08-07", "2026-08-31T00:00:00Z", "5", "contract"},
		{"gpt-5", "2026-09-01T00:00:00Z", "11.25", "models.dev catalogue, as of 2026-08-22"},
		{"House Model", "2026-08-01T00:00:00Z", "5", "contract"},
		{"gpt-5-mini", "2026-08-01T00:00:00Z", "5", "contract"},
		{"ollama/llama3", "2026-08-01T00:00:00Z", "1", "contract"},
		{"gpt-5", "0001-01-01T00:00:00Z", "11.25", "models.dev catalogue, as of 2026-08-22"},
	} {
		got, ok := b.Cost(c.model, day(c.at), Tokens{Input: ptr(1_000_000), Output: ptr(1_000_000)})
		if !ok || got.USD != c.usd || got.Entry.Source != c.source {
			t.Errorf("%s at %s: %q by %q, %v; want %s by %s", c.model, c.at, got.USD, got.Entry.Source, ok, c.usd, c.source)
		}
	}
}

func TestParseNamesEntryAndField(t *testing.T) {
	t.Parallel()
	entry := func(text string) string { return `{"entries": [{"model": "a", "input": 1}, ` + text + `]}` }
	for _, c := range [][2]string{
		{entry(`{"model": "b", "input": -1}`),
			`entry 2 ("b"): input: "-1" is not a plain decimal`},
		{entry(`{"model": "b", "output": 1e3}`),
			`entry 2 ("b"): output: "1e3" is not`},
		{entry(`{"model": "b", "cache_read": "1."}`),
			`entry 2 ("b"): cache_read: "1." is not`},
		{entry(`{"model": "b", "cache_write": 0.0000001}`),
			`cache_write: "0.0000001" has more than 6 digits`},
		{entry(`{"model": "b", "input": 1000000.1}`),
			`input: "1000000.1" is more than`},
		{entry(`{"model": "b", "input": true}`),
			`input: "true" is not`},
		{entry(`{"model": "b"}`),
			`entry 2 ("b"): input: an entry needs`},
		{entry(`{"model": "", "input": 1}`),
			`entry 2 (""): model: the name is empty`},
		{entry(`{"model": " - ", "input": 1}`),
			`model: the name is empty`},
		{entry(`{"model": "b\u0000", "input": 1}`),
			`model: the name "b\x00" is not plain`},
		{entry(`{"model": "` + strings.Repeat("b", 201) + `", "input": 1}`),
			`model: the name has 201 bytes`},
		{entry(`{"model": "b", "input": 1, "from": "yesterday"}`),
			`entry 2 ("b"): from: "yesterday" is neither`},
		{entry(`{"model": "b", "input": 1, "until": "2026-13-01"}`),
			`until: "2026-13-01" is neither`},
		{entry(`{"model": "b", "input": 1, "from": "2026-01-02", "until": "2026-01-02"}`),
			`entry 2 ("b"): until: 2026-01-02T00:00:00Z is not after`},
		{entry(`{"model": "A", "input": 1, "from": "2026-01-01"}`),
			`entry "A": from: 2026-01-01T00:00:00Z is inside of the period of entry "a" from ever until ever`},
		{entry(`{"model": "b", "inputs": 1}`),
			`entry 2 ("b"): json: unknown field "inputs"`},
		{entry(`7`),
			`entry 2 (""): json`},
		{`{"unit": "EUR"}`,
			`unit: "EUR" is not`},
		{`{"price": 1}`,
			`unknown field "price"`},
		{`{} {}`,
			`more text`},
		{`{"aliases": {"": "x"}}`,
			`alias "": the name is empty`},
		{`{"aliases": {"A.b": "x", "a-b": "y"}}`,
			`alias "a-b": stands for "x" and for "y"`},
		{``,
			`EOF`},
	} {
		_, err := Parse([]byte(c[0]))
		if err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: error %v, want %q", c[0], err, c[1])
		}
	}
	if _, err := Parse(make([]byte, MaxBook+1)); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a large book: %v", err)
	}
	negative := Rate(-1)
	if _, err := New("rows", []Entry{{Model: "b", Output: &negative}}, nil); err == nil ||
		!strings.Contains(err.Error(), `entry 1 ("b"): output: -1`) {
		t.Errorf("a negative rate: %v", err)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"0": 0, "0.0": 0, "00.5": 500_000, "12.5": 12_500_000, "0.003625": 3_625, "1000000": maxRate, "0.000001": 1,
	} {
		got, err := ParseRate(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
		again, err := ParseRate(got.String())
		if err != nil || again != got {
			t.Errorf("%s: %q reads as %d, %v", text, got.String(), again, err)
		}
	}
	for _, text := range []string{"", ".5", "5.", "1.2.3", "+1", "1e3", "NaN", " 1", "99999999999999999999999999"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

// TestBooksDoNotShare: a book handed out cannot be changed through another.
func TestBooksDoNotShare(t *testing.T) {
	t.Parallel()
	b := loaded(t)
	before := b.Entries()
	entries := b.Entries()
	for i := range entries {
		entries[i].Model = "changed"
	}
	b.With(parsed(t, `{"aliases": {"gpt-5": "gpt-4"}, "entries": [{"model": "gpt-5", "input": 7}]}`))
	if diff := cmp.Diff(before, b.Entries()); diff != "" {
		t.Error(diff)
	}
	if got, _ := b.Entry("gpt-5", summer); got.Model != "gpt-5" || got.Input.String() != "1.25" {
		t.Errorf("entry = %q at %s", got.Model, got.Input)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(builtin[:2000], "gpt-5", int64(1))
	f.Add([]byte(`{"unit": "USD per 1,000,000 tokens", "entries": [{"model": "b", "input": "0.000001"}]}`), "B", int64(5))
	f.Add([]byte(`{"aliases": {"a": "b"}, "entries": [{"model": "b", "from": "2026-01-01", "input": 1}]}`), "x/a", int64(1<<62))
	f.Add([]byte(`{"entries": [{"model": "ollama:x", "cache_read": 1}]}`), "ollama:y", int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, model string, n int64) {
		b, err := Parse(data)
		if err != nil {
			return
		}
		for _, e := range b.Entries() {
			if _, ok := b.Entry(e.Model, e.From); !ok && (e.Until.IsZero() || !e.From.IsZero()) {
				t.Errorf("entry %q from %s is not found", e.Model, e.From)
			}
		}
		cost, ok := b.Cost(model, summer, Tokens{&n, &n, &n, &n})
		whole, fraction, _ := strings.Cut(cost.USD, ".")
		if ok != (cost.USD != "") || len(whole) > 10 || len(fraction) > 12 || strings.HasSuffix(fraction, "0") {
			t.Errorf("cost %q, %v", cost.USD, ok)
		}
	})
}

// TestPeriodsAreWhatEntryAnswers asks both of random books at every moment at
// which something may change, and beside it.
func TestPeriodsAreWhatEntryAnswers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 9))
	models := []string{"m", "v/M", "m-2026-01-01", "m-latest", "ollama:m", "gpt-5", "other"}
	for range 500 {
		own, err := New("own", randomEntries(r, models), map[string]string{"other": models[r.IntN(len(models))]})
		if err != nil {
			continue
		}
		b := loaded(t).With(own)
		for _, model := range models {
			periods := b.Periods(model)
			for day := range 40 {
				at := summer.AddDate(0, 0, day-20)
				want, ok := b.Entry(model, at)
				i := slices.IndexFunc(periods, func(p Period) bool {
					return !at.Before(p.From) && (p.Until.IsZero() || at.Before(p.Until))
				})
				if ok != (i >= 0) || ok && !cmp.Equal(want, periods[i].Entry) {
					t.Fatalf("%s at %s: %+v %v; periods %+v", model, at, want, ok, periods)
				}
			}
			for i := 1; i < len(periods); i++ {
				if periods[i].From.Before(periods[i-1].Until) || periods[i-1].Until.IsZero() {
					t.Fatalf("%s: periods %+v", model, periods)
				}
			}
		}
	}
}

func randomEntries(r *rand.Rand, models []string) []Entry {
	var entries []Entry
	for range 1 + r.IntN(4) {
		rate := Rate(r.IntN(5))
		e := Entry{Model: models[r.IntN(len(models))], Input: &rate}
		if r.IntN(3) > 0 {
			e.From = summer.AddDate(0, 0, r.IntN(30)-15)
		}
		if r.IntN(3) > 0 {
			e.Until = summer.AddDate(0, 0, r.IntN(30)-10)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestEditionsTellBooksApart(t *testing.T) {
	t.Parallel()
	a, b := parsed(t, `{"as_of": "2026-01-01", "entries": []}`), parsed(t, `{"as_of": "2026-01-02", "entries": []}`)
	if a.Edition() >= b.Edition() || a.With(b).Edition() != a.Edition() {
		t.Errorf("editions %q and %q", a.Edition(), b.Edition())
	}
}
