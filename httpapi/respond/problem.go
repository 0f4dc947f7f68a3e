// Package respond turns what handlers return into HTTP answers.
//
// It owns problem documents (RFC 9457), the one table from errors to them,
// request ids, the access log, recovery from panics and the headers that every
// answer carries.
//
// Promises: an answer is rendered before its first header is sent; text of
// internal errors is logged with the request's id and never sent; neither
// bodies nor text searched for nor keys are logged.
package respond

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/blameprompt/enterprise/store"
)

// Field names a parameter, header or part of a body that was refused.
type Field struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

// Problem is an error that is meant for the client.
type Problem struct {
	Status int
	// Code is a stable word for programs.
	Code   string
	Detail string
	Fields []Field
	// RetryAfter, if positive, tells when to try again.
	RetryAfter time.Duration
	// Challenge is the WWW-Authenticate header, if any.
	Challenge string
}

func (p *Problem) Error() string {
	text := p.Code
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, f := range p.Fields {
		text += "; " + f.Field + ": " + f.Problem
	}
	return text
}

// Invalid is the problem of refused input.
func Invalid(fields ...Field) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "invalid_input", Detail: "The request was refused; errors names what to change.",
		Fields: fields}
}

// InvalidField is Invalid for one field.
func InvalidField(field, problem string) *Problem { return Invalid(Field{field, problem}) }

// statusOf is the one table from errors to problems. Order matters: the first
// that matches answers.
var statusOf = []struct {
	err     error
	problem Problem
}{
	{store.ErrNotFound, Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such thing in your organisation."}},
	{store.ErrConflict, Problem{Status: http.StatusConflict, Code: "exists", Detail: "One of this name exists already."}},
	{store.ErrLastAdmin, Problem{Status: http.StatusConflict, Code: "last_admin",
		Detail: "This is the last admin of the organisation. Make somebody else one first."}},
	{store.ErrMoved, Problem{Status: http.StatusServiceUnavailable, Code: "busy",
		Detail: "Somebody else changed the same thing. Try again.", RetryAfter: time.Second}},
	{store.ErrUnavailable, Problem{Status: http.StatusServiceUnavailable, Code: "database_unavailable",
		Detail: "The database cannot be reached. Try again.", RetryAfter: 5 * time.Second}},
	{store.ErrNoSealKey, Problem{Status: http.StatusServiceUnavailable, Code: "no_seal_key",
		Detail: "This server has no key to encrypt secrets with, so it stores none."}},
	{context.DeadlineExceeded, Problem{Status: http.StatusServiceUnavailable, Code: "timeout",
		Detail: "The request took too long. Ask for less, such as a shorter period.", RetryAfter: 5 * time.Second}},
	{context.Canceled, Problem{Status: statusClientClosed, Code: "client_closed"}},
}

// statusClientClosed is nginx's 499: nobody reads the answer, but the log tells.
const statusClientClosed = 499

// ProblemOf finds the problem for an error, as the API and the pages show it.
// Errors that are not in the table are faults of the server.
func ProblemOf(err error) *Problem {
	var problem *Problem
	var invalid *store.InvalidError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &invalid):
		return InvalidField(invalid.Field, invalid.Problem)
	case errors.As(err, &tooLarge):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Fields: []Field{{"body", "at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}}}
	}
	for _, row := range statusOf {
		if errors.Is(err, row.err) {
			return &row.problem
		}
	}
	return &Problem{Status: http.StatusInternalServerError, Code: "internal",
		Detail: "The server failed. Its log tells why, under this request_id."}
}

// document is a problem as RFC 9457 writes it.
type document struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail,omitempty"`
	RequestID string  `json:"request_id"`
	Errors    []Field `json:"errors,omitempty"`
}

// Error answers with the problem of err and leaves err for the access log.
// After the first byte of an answer it breaks the connection off instead, so
// that half an answer cannot pass for a whole one.
func Error(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	x := ExchangeOf(r.Context())
	x.Err = err
	if x.Started() {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Challenge != "" {
		h.Set("WWW-Authenticate", p.Challenge)
	}
	title := http.StatusText(p.Status)
	if title == "" {
		title = "Client Closed Request"
	}
	write(w, p.Status, "application/problem+json", document{Type: "about:blank", Title: title, Status: p.Status,
		Code: p.Code, Detail: p.Detail, RequestID: x.RequestID, Errors: p.Fields})
}
