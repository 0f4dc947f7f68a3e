package httpapi

import (
	"context"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// topListed is the length of the lists of models and repositories.
const topListed = 10

// GetAnalytics implements the operation.
func (s *server) GetAnalytics(ctx context.Context, in GetAnalyticsRequestObject) (GetAnalyticsResponseObject, error) {
	filter, err := s.analyticsFilter(ctx, in.Params)
	if err != nil {
		return nil, err
	}
	sums, err := s.cfg.DB.Analytics(ctx, principal(ctx).Org, filter, topListed)
	if err != nil {
		return nil, err
	}
	return GetAnalytics200JSONResponse(analyticsOf(sums)), nil
}

func (s *server) analyticsFilter(ctx context.Context, p GetAnalyticsParams) (f store.AnalyticsFilter, err error) {
	org := principal(ctx).Org
	if f.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return f, err
	}
	if f.Emails, err = s.teamNamed(ctx, org, p.Team); err != nil {
		return f, err
	}
	zone, err := s.zone(ctx, org, p.From, p.To)
	if err != nil {
		return f, err
	}
	if f.From, err = readDay("from", p.From, zone); err != nil {
		return f, err
	}
	if f.To, err = readDay("to", p.To, zone); err != nil {
		return f, err
	}
	if !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From) {
		return f, respond.InvalidField("to", "must not be before from")
	}
	return f, nil
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
