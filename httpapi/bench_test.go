package httpapi_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/store/storetest"
)

var (
	benchReceipts = flag.Int("receipts", 1_000_000, "receipts in the database that BenchmarkAPI queries")
	benchRequests = flag.Int("requests", 400, "requests of each kind that BenchmarkAPI makes")
)

// BenchmarkAPI measures, at an HTTP client, what queries with two filters and
// analytics take over a million receipts:
//
//	go test -run '^$' -bench BenchmarkAPI -benchtime 1x -timeout 60m ./httpapi
//
// prints a table of kinds of requests; -receipts and -requests after the package
// change the sizes. Half of the filters are taken from a
// receipt that exists, half are drawn by themselves, so that many pairs match
// little or nothing.
func BenchmarkAPI(b *testing.B) {
	w := newWorld(b)
	start := time.Now()
	storetest.Fill(b, w.db.Pool(), w.org.ID, *benchReceipts)
	b.Logf("%d receipts made in %s", *benchReceipts, time.Since(start).Round(time.Second))
	samples := w.sample(b, 2**benchRequests)
	for b.Loop() {
		w.measure(b, samples)
	}
}

// sample is what a receipt offers to filter by.
type sample struct {
	Repo, Model, Provider, UserEmail, Source, Path, Commit, Word string
	Day                                                          time.Time
}

func (w *world) sample(b *testing.B, n int) []sample {
	b.Helper()
	rows, err := w.db.Pool().Query(context.Background(), `
		SELECT r.repo, r.model, r.provider, r.user_email, r.source, f.path, r.commit_hash AS commit,
		       split_part(r.prompt_summary, ' ', 3) AS word, r.day
		FROM receipts r JOIN receipt_files f ON f.org_id = r.org_id AND f.receipt_id = r.id AND f.position = 1
		ORDER BY md5(r.id) LIMIT $1`, n)
	if err != nil {
		b.Fatal(err)
	}
	samples, err := pgx.CollectRows(rows, pgx.RowToStructByName[sample])
	if err != nil {
		b.Fatal(err)
	}
	return samples
}

// kinds of requests; x and y are the same sample or two different ones.
var kinds = []struct {
	name string
	path func(x, y sample, r *rand.Rand) string
}{
	{"repo + model", func(x, y sample, _ *rand.Rand) string { return query("repo", x.Repo, "model", y.Model) }},
	{"repo + user", func(x, y sample, _ *rand.Rand) string { return query("repo", x.Repo, "user", y.UserEmail) }},
	{"user + from/to", func(x, y sample, r *rand.Rand) string {
		return query("user", x.UserEmail, "from", date(y.Day, -r.IntN(30)), "to", date(y.Day, r.IntN(30)))
	}},
	{"user + model", func(x, y sample, _ *rand.Rand) string { return query("user", x.UserEmail, "model", y.Model) }},
	{"provider + path", func(x, y sample, _ *rand.Rand) string { return query("provider", x.Provider, "path", y.Path) }},
	{"repo + path/", func(x, y sample, _ *rand.Rand) string {
		return query("repo", x.Repo, "path", y.Path[:strings.LastIndex(y.Path, "/")+1])
	}},
	{"q + repo", func(x, y sample, _ *rand.Rand) string { return query("q", x.Word, "repo", y.Repo) }},
	{"q + model", func(x, y sample, _ *rand.Rand) string { return query("q", x.Word, "model", y.Model) }},
	{"model + team", func(x, _ sample, r *rand.Rand) string {
		return query("model", x.Model, "team", fmt.Sprint("team-", r.IntN(5)))
	}},
	{"model* + source", func(x, y sample, _ *rand.Rand) string { return query("model", x.Model[:5]+"*", "source", y.Source) }},
	{"commit + source", func(x, y sample, _ *rand.Rand) string { return query("commit", x.Commit[:10], "source", y.Source) }},
	{"repo + current=false", func(x, _ sample, _ *rand.Rand) string { return query("repo", x.Repo, "current", "false") }},
	{"repo + provider, -cost", func(x, y sample, _ *rand.Rand) string {
		return query("repo", x.Repo, "provider", y.Provider, "sort", "-cost")
	}},
	{"repo + min_cost", func(x, _ sample, r *rand.Rand) string {
		return query("repo", x.Repo, "min_cost", fmt.Sprintf("%.2f", 2*r.Float64()))
	}},
	{"(floor: /healthz)", func(sample, sample, *rand.Rand) string { return "/healthz" }},
	{"analytics", func(x, _ sample, r *rand.Rand) string { return "/api/v1/analytics" }},
	{"analytics from/to", func(x, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("from", date(x.Day, -r.IntN(90)), "to", date(x.Day, r.IntN(90)))
	}},
	{"analytics repo", func(x, _ sample, _ *rand.Rand) string { return "/api/v1/analytics?" + pairs("repo", x.Repo) }},
	{"analytics team", func(_, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("team", fmt.Sprint("team-", r.IntN(5)))
	}},
	{"analytics team, 90 days", func(x, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("team", fmt.Sprint("team-", r.IntN(5)), "from", date(x.Day, -90), "to", date(x.Day, 0))
	}},
	{"analytics repo + team", func(x, _ sample, r *rand.Rand) string {
		return "/api/v1/analytics?" + pairs("repo", x.Repo, "team", fmt.Sprint("team-", r.IntN(5)))
	}},
}

func date(t time.Time, days int) string { return t.AddDate(0, 0, days).Format(time.DateOnly) }

func query(list ...string) string { return "/api/v1/receipts?" + pairs(list...) }

func pairs(list ...string) string {
	values := url.Values{}
	for i := 0; i < len(list); i += 2 {
		values.Set(list[i], list[i+1])
	}
	return values.Encode()
}

// measure makes the requests in a mixed order and prints a table.
func (w *world) measure(b *testing.B, samples []sample) {
	r := rand.New(rand.NewPCG(1, 2))
	took := make([][]time.Duration, len(kinds))
	slowest := make([]string, len(kinds))
	for i := range *benchRequests {
		for k, kind := range kinds {
			x, y := samples[2*i], samples[2*i]
			if i%2 == 1 {
				y = samples[2*i+1]
			}
			path := kind.path(x, y, r)
			d := w.timed(b, path)
			if took[k] == nil || d > slices.Max(took[k]) {
				slowest[k] = path
			}
			took[k] = append(took[k], d)
		}
	}
	var all []time.Duration
	table := fmt.Sprintf("%-24s %9s %9s %9s %9s\n", "query", "p50", "p95", "p99", "max")
	for k, kind := range kinds {
		slices.Sort(took[k])
		table += line(kind.name, took[k]) + "  " + slowest[k] + "\n"
		if !strings.HasPrefix(kind.name, "(") {
			all = append(all, took[k]...)
		}
	}
	slices.Sort(all)
	// Log would cut the table off.
	fmt.Printf("%d requests of each kind, one client\n%s%s\n", *benchRequests, table, line("all", all))
	b.ReportMetric(float64(quantile(all, 99).Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(quantile(all, 50).Microseconds())/1000, "p50-ms")
}

func line(name string, sorted []time.Duration) string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
	return fmt.Sprintf("%-24s %9s %9s %9s %9s", name, ms(quantile(sorted, 50)), ms(quantile(sorted, 95)), ms(quantile(sorted, 99)),
		ms(sorted[len(sorted)-1]))
}

func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func (w *world) timed(b *testing.B, path string) time.Duration {
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
