package store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
)

// Bounds of reading recorded pushes: how many rows one query reads, and the
// largest record that is read.
const (
	recordedPage = 200
	maxRecord    = 16 << 20
)

// RecordedPush is a decision with what was judged.
type RecordedPush struct {
	ID     uuid.UUID
	At     time.Time
	RepoID uuid.UUID
	Repo   string
	Pusher string
	// Outcome is what the pusher was told in the end: refuse of a withdrawn decision.
	Outcome push.Outcome
	// AwaitedUntil is when the time for receipts that come later was over.
	AwaitedUntil time.Time
	// Input is the push.Input as JSON; nil where it is not kept any more, or, with
	// Oversized, is larger than 16 MiB.
	Input     []byte
	Oversized bool
}

// RecordedPushes reads the pushes of a period, from (inclusive) to (exclusive),
// oldest first. One at a time is in memory, and no query holds the database up
// for long.
func (db *DB) RecordedPushes(ctx context.Context, org uuid.UUID, from, to time.Time) iter.Seq2[RecordedPush, error] {
	return func(yield func(RecordedPush, error) bool) {
		after := idFloor(from.Add(-clockSkew))
		for {
			n := 0
			for one, err := range db.recordedFrom(ctx, org, after, from, to) {
				if !yield(one, err) || err != nil {
					return
				}
				n, after = n+1, one.ID
			}
			if n < recordedPage {
				return
			}
		}
	}
}

// recordedFrom reads a page of recorded pushes.
func (db *DB) recordedFrom(ctx context.Context, org, after uuid.UUID, from, to time.Time) iter.Seq2[RecordedPush, error] {
	const op = "reading recorded pushes"
	return func(yield func(RecordedPush, error) bool) {
		rows, err := db.pool.Query(ctx, `
			SELECT d.id, d.at, d.repo_id, d.repo, d.pusher, CASE WHEN d.state = 'withdrawn' THEN 'refuse' ELSE d.outcome END,
			       d.at + make_interval(secs => CASE WHEN d.receipt_mode = 'deferred' THEN coalesce(r.grace_seconds, 0) ELSE 0 END),
			       CASE WHEN octet_length(i.input::text) <= $6 THEN i.input END, coalesce(octet_length(i.input::text) > $6, false)
			FROM decisions d LEFT JOIN decision_inputs i ON i.org_id = d.org_id AND i.decision_id = d.id
			LEFT JOIN repos r ON r.org_id = d.org_id AND r.id = d.repo_id
			WHERE d.org_id = $1 AND d.id > $2 AND d.id < $5 AND d.at >= $3 AND d.at < $4 ORDER BY d.id LIMIT `+itoa(recordedPage),
			org, after, from, to, idFloor(to.Add(clockSkew)), maxRecord)
		if err != nil {
			yield(RecordedPush{}, translate(err, op))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r RecordedPush
			err := rows.Scan(&r.ID, &r.At, &r.RepoID, &r.Repo, &r.Pusher, &r.Outcome, &r.AwaitedUntil, &r.Input, &r.Oversized)
			if !yield(r, translate(err, op)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(RecordedPush{}, translate(err, op))
		}
	}
}

// Books are sums by day as a backtest asks for them, from the rollups.
func (db *DB) Books(org uuid.UUID) Books { return Books{db, org} }

// Books implements backtest.Books.
type Books struct {
	db  *DB
	org uuid.UUID
}

// Spent returns what an owner's prompts cost on the days of a month. Teams are
// those of today.
func (b Books) Spent(ctx context.Context, per push.Per, key, month string) (map[string]push.Decimal, error) {
	first, err := time.Parse("2006-01", month)
	if err != nil || strings.ContainsRune(key, 0) {
		// No account has such a name: nothing was spent.
		return nil, nil
	}
	rows, err := collect[struct{ Day, USD string }](ctx, b.db.pool, "reading what was spent", `
		WITH cells (dimension, repo_id, key) AS (
			SELECT 'all', '00000000-0000-0000-0000-000000000000'::uuid, '' WHERE $2 = 'org'
			UNION ALL SELECT 'all', r.id, '' FROM repos r WHERE $2 = 'repo' AND r.org_id = $1 AND r.name = $3
			UNION ALL SELECT 'user', '00000000-0000-0000-0000-000000000000'::uuid, lower($3) WHERE $2 = 'user'
			UNION ALL SELECT 'user', '00000000-0000-0000-0000-000000000000'::uuid, m.email
			FROM teams t JOIN team_members m ON m.org_id = t.org_id AND m.team_id = t.id
			WHERE $2 = 'team' AND t.org_id = $1 AND t.name = $3)
		SELECT r.day::text AS day, trim_scale(sum(r.cost_usd))::text AS usd FROM cells c
		JOIN rollups r ON r.org_id = $1 AND r.dimension = c.dimension AND r.repo_id = c.repo_id AND r.key = c.key AND r.key2 = ''
		              AND r.day >= $4::date AND r.day < $5::date
		GROUP BY r.day`, b.org, string(per), key, first, first.AddDate(0, 1, 0))
	if err != nil {
		return nil, err
	}
	days := make(map[string]push.Decimal, len(rows))
	for _, row := range rows {
		if days[row.Day], err = push.ParseDecimal(row.USD); err != nil {
			return nil, fmt.Errorf("reading what was spent on %s: %w", row.Day, err)
		}
	}
	return days, nil
}

// Added returns the lines that pushes added to a repository, by day, from a day
// on.
func (b Books) Added(ctx context.Context, repo, from string) (map[string]push.Lines, error) {
	rows, err := collect[struct {
		Day              string
		Added, AI, Human int64
	}](ctx, b.db.pool, "reading added lines", `
		SELECT d.day::text AS day, d.added, d.ai, d.human FROM repos r
		JOIN pushed_days d ON d.org_id = r.org_id AND d.repo_id = r.id AND d.day >= $3::date
		WHERE r.org_id = $1 AND r.name = $2`, b.org, repo, from)
	if err != nil {
		return nil, err
	}
	days := make(map[string]push.Lines, len(rows))
	for _, row := range rows {
		days[row.Day] = push.Lines{Added: row.Added, AI: row.AI, Human: row.Human}
	}
	return days, nil
}
