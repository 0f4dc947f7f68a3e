package store

import (
	"context"
	"math"
	"time"
)

// axis is the order as a line: stretches with about so many entries each, from
// the beginning of the order on.
type axis []stretch

type stretch struct{ near, far, entries float64 }

func (a axis) entries() (sum float64) {
	for _, s := range a {
		sum += s.entries
	}
	return sum
}

// edge is where a window with at least so many entries ends, between two steps
// of the terms; nil if there are no more entries.
func (a axis) edge(entries float64, order ReceiptOrder) *float64 {
	for _, s := range a {
		if entries >= s.entries {
			entries -= s.entries
			continue
		}
		edge := s.near + (s.far-s.near)*entries/s.entries
		const day = 24 * 60 * 60
		switch order {
		case Newest:
			edge = math.Floor(edge/day) * day
		case Oldest:
			edge = math.Ceil(edge/day) * day
		case Costliest:
			edge = stepCost(costStep(edge))
		}
		return &edge
	}
	return nil
}

// before is how many entries lie before an edge.
func (a axis) before(edge float64) (sum float64) {
	for _, s := range a {
		least, most := min(edge, s.near), max(edge, s.near)
		sum += s.clip(least, most).entries
	}
	return sum
}

// clip leaves of a stretch what lies between two values.
func (s stretch) clip(least, most float64) stretch {
	inside := func(v float64) float64 { return min(max(v, least), most) }
	out := stretch{near: inside(s.near), far: inside(s.far)}
	if s.near != s.far {
		out.entries = s.entries * (out.far - out.near) / (s.far - s.near)
	}
	return out
}

// seconds and moment turn moments into places on an axis and back.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func moment(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)).UTC() }

// timeAxis has a number of each period as its entries.
func (k known) timeAxis(ask receiptQuery, entries func(period) float64) axis {
	least, most := math.Inf(-1), math.Inf(1)
	from, to := ask.bounds()
	if !from.IsZero() {
		least = seconds(from)
	}
	if !to.IsZero() {
		most = seconds(to)
	}
	var out axis
	for _, p := range k.inOrder(ask.order) {
		s := stretch{seconds(p.end), seconds(p.start), entries(p)}
		if ask.order == Oldest {
			s.near, s.far = s.far, s.near
		}
		out = append(out, s.clip(least, most))
	}
	return out
}

// costs is how costs are spread among the receipts of all organisations, by
// PostgreSQL's statistics: the share of NULLs, frequent values with their shares,
// and bounds of equal shares of the others.
type costs struct {
	Rows, Nulls                 float64
	Common, Frequencies, Bounds []float64
}

// readCosts is empty as long as there are no statistics.
func readCosts(ctx context.Context, q querier) (costs, error) {
	rows, err := collect[costs](ctx, q, "reading statistics of costs", `
		SELECT c.reltuples AS rows, null_frac AS nulls, coalesce(most_common_vals::text::float8[], '{}') AS common,
		       coalesce(most_common_freqs, '{}')::float8[] AS frequencies, coalesce(histogram_bounds::text::float8[], '{}') AS bounds
		FROM pg_stats, pg_class c
		WHERE schemaname = current_schema() AND tablename = 'receipts' AND attname = 'cost_usd' AND c.oid = 'receipts'::regclass`)
	if err != nil || len(rows) == 0 {
		return costs{}, err
	}
	return rows[0], nil
}

// common is the share of the frequent costs from least to below most.
func (c costs) common(least, most float64) (share float64) {
	for i, cost := range c.Common {
		if cost >= least && cost < most {
			share += c.Frequencies[i]
		}
	}
	return share
}

// others is the share of the other costs between two bounds.
func (c costs) others() float64 {
	rest := 1 - c.Nulls - c.common(math.Inf(-1), math.Inf(1))
	return max(rest, 0) / float64(max(len(c.Bounds)-1, 1))
}

// axis has receipts as its entries, of which there are so many in all.
func (c costs) axis(least, most, receipts float64) (out axis) {
	for i := len(c.Bounds) - 1; i > 0; i-- {
		s := stretch{near: c.Bounds[i], far: c.Bounds[i-1]}
		s.entries = receipts * (c.others() + c.common(s.far, s.near))
		if last := len(out) - 1; last >= 0 && s.near == s.far {
			out[last].entries += s.entries
			continue
		}
		out = append(out, s)
	}
	for i := range out {
		out[i] = out[i].clip(least, most)
	}
	return out
}

// share is that of the receipts with a cost between two.
func (c costs) share(least, most float64) float64 {
	if len(c.Bounds) == 0 {
		return 1
	}
	plain := c
	plain.Common, plain.Frequencies = nil, nil
	plain.Nulls = 1 - c.others()*float64(len(c.Bounds)-1)
	return plain.axis(least, most, 1).entries() + c.common(least, math.Nextafter(most, math.Inf(1)))
}
