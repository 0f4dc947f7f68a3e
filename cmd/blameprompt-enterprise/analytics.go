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
}

const analyticsHelp = `Show what AI cost and wrote: receipts, prompts, cost and tokens of the
organisation, by model, repository and day. Cost and tokens are those of
prompts, each counted once.

The team is that of the configuration unless --team names another one; --team ""
is the whole organisation.`

func newAnalytics(a *app) *cobra.Command {
	var f analyticsFlags
	cmd := &cobra.Command{
		Use:   "analytics",
		Short: "Show receipts, prompts, cost and tokens of a period",
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
	return cmd
}

// analyticsShown is the API's answer as far as a table shows it.
type analyticsShown struct {
	TotalReceipts    int64        `json:"total_receipts"`
	ReceiptsCurrent  int64        `json:"receipts_current"`
	TotalPrompts     int64        `json:"total_prompts"`
	TotalCostUSD     json.Number  `json:"total_cost_usd"`
	AICodePercentage *json.Number `json:"ai_code_percentage"`
	Tokens           struct {
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

func (a *app) printAnalytics(sums analyticsShown, f analyticsFlags, team string) error {
	share := ""
	if sums.AICodePercentage != nil {
		share = sums.AICodePercentage.String() + "%"
	}
	t := sums.Tokens
	err := a.table(nil, [][]string{
		{"Of", cmp.Or(team, "the organisation")},
		{"Period", cmp.Or(f.from, "the beginning") + " to " + cmp.Or(f.to, "today")},
		{"Cost", dollars(sums.TotalCostUSD)},
		{"Prompts", strconv.FormatInt(sums.TotalPrompts, 10)},
		{"Receipts", fmt.Sprintf("%d, of which %d current", sums.TotalReceipts, sums.ReceiptsCurrent)},
		{"Tokens", fmt.Sprintf("%s in, %s out, %s read from and %s written to caches", t.Input, t.Output, t.CacheRead, t.CacheCreation)},
		{"AI share of code", share},
	})
	if err != nil {
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
