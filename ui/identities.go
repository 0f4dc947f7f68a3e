package ui

import (
	"context"
	"net/http"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Identities is who is one person with several addresses, and which authors are
// bots.
type Identities struct {
	Base
	Tabs  []Tab
	Query string
	// Persons have several addresses; Found is the one that was looked for.
	Persons  []store.Person
	Found    *store.Person
	Pager    Pager
	Rules    []store.IdentityRule
	Bots     []store.BotRule
	Mailmaps []store.ReadMailmap
}

const identitiesPath = "/settings/identities"

func (p *pages) identities(w http.ResponseWriter, r *http.Request) error {
	return p.showIdentities(w, r, nil)
}

func (p *pages) showIdentities(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Identities")
	if err != nil {
		return err
	}
	f := queryOf(r)
	page := &Identities{Base: base, Tabs: settingsTabs(identitiesPath), Query: f.text("email", 254)}
	page.Problems = append(refused, f.faults...)
	if err := p.readPersons(r, page); err != nil {
		return err
	}
	org, ctx := base.Viewer.Org, r.Context()
	if page.Rules, err = p.cfg.DB.IdentityRules(ctx, org); err != nil {
		return err
	}
	bots, err := p.cfg.DB.BotRules(ctx, org)
	if err != nil {
		return err
	}
	page.Rules, page.Bots = head(page.Rules), head(bots)
	if page.Mailmaps, err = p.cfg.DB.Mailmaps(ctx, org, maxListed); err != nil {
		return err
	}
	return p.show(w, r, statusFor(page.Problems), "identities", page)
}

// readPersons reads a page of those with several addresses, and the one that is
// looked for.
func (p *pages) readPersons(r *http.Request, page *Identities) error {
	org := page.Viewer.Org
	if page.Query != "" {
		person, err := p.cfg.DB.Person(r.Context(), org, page.Query)
		if err != nil {
			return err
		}
		page.Found = &person
	}
	seal := cursor.Seal(org, "identities page", "")
	var after *string
	if err := cursor.Open(r.URL.Query().Get("cursor"), seal, &after); err != nil {
		return err
	}
	if after == nil {
		after = new(string)
	} else {
		page.Pager.First = identitiesPath
	}
	rows, err := p.cfg.DB.Persons(r.Context(), org, *after, pageSize+1)
	if err != nil {
		return err
	}
	var more bool
	if page.Persons, more = cut(rows); more {
		page.Pager.Next = identitiesPath + "?cursor=" + cursor.Make(seal, page.Persons[len(page.Persons)-1].Email)
	}
	page.Pager.Shown = count(len(page.Persons)) + " shown"
	return nil
}

// changeIdentities does what the button of the page says.
func (p *pages) changeIdentities(w http.ResponseWriter, r *http.Request) error {
	f, by := postOf(r), whoOf(r)
	do := f.choice("do", "join", "split", "reset", "bot", "no-bot", "forget-bot")
	if do == "" {
		f.refuse("do", "must be a button of the page")
	}
	err := f.err()
	if err == nil {
		err = p.changeIdentity(r.Context(), by, do, f)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showIdentities(w, r, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, identitiesPath, "people-joined")
}

func (p *pages) changeIdentity(ctx context.Context, by access.Principal, do string, f *form) error {
	switch do {
	case "join":
		_, err := p.cfg.DB.JoinAddresses(ctx, by, f.text("person", 300), f.lines("emails", 20_000))
		return err
	case "split":
		return p.cfg.DB.SplitAddress(ctx, by, f.text("email", 300))
	case "reset":
		return p.cfg.DB.ResetAddress(ctx, by, f.text("email", 300))
	}
	pattern := f.text("pattern", 300)
	return p.changeAndPoke(ctx, queue.PeopleTask, func(tx *store.Tx) error {
		if do == "forget-bot" {
			return tx.RemoveBotRule(ctx, by, pattern)
		}
		_, err := tx.SetBotRule(ctx, by, pattern, do == "bot")
		return err
	})
}
