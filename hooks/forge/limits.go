package forge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// limits remembers until when an account may make no calls.
type limits struct {
	mu    sync.Mutex
	until map[limited]time.Time
}

// limited is whose calls a forge counts.
type limited struct {
	host  string
	token Secret
}

// wait returns when the account may call again; zero means now.
func (l *limits) wait(who limited) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.until[who]
	if until.IsZero() || time.Now().Before(until) {
		return until
	}
	delete(l.until, who)
	return time.Time{}
}

func (l *limits) set(who limited, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[limited]time.Time{}
	}
	if until.After(l.until[who]) {
		l.until[who] = until
	}
}

const (
	// defaultLimitWait is for a forge that does not say when its limit ends.
	defaultLimitWait = time.Minute
	// maxLimitWait bounds what a forge may demand: GitHub's and Bitbucket's limits
	// are by the hour.
	maxLimitWait = 2 * time.Hour
)

// limitedUntil reads from an answer until when its forge takes no more calls;
// zero means that it does. GitHub answers 403 or 429 to both of its limits
// ("Rate limits for the REST API"), all others 429.
func limitedUntil(status int, h http.Header, detail string, now time.Time) time.Time {
	after := h.Get("Retry-After")
	spent := firstHeader(h, "X-RateLimit-Remaining", "RateLimit-Remaining") == "0"
	switch {
	case status == http.StatusTooManyRequests:
	case status == http.StatusForbidden && (after != "" || spent || strings.Contains(detail, "rate limit")):
	case status < 300 && spent:
	case status == http.StatusServiceUnavailable && after != "":
	default:
		return time.Time{}
	}
	until := now.Add(defaultLimitWait)
	if wait, err := strconv.ParseUint(after, 10, 31); err == nil {
		until = now.Add(time.Duration(wait) * time.Second)
	} else if at, err := http.ParseTime(after); err == nil {
		until = at
	} else if reset, err := strconv.ParseInt(firstHeader(h, "X-RateLimit-Reset", "RateLimit-Reset"), 10, 64); err == nil && spent {
		until = time.Unix(reset, 0)
	}
	// Clocks differ, and a second's fraction was cut off.
	until = until.Add(time.Second)
	if until.Before(now) {
		return now.Add(time.Second)
	}
	if latest := now.Add(maxLimitWait); until.After(latest) {
		return latest
	}
	return until
}

func firstHeader(h http.Header, names ...string) string {
	for _, name := range names {
		if value := h.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// restAfter is the number of failures in a row after which a host is left
// alone.
const restAfter = 5

// rests holds a circuit breaker for each host: after failures in a row nothing
// is sent to it for a while, then one request tries whether it is back.
type rests struct {
	pause time.Duration
	mu    sync.Mutex
	hosts map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]
}

// allow asks whether a request may be made; done takes its outcome.
func (r *rests) allow(host string) (done func(error), err error) {
	done, err = r.of(host).Allow()
	if err != nil {
		return nil, &CallError{Err: ErrResting, Detail: host}
	}
	return done, nil
}

func (r *rests) of(host string) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts == nil {
		r.hosts = map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]{}
	}
	if r.hosts[host] == nil {
		r.hosts[host] = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name: host, Timeout: r.pause,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= restAfter },
			IsSuccessful: func(err error) bool { return !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrFailing) },
			// Whoever ended the call says nothing about the host.
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		})
	}
	return r.hosts[host]
}
