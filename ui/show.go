package ui

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// messagePage is what templates/message.html shows.
type messagePage struct {
	frame
	Text string
}

// show renders a page before the first header is written.
func (p *pages) show(w http.ResponseWriter, status int, name string, page any) error {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, page); err != nil {
		return fmt.Errorf("rendering %s: %w", name, err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "style-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"}, "; "))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone cannot be told.
	_, _ = w.Write(body.Bytes())
	return nil
}

func (p *pages) notFound(w http.ResponseWriter, r *http.Request) {
	p.showError(w, r, store.ErrNotFound)
}

// showError answers with the problem of an error; its text stays in the log.
func (p *pages) showError(w http.ResponseWriter, r *http.Request, err error) {
	problem := respond.ProblemOf(err)
	respond.ExchangeOf(r.Context()).Err = err
	title, text := http.StatusText(problem.Status), problem.Detail
	if errors.Is(err, store.ErrNotFound) {
		respond.ExchangeOf(r.Context()).Err = nil
		title, text = "There is nothing here", "The address may be cut off. Links to decisions end in an id of 36 characters."
	}
	retryAfter(w, problem)
	if err := p.show(w, problem.Status, "message.html", messagePage{p.frame(r, title), text}); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
	}
}

func retryAfter(w http.ResponseWriter, problem *respond.Problem) {
	if problem.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((problem.RetryAfter+time.Second-1)/time.Second)))
	}
}

// refusal is what a form says of input that was refused, and with which status;
// ok is false for errors that are not about input.
func refusal(err error) (status int, text string, ok bool) {
	problem := respond.ProblemOf(err)
	switch {
	case len(problem.Fields) > 0:
		f := problem.Fields[0]
		return problem.Status, strings.ReplaceAll(f.Field, "_", " ") + ": " + f.Problem, true
	case problem.Status == http.StatusUnauthorized, problem.Status == http.StatusTooManyRequests, problem.Status == http.StatusConflict:
		return problem.Status, problem.Detail, true
	}
	return 0, "", false
}
