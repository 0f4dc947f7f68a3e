package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Tasks has background work start soon. *queue.Queue is one.
type Tasks interface {
	// Poke demands a run of a task in the caller's transaction.
	Poke(ctx context.Context, tx *store.Tx, name string) error
}

// ListPrices implements the operation.
func (s *server) ListPrices(ctx context.Context, _ ListPricesRequestObject) (ListPricesResponseObject, error) {
	book, err := s.priceBook(ctx)
	return ListPrices200JSONResponse(book), err
}

func (s *server) priceBook(ctx context.Context) (PriceBook, error) {
	org := principal(ctx).Org
	rows, err := s.cfg.DB.Prices(ctx, org)
	if err != nil {
		return PriceBook{}, err
	}
	aliases, err := s.cfg.DB.PriceAliases(ctx, org)
	if err != nil {
		return PriceBook{}, err
	}
	pending, err := s.cfg.DB.RepricePending(ctx, org)
	base := s.cfg.DB.BasePrices()
	return PriceBook{
		Own: each(rows, ownPriceOf), Builtin: each(base.Entries(), priceOf), Edition: base.Edition(), Pending: pending,
		Aliases: each(aliases, priceAliasOf),
	}, err
}

// SetPrices implements the operation.
func (s *server) SetPrices(ctx context.Context, in SetPricesRequestObject) (SetPricesResponseObject, error) {
	change := store.PriceChange{Aliases: map[string]string{}}
	for i := range in.Body.Items {
		e, bad := newPrice(&in.Body.Items[i])
		if bad != nil {
			bad.Field = fmt.Sprintf("items[%d].%s", i, bad.Field)
			return nil, respond.Invalid(*bad)
		}
		change.Set = append(change.Set, e)
	}
	for _, a := range in.Body.Aliases {
		change.Aliases[a.Alias] = a.Model
	}
	by := principal(ctx)
	err := s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.SetPrices(ctx, by, change); err != nil {
			return err
		}
		return s.poke(ctx, tx, queue.PriceTask)
	})
	if err != nil {
		return nil, err
	}
	book, err := s.priceBook(ctx)
	return SetPrices200JSONResponse(book), err
}

// poke has a task run soon; without a queue its regular run does the work.
func (s *server) poke(ctx context.Context, tx *store.Tx, task string) error {
	if s.cfg.Tasks == nil {
		return nil
	}
	return s.cfg.Tasks.Poke(ctx, tx, task)
}

func newPrice(in *NewPrice) (price.Entry, *respond.Field) {
	e := price.Entry{Model: in.Model, Source: in.Source}
	for _, t := range []struct {
		field, text string
		into        *time.Time
	}{{"valid_from", in.ValidFrom, &e.From}, {"valid_until", in.ValidUntil, &e.Until}} {
		at, err := price.ParseTime(t.text)
		if err != nil {
			return e, &respond.Field{Field: t.field, Problem: err.Error()}
		}
		*t.into = at
	}
	for _, r := range []struct {
		field string
		value *store.Decimal
		into  **price.Rate
	}{
		{"input", in.Input, &e.Input}, {"output", in.Output, &e.Output},
		{"cache_read", in.CacheRead, &e.CacheRead}, {"cache_creation", in.CacheCreation, &e.CacheWrite},
	} {
		if r.value == nil {
			continue
		}
		rate, err := price.ParseRate(string(*r.value))
		if err != nil {
			return e, &respond.Field{Field: r.field, Problem: err.Error()}
		}
		*r.into = &rate
	}
	return e, nil
}

// RemovePrice implements the operation.
func (s *server) RemovePrice(ctx context.Context, in RemovePriceRequestObject) (RemovePriceResponseObject, error) {
	return RemovePrice204Response{}, s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.RemovePrice(ctx, principal(ctx), in.Id); err != nil {
			return err
		}
		return s.poke(ctx, tx, queue.PriceTask)
	})
}

// RemovePriceAlias implements the operation.
func (s *server) RemovePriceAlias(ctx context.Context, in RemovePriceAliasRequestObject) (RemovePriceAliasResponseObject, error) {
	return RemovePriceAlias204Response{}, s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.RemovePriceAlias(ctx, principal(ctx), in.Params.Alias); err != nil {
			return err
		}
		return s.poke(ctx, tx, queue.PriceTask)
	})
}

// ListPricePeriods implements the operation.
func (s *server) ListPricePeriods(ctx context.Context, in ListPricePeriodsRequestObject) (ListPricePeriodsResponseObject, error) {
	book, err := s.cfg.DB.PriceBook(ctx, principal(ctx).Org)
	if err != nil {
		return nil, err
	}
	return ListPricePeriods200JSONResponse{Items: each(book.Periods(in.Params.Model), func(p price.Period) PricePeriod {
		return PricePeriod{From: someTime(p.From), Until: someTime(p.Until), Price: priceOf(p.Entry)}
	})}, nil
}

func ownPriceOf(p store.Price) OwnPrice {
	return OwnPrice{Id: p.ID, Price: priceOf(p.Entry()), CreatedBy: p.CreatedBy, CreatedAt: p.CreatedAt}
}

func priceOf(e price.Entry) Price {
	return Price{Model: e.Model, ValidFrom: someTime(e.From), ValidUntil: someTime(e.Until), Input: rateOf(e.Input),
		Output: rateOf(e.Output), CacheRead: rateOf(e.CacheRead), CacheCreation: rateOf(e.CacheWrite), Source: e.Source}
}

func rateOf(rate *price.Rate) *store.Decimal {
	if rate == nil {
		return nil
	}
	d := store.Decimal(rate.String())
	return &d
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func priceAliasOf(a store.PriceAlias) PriceAlias {
	return PriceAlias{Alias: a.Alias, Model: a.Model, CreatedBy: a.CreatedBy, CreatedAt: a.CreatedAt}
}
