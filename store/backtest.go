package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
)

// Bounds of reading recorded pushes: how many rows one query reads, and the
// largest record that is judged again.
const (
	recordedPage = 200
	maxRecord    = 16 << 20
)

// Backtest tells what a set of policies would have done to the pushes recorded
// from a time (inclusive) to another (exclusive). It reads them one by one, for
// as long as ctx lets it; see backtest.Run.
func (db *DB) Backtest(ctx context.Context, org uuid.UUID, set *policy.Set, from, to time.Time) (backtest.Result, error) {
	return backtest.Run(ctx, set, books{db, org}, db.recordedPushes(ctx, org, from, to))
}

// recordedPushes reads the pushes of a period, oldest first, page by page: no
// query holds the database up for long.
func (db *DB) recordedPushes(ctx context.Context, org uuid.UUID, from, to time.Time) iter.Seq2[backtest.Recorded, error] {
	return func(yield func(backtest.Recorded, error) bool) {
		after := idFloor(from.Add(-clockSkew))
		for {
			n := 0
			for one, err := range db.recordedFrom(ctx, org, after, from, to) {
				if err != nil {
					yield(backtest.Recorded{}, err)
					return
				}
				if !yield(one.recorded(), nil) {
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

// recordedRow is a decision with its input, unless that is too large.
type recordedRow struct {
	ID           uuid.UUID
	At           time.Time
	Repo, Pusher string
	Outcome      push.Outcome
	Kept         bool
	Input        []byte
}

func (r *recordedRow) recorded() backtest.Recorded {
	out := backtest.Recorded{Decision: r.ID.String(), At: r.At, Repo: r.Repo, Pusher: r.Pusher, Told: r.Outcome, Input: json.RawMessage(r.Input)}
	switch {
	case !r.Kept:
		out.Missing = "its record is not kept any more"
	case r.Input == nil:
		out.Missing = fmt.Sprintf("its record is larger than %d MiB", maxRecord>>20)
	}
	return out
}

// recordedFrom reads a page of rows, of which one at a time is in memory.
func (db *DB) recordedFrom(ctx context.Context, org, after uuid.UUID, from, to time.Time) iter.Seq2[recordedRow, error] {
	const op = "reading recorded pushes"
	return func(yield func(recordedRow, error) bool) {
		rows, err := db.pool.Query(ctx, `
			SELECT d.id, d.at, d.repo, d.pusher, d.outcome, i.decision_id IS NOT NULL,
			       CASE WHEN octet_length(i.input::text) <= $6 THEN i.input END
			FROM decisions d LEFT JOIN decision_inputs i ON i.org_id = d.org_id AND i.decision_id = d.id
			WHERE d.org_id = $1 AND d.id > $2 AND d.id < $5 AND d.at >= $3 AND d.at < $4 ORDER BY d.id LIMIT `+itoa(recordedPage),
			org, after, from, to, idFloor(to.Add(clockSkew)), maxRecord)
		if err != nil {
			yield(recordedRow{}, translate(err, op))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r recordedRow
			err := rows.Scan(&r.ID, &r.At, &r.Repo, &r.Pusher, &r.Outcome, &r.Kept, &r.Input)
			if !yield(r, translate(err, op)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(recordedRow{}, translate(err, op))
		}
	}
}

// books are the rollups as a backtest asks for them.
type books struct {
	db  *DB
	org uuid.UUID
}

// Spent implements backtest.Books. Teams are those of today.
func (b books) Spent(ctx context.Context, per push.Per, key, month string) (map[string]push.Decimal, error) {
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

// Added implements backtest.Books.
func (b books) Added(ctx context.Context, repo, from string) (map[string]push.Lines, error) {
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
