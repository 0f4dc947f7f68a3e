package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// receiptQuery is one page asked for.
type receiptQuery struct {
	org    uuid.UUID
	filter ReceiptFilter
	// models are those that filter.Model means; nil: any.
	models []string
	order  ReceiptOrder
	after  *ReceiptPosition
	limit  int
	part   part
	effort effort
}

// part is a part of the order by cost: known costs come first, then unknown
// ones.
type part int

const (
	wholeOrder part = iota
	knownCosts
	unknownCosts
)

func receiptPage(ctx context.Context, q querier, ask receiptQuery) (page []Receipt, err error) {
	if ask.models, err = ask.filter.models(ctx, q, ask.org); err != nil || ask.settle() {
		return nil, err
	}
	if ask.order != Costliest {
		return ask.read(ctx, q)
	}
	if ask.after == nil || ask.after.Cost != nil {
		ask.part = knownCosts
		page, err = ask.read(ctx, q)
		if err != nil || len(page) == ask.limit {
			return page, err
		}
		ask.limit -= len(page)
		ask.after = nil
	}
	if ask.filter.MinCost != "" || ask.filter.MaxCost != "" {
		return page, nil
	}
	ask.part = unknownCosts
	rest, err := ask.read(ctx, q)
	return append(page, rest...), err
}

// settle joins the user and the team that must be the receipt's, and reports
// whether no receipt can have one of each list.
func (ask *receiptQuery) settle() (impossible bool) {
	f := &ask.filter
	if f.UserEmail != "" && f.Emails != nil && isASCII(f.UserEmail) {
		impossible = !slices.Contains(f.Emails, strings.ToLower(f.UserEmail))
		f.Emails = nil
	}
	return impossible || (f.Emails != nil && len(f.Emails) == 0) || (ask.models != nil && len(ask.models) == 0)
}

// isASCII: of such text PostgreSQL and Go have the same idea of lower case.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// models resolves the filter's model.
func (f ReceiptFilter) models(ctx context.Context, q querier, org uuid.UUID) ([]string, error) {
	switch {
	case f.Model == "":
		return nil, nil
	case strings.Contains(f.Model, "*"):
		models, err := modelsLike(ctx, q, org, f.Model)
		return append([]string{}, models...), err
	}
	return []string{f.Model}, nil
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

// read reads the page of one part of the order.
//
// A receipt is a guest in a repository if it stands there while its content was
// taken from another one. Few are, so the page is read without them first, and
// again with them if some lie within it.
func (ask receiptQuery) read(ctx context.Context, q querier) ([]Receipt, error) {
	if ask.filter.Commit != "" {
		return ask.ofCommit(ctx, q)
	}
	if ask.filter.Result != "" {
		return ask.ofResult(ctx, q)
	}
	page, err := ask.search(ctx, q)
	if err != nil || len(ask.filter.Repos) == 0 {
		return page, err
	}
	within := ask.spanOf(page)
	has, err := within.hasGuests(ctx, q, ask.org, ask.filter.Repos)
	if err != nil || !has {
		return page, err
	}
	return ask.withGuests(ctx, q, within, page)
}

// ofCommit finds the few receipts of a commit and chooses among them. Their
// repositories are compared there, guests or not.
func (ask receiptQuery) ofCommit(ctx context.Context, q querier) ([]Receipt, error) {
	c := newConditions(ask.org)
	commit := &conditions{args: c.args}
	commit.add("c.org_id = $1")
	// Every hex digit comes before g.
	commit.add("c.commit >= ? AND c.commit < ?", ask.filter.Commit, ask.filter.Commit+"g")
	if len(ask.filter.Repos) > 0 {
		commit.add(oneOf("c.repo_id", ask.filter.Repos, commit))
		ask.filter.Repos = nil
	}
	c.args = commit.args
	ask.addFilter(c)
	// The planner moves nothing past OFFSET 0.
	return ask.collect(ctx, q, c, `(SELECT r.* FROM receipts r WHERE r.org_id = $1 AND r.id = ANY(ARRAY(
		SELECT c.receipt_id FROM receipt_commits c WHERE `+commit.where()+`)) OFFSET 0)`)
}

// collect reads a page out of a source, which may be a table or a query.
func (ask receiptQuery) collect(ctx context.Context, q querier, c *conditions, from string) ([]Receipt, error) {
	return collect[Receipt](ctx, q, "querying receipts", "SELECT "+receiptColumns+" FROM "+from+" r WHERE "+c.where()+
		ask.ordered(ask.limit), append([]any{planned}, c.args...)...)
}

// ordered is the end of a query that takes the first receipts in order.
func (ask receiptQuery) ordered(limit int) string {
	return " ORDER BY " + orderBy[ask.order].order + " LIMIT " + itoa(limit)
}

// planned makes PostgreSQL plan a statement for its arguments: the best way to
// a frequent and to a rare value are different ones.
const planned = pgx.QueryExecModeCacheDescribe

// conditions collects the parts of a WHERE clause and their arguments.
type conditions struct {
	parts []string
	args  []any
}

// newConditions are those on the receipts of an organisation, which is $1.
func newConditions(org uuid.UUID) *conditions {
	return &conditions{parts: []string{"r.org_id = $1"}, args: []any{org}}
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

// addFilter adds all conditions but the one on the commit.
func (ask receiptQuery) addFilter(c *conditions) {
	f := ask.filter
	if len(f.Repos) > 0 {
		c.add(oneOf("r.repo_id", f.Repos, c))
	}
	if ask.models != nil {
		c.add(oneOf("r.model", ask.models, c))
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
	if f.Provider != "" {
		c.add("r.provider = ?", f.Provider)
	}
	if f.Source != "" {
		c.add("r.source = ?", f.Source)
	}
	if f.Current != nil {
		c.add("r.current = ?", *f.Current)
	}
	if f.Text != "" {
		c.add("r.prompt_summary ILIKE ?", textPattern(f.Text))
	}
	if f.Path != "" {
		ask.addPath(c)
	}
	if f.Result != "" {
		c.add(hasResult, string(f.Result))
	}
	ask.addBounds(c)
}

// addBounds adds the conditions on what the orders go by.
func (ask receiptQuery) addBounds(c *conditions) {
	f := ask.filter
	if !f.From.IsZero() {
		c.add("r.timestamp >= ?", f.From)
	}
	if !f.To.IsZero() {
		c.add("r.timestamp < ?", f.To)
	}
	if f.MinCost != "" {
		c.add("r.cost_usd >= ?::numeric", string(f.MinCost))
	}
	if f.MaxCost != "" {
		c.add("r.cost_usd <= ?::numeric", string(f.MaxCost))
	}
	switch ask.part {
	case wholeOrder:
	case knownCosts:
		c.add("r.cost_usd IS NOT NULL")
	case unknownCosts:
		c.add("r.cost_usd IS NULL")
	}
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

// addPath adds what can be said of a receipt without its files, and then looks
// at these.
func (ask receiptQuery) addPath(c *conditions) {
	if keys := pathTerms(ask.org, ask.filter.Path); keys != nil {
		c.add("r.path_keys && ?::integer[]", keys)
	}
	c.parts = append(c.parts, ask.hasPath(c))
}

// hasPath looks at the files of a receipt. A scalar query is run for one receipt
// at a time, where the planner might read all files for an EXISTS.
func (ask receiptQuery) hasPath(c *conditions) string {
	match := "f.path = " + c.arg(ask.filter.Path)
	if isPattern(ask.filter.Path) {
		c.args[len(c.args)-1] = likePath(ask.filter.Path)
		match = "f.path LIKE $" + itoa(len(c.args))
	}
	return "coalesce((SELECT true FROM receipt_files f WHERE f.org_id = r.org_id AND f.receipt_id = r.id AND " + match +
		" LIMIT 1), false)"
}

func isPattern(path string) bool { return strings.HasSuffix(path, "/") || strings.Contains(path, "*") }

// oneOf compares a column with one value by =, which can use the order of an
// index, and with several by ANY.
func oneOf[T any](column string, values []T, c *conditions) string {
	if len(values) == 1 {
		return column + " = " + c.arg(values[0])
	}
	return column + " = ANY(" + c.arg(values) + ")"
}

func textPattern(text string) string { return "%" + escapeLike(text) + "%" }

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

func itoa(n int) string { return strconv.Itoa(n) }
