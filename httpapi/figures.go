package httpapi

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// partsListed is the length of the list of parts.
const partsListed = 100

// figuresQuestion reads what else than the totals is asked for.
func (s *server) figuresQuestion(ctx context.Context, p GetAnalyticsParams) (ask store.FiguresQuestion, err error) {
	ask.AnalyticsFilter, err = s.peopleFilter(ctx, peopleParams{p.Repo, p.Team, p.User, p.From, p.To})
	if err != nil {
		return ask, err
	}
	ask.Series, ask.By, ask.Top = store.Grain(p.Series), store.FigureDimension(p.By), partsListed
	switch p.By {
	case GetAnalyticsParamsByTool:
		ask.By = store.FiguresByProvider
		fallthrough
	case GetAnalyticsParamsByProvider, GetAnalyticsParamsByCategory, GetAnalyticsParamsByHour:
		if ask.Emails != nil {
			return ask, respond.InvalidField("by", "must not be a tool, provider, category or hour together with team or user")
		}
	case GetAnalyticsParamsByTeam:
		if p.Team != "" {
			return ask, respond.InvalidField("by", "must not be team together with team")
		}
	}
	if err := s.folderAsked(&ask, p); err != nil {
		return ask, err
	}
	if p.Compare != "" && (ask.From.IsZero() || ask.To.IsZero()) {
		return ask, respond.InvalidField("compare", "needs from and to")
	}
	return ask, nil
}

// folderAsked reads which folder's parts are asked for.
func (s *server) folderAsked(ask *store.FiguresQuestion, p GetAnalyticsParams) error {
	switch {
	case p.By != GetAnalyticsParamsByPath && p.Path != "":
		return respond.InvalidField("path", "is for by=path")
	case p.By == GetAnalyticsParamsByPath && ask.Emails != nil:
		return respond.InvalidField("by", "must not be path together with team or user")
	case p.By == GetAnalyticsParamsByPath && len(ask.Repos) != 1:
		return respond.InvalidField("repo", "must name one repository, whose folder is listed")
	}
	ask.Folder = p.Path
	return nil
}

// periodBefore is the period before: of as many months if it is of whole ones,
// else of as many days.
func periodBefore(from, to time.Time) (time.Time, time.Time) {
	past := to.AddDate(0, 0, 1)
	if from.Day() == 1 && past.Day() == 1 {
		months := (past.Year()-from.Year())*12 + int(past.Month()-from.Month())
		return from.AddDate(0, -months, 0), from.AddDate(0, 0, -1)
	}
	return from.Add(from.Sub(past)), from.AddDate(0, 0, -1)
}

// addFigures adds what the answer has beside the totals that the seed has.
func (s *server) addFigures(ctx context.Context, out *Analytics, ask store.FiguresQuestion, p GetAnalyticsParams) error {
	org := principal(ctx).Org
	all, err := s.cfg.DB.Figures(ctx, org, ask)
	if err != nil {
		return err
	}
	asked := peopleParams{repos: p.Repo, team: p.Team, user: p.User}
	of := func(f store.Figures, from, to time.Time) Figures {
		return figuresOf(f, withDays(asked.query(), from, to), true)
	}
	out.Figures = of(all.Total, ask.From, ask.To)
	if out.Figures.AiShare != nil {
		percent := *share(all.Total.Lines.AI*100, all.Total.Lines.Added)
		out.AiCodePercentage = &percent
	}
	out.Live, out.CostPerLiveAiLine = countsOf(all.Live), perLine(all.LiveCost, all.Live.AI)
	out.Rework = within(all.Cohorts, time.Now().UTC().Truncate(oneDay))
	out.LiveRows, out.ReworkRows = liveRows(ask, p.Repo)
	out.Series = each(all.Series, func(period store.PeriodFigures) FiguresPeriod {
		from, to := clipped(period.Day, ask)
		return periodOf(from, to, of(period.Figures, from, to))
	})
	out.Groups = each(all.Parts, func(part store.PartFigures) FiguresGroup { return groupOf(part, ask, p) })
	out.Kinds = each(all.Kinds, kindOf)
	out.Folders = each(all.Folders, func(f store.FolderFigures) FolderFigures { return folderOf(f, ask, p.Repo) })
	if p.Compare == "" {
		return nil
	}
	before := ask.AnalyticsFilter
	before.From, before.To = periodBefore(ask.From, ask.To)
	total, err := s.cfg.DB.FigureTotals(ctx, org, before)
	if err != nil {
		return err
	}
	previous := periodOf(before.From, before.To, of(total, before.From, before.To))
	out.Previous = &previous
	return nil
}

func liveRows(ask store.FiguresQuestion, repos []string) (live, rework string) {
	query := url.Values{"repo": slices.Clone(repos)}
	if ask.Emails != nil {
		query.Set("by", string(store.LiveByUser))
	}
	return *link("/api/v1/live", query), *link("/api/v1/rework", query)
}

// clipped is a period of the series, as far as it was asked for.
func clipped(first time.Time, ask store.FiguresQuestion) (from, to time.Time) {
	switch ask.Series {
	case store.Weekly:
		to = first.AddDate(0, 0, 6)
	case store.Monthly:
		to = first.AddDate(0, 1, -1)
	default:
		to = first
	}
	if first.Before(ask.From) {
		first = ask.From
	}
	if !ask.To.IsZero() && to.After(ask.To) {
		to = ask.To
	}
	return first, to
}

func periodOf(from, to time.Time, f Figures) FiguresPeriod {
	return FiguresPeriod{From: openapi_types.Date{Time: from}, To: openapi_types.Date{Time: to}, Figures: f}
}

func groupOf(part store.PartFigures, ask store.FiguresQuestion, p GetAnalyticsParams) FiguresGroup {
	query := withDays(peopleParams{repos: p.Repo, team: p.Team, user: p.User}.query(), ask.From, ask.To)
	query.Set(string(ask.By), part.Key)
	listed := ask.By != store.FiguresByModel && ask.By != store.FiguresByProvider
	out := FiguresGroup{Key: part.Key, Figures: figuresOf(part.Figures, query, listed)}
	if part.Key == "" {
		// No list can be asked for what has no name.
		out.Figures.Rows.Receipts, out.Figures.Rows.Commits, out.Figures.Rows.CommitsNoted = nil, nil, nil
		out.Figures.Rows.Ai, out.Figures.Rows.Human, out.Figures.Rows.Unknown = nil, nil, nil
	}
	if part.Live != nil {
		counts, by := countsOf(*part.Live), GetLiveParamsBy(ask.By)
		if ask.By == store.FiguresByProvider {
			by = GetLiveParamsByTool
		}
		out.Live, out.LiveRows = &counts, rowsOf(by, part.Key, p.Repo)
	}
	return out
}

// figuresOf shows figures with the lists behind them, which query selects; of
// commits only if they can be listed so.
func figuresOf(f store.Figures, query url.Values, listed bool) Figures {
	n := f.Lines
	out := Figures{Receipts: f.Receipts, ReceiptsCurrent: f.ReceiptsCurrent, Prompts: f.Prompts, CostUsd: f.CostUSD,
		Lines:   LineCounts{Added: n.Added, Ai: n.AI, Human: n.Human, Unknown: n.Unknown, Trailer: n.Trailer, Excluded: n.Excluded, Deleted: n.Deleted},
		AiShare: share(n.AI, n.Added), UnknownShare: share(n.Unknown, n.Added),
		Commits: n.Commits, CommitsNoted: n.CommitsNoted, Coverage: share(n.CommitsNoted, n.Commits),
		CostPerAddedAiLine: perLine(f.CostUSD, n.AI), Quality: qualityOf(f.Facets), Time: timeOf(f.Facets)}
	out.Tokens.Input, out.Tokens.Output = f.InputTokens, f.OutputTokens
	out.Tokens.CacheRead, out.Tokens.CacheCreation = f.CacheReadTokens, f.CacheCreationTokens
	out.Rows.Receipts = link("/api/v1/receipts", query)
	if !listed {
		return out
	}
	commits := func(pairs ...string) *string {
		rows := maps.Clone(query)
		for i := 0; i < len(pairs); i += 2 {
			rows.Set(pairs[i], pairs[i+1])
		}
		return link("/api/v1/commits", rows)
	}
	out.Rows.Commits, out.Rows.CommitsNoted = commits("kind", "counted"), commits("kind", "counted", "noted", "true")
	out.Rows.Ai, out.Rows.Human, out.Rows.Unknown = commits("class", "ai"), commits("class", "human"), commits("class", "unknown")
	return out
}

func perLine(cost store.Decimal, lines int64) *store.Decimal {
	if lines == 0 {
		return nil
	}
	each := cost.Per(lines)
	return &each
}

// withDays adds the period to a query.
func withDays(query url.Values, from, to time.Time) url.Values {
	for name, day := range map[string]time.Time{"from": from, "to": to} {
		if !day.IsZero() {
			query.Set(name, day.Format(time.DateOnly))
		}
	}
	return query
}
