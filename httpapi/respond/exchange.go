package respond

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// Exchange is one request and its answer, as the access log and the metrics
// tell of it. Handlers fill in what they learn; it belongs to the request's
// goroutine.
type Exchange struct {
	RequestID string
	// Route is the template of the path that matched, empty for none.
	Route string
	// Principal is who asked, empty if unknown.
	Principal string
	// Err is why the answer is a problem document.
	Err error

	answer *answer
}

// Started reports whether the first byte of the answer was sent.
func (x *Exchange) Started() bool { return x.answer != nil && x.answer.status != 0 }

type exchangeKey struct{}

// ExchangeOf returns the exchange of a request that came through Wrap, and
// else one that nobody looks at.
func ExchangeOf(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		return x
	}
	return &Exchange{}
}

// Options of Wrap.
type Options struct {
	Log zerolog.Logger
	// Observe is told of every answer; nil for nobody.
	Observe func(route, method string, status int, took time.Duration)
}

// Wrap makes next the handler of exchanges: it gives them an id, recovers
// panics, sets the headers that every answer carries and logs one line each.
func Wrap(opt Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		a := &answer{ResponseWriter: w}
		x := &Exchange{RequestID: requestID(r), answer: a}
		setHeaders(w.Header(), x.RequestID)
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		defer func() {
			took := time.Since(start)
			if opt.Observe != nil {
				opt.Observe(x.Route, r.Method, a.status, took)
			}
			logExchange(opt.Log, r, x, took)
		}()
		defer recoverTo(opt.Log, a, r)
		next.ServeHTTP(a, r)
		if a.status == 0 {
			a.status = http.StatusOK
		}
	})
}

// recoverTo answers a panic with a problem document. http.ErrAbortHandler is
// no fault: it breaks the connection off on purpose.
func recoverTo(log zerolog.Logger, a *answer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler || a.status != 0 {
		log.Error().Str("request_id", ExchangeOf(r.Context()).RequestID).Interface("panic", v).Msg("answer broken off")
		panic(http.ErrAbortHandler)
	}
	log.Error().Str("request_id", ExchangeOf(r.Context()).RequestID).Interface("panic", v).Bytes("stack", stack()).Msg("panic")
	Error(a, r, errPanicked)
}

var validID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID takes over the id that a proxy in front gave, if it is a tame one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); validID.MatchString(id) {
		return id
	}
	return uuid.Must(uuid.NewV7()).String()
}

// setHeaders sets defaults that a handler may replace. Nothing that the API
// answers may be framed, run or kept.
func setHeaders(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

func logExchange(log zerolog.Logger, r *http.Request, x *Exchange, took time.Duration) {
	event := log.Info()
	switch {
	case x.answer.status >= 500:
		event = log.Error()
	case x.Err != nil:
		event = log.Warn()
	}
	if x.Err != nil {
		event = event.Str("error", x.Err.Error())
	}
	event.Str("request_id", x.RequestID).Str("method", r.Method).Str("path", maskPath(r.URL.EscapedPath())).
		Str("query", maskQuery(r.URL.RawQuery)).Str("route", x.Route).Int("status", x.answer.status).
		Int64("bytes", x.answer.bytes).Dur("took_ms", took).Str("remote", r.RemoteAddr).Str("principal", x.Principal).
		Msg("request")
}

// masked are the query parameters that may hold text of prompts or a secret.
var masked = []string{"q", "key", "token", "access_token", "api_key", "secret", "password"}

// maskQuery hides what must not be logged. A query that cannot be read is
// hidden as a whole.
func maskQuery(raw string) string {
	if raw == "" {
		return ""
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "…"
	}
	for _, name := range masked {
		if values.Has(name) {
			values[name] = []string{"…"}
		}
	}
	return values.Encode()
}

// secretPaths are those that end in the secret of a link.
var secretPaths = []string{"/setup/", "/invitations/", "/password/"}

// maskPath hides the secret of a link, which opens an account.
func maskPath(path string) string {
	for _, prefix := range secretPaths {
		if strings.HasPrefix("/"+strings.TrimLeft(path, "/"), prefix) {
			return prefix + "…"
		}
	}
	return path
}

// answer notes status and size of what is written.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	// Informational answers come before the proper one.
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// JSON answers with v, rendered whole before the first header.
func JSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// write renders a document that always can be.
func write(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal","request_id":""}`)
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
