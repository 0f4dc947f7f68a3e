package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// PromptSession is what the prompts of a conversation add up to, each counted once by
// its largest report.
type PromptSession struct {
	ID        uuid.UUID
	Provider  string
	SessionID string
	// FirstAt and LastAt are the times of the first and the last prompt.
	FirstAt, LastAt   time.Time
	Prompts, Receipts int64
	// Current: the tip of a notes ref carries one of its receipts.
	Current bool
	// Users are addresses in lower case; Repos are the names of repositories.
	Users, Models, Repos []string
	// Sums are nil where no prompt says anything.
	CostUSD             *Decimal
	InputTokens         *Decimal
	OutputTokens        *Decimal
	CacheReadTokens     *Decimal
	CacheCreationTokens *Decimal
}

const promptSessionColumns = `s.id, s.provider, s.session_id, s.first_at, s.last_at, s.prompts, s.receipts, s.current, s.users, s.models,
	ARRAY(SELECT r.name FROM repos r WHERE r.org_id = s.org_id AND r.id = ANY(s.repos) ORDER BY r.name) AS repos,
	trim_scale(s.cost_usd)::text AS cost_usd, s.input_tokens::text AS input_tokens, s.output_tokens::text AS output_tokens,
	s.cache_read_tokens::text AS cache_read_tokens, s.cache_creation_tokens::text AS cache_creation_tokens`

// PromptSessionFilter selects sessions; its conditions are joined by AND and zero values
// select everything.
type PromptSessionFilter struct {
	Repos []uuid.UUID
	// Emails, unless nil, holds lower-case addresses of which one must be a user's.
	Emails          []string
	Model, Provider string
	// From is inclusive, To is exclusive; a session lies in the period if one of its
	// ends or both do, or the period lies in it.
	From, To time.Time
}

// PromptSessionPosition is a place in the list of sessions: that of the one that was
// read last.
type PromptSessionPosition struct {
	ID     uuid.UUID
	LastAt time.Time
}

// PromptSessions returns up to limit sessions after a position (nil: from the start), the
// one with the newest prompt first.
func (db *DB) PromptSessions(ctx context.Context, org uuid.UUID, f PromptSessionFilter, after *PromptSessionPosition, limit int) ([]PromptSession, error) {
	return promptSessions(ctx, db.pool, org, f, after, limit)
}

func promptSessions(ctx context.Context, q querier, org uuid.UUID, f PromptSessionFilter, after *PromptSessionPosition, limit int) ([]PromptSession, error) {
	c := &conditions{parts: []string{"s.org_id = $1"}, args: []any{org}}
	if len(f.Repos) > 0 {
		c.add("s.repos && ?::uuid[]", f.Repos)
	}
	if f.Emails != nil {
		c.add("s.users && ?::text[]", f.Emails)
	}
	if f.Model != "" {
		c.add("? = ANY(s.models)", f.Model)
	}
	if f.Provider != "" {
		c.add("s.provider = ?", f.Provider)
	}
	if !f.From.IsZero() {
		c.add("s.last_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		c.add("s.first_at < ?", f.To)
	}
	if after != nil {
		c.add("(s.last_at, s.id) < (?, ?)", after.LastAt, after.ID)
	}
	return collect[PromptSession](ctx, q, "listing sessions", "SELECT "+promptSessionColumns+" FROM prompt_sessions s WHERE "+c.where()+
		" ORDER BY s.last_at DESC, s.id DESC LIMIT "+itoa(limit), append([]any{planned}, c.args...)...)
}

// Prompt is a logical prompt with its largest report.
type Prompt struct {
	ID     uuid.UUID
	Number *int64
	// ReceiptID is the largest report, of so many Receipts.
	ReceiptID           string
	Receipts            int64
	Repo                string
	Model               string
	UserEmail           string
	Summary             string
	Timestamp           time.Time
	Current             bool
	CostUSD             *Decimal
	CostBasis           string
	InputTokens         *int64
	OutputTokens        *int64
	CacheReadTokens     *int64
	CacheCreationTokens *int64
}

// PromptSession reads one session and its prompts in their order, at most 1000 of them.
func (db *DB) PromptSession(ctx context.Context, org, id uuid.UUID) (session PromptSession, prompts []Prompt, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		session, err = collectOne[PromptSession](ctx, q, "reading a session",
			`SELECT `+promptSessionColumns+` FROM prompt_sessions s WHERE s.org_id = $1 AND s.id = $2`, org, id)
		if err != nil {
			return err
		}
		prompts, err = collect[Prompt](ctx, q, "reading the prompts of a session", `
			SELECT p.prompt_id AS id, p.prompt_number AS number, p.receipt_id, p.receipts, r.repo, p.model, p.user_email,
			       r.prompt_summary AS summary, p.timestamp, p.current, trim_scale(p.cost_usd)::text AS cost_usd, r.cost_basis,
			       p.input_tokens, p.output_tokens, p.cache_read_tokens, p.cache_creation_tokens
			FROM prompts p JOIN receipts r ON r.org_id = p.org_id AND r.id = p.receipt_id
			WHERE p.org_id = $1 AND p.provider = $2 AND p.session_id = $3
			ORDER BY p.prompt_number NULLS LAST, p.timestamp, p.prompt_id LIMIT `+itoa(maxRelated), org, session.Provider, session.SessionID)
		return err
	})
	return session, prompts, err
}
