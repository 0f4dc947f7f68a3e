package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
)

// Price is an entry of an organisation's own price book. Nil times are unbounded
// and nil rates not known.
type Price struct {
	ID                    uuid.UUID
	Model                 string
	ValidFrom, ValidUntil *time.Time
	InputRate, OutputRate *price.Rate
	CacheReadRate         *price.Rate
	CacheCreationRate     *price.Rate
	Source                string
	CreatedBy             string
	CreatedAt             time.Time
}

const priceColumns = `id, model, valid_from, valid_until, input_rate, output_rate, cache_read_rate, cache_creation_rate, source,
	created_by, created_at`

// PriceAlias makes one name of a model stand for another.
type PriceAlias struct {
	// Alias is in the form in which names are compared.
	Alias     string
	Model     string
	CreatedBy string
	CreatedAt time.Time
}

// OwnPrices begins the source of an organisation's own entries.
const OwnPrices = "the organisation's own price"

// maxOwnPrices bounds the entries and aliases of an organisation.
const maxOwnPrices = 10_000

// builtinPrices is the book that the program was built with.
var builtinPrices = sync.OnceValues(price.Builtin)

// Prices lists an organisation's own entries by model and time.
func (db *DB) Prices(ctx context.Context, org uuid.UUID) ([]Price, error) {
	return prices(ctx, db.pool, org)
}

func prices(ctx context.Context, q querier, org uuid.UUID) ([]Price, error) {
	return collect[Price](ctx, q, "listing prices", `SELECT `+priceColumns+` FROM price_entries
		WHERE org_id = $1 ORDER BY model, valid_from NULLS FIRST, id`, org)
}

// PriceAliases lists an organisation's own aliases.
func (db *DB) PriceAliases(ctx context.Context, org uuid.UUID) ([]PriceAlias, error) {
	return priceAliases(ctx, db.pool, org)
}

func priceAliases(ctx context.Context, q querier, org uuid.UUID) ([]PriceAlias, error) {
	return collect[PriceAlias](ctx, q, "listing aliases of models", `SELECT alias, model, created_by, created_at FROM price_aliases
		WHERE org_id = $1 ORDER BY alias`, org)
}

// BasePrices is the book beneath those of organisations.
func (db *DB) BasePrices() *price.Book { return db.prices }

// PriceBook is what an organisation's tokens cost: its own entries before those
// that the program was built with.
func (db *DB) PriceBook(ctx context.Context, org uuid.UUID) (*price.Book, error) {
	return priceBook(ctx, db.pool, org, db.prices)
}

// PriceBook is the same within the transaction.
func (tx *Tx) PriceBook(ctx context.Context, org uuid.UUID) (*price.Book, error) {
	return priceBook(ctx, tx, org, tx.prices)
}

// priceBook asks first whether there is anything to read: mostly there is not, and
// pushes wait for it.
func priceBook(ctx context.Context, q querier, org uuid.UUID, base *price.Book) (*price.Book, error) {
	var own bool
	err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM price_entries WHERE org_id = $1) OR EXISTS (SELECT FROM price_aliases WHERE org_id = $1)`,
		org).Scan(&own)
	if err != nil || !own {
		return base, translate(err, "looking for prices")
	}
	rows, err := prices(ctx, q, org)
	if err != nil {
		return nil, err
	}
	aliases, err := priceAliases(ctx, q, org)
	if err != nil {
		return nil, err
	}
	book, err := ownBook(rows, aliases)
	if err != nil {
		return nil, fmt.Errorf("reading the prices of organisation %s: %w", org, err)
	}
	return base.With(book), nil
}

func ownBook(rows []Price, aliases []PriceAlias) (*price.Book, error) {
	entries := make([]price.Entry, len(rows))
	for i := range rows {
		entries[i] = rows[i].Entry()
	}
	names := make(map[string]string, len(aliases))
	for _, a := range aliases {
		names[a.Alias] = a.Model
	}
	return price.New(OwnPrices, entries, names)
}

// Entry is the entry as a book has it.
func (p *Price) Entry() price.Entry {
	e := price.Entry{Model: p.Model, Input: p.InputRate, Output: p.OutputRate, CacheRead: p.CacheReadRate, CacheWrite: p.CacheCreationRate}
	if p.ValidFrom != nil {
		e.From = p.ValidFrom.UTC()
	}
	if p.ValidUntil != nil {
		e.Until = p.ValidUntil.UTC()
	}
	if p.Source != "" {
		e.Source = OwnPrices + ": " + p.Source
	}
	return e
}

// ownPrice is a row of an entry. Moments are as exact as PostgreSQL keeps them.
func ownPrice(e price.Entry, by string) Price {
	p := Price{ID: newID(), CreatedBy: by, Model: strings.TrimSpace(e.Model), InputRate: e.Input, OutputRate: e.Output, CacheReadRate: e.CacheRead,
		CacheCreationRate: e.CacheWrite, Source: strings.TrimSpace(e.Source)}
	for _, t := range []struct {
		from time.Time
		to   **time.Time
	}{{e.From, &p.ValidFrom}, {e.Until, &p.ValidUntil}} {
		if !t.from.IsZero() {
			at := t.from.UTC().Truncate(time.Microsecond)
			*t.to = &at
		}
	}
	return p
}

// PriceChange is what to change of an organisation's price book, all of it or
// nothing.
type PriceChange struct {
	// Set are entries to add; see SetPrices.
	Set []price.Entry
	// Aliases to add or to change, from a name to another.
	Aliases map[string]string
}

// SetPrices adds entries and aliases. An entry takes the place of what the one
// that holds where it begins says for its period, which lasts until the next one
// begins unless it says when it ends. Two prices for one moment are an
// *InvalidError. What it makes of stored costs is done by Reprice.
func (tx *Tx) SetPrices(ctx context.Context, by access.Principal, change PriceChange) ([]Price, error) {
	book, err := tx.draftPrices(ctx, by.Org)
	if err != nil {
		return nil, err
	}
	set := make([]Price, len(change.Set))
	for i, e := range change.Set {
		set[i] = ownPrice(e, actor(by))
		if err := checkPriceText(&set[i]); err != nil {
			return nil, err
		}
	}
	// From the latest to the earliest, so that each meets its next one.
	slices.SortStableFunc(set, func(a, b Price) int { return b.Entry().From.Compare(a.Entry().From) })
	for i := range set {
		book.set(&set[i])
	}
	for _, alias := range slices.Sorted(maps.Keys(change.Aliases)) {
		book.alias(PriceAlias{Alias: price.Key(alias), Model: strings.TrimSpace(change.Aliases[alias]), CreatedBy: actor(by)})
	}
	if err := tx.savePrices(ctx, by.Org, book); err != nil {
		return nil, err
	}
	return set, tx.auditPrices(ctx, by, set, change.Aliases)
}

func (tx *Tx) auditPrices(ctx context.Context, by access.Principal, set []Price, aliases map[string]string) error {
	for i := range set {
		if err := tx.Audit(ctx, by, "price.set", set[i].Model, set[i].detail()); err != nil {
			return err
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		if err := tx.Audit(ctx, by, "price.alias", alias, map[string]any{"model": aliases[alias]}); err != nil {
			return err
		}
	}
	return nil
}

func checkPriceText(p *Price) error {
	for field, text := range map[string]string{"model": p.Model, "source": p.Source} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || utf8.RuneCountInString(text) > maxReason {
			return &InvalidError{field, "must be valid text of at most " + itoa(maxReason) + " characters"}
		}
	}
	return nil
}

// detail is what the audit log keeps of an entry.
func (p *Price) detail() map[string]any {
	detail := map[string]any{"id": p.ID, "source": p.Source, "valid_from": p.ValidFrom, "valid_until": p.ValidUntil}
	for name, rate := range map[string]*price.Rate{"input": p.InputRate, "output": p.OutputRate, "cache_read": p.CacheReadRate,
		"cache_creation": p.CacheCreationRate} {
		if rate != nil {
			detail[name] = rate.String()
		}
	}
	return detail
}

// RemovePrice removes an entry of the organisation's own. ErrNotFound if there is
// none.
func (tx *Tx) RemovePrice(ctx context.Context, by access.Principal, id uuid.UUID) (Price, error) {
	book, err := tx.draftPrices(ctx, by.Org)
	if err != nil {
		return Price{}, err
	}
	at := slices.IndexFunc(book.stored, func(p Price) bool { return p.ID == id })
	if at < 0 {
		return Price{}, fmt.Errorf("finding price %s: %w", id, ErrNotFound)
	}
	gone := book.stored[at]
	key := price.Key(gone.Model)
	book.rows[key] = slices.DeleteFunc(book.rows[key], func(p Price) bool { return p.ID == id })
	if err := tx.savePrices(ctx, by.Org, book); err != nil {
		return Price{}, err
	}
	return gone, tx.Audit(ctx, by, "price.remove", gone.Model, gone.detail())
}

// RemovePriceAlias removes an alias of the organisation's own. ErrNotFound if
// there is none.
func (tx *Tx) RemovePriceAlias(ctx context.Context, by access.Principal, alias string) (PriceAlias, error) {
	book, err := tx.draftPrices(ctx, by.Org)
	if err != nil {
		return PriceAlias{}, err
	}
	at := slices.IndexFunc(book.aliases, func(a PriceAlias) bool { return a.Alias == price.Key(alias) })
	if at < 0 {
		return PriceAlias{}, fmt.Errorf("finding the alias %.60q: %w", alias, ErrNotFound)
	}
	gone := book.aliases[at]
	book.aliases = slices.Delete(slices.Clone(book.aliases), at, at+1)
	if err := tx.savePrices(ctx, by.Org, book); err != nil {
		return PriceAlias{}, err
	}
	return gone, tx.Audit(ctx, by, "price.unalias", gone.Alias, map[string]any{"model": gone.Model})
}

// draft is an organisation's own prices on their way to other ones.
type draft struct {
	stored []Price
	// rows are by the key of their model.
	rows                   map[string][]Price
	storedAliases, aliases []PriceAlias
}

// draftPrices reads the organisation's own prices and makes the caller the only
// one that changes them.
func (tx *Tx) draftPrices(ctx context.Context, org uuid.UUID) (*draft, error) {
	tag, err := tx.Exec(ctx, `UPDATE orgs SET price_revision = price_revision + 1 WHERE id = $1`, org)
	if err != nil {
		return nil, translate(err, "changing prices")
	}
	if tag.RowsAffected() == 0 {
		return nil, fmt.Errorf("changing prices of organisation %s: %w", org, ErrNotFound)
	}
	d := &draft{}
	if d.stored, err = prices(ctx, tx, org); err != nil {
		return nil, err
	}
	d.storedAliases, err = priceAliases(ctx, tx, org)
	d.rows, d.aliases = map[string][]Price{}, slices.Clone(d.storedAliases)
	for _, p := range d.stored {
		d.rows[price.Key(p.Model)] = append(d.rows[price.Key(p.Model)], p)
	}
	return d, err
}

// set lays p over the entries of its model; see SetPrices.
func (d *draft) set(p *Price) {
	key := price.Key(p.Model)
	if p.ValidUntil == nil {
		p.ValidUntil = nextAfter(d.rows[key], p.Entry().From)
	}
	var kept []Price
	for _, row := range d.rows[key] {
		kept = append(kept, row.without(p)...)
	}
	d.rows[key] = append(kept, *p)
}

// nextAfter is when the first of some entries begins behind a moment; nil is never.
func nextAfter(rows []Price, after time.Time) *time.Time {
	var next *time.Time
	for i := range rows {
		begins := rows[i].Entry().From
		if begins.After(after) && (next == nil || begins.Before(*next)) {
			next = rows[i].ValidFrom
		}
	}
	return next
}

// all are the entries by model.
func (d *draft) all() []Price {
	var all []Price
	for _, key := range slices.Sorted(maps.Keys(d.rows)) {
		all = append(all, d.rows[key]...)
	}
	return all
}

// without is what of an entry lies outside of the period of q, if q begins in its
// own; else it is the entry, for check to find that both hold at once.
func (p Price) without(q *Price) []Price {
	begins, from := p.Entry().From, q.Entry().From
	if begins.After(from) || p.ValidUntil != nil && !p.ValidUntil.After(from) {
		return []Price{p}
	}
	var rest []Price
	if begins.Before(from) {
		head := p
		head.ValidUntil = q.ValidFrom
		rest = append(rest, head)
	}
	if q.ValidUntil != nil && (p.ValidUntil == nil || p.ValidUntil.After(*q.ValidUntil)) {
		tail := p
		tail.ID, tail.ValidFrom = newID(), q.ValidUntil
		rest = append(rest, tail)
	}
	return rest
}

func (d *draft) alias(a PriceAlias) {
	d.aliases = append(slices.DeleteFunc(d.aliases, func(b PriceAlias) bool { return a.Alias == b.Alias }), a)
}

// check makes sure that the prices are a book.
func (d *draft) check() error {
	all := d.all()
	if len(all)+len(d.aliases) > maxOwnPrices {
		return &InvalidError{"model", "makes more than " + itoa(maxOwnPrices) + " entries and aliases"}
	}
	if _, err := ownBook(all, d.aliases); err != nil {
		return &InvalidError{"model", strings.TrimPrefix(err.Error(), "making price book: ")}
	}
	return nil
}

// savePrices writes what differs from what is stored.
func (tx *Tx) savePrices(ctx context.Context, org uuid.UUID, d *draft) error {
	if err := d.check(); err != nil {
		return err
	}
	b := &pgx.Batch{}
	d.queueEntries(b, org)
	d.queueAliases(b, org)
	return translate(tx.SendBatch(ctx, b).Close(), "saving prices")
}

func (d *draft) queueEntries(b *pgx.Batch, org uuid.UUID) {
	stored, all := byID(d.stored), d.all()
	wanted := byID(all)
	for i := range d.stored {
		if p := &d.stored[i]; !p.same(wanted[p.ID]) {
			b.Queue(`DELETE FROM price_entries WHERE org_id = $1 AND id = $2`, org, p.ID)
		}
	}
	for i := range all {
		if p := &all[i]; !p.same(stored[p.ID]) {
			b.Queue(`INSERT INTO price_entries (org_id, id, model, valid_from, valid_until, input_rate, output_rate,
					cache_read_rate, cache_creation_rate, source, created_by)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, org, p.ID, p.Model, p.ValidFrom, p.ValidUntil,
				p.InputRate, p.OutputRate, p.CacheReadRate, p.CacheCreationRate, p.Source, p.CreatedBy)
		}
	}
}

func (d *draft) queueAliases(b *pgx.Batch, org uuid.UUID) {
	for _, a := range d.storedAliases {
		if !slices.Contains(d.aliases, a) {
			b.Queue(`DELETE FROM price_aliases WHERE org_id = $1 AND alias = $2`, org, a.Alias)
		}
	}
	for _, a := range d.aliases {
		if !slices.Contains(d.storedAliases, a) {
			b.Queue(`INSERT INTO price_aliases (org_id, alias, model, created_by) VALUES ($1, $2, $3, $4)`, org, a.Alias, a.Model, a.CreatedBy)
		}
	}
}

func byID(rows []Price) map[uuid.UUID]*Price {
	out := make(map[uuid.UUID]*Price, len(rows))
	for i := range rows {
		out[rows[i].ID] = &rows[i]
	}
	return out
}

// same reports whether two rows are one entry with one end.
func (p *Price) same(q *Price) bool {
	return q != nil && (p.ValidUntil == q.ValidUntil ||
		p.ValidUntil != nil && q.ValidUntil != nil && p.ValidUntil.Equal(*q.ValidUntil))
}
