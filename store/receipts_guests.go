package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// span is the time within which guests belong to a page; zero: unbounded.
type span struct{ from, to time.Time }

// spanOf is the span of a page that was read without guests.
func (ask receiptQuery) spanOf(page []Receipt) span {
	s := span{ask.filter.From, ask.filter.To}
	full := len(page) == ask.limit
	// The position is compared exactly later; here its moment is let in.
	const moment = time.Microsecond
	switch ask.order {
	case Newest:
		if ask.after != nil {
			s.to = ask.after.Timestamp.Add(moment)
		}
		if full {
			s.from = page[len(page)-1].Timestamp
		}
	case Oldest:
		if ask.after != nil {
			s.from = ask.after.Timestamp
		}
		if full {
			s.to = page[len(page)-1].Timestamp.Add(moment)
		}
	case Costliest:
	}
	return s
}

// add adds the condition that a guest stands in one of the repositories within
// the span.
func (s span) add(c *conditions, repos []uuid.UUID) {
	c.add("g.org_id = $1")
	c.add(oneOf("g.repo_id", repos, c))
	if !s.from.IsZero() {
		c.add("g.timestamp >= ?", s.from)
	}
	if !s.to.IsZero() {
		c.add("g.timestamp < ?", s.to)
	}
}

func (s span) hasGuests(ctx context.Context, q querier, org uuid.UUID, repos []uuid.UUID) (has bool, err error) {
	c := &conditions{args: []any{org}}
	s.add(c, repos)
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM receipt_repos g WHERE `+c.where()+`)`,
		append([]any{planned}, c.args...)...).Scan(&has)
	return has, translate(err, "looking for receipts of other repositories")
}

// withGuests joins the guests within a span to the page that was read without
// them. The fences make guests be walked by time and each be looked up by its
// id: of a fork they are many.
func (ask receiptQuery) withGuests(ctx context.Context, q querier, within span, page []Receipt) ([]Receipt, error) {
	guests := &conditions{args: []any{ask.org}}
	within.add(guests, ask.filter.Repos)
	own := newConditions(ask.org)
	own.args = guests.args
	elsewhere := "NOT " + oneOf("r.repo_id", ask.filter.Repos, own)
	ask.filter.Repos = nil
	ask.addFilter(own)
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	return collect[Receipt](ctx, q, "querying receipts", "SELECT "+receiptColumns+` FROM (
		(SELECT r.* FROM (
			SELECT DISTINCT g.timestamp, g.receipt_id FROM receipt_repos g WHERE `+guests.where()+`
			ORDER BY g.timestamp DESC, g.receipt_id DESC OFFSET 0) g,
			LATERAL (SELECT * FROM receipts r WHERE r.org_id = $1 AND r.id = g.receipt_id AND `+elsewhere+` OFFSET 0) r
		 WHERE `+own.where()+ask.ordered(ask.limit)+`)
		UNION ALL
		(SELECT r.* FROM receipts r WHERE r.org_id = $1 AND r.id = ANY(`+own.arg(ids)+`))) r`+ask.ordered(ask.limit),
		append([]any{planned}, own.args...)...)
}
