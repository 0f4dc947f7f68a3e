package httpapi_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	benchReceipts = flag.Int("receipts", 1_000_000, "receipts in the database that BenchmarkAPI queries")
	benchRequests = flag.Int("requests", 60, "requests of each kind that BenchmarkAPI makes")
	benchKinds    = flag.String("kinds", "", "a regular expression of the kinds of requests that BenchmarkAPI makes")
	benchTable    = flag.Bool("table", false, "whether BenchmarkAPI prints a line for each kind of requests")
)

// bound is what 99 of 100 requests of each kind must stay below.
const bound = 30 * time.Millisecond

// BenchmarkAPI measures, at an HTTP client, what queries with up to two filters
// and analytics take over a million receipts:
//
//	go test -run '^$' -bench BenchmarkAPI -benchtime 1x -timeout 60m ./httpapi
//
// prints the slowest kinds of requests and how many are above the bound; the
// flags after the package change the sizes and print every kind. Half of the
// filters are taken from a receipt that exists, half are drawn by themselves, so
// that many pairs match little or nothing.
func BenchmarkAPI(b *testing.B) {
	w := filledWorld(b, *benchReceipts)
	samples := w.sample(b, 2**benchRequests)
	kinds := kinds(b)
	for b.Loop() {
		w.measure(b, kinds, samples)
	}
}

// sample is what a receipt offers to filter by.
type sample struct {
	Repo, Model, Provider, UserEmail, UserName, Source, Path, Commit, Word string
	Current                                                                bool
	Day                                                                    time.Time
}

func (w *world) sample(b testing.TB, n int) []sample {
	b.Helper()
	rows, err := w.db.Pool().Query(context.Background(), `
		SELECT r.repo, r.model, r.provider, r.user_email, r.user_name, r.source, f.path, r.commit_hash AS commit,
		       split_part(r.prompt_summary, ' ', 3) AS word, r.current, r.day
		FROM (SELECT * FROM receipts TABLESAMPLE SYSTEM (least(100, 1e7 / $2::float8)) REPEATABLE (1)) r
		JOIN receipt_files f ON f.org_id = r.org_id AND f.receipt_id = r.id AND f.position = 1
		ORDER BY md5(r.id) LIMIT $1`, n, *benchReceipts)
	if err != nil {
		b.Fatal(err)
	}
	samples, err := pgx.CollectRows(rows, pgx.RowToStructByName[sample])
	if err != nil {
		b.Fatal(err)
	}
	return samples
}

// filter is one way of filtering receipts.
type filter struct {
	name string
	// values are the parameters and their values.
	values func(s sample, r *rand.Rand) []string
}

// filters of GET /api/v1/receipts.
var filters = []filter{
	{"repo", func(s sample, _ *rand.Rand) []string { return []string{"repo", s.Repo} }},
	{"user", func(s sample, _ *rand.Rand) []string { return []string{"user", s.UserEmail} }},
	{"user name", func(s sample, _ *rand.Rand) []string { return []string{"user", s.UserName} }},
	{"from/to", func(s sample, r *rand.Rand) []string {
		return []string{"from", date(s.Day, -r.IntN(30)), "to", date(s.Day, r.IntN(30))}
	}},
	{"model", func(s sample, _ *rand.Rand) []string { return []string{"model", s.Model} }},
	{"model*", func(s sample, r *rand.Rand) []string {
		return []string{"model", s.Model[:3+r.IntN(len(s.Model)-2)] + "*"}
	}},
	{"provider", func(s sample, _ *rand.Rand) []string { return []string{"provider", s.Provider} }},
	{"team", func(_ sample, r *rand.Rand) []string { return []string{"team", fmt.Sprint("team-", r.IntN(5))} }},
	{"commit", func(s sample, r *rand.Rand) []string { return []string{"commit", s.Commit[:7+r.IntN(34)]} }},
	{"path", func(s sample, _ *rand.Rand) []string { return []string{"path", s.Path} }},
	{"path/", func(s sample, _ *rand.Rand) []string {
		return []string{"path", s.Path[:strings.LastIndex(s.Path, "/")+1]}
	}},
	// Words, and the beginnings of words, which are more frequent.
	{"q", func(s sample, r *rand.Rand) []string { return []string{"q", s.Word[:min(len(s.Word), 3+2*r.IntN(4))]} }},
	{"source", func(s sample, _ *rand.Rand) []string { return []string{"source", s.Source} }},
	{"current", func(_ sample, r *rand.Rand) []string { return []string{"current", fmt.Sprint(r.IntN(2) == 0)} }},
	{"policy_result", func(_ sample, r *rand.Rand) []string {
		return []string{"policy_result", []string{"refused", "warned", "waived", "held"}[r.IntN(4)]}
	}},
	{"cost", func(_ sample, r *rand.Rand) []string {
		least := 2 * r.Float64()
		from, to := fmt.Sprintf("%.2f", least), fmt.Sprintf("%.2f", least+r.Float64()/2)
		return [][]string{{"min_cost", from}, {"max_cost", to}, {"min_cost", from, "max_cost", to}}[r.IntN(3)]
	}},
}

// kind is a kind of requests; x and y are the same sample or two different ones.
type kind struct {
	// group is what its requests are summed up with.
	name, group string
	path        func(x, y sample, r *rand.Rand) string
}

var analyticsKinds = []kind{
	{"(floor: /healthz)", "(floor: /healthz)", func(sample, sample, *rand.Rand) string { return "/healthz" }},
	{"analytics", "analytics", func(x, _ sample, r *rand.Rand) string { return "/api/v1/analytics" }},
	{"analytics from/to", "analytics from/to", func(x, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("from", date(x.Day, -r.IntN(90)), "to", date(x.Day, r.IntN(90)))
	}},
	{"analytics repo", "analytics repo", func(x, _ sample, _ *rand.Rand) string { return "/api/v1/analytics?" + pairs("repo", x.Repo) }},
	{"analytics team", "analytics team", func(_, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("team", fmt.Sprint("team-", r.IntN(5)))
	}},
	{"analytics team, 90 days", "analytics team, 90 days", func(x, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("team", fmt.Sprint("team-", r.IntN(5)), "from", date(x.Day, -90), "to", date(x.Day, 0))
	}},
	{"analytics repo + team", "analytics repo + team", func(x, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("repo", x.Repo, "team", fmt.Sprint("team-", r.IntN(5)))
	}},
	{"analytics by part, by week", "analytics by part, by week", func(_, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("series", "week", "by", []string{"repo", "team", "user", "model", "tool"}[r.IntN(5)])
	}},
	{"analytics of a month, by user, compared", "analytics of a month, by user, compared", func(x, _ sample, _ *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("from", date(x.Day, -30), "to", date(x.Day, 0), "series", "day", "by", "user", "compare", "previous")
	}},
}

// kinds are those of analytics, and of receipts every filter and every pair of
// them in every order, as far as -kinds wants them.
func kinds(b testing.TB) []kind {
	b.Helper()
	wanted, err := regexp.Compile(*benchKinds)
	if err != nil {
		b.Fatal(err)
	}
	all := slices.Clone(analyticsKinds)
	for _, sort := range []string{"-timestamp", "timestamp", "-cost"} {
		for i, one := range filters {
			all = append(all, kindOf(sort, one))
			for _, other := range filters[i+1:] {
				if one.parameter() != other.parameter() {
					all = append(all, kindOf(sort, one, other))
				}
			}
		}
	}
	return slices.DeleteFunc(all, func(k kind) bool { return !wanted.MatchString(k.name) })
}

// parameter is the one that the filter sets; two filters of one exclude each
// other.
func (f filter) parameter() string { return strings.TrimRight(strings.Fields(f.name)[0], "*/") }

func kindOf(sort string, parts ...filter) kind {
	var names []string
	for _, f := range parts {
		names = append(names, f.name)
	}
	group := fmt.Sprintf("receipts by %d filters, %s", len(parts), sort)
	return kind{strings.Join(names, " + ") + ", " + sort, group, func(x, y sample, r *rand.Rand) string {
		list := []string{"sort", sort}
		for i, f := range parts {
			list = append(list, f.values([]sample{x, y}[i], r)...)
		}
		return "/api/v1/receipts?" + pairs(list...)
	}}
}

func date(t time.Time, days int) string { return t.AddDate(0, 0, days).Format(time.DateOnly) }

func pairs(list ...string) string {
	values := url.Values{}
	for i := 0; i < len(list); i += 2 {
		values.Set(list[i], list[i+1])
	}
	return values.Encode()
}

// series is what requests of one kind took.
type series struct {
	name, group string
	took        []time.Duration
	// slowest is the request that took longest.
	slowest string
}

// measure makes the requests in a mixed order and prints what they took.
func (w *world) measure(b testing.TB, kinds []kind, samples []sample) {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]series, len(kinds))
	for i := 0; i < len(samples); i += 2 {
		for k, kind := range kinds {
			x, y := samples[i], samples[i+i/2%2]
			path := kind.path(x, y, r)
			all[k].name, all[k].group = kind.name, kind.group
			all[k].add(path, w.timed(b, path))
		}
	}
	for k := range all {
		slices.Sort(all[k].took)
	}
	report(all)
}

func (s *series) add(path string, took time.Duration) {
	if len(s.took) == 0 || took > slices.Max(s.took) {
		s.slowest = path
	}
	s.took = append(s.took, took)
}

// quantile is that of a sorted series.
func (s *series) quantile(percent int) time.Duration {
	return s.took[min(len(s.took)-1, len(s.took)*percent/100)]
}

func (s *series) line() string {
	line := fmt.Sprintf("%-32s", s.name)
	for _, percent := range []int{50, 95, 99, 100} {
		line += fmt.Sprintf(" %9.2f ms", milliseconds(s.quantile(percent)))
	}
	return line
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// report prints, rather than logs, which would cut the table off.
func report(all []series) {
	fmt.Printf("%d kinds, %d requests of each, one client\n%-32s %12s %12s %12s %12s\n", len(all), len(all[0].took), "", "p50", "p95", "p99", "max")
	for _, group := range groups(all) {
		fmt.Println(group.line())
	}
	slices.SortFunc(all, func(x, y series) int { return cmp.Compare(y.quantile(99), x.quantile(99)) })
	above := 0
	for above < len(all) && all[above].quantile(99) > bound {
		above++
	}
	fmt.Printf("%d kinds have a p99 above %s; the slowest:\n", above, bound)
	for i, s := range all {
		if i < 10 || *benchTable {
			fmt.Println(s.line() + "  " + s.slowest)
		}
	}
}

// groups sums the series up by their groups, in the order in which these come.
func groups(all []series) []series {
	var out []series
	for _, s := range all {
		i := slices.IndexFunc(out, func(g series) bool { return g.name == s.group })
		if i < 0 {
			i, out = len(out), append(out, series{name: s.group})
		}
		out[i].took = append(out[i].took, s.took...)
	}
	for i := range out {
		slices.Sort(out[i].took)
	}
	return out
}

func (w *world) timed(b testing.TB, path string) time.Duration {
	req, err := http.NewRequest(http.MethodGet, w.srv.URL+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-API-Key", w.read)
	start := time.Now()
	resp, err := w.srv.Client().Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	took := time.Since(start)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, body)
	}
	return took
}
