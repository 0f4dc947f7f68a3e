package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Figures are what the receipts, prompts and commits of a period or of a part
// add up to. Of models and providers lines are AI lines alone, and their commits
// are those that have some.
type Figures struct {
	Sums
	Lines  LineSums
	Facets PromptFacets
}

// PromptFacets are what tools say of prompts beside their cost: of how many, and
// what it comes to.
type PromptFacets struct {
	// Scored prompts have a score from 0 to 100, of which Score is the sum. Excellent
	// are those from 90, Good from 70 and Fair from 50 on.
	Scored, Score, Excellent, Good, Fair int64
	// Timed prompts say how long they took: Seconds in all.
	Timed, Seconds int64
}

// PeriodFigures are the figures of a day, week or month, by its first day as
// midnight UTC.
type PeriodFigures struct {
	Day time.Time
	Figures
}

// PartFigures are the figures of a repository, team, person, model or provider,
// with the lines that are alive of it. Live is nil where they are not known by
// what was asked.
type PartFigures struct {
	Key string
	Figures
	Live *LiveCounts
}

// Grain is the length of the periods of a series.
type Grain string

// The grains. Weeks begin on Mondays.
const (
	Daily   Grain = "day"
	Weekly  Grain = "week"
	Monthly Grain = "month"
)

// FigureDimension is what figures are grouped by.
type FigureDimension string

// The dimensions. People are all addresses of one; a member of two teams counts
// in both.
const (
	FiguresByCategory FigureDimension = "category"
	FiguresByHour     FigureDimension = "hour"
	FiguresByPath     FigureDimension = "path"

	FiguresByRepo     FigureDimension = "repo"
	FiguresByTeam     FigureDimension = "team"
	FiguresByUser     FigureDimension = "user"
	FiguresByModel    FigureDimension = "model"
	FiguresByProvider FigureDimension = "provider"
)

// FiguresQuestion is what figures are asked for; the zero value asks for the
// totals of everything.
type FiguresQuestion struct {
	AnalyticsFilter
	// Series is empty for none.
	Series Grain
	// By is empty for none; providers are not known of some people alone. Top bounds
	// the parts, the costliest first.
	By  FigureDimension
	Top int
	// Folder is which one's parts are asked for by path, of the one repository that
	// is named; it is empty or ends in a slash.
	Folder string
}

// FiguresAnswer is what a question comes to.
type FiguresAnswer struct {
	Total  Figures
	Series []PeriodFigures
	Parts  []PartFigures
	// Kinds are the parts by category or hour, Folders those by path.
	Kinds   []PromptKind
	Folders []FolderFigures
	// Live are the lines that are alive now and LiveCost is what all prompts have
	// cost, both of the same repositories and people, whatever the period.
	Live     LiveCounts
	LiveCost Decimal
	// Cohorts are what became of lines by week, whatever the period.
	Cohorts []Cohort
}

// Figures reads rollups alone, in one snapshot: its cost grows with days and
// parts, not with receipts, commits or lines.
func (db *DB) Figures(ctx context.Context, org uuid.UUID, ask FiguresQuestion) (FiguresAnswer, error) {
	var out FiguresAnswer
	err := db.snapshot(ctx, func(q querier) (err error) {
		out, err = ask.answer(ctx, q, org)
		return err
	})
	return out, err
}

// FigureTotals are the totals of a period alone.
func (db *DB) FigureTotals(ctx context.Context, org uuid.UUID, f AnalyticsFilter) (total Figures, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		total, err = f.total(ctx, q, org)
		return err
	})
	return total, err
}

func (ask FiguresQuestion) answer(ctx context.Context, q querier, org uuid.UUID) (out FiguresAnswer, err error) {
	if out.Total, err = ask.total(ctx, q, org); err != nil {
		return out, err
	}
	if out.Series, err = ask.series(ctx, q, org); err != nil {
		return out, err
	}
	if err = ask.divide(ctx, q, org, &out); err != nil {
		return out, err
	}
	c := ask.liveFrom(org, "all")
	out.Live, err = collectOne[LiveCounts](ctx, q, "counting live lines", `SELECT `+liveCounts+` FROM live_sums s WHERE `+c.where(), c.args...)
	if err != nil {
		return out, err
	}
	if out.LiveCost, err = ask.allCost(ctx, q, org, out.Total.CostUSD); err != nil {
		return out, err
	}
	c = ask.liveFrom(org, "all")
	out.Cohorts, err = collect[Cohort](ctx, q, "listing cohorts of lines", `SELECT '' AS key, `+cohortSums+` FROM live_cohorts s WHERE `+c.where()+`
		GROUP BY 2, 3, 4 ORDER BY 3, 2, 4`, c.args...)
	return out, err
}

// allCost is what was paid whenever, if ofPeriod was paid in the period.
func (ask FiguresQuestion) allCost(ctx context.Context, q querier, org uuid.UUID, ofPeriod Decimal) (Decimal, error) {
	if ask.From.IsZero() && ask.To.IsZero() {
		return ofPeriod, nil
	}
	always := ask.AnalyticsFilter
	always.From, always.To = time.Time{}, time.Time{}
	c := always.from(org, "all", "user", false)
	all, err := collectOne[Sums](ctx, q, "summing up all cost", `SELECT `+receiptFigures+` FROM `+always.sumsOf("", c)+` s`,
		append([]any{planned}, c.args...)...)
	return all.CostUSD, err
}

// receiptFigures sums up columns of rollups s, as Sums has them.
const receiptFigures = `coalesce(sum(s.receipts), 0)::bigint AS receipts, coalesce(sum(s.receipts_current), 0)::bigint AS receipts_current,
	coalesce(sum(s.prompts), 0)::bigint AS prompts, trim_scale(coalesce(sum(s.cost_usd), 0))::text AS cost_usd,
	coalesce(sum(s.input_tokens), 0)::text AS input_tokens, coalesce(sum(s.output_tokens), 0)::text AS output_tokens,
	coalesce(sum(s.cache_read_tokens), 0)::text AS cache_read_tokens, coalesce(sum(s.cache_creation_tokens), 0)::text AS cache_creation_tokens`

// sumsOf is the rows of the period in rollups, or in line_rollups with that
// prefix: of whole months one each.
func (f AnalyticsFilter) sumsOf(prefix string, c *conditions) string {
	parts := f.parts(c)
	for i, part := range parts {
		parts[i] = "SELECT s.* FROM " + prefix + part + " AND " + c.where()
	}
	return "(" + strings.Join(parts, " UNION ALL ") + ")"
}

func (f AnalyticsFilter) total(ctx context.Context, q querier, org uuid.UUID) (out Figures, err error) {
	c := f.from(org, "all", "user", false)
	out.Sums, err = collectOne[Sums](ctx, q, "summing up receipts", `SELECT `+receiptFigures+` FROM `+f.sumsOf("", c)+` s`,
		append([]any{planned}, c.args...)...)
	if err != nil {
		return out, err
	}
	c = f.from(org, "all", "user", false)
	out.Lines, err = collectOne[LineSums](ctx, q, "summing up lines", `SELECT `+lineSums+` FROM `+f.sumsOf("line_", c)+` s`,
		append([]any{planned}, c.args...)...)
	if err != nil {
		return out, err
	}
	c = f.from(org, "all", "user", false)
	out.Facets, err = collectOne[PromptFacets](ctx, q, "summing up scores", `SELECT `+facetSums+` FROM `+f.sumsOf("prompt_", c)+` s`,
		append([]any{planned}, c.args...)...)
	return out, err
}

// liveFrom selects sums of live lines like from does those of receipts.
func (f AnalyticsFilter) liveFrom(org uuid.UUID, dimension string) *conditions {
	if f.Emails != nil {
		dimension = "user"
	}
	c := liveSums(org, dimension, f.Repos)
	if f.Emails != nil {
		c.add(oneOf("s.key", f.Emails, c))
	}
	return c
}

// series are the periods that have anything, in order.
func (ask FiguresQuestion) series(ctx context.Context, q querier, org uuid.UUID) ([]PeriodFigures, error) {
	if ask.Series == "" {
		return nil, nil
	}
	byDay := map[time.Time]*PeriodFigures{}
	at := func(day time.Time) *PeriodFigures {
		if byDay[day] == nil {
			byDay[day] = &PeriodFigures{Day: day}
		}
		return byDay[day]
	}
	// A week may begin in one month and end in the next, so that only months are
	// read from monthly sums; their last ones may be of a part of them.
	query := func(prefix, sums string, c *conditions) string {
		rows := "(SELECT s.* FROM " + prefix + "rollups s WHERE " + c.where() + ")"
		if ask.Series == Monthly {
			rows = ask.sumsOf(prefix, c)
		}
		return fmt.Sprintf("SELECT date_trunc('%s', s.day::timestamp)::date AS day, %s FROM %s s GROUP BY 1", ask.Series, sums, rows)
	}
	from := func() *conditions {
		c := ask.from(org, "all", "user", false)
		if ask.Series != Monthly {
			c = ask.between(c)
		}
		return c
	}
	c := from()
	receipts, err := collect[DaySums](ctx, q, "summing up a series of receipts", query("", receiptFigures, c)+
		` HAVING sum(s.receipts) <> 0 OR sum(s.prompts) <> 0`, append([]any{planned}, c.args...)...)
	if err != nil {
		return nil, err
	}
	for _, r := range receipts {
		at(r.Day).Sums = r.Sums
	}
	c = from()
	lines, err := collect[struct {
		Day time.Time
		LineSums
	}](ctx, q, "summing up a series of lines", query("line_", lineSums, c)+anyCommits, append([]any{planned}, c.args...)...)
	for _, l := range lines {
		at(l.Day).Lines = l.LineSums
	}
	if err != nil {
		return nil, err
	}
	c = from()
	facets, err := collect[struct {
		Day time.Time
		PromptFacets
	}](ctx, q, "summing up a series of scores", query("prompt_", facetSums, c)+anyFacets, append([]any{planned}, c.args...)...)
	for _, f := range facets {
		at(f.Day).Facets = f.PromptFacets
	}
	out := make([]PeriodFigures, 0, len(byDay))
	for _, day := range slices.SortedFunc(maps.Keys(byDay), time.Time.Compare) {
		out = append(out, *byDay[day])
	}
	return out, err
}

// divide reads the parts of whatever kind they are.
func (ask FiguresQuestion) divide(ctx context.Context, q querier, org uuid.UUID, out *FiguresAnswer) (err error) {
	switch ask.By {
	case "":
	case FiguresByCategory, FiguresByHour:
		out.Kinds, err = ask.kinds(ctx, q, org)
	case FiguresByPath:
		out.Folders, err = ask.folders(ctx, q, org)
	default:
		out.Parts, err = ask.parted(ctx, q, org)
	}
	return err
}

// parted are the parts, the costliest first, then those with most AI lines.
func (ask FiguresQuestion) parted(ctx context.Context, q querier, org uuid.UUID) ([]PartFigures, error) {
	byKey := map[string]*PartFigures{}
	at := func(key string) *PartFigures {
		if byKey[key] == nil {
			byKey[key] = &PartFigures{Key: key}
		}
		return byKey[key]
	}
	c := ask.partFrom(org)
	receipts, err := collect[struct {
		Key string
		Sums
	}](ctx, q, "summing up receipts by "+string(ask.By), ask.groups(ask.sumsOf("", c), receiptFigures)+
		` HAVING sum(s.receipts) <> 0 OR sum(s.prompts) <> 0`, append([]any{planned}, c.args...)...)
	if err != nil {
		return nil, err
	}
	for _, r := range receipts {
		at(r.Key).Sums = r.Sums
	}
	c = ask.partFrom(org)
	lines, err := collect[struct {
		Key string
		LineSums
	}](ctx, q, "summing up lines by "+string(ask.By), ask.groups(ask.sumsOf("line_", c), lineSums)+anyCommits,
		append([]any{planned}, c.args...)...)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		at(l.Key).Lines = l.LineSums
	}
	c = ask.partFrom(org)
	facets, err := collect[struct {
		Key string
		PromptFacets
	}](ctx, q, "summing up scores by "+string(ask.By), ask.groups(ask.sumsOf("prompt_", c), facetSums)+anyFacets,
		append([]any{planned}, c.args...)...)
	if err != nil {
		return nil, err
	}
	for _, f := range facets {
		at(f.Key).Facets = f.PromptFacets
	}
	if err := ask.liveParts(ctx, q, org, at); err != nil {
		return nil, err
	}
	return costliest(byKey, ask.Top), nil
}

func costliest(byKey map[string]*PartFigures, top int) []PartFigures {
	out := make([]PartFigures, 0, len(byKey))
	for _, part := range byKey {
		out = append(out, *part)
	}
	slices.SortFunc(out, func(a, b PartFigures) int {
		return cmp.Or(b.CostUSD.rat().Cmp(a.CostUSD.rat()), cmp.Compare(b.Lines.AI, a.Lines.AI), cmp.Compare(a.Key, b.Key))
	})
	return out[:min(len(out), top)]
}

func (ask FiguresQuestion) partFrom(org uuid.UUID) *conditions {
	switch ask.By {
	case FiguresByRepo:
		return ask.from(org, "all", "user", true)
	case FiguresByTeam, FiguresByUser:
		return ask.from(org, "user", "user", false)
	}
	return ask.from(org, string(ask.By), "user_"+string(ask.By), false)
}

// joinPerson finds whose the addresses of many rows are at once.
const joinPerson = `LEFT JOIN identities i ON i.org_id = $1 AND i.email = s.key`

// groups is the query of sums over rows of the dimension, up to its GROUP BY.
func (ask FiguresQuestion) groups(rows, sums string) string {
	switch ask.By {
	case FiguresByRepo:
		return `SELECT p.name AS key, ` + sums + ` FROM ` + rows + ` s JOIN repos p ON p.org_id = $1 AND p.id = s.repo_id GROUP BY 1`
	case FiguresByUser:
		return `SELECT coalesce(i.person, s.key) AS key, ` + sums + ` FROM ` + rows + ` s ` + joinPerson + ` GROUP BY 1`
	case FiguresByTeam:
		return `SELECT t.name AS key, ` + sums + ` FROM ` + rows + ` s ` + joinPerson + `
			JOIN (SELECT DISTINCT team_id, person_of(org_id, email) AS person FROM team_members WHERE org_id = $1) m
				ON m.person = coalesce(i.person, s.key)
			JOIN teams t ON t.org_id = $1 AND t.id = m.team_id GROUP BY 1`
	}
	key := "s.key"
	if ask.Emails != nil {
		key = "s.key2"
	}
	return `SELECT ` + key + ` AS key, ` + sums + ` FROM ` + rows + ` s GROUP BY 1`
}

// liveParts adds the live lines; models and providers of some people alone have
// none, as no sums say.
func (ask FiguresQuestion) liveParts(ctx context.Context, q querier, org uuid.UUID, at func(key string) *PartFigures) error {
	var c *conditions
	switch {
	case ask.By == FiguresByRepo:
		c = ask.liveFrom(org, "all")
		if len(ask.Repos) == 0 {
			c = &conditions{}
			c.add("s.org_id = ? AND s.dimension = ? AND s.repo_id <> ?", org, map[bool]string{true: "user", false: "all"}[ask.Emails != nil], uuid.Nil)
			if ask.Emails != nil {
				c.add(oneOf("s.key", ask.Emails, c))
			}
		}
	case ask.By == FiguresByTeam, ask.By == FiguresByUser:
		c = ask.liveFrom(org, "user")
	case ask.Emails != nil:
		return nil
	default:
		c = ask.liveFrom(org, string(ask.By))
	}
	live, err := collect[LiveGroup](ctx, q, "grouping live lines", ask.groups("(SELECT s.* FROM live_sums s WHERE "+c.where()+")", liveCounts)+
		` HAVING sum(s.ai) <> 0 OR sum(s.human) <> 0 OR sum(s.unknown) <> 0`, c.args...)
	for _, l := range live {
		at(l.Key).Live = &l.LiveCounts
	}
	return err
}
