package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// CoverageGroup are the sums of a repository, person, team or agent.
type CoverageGroup struct {
	Key string
	LineSums
	// NotedAt is when the last commit with a note was made, of a repository when
	// its notes changed last; nil for never, and for teams and agents.
	NotedAt *time.Time
}

// CoverageEvents count what happened to pushes and notes.
type CoverageEvents map[EventKind]int64

// Coverage says of how many commits notes speak.
type Coverage struct {
	Total LineSums
	// The groups with the most commits that nothing speaks for come first.
	Repos, People, Teams, Agents []CoverageGroup
	Events                       CoverageEvents
}

// Coverage sums up by the rollups of lines, and counts events; top bounds each
// list of groups.
func (db *DB) Coverage(ctx context.Context, org uuid.UUID, f AnalyticsFilter, top int) (Coverage, error) {
	return db.coverage(ctx, org, f, top, true)
}

// CoverageSums is Coverage without the events.
func (db *DB) CoverageSums(ctx context.Context, org uuid.UUID, f AnalyticsFilter, top int) (Coverage, error) {
	return db.coverage(ctx, org, f, top, false)
}

// CoverageEvents counts what happened, push by push and note by note: by the number
// of these in the period, where sums go by that of days.
func (db *DB) CoverageEvents(ctx context.Context, org uuid.UUID, f AnalyticsFilter) (out CoverageEvents, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		out, err = f.countEvents(ctx, q, org)
		return err
	})
	return out, err
}

func (db *DB) coverage(ctx context.Context, org uuid.UUID, f AnalyticsFilter, top int, events bool) (Coverage, error) {
	var out Coverage
	err := db.snapshot(ctx, func(q querier) (err error) {
		c := f.from(org, "all", "user", false)
		if out.Total, err = collectOne[LineSums](ctx, q, "summing up coverage", `SELECT `+lineSums+` FROM `+f.sumsOf("line_", c)+` s`,
			append([]any{planned}, c.args...)...); err != nil {
			return err
		}
		if out.Repos, err = f.coverageByRepo(ctx, q, org, top); err != nil {
			return err
		}
		if out.People, err = f.coverageByPerson(ctx, q, org, top); err != nil {
			return err
		}
		if out.Teams, err = f.coverageByTeam(ctx, q, org, top); err != nil {
			return err
		}
		if out.Agents, err = f.coverageByAgent(ctx, q, org, top); err != nil || !events {
			return err
		}
		out.Events, err = f.countEvents(ctx, q, org)
		return err
	})
	return out, err
}

const (
	anyCommits     = ` HAVING sum(s.commits) + sum(s.bot_commits) + sum(s.merge_commits) <> 0`
	uncoveredFirst = ` ORDER BY g.commits - g.commits_noted DESC, g.commits DESC, 1 LIMIT `
)

func (f AnalyticsFilter) coverageByRepo(ctx context.Context, q querier, org uuid.UUID, top int) ([]CoverageGroup, error) {
	c := f.from(org, "all", "user", true)
	return collect[CoverageGroup](ctx, q, "summing up the coverage of repositories", `
		SELECT p.name AS key, `+groupSums+`,
		       (SELECT max(n.updated_at) FROM note_refs n WHERE n.org_id = $1 AND n.repo_id = g.repo_id) AS noted_at
		FROM (SELECT s.repo_id, `+lineSums+` FROM `+f.sumsOf("line_", c)+` s GROUP BY 1`+anyCommits+`) g
		JOIN repos p ON p.org_id = $1 AND p.id = g.repo_id`+uncoveredFirst+itoa(top), append([]any{planned}, c.args...)...)
}

// groupSums are the columns of LineSums of g.
const groupSums = `g.added, g.ai, g.human, g.unknown, g.trailer, g.excluded, g.deleted, g.commits, g.commits_noted, g.commits_marked,
	g.bot_commits, g.merge_commits`

// byPerson sums the dimension of users up by the person behind an address.
const byPerson = `coalesce((SELECT i.person FROM identities i WHERE i.org_id = $1 AND i.email = s.key), s.key)`

func (f AnalyticsFilter) coverageByPerson(ctx context.Context, q querier, org uuid.UUID, top int) ([]CoverageGroup, error) {
	c := f.from(org, "user", "user", false)
	return collect[CoverageGroup](ctx, q, "summing up the coverage of people", `
		SELECT g.key, `+groupSums+`, n.noted_at
		FROM (SELECT * FROM (SELECT `+byPerson+` AS key, array_agg(DISTINCT s.key) AS addresses, `+lineSums+`
		      FROM `+f.sumsOf("line_", c)+` s GROUP BY 1`+anyCommits+`) g`+uncoveredFirst+itoa(top)+`) g
		LEFT JOIN LATERAL (
			SELECT max(l.committed_at) AS noted_at FROM unnest(g.addresses) a (email)
			CROSS JOIN LATERAL (SELECT c.committed_at FROM commit_lines c
				WHERE c.org_id = $1 AND c.author_email = a.email AND c.on_default AND c.noted
				ORDER BY c.committed_at DESC LIMIT 1) l) n ON true
		ORDER BY g.commits - g.commits_noted DESC, g.commits DESC, 1`, append([]any{planned}, c.args...)...)
}

func (f AnalyticsFilter) coverageByTeam(ctx context.Context, q querier, org uuid.UUID, top int) ([]CoverageGroup, error) {
	c := f.from(org, "user", "user", false)
	return collect[CoverageGroup](ctx, q, "summing up the coverage of teams", `
		SELECT g.key, `+groupSums+`, NULL::timestamptz AS noted_at
		FROM (SELECT t.name AS key, `+lineSums+`
		      FROM (SELECT `+byPerson+` AS person, `+lineSums+` FROM `+f.sumsOf("line_", c)+` s GROUP BY 1) s
		      JOIN (SELECT DISTINCT team_id, person_of(org_id, email) AS person FROM team_members WHERE org_id = $1) m
			      ON m.person = s.person
		      JOIN teams t ON t.org_id = $1 AND t.id = m.team_id
		      GROUP BY 1`+anyCommits+`) g`+uncoveredFirst+itoa(top), append([]any{planned}, c.args...)...)
}

func (f AnalyticsFilter) coverageByAgent(ctx context.Context, q querier, org uuid.UUID, top int) ([]CoverageGroup, error) {
	c, agent := f.from(org, "agent", "user_agent", false), "s.key"
	if f.Emails != nil {
		agent = "s.key2"
	}
	return collect[CoverageGroup](ctx, q, "summing up the coverage of agents", `
		SELECT g.key, `+groupSums+`, NULL::timestamptz AS noted_at
		FROM (SELECT `+agent+` AS key, `+lineSums+` FROM `+f.sumsOf("line_", c)+` s GROUP BY 1`+anyCommits+`) g`+
		uncoveredFirst+itoa(top), append([]any{planned}, c.args...)...)
}
