package httpapi

import (
	"context"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/store"
)

// topListed is the length of the lists of models and repositories.
const topListed = 10

// GetAnalytics implements the operation.
func (s *server) GetAnalytics(ctx context.Context, in GetAnalyticsRequestObject) (GetAnalyticsResponseObject, error) {
	ask, err := s.figuresQuestion(ctx, in.Params)
	if err != nil {
		return nil, err
	}
	sums, err := s.cfg.DB.Analytics(ctx, principal(ctx).Org, ask.AnalyticsFilter, topListed)
	if err != nil {
		return nil, err
	}
	out := analyticsOf(sums)
	if err := s.addFigures(ctx, &out, ask, in.Params); err != nil {
		return nil, err
	}
	return GetAnalytics200JSONResponse(out), nil
}

// readDay reads the day that a date or a time means, as midnight UTC.
func readDay(field, text string, zone *time.Location) (time.Time, error) {
	t, _, err := readTime(field, text, zone)
	if err != nil || t.IsZero() {
		return t, err
	}
	year, month, day := t.In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC), nil
}

func analyticsOf(a store.Analytics) Analytics {
	out := Analytics{TotalReceipts: a.Total.Receipts, ReceiptsCurrent: a.Total.ReceiptsCurrent, TotalPrompts: a.Total.Prompts,
		TotalCostUsd: a.Total.CostUSD}
	out.Tokens.Input, out.Tokens.Output = a.Total.InputTokens, a.Total.OutputTokens
	out.Tokens.CacheRead, out.Tokens.CacheCreation = a.Total.CacheReadTokens, a.Total.CacheCreationTokens
	out.TopModels = each(a.Models, func(k store.KeySums) ModelSums {
		return ModelSums{Model: k.Key, Count: k.Receipts, Cost: k.CostUSD}
	})
	out.TopRepos = each(a.Repos, func(k store.KeySums) RepoSums {
		return RepoSums{Repo: k.Key, Receipts: k.Receipts, Cost: k.CostUSD}
	})
	out.DailyTrend = each(a.Days, func(d store.DaySums) DaySums {
		return DaySums{Date: openapi_types.Date{Time: d.Day}, Receipts: d.Receipts, Cost: d.CostUSD}
	})
	return out
}
