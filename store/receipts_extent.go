package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// extent is where the rollups show receipts that match the filter.
type extent struct {
	// none: nothing matches.
	none bool
	// gather: what lies between from and to shall be gathered by several
	// indexes and sorted, instead of walking one index in the order asked for.
	gather bool
	// from and to bound the walk; zero: unbounded.
	from, to time.Time
}

// few is how many matches are gathered rather than found on a walk, which is
// where both take about as long among a million receipts: by time the walk has
// bounds, by cost it has none.
func (o ReceiptOrder) few() int64 {
	if o == Costliest {
		return 7000
	}
	return 2000
}

func (e extent) add(c *conditions) {
	if !e.from.IsZero() {
		c.add("r.timestamp >= ?", e.from)
	}
	if !e.to.IsZero() {
		c.add("r.timestamp < ?", e.to)
	}
}

// slice is a part of the rollups: the sums of one dimension for some keys.
type slice struct {
	dimension string
	keys      []string
	keys2     []string
}

// slices are the parts of the rollups that bound the filter, and whether they
// count its matches exactly.
func (f ReceiptFilter) slices(models []string) (parts []slice, exact bool) {
	none := []string{""}
	users := f.Emails
	if f.UserEmail != "" {
		users = []string{f.UserEmail}
	}
	switch {
	case users != nil && models != nil:
		parts = append(parts, slice{"user_model", users, models})
	case users != nil:
		parts = append(parts, slice{"user", users, none})
	case models != nil:
		parts = append(parts, slice{"model", models, none})
	}
	if f.Provider != "" {
		parts = append(parts, slice{"provider", []string{f.Provider}, none})
	}
	if f.Source != "" {
		parts = append(parts, slice{"source", []string{f.Source}, none})
	}
	if len(parts) == 0 {
		parts = append(parts, slice{"all", none, none})
	}
	unknown := f.UserName != "" || f.Commit != "" || f.Path != "" || f.Text != "" || f.MinCost != "" || f.MaxCost != "" ||
		(f.UserEmail != "" && f.Emails != nil)
	return parts, len(parts) == 1 && !unknown
}

// indexes counts the conditions that have an index.
func (f ReceiptFilter) indexes(models []string) int {
	n := 0
	for _, size := range []int{len(f.Repos), len(models), len(f.UserEmail) + len(f.Emails), len(f.UserName), len(f.Provider)} {
		if size > 0 {
			n++
		}
	}
	return n
}

// ordered reports whether one index alone answers the filter in order, so that
// there is nothing to be learnt from the rollups.
func (f ReceiptFilter) ordered(models []string) bool {
	return f.indexes(models) <= 1 && len(f.Repos) <= 1 && len(models) <= 1 && f.Emails == nil && f.Source == "" && f.Current == nil
}

// receiptExtent asks the rollups where the receipts are. The rollups change in
// the transaction that changes receipts, and both are read from one snapshot.
func receiptExtent(ctx context.Context, q querier, ask receiptQuery, models []string) (extent, error) {
	if ask.filter.ordered(models) {
		return extent{}, nil
	}
	parts, exact := ask.filter.slices(models)
	out := extent{}
	for _, part := range parts {
		days, err := ask.days(ctx, q, part)
		if err != nil {
			return extent{}, err
		}
		out = out.intersect(ask.extentOf(days, exact))
	}
	// Several indexes together leave only what matches to be fetched.
	out.gather = out.gather && ask.filter.indexes(models) > 1
	return out, nil
}

// dayCount is how many receipts a day has, in the organisation's time zone.
type dayCount struct {
	Day      time.Time
	Receipts int64
}

// days lists the days in which receipts of a slice may match, newest first.
func (ask receiptQuery) days(ctx context.Context, q querier, part slice) ([]dayCount, error) {
	f := ask.filter
	repos := f.Repos
	if len(repos) == 0 {
		repos = []uuid.UUID{uuid.Nil}
	}
	count := "receipts"
	if f.Current != nil {
		count = map[bool]string{true: "receipts_current", false: "receipts - receipts_current"}[*f.Current]
	}
	c := &conditions{}
	c.add("org_id = ? AND dimension = ?", ask.org, part.dimension)
	c.add(oneOf("repo_id", repos, c))
	if f.UserEmail != "" && strings.HasPrefix(part.dimension, "user") {
		c.add("key = lower(?)", f.UserEmail)
	} else {
		c.add(oneOf("key", part.keys, c))
	}
	c.add(oneOf("key2", part.keys2, c))
	from, to := ask.bounds()
	if !from.IsZero() {
		c.add("day >= ?", from.AddDate(0, 0, -1))
	}
	if !to.IsZero() {
		c.add("day <= ?", to.AddDate(0, 0, 1))
	}
	return collect[dayCount](ctx, q, "reading daily sums", "SELECT day, sum("+count+")::bigint AS receipts FROM rollups WHERE "+
		c.where()+" GROUP BY day HAVING sum("+count+") > 0 ORDER BY day DESC", append([]any{planned}, c.args...)...)
}

// bounds are the UTC days within which the page must lie, by filter and
// position; zero: unbounded.
func (ask receiptQuery) bounds() (from, to time.Time) {
	from, to = ask.filter.From, ask.filter.To
	if p := ask.after; p != nil && ask.order == Newest && (to.IsZero() || p.Timestamp.Before(to)) {
		to = p.Timestamp
	}
	if p := ask.after; p != nil && ask.order == Oldest && p.Timestamp.After(from) {
		from = p.Timestamp
	}
	return utcDay(from), utcDay(to)
}

func utcDay(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(24 * time.Hour)
}

// extentOf bounds the page by the days in which receipts match. A day of some
// time zone lies between the UTC days before and after it.
func (ask receiptQuery) extentOf(days []dayCount, exact bool) extent {
	if len(days) == 0 {
		return extent{none: true}
	}
	var total int64
	for _, d := range days {
		total += d.Receipts
	}
	out := extent{
		gather: total <= ask.order.few() || (exact && ask.order != Costliest),
		from:   days[len(days)-1].Day.AddDate(0, 0, -1),
		to:     days[0].Day.AddDate(0, 0, 2),
	}
	if !exact {
		return out
	}
	switch ask.order {
	case Newest:
		if day, ok := ask.enough(days, 1); ok {
			out.from = day.AddDate(0, 0, -1)
		}
	case Oldest:
		if day, ok := ask.enough(days, -1); ok {
			out.to = day.AddDate(0, 0, 2)
		}
	case Costliest:
	}
	return out
}

// enough is the day at which the days that lie wholly within the page's bounds
// have a page together, walking from newest (step 1) or oldest (-1).
func (ask receiptQuery) enough(days []dayCount, step int) (time.Time, bool) {
	from, to := ask.bounds()
	i, sum := 0, int64(0)
	if step < 0 {
		i = len(days) - 1
	}
	for ; i >= 0 && i < len(days); i += step {
		day := days[i].Day
		if (!from.IsZero() && day.Before(from.AddDate(0, 0, 2))) || (!to.IsZero() && day.After(to.AddDate(0, 0, -2))) {
			continue
		}
		if sum += days[i].Receipts; sum >= int64(ask.limit) {
			return day, true
		}
	}
	return time.Time{}, false
}

func (e extent) intersect(o extent) extent {
	out := extent{none: e.none || o.none, gather: e.gather || o.gather, from: e.from, to: e.to}
	if o.from.After(out.from) {
		out.from = o.from
	}
	if out.to.IsZero() || (!o.to.IsZero() && o.to.Before(out.to)) {
		out.to = o.to
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }
