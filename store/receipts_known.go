package store

import (
	"context"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// known is what the rollups tell of the receipts that match.
type known struct {
	// periods are those in which receipts may match, newest first.
	periods []period
	// most is how many match at most, exactly so many if exact.
	most  float64
	exact bool
	// likely is how many match if the filters have nothing to do with each other,
	// of those that a walk goes through.
	likely, walked float64
	// shares are those that the parts have of all, by dimension.
	shares map[string]float64
}

// period is a month or a day.
type period struct {
	start, end time.Time
	// all are those of the repositories filtered, if any are.
	all, most, likely, walked float64
}

// slice is a part of the rollups: the sums of one dimension for some keys.
type slice struct {
	dimension string
	keys      []string
	keys2     []string
	repos     []uuid.UUID
}

// slices are the parts of the rollups that bound the filter, and whether they
// count its matches exactly.
func (ask receiptQuery) slices() (parts []slice, exact bool) {
	f, none := ask.filter, []string{""}
	users := f.Emails
	if f.UserEmail != "" {
		users = []string{f.UserEmail}
	}
	add := func(dimension string, keys, keys2 []string) {
		parts = append(parts, slice{dimension, keys, keys2, f.Repos})
	}
	// Of many users and many models the pairs would be too many.
	if users != nil && ask.models != nil && len(users)*len(ask.models) <= 50 {
		add("user_model", users, ask.models)
	} else {
		if users != nil {
			add("user", users, none)
		}
		if ask.models != nil {
			add("model", ask.models, none)
		}
	}
	if f.Provider != "" {
		add("provider", []string{f.Provider}, none)
	}
	if f.Source != "" {
		add("source", []string{f.Source}, none)
	}
	if len(parts) == 0 {
		add("all", none, none)
	}
	return parts, len(parts) == 1 && !f.unknown()
}

// unknown reports whether the filter has conditions that rollups know nothing of.
func (f ReceiptFilter) unknown() bool {
	return f.UserName != "" || f.Path != "" || f.Text != "" || f.MinCost != "" || f.MaxCost != "" ||
		(f.UserEmail != "" && f.Emails != nil)
}

// walkedSlice is the part that counts what a walk goes through.
func (ask receiptQuery) walkedSlice() slice {
	first, _ := ask.split()
	if first.filter.UserEmail != "" {
		return slice{"user", []string{first.filter.UserEmail}, []string{""}, nil}
	}
	return slice{"all", []string{""}, []string{""}, first.filter.Repos}
}

// daily is how long a period may be for its days to be read instead of months.
const daily = 62 * 24 * time.Hour

// known asks the rollups. They change in the transaction that changes receipts,
// and both are read from one snapshot.
func (ask receiptQuery) known(ctx context.Context, q querier) (known, error) {
	from, to := ask.bounds()
	days := !from.IsZero() && !to.IsZero() && to.Sub(from) < daily
	_, exact := ask.slices()
	out := known{exact: exact}
	periods, shares, err := ask.periods(ctx, q, days, from, to)
	if err != nil {
		return known{}, err
	}
	if out.shares = shares; ask.filter.Current != nil && *ask.filter.Current {
		// Most are.
		out.shares["current"] = 1
	}
	for _, p := range periods {
		out.walked += p.walked
		out.likely += p.likely
		out.most += p.most
	}
	out.periods = periods
	return out, nil
}

// periods sums up days or months, newest first, and the shares of the parts.
func (ask receiptQuery) periods(ctx context.Context, q querier, days bool, from, to time.Time) (out []period,
	shares map[string]float64, err error) {
	parts, _ := ask.slices()
	c := &conditions{args: []any{ask.org}}
	var queries []string
	// Last come what the parts are parts of and what is walked.
	for i, part := range append(parts, slice{"all", []string{""}, []string{""}, ask.filter.Repos}) {
		queries = append(queries, ask.sums(c, i, part, days, from, to))
	}
	walked := ask
	walked.filter.Current = nil
	if ask.order == Costliest {
		from, to = time.Time{}, time.Time{}
	}
	queries = append(queries, walked.sums(c, len(queries), ask.walkedSlice(), days, from, to))
	rows, err := collect[struct {
		Part     int
		Day      time.Time
		Receipts float64
	}](ctx, q, "reading sums", strings.Join(queries, " UNION ALL "), append([]any{planned}, c.args...)...)
	if err != nil {
		return nil, nil, err
	}
	sums, totals := map[time.Time][]float64{}, make([]float64, len(queries))
	for _, r := range rows {
		totals[r.Part] += r.Receipts
		if sums[r.Day] == nil {
			sums[r.Day] = make([]float64, len(queries))
		}
		sums[r.Day][r.Part] = r.Receipts
	}
	shares = map[string]float64{}
	for i, part := range parts {
		shares[part.dimension] = totals[i] / max(totals[len(parts)], 1)
	}
	for start, of := range sums {
		out = append(out, periodOf(start, days, of[:len(parts)], of[len(parts)], of[len(parts)+1]))
	}
	slices.SortFunc(out, func(a, b period) int { return b.start.Compare(a.start) })
	return out, shares, nil
}

// periodOf joins the parts: what matches all of them is at most what matches the
// one that matches least. Filters that have nothing to do with each other would
// leave less; what is likely lies between.
func periodOf(start time.Time, day bool, parts []float64, all, walked float64) period {
	out := period{start: start, end: start.AddDate(0, 1, 0), all: all, most: slices.Min(parts), walked: walked}
	if day {
		out.end = start.AddDate(0, 0, 1)
	}
	independent := all
	for _, part := range parts {
		independent *= min(part/max(all, 1), 1)
	}
	out.likely = math.Sqrt(out.most * independent)
	return out
}

// sums selects the sums of a slice by day or month.
func (ask receiptQuery) sums(c *conditions, part int, s slice, days bool, from, to time.Time) string {
	count := "receipts"
	if f := ask.filter; f.Current != nil {
		count = map[bool]string{true: "receipts_current", false: "receipts - receipts_current"}[*f.Current]
	}
	where := &conditions{args: c.args}
	where.add("org_id = $1 AND dimension = '" + s.dimension + "'")
	if len(s.repos) == 0 {
		s.repos = []uuid.UUID{uuid.Nil}
	}
	where.add(oneOf("repo_id", s.repos, where))
	if strings.HasPrefix(s.dimension, "user") && ask.filter.UserEmail != "" {
		where.add("key = lower(?)", s.keys[0])
	} else {
		where.add(oneOf("key", s.keys, where))
	}
	where.add(oneOf("key2", s.keys2, where))
	table, first := "rollup_months", monthOf
	if days {
		table, first = "rollups", utcDay
	}
	// A day of some time zone lies between the UTC days before and after it.
	if !from.IsZero() {
		where.add("day >= ?", first(from.AddDate(0, 0, -1)))
	}
	if !to.IsZero() {
		where.add("day <= ?", first(to.AddDate(0, 0, 1)))
	}
	c.args = where.args
	return "SELECT " + itoa(part) + " AS part, day, sum(" + count + ")::float8 AS receipts FROM " + table + " WHERE " +
		where.where() + " GROUP BY day HAVING sum(" + count + ") > 0"
}

func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func utcDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// inOrder goes through the periods from the beginning of the order on.
func (k known) inOrder(order ReceiptOrder) iter.Seq2[int, period] {
	if order == Oldest {
		return slices.Backward(k.periods)
	}
	return slices.All(k.periods)
}

// walkedShare is the share of those that were walked that was likely to match.
func (k *known) walkedShare(ctx context.Context, q querier, ask receiptQuery, walked int) (float64, error) {
	for i, p := range k.inOrder(ask.order) {
		if p.walked > 0 {
			if err := k.split(ctx, q, ask, i); err != nil {
				return 0, err
			}
			break
		}
	}
	var likely, all float64
	for _, p := range k.inOrder(ask.order) {
		likely, all = likely+p.likely, all+p.walked
		if all >= float64(walked) {
			break
		}
	}
	return likely / max(all, 1), nil
}

// refine splits the period in which a window with so many likely matches ends.
func (k *known) refine(ctx context.Context, q querier, ask receiptQuery, likely float64) error {
	for i, p := range k.inOrder(ask.order) {
		if likely -= p.likely; likely <= 0 {
			return k.split(ctx, q, ask, i)
		}
	}
	return nil
}

// split replaces a month by its days.
func (k *known) split(ctx context.Context, q querier, ask receiptQuery, i int) error {
	p := k.periods[i]
	if p.end.Sub(p.start) <= 24*time.Hour {
		return nil
	}
	days, _, err := ask.periods(ctx, q, true, p.start.AddDate(0, 0, 1), p.end.AddDate(0, 0, -2))
	k.periods = slices.Replace(k.periods, i, i+1, days...)
	return err
}

// reach is how many receipts are walked, from where some may match, until so
// many are likely to have matched. The walk begins up to a day before, for the
// sake of time zones.
func (k known) reach(order ReceiptOrder, likely float64) (walked float64) {
	for _, p := range k.inOrder(order) {
		if p.most == 0 && walked == 0 {
			continue
		}
		if walked == 0 {
			walked = p.walked / 2
		}
		if p.likely >= likely {
			return walked + p.walked*likely/p.likely
		}
		walked, likely = walked+p.walked, likely-p.likely
	}
	return math.Inf(1)
}

// times are the bounds of the days on which receipts may match, whatever the
// time zone: it is at most 14 hours before UTC, and 12 behind it.
func (k known) times() (from, to time.Time) {
	for _, p := range k.periods {
		if p.most > 0 && to.IsZero() {
			to = p.end.Add(12 * time.Hour)
		}
		if p.most > 0 {
			from = p.start.Add(-14 * time.Hour)
		}
	}
	return from, to
}
