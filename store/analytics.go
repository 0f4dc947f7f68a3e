package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
)

// AnalyticsFilter selects what is summed up; zero values select everything.
type AnalyticsFilter struct {
	Repos []uuid.UUID
	// Emails, unless nil, holds the lower-case addresses of the users that count.
	Emails []string
	// From and To are days of the organisation's time zone as midnight UTC,
	// both inclusive.
	From, To time.Time
}

// Sums are totals of a period or of a day. Cost and tokens are those of
// prompts, each counted once by its largest report.
type Sums struct {
	Receipts            int64
	ReceiptsCurrent     int64
	Prompts             int64
	CostUSD             Decimal
	InputTokens         Decimal
	OutputTokens        Decimal
	CacheReadTokens     Decimal
	CacheCreationTokens Decimal
}

// DaySums are the sums of a day, as midnight UTC.
type DaySums struct {
	Day time.Time
	Sums
}

// KeySums are the receipts and cost of one model or repository.
type KeySums struct {
	Key      string
	Receipts int64
	CostUSD  Decimal
}

// Analytics is what an organisation's receipts add up to.
type Analytics struct {
	Total Sums
	// Models and Repos are the costliest, costliest first.
	Models, Repos []KeySums
	// Days are those with receipts or prompts, in order.
	Days []DaySums
}

// Analytics sums up by the rollups alone: its cost depends on days, models and
// repositories, not on receipts. top bounds the lists of models and repositories.
func (db *DB) Analytics(ctx context.Context, org uuid.UUID, f AnalyticsFilter, top int) (Analytics, error) {
	var out Analytics
	err := db.snapshot(ctx, func(q querier) (err error) {
		if out.Total, out.Days, err = f.days(ctx, q, org); err != nil {
			return err
		}
		if out.Models, err = f.models(ctx, q, org, top); err != nil {
			return err
		}
		out.Repos, err = f.repos(ctx, q, org, top)
		return err
	})
	return out, err
}

// from selects the rows of a dimension, which carry the users as its key if
// users are filtered.
func (f AnalyticsFilter) from(org uuid.UUID, all, byUser string, byRepo bool) *conditions {
	c := &conditions{}
	dimension := all
	if f.Emails != nil {
		dimension = byUser
	}
	c.add("s.org_id = ? AND s.dimension = ?", org, dimension)
	if f.Emails != nil {
		c.add(oneOf("s.key", f.Emails, c))
	}
	// With every column before the day given, the key leads to the days; sums by
	// repository have an index of their own.
	switch {
	case dimension == "all" && (!byRepo || len(f.Repos) > 0):
		c.add("s.key = '' AND s.key2 = ''")
	case dimension == "user", dimension == "model":
		c.add("s.key2 = ''")
	}
	switch {
	case len(f.Repos) > 0:
		c.add(oneOf("s.repo_id", f.Repos, c))
	case byRepo:
		c.add("s.repo_id <> ?", uuid.Nil)
	default:
		c.add("s.repo_id = ?", uuid.Nil)
	}
	return c
}

// between restricts c to the days of the filter.
func (f AnalyticsFilter) between(c *conditions) *conditions {
	if !f.From.IsZero() {
		c.add("s.day >= ?", f.From)
	}
	if !f.To.IsZero() {
		c.add("s.day <= ?", f.To)
	}
	return c
}

// source reads whole months of the period from the monthly sums and the days
// at its ends from the daily ones, so that a long period costs as many rows as
// it has months.
func (f AnalyticsFilter) source(c *conditions) string {
	parts := f.parts(c)
	for i, part := range parts {
		parts[i] = "SELECT s.repo_id, s.key, s.key2, s.receipts, s.cost_usd FROM " + part + " AND " + c.where()
	}
	return "(" + strings.Join(parts, " UNION ALL ") + ")"
}

// parts are the tables and periods that make up the filter's: the days before
// the first whole month, whole months, and the days after the last one. Each is
// one range, which an index can follow.
func (f AnalyticsFilter) parts(c *conditions) []string {
	first, end := f.From, f.To
	if !first.IsZero() && first.Day() > 1 {
		first = time.Date(first.Year(), first.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	if !end.IsZero() {
		next := end.AddDate(0, 0, 1)
		end = time.Date(next.Year(), next.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	if !first.IsZero() && !end.IsZero() && !first.Before(end) {
		return []string{"rollups s WHERE s.day BETWEEN " + c.arg(f.From) + " AND " + c.arg(f.To)}
	}
	months := "rollup_months s WHERE true"
	var parts []string
	if !first.IsZero() {
		from := c.arg(first)
		months += " AND s.day >= " + from
		parts = append(parts, "rollups s WHERE s.day >= "+c.arg(f.From)+" AND s.day < "+from)
	}
	if !end.IsZero() {
		to := c.arg(end)
		months += " AND s.day < " + to
		parts = append(parts, "rollups s WHERE s.day >= "+to+" AND s.day <= "+c.arg(f.To))
	}
	return append(parts, months)
}

// days reads the sums of each day and of all of them, which is the row without
// a day.
func (f AnalyticsFilter) days(ctx context.Context, q querier, org uuid.UUID) (total Sums, days []DaySums, err error) {
	c := f.between(f.from(org, "all", "user", false))
	rows, err := collect[struct {
		Day *time.Time
		Sums
	}](ctx, q, "summing up days", `
		SELECT s.day, coalesce(sum(s.receipts), 0)::bigint AS receipts,
		       coalesce(sum(s.receipts_current), 0)::bigint AS receipts_current,
		       coalesce(sum(s.prompts), 0)::bigint AS prompts,
		       trim_scale(coalesce(sum(s.cost_usd), 0))::text AS cost_usd,
		       coalesce(sum(s.input_tokens), 0)::text AS input_tokens,
		       coalesce(sum(s.output_tokens), 0)::text AS output_tokens,
		       coalesce(sum(s.cache_read_tokens), 0)::text AS cache_read_tokens,
		       coalesce(sum(s.cache_creation_tokens), 0)::text AS cache_creation_tokens
		FROM rollups s WHERE `+c.where()+`
		GROUP BY GROUPING SETS ((s.day), ())
		HAVING s.day IS NULL OR sum(s.receipts) <> 0 OR sum(s.prompts) <> 0
		ORDER BY s.day`, append([]any{planned}, c.args...)...)
	for _, row := range rows {
		if row.Day == nil {
			total = row.Sums
			continue
		}
		days = append(days, DaySums{Day: *row.Day, Sums: row.Sums})
	}
	return total, days, err
}

const keySums = `sum(s.receipts)::bigint AS receipts, trim_scale(sum(s.cost_usd))::text AS cost_usd`

const costliestFirst = ` HAVING sum(s.receipts) <> 0 OR sum(s.cost_usd) <> 0 ORDER BY sum(s.cost_usd) DESC, 2 DESC, 1 LIMIT `

func (f AnalyticsFilter) models(ctx context.Context, q querier, org uuid.UUID, top int) ([]KeySums, error) {
	c, model := f.from(org, "model", "user_model", false), "s.key"
	if f.Emails != nil {
		model = "s.key2"
		known, err := modelsLike(ctx, q, org, "*")
		if err != nil {
			return nil, err
		}
		c.add(oneOf("s.key2", known, c))
	}
	return collect[KeySums](ctx, q, "summing up models", `SELECT `+model+` AS key, `+keySums+`
		FROM `+f.source(c)+` s GROUP BY 1`+costliestFirst+itoa(top), append([]any{planned}, c.args...)...)
}

func (f AnalyticsFilter) repos(ctx context.Context, q querier, org uuid.UUID, top int) ([]KeySums, error) {
	c := f.from(org, "all", "user", true)
	return collect[KeySums](ctx, q, "summing up repositories", `
		SELECT p.name AS key, s.receipts, s.cost_usd
		FROM (SELECT s.repo_id, `+keySums+`, sum(s.cost_usd) AS cost
		      FROM `+f.source(c)+` s GROUP BY 1
		      HAVING sum(s.receipts) <> 0 OR sum(s.cost_usd) <> 0) s
		JOIN repos p ON p.org_id = $1 AND p.id = s.repo_id
		ORDER BY s.cost DESC, s.receipts DESC, p.name LIMIT `+itoa(top), append([]any{planned}, c.args...)...)
}
