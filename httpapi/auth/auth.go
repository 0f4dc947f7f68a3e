// Package auth finds out who asks.
//
// It owns the API keys of requests, the memory of keys that were good a moment
// ago, the limits on how often a key may ask and an address may guess (Guard);
// and people's passwords, sessions and links (Accounts).
//
// Promises: a revoked key is refused within MaxTTL, a revoked session at once;
// keys are held in memory only as SHA-256; memory is bounded; limits are judged
// before a body is read. A Guard is safe for concurrent use.
package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// MaxTTL is the longest time for which a key that was revoked elsewhere may
// still be accepted here.
const MaxTTL = 10 * time.Second

// Keys authenticates a secret; store.ErrNotFound if it is not a valid key.
type Keys interface {
	PrincipalByKey(ctx context.Context, secret string) (access.Principal, error)
}

// Config says how strict a Guard is. Zero values have the stated meanings.
type Config struct {
	Keys Keys
	// Accounts knows the sessions of people; nil means that keys alone are good.
	Accounts *Accounts
	// TTL is how long a good key is not looked up again; 0 means 5 s, and more
	// than MaxTTL means MaxTTL.
	TTL time.Duration
	// PerSecond and Burst bound the requests of one key; 0 means 100 and 500.
	PerSecond float64
	Burst     int
	// Guesses bounds the unknown keys that one address may send in a burst; one
	// more is allowed every 6 s. 0 means 20.
	Guesses int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Guard authenticates requests.
type Guard struct {
	cfg Config

	mu       sync.Mutex
	keys     map[[sha256.Size]byte]*keyState
	guessers map[netip.Addr]*asker
	// people are by session. Sessions are looked up each time.
	people map[uuid.UUID]*asker
	swept  time.Time
}

// keyState is a key that was good when it was looked up last.
type keyState struct {
	principal access.Principal
	checked   time.Time
	used      time.Time
	limit     *rate.Limiter
}

// asker is whose requests are counted.
type asker struct {
	limit *rate.Limiter
	used  time.Time
}

const (
	guessInterval = 6 * time.Second
	// forgetAfter is longer than any limiter needs to be full again.
	forgetAfter = 10 * time.Minute
	sweepEvery  = time.Minute
	// maxGuessers bounds the memory that guessing addresses can take.
	maxGuessers = 100_000
)

// New makes a guard.
func New(cfg Config) *Guard {
	if cfg.TTL <= 0 {
		cfg.TTL = 5 * time.Second
	}
	cfg.TTL = min(cfg.TTL, MaxTTL)
	if cfg.PerSecond <= 0 {
		cfg.PerSecond = 100
	}
	if cfg.Burst <= 0 {
		cfg.Burst = 500
	}
	if cfg.Guesses <= 0 {
		cfg.Guesses = 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Guard{cfg: cfg, keys: map[[sha256.Size]byte]*keyState{}, guessers: map[netip.Addr]*asker{},
		people: map[uuid.UUID]*asker{}}
}

// Authenticate returns the principal whose key the request carries, else the
// person in whose session it is made. The error is a *respond.Problem (401, 403,
// 429) or one of the store.
func (g *Guard) Authenticate(r *http.Request) (access.Principal, error) {
	if g.cfg.Accounts != nil && len(r.Header.Values("Authorization")) == 0 && len(r.Header.Values("X-API-Key")) == 0 {
		if p, err := g.cfg.Accounts.Principal(r); !errors.Is(err, ErrSignedOut) {
			return g.limited(p, err)
		}
	}
	secret, err := secretOf(r.Header)
	if err != nil {
		return access.Principal{}, err
	}
	now, hash := g.cfg.Now(), sha256.Sum256([]byte(secret))
	principal, fresh, known := g.recall(hash, now)
	if !fresh {
		if principal, err = g.lookUp(r, secret, hash, now, known); err != nil {
			return access.Principal{}, err
		}
	}
	if wait := g.spend(hash, now); wait > 0 {
		return access.Principal{}, tooMany("rate_limited", "This key asks too often.", wait)
	}
	principal.RequestID = respond.ExchangeOf(r.Context()).RequestID
	return principal, nil
}

// limited spends one request of a session's allowance, which is a key's.
func (g *Guard) limited(p access.Principal, err error) (access.Principal, error) {
	if err != nil {
		return access.Principal{}, err
	}
	now := g.cfg.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	state, ok := g.people[p.Session]
	if !ok {
		state = &asker{limit: rate.NewLimiter(rate.Limit(g.cfg.PerSecond), g.cfg.Burst)}
		g.people[p.Session] = state
	}
	state.used = now
	if wait := take(state.limit, now); wait > 0 {
		return access.Principal{}, tooMany("rate_limited", "This session asks too often.", wait)
	}
	return p, nil
}

// Forget drops a key by its principal's name, so that it is looked up again at
// its next use.
func (g *Guard) Forget(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for hash, state := range g.keys {
		if state.principal.Name == name {
			delete(g.keys, hash)
		}
	}
}

// secretOf reads the key from its header. Two different keys are no key.
func secretOf(h http.Header) (string, error) {
	bearers, plain := h.Values("Authorization"), h.Values("X-API-Key")
	if len(bearers) > 1 || len(plain) > 1 {
		return "", unauthenticated("Send one key, in one header.")
	}
	secret := ""
	if len(bearers) == 1 {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(bearers[0]), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", unauthenticated("Send the key as \"Authorization: Bearer bpe_...\" or as \"X-API-Key: bpe_...\".")
		}
		secret = strings.TrimSpace(rest)
	}
	if len(plain) == 1 {
		other := strings.TrimSpace(plain[0])
		if secret != "" && secret != other {
			return "", unauthenticated("Send one key, in one header.")
		}
		secret = other
	}
	if secret == "" {
		return "", unauthenticated("Send the key as \"Authorization: Bearer bpe_...\" or as \"X-API-Key: bpe_...\".")
	}
	return secret, nil
}

// recall returns a key's principal if it was good before, and whether that was
// a moment ago.
func (g *Guard) recall(hash [sha256.Size]byte, now time.Time) (p access.Principal, fresh, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	state, known := g.keys[hash]
	if !known {
		return access.Principal{}, false, false
	}
	state.used = now
	return state.principal, now.Sub(state.checked) < g.cfg.TTL, true
}

// lookUp asks the store for the key. An address that has guessed too often is
// refused before, unless its key was good a while ago: one guesser behind a
// proxy must not lock out its neighbours.
func (g *Guard) lookUp(r *http.Request, secret string, hash [sha256.Size]byte, now time.Time, known bool) (access.Principal, error) {
	addr := addressOf(r)
	if wait := g.guessWait(addr, now); wait > 0 && !known {
		return access.Principal{}, tooMany("too_many_guesses", "This address sent too many unknown keys.", wait)
	}
	principal, err := access.Principal{}, store.ErrNotFound
	if strings.HasPrefix(secret, store.KeyPrefix) && len(secret) < 200 {
		principal, err = g.cfg.Keys.PrincipalByKey(r.Context(), secret)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		g.reject(hash, addr, now)
		return access.Principal{}, unauthenticated("The key is unknown, expired or revoked.")
	case err != nil:
		return access.Principal{}, err
	}
	g.remember(hash, principal, now)
	return principal, nil
}

func (g *Guard) remember(hash [sha256.Size]byte, p access.Principal, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	state := g.keys[hash]
	if state == nil {
		state = &keyState{limit: rate.NewLimiter(rate.Limit(g.cfg.PerSecond), g.cfg.Burst)}
		g.keys[hash] = state
	}
	// checked is the time before the look-up, so that the TTL covers it.
	state.principal, state.checked, state.used = p, now, now
}

// spend takes one request from the key's allowance, or says how long to wait.
func (g *Guard) spend(hash [sha256.Size]byte, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	state, ok := g.keys[hash]
	if !ok {
		return 0
	}
	return take(state.limit, now)
}

func take(limit *rate.Limiter, now time.Time) time.Duration {
	reservation := limit.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// guessWait says how long an address has to wait until it may guess again.
func (g *Guard) guessWait(addr netip.Addr, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	state, ok := g.guessers[addr]
	if !ok || state.limit.TokensAt(now) >= 1 {
		return 0
	}
	return guessInterval
}

func (g *Guard) reject(hash [sha256.Size]byte, addr netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	delete(g.keys, hash)
	state, ok := g.guessers[addr]
	if !ok {
		if len(g.guessers) >= maxGuessers {
			return
		}
		state = &asker{limit: rate.NewLimiter(rate.Every(guessInterval), g.cfg.Guesses)}
		g.guessers[addr] = state
	}
	state.used = now
	state.limit.AllowN(now, 1)
}

// sweep forgets keys and addresses that were quiet for long. mu is held.
func (g *Guard) sweep(now time.Time) {
	if now.Sub(g.swept) < sweepEvery {
		return
	}
	g.swept = now
	for hash, state := range g.keys {
		if now.Sub(state.used) > forgetAfter {
			delete(g.keys, hash)
		}
	}
	for addr, state := range g.guessers {
		if now.Sub(state.used) > forgetAfter {
			delete(g.guessers, addr)
		}
	}
	for session, state := range g.people {
		if now.Sub(state.used) > forgetAfter {
			delete(g.people, session)
		}
	}
}

// addressOf is the address of the peer; of IPv6 its /64, which one host can
// walk through at will.
func addressOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return addr
}

func unauthenticated(detail string) *respond.Problem {
	return &respond.Problem{Status: http.StatusUnauthorized, Code: "unauthenticated", Detail: detail, Challenge: `Bearer realm="blameprompt"`}
}

func tooMany(code, detail string, wait time.Duration) *respond.Problem {
	return &respond.Problem{Status: http.StatusTooManyRequests, Code: code, Detail: detail, RetryAfter: wait}
}

type principalKey struct{}

// With returns a context that carries the principal of a request.
func With(ctx context.Context, p access.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf returns the principal of a request that was authenticated, and
// whether it was.
func PrincipalOf(ctx context.Context) (access.Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(access.Principal)
	return p, ok
}
