package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/httpapi/respond"
)

//go:embed templates/*.html
var templateFiles embed.FS

// framing are the templates that every page is made with.
var framing = []string{"templates/layout.html", "templates/components.html"}

// screen is the template of a page. It defines "main", and "live" for the part
// that is replaced without the rest.
type screen struct{ *template.Template }

// view is what a page shows: a struct that embeds Base.
type view interface{ base() *Base }

// csp lets a page load from this server alone, and run what is in a file.
var csp = strings.Join([]string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'",
	"connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"}, "; ")

func readScreens(files assets) (map[string]*screen, error) {
	frame, err := template.New("").Funcs(functions(files)).ParseFS(templateFiles, framing...)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]*screen{}
	for _, name := range names {
		if name == framing[0] || name == framing[1] {
			continue
		}
		set, err := template.Must(frame.Clone()).ParseFS(templateFiles, name)
		if err != nil {
			return nil, err
		}
		out[strings.TrimSuffix(path.Base(name), ".html")] = &screen{set}
	}
	return out, nil
}

// live is the id of the part of a page that htmx asks for alone.
const live = "live"

// show renders a page, or its live part if htmx asks for that, before the first
// header is written.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) error {
	sc, ok := p.screens[name]
	if !ok {
		return fmt.Errorf("there is no template of the page %q", name)
	}
	block := "layout"
	if onlyLive(r) && sc.Lookup(live) != nil {
		block = live
		if status == http.StatusBadRequest {
			// The part says itself what was refused, while somebody types.
			status = http.StatusOK
		}
	}
	var body bytes.Buffer
	if err := sc.ExecuteTemplate(&body, block, v); err != nil {
		return fmt.Errorf("rendering the page %q: %w", name, err)
	}
	setHeaders(w.Header())
	w.WriteHeader(status)
	// A client that is gone cannot be told.
	_, _ = w.Write(body.Bytes())
	return nil
}

// onlyLive says whether htmx asks for the live part of a page alone.
func onlyLive(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Target") == live
}

func setHeaders(header http.Header) {
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", csp)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Cookie, HX-Request, HX-Target")
}

// Message is the page for what is not there and what went wrong.
type Message struct {
	Base
	Text string
	// RequestID is by what the log tells more; empty where there is no more.
	RequestID string
}

// showError answers with a page for the problem of an error, which is left for
// the access log.
func (p *pages) showError(w http.ResponseWriter, r *http.Request, err error) {
	problem, exchange := respond.ProblemOf(err), respond.ExchangeOf(r.Context())
	if problem.Status != http.StatusNotFound {
		exchange.Err = err
	}
	if exchange.Started() {
		panic(http.ErrAbortHandler)
	}
	page := &Message{Base: p.bareBase(r, titleOf(problem.Status)), Text: problem.Detail}
	for _, f := range problem.Fields {
		page.Problems = append(page.Problems, Fault(f))
	}
	if problem.Status >= http.StatusInternalServerError {
		page.RequestID = exchange.RequestID
	}
	retryAfter(w, problem)
	// A file that failed before its first byte is no file.
	w.Header().Del("Content-Disposition")
	if err := p.show(w, r, problem.Status, "message", page); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
	}
}

func retryAfter(w http.ResponseWriter, problem *respond.Problem) {
	if problem.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((problem.RetryAfter+time.Second-1)/time.Second)))
	}
}

func titleOf(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "There is nothing here"
	case status == http.StatusForbidden:
		return "You may not do this"
	case status == http.StatusConflict:
		return "That exists already"
	case status < http.StatusInternalServerError:
		return "The request was refused"
	case status == http.StatusServiceUnavailable:
		return "Not possible just now"
	}
	return "The page could not be made"
}

func (p *pages) notFound(http.ResponseWriter, *http.Request) error {
	return &respond.Problem{Status: http.StatusNotFound, Code: "no_such_path",
		Detail: "The address may be cut off, or what was here may be gone."}
}

// refusal is what a form says of input that was refused, and with which status;
// ok is false for errors that are not about input.
func refusal(err error) (status int, text string, ok bool) {
	problem := respond.ProblemOf(err)
	switch {
	case len(problem.Fields) > 0:
		f := problem.Fields[0]
		return problem.Status, fieldName(f.Field) + ": " + f.Problem, true
	case problem.Status == http.StatusUnauthorized, problem.Status == http.StatusTooManyRequests, problem.Status == http.StatusConflict:
		return problem.Status, problem.Detail, true
	}
	return 0, "", false
}
