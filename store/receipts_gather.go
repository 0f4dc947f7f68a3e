package store

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// gathering looks for a page in windows.
type gathering struct {
	receiptQuery
	known known
	// cap is how many receipts are gathered at most.
	cap int
	// found is how many of the walked receipts matched.
	found, walked int
	// rest is which share of what the rollups make likely matches the rest of the
	// filter.
	rest float64

	axis axis
	// next is the window to try.
	next *window
	// few is the largest window that held too few, many the smallest that held
	// too many.
	few, many *window
	// thorough: the index is asked for terms that most receipts have, too; spared:
	// it was not asked for one.
	thorough, spared bool
	// alike: another path hashes like the one asked for.
	alike bool
}

// window is the beginning of the order up to an edge.
type window struct {
	// edge is nil for all of the order.
	edge *float64
	// entries of the axis lie before the edge.
	entries float64
	// page is what was found, the first page unless there was too much.
	page []Receipt
}

// maxWindows bounds the windows that are tried.
const maxWindows = 8

// layTimes lays the axis along likely matches and chooses the first window.
func (w *gathering) layTimes(ctx context.Context, q querier) error {
	likely := w.wanted() / w.rest
	if err := w.known.refine(ctx, q, w.receiptQuery, likely); err != nil {
		return err
	}
	w.axis = w.known.timeAxis(w.receiptQuery, func(p period) float64 { return p.likely })
	w.next = w.window(likely)
	return nil
}

// wanted is how many matches the first window shall hold: what is counted need
// not be wide of the mark.
func (w *gathering) wanted() float64 {
	if w.known.exact {
		return 2 * float64(w.limit)
	}
	return 4 * float64(w.limit)
}

// layCosts lays the axis along the receipts of the walk and chooses the first
// window. That is all of them if few match or filters exclude each other: by
// cost a small window is hardly read faster.
func (w *gathering) layCosts(ctx context.Context, q querier) error {
	share := w.known.likely / w.known.walked
	if w.part == unknownCosts || w.excluded(share) {
		return nil
	}
	share *= w.rest
	if w.found >= enough {
		share = float64(w.found) / float64(w.walked)
	}
	if share*w.known.walked < 2*w.wanted() {
		return nil
	}
	err := w.layCostAxis(ctx, q)
	w.next = w.window(w.wanted() / share)
	return err
}

func (w *gathering) layCostAxis(ctx context.Context, q querier) error {
	costs, err := readCosts(ctx, q)
	least, most, _ := w.costs()
	w.axis = costs.axis(least, most, w.known.walked)
	return err
}

// window is one with at least so many entries.
func (w *gathering) window(entries float64) *window {
	edge := w.axis.edge(entries, w.order)
	if edge == nil {
		return &window{entries: w.axis.entries()}
	}
	return &window{edge: edge, entries: w.axis.before(*edge)}
}

// read tries windows until one holds the page. Should none do, those that held
// too few and too many lie side by side, and what is between their edges is
// walked.
func (w *gathering) read(ctx context.Context, q querier) ([]Receipt, error) {
	for range maxWindows {
		if w.few.sameAs(w.next) || w.many.sameAs(w.next) {
			break
		}
		gathered, err := w.gather(ctx, q, w.next, w.indexed)
		switch {
		case err != nil:
			return nil, err
		case gathered > w.cap && len(w.next.page) < w.limit && w.spared:
			w.thorough = true
		case gathered > w.cap:
			if w.axis == nil && w.part == knownCosts {
				if err := w.layCostAxis(ctx, q); err != nil {
					return nil, err
				}
				w.next.entries = w.axis.entries()
			}
			w.many = w.next
			w.next = w.smaller()
		case len(w.next.page) == w.limit || w.next.edge == nil:
			return w.next.page, nil
		default:
			w.few = w.next
			w.next = w.larger()
		}
	}
	return w.finish(ctx, q)
}

// larger chooses the window after one that held too few.
func (w *gathering) larger() *window {
	if w.many != nil {
		return w.window(math.Sqrt(w.few.entries * w.many.entries))
	}
	found := float64(len(w.few.page))
	// All of it, if what was found leads to expect no more than fits.
	if 2*found*w.axis.entries() < w.few.entries*float64(w.cap) {
		return w.window(math.Inf(1))
	}
	return w.window(w.few.entries * max(2*float64(w.limit)/max(found, 1), 2))
}

// smaller chooses the window after one that held too many. By cost, what was
// gathered is a sample of them, which shows where the costliest are.
func (w *gathering) smaller() *window {
	few := w.many.entries / 64
	if w.few != nil {
		few = w.few.entries
	}
	if sample := w.many.page; w.order == Costliest && w.part == knownCosts && len(sample) > 0 {
		matches := max(float64(w.cap), w.known.likely*w.rest)
		at := sample[min(int(3*float64(w.limit*w.cap)/matches), len(sample)-1)]
		if edge := stepCost(costStep(number(*at.CostUSD))); w.axis.before(edge) > few {
			return &window{edge: &edge, entries: w.axis.before(edge)}
		}
	}
	return w.window(math.Sqrt(few * w.many.entries))
}

func (w *window) sameAs(other *window) bool {
	return w != nil && (w.edge == other.edge || (w.edge != nil && other.edge != nil && *w.edge == *other.edge))
}

// finish walks on from the window that held too few, or from where the first may
// be.
func (w *gathering) finish(ctx context.Context, q querier) ([]Receipt, error) {
	rest, found := w.receiptQuery, []Receipt(nil)
	if w.few != nil {
		found = w.few.page
		rest.limit -= len(found)
		rest.beyond(*w.few.edge)
	} else {
		rest.within(w.known.times())
	}
	page, _, err := rest.walk(ctx, q, noEnd)
	return append(found, page...), err
}

// beyond leaves of the list what lies beyond the edge of a window.
func (ask *receiptQuery) beyond(edge float64) {
	switch ask.order {
	case Newest:
		ask.filter.To = moment(edge)
	case Oldest:
		ask.filter.From = moment(edge)
	case Costliest:
		below := Decimal(decimal(edge))
		ask.after = &ReceiptPosition{Cost: &below}
	}
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// number is near a decimal, which PostgreSQL has read or will.
func number(d Decimal) float64 {
	n, _ := strconv.ParseFloat(string(d), 64)
	return n
}

// gather reads the page out of the receipts of a window that a condition finds.
// If more was gathered than fits, the page is not the first one.
func (w *gathering) gather(ctx context.Context, q querier, in *window, find func(*conditions) string) (gathered int, err error) {
	c := newConditions(w.org)
	if w.next = in; in.edge != nil {
		w.addEdge(c, *in.edge)
	}
	found := find(c)
	// A path that is no pattern is found by its term; only if two hash alike it
	// must be looked for in more than the page.
	here, hasPath := w.receiptQuery, "true"
	if w.filter.Path != "" && !strings.Contains(w.filter.Path, "*") && !w.alike {
		here.filter.Path, hasPath = "", w.hasPath(c)
	}
	here.addFilter(c)
	rows, err := collect[struct {
		Receipt
		Matches, HasPath bool
		Gathered         int
	}](ctx, q, "querying receipts", "SELECT "+receiptColumns+", r.matches, r.gathered, "+hasPath+` AS has_path FROM (
		SELECT * FROM (
			SELECT r.*, coalesce(`+c.where()+`, false) AS matches, count(*) OVER () AS gathered
			FROM (SELECT r.* FROM receipts r WHERE `+found+" LIMIT "+itoa(w.cap+1)+`) r) r
		ORDER BY r.matches DESC, `+orderBy[w.order].order+" LIMIT "+itoa(w.limit)+`) r`, append([]any{planned}, c.args...)...)
	in.page = nil
	for i := range rows {
		gathered = rows[i].Gathered
		if !rows[i].Matches {
			break
		}
		if !rows[i].HasPath {
			w.alike = true
			return w.gather(ctx, q, in, find)
		}
		in.page = append(in.page, rows[i].Receipt)
	}
	return gathered, err
}

// addEdge bounds the window exactly; its terms reach a little further.
func (w *gathering) addEdge(c *conditions, edge float64) {
	switch w.order {
	case Newest:
		c.add("r.timestamp >= ?", moment(edge))
	case Oldest:
		c.add("r.timestamp < ?", moment(edge))
	case Costliest:
		c.add("r.cost_usd >= ?::numeric", decimal(edge))
	}
}

// indexed is the condition that the index on terms and words answers for the
// next window.
func (w *gathering) indexed(c *conditions) string {
	t := &terms{c: c}
	w.spared = false
	w.addDays(t)
	w.addCosts(t)
	w.addTerms(t)
	if w.filter.Text == "" {
		return t.where()
	}
	return t.where() + " AND r.prompt_summary ILIKE " + c.arg(textPattern(w.filter.Text))
}

func (w *gathering) addTerms(t *terms) {
	f := w.filter
	if len(f.Repos) > 0 {
		t.oneOf("repo", texts(f.Repos))
	}
	if f.UserEmail != "" {
		t.have("user", "lower("+t.c.arg(f.UserEmail)+")")
	}
	if f.UserName != "" {
		t.have("name", "lower("+t.c.arg(f.UserName)+")")
	}
	if f.Emails != nil {
		t.oneOf("user", f.Emails)
	}
	if w.models != nil {
		t.oneOf("model", w.models)
	}
	if keys := pathTerms(w.org, f.Path); keys != nil {
		t.paths(keys)
	}
	if f.Provider != "" && w.worth("provider") {
		t.have("provider", t.c.arg(f.Provider))
	}
	if f.Source != "" && w.worth("source") {
		t.have("source", t.c.arg(f.Source))
	}
	if f.Current != nil && w.worth("current") {
		t.have("current", t.c.arg(strconv.FormatBool(*f.Current)))
	}
}

// worth reports whether a term is worth its reading: of what most receipts have
// the index would read much to leave little out.
func (w *gathering) worth(dimension string) bool {
	if w.thorough || w.known.shares[dimension] < 0.6 {
		return true
	}
	w.spared = true
	return false
}

func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// addDays asks for the days of filter, position and window, if these bound them.
// A day of some time zone lies between the UTC days before and after it.
func (w *gathering) addDays(t *terms) {
	from, to := w.bounds()
	if edge := w.next.edge; edge != nil && w.order == Newest {
		from = moment(*edge)
	} else if edge != nil && w.order == Oldest {
		to = moment(*edge)
	}
	if from.IsZero() && to.IsZero() {
		return
	}
	first, last := w.known.times()
	if from.Before(first) {
		from = first
	}
	if to.IsZero() || to.After(last) {
		to = last
	}
	t.days(utcDay(from).AddDate(0, 0, -1), utcDay(to).AddDate(0, 0, 1))
}

// addCosts asks for the costs of filter, position and window, if these bound them.
func (w *gathering) addCosts(t *terms) {
	if w.part == unknownCosts {
		t.have("cost", "''")
		return
	}
	least, most, bounded := w.costs()
	if edge := w.next.edge; edge != nil && w.order == Costliest {
		least, bounded = *edge, true
	}
	if bounded {
		t.costs(least, most)
	}
}

// costs are the bounds of cost by filter and position, and whether there are any.
func (ask receiptQuery) costs() (least, most float64, bounded bool) {
	most = math.Inf(1)
	if ask.filter.MinCost != "" {
		least, bounded = number(ask.filter.MinCost), true
	}
	if ask.filter.MaxCost != "" {
		most, bounded = number(ask.filter.MaxCost), true
	}
	if p := ask.after; p != nil && p.Cost != nil && ask.order == Costliest {
		most, bounded = min(most, number(*p.Cost)), true
	}
	return least, most, bounded
}

// bounds are the moments within which the page must lie, by filter and
// position; zero: unbounded.
func (ask receiptQuery) bounds() (from, to time.Time) {
	from, to = ask.filter.From, ask.filter.To
	if p := ask.after; p != nil && ask.order == Newest && (to.IsZero() || p.Timestamp.Before(to)) {
		to = p.Timestamp
	}
	if p := ask.after; p != nil && ask.order == Oldest && p.Timestamp.After(from) {
		from = p.Timestamp
	}
	return from, to
}
