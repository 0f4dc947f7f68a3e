package store

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Decimal is an exact decimal number as PostgreSQL writes it, such as
// "0.0123"; in JSON it is a number. The zero value is 0.
type Decimal string

// Per divides by a count, to nine digits; the empty Decimal for none.
func (d Decimal) Per(n int64) Decimal {
	if n == 0 {
		return ""
	}
	text := new(big.Rat).Quo(d.rat(), new(big.Rat).SetInt64(n)).FloatString(9)
	return Decimal(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

// rat is the number; what is none is zero, as what is empty is.
func (d Decimal) rat() *big.Rat {
	r, ok := new(big.Rat).SetString(string(d))
	if !ok {
		return new(big.Rat)
	}
	return r
}

// MarshalJSON writes the digits as they are.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("0"), nil
	}
	return json.Marshal(json.Number(d))
}

// UnmarshalJSON takes the digits of a JSON number as they are.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	var n json.Number
	err := json.Unmarshal(b, &n)
	*d = Decimal(n)
	return err
}

// Receipt is a stored receipt as lists show it. Pointers are nil where the
// receipt is silent.
type Receipt struct {
	ID              string
	RepoID          uuid.UUID
	Repo            string
	CommitHash      string
	Provider        string
	Model           string
	PromptSummary   string
	ResponseSummary string
	PromptHash      string
	CostUSD         *Decimal
	CostReportedUSD *Decimal
	// CostBasis is "reported", "computed" or "none".
	CostBasis string
	UserName  string
	UserEmail string
	FilePath  string
	LineStart int64
	LineEnd   int64
	// Files counts them.
	Files     int
	Timestamp time.Time
	// TimestampBasis is "client", "note" or "received".
	TimestampBasis      string
	SessionID           string
	SessionDurationSecs *int64
	PromptID            uuid.UUID
	PromptNumber        *int64
	InputTokens         *int64
	OutputTokens        *int64
	CacheReadTokens     *int64
	CacheCreationTokens *int64
	AcceptedLines       *int64
	OverriddenLines     *int64
	TotalAdditions      *int64
	TotalDeletions      *int64
	Source              string
	FormatVersion       string
	Current             bool
	ConversationTurns   int
	ReceivedAt          time.Time
	SyncedAt            time.Time
}

const receiptColumns = `r.id, r.repo_id, r.repo, r.commit_hash, r.provider, r.model, r.prompt_summary, r.response_summary,
	r.prompt_hash, trim_scale(r.cost_usd)::text AS cost_usd, trim_scale(r.cost_reported_usd)::text AS cost_reported_usd,
	r.cost_basis, r.user_name, r.user_email, r.file_path, r.line_start, r.line_end, r.files, r.timestamp,
	r.timestamp_basis, r.session_id, r.session_duration_secs, r.prompt_id, r.prompt_number, r.input_tokens,
	r.output_tokens, r.cache_read_tokens, r.cache_creation_tokens, r.accepted_lines, r.overridden_lines,
	r.total_additions, r.total_deletions, r.source, r.format_version, r.current, r.conversation_turns,
	r.received_at, r.synced_at`

// ReceiptFilter selects receipts; its conditions are joined by AND and zero
// values select everything.
type ReceiptFilter struct {
	// Repos holds repositories of which one must carry the receipt.
	Repos []uuid.UUID
	// UserEmail and UserName are compared without case.
	UserEmail, UserName string
	// Emails, unless nil, holds lower-case addresses of which one must be the user's.
	Emails []string
	// From is inclusive, To is exclusive.
	From, To time.Time
	// Model may hold * for any run of characters.
	Model    string
	Provider string
	// Commit is the beginning of a commit id in lower-case hex.
	Commit string
	// Path may hold * for any run of characters; a slash at its end stands for
	// everything below.
	Path string
	// Text is a part of the prompt's summary, compared without case.
	Text    string
	Source  string
	Current *bool
	// MinCost and MaxCost are decimals, both inclusive.
	MinCost, MaxCost Decimal
	// Result is what policies must have said.
	Result ReceiptResult
}

// ReceiptOrder is the order of a list of receipts; the id breaks ties.
type ReceiptOrder int

// The orders of receipts. Costliest has unknown costs at its end.
const (
	Newest ReceiptOrder = iota
	Oldest
	Costliest
)

// ReceiptPosition is a place in an ordered list: that of the receipt that was
// read last.
type ReceiptPosition struct {
	ID        string
	Timestamp time.Time
	// Cost is nil where the receipt's is unknown.
	Cost *Decimal
}

// Position is the receipt's place in any order.
func (r Receipt) Position() ReceiptPosition {
	return ReceiptPosition{ID: r.ID, Timestamp: r.Timestamp, Cost: r.CostUSD}
}

// Receipts returns up to limit receipts of the organisation after the
// position (nil: from the start).
//
// A page is read from one snapshot and, whatever the filter, from a bounded part
// of the table; effort says how.
func (db *DB) Receipts(ctx context.Context, org uuid.UUID, f ReceiptFilter, order ReceiptOrder,
	after *ReceiptPosition, limit int) ([]Receipt, error) {
	var page []Receipt
	err := db.snapshot(ctx, func(q querier) (err error) {
		page, err = receiptPage(ctx, q, receiptQuery{org: org, filter: f, order: order, after: after, limit: limit,
			effort: usual})
		return err
	})
	return page, err
}

// beginSnapshot begins with the settings of short queries: starting parallel
// workers and compiling take longer than they do.
const beginSnapshot = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
	SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; SET LOCAL enable_seqscan = off`

// snapshot runs fn on one unchanging view of the database.
func (db *DB) snapshot(ctx context.Context, fn func(querier) error) error {
	tx, err := db.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginSnapshot})
	if err != nil {
		return translate(err, "beginning to read")
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(end)
	}()
	return fn(tx)
}
