package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Decimal is an exact decimal number as PostgreSQL writes it, such as
// "0.0123"; in JSON it is a number. The zero value is 0.
type Decimal string

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
// A page is read from one snapshot. The rollups show in which days enough
// receipts match to fill it, so that a model that was last used a year ago does
// not cost a walk through the year. Within those days either one index is
// walked in the order asked for, or, where the rollups count the matches or
// show that they are few, several indexes are joined and the matches sorted.
func (db *DB) Receipts(ctx context.Context, org uuid.UUID, f ReceiptFilter, order ReceiptOrder,
	after *ReceiptPosition, limit int) ([]Receipt, error) {
	var page []Receipt
	err := db.snapshot(ctx, func(q querier) (err error) {
		page, err = receiptPage(ctx, q, receiptQuery{org: org, filter: f, order: order, after: after, limit: limit})
		return err
	})
	return page, err
}

// snapshot runs fn on one unchanging view of the database.
func (db *DB) snapshot(ctx context.Context, fn func(querier) error) error {
	tx, err := db.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
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

// receiptQuery is one page asked for.
type receiptQuery struct {
	org    uuid.UUID
	filter ReceiptFilter
	order  ReceiptOrder
	after  *ReceiptPosition
	limit  int
}

func receiptPage(ctx context.Context, q querier, ask receiptQuery) ([]Receipt, error) {
	if strings.Contains(ask.filter.Model, "*") {
		models, err := modelsLike(ctx, q, ask.org, ask.filter.Model)
		if err != nil || len(models) == 0 {
			return nil, err
		}
		return receiptPageOf(ctx, q, ask, models)
	}
	if ask.filter.Model != "" {
		return receiptPageOf(ctx, q, ask, []string{ask.filter.Model})
	}
	return receiptPageOf(ctx, q, ask, nil)
}

func receiptPageOf(ctx context.Context, q querier, ask receiptQuery, models []string) ([]Receipt, error) {
	extent, err := receiptExtent(ctx, q, ask, models)
	if err != nil {
		return nil, err
	}
	guests, err := hasGuests(ctx, q, ask.org, ask.filter.Repos)
	if err != nil || (extent.none && !guests) {
		return nil, err
	}
	if ask.order != Costliest {
		return ask.read(ctx, q, models, extent, guests, "")
	}
	// Known costs come first, then unknown ones: two walks of one index.
	var page []Receipt
	if ask.after == nil || ask.after.Cost != nil {
		page, err = ask.read(ctx, q, models, extent, guests, "r.cost_usd IS NOT NULL")
		if err != nil || len(page) == ask.limit {
			return page, err
		}
		ask.limit -= len(page)
		ask.after = nil
	}
	rest, err := ask.read(ctx, q, models, extent, guests, "r.cost_usd IS NULL")
	return append(page, rest...), err
}

// modelsLike resolves a pattern by the rollups, which know every model: one
// index probe per model instead of a walk through the receipts.
func modelsLike(ctx context.Context, q querier, org uuid.UUID, pattern string) ([]string, error) {
	rows, err := q.Query(ctx, `
		WITH RECURSIVE known AS (
			(SELECT key FROM rollups WHERE org_id = $1 AND dimension = 'model' AND repo_id = $2 ORDER BY key LIMIT 1)
			UNION ALL
			SELECT (SELECT n.key FROM rollups n WHERE n.org_id = $1 AND n.dimension = 'model' AND n.repo_id = $2
			        AND n.key > known.key ORDER BY n.key LIMIT 1)
			FROM known WHERE known.key IS NOT NULL)
		SELECT key FROM known WHERE key LIKE $3 LIMIT 10000`, org, uuid.Nil, likeGlob(pattern))
	if err != nil {
		return nil, translate(err, "finding models")
	}
	models, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return models, translate(err, "finding models")
}

// hasGuests says whether one of the repositories carries receipts whose
// content was taken from another one.
func hasGuests(ctx context.Context, q querier, org uuid.UUID, repos []uuid.UUID) (has bool, err error) {
	if len(repos) == 0 {
		return false, nil
	}
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM receipt_repos WHERE org_id = $1 AND repo_id = ANY($2))`,
		org, repos).Scan(&has)
	return has, translate(err, "looking for receipts of other repositories")
}

// conditions collects the parts of a WHERE clause and their arguments.
type conditions struct {
	parts []string
	args  []any
}

// add appends a condition; each ? in it takes the next of args.
func (c *conditions) add(condition string, args ...any) {
	var b strings.Builder
	for _, arg := range args {
		before, after, _ := strings.Cut(condition, "?")
		b.WriteString(before)
		b.WriteString(c.arg(arg))
		condition = after
	}
	b.WriteString(condition)
	c.parts = append(c.parts, b.String())
}

// arg takes an argument and returns its placeholder.
func (c *conditions) arg(arg any) string {
	c.args = append(c.args, arg)
	return "$" + itoa(len(c.args))
}

func (c *conditions) where() string { return strings.Join(c.parts, " AND ") }

// orderBy holds the ORDER BY and the comparison that begins after a position.
var orderBy = map[ReceiptOrder]struct{ order, after string }{
	Newest:    {"r.timestamp DESC, r.id DESC", "(r.timestamp, r.id) < (?, ?)"},
	Oldest:    {"r.timestamp, r.id", "(r.timestamp, r.id) > (?, ?)"},
	Costliest: {"r.cost_usd DESC NULLS LAST, r.id DESC", "(r.cost_usd, r.id) < (?::numeric, ?)"},
}

// read runs the query proper. part restricts it to a part of the order.
func (ask receiptQuery) read(ctx context.Context, q querier, models []string, in extent, guests bool,
	part string) ([]Receipt, error) {
	c := &conditions{}
	c.add("r.org_id = ?", ask.org)
	ask.addFilter(c, models)
	if part != "" {
		c.add(part)
	}
	ask.addPosition(c)
	order, limit := orderBy[ask.order].order, "LIMIT "+itoa(ask.limit)
	ordered := " ORDER BY " + order + " " + limit
	common := c.where()
	var sources []string
	if !in.none {
		in.add(c)
		if len(ask.filter.Repos) > 0 {
			c.add(oneOf("r.repo_id", ask.filter.Repos, c))
		}
		sources = append(sources, "(SELECT r.* FROM receipts r WHERE "+c.where()+in.fence(ordered)+")")
	}
	if guests {
		sources = append(sources, "(SELECT r.* FROM "+guestsFrom(c, ask.filter.Repos)+" AND "+common+ordered+")")
	}
	return collect[Receipt](ctx, q, "querying receipts", "SELECT "+receiptColumns+
		" FROM ("+strings.Join(sources, " UNION ALL ")+") r"+ordered, append([]any{planned}, c.args...)...)
}

// planned makes PostgreSQL plan a statement for its arguments: the best way to
// a frequent and to a rare model are different ones.
const planned = pgx.QueryExecModeCacheDescribe

// guestsFrom selects receipts that stand in repos while their content was
// taken from elsewhere. Equal timestamps on both sides let the one index that
// has repository and time lead.
func guestsFrom(c *conditions, repos []uuid.UUID) string {
	if len(repos) == 1 {
		repo := c.arg(repos[0])
		return `receipt_repos g JOIN receipts r ON r.org_id = g.org_id AND r.id = g.receipt_id AND r.timestamp = g.timestamp
			WHERE g.org_id = $1 AND g.repo_id = ` + repo
	}
	list := c.arg(repos)
	return `receipts r WHERE r.id IN (SELECT g.receipt_id FROM receipt_repos g WHERE g.org_id = $1 AND g.repo_id = ANY(` +
		list + `)) AND r.repo_id <> ALL(` + list + `)`
}

// addPosition begins the list after the position, if there is one.
func (ask receiptQuery) addPosition(c *conditions) {
	switch p := ask.after; {
	case p == nil:
	case ask.order != Costliest:
		c.add(orderBy[ask.order].after, p.Timestamp, p.ID)
	case p.Cost == nil:
		c.add("r.id < ?", p.ID)
	default:
		c.add(orderBy[ask.order].after, string(*p.Cost), p.ID)
	}
}

func (ask receiptQuery) addFilter(c *conditions, models []string) {
	f := ask.filter
	if models != nil {
		c.add(oneOf("r.model", models, c))
	}
	if f.UserEmail != "" {
		c.add("lower(r.user_email) = lower(?)", f.UserEmail)
	}
	if f.UserName != "" {
		c.add("lower(r.user_name) = lower(?)", f.UserName)
	}
	if f.Emails != nil {
		c.add(oneOf("lower(r.user_email)", f.Emails, c))
	}
	if !f.From.IsZero() {
		c.add("r.timestamp >= ?", f.From)
	}
	if !f.To.IsZero() {
		c.add("r.timestamp < ?", f.To)
	}
	if f.Provider != "" {
		c.add("r.provider = ?", f.Provider)
	}
	if f.Source != "" {
		c.add("r.source = ?", f.Source)
	}
	if f.Current != nil {
		c.add("r.current = ?", *f.Current)
	}
	if f.MinCost != "" {
		c.add("r.cost_usd >= ?::numeric", string(f.MinCost))
	}
	if f.MaxCost != "" {
		c.add("r.cost_usd <= ?::numeric", string(f.MaxCost))
	}
	if f.Text != "" {
		c.add("r.prompt_summary ILIKE ?", "%"+escapeLike(f.Text)+"%")
	}
	ask.addPlaces(c)
}

// addPlaces adds the conditions on commits and files, which other tables hold.
func (ask receiptQuery) addPlaces(c *conditions) {
	f := ask.filter
	if f.Commit != "" {
		commit := "EXISTS (SELECT FROM receipt_commits c WHERE c.org_id = r.org_id AND c.receipt_id = r.id" +
			" AND c.commit >= " + c.arg(f.Commit) +
			// Every hex digit comes before g.
			" AND c.commit < " + c.arg(f.Commit+"g")
		if len(f.Repos) > 0 {
			commit += " AND c.repo_id = ANY(" + c.arg(f.Repos) + ")"
		}
		c.parts = append(c.parts, commit+")")
	}
	if f.Path != "" {
		match := "f.path = " + c.arg(f.Path)
		if strings.HasSuffix(f.Path, "/") || strings.Contains(f.Path, "*") {
			c.args[len(c.args)-1] = likePath(f.Path)
			match = "f.path LIKE $" + itoa(len(c.args))
		}
		c.parts = append(c.parts, "EXISTS (SELECT FROM receipt_files f WHERE f.org_id = r.org_id"+
			" AND f.receipt_id = r.id AND "+match+")")
	}
}

// oneOf compares a column with one value by =, which can use the order of an
// index, and with several by ANY.
func oneOf[T any](column string, values []T, c *conditions) string {
	if len(values) == 1 {
		return column + " = " + c.arg(values[0])
	}
	return column + " = ANY(" + c.arg(values) + ")"
}

func likePath(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		pattern += "*"
	}
	return likeGlob(pattern)
}

// likeGlob turns a pattern in which * stands for any run of characters into
// one for LIKE.
func likeGlob(pattern string) string { return strings.ReplaceAll(escapeLike(pattern), "*", "%") }

// escapeLike makes text stand for itself in LIKE.
func escapeLike(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}
