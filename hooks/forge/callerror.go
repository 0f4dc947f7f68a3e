package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Why a forge's API did not do what was asked. Each is the Err of a *CallError.
var (
	// ErrUnreachable marks a forge that gave no answer; it may have done what was
	// asked all the same.
	ErrUnreachable = errors.New("the forge cannot be reached")
	// ErrFailing marks a forge that says that the fault is its own.
	ErrFailing = errors.New("the forge fails")
	// ErrResting marks a call that was not made, because the host failed often in
	// a row a moment ago.
	ErrResting = errors.New("the forge failed repeatedly and is left alone for a moment")
	// ErrLimited marks a call beyond the forge's limits; RetryAt says when they end.
	ErrLimited = errors.New("the forge's limit of calls is reached")
	// ErrToken marks a token that the forge does not know, or no longer.
	ErrToken = errors.New("the forge does not accept the token")
	// ErrForbidden marks a call that the token's scopes or owner may not make.
	ErrForbidden = errors.New("the token may not do this at the forge")
	// ErrMissing marks what is not there; forges say so too of what is hidden from
	// the token.
	ErrMissing = errors.New("the forge has no such thing, or hides it from the token")
	// ErrRejected marks a request that the forge will not take however often.
	ErrRejected = errors.New("the forge rejects the request")
	// ErrAnswer marks an answer that is not what the forge documents.
	ErrAnswer = errors.New("the forge's answer cannot be used")
	// ErrAddress marks an address that must not be connected to.
	ErrAddress = errors.New("the forge's address is not allowed")
)

// CallError says why a call of a forge's API failed.
type CallError struct {
	// Err is one of the errors above.
	Err error
	// Status is the HTTP status of the answer, 0 if there was none.
	Status int
	// Detail is the forge's words or our own: one line without secrets and control
	// characters.
	Detail string
	// RetryAt is when the forge takes calls again, for ErrLimited.
	RetryAt time.Time
}

func (e *CallError) Error() string {
	text := e.Err.Error()
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if !e.RetryAt.IsZero() {
		text += ", until " + e.RetryAt.UTC().Format(time.RFC3339)
	}
	return text
}

// Unwrap returns Err.
func (e *CallError) Unwrap() error { return e.Err }

// maxDetail bounds the forge's words, in bytes.
const maxDetail = 300

// kindOf sorts the answers that are no success. Gitea answers 500 to the status
// of a commit that it does not have.
func kindOf(status int, detail string) error {
	switch {
	case status == http.StatusInternalServerError && strings.Contains(detail, "object does not exist"):
		return ErrMissing
	case status == http.StatusUnauthorized:
		return ErrToken
	case status == http.StatusForbidden:
		return ErrForbidden
	case status == http.StatusNotFound, status == http.StatusGone:
		return ErrMissing
	case status == http.StatusTooManyRequests:
		return ErrLimited
	case status == http.StatusRequestTimeout, status >= 500:
		return ErrFailing
	case status >= 400:
		return ErrRejected
	}
	return ErrAnswer
}

// words are the members in which forges say what is wrong.
type words struct {
	Message     json.RawMessage `json:"message"`
	Error       json.RawMessage `json:"error"`
	Description string          `json:"error_description"`
	Detail      string          `json:"detail"`
	Errors      json.RawMessage `json:"errors"`
}

// detailOf finds the forge's words in the body of an answer and makes one line
// of them, without the token.
func detailOf(body []byte, token Secret) string {
	if deeperThan(body, maxDepth) {
		return ""
	}
	text := strings.Join(textsOf(body), "; ")
	if token != "" {
		text = strings.ReplaceAll(text, string(token), token.String())
	}
	return cleanText(strings.Join(strings.Fields(text), " "), maxDetail)
}

// textsOf reads a string, an object with words, or a list of them.
func textsOf(raw json.RawMessage) []string {
	var text string
	var list []json.RawMessage
	var w words
	switch {
	case len(raw) == 0:
		return nil
	case json.Unmarshal(raw, &text) == nil:
		return nonEmpty(text)
	case json.Unmarshal(raw, &list) == nil:
		var all []string
		for _, element := range list {
			all = append(all, textsOf(element)...)
		}
		return all
	case json.Unmarshal(raw, &w) != nil:
		return nil
	}
	all := append(textsOf(w.Message), textsOf(w.Error)...)
	all = append(all, nonEmpty(w.Description, w.Detail)...)
	all = append(all, textsOf(w.Errors)...)
	if all == nil {
		return fieldTexts(raw)
	}
	return all
}

// fieldTexts reads what GitLab says about the fields of a request:
// {"url": ["is blocked"]}.
func fieldTexts(raw json.RawMessage) []string {
	var fields map[string][]string
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	var all []string
	for name, texts := range fields {
		all = append(all, name+" "+strings.Join(texts, ", "))
	}
	return all
}

func nonEmpty(texts ...string) []string {
	var all []string
	for _, text := range texts {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}
