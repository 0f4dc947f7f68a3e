package ui

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Keys is the API keys of the organisation.
type Keys struct {
	Base
	Tabs   []Tab
	Keys   []store.Key
	Scopes []access.Scope
	// Secret is of the key that was made just now.
	Secret string
}

func (p *pages) keys(w http.ResponseWriter, r *http.Request) error {
	return p.showKeys(w, r, "", nil)
}

func (p *pages) showKeys(w http.ResponseWriter, r *http.Request, secret string, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "API keys")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Keys{Base: base, Tabs: settingsTabs("/settings/keys"), Scopes: access.Scopes, Secret: secret}
	if page.Keys, err = p.cfg.DB.Keys(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	page.Keys = page.Keys[:min(len(page.Keys), maxListed)]
	return p.show(w, r, statusFor(refused), "keys", page)
}

// makeKey makes a key of the organisation, or of a person, and shows it once.
func (p *pages) makeKey(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	in := store.NewKey{Name: f.wanted("name", 200), User: f.text("user", 320)}
	switch days := f.choice("days", "0", "30", "90", "366"); days {
	case "", "0":
	default:
		in.ExpiresAt = p.cfg.Now().AddDate(0, 0, map[string]int{"30": 30, "90": 90, "366": 366}[days])
	}
	scopes, err := access.ParseScopes(r.PostForm["scope"])
	if err != nil {
		f.refuse("scopes", err.Error())
	}
	in.Scopes = scopes
	if len(f.faults) > 0 {
		return p.showKeys(w, r, "", f.faults)
	}
	_, secret, err := p.cfg.DB.CreateKey(r.Context(), whoOf(r), in)
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showKeys(w, r, "", faults)
	}
	if err != nil {
		return err
	}
	return p.showKeys(w, r, secret, nil)
}

func (p *pages) endKey(w http.ResponseWriter, r *http.Request) error {
	return p.endByID(w, r, "/settings/keys", "key-revoked", func(by access.Principal, id uuid.UUID) error {
		_, err := p.cfg.DB.RevokeKey(r.Context(), by, id)
		return err
	})
}

// endByID ends what the path names, and leads back.
func (p *pages) endByID(w http.ResponseWriter, r *http.Request, back, notice string, end func(access.Principal, uuid.UUID) error) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	if err := end(whoOf(r), id); err != nil {
		return err
	}
	return done(w, r, back, notice)
}

// Live reports whether a key can be used.
func (p *Keys) Live(k store.Key) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || k.ExpiresAt.After(p.Now))
}
