package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/push"
)

// LockTotals makes the caller, until its transaction ends, the only one that
// judges by these totals: whoever reads them next sees what this one accepted.
// Locks are taken in one order by all.
func (tx *Tx) LockTotals(ctx context.Context, org, repo uuid.UUID, needs push.Needs) error {
	var names []string
	for _, a := range needs.Accounts {
		names = append(names, fmt.Sprintf("spend:%s:%s:%s:%s", org, a.Per, a.Period, clean(a.Key)))
	}
	if len(needs.Windows) > 0 {
		names = append(names, fmt.Sprintf("window:%s:%s", org, repo))
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name`, names)
	return translate(err, "waiting for other judgements")
}

// TotalsQuestion asks for the stored totals that a push is judged by.
type TotalsQuestion struct {
	OrgID, RepoID uuid.UUID
	Needs         push.Needs
	// Today is the day of the push, as midnight UTC.
	Today time.Time
	// Commits are those of the push: what they added before counts in no window.
	Commits []string
	// Prompts are those of the push.
	Prompts []uuid.UUID
}

// TotalsAnswer is the answer to a TotalsQuestion.
type TotalsAnswer struct {
	push.Totals
	// Counted is what the totals hold for each of the asked prompts that they hold.
	Counted map[uuid.UUID]push.Decimal
}

// Totals reads sums from the rollups, which are kept by day and by month, and
// adds what accepted pushes brought and no note has yet. Sums and Counted are
// of one moment: a prompt that is stored meanwhile is in both or in neither.
func (tx *Tx) Totals(ctx context.Context, ask TotalsQuestion) (TotalsAnswer, error) {
	return totals(ctx, tx, ask)
}

func totals(ctx context.Context, q querier, ask TotalsQuestion) (TotalsAnswer, error) {
	var answer TotalsAnswer
	var err error
	if answer.Spent, answer.Counted, err = spent(ctx, q, ask); err != nil {
		return TotalsAnswer{}, err
	}
	answer.Windows, err = windows(ctx, q, ask)
	return answer, err
}

// cells are the rows of the rollups that make up the accounts: one for most,
// one per member for a team.
type cells struct {
	// account is the place of the account in the question.
	account    []int32
	dimensions []string
	repos      []uuid.UUID
	keys       []string
	firsts     []time.Time
	ends       []time.Time
	monthly    []bool
}

func (c *cells) add(account int, dimension string, repo uuid.UUID, key string, first, end time.Time, monthly bool) {
	c.account = append(c.account, int32(account))
	c.dimensions = append(c.dimensions, dimension)
	c.repos = append(c.repos, repo)
	c.keys = append(c.keys, key)
	c.firsts = append(c.firsts, first)
	c.ends = append(c.ends, end)
	c.monthly = append(c.monthly, monthly)
}

// cellsOf lays the accounts out. Members are the addresses of each team.
func cellsOf(ask TotalsQuestion, members map[string][]string) *cells {
	c := &cells{}
	for i, a := range ask.Needs.Accounts {
		first, end, monthly, ok := days(a.Period)
		if !ok {
			continue
		}
		switch a.Per {
		case push.PerOrg:
			c.add(i, "all", uuid.Nil, "", first, end, monthly)
		case push.PerRepo:
			// The nil UUID would be every repository.
			if ask.RepoID != uuid.Nil {
				c.add(i, "all", ask.RepoID, "", first, end, monthly)
			}
		case push.PerUser:
			c.add(i, "user", uuid.Nil, clean(a.Key), first, end, monthly)
		case push.PerTeam:
			for _, email := range members[a.Key] {
				c.add(i, "user", uuid.Nil, email, first, end, monthly)
			}
		}
	}
	return c
}

// days are the first day of a period and the first behind it.
func days(period string) (first, end time.Time, monthly, ok bool) {
	if day, err := time.Parse(time.DateOnly, period); err == nil {
		return day, day.AddDate(0, 0, 1), false, true
	}
	if month, err := time.Parse("2006-01", period); err == nil {
		return month, month.AddDate(0, 1, 0), true, true
	}
	return time.Time{}, time.Time{}, false, false
}

// spans are the days of all cells, united, so that no row is read twice.
func (c *cells) spans() (firsts, ends []time.Time) {
	order := make([]int, len(c.firsts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return c.firsts[a].Compare(c.firsts[b]) })
	for _, i := range order {
		if n := len(ends); n > 0 && !c.firsts[i].After(ends[n-1]) {
			if c.ends[i].After(ends[n-1]) {
				ends[n-1] = c.ends[i]
			}
			continue
		}
		firsts, ends = append(firsts, c.firsts[i]), append(ends, c.ends[i])
	}
	return firsts, ends
}

// sqlSpent reads sums and counted prompts in one statement, and so from one
// snapshot.
//
// A pushed prompt adds what its stored report does not hold yet; where the
// stored one names nobody, the pusher's account still holds all of it. Most are
// summed up. Loose are those that are not, or whose part in the sums is old.
const sqlSpent = `
	WITH cells AS (
		SELECT * FROM unnest($2::int[], $3::text[], $4::uuid[], $5::text[], $6::date[], $7::date[], $8::boolean[])
			AS c (account, dimension, repo_id, key, first, past, monthly)
	), loose AS MATERIALIZED (
		SELECT p.repo_id, p.user_email, p.day, sum(f.unstored - coalesce(p.summed_usd, 0)) AS unstored,
		       sum(f.theirs - coalesce(p.summed_user_usd, 0)) AS theirs
		FROM (SELECT p.* FROM unnest($9::date[], $10::date[]) AS w (first, past)
		      JOIN pushed_prompts p ON p.org_id = $1 AND p.day >= w.first AND p.day < w.past AND (p.summed_usd IS NULL OR p.stale)
		      UNION ALL
		      SELECT p.* FROM pushed_stored t
		      JOIN pushed_prompts p ON p.org_id = $1 AND p.prompt_id = t.prompt_id AND p.summed_usd IS NOT NULL AND NOT p.stale
		      WHERE t.org_id = $1) p,
		LATERAL (` + pushedPart + `) f
		GROUP BY 1, 2, 3
	), parts AS (
		SELECT c.account, r.cost_usd FROM cells c
		JOIN rollups r ON r.org_id = $1 AND r.dimension = c.dimension AND r.repo_id = c.repo_id AND r.key = c.key AND r.key2 = ''
		              AND r.day = c.first
		WHERE NOT c.monthly
		UNION ALL
		SELECT c.account, r.cost_usd FROM cells c
		JOIN rollup_months r ON r.org_id = $1 AND r.dimension = c.dimension AND r.repo_id = c.repo_id AND r.key = c.key AND r.key2 = ''
		                    AND r.day = c.first
		WHERE c.monthly
		UNION ALL
		SELECT c.account, s.cost_usd FROM cells c
		JOIN pushed_spend s ON s.org_id = $1 AND s.dimension = c.dimension AND s.repo_id = c.repo_id AND s.key = c.key
		                   AND s.monthly = c.monthly AND s.day = c.first
		UNION ALL
		SELECT c.account, p.unstored FROM cells c
		JOIN loose p ON p.day >= c.first AND p.day < c.past AND (c.repo_id = $11 OR c.repo_id = p.repo_id)
		WHERE c.dimension = 'all'
		UNION ALL
		SELECT c.account, p.theirs FROM cells c JOIN loose p ON p.day >= c.first AND p.day < c.past AND p.user_email = c.key
		WHERE c.dimension = 'user'
	)
	SELECT account, NULL::uuid AS prompt, trim_scale(sum(cost_usd))::text AS usd FROM parts GROUP BY account
	UNION ALL
	SELECT NULL, a.id, trim_scale(greatest(s.cost_usd, p.cost_usd))::text
	FROM unnest($12::uuid[]) AS a (id)
	LEFT JOIN LATERAL (SELECT s.cost_usd FROM prompts s WHERE s.org_id = $1 AND s.prompt_id = a.id OFFSET 0) s ON true
	LEFT JOIN LATERAL (SELECT p.cost_usd FROM pushed_prompts p WHERE p.org_id = $1 AND p.prompt_id = a.id OFFSET 0) p ON true
	WHERE s.cost_usd IS NOT NULL OR p.cost_usd IS NOT NULL`

// pushedPart is what a pushed prompt p adds to what is stored: for all accounts
// but the user's, and for that. The stored prompt is one probe of a key, however
// many the planner expects.
const pushedPart = `
	SELECT greatest(p.cost_usd - coalesce(s.cost_usd, 0), 0) AS unstored,
	       CASE WHEN s.user_email = '' THEN p.cost_usd ELSE greatest(p.cost_usd - coalesce(s.cost_usd, 0), 0) END AS theirs
	FROM (VALUES (1)) AS one
	LEFT JOIN LATERAL (SELECT s.cost_usd, s.user_email FROM prompts s
	                   WHERE s.org_id = p.org_id AND s.prompt_id = p.prompt_id OFFSET 0) s ON true`

func spent(ctx context.Context, q querier, ask TotalsQuestion) ([]push.Spent, map[uuid.UUID]push.Decimal, error) {
	if len(ask.Needs.Accounts) == 0 {
		return nil, nil, nil
	}
	members, err := teamMembers(ctx, q, ask.OrgID, ask.Needs.Accounts)
	if err != nil {
		return nil, nil, err
	}
	c := cellsOf(ask, members)
	firsts, ends := c.spans()
	rows, err := collect[struct {
		Account *int32
		Prompt  *uuid.UUID
		USD     string `db:"usd"`
	}](ctx, q, "summing up what was spent", sqlSpent, ask.OrgID, c.account, c.dimensions, c.repos, c.keys, c.firsts, c.ends,
		c.monthly, firsts, ends, uuid.Nil, ask.Prompts)
	if err != nil {
		return nil, nil, err
	}
	var out []push.Spent
	counted := map[uuid.UUID]push.Decimal{}
	for _, row := range rows {
		usd, err := push.ParseDecimal(row.USD)
		if err != nil {
			return nil, nil, fmt.Errorf("summing up what was spent: %w", err)
		}
		if row.Prompt != nil {
			counted[*row.Prompt] = usd
			continue
		}
		out = append(out, push.Spent{Account: ask.Needs.Accounts[*row.Account], USD: usd})
	}
	return out, counted, nil
}

// teamMembers are the addresses of the teams among the accounts, by name.
func teamMembers(ctx context.Context, q querier, org uuid.UUID, accounts []push.Account) (map[string][]string, error) {
	var names []string
	for _, a := range accounts {
		if a.Per == push.PerTeam && !strings.Contains(a.Key, "\x00") {
			names = append(names, a.Key)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := q.Query(ctx, `
		SELECT t.name, m.email FROM teams t JOIN team_members m ON m.org_id = t.org_id AND m.team_id = t.id
		WHERE t.org_id = $1 AND t.name = ANY($2)`, org, names)
	if err != nil {
		return nil, translate(err, "finding the members of teams")
	}
	members := map[string][]string{}
	var team, email string
	_, err = pgx.ForEachRow(rows, []any{&team, &email}, func() error {
		members[team] = append(members[team], email)
		return nil
	})
	return members, translate(err, "finding the members of teams")
}

// windows sums up what the repository's pushes added on the last days, without
// what this push's commits did when they were pushed before.
func windows(ctx context.Context, q querier, ask TotalsQuestion) ([]push.Window, error) {
	if len(ask.Needs.Windows) == 0 {
		return nil, nil
	}
	rows, err := collect[struct {
		Days             int
		Added, AI, Human int64
	}](ctx, q, "summing up added lines", `
		WITH asked AS (SELECT n AS days, $4::date - n AS before FROM unnest($5::int[]) AS n),
		own AS MATERIALIZED (SELECT day, sum(added) AS added, sum(ai) AS ai, sum(human) AS human FROM pushed_commits
			WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3) GROUP BY day)
		SELECT a.days, (coalesce(s.added, 0) - coalesce(o.added, 0))::bigint AS added,
		       (coalesce(s.ai, 0) - coalesce(o.ai, 0))::bigint AS ai,
		       (coalesce(s.human, 0) - coalesce(o.human, 0))::bigint AS human
		FROM asked a
		CROSS JOIN LATERAL (SELECT sum(added) AS added, sum(ai) AS ai, sum(human) AS human FROM pushed_days d
			WHERE d.org_id = $1 AND d.repo_id = $2 AND d.day > a.before AND d.day <= $4::date) s
		CROSS JOIN LATERAL (SELECT sum(added) AS added, sum(ai) AS ai, sum(human) AS human FROM own
			WHERE own.day > a.before AND own.day <= $4::date) o
		ORDER BY a.days`, ask.OrgID, ask.RepoID, ask.Commits, ask.Today, ask.Needs.Windows)
	if err != nil {
		return nil, err
	}
	out := make([]push.Window, len(rows))
	for i, row := range rows {
		out[i] = push.Window{Days: row.Days, Lines: push.Lines{Added: row.Added, AI: row.AI, Human: row.Human}}
	}
	return out, nil
}
