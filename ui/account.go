package ui

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Account is a person's own things.
type Account struct {
	Base
	User     store.User
	Sessions []store.Session
	Keys     []store.Key
	SSHKeys  []store.SSHKey
	// Scopes are those that the person's keys may have.
	Scopes []access.Scope
	// Secret is of a key that was just made, Problem what was refused, and Done
	// what was done.
	Secret, Problem, Done string
}

func (p *pages) account(w http.ResponseWriter, r *http.Request) error {
	return p.showAccount(w, r, http.StatusOK, Account{Done: accountDone[r.URL.Query().Get("done")]})
}

// accountDone are what forms lead back with.
var accountDone = map[string]string{
	"password": "Your password is changed, and your other sessions have ended.",
	"session":  "The session has ended.", "sessions": "Your other sessions have ended.",
	"key": "The key is revoked.", "ssh-key": "The SSH key is added.", "ssh-key-revoked": "The SSH key is revoked.",
}

func (p *pages) showAccount(w http.ResponseWriter, r *http.Request, status int, page Account) error {
	who, db, ctx := whoOf(r), p.cfg.DB, r.Context()
	page.Scopes = who.Role.Limit(access.Scopes)
	var err error
	if page.Base, err = p.newBase(r, "/account", "Your account"); err != nil {
		return err
	}
	if page.User, err = db.User(ctx, who.Org, who.UserID.String()); err != nil {
		return err
	}
	if page.Sessions, err = p.cfg.Accounts.Sessions(ctx, who); err != nil {
		return err
	}
	if page.Keys, err = db.KeysOf(ctx, who.Org, who.UserID); err != nil {
		return err
	}
	if page.SSHKeys, err = db.SSHKeysOf(ctx, who.Org, who.UserID); err != nil {
		return err
	}
	return p.show(w, r, status, "account", &page)
}

// afterAccount shows the account again: with what was refused, or from anew so
// that reloading does nothing twice.
func (p *pages) afterAccount(w http.ResponseWriter, r *http.Request, err error, done string) error {
	if err == nil {
		http.Redirect(w, r, "/account?done="+done, http.StatusSeeOther)
		return nil
	}
	status, text, ok := refusal(err)
	if !ok {
		return err
	}
	retryAfter(w, respond.ProblemOf(err))
	return p.showAccount(w, r, status, Account{Problem: text})
}

func (p *pages) changePassword(w http.ResponseWriter, r *http.Request) error {
	err := p.cfg.Accounts.ChangePassword(r, whoOf(r), r.PostFormValue("old_password"), r.PostFormValue("password"))
	return p.afterAccount(w, r, err, "password")
}

func (p *pages) revokeSession(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	_, err = p.cfg.DB.RevokeSession(r.Context(), whoOf(r), id)
	return p.afterAccount(w, r, err, "session")
}

func (p *pages) revokeOtherSessions(w http.ResponseWriter, r *http.Request) error {
	return p.afterAccount(w, r, p.cfg.DB.RevokeOtherSessions(r.Context(), whoOf(r)), "sessions")
}

// keyDays is for how long keys are made here, at most.
const keyDays = 366

func (p *pages) createKey(w http.ResponseWriter, r *http.Request) error {
	who := whoOf(r)
	scopes, err := access.ParseScopes(r.PostForm["scope"])
	if err != nil {
		return p.afterAccount(w, r, respond.InvalidField("scopes", err.Error()), "")
	}
	_, secret, err := p.cfg.DB.CreateKey(r.Context(), who, store.NewKey{Name: r.PostForm.Get("name"), User: who.User, Scopes: scopes,
		ExpiresAt: p.cfg.Accounts.Now().Add(keyDays * 24 * time.Hour)})
	if err != nil {
		return p.afterAccount(w, r, err, "")
	}
	return p.showAccount(w, r, http.StatusOK, Account{Secret: secret})
}

func (p *pages) revokeKey(w http.ResponseWriter, r *http.Request) error {
	id, err := p.ownOf(r, func(ctx context.Context, org, user uuid.UUID) ([]uuid.UUID, error) {
		keys, err := p.cfg.DB.KeysOf(ctx, org, user)
		return each(keys, func(k store.Key) uuid.UUID { return k.ID }), err
	})
	if err != nil {
		return err
	}
	_, err = p.cfg.DB.RevokeKey(r.Context(), whoOf(r), id)
	return p.afterAccount(w, r, err, "key")
}

func (p *pages) addSSHKey(w http.ResponseWriter, r *http.Request) error {
	who := whoOf(r)
	_, err := p.cfg.DB.AddSSHKey(r.Context(), who, store.NewSSHKey{UserID: who.UserID, Line: r.PostFormValue("public_key"),
		Name: r.PostFormValue("name")})
	return p.afterAccount(w, r, err, "ssh-key")
}

func (p *pages) revokeSSHKey(w http.ResponseWriter, r *http.Request) error {
	id, err := p.ownOf(r, func(ctx context.Context, org, user uuid.UUID) ([]uuid.UUID, error) {
		keys, err := p.cfg.DB.SSHKeysOf(ctx, org, user)
		return each(keys, func(k store.SSHKey) uuid.UUID { return k.ID }), err
	})
	if err != nil {
		return err
	}
	_, err = p.cfg.DB.RevokeSSHKey(r.Context(), whoOf(r), id)
	return p.afterAccount(w, r, err, "ssh-key-revoked")
}

// ownOf is the id of a request if it is among the person's own.
func (p *pages) ownOf(r *http.Request, own func(ctx context.Context, org, user uuid.UUID) ([]uuid.UUID, error)) (uuid.UUID, error) {
	id, err := idOf(r)
	if err != nil {
		return id, err
	}
	who := whoOf(r)
	ids, err := own(r.Context(), who.Org, who.UserID)
	if err == nil && !slices.Contains(ids, id) {
		err = store.ErrNotFound
	}
	return id, err
}

// idOf is the id in the path of a request.
func idOf(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return id, store.ErrNotFound
	}
	return id, nil
}

func each[In, Out any](list []In, f func(In) Out) []Out {
	out := make([]Out, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
