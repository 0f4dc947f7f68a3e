package store

import (
	"context"
	"math"
	"strings"
	"time"
	"unicode"
)

// A page is found by the first of these that holds it, each of which is bounded
// in what it reads:
//
//  1. A short walk through an index in the order asked for. Filters that match
//     often fill the page there.
//  2. All of a range of times or costs, if the order is another one and the range
//     is narrow.
//  3. A longer walk from where the rollups say that receipts begin to match, if
//     they match often from there on.
//  4. What matches in a window at the beginning of the order, gathered by the
//     index on terms and sorted. Windows are tried until one holds a page and not
//     much more.
type effort struct {
	// walked is how many receipts are walked for each that is asked for, walkedCosts
	// the same by cost, where each lies on another page of the table.
	walked, walkedCosts int
	// far is how much longer a walk may be where receipts are known to match.
	far int
	// gathered bounds what a window may hold for each that is asked for, but not
	// below gatheredLeast.
	gathered, gatheredLeast int
}

// usual suits a million receipts, most of them not in PostgreSQL's own memory.
var usual = effort{walked: 10, walkedCosts: 6, far: 6, gathered: 10, gatheredLeast: 1000}

// noEnd makes a walk go on until it has found a page.
const noEnd = math.MaxInt32

// search finds the page without guests.
func (ask receiptQuery) search(ctx context.Context, q querier) ([]Receipt, error) {
	walked := ask.effort.walked * ask.limit
	if ask.order == Costliest {
		walked = ask.effort.walkedCosts * ask.limit
	}
	page, exact, err := ask.walk(ctx, q, walked)
	if err == nil && !exact && len(page) < ask.limit && len(page) > ask.limit/4 {
		walked *= ask.effort.far
		page, _, err = ask.walk(ctx, q, walked)
	}
	if err != nil || exact || len(page) == ask.limit {
		return page, err
	}
	if !hasWord(ask.filter.Text) {
		page, _, err = ask.walk(ctx, q, noEnd)
		return page, err
	}
	known, err := ask.known(ctx, q)
	if err != nil || known.most == 0 {
		return nil, err
	}
	w := gathering{receiptQuery: ask, known: known, found: len(page), walked: walked,
		cap: max(ask.effort.gathered*ask.limit, ask.effort.gatheredLeast)}
	return w.search(ctx, q)
}

// hasWord reports whether the text has something that the index on words holds;
// no text has.
func hasWord(text string) bool {
	return text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// walk reads what matches among the first receipts in order, of a user or a
// repository if there is one. It is exact if there is nothing else to compare.
func (ask receiptQuery) walk(ctx context.Context, q querier, receipts int) (page []Receipt, exact bool, err error) {
	first, rest := ask.split()
	c := newConditions(ask.org)
	first.addFilter(c)
	from := "SELECT r.* FROM receipts r WHERE " + c.where()
	c.parts = []string{"true"}
	rest.addFilter(c)
	if exact = len(c.parts) == 1; exact {
		receipts = ask.limit
	}
	page, err = ask.collect(ctx, q, c, "("+from+ask.ordered(receipts)+")")
	return page, exact, err
}

// split parts the conditions that an index in the order asked for answers from
// the rest.
func (ask receiptQuery) split() (first, rest receiptQuery) {
	first, rest = ask, ask
	rest.after, rest.part = nil, wholeOrder
	first.models, first.filter = nil, ReceiptFilter{}
	f := &first.filter
	if ask.order == Costliest {
		f.MinCost, f.MaxCost, rest.filter.MinCost, rest.filter.MaxCost = ask.filter.MinCost, ask.filter.MaxCost, "", ""
	} else {
		f.From, f.To, rest.filter.From, rest.filter.To = ask.filter.From, ask.filter.To, time.Time{}, time.Time{}
		if ask.filter.UserEmail != "" {
			f.UserEmail, rest.filter.UserEmail = ask.filter.UserEmail, ""
			return first, rest
		}
	}
	if len(ask.filter.Repos) == 1 {
		f.Repos, rest.filter.Repos = ask.filter.Repos, nil
	}
	return first, rest
}

// search goes on where a walk matched too few.
func (w *gathering) search(ctx context.Context, q querier) ([]Receipt, error) {
	page, ok, err := w.ofRange(ctx, q)
	if err != nil || ok {
		return page, err
	}
	w.next = &window{}
	if w.known.most > float64(w.cap) && w.part != unknownCosts {
		if err := w.measure(ctx, q); err != nil {
			return nil, err
		}
		if w.order == Costliest {
			err = w.layCosts(ctx, q)
		} else if page, err = w.walkOn(ctx, q); err == nil && len(page) < w.limit {
			err = w.layTimes(ctx, q)
		}
		if err != nil || len(page) == w.limit {
			return page, err
		}
	}
	return w.read(ctx, q)
}

// measure finds which share of receipts each of the conditions leaves that the
// rollups know nothing of: among those that were walked or, where cost is the
// order, among more that are newest, which lie side by side.
func (w *gathering) measure(ctx context.Context, q querier) error {
	w.rest = 1
	conditions := w.unknown()
	if len(conditions) == 0 {
		return nil
	}
	walk, receipts := w.receiptQuery, w.walked
	if w.order == Costliest {
		walk = receiptQuery{org: w.org, filter: ReceiptFilter{From: w.filter.From, To: w.filter.To}}
		receipts = 2 * w.effort.walked * w.limit
	}
	first, _ := walk.split()
	c := newConditions(w.org)
	first.addFilter(c)
	from := "SELECT r.* FROM receipts r WHERE " + c.where() + walk.ordered(receipts)
	var counts []string
	for _, f := range conditions {
		c.parts = nil
		receiptQuery{org: w.org, filter: f}.addFilter(c)
		counts = append(counts, "count(*) FILTER (WHERE "+c.where()+")")
	}
	rows, err := collect[struct {
		All      float64
		Matching []float64
	}](ctx, q, "measuring receipts", "SELECT count(*)::float8 AS all, ARRAY["+strings.Join(counts, ", ")+"]::float8[] AS matching FROM ("+
		from+") r", append([]any{planned}, c.args...)...)
	for i := range conditions {
		if err == nil && rows[0].All > 0 {
			// Where nothing matched, half a receipt is as good a guess as any.
			w.rest *= max(rows[0].Matching[i], 0.5) / rows[0].All
		}
	}
	return err
}

// unknown are the conditions of which the rollups know nothing, each by itself.
func (ask receiptQuery) unknown() (conditions []ReceiptFilter) {
	f := ask.filter
	for _, only := range []ReceiptFilter{{UserName: f.UserName}, {Text: f.Text}, {Path: f.Path}, {MinCost: f.MinCost, MaxCost: f.MaxCost}} {
		if only.unknown() && (ask.order != Costliest || only.MinCost+only.MaxCost == "") {
			conditions = append(conditions, only)
		}
	}
	return conditions
}

// ofRange reads the page out of all receipts of a range, if there is one that
// the order does not follow and that is narrow.
func (w *gathering) ofRange(ctx context.Context, q querier) (page []Receipt, ok bool, err error) {
	narrow, f := receiptQuery{org: w.org}, w.filter
	var expected float64
	switch {
	case w.order == Costliest && !f.From.IsZero() && !f.To.IsZero():
		narrow.filter.From, narrow.filter.To = f.From, f.To
		expected = w.known.timeAxis(w.receiptQuery, func(p period) float64 { return p.all }).entries()
	case w.order != Costliest && (f.MinCost != "" || f.MaxCost != ""):
		narrow.filter.MinCost, narrow.filter.MaxCost = f.MinCost, f.MaxCost
		costs, err := readCosts(ctx, q)
		if err != nil {
			return nil, false, err
		}
		least, most, _ := w.costs()
		expected = costs.share(least, most) * costs.Rows
	default:
		return nil, false, nil
	}
	if expected > float64(w.cap) {
		return nil, false, nil
	}
	all := &window{}
	gathered, err := w.gather(ctx, q, all, func(c *conditions) string {
		here := &conditions{args: c.args}
		here.add("r.org_id = $1")
		narrow.addFilter(here)
		c.args = here.args
		return here.where()
	})
	return all.page, gathered <= w.cap, err
}

// walkOn walks from where the rollups say that receipts begin to match, if the
// page cannot be far from there. It is no page if it is not full.
func (w *gathering) walkOn(ctx context.Context, q querier) ([]Receipt, error) {
	share, err := w.known.walkedShare(ctx, q, w.receiptQuery, w.walked)
	if err != nil || w.excluded(share) {
		return nil, err
	}
	if w.found >= enough {
		w.rest = min(float64(w.found)/float64(w.walked)/share, 1)
	}
	matches := float64(w.limit) / w.rest
	if err := w.known.refine(ctx, q, w.receiptQuery, matches); err != nil {
		return nil, err
	}
	receipts := 2 * w.known.reach(w.order, matches)
	if receipts > float64(w.effort.far*w.walked) {
		return nil, nil
	}
	there := w.receiptQuery
	there.within(w.known.times())
	page, _, err := there.walk(ctx, q, int(receipts))
	return page, err
}

// enough is how many receipts must have been met to tell how many there are.
const enough = 4

// excluded reports whether so many receipts were to be met, and none was, that
// filters seem to exclude each other.
func (w *gathering) excluded(share float64) bool {
	return w.found == 0 && share*w.rest*float64(w.walked) > 10
}

// within bounds the times.
func (ask *receiptQuery) within(from, to time.Time) {
	if f := &ask.filter; from.After(f.From) {
		f.From = from
	}
	if f := &ask.filter; f.To.IsZero() || to.Before(f.To) {
		f.To = to
	}
}
