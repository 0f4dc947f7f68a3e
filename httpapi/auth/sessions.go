package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/sessions"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// sessionStore is a gorilla/sessions store whose rows lie in PostgreSQL. The cookie
// holds a secret that names the row and nothing else.
type sessionStore struct {
	cfg     AccountConfig
	name    string
	options sessions.Options
}

var _ sessions.Store = (*sessionStore)(nil)

// Keys of a session's values.
type sessionValue int

const (
	// sessionPrincipal is the access.Principal of a session that lives.
	sessionPrincipal sessionValue = iota
	// sessionNew is the store.NewSession of one that is to begin.
	sessionNew
)

func newSessionStore(cfg AccountConfig) *sessionStore {
	secure := strings.HasPrefix(cfg.PublicURL, "https://")
	name := "blameprompt"
	if secure {
		// A browser takes a cookie of this prefix from this very host alone.
		name = "__Host-" + name
	}
	return &sessionStore{cfg: cfg, name: name, options: sessions.Options{
		Path: "/", MaxAge: int(cfg.Lifetime / time.Second), Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}}
}

// Get returns the session of a request, which is looked up once.
func (s *sessionStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New looks up the session of a request's cookie; without one that lives it
// returns a new one without an id.
func (s *sessionStore) New(r *http.Request, name string) (*sessions.Session, error) {
	session := s.fresh(name)
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	p, err := s.cfg.DB.PrincipalBySession(r.Context(), cookie.Value, s.cfg.Now(), s.cfg.Idle)
	if errors.Is(err, store.ErrNotFound) {
		return session, nil
	}
	if err != nil {
		return session, err
	}
	session.ID, session.IsNew, session.Values[sessionPrincipal] = cookie.Value, false, p
	return session, nil
}

func (s *sessionStore) fresh(name string) *sessions.Session {
	session, options := sessions.NewSession(s, name), s.options
	session.Options, session.IsNew = &options, true
	return session
}

// Save begins a new session, or ends one whose MaxAge is negative, and tells
// the browser.
func (s *sessionStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	in, begins := session.Values[sessionNew].(store.NewSession)
	if begins && session.IsNew {
		p, secret, err := s.cfg.DB.BeginSession(r.Context(), in)
		if err != nil {
			return err
		}
		session.ID, session.IsNew, session.Values[sessionPrincipal] = secret, false, p
		delete(session.Values, sessionNew)
	}
	if p, ok := session.Values[sessionPrincipal].(access.Principal); ok && session.Options.MaxAge < 0 {
		if _, err := s.cfg.DB.RevokeSession(r.Context(), p, p.Session); err != nil {
			return err
		}
		session.ID = ""
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
	return nil
}

// ErrSignedOut: the request carries no session, or none that lives.
var ErrSignedOut = errors.New("nobody is signed in")

// Principal returns the person who is signed in. The error is ErrSignedOut, a
// *respond.Problem (403) for a request that another site made, or one of the store.
func (a *Accounts) Principal(r *http.Request) (access.Principal, error) {
	if _, err := r.Cookie(a.sessions.name); err != nil {
		return access.Principal{}, ErrSignedOut
	}
	if err := a.CheckOrigin(r); err != nil {
		return access.Principal{}, err
	}
	session, err := a.sessions.Get(r, a.sessions.name)
	if err != nil {
		return access.Principal{}, err
	}
	p, ok := session.Values[sessionPrincipal].(access.Principal)
	if !ok {
		return access.Principal{}, ErrSignedOut
	}
	x := respond.ExchangeOf(r.Context())
	p.RequestID, x.Principal = x.RequestID, p.Name
	return p, nil
}

// CheckOrigin refuses a request that changes something and that a page of
// another site made a browser send.
func (a *Accounts) CheckOrigin(r *http.Request) error {
	if err := a.crossOrigin.Check(r); err != nil {
		return fmt.Errorf("%w (%w)", &respond.Problem{Status: http.StatusForbidden, Code: "cross_origin",
			Detail: "This request came from another site. Open the page here and try again."}, err)
	}
	return nil
}

// newCrossOrigin trusts the public URL beside the request's own host, which a
// proxy in front may have changed.
func newCrossOrigin(publicURL string) (*http.CrossOriginProtection, error) {
	protection := http.NewCrossOriginProtection()
	if publicURL == "" {
		return protection, nil
	}
	u, err := url.Parse(publicURL)
	if err == nil {
		err = protection.AddTrustedOrigin(u.Scheme + "://" + u.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("reading public_url: %w", err)
	}
	return protection, nil
}

// begin begins a session in the place of whichever the request carries, and
// gives the browser its cookie: an id that was known before is worth nothing.
func (a *Accounts) begin(w http.ResponseWriter, r *http.Request, who store.Credentials, failures int) error {
	session := a.sessions.fresh(a.sessions.name)
	in := store.NewSession{OrgID: who.OrgID, UserID: who.ID, Address: addressOf(r).String(), UserAgent: r.UserAgent(),
		Now: a.cfg.Now(), Idle: a.cfg.Idle, Lifetime: a.cfg.Lifetime, Failures: failures,
		RequestID: respond.ExchangeOf(r.Context()).RequestID}
	if cookie, err := r.Cookie(a.sessions.name); err == nil {
		in.Replaces = cookie.Value
	}
	session.Values[sessionNew] = in
	return session.Save(r, w)
}

// SignOut ends the session of a request and its cookie.
func (a *Accounts) SignOut(w http.ResponseWriter, r *http.Request) error {
	session, err := a.sessions.Get(r, a.sessions.name)
	if err != nil {
		return err
	}
	session.Options.MaxAge = -1
	return session.Save(r, w)
}

// Sessions lists the living sessions of the person who asks.
func (a *Accounts) Sessions(ctx context.Context, by access.Principal) ([]store.Session, error) {
	return a.cfg.DB.Sessions(ctx, by.Org, by.UserID, a.cfg.Now())
}
