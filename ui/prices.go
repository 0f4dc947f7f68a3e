package ui

import (
	"context"
	"net/http"
	"strings"

	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Prices is the price book: the organisation's own entries before the built-in
// ones, and the names that stand for others.
type Prices struct {
	Base
	Tabs    []Tab
	Query   string
	Own     []OwnPrice
	Aliases []store.PriceAlias
	// Builtin are the entries that the search finds, All how many there are, Edition
	// of when they are.
	Builtin []price.Entry
	All     int
	Edition string
	// Pending counts receipts whose cost is yet to be computed anew.
	Pending int
	// Given is the form as it was filled in.
	Given map[string]string
}

// OwnPrice is an entry of the organisation's own.
type OwnPrice struct {
	store.Price
	price.Entry
}

// Rate is a price in US dollars per million tokens; empty where there is none.
func (p *Prices) Rate(r *price.Rate) string {
	if r == nil {
		return "–"
	}
	return r.String()
}

// Get is a field of the form as it was given.
func (p *Prices) Get(name string) string { return p.Given[name] }

const (
	pricesPath = "/settings/prices"
	// maxPrices bounds the entries of each kind that the page lists.
	maxPrices = 60
)

func (p *pages) prices(w http.ResponseWriter, r *http.Request) error {
	return p.showPrices(w, r, nil)
}

func (p *pages) showPrices(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Prices")
	if err != nil {
		return err
	}
	base.Problems = refused
	f := queryOf(r)
	page := &Prices{Base: base, Tabs: settingsTabs(pricesPath), Query: f.text("q", 200), Given: map[string]string{}}
	if refused != nil {
		for name := range r.PostForm {
			page.Given[name] = r.PostForm.Get(name)
		}
	}
	if err := p.readPrices(r.Context(), page); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "prices", page)
}

func (p *pages) readPrices(ctx context.Context, page *Prices) error {
	org, db := page.Viewer.Org, p.cfg.DB
	own, err := db.Prices(ctx, org)
	if err != nil {
		return err
	}
	for i := range own {
		if page.finds(own[i].Model) && len(page.Own) < maxPrices {
			page.Own = append(page.Own, OwnPrice{own[i], own[i].Entry()})
		}
	}
	if page.Aliases, err = db.PriceAliases(ctx, org); err != nil {
		return err
	}
	page.Aliases = page.Aliases[:min(len(page.Aliases), maxListed)]
	builtin := db.BasePrices()
	page.Edition = builtin.Edition()
	for _, entry := range builtin.Entries() {
		page.All++
		if page.finds(entry.Model) && len(page.Builtin) < maxPrices {
			page.Builtin = append(page.Builtin, entry)
		}
	}
	page.Pending, err = db.RepricePending(ctx, org)
	return err
}

// finds reports whether a search leaves a model.
func (p *Prices) finds(model string) bool {
	return strings.Contains(price.Key(model), price.Key(p.Query)) || strings.Contains(strings.ToLower(model), strings.ToLower(p.Query))
}

// changePrices does what the button of the page says.
func (p *pages) changePrices(w http.ResponseWriter, r *http.Request) error {
	f, by := postOf(r), whoOf(r)
	var change func(*store.Tx) error
	switch f.choice("do", "set", "alias", "remove", "remove-alias") {
	case "set":
		entry := f.price()
		change = setPrices(r.Context(), by, store.PriceChange{Set: []price.Entry{entry}})
	case "alias":
		change = setPrices(r.Context(), by, store.PriceChange{Aliases: map[string]string{f.wanted("alias", 200): f.wanted("model", 200)}})
	case "remove":
		id := f.id("id")
		change = func(tx *store.Tx) error { _, err := tx.RemovePrice(r.Context(), by, id); return err }
	case "remove-alias":
		alias := f.wanted("alias", 200)
		change = func(tx *store.Tx) error { _, err := tx.RemovePriceAlias(r.Context(), by, alias); return err }
	default:
		f.refuse("do", "must be a button of the page")
	}
	err := f.err()
	if err == nil {
		err = p.changeAndPoke(r.Context(), queue.PriceTask, change)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showPrices(w, r, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, pricesPath, "prices-changed")
}

func setPrices(ctx context.Context, by access.Principal, change store.PriceChange) func(*store.Tx) error {
	return func(tx *store.Tx) error { _, err := tx.SetPrices(ctx, by, change); return err }
}

// changeAndPoke changes something and has a task run soon; without a queue its
// regular run does the work.
func (p *pages) changeAndPoke(ctx context.Context, task string, change func(*store.Tx) error) error {
	return p.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil || p.cfg.Tasks == nil {
			return err
		}
		return p.cfg.Tasks.Poke(ctx, tx, task)
	})
}

// price is the entry that the fields say.
func (f *form) price() price.Entry {
	e := price.Entry{Model: f.wanted("model", 200), Source: f.text("source", 400)}
	var err error
	if e.From, err = price.ParseTime(f.text("valid_from", 40)); err != nil {
		f.refuse("valid_from", err.Error())
	}
	if e.Until, err = price.ParseTime(f.text("valid_until", 40)); err != nil {
		f.refuse("valid_until", err.Error())
	}
	for name, into := range map[string]**price.Rate{"input": &e.Input, "output": &e.Output, "cache_read": &e.CacheRead, "cache_creation": &e.CacheWrite} {
		text := f.text(name, 40)
		if text == "" {
			continue
		}
		rate, err := price.ParseRate(text)
		if err != nil {
			f.refuse(name, err.Error())
			continue
		}
		*into = &rate
	}
	return e
}
