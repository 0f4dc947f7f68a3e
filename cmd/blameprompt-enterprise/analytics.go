package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// analyticsFlags say what to sum.
type analyticsFlags struct {
	repos          []string
	team, from, to string
	days           int
	compare        bool
}

const analyticsHelp = `Show what AI cost and wrote: receipts, prompts, cost and tokens of the
organisation, by model, repository and day. Cost and tokens are those of
prompts, each counted once. The AI share is that of the lines which commits of
default branches added in the period; unknown lines are those that nothing
speaks for. With --compare, the period before is shown beside it.

The team is that of the configuration unless --team names another one; --team ""
is the whole organisation.`

func newAnalytics(a *app) *cobra.Command {
	var f analyticsFlags
	cmd := &cobra.Command{
		Use:   "analytics",
		Short: "Show receipts, prompts, cost, tokens and AI share of a period",
		Long:  analyticsHelp,
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.analytics(cmd.Context(), f, cmd.Flags().Changed("team"))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.repos, "repo", nil, "Repository by name or id; may be repeated")
	flags.StringVar(&f.team, "team", "", "Team by name or id")
	flags.StringVar(&f.from, "from", "", "First day, such as 2026-02-14")
	flags.StringVar(&f.to, "to", "", "Last day")
	flags.IntVar(&f.days, "days", 14, "How many of the last days to list; 0 means all")
	flags.BoolVar(&f.compare, "compare", false, "Show the period before as well; needs --from and --to")
	return cmd
}

// figuresShown are figures of a period.
type figuresShown struct {
	Prompts int64       `json:"prompts"`
	CostUSD json.Number `json:"cost_usd"`
	Lines   struct {
		Added int64 `json:"added"`
		AI    int64 `json:"ai"`
	} `json:"lines"`
	AIShare      *float64 `json:"ai_share"`
	UnknownShare *float64 `json:"unknown_share"`
	Coverage     *float64 `json:"coverage"`
	Quality      struct {
		Scored  int64    `json:"scored"`
		Average *float64 `json:"average"`
	} `json:"quality"`
	Time struct {
		Timed int64   `json:"timed"`
		Hours float64 `json:"hours"`
	} `json:"time"`
	CostPerAddedAILine *json.Number `json:"cost_per_added_ai_line"`
}

// share says how much AI wrote, with what it is to be read beside.
func (f *figuresShown) share() string {
	if f.AIShare == nil {
		return ""
	}
	text := fmt.Sprintf("%s of %d added lines", percent(*f.AIShare), f.Lines.Added)
	if f.UnknownShare != nil {
		text += ", " + percent(*f.UnknownShare) + " unknown"
	}
	if f.Coverage != nil {
		text += "; notes speak of " + percent(*f.Coverage) + " of the commits"
	}
	return text
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 1, 64) + "%" }

// analyticsShown is the API's answer as far as a table shows it.
type analyticsShown struct {
	TotalReceipts   int64        `json:"total_receipts"`
	ReceiptsCurrent int64        `json:"receipts_current"`
	TotalPrompts    int64        `json:"total_prompts"`
	TotalCostUSD    json.Number  `json:"total_cost_usd"`
	Figures         figuresShown `json:"figures"`
	Live            struct {
		Lines   int64    `json:"lines"`
		AI      int64    `json:"ai"`
		AIShare *float64 `json:"ai_share"`
	} `json:"live"`
	CostPerLiveAILine *json.Number `json:"cost_per_live_ai_line"`
	Previous          *struct {
		From    string       `json:"from"`
		To      string       `json:"to"`
		Figures figuresShown `json:"figures"`
	} `json:"previous"`
	Tokens struct {
		Input         json.Number `json:"input"`
		Output        json.Number `json:"output"`
		CacheRead     json.Number `json:"cache_read"`
		CacheCreation json.Number `json:"cache_creation"`
	} `json:"tokens"`
	TopModels []struct {
		Model string      `json:"model"`
		Count int64       `json:"count"`
		Cost  json.Number `json:"cost"`
	} `json:"top_models"`
	TopRepos []struct {
		Repo     string      `json:"repo"`
		Receipts int64       `json:"receipts"`
		Cost     json.Number `json:"cost"`
	} `json:"top_repos"`
	DailyTrend []struct {
		Date     string      `json:"date"`
		Receipts int64       `json:"receipts"`
		Cost     json.Number `json:"cost"`
	} `json:"daily_trend"`
}

func (a *app) analytics(ctx context.Context, f analyticsFlags, teamGiven bool) error {
	client, cfg, err := a.connect()
	if err != nil {
		return err
	}
	team := f.team
	if !teamGiven {
		team = cfg.Team
	}
	query := url.Values{"repo": f.repos}
	for name, value := range map[string]string{"team": team, "from": f.from, "to": f.to} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.compare {
		query.Set("compare", "previous")
	}
	var sums analyticsShown
	raw, err := client.get(ctx, &sums, query, "api", "v1", "analytics")
	if err != nil {
		return err
	}
	if a.json {
		return a.printAnswer(raw)
	}
	return a.printAnalytics(sums, f, team)
}

// summary are the totals, a name and a value to a row.
func (s *analyticsShown) summary(f analyticsFlags, team string) [][]string {
	t := s.Tokens
	rows := [][]string{
		{"Of", cmp.Or(team, "the organisation")},
		{"Period", cmp.Or(f.from, "the beginning") + " to " + cmp.Or(f.to, "today")},
		{"Cost", dollars(s.TotalCostUSD)},
		{"Prompts", strconv.FormatInt(s.TotalPrompts, 10)},
		{"Receipts", fmt.Sprintf("%d, of which %d current", s.TotalReceipts, s.ReceiptsCurrent)},
		{"Tokens", fmt.Sprintf("%s in, %s out, %s read from and %s written to caches", t.Input, t.Output, t.CacheRead, t.CacheCreation)},
		{"AI share of code", s.Figures.share()},
	}
	if cost := s.Figures.CostPerAddedAILine; cost != nil {
		rows = append(rows, []string{"Cost per AI line", dollars(*cost)})
	}
	if q := s.Figures.Quality; q.Average != nil {
		rows = append(rows, []string{"Quality", fmt.Sprintf("%.1f of 100 on average, of %d prompts with a score", *q.Average, q.Scored)})
	}
	if spent := s.Figures.Time; spent.Timed > 0 {
		rows = append(rows, []string{"Time", fmt.Sprintf("%.1f hours, of %d prompts that say how long they took", spent.Hours, spent.Timed)})
	}
	if s.Live.AIShare != nil {
		rows = append(rows, []string{"Alive today", fmt.Sprintf("%d AI lines, %s of all", s.Live.AI, percent(*s.Live.AIShare))})
	}
	if cost := s.CostPerLiveAILine; cost != nil {
		rows = append(rows, []string{"Cost per live AI line", dollars(*cost)})
	}
	if before := s.Previous; before != nil {
		rows = append(rows, []string{"Period before", before.From + " to " + before.To},
			[]string{"  Cost", dollars(before.Figures.CostUSD)}, []string{"  Prompts", strconv.FormatInt(before.Figures.Prompts, 10)},
			[]string{"  AI share of code", before.Figures.share()})
	}
	return rows
}

func (a *app) printAnalytics(sums analyticsShown, f analyticsFlags, team string) error {
	if err := a.table(nil, sums.summary(f, team)); err != nil {
		return err
	}
	var models, repos, days [][]string
	for _, m := range sums.TopModels {
		models = append(models, []string{cmp.Or(m.Model, "unknown"), strconv.FormatInt(m.Count, 10), dollars(m.Cost)})
	}
	for _, r := range sums.TopRepos {
		repos = append(repos, []string{r.Repo, strconv.FormatInt(r.Receipts, 10), dollars(r.Cost)})
	}
	trend := sums.DailyTrend
	if f.days > 0 {
		trend = trend[max(0, len(trend)-f.days):]
	}
	for _, d := range trend {
		days = append(days, []string{d.Date, strconv.FormatInt(d.Receipts, 10), dollars(d.Cost)})
	}
	for _, part := range []struct {
		name string
		rows [][]string
	}{{"MODEL", models}, {"REPOSITORY", repos}, {"DAY", days}} {
		if len(part.rows) == 0 {
			continue
		}
		fmt.Fprintln(a.stdout)
		if err := a.table([]string{part.name, "RECEIPTS", "COST"}, part.rows); err != nil {
			return err
		}
	}
	return nil
}
