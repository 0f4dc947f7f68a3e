package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// AccountConfig says how people sign in. Zero values have the stated meanings.
type AccountConfig struct {
	DB *store.DB
	// PublicURL is how browsers reach this server; https makes cookies secure.
	PublicURL string
	// Idle is how long a session lives unused, Lifetime how long at most; 0 means
	// 12 hours and 7 days.
	Idle, Lifetime time.Duration
	// Cost is what hashing a password takes.
	Cost Cost
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log zerolog.Logger
}

// Accounts lets people in: by password, by session, by link.
//
// Promises: whether an account exists shows neither in an answer nor in its
// time; attempts are counted before they are made; a session's id is new at each
// sign-in, and a session that was ended is refused at once, here and at every
// other daemon. Accounts is safe for concurrent use.
type Accounts struct {
	cfg         AccountConfig
	passwords   *Passwords
	sessions    *sessionStore
	crossOrigin *http.CrossOriginProtection
}

// NewAccounts makes an Accounts. It fails if the public URL is none.
func NewAccounts(cfg AccountConfig) (*Accounts, error) {
	if cfg.Idle <= 0 {
		cfg.Idle = 12 * time.Hour
	}
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = 7 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	protection, err := newCrossOrigin(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	return &Accounts{cfg: cfg, passwords: NewPasswords(cfg.Cost), sessions: newSessionStore(cfg), crossOrigin: protection}, nil
}

// Now is the time by the clock of sessions and links.
func (a *Accounts) Now() time.Time { return a.cfg.Now() }

// What may fail: an account is locked soon and not for long, so that nobody can
// keep its person out; an address later, since many may share it.
const (
	accountFailures, addressFailures = 5, 50
	accountLock, accountMaxLock      = time.Minute, 15 * time.Minute
	addressLock, addressMaxLock      = time.Minute, time.Hour
	forgetFailures                   = 24 * time.Hour
)

// accountLimit counts an address in all organisations at once: the name of one
// may be left out, which must not double the attempts.
func accountLimit(email string) store.LoginLimit {
	return store.LoginLimit{Subject: "account\x00" + email, Failures: accountFailures, Lock: accountLock,
		MaxLock: accountMaxLock, Forget: forgetFailures}
}

func addressLimit(r *http.Request) store.LoginLimit {
	return store.LoginLimit{Subject: "address\x00" + addressOf(r).String(), Failures: addressFailures, Lock: addressLock,
		MaxLock: addressMaxLock, Forget: forgetFailures}
}

// Login is what somebody says to sign in.
type Login struct {
	// Org is the name of the organisation, empty where there is one only.
	Org, Email, Password string
}

// errWrong is the one answer to whatever was wrong.
var errWrong = &respond.Problem{Status: http.StatusUnauthorized, Code: "wrong_login",
	Detail: "No account has this address and password."}

// SignIn checks a password and begins a session. The error is a
// *respond.Problem (401, 403, 429) or one of the store.
func (a *Accounts) SignIn(w http.ResponseWriter, r *http.Request, in Login) error {
	if err := a.CheckOrigin(r); err != nil {
		return err
	}
	in.Org, in.Email = strings.ToLower(strings.TrimSpace(in.Org)), strings.ToLower(strings.TrimSpace(in.Email))
	if !fit(in.Org) || !fit(in.Email) {
		return errWrong
	}
	address, account := addressLimit(r), accountLimit(in.Email)
	failures, err := a.count(r, address, account)
	if err != nil {
		return err
	}
	who, err := a.cfg.DB.CredentialsOf(r.Context(), in.Org, in.Email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := a.check(r.Context(), who, in.Password); err != nil {
		return err
	}
	if err := a.cfg.DB.ForgiveLogin(r.Context(), account, address); err != nil {
		return err
	}
	return a.begin(w, r, who, failures)
}

// fit reports whether a name can be in the database.
func fit(name string) bool {
	return len(name) <= 300 && strings.ToValidUTF8(name, "") == name && !strings.Contains(name, "\x00")
}

// count counts an attempt and returns how often the last of the limits has
// failed before.
func (a *Accounts) count(r *http.Request, limits ...store.LoginLimit) (int, error) {
	wait, failures, err := a.cfg.DB.CountLogin(r.Context(), a.cfg.Now(), limits...)
	if err != nil {
		return 0, err
	}
	if wait > 0 {
		a.cfg.Log.Warn().Str("remote", r.RemoteAddr).Dur("wait_ms", wait).Msg("signing in is locked after too many failures")
		return 0, tooMany("login_locked", "Signing in has failed too often here. Wait, and try again.", wait)
	}
	return failures[len(failures)-1], nil
}

// check is errWrong unless the password is the person's, and makes a hash anew
// whose parameters are not those of today.
func (a *Accounts) check(ctx context.Context, who store.Credentials, password string) error {
	ok, stale, err := a.passwords.Check(ctx, who.Hash, password)
	if err != nil {
		return err
	}
	if !ok {
		return errWrong
	}
	if !stale {
		return nil
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	return a.cfg.DB.RehashPassword(ctx, who.ID, who.Hash, hash)
}

// linkPaths are the first parts of links' paths.
var linkPaths = map[store.LinkKind]string{store.LinkSetup: "setup", store.LinkInvitation: "invitations", store.LinkPassword: "password"}

// LinkURL is the link of a secret, below the address at which people reach the
// server.
func LinkURL(publicURL string, kind store.LinkKind, secret string) string {
	return publicURL + "/" + linkPaths[kind] + "/" + secret
}

// OpenLink finds the link of a secret, and the name of its organisation;
// store.ErrNotFound unless it is good.
func (a *Accounts) OpenLink(ctx context.Context, kind store.LinkKind, secret string) (link store.AccountLink, org string, err error) {
	return a.cfg.DB.OpenLink(ctx, kind, secret, a.cfg.Now())
}

// Newcomer is what somebody says who follows a link.
type Newcomer struct {
	// Email is taken of setup links alone.
	Email, Name, Password string
}

// TakeLink uses a link and begins a session of its person.
func (a *Accounts) TakeLink(w http.ResponseWriter, r *http.Request, kind store.LinkKind, secret string, in Newcomer) error {
	if err := a.CheckOrigin(r); err != nil {
		return err
	}
	// Nobody makes the server hash without a link that is good.
	if _, _, err := a.OpenLink(r.Context(), kind, secret); err != nil {
		return err
	}
	hash, err := a.passwords.Hash(r.Context(), in.Password)
	if err != nil {
		return err
	}
	who, err := a.cfg.DB.TakeLink(r.Context(), kind, secret, store.TakenLink{Email: in.Email, Name: in.Name, Hash: hash, Now: a.cfg.Now(),
		RequestID: respond.ExchangeOf(r.Context()).RequestID})
	if err != nil {
		return err
	}
	return a.begin(w, r, who, 0)
}

// ChangePassword replaces the password of the person who asks and ends their
// other sessions. The old one is asked for, and its guesses are counted.
func (a *Accounts) ChangePassword(r *http.Request, by access.Principal, old, fresh string) error {
	address, account := addressLimit(r), accountLimit(by.User)
	if _, err := a.count(r, address, account); err != nil {
		return err
	}
	who, err := a.cfg.DB.CredentialsByID(r.Context(), by.Org, by.UserID)
	if err != nil {
		return err
	}
	ok, _, err := a.passwords.Check(r.Context(), who.Hash, old)
	if err != nil {
		return err
	}
	if !ok {
		return &store.InvalidError{Field: "old_password", Problem: "is not your password"}
	}
	hash, err := a.passwords.Hash(r.Context(), fresh)
	if err != nil {
		return err
	}
	if err := a.cfg.DB.ForgiveLogin(r.Context(), account, address); err != nil {
		return err
	}
	return a.cfg.DB.ChangePassword(r.Context(), by, hash)
}
