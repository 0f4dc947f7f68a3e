package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

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
	if ask.order != Costliest {
		return ask.read(ctx, q, models, extent, "")
	}
	// Known costs come first, then unknown ones: two walks of one index.
	var page []Receipt
	if ask.after == nil || ask.after.Cost != nil {
		page, err = ask.read(ctx, q, models, extent, "r.cost_usd IS NOT NULL")
		if err != nil || len(page) == ask.limit {
			return page, err
		}
		ask.limit -= len(page)
		ask.after = nil
	}
	rest, err := ask.read(ctx, q, models, extent, "r.cost_usd IS NULL")
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
//
// A receipt is a guest in a repository if it stands there while its content was
// taken from another one. Few are, so the page is read without them first, and
// again with them if some lie within it.
func (ask receiptQuery) read(ctx context.Context, q querier, models []string, in extent, part string) ([]Receipt, error) {
	run := run{ask: ask, models: models, in: in, part: part, method: walk}
	if in.gather {
		run.method = gather
	}
	page, err := run.choose(ctx, q)
	if err != nil || len(ask.filter.Repos) == 0 {
		return page, err
	}
	within := ask.spanOf(page)
	has, err := within.hasGuests(ctx, q, ask.org, ask.filter.Repos)
	if err != nil || !has {
		return page, err
	}
	run.guests, run.page = &within, page
	return run.query(ctx, q)
}

// run is one way of reading a page.
type run struct {
	ask    receiptQuery
	models []string
	in     extent
	part   string
	method method
	// probed is how many receipts a probe walks.
	probed int
	// guests is the time within which guests are joined to page; nil: none.
	guests *span
	page   []Receipt
}

// method is how the receipts that match are found.
type method int

const (
	// walk leaves it to the planner, which mostly walks an index in order.
	walk method = iota
	// gather finds all that match, by several indexes, and sorts them.
	gather
	// probe walks a little way and looks for the text there.
	probe
)

// A first probe walks as many receipts for each that it shall find, a second
// one at most so many together.
const (
	firstProbe = 10
	maxProbe   = 2_000
)

// choose runs the query by its method. How frequent a piece of text is can be
// told neither by the rollups nor by PostgreSQL's samples, so it is tried: text
// that a short walk finds often enough is found by a longer one, rare text by
// its index.
func (r *run) choose(ctx context.Context, q querier) ([]Receipt, error) {
	if r.ask.filter.Text == "" || r.method != walk || r.ask.order == Costliest {
		return r.query(ctx, q)
	}
	r.method, r.probed = probe, firstProbe*r.ask.limit
	page, err := r.query(ctx, q)
	if err != nil || len(page) == r.ask.limit {
		return page, err
	}
	// What the page should take by the density that was found, and half as much again.
	r.probed = r.probed * r.ask.limit / (len(page) + 1) * 3 / 2
	if r.probed <= maxProbe {
		page, err = r.query(ctx, q)
		if err != nil || len(page) == r.ask.limit {
			return page, err
		}
	}
	r.method = gather
	return r.query(ctx, q)
}

func (r *run) query(ctx context.Context, q querier) ([]Receipt, error) {
	c := &conditions{}
	c.add("r.org_id = ?", r.ask.org)
	r.ask.addFilter(c, r.models)
	if r.part != "" {
		c.add(r.part)
	}
	r.ask.addPosition(c)
	ordered := " ORDER BY " + orderBy[r.ask.order].order + " LIMIT "
	page := ordered + itoa(r.ask.limit)
	var sources []string
	if r.guests != nil {
		sources = append(sources, "("+r.guests.guests(c, r.ask.filter.Repos)+" WHERE "+c.where()+r.ask.text(c)+page+")")
	}
	switch {
	case r.guests != nil:
		ids := make([]string, len(r.page))
		for i := range r.page {
			ids[i] = r.page[i].ID
		}
		sources = append(sources, "(SELECT r.* FROM receipts r WHERE r.org_id = $1 AND r.id = ANY("+c.arg(ids)+"))")
	case !r.in.none:
		sources = append(sources, "("+r.own(c, ordered, page)+")")
	}
	if sources == nil {
		return nil, nil
	}
	return collect[Receipt](ctx, q, "querying receipts", "SELECT "+receiptColumns+
		" FROM ("+strings.Join(sources, " UNION ALL ")+") r"+page, append([]any{planned}, c.args...)...)
}

// own selects the receipts whose content was taken from the repositories, if
// repositories are filtered.
func (r *run) own(c *conditions, ordered, page string) string {
	r.in.add(c)
	if len(r.ask.filter.Repos) > 0 {
		c.add(oneOf("r.repo_id", r.ask.filter.Repos, c))
	}
	from := "SELECT r.* FROM receipts r WHERE " + c.where()
	switch r.method {
	case gather:
		// The planner does not move a condition or an order past OFFSET 0.
		return from + r.ask.text(c) + " OFFSET 0"
	case probe:
		return "SELECT r.* FROM (" + from + ordered + itoa(r.probed) + ") r WHERE true" + r.ask.text(c) + page
	case walk:
	}
	return from + r.ask.text(c) + page
}

// text is the condition on the prompt's summary, to be joined to others.
func (ask receiptQuery) text(c *conditions) string {
	if ask.filter.Text == "" {
		return ""
	}
	return " AND r.prompt_summary ILIKE " + c.arg("%"+escapeLike(ask.filter.Text)+"%")
}

// planned makes PostgreSQL plan a statement for its arguments: the best way to
// a frequent and to a rare model are different ones.
const planned = pgx.QueryExecModeCacheDescribe

// span is the time within which guests belong to a page; zero: unbounded.
type span struct{ from, to time.Time }

// spanOf is the span of a page that was read without guests.
func (ask receiptQuery) spanOf(page []Receipt) span {
	s := span{ask.filter.From, ask.filter.To}
	full := len(page) == ask.limit
	// The position is compared exactly later; here its moment is let in.
	const moment = time.Microsecond
	switch ask.order {
	case Newest:
		if ask.after != nil {
			s.to = ask.after.Timestamp.Add(moment)
		}
		if full {
			s.from = page[len(page)-1].Timestamp
		}
	case Oldest:
		if ask.after != nil {
			s.from = ask.after.Timestamp
		}
		if full {
			s.to = page[len(page)-1].Timestamp.Add(moment)
		}
	case Costliest:
	}
	return s
}

func (s span) add(c *conditions) {
	if !s.from.IsZero() {
		c.add("g.timestamp >= ?", s.from)
	}
	if !s.to.IsZero() {
		c.add("g.timestamp < ?", s.to)
	}
}

func (s span) hasGuests(ctx context.Context, q querier, org uuid.UUID, repos []uuid.UUID) (has bool, err error) {
	c := &conditions{}
	c.add("g.org_id = ?", org)
	c.add(oneOf("g.repo_id", repos, c))
	s.add(c)
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM receipt_repos g WHERE `+c.where()+`)`,
		append([]any{planned}, c.args...)...).Scan(&has)
	return has, translate(err, "looking for receipts of other repositories")
}

// guests selects the guests of repos. The fences make them be walked by time and
// each be looked up by its id: of a fork they are many.
func (s span) guests(c *conditions, repos []uuid.UUID) string {
	guests := &conditions{args: c.args}
	guests.add("g.org_id = $1")
	guests.add(oneOf("g.repo_id", repos, guests))
	s.add(guests)
	elsewhere := "NOT " + oneOf("r.repo_id", repos, guests)
	c.args = guests.args
	return `SELECT r.* FROM (
		SELECT DISTINCT g.timestamp, g.receipt_id FROM receipt_repos g WHERE ` + guests.where() + `
		ORDER BY g.timestamp DESC, g.receipt_id DESC OFFSET 0) g,
		LATERAL (SELECT * FROM receipts r WHERE r.org_id = $1 AND r.id = g.receipt_id AND ` + elsewhere + ` OFFSET 0) r`
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

// addFilter adds all conditions but the one on text.
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
