package httpapi

import (
	"context"

	"github.com/blameprompt/enterprise/store"
)

// ListSessions implements the operation.
func (s *server) ListSessions(ctx context.Context, in ListSessionsRequestObject) (ListSessionsResponseObject, error) {
	org, params := principal(ctx).Org, in.Params
	filter, err := s.sessionFilter(ctx, params)
	if err != nil {
		return nil, err
	}
	limit := limitOr(params.Limit)
	params.Limit, params.Cursor = 0, ""
	seal := sealOf(org, "listSessions", params)
	var after *store.PromptSessionPosition
	if err := openCursor(in.Params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.PromptSessions(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListSessions200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		page.NextCursor = makeCursor(seal, store.PromptSessionPosition{ID: last.ID, LastAt: last.LastAt})
	}
	page.Items = each(rows, sessionOf)
	return page, nil
}

func (s *server) sessionFilter(ctx context.Context, p ListSessionsParams) (f store.PromptSessionFilter, err error) {
	org := principal(ctx).Org
	f.Model, f.Provider = p.Model, p.Provider
	if f.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return f, err
	}
	if f.Emails, err = s.teamNamed(ctx, org, p.Team); err != nil {
		return f, err
	}
	if p.User != "" {
		own, err := s.userNamed(ctx, org, p.User)
		if err != nil {
			return f, err
		}
		f.Emails = both(own, f.Emails)
	}
	f.From, f.To, err = s.period(ctx, org, p.From, p.To)
	return f, err
}

// GetSession implements the operation.
func (s *server) GetSession(ctx context.Context, in GetSessionRequestObject) (GetSessionResponseObject, error) {
	session, prompts, err := s.cfg.DB.PromptSession(ctx, principal(ctx).Org, in.Id)
	if err != nil {
		return nil, err
	}
	return GetSession200JSONResponse{Session: sessionOf(session), Prompts: each(prompts, promptOf)}, nil
}

func sessionOf(s store.PromptSession) Session {
	return Session{Id: s.ID, Provider: s.Provider, SessionId: s.SessionID, FirstAt: s.FirstAt, LastAt: s.LastAt, Prompts: s.Prompts,
		Receipts: s.Receipts, Current: s.Current, Users: s.Users, Models: s.Models, Repos: s.Repos, CostUsd: s.CostUSD,
		InputTokens: s.InputTokens, OutputTokens: s.OutputTokens, CacheReadTokens: s.CacheReadTokens,
		CacheCreationTokens: s.CacheCreationTokens}
}

func promptOf(p store.Prompt) Prompt {
	return Prompt{Id: p.ID, Number: p.Number, ReceiptId: p.ReceiptID, Receipts: p.Receipts, Repo: p.Repo, Model: p.Model,
		UserEmail: p.UserEmail, Summary: p.Summary, Timestamp: p.Timestamp, Current: p.Current, CostUsd: p.CostUSD,
		CostBasis: PromptCostBasis(p.CostBasis), InputTokens: p.InputTokens, OutputTokens: p.OutputTokens,
		CacheReadTokens: p.CacheReadTokens, CacheCreationTokens: p.CacheCreationTokens}
}
