package ui

import (
	"context"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/store"
)

// Overview is the first page: what a period brought, and what needs attention.
type Overview struct {
	Base
	Days    int
	Periods []View
	// From and To are its days; Rows is where its receipts are.
	From, To time.Time
	Rows     string
	Figures  []Figure
	// LineFigures are whose the added lines are, Lines and Classes their bar.
	LineFigures []Figure
	Lines       store.LineSums
	Classes     Share
	Charts      []Chart
	// Models, Repos and People are the costliest.
	Models, Repos, People []Ranked
	Attention             Attention
	// Empty says that the organisation has no receipt at all.
	Empty bool
}

// Ranked is a row of a list of the costliest.
type Ranked struct {
	Name, Path string
	Receipts   int64
	Cost       store.Decimal
	// Part is the cost beside that of the whole period, in hundredths.
	Part Share
}

// Ranking is a table of the costliest.
type Ranking struct {
	ID, Title, What string
	Rows            []Ranked
}

func newRanking(title, what string, rows []Ranked) Ranking {
	return Ranking{strings.ToLower(what) + "-ranking", title, what, rows}
}

// Attention is what somebody should look at.
type Attention struct {
	Held, Pending []store.Decision
	Reviews       []store.WantedReview
	Violations    []store.Violation
	Failing       []store.Repo
	// Connections are those to forges that fail.
	Connections []store.Connection
	// Endpoints are those that take no messages; administrators are shown them.
	Endpoints []store.Endpoint
}

// Any reports whether there is anything to look at.
func (a Attention) Any() bool {
	return len(a.Held)+len(a.Pending)+len(a.Reviews)+len(a.Failing)+len(a.Connections)+len(a.Endpoints) > 0
}

// Cut reports whether there may be more than is listed.
func (a Attention) Cut() bool {
	return max(len(a.Held), len(a.Pending), len(a.Reviews), len(a.Failing)) == maxAttention
}

// periods are the lengths that can be chosen, in days.
var periods = []int{7, 30, 90, 365}

const (
	usualPeriod = 30
	topRanked   = 8
	// maxAttention is how many of a kind the overview lists.
	maxAttention = 5
)

func (p *pages) overview(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/", "Overview")
	if err != nil {
		return err
	}
	page := &Overview{Base: base, Days: daysOf(r)}
	page.Periods = periodViews("/", page.Days)
	group, ctx := errgroup.WithContext(r.Context())
	group.Go(func() error { return p.sums(ctx, page) })
	group.Go(func() (err error) {
		page.Attention, err = p.attention(ctx, base.Viewer)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "overview", page)
}

// sums reads the period and the one before it, both of the organisation's days.
func (p *pages) sums(ctx context.Context, page *Overview) error {
	page.From, page.To = page.lastDays(page.Days)
	org, period := page.Viewer.Org, store.AnalyticsFilter{From: page.From, To: page.To}
	page.Rows = "/receipts?" + dayRows(page.From, page.To)
	now, before, top, err := p.compared(ctx, org, period, page.Days)
	if err != nil {
		return err
	}
	page.fill(&now, &before)
	cost := now.Total.CostUSD
	page.Models, page.Repos = ranked(top.Models, cost, page.Rows, "model"), ranked(top.Repos, cost, page.Rows, "repo")
	for _, person := range now.Parts {
		page.People = append(page.People, ranked([]store.KeySums{{Key: person.Key, Receipts: person.Receipts, CostUSD: person.CostUSD}}, cost, page.Rows, "user")...)
	}
	return nil
}

// compared reads the sums of a period and of the one before it, at once.
func (p *pages) compared(ctx context.Context, org uuid.UUID, period store.AnalyticsFilter, days int) (now store.FiguresAnswer, before store.Figures, top store.Analytics, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		now, err = p.cfg.DB.Figures(ctx, org, store.FiguresQuestion{AnalyticsFilter: period, Series: store.Daily, By: store.FiguresByUser, Top: topRanked})
		return err
	})
	group.Go(func() (err error) {
		top, err = p.cfg.DB.Analytics(ctx, org, period, topRanked)
		return err
	})
	group.Go(func() (err error) {
		before, err = p.cfg.DB.FigureTotals(ctx, org, store.AnalyticsFilter{From: period.From.AddDate(0, 0, -days), To: period.From.AddDate(0, 0, -1)})
		return err
	})
	err = group.Wait()
	return now, before, top, err
}

// daysOf is the length of the period that a query asks for.
func daysOf(r *http.Request) int {
	if n, err := strconv.Atoi(r.URL.Query().Get("days")); err == nil && n > 0 && n <= periods[len(periods)-1] {
		return n
	}
	return usualPeriod
}

// periodViews are the lengths that can be chosen on a page.
func periodViews(path string, days int) []View {
	var out []View
	for _, n := range periods {
		out = append(out, View{Name: strconv.Itoa(n) + " days", Path: path + "?days=" + strconv.Itoa(n), Current: n == days})
	}
	return out
}

// lastDays are the first and the last of some days up to today in the
// organisation's time zone, by which sums are kept; both as midnight UTC.
func (b *Base) lastDays(days int) (from, to time.Time) {
	year, month, day := b.Now.In(b.OrgZone).Date()
	to = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return to.AddDate(0, 0, 1-days), to
}

// fill lays the sums out.
func (p *Overview) fill(now *store.FiguresAnswer, before *store.Figures) {
	p.Empty = now.Total.Receipts == 0 && before.Receipts == 0
	whole := func(n int64) store.Decimal { return store.Decimal(strconv.FormatInt(n, 10)) }
	p.Figures = promptFigures(&now.Total, p.Rows)
	p.Figures[0].Change = change(now.Total.CostUSD, before.CostUSD, p.Days)
	p.Figures[1].Change = change(whole(now.Total.Prompts), whole(before.Prompts), p.Days)
	p.Figures = append(p.Figures, []Figure{
		{Name: "Tokens in", Value: amount(now.Total.InputTokens), Rows: p.Rows + tokenColumns, Definition: "tokens",
			Beside: "cache read " + amount(now.Total.CacheReadTokens)},
		{Name: "Tokens out", Value: amount(now.Total.OutputTokens), Rows: p.Rows + tokenColumns, Definition: "tokens"},
	}...)
	lines, was := now.Total.Lines, before.Lines
	p.Lines, p.Classes = lines, lineShare(lines.AI, lines.Human, lines.Unknown)
	p.LineFigures = lineFigures(lines, commitRows(p.From, p.To))
	p.LineFigures[0].Change = points(lines.AI, lines.Added, was.AI, was.Added, p.Days)
	p.LineFigures[1].Change = points(lines.Unknown, lines.Added, was.Unknown, was.Added, p.Days)
	p.LineFigures[2].Change = points(lines.CommitsNoted, lines.Commits, was.CommitsNoted, was.Commits, p.Days)
	p.LineFigures = append(p.LineFigures, liveFigure(now.Live, "/repositories"))
	p.Charts = trends(p.From, p.To, now.Series)
}

// tokenColumns show tokens in the list of receipts.
const tokenColumns = "&col=when&col=user&col=repo&col=model&col=in&col=out"

// trends are the cost, whose the added lines were, the prompts and the lines, over
// the days.
func trends(from, to time.Time, series []store.PeriodFigures) []Chart {
	var cost, prompts, sizes []point
	var lines []linePoint
	for _, d := range series {
		cost = append(cost, point{d.Day, d.CostUSD})
		prompts = append(prompts, point{d.Day, store.Decimal(strconv.FormatInt(d.Prompts, 10))})
		sizes = append(sizes, point{d.Day, store.Decimal(strconv.FormatInt(d.Lines.Added, 10))})
		lines = append(lines, linePoint{d.Day, d.Lines.AI, d.Lines.Human, d.Lines.Unknown})
	}
	return []Chart{barChart("Cost", "Cost, US dollars", "cost", from, to, cost, usd), shareChart(from, to, lines),
		barChart("Prompts", "Prompts", "plain", from, to, prompts, count), barChart("Added lines", "Lines", "plain", from, to, sizes, count)}
}

func ranked(sums []store.KeySums, total store.Decimal, rows, filter string) []Ranked {
	out := make([]Ranked, len(sums))
	for i, k := range sums {
		out[i] = Ranked{Name: k.Key, Receipts: k.Receipts, Cost: k.CostUSD, Part: costShare(k.CostUSD, total)}
		if k.Key != "" {
			out[i].Path = rows + "&" + filter + "=" + url.QueryEscape(k.Key)
		}
	}
	return out
}

// costShare is the bar of a part of a cost.
func costShare(part, whole store.Decimal) Share {
	f, all := float(part), float(whole)
	if all <= 0 {
		return Share{Summary: "no cost"}
	}
	text := strconv.FormatFloat(100*f/all, 'f', 1, 64) + " % of the period's cost"
	return Share{Summary: text, Parts: []Part{{Kind: "cost", X: "0", W: decimal(100 * f / all), Label: text}}}
}

// float is a decimal for drawing; what is counted stays exact.
func float(d store.Decimal) float64 {
	f, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		return 0
	}
	return f
}

// change compares a sum with that of the days before.
func change(now, before store.Decimal, days int) string {
	n, ok := new(big.Rat).SetString(orZero(now))
	b, ok2 := new(big.Rat).SetString(orZero(before))
	switch {
	case !ok || !ok2 || (n.Sign() == 0 && b.Sign() == 0):
		return ""
	case b.Sign() == 0:
		return "none in the " + strconv.Itoa(days) + " days before"
	}
	ratio, _ := new(big.Rat).Quo(new(big.Rat).Sub(n, b), b).Float64()
	sign := "+"
	if ratio < 0 {
		sign = "−"
		ratio = -ratio
	}
	return sign + strconv.FormatFloat(100*ratio, 'f', 0, 64) + " % on the " + strconv.Itoa(days) + " days before"
}

// points compares a share with that of the days before, in hundredths of the whole.
func points(part, whole, partBefore, wholeBefore int64, days int) string {
	if whole == 0 || wholeBefore == 0 {
		return ""
	}
	d := 100*float64(part)/float64(whole) - 100*float64(partBefore)/float64(wholeBefore)
	sign := "+"
	if d < 0 {
		sign, d = "−", -d
	}
	return sign + strconv.FormatFloat(d, 'f', 1, 64) + " points on the " + strconv.Itoa(days) + " days before"
}

func orZero(d store.Decimal) string {
	if d == "" {
		return "0"
	}
	return string(d)
}

// attention reads the newest of what waits for somebody.
func (p *pages) attention(ctx context.Context, who Viewer) (a Attention, err error) {
	org := who.Org
	if who.MayAdmin() {
		if a.Endpoints, err = p.cfg.DB.FailingEndpoints(ctx, org, maxAttention); err != nil {
			return a, err
		}
	}
	if a.Held, err = p.cfg.DB.Decisions(ctx, org, store.DecisionFilter{State: store.StateHeld}, uuid.Nil, maxAttention); err != nil {
		return a, err
	}
	if a.Pending, err = p.cfg.DB.Decisions(ctx, org, store.DecisionFilter{State: store.StatePending}, uuid.Nil, maxAttention); err != nil {
		return a, err
	}
	if a.Reviews, err = p.cfg.DB.WantedReviews(ctx, org, maxAttention); err != nil {
		return a, err
	}
	waived := false
	if a.Violations, err = p.cfg.DB.Violations(ctx, org, store.ViolationFilter{Waived: &waived}, uuid.Nil, maxAttention); err != nil {
		return a, err
	}
	repos, err := p.cfg.DB.Repos(ctx, org)
	for _, repo := range repos {
		if repo.FetchFailures > 0 && len(a.Failing) < maxAttention {
			a.Failing = append(a.Failing, repo)
		}
	}
	if err != nil {
		return a, err
	}
	connections, err := p.cfg.DB.Connections(ctx, org)
	for _, c := range connections {
		if c.Problem != "" {
			a.Connections = append(a.Connections, c)
		}
	}
	return a, err
}
