package ui

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
	"github.com/blameprompt/enterprise/ui/chromium"
)

var (
	benchReceipts = flag.Int("receipts", 1_000_000, "receipts in the database that BenchmarkPages looks at")
	benchRequests = flag.Int("requests", 40, "requests of each kind that BenchmarkPages makes")
	benchKinds    = flag.String("kinds", "", "a regular expression of the kinds of requests that BenchmarkPages makes")
	benchTable    = flag.Bool("table", false, "whether BenchmarkPages prints a line for each kind of requests")
	benchPaint    = flag.Bool("paint", true, "whether BenchmarkPages looks at pages in Chromium too")
)

// Bounds of what 95 of 100 requests of each kind take at up to a million receipts
// and at ten million, and of the time until a browser paints.
const (
	pageBound  = 60 * time.Millisecond
	largeBound = 120 * time.Millisecond
	paintBound = 400 * time.Millisecond
)

// BenchmarkPages measures, at an HTTP client that is signed in, what every page
// takes over a million receipts and all that goes with them, by its filters,
// sorted, and some pages deep; and when a browser paints one of each kind:
//
//	go test -run '^$' -bench BenchmarkPages -benchtime 1x -timeout 60m ./ui
//
// prints the slowest kinds of requests and how many are above the bound; the
// flags after the package change the sizes and print every kind.
func BenchmarkPages(b *testing.B) {
	dsn, org := storetest.Filled(b, *benchReceipts)
	w := newWorldOn(b, storetest.OpenDSN(b, dsn), org)
	email := uuid.NewString() + "@bench.example.com"
	who := w.person(org, email, access.RoleAdmin)
	endpoint := w.fillEndpoint(org)
	samples := w.samples(2 * *benchRequests)
	kinds := wantedKinds(b)
	for i := range samples {
		samples[i].Endpoint = endpoint
	}
	for b.Loop() {
		who.measure(kinds, samples)
		if *benchPaint {
			w.paint(email, kinds, samples[0])
		}
	}
}

// fillEndpoint makes an endpoint that was sent a hundred thousand messages, of
// which every tenth failed three times, and returns its id.
func (w *world) fillEndpoint(org store.Org) string {
	w.t.Helper()
	at := store.EndpointURL{URL: "https://hooks.example.com/s3cret", Origin: "https://hooks.example.com"}
	row, _, err := w.db.CreateEndpoint(context.Background(), access.CLI(org.ID), "chat", at, nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO messages (org_id, id, endpoint_id, type, at, data, state, attempts)
		 SELECT $1, md5($2::uuid::text || i)::uuid, $2, 'push.refused', now() - i * interval '1 minute', '{"repo": "x"}', CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'sent' END, 1
		 FROM generate_series(1, 100000) i`,
		`INSERT INTO message_attempts (org_id, message_id, number, at, took_ms, status, error, answer)
		 SELECT $1, id, n, at, 12, 500, 'the receiver refused it', repeat('x', 1000) FROM messages, generate_series(1, 3) n
		 WHERE org_id = $1 AND endpoint_id = $2 AND (n = 1 OR state = 'failed')`,
		`ANALYZE messages, message_attempts`,
	} {
		args := []any{org.ID, row.ID}
		if !strings.Contains(sql, "$1") {
			args = nil
		}
		if _, err := w.db.Pool().Exec(context.Background(), sql, args...); err != nil {
			w.t.Fatal(err)
		}
	}
	return row.ID.String()
}

// sample is what a receipt and what came with it offer to look at.
type sample struct {
	ID, Repo, Model, Provider, UserEmail, Path, Word string
	Day                                              time.Time
	// Added is a commit with lines, Live a file at a tip, and Pushed a decision.
	Added  struct{ Repo, Commit, Path string }
	Live   struct{ Repo, Path, Directory string }
	Pushed struct{ ID, Repo, Pusher, Policy string }
	// Endpoint is the one that fillEndpoint made.
	Endpoint string
}

// samples are drawn from what was stored together, here and there.
func (w *world) samples(n int) []sample {
	w.t.Helper()
	share := fmt.Sprint(min(100, 4e6/float64(*benchReceipts)))
	collect := func(sql string, row func(i int, rows pgx.Rows) error) {
		w.t.Helper()
		rows, err := w.db.Pool().Query(context.Background(), sql, share, n)
		if err != nil {
			w.t.Fatal(err)
		}
		defer rows.Close()
		i := 0
		for ; err == nil && rows.Next(); i++ {
			err = row(i, rows)
		}
		if err = cmp.Or(err, rows.Err()); err != nil || i < n {
			w.t.Fatalf("%d of %d samples: %v", i, n, err)
		}
	}
	out := make([]sample, n)
	collect(`SELECT r.id, r.repo, r.model, r.provider, r.user_email, f.path, split_part(r.prompt_summary, ' ', 3), r.day
		FROM receipts r TABLESAMPLE SYSTEM ($1::real) JOIN receipt_files f ON f.org_id = r.org_id AND f.receipt_id = r.id AND f.position = 1
		ORDER BY md5(r.id) LIMIT $2`, func(i int, rows pgx.Rows) error {
		s := &out[i]
		return rows.Scan(&s.ID, &s.Repo, &s.Model, &s.Provider, &s.UserEmail, &s.Path, &s.Word, &s.Day)
	})
	collect(`SELECT r.name, a.commit, convert_from(a.path, 'UTF8') FROM added_files a TABLESAMPLE SYSTEM ($1::real) JOIN repos r ON r.id = a.repo_id
		ORDER BY md5(a.commit) LIMIT $2`, func(i int, rows pgx.Rows) error {
		return rows.Scan(&out[i].Added.Repo, &out[i].Added.Commit, &out[i].Added.Path)
	})
	collect(`SELECT r.name, convert_from(f.path, 'UTF8'), convert_from(f.directory, 'UTF8') FROM live_files f TABLESAMPLE SYSTEM ($1::real) JOIN repos r ON r.id = f.repo_id
		WHERE f.kind = 'text' ORDER BY md5(f.path || f.blob::bytea) LIMIT $2`, func(i int, rows pgx.Rows) error {
		return rows.Scan(&out[i].Live.Repo, &out[i].Live.Path, &out[i].Live.Directory)
	})
	collect(`SELECT d.id::text, d.repo, d.pusher, p.name FROM decisions d TABLESAMPLE SYSTEM ($1::real) JOIN policies p ON p.org_id = d.org_id
		ORDER BY md5(d.id::text || p.name) LIMIT $2`, func(i int, rows pgx.Rows) error {
		return rows.Scan(&out[i].Pushed.ID, &out[i].Pushed.Repo, &out[i].Pushed.Pusher, &out[i].Pushed.Policy)
	})
	return out
}

// kind is a kind of requests. Its path may be drawn from two samples; deep is how
// many pages of rows are turned before the one that counts.
type kind struct {
	name string
	path func(x, y sample, r *rand.Rand) string
	deep int
}

// at is the path of a page that has no choice.
func at(path string) func(x, y sample, r *rand.Rand) string {
	return func(sample, sample, *rand.Rand) string { return path }
}

// query is a path with parameters, of which every second is a value.
func query(path string, list ...string) string {
	values := url.Values{}
	for i := 0; i < len(list); i += 2 {
		values.Set(list[i], list[i+1])
	}
	return address(path, values)
}

const turned = 5

// kinds has every page, by its typical filters alone and in pairs.
func kinds() []kind {
	day := func(s sample, days int) string { return s.Day.AddDate(0, 0, days).Format(time.DateOnly) }
	one := func(path string, names ...string) func(x, y sample, r *rand.Rand) string {
		return func(x, y sample, r *rand.Rand) string {
			var list []string
			for i, name := range names {
				s := []sample{x, y}[min(i, 1)]
				value := map[string]string{"repo": s.Repo, "user": s.UserEmail, "model": s.Model, "provider": s.Provider, "path": s.Path,
					"team": fmt.Sprint("team-", r.IntN(5)), "q": s.Word, "min_cost": fmt.Sprintf("%.2f", 2*r.Float64()),
					"from": day(s, -r.IntN(30)), "to": day(y, 30), "sort": "-cost", "current": "false", "policy_result": []string{"refused", "warned"}[r.IntN(2)], "pusher": s.Pushed.Pusher, "policy": s.Pushed.Policy,
					"outcome": []string{"warn", "refuse"}[r.IntN(2)], "author": s.UserEmail, "action": "key.create", "principal": "user:" + s.UserEmail}[name]
				list = append(list, name, value)
			}
			return query(path, list...)
		}
	}
	all := []kind{
		{"(floor: help)", at("/help"), 0}, {"overview", at("/"), 0}, {"overview of a year", at("/?days=365"), 0},
		{"receipt", func(x, _ sample, _ *rand.Rand) string { return "/receipts/" + x.ID }, 0},
		{"coverage", at("/coverage"), 0}, {"coverage of a year", at("/coverage?days=365"), 0},
		{"coverage, pushes counted", at("/coverage?days=30&events=on"), 0},
		{"commit", func(x, _ sample, _ *rand.Rand) string {
			return "/repositories/" + x.Added.Repo + "/commits/" + x.Added.Commit
		}, 0},
		{"repository", func(x, _ sample, _ *rand.Rand) string { return "/repositories/" + x.Repo }, 0},
		{"files", func(x, _ sample, _ *rand.Rand) string { return "/repositories/" + x.Live.Repo + "/files" }, 0},
		{"files of a directory", func(x, _ sample, _ *rand.Rand) string {
			return query("/repositories/"+x.Live.Repo+"/files", "path", x.Live.Directory)
		}, 0},
		{"file", func(x, _ sample, _ *rand.Rand) string {
			return query("/repositories/"+x.Live.Repo+"/files", "path", x.Live.Path)
		}, 0},
		{"decision", func(x, _ sample, _ *rand.Rand) string { return "/decisions/" + x.Pushed.ID }, 0},
		{"policy", func(x, _ sample, _ *rand.Rand) string { return "/policies/" + url.PathEscape(x.Pushed.Policy) }, 0},
		{"change a policy", func(x, _ sample, _ *rand.Rand) string {
			return "/policies/" + url.PathEscape(x.Pushed.Policy) + "/edit"
		}, 0},
		{"endpoint", func(x, _ sample, _ *rand.Rand) string { return "/settings/endpoints/" + x.Endpoint }, 0},
		{"endpoint, pages deep", func(x, _ sample, _ *rand.Rand) string { return "/settings/endpoints/" + x.Endpoint + "?state=failed" }, turned},
		{"team", func(_, _ sample, r *rand.Rand) string { return fmt.Sprint("/teams/team-", r.IntN(5)) }, 0},
		{"operation of the API", at("/help/api/listReceipts"), 0},
	}
	for _, path := range []string{"/enforcement/waiting", "/enforcement/reviews", "/enforcement/waivers", "/policies", "/policies/new", "/repositories",
		"/repositories/new", "/connections/new", "/teams", "/settings", "/settings/people", "/settings/keys", "/settings/webhooks", "/settings/endpoints", "/settings/ssh-keys",
		"/settings/prices", "/settings/identities", "/settings/privacy", "/reports", "/account"} {
		all = append(all, kind{path[1:], at(path), 0})
	}
	for _, list := range []struct {
		path  string
		names []string
	}{
		{"/receipts", []string{"repo", "user", "model", "provider", "path", "team", "q", "min_cost", "from", "sort", "current", "policy_result"}},
		{"/commits", []string{"repo", "author", "from", "to"}},
		{"/enforcement", []string{"repo", "pusher", "outcome", "policy", "from"}},
		{"/enforcement/violations", []string{"repo", "pusher", "policy", "outcome", "from"}},
		{"/audit", []string{"principal", "action", "from"}},
	} {
		all = append(all, kind{list.path[1:], at(list.path), 0}, kind{list.path[1:] + ", pages deep", at(list.path), turned})
		for i, x := range list.names {
			all = append(all, kind{list.path[1:] + " by " + x, one(list.path, x), 0}, kind{list.path[1:] + " by " + x + ", pages deep", one(list.path, x), turned})
			for _, y := range list.names[i+1:] {
				all = append(all, kind{list.path[1:] + " by " + x + ", " + y, one(list.path, x, y), 0})
			}
		}
	}
	return all
}

// wantedKinds are those that -kinds wants. It fails the benchmark if a page is not
// measured at all.
func wantedKinds(b testing.TB) []kind {
	b.Helper()
	wanted, err := regexp.Compile(*benchKinds)
	if err != nil {
		b.Fatal(err)
	}
	some := sample{ID: "x", Repo: "x", Endpoint: "x"}
	some.Added.Repo, some.Added.Commit, some.Live.Repo, some.Pushed.ID, some.Pushed.Policy = "x", "x", "x", "x", "x"
	all, measured := kinds(), map[string]bool{}
	for _, k := range all {
		measured[routeOf(k.path(some, some, rand.New(rand.NewPCG(1, 1))))] = true
	}
	for _, rt := range routes() {
		if rt.method == "GET" && !measured[rt.path] && !slices.Contains(unmeasured, rt.path) {
			b.Errorf("nobody measures %s", rt.path)
		}
	}
	return slices.DeleteFunc(all, func(k kind) bool { return !wanted.MatchString(k.name) })
}

// unmeasured are files, and pages that are like one that is measured: a review is
// a commit with a row of the queue.
var unmeasured = []string{"/reports/{id}/file", reviewsPath + "/{id}", "/static/{hash}/{name}", "/login", "/setup/{token}", "/invitations/{token}", "/password/{token}", "/receipts.csv", "/receipts.json",
	"/audit.csv", referencePath, referencePath + "/schemas/{name}"}

// series is what requests of one kind took.
type series struct {
	name, slowest string
	took          []time.Duration
	bytes         int
}

// measure makes the requests in a mixed order and prints what they took.
func (b *browser) measure(kinds []kind, samples []sample) {
	b.t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]series, len(kinds))
	for i := 0; i < len(samples); i += 2 {
		for k, kind := range kinds {
			path := b.turn(kind.path(samples[i], samples[i+i/2%2], r), kind.deep)
			start := time.Now()
			got := b.get(path).want(200)
			took := time.Since(start)
			s := &all[k]
			s.name, s.bytes = kind.name, max(s.bytes, len(got.body))
			if len(s.took) == 0 || took > slices.Max(s.took) {
				s.slowest = path
			}
			s.took = append(s.took, took)
		}
	}
	printSlowest(all)
}

var nextPage = regexp.MustCompile(`rel="next" href="([^"]+)"`)

// turn turns so many pages of a list, or as many as there are.
func (b *browser) turn(path string, pages int) string {
	for range pages {
		next := nextPage.FindStringSubmatch(b.get(path).want(200).body)
		if next == nil {
			break
		}
		path = html.UnescapeString(next[1])
	}
	return path
}

// quantile is that of a sorted series.
func (s *series) quantile(percent int) time.Duration {
	return s.took[min(len(s.took)-1, len(s.took)*percent/100)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// printSlowest prints, rather than logs, which would cut the table off.
func printSlowest(all []series) {
	bound := pageBound
	if *benchReceipts > 1_000_000 {
		bound = largeBound
	}
	for i := range all {
		slices.Sort(all[i].took)
	}
	slices.SortFunc(all, func(x, y series) int { return cmp.Compare(y.quantile(95), x.quantile(95)) })
	above := 0
	for above < len(all) && all[above].quantile(95) > bound {
		above++
	}
	fmt.Printf("%d kinds of pages, %d requests of each, one client, %d receipts: %d kinds have a p95 above %s; the slowest:\n%-44s %9s %9s %9s %8s\n",
		len(all), len(all[0].took), *benchReceipts, above, bound, "", "p50, ms", "p95, ms", "max, ms", "KB")
	for i, s := range all {
		if i < 15 || *benchTable {
			fmt.Printf("%-44s %9.1f %9.1f %9.1f %8.1f  %s\n", s.name, milliseconds(s.quantile(50)), milliseconds(s.quantile(95)), milliseconds(s.quantile(100)),
				float64(s.bytes)/1024, s.slowest)
		}
	}
}

// paint looks at one page of each kind in Chromium and prints when it was first
// painted.
func (w *world) paint(email string, kinds []kind, s sample) {
	w.t.Helper()
	b := chromium.New(w.t)
	w.signIn(b, email)
	r := rand.New(rand.NewPCG(1, 2))
	var all []series
	const painted = `performance.getEntriesByName("first-contentful-paint")[0]`
	for _, k := range kinds {
		one := series{name: k.name}
		for range 3 {
			path := k.path(s, s, r)
			b.Visit(w.srv.URL + path)
			b.Until(painted)
			took, err := time.ParseDuration(b.Ask(painted+".startTime.toFixed(3)") + "ms")
			if err != nil {
				w.t.Fatal(err)
			}
			one.took, one.slowest = append(one.took, took), path
		}
		slices.Sort(one.took)
		all = append(all, one)
	}
	slices.SortFunc(all, func(x, y series) int { return cmp.Compare(y.quantile(100), x.quantile(100)) })
	above := 0
	for above < len(all) && all[above].quantile(100) > paintBound {
		above++
	}
	fmt.Printf("first paint of %d kinds of pages, 3 times each: %d were above %s; the slowest:\n", len(all), above, paintBound)
	for _, one := range all[:min(5, len(all))] {
		fmt.Printf("%-44s %9.1f ms  %s\n", one.name, milliseconds(one.quantile(100)), one.slowest)
	}
}
