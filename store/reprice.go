package store

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
)

// Costs are computed in SQL, where receipts are written, from price_periods:
// what the book says of a model over all time, under each name that receipts
// give it. Package price resolves a name once, when a receipt first has it, and
// again when the book has changed. So every cost is a function of the receipt and
// of the periods of its model, and both change under the organisation's write lock.

// priced joins to a row with a model, tokens and a moment the price that it is
// computed by; there is none if it cannot be computed.
func priced(row, at string) string {
	return `LEFT JOIN LATERAL (
		SELECT e.id, token_cost(` + row + `.input_tokens, ` + row + `.output_tokens, ` + row + `.cache_read_tokens,
			` + row + `.cache_creation_tokens, e.input_rate, e.output_rate, e.cache_read_rate, e.cache_creation_rate) AS usd
		FROM price_periods d JOIN prices e ON e.org_id = d.org_id AND e.id = d.price_id
		WHERE d.org_id = @org AND d.model = ` + row + `.model AND d.first <= ` + at + ` AND d.past > ` + at + `
	) x ON x.usd IS NOT NULL`
}

// costOf is cost_usd, cost_basis and price_id of a row that priced has joined
// to.
func costOf(row string) string {
	return `coalesce(x.usd, ` + row + `.cost_reported_usd),
		CASE WHEN x.usd IS NOT NULL THEN 'computed' WHEN ` + row + `.cost_reported_usd IS NULL THEN 'none' ELSE 'reported' END, x.id`
}

// resolveStaged resolves the models of staged receipts that have no periods yet.
func (in *Intake) resolveStaged(ctx context.Context) error {
	models, err := in.tx.texts(ctx, "looking for new models", `
		SELECT DISTINCT s.model FROM stage_receipts s
		WHERE NOT EXISTS (SELECT FROM price_models m WHERE m.org_id = $1 AND m.model = s.model) ORDER BY 1`, in.src.Org.ID)
	if err != nil || len(models) == 0 {
		return err
	}
	state, err := in.tx.priceState(ctx, in.src.Org.ID)
	if err != nil {
		return err
	}
	return in.tx.resolve(ctx, state, models)
}

func (tx *Tx) texts(ctx context.Context, op, sql string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err, "%s", op)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return out, translate(err, "%s", op)
}

// priceState is the book in force and what it is known by.
type priceState struct {
	org      uuid.UUID
	revision int64
	book     *price.Book
}

// priceState reads the revision before the book: a change between the two makes
// it look older than it is, which does no harm.
func (tx *Tx) priceState(ctx context.Context, org uuid.UUID) (priceState, error) {
	s := priceState{org: org}
	err := tx.QueryRow(ctx, `SELECT price_revision FROM orgs WHERE id = $1`, org).Scan(&s.revision)
	if err != nil {
		return s, translate(err, "reading the revision of prices")
	}
	s.book, err = tx.PriceBook(ctx, org)
	return s, err
}

// resolve writes the periods of models by the book, and has the receipts of those
// whose periods differ from what they were computed anew. The caller holds the
// organisation's write lock.
func (tx *Tx) resolve(ctx context.Context, s priceState, models []string) error {
	p := periodsOf(s.book, models)
	_, err := tx.Exec(ctx, `
		INSERT INTO prices (org_id, id, model, valid_from, valid_until, input_rate, output_rate, cache_read_rate, cache_creation_rate, source)
		SELECT DISTINCT ON (id) $1::uuid, * FROM unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[],
			$7::bigint[], $8::bigint[], $9::bigint[], $10::text[]) AS e (id, model, valid_from, valid_until, input, output, read, creation, source)
		ORDER BY id ON CONFLICT DO NOTHING`,
		s.org, p.ids, p.names, p.validFrom, p.validUntil, p.rates[0], p.rates[1], p.rates[2], p.rates[3], p.sources)
	if err != nil {
		return translate(err, "keeping prices")
	}
	changed, err := tx.texts(ctx, "comparing prices", `
		WITH fresh AS (SELECT * FROM unnest($2::text[], $3::text[]::timestamptz[], $4::text[]::timestamptz[], $5::uuid[]) AS f (model, first, past, price_id)),
		old AS (SELECT model, first, past, price_id FROM price_periods WHERE org_id = $1 AND model = ANY($6))
		SELECT DISTINCT model FROM ((TABLE fresh EXCEPT TABLE old) UNION ALL (TABLE old EXCEPT TABLE fresh)) d ORDER BY 1`,
		s.org, p.models, p.firsts, p.pasts, p.ids, models)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM price_periods WHERE org_id = $1 AND model = ANY($2)`, s.org, changed)
	b.Queue(`INSERT INTO price_periods (org_id, model, first, past, price_id)
		SELECT $1, f.* FROM unnest($2::text[], $3::text[]::timestamptz[], $4::text[]::timestamptz[], $5::uuid[]) AS f (model, first, past, price_id)
		WHERE f.model = ANY($6)`, s.org, p.models, p.firsts, p.pasts, p.ids, changed)
	b.Queue(`INSERT INTO price_due AS d (org_id, model)
		SELECT $1, c.model FROM unnest($2::text[]) AS c (model)
		WHERE EXISTS (SELECT FROM receipts r WHERE r.org_id = $1 AND r.model = c.model)
		ON CONFLICT (org_id, model) DO UPDATE SET before = 'infinity', before_id = ''`, s.org, changed)
	b.Queue(`INSERT INTO price_models AS m (org_id, model, revision, edition)
		SELECT $1, c.model, $3, $4 FROM unnest($2::text[]) AS c (model)
		ON CONFLICT (org_id, model) DO UPDATE SET revision = excluded.revision, edition = excluded.edition`,
		s.org, models, s.revision, s.book.Edition())
	return translate(tx.SendBatch(ctx, b).Close(), "keeping what models cost")
}

// periods are the periods of some models as columns.
type periods struct {
	models, firsts, pasts []string
	ids                   []uuid.UUID
	// The entries that the periods are of.
	names, sources        []string
	validFrom, validUntil []*time.Time
	rates                 [4][]*int64
}

func periodsOf(book *price.Book, models []string) *periods {
	p := &periods{}
	for _, model := range models {
		for _, period := range book.Periods(model) {
			p.add(model, &period)
		}
	}
	return p
}

func (p *periods) add(model string, period *price.Period) {
	e := &period.Entry
	p.models = append(p.models, model)
	p.firsts = append(p.firsts, momentOr(period.From, "-infinity"))
	p.pasts = append(p.pasts, momentOr(period.Until, "infinity"))
	p.ids = append(p.ids, priceID(e))
	p.names, p.sources = append(p.names, clean(e.Model)), append(p.sources, clean(e.Source))
	p.validFrom, p.validUntil = append(p.validFrom, someTime(e.From)), append(p.validUntil, someTime(e.Until))
	for i, rate := range []*price.Rate{e.Input, e.Output, e.CacheRead, e.CacheWrite} {
		p.rates[i] = append(p.rates[i], (*int64)(rate))
	}
}

func momentOr(t time.Time, unbounded string) string {
	if t.IsZero() {
		return unbounded
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// priceID is derived from what an entry says.
func priceID(e *price.Entry) uuid.UUID {
	sum := sha256.New()
	for _, s := range []string{"price", e.Model, e.Source, momentOr(e.From, ""), momentOr(e.Until, "")} {
		hashText(sum, s)
	}
	for _, rate := range []*price.Rate{e.Input, e.Output, e.CacheRead, e.CacheWrite} {
		hashInt(sum, (*int64)(rate))
	}
	return hashID(sum)
}

// Sizes of what Reprice does in one transaction, during which nobody else writes
// receipts of the organisation.
const (
	repriceModels   = 1000
	repriceReceipts = 1000
)

// Reprice computes the costs of receipts, prompts and rollups anew where the book
// in force says something else than the one that they were computed by. It works
// in small transactions, each of which leaves all sums right, and goes on where
// it was interrupted. What it does to a model is audited when it is done.
func (db *DB) Reprice(ctx context.Context) error { return db.reprice(ctx, repriceReceipts) }

func (db *DB) reprice(ctx context.Context, batch int) error {
	orgs, err := collect[struct{ ID uuid.UUID }](ctx, db.pool, "listing organisations", `SELECT id FROM orgs ORDER BY created_at, id`)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		if err := db.repriceOrg(ctx, org.ID, batch); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) repriceOrg(ctx context.Context, org uuid.UUID, batch int) error {
	for more := true; more; {
		if err := db.InTx(ctx, func(tx *Tx) (err error) { more, err = tx.resolveStale(ctx, org); return err }); err != nil {
			return err
		}
	}
	for more := true; more; {
		if err := db.InTx(ctx, func(tx *Tx) (err error) { more, err = tx.repriceSome(ctx, org, batch); return err }); err != nil {
			return err
		}
	}
	return nil
}

// sqlStaleModels finds the models that were resolved by another book, and those
// that receipts had before there were books. A program with an older book leaves
// alone what a newer one did.
const sqlStaleModels = `
	WITH RECURSIVE known AS (
		(SELECT key FROM rollups WHERE org_id = $1 AND dimension = 'model' AND repo_id = $2 ORDER BY key LIMIT 1)
		UNION ALL
		SELECT (SELECT n.key FROM rollups n WHERE n.org_id = $1 AND n.dimension = 'model' AND n.repo_id = $2
		        AND n.key > known.key ORDER BY n.key LIMIT 1)
		FROM known WHERE known.key IS NOT NULL)
	SELECT k.key FROM known k LEFT JOIN price_models m ON m.org_id = $1 AND m.model = k.key
	WHERE k.key IS NOT NULL AND (m.model IS NULL OR m.revision < $3
	   OR m.edition <> $4 AND left(m.edition, 10) <= left($4, 10) COLLATE "C")
	ORDER BY 1 LIMIT $5`

func (tx *Tx) resolveStale(ctx context.Context, org uuid.UUID) (more bool, err error) {
	state, err := tx.priceState(ctx, org)
	if err != nil {
		return false, err
	}
	ask := func() ([]string, error) {
		return tx.texts(ctx, "looking for models whose prices changed", sqlStaleModels, org, uuid.Nil, state.revision,
			state.book.Edition(), repriceModels)
	}
	models, err := ask()
	if err != nil || len(models) == 0 {
		return false, err
	}
	if err := tx.lockOrg(ctx, org); err != nil {
		return false, err
	}
	if models, err = ask(); err != nil || len(models) == 0 {
		return false, err
	}
	return len(models) == repriceModels, tx.resolve(ctx, state, models)
}

// due is a model whose receipts are being computed anew.
type due struct {
	Model           string
	Before          string
	BeforeID        string
	Looked, Changed int64
}

// sqlReprice computes the next receipts of a model anew and notes their prompts.
var sqlReprice = `
	WITH page AS MATERIALIZED (
		SELECT r.id, r.timestamp, c.cost_usd, c.cost_basis, c.price_id
		FROM (SELECT * FROM receipts r WHERE r.org_id = @org AND r.model = @a::text
		        AND (r.timestamp, r.id) < (@b::text::timestamptz, @c::text)
		      ORDER BY r.timestamp DESC, r.id DESC LIMIT @d::int) r
		` + priced("r", "r.timestamp") + `
		CROSS JOIN LATERAL (SELECT ` + costOf("r") + `) c (cost_usd, cost_basis, price_id)
	), changed AS (
		UPDATE receipts r SET cost_usd = p.cost_usd, cost_basis = p.cost_basis, price_id = p.price_id, synced_at = now()
		FROM page p
		WHERE r.org_id = @org AND r.id = p.id
		  AND (r.cost_usd, r.cost_basis, r.price_id) IS DISTINCT FROM (p.cost_usd, p.cost_basis, p.price_id)
		RETURNING r.prompt_id
	), noted AS (
		INSERT INTO stage_prompts SELECT DISTINCT prompt_id FROM changed ON CONFLICT DO NOTHING
	)
	SELECT (SELECT count(*) FROM page) AS looked, (SELECT count(*) FROM changed) AS changed,
	       coalesce((SELECT timestamp::text FROM page ORDER BY timestamp, id LIMIT 1), '') AS before,
	       coalesce((SELECT id FROM page ORDER BY timestamp, id LIMIT 1), '') AS before_id, '' AS model`

// sqlPushedAnew lets pushed prompts that are stored cost no more than they do now:
// what they cost beyond that by the price at the push would count for ever.
const sqlPushedAnew = `
	UPDATE pushed_prompts p SET cost_usd = s.cost_usd, stale = p.summed_usd IS NOT NULL
	FROM stage_prompts t JOIN prompts s ON s.org_id = @org AND s.prompt_id = t.prompt_id
	WHERE p.org_id = @org AND p.prompt_id = t.prompt_id AND p.cost_usd > s.cost_usd`

// repriceSome computes some receipts of one model that is due, and reports
// whether there may be more.
func (tx *Tx) repriceSome(ctx context.Context, org uuid.UUID, batch int) (more bool, err error) {
	if err := tx.prepareStage(ctx); err != nil {
		return false, err
	}
	const next = `SELECT model, before::text, before_id, looked, changed FROM price_due WHERE org_id = $1 ORDER BY model LIMIT 1`
	rows, err := collect[due](ctx, tx, "looking for costs to compute anew", next, org)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	if err := tx.lockOrg(ctx, org); err != nil {
		return false, err
	}
	if rows, err = collect[due](ctx, tx, "looking for costs to compute anew", next, org); err != nil || len(rows) == 0 {
		return false, err
	}
	in := &Intake{tx: tx, src: Source{Org: Org{ID: org}}}
	if err := in.planForSize(ctx); err != nil {
		return false, err
	}
	return true, in.reprice(ctx, rows[0], batch)
}

func (in *Intake) reprice(ctx context.Context, d due, batch int) error {
	org := in.src.Org.ID
	some, err := collectOne[due](ctx, in.tx, "computing costs anew", sqlReprice,
		pgx.NamedArgs{"org": org, "a": d.Model, "b": d.Before, "c": d.BeforeID, "d": batch})
	if err != nil {
		return err
	}
	if some.Changed > 0 {
		err := in.run(ctx, statement{"measuring prompts", sqlAnalyzePrompts, nil}, statement{"writing prompts", sqlWritePrompts, nil},
			statement{"correcting pushed prompts", sqlPushedAnew, nil})
		if err != nil {
			return err
		}
	}
	d.Looked, d.Changed = d.Looked+some.Looked, d.Changed+some.Changed
	if some.Looked == int64(batch) {
		_, err = in.tx.Exec(ctx, `UPDATE price_due SET before = $3::text::timestamptz, before_id = $4, looked = $5, changed = $6
			WHERE org_id = $1 AND model = $2`, org, d.Model, some.Before, some.BeforeID, d.Looked, d.Changed)
		return translate(err, "noting how far costs are computed")
	}
	if _, err = in.tx.Exec(ctx, `DELETE FROM price_due WHERE org_id = $1 AND model = $2`, org, d.Model); err != nil {
		return translate(err, "noting that costs are computed")
	}
	if d.Changed == 0 {
		return nil
	}
	return in.tx.Audit(ctx, access.Daemon(org), "price.recompute", d.Model, map[string]any{"receipts": d.Looked, "changed": d.Changed})
}

// RepricePending counts the models whose receipts are not yet computed by the book
// in force, as far as that is known.
func (db *DB) RepricePending(ctx context.Context, org uuid.UUID) (n int, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM price_due WHERE org_id = $1)
		     + (SELECT count(*) FROM price_models m JOIN orgs o ON o.id = m.org_id WHERE m.org_id = $1 AND m.revision < o.price_revision)`,
		org).Scan(&n)
	return n, translate(err, "counting prices that are not in force yet")
}
