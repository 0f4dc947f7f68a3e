package forge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	maxHeader   = 4096
	maxID       = 200
	maxEvent    = 100
	maxFullName = 512
)

// request is one HTTP request as the format's methods see it.
type request struct {
	forge  Name
	header http.Header
	body   []byte
}

// one returns a header's only value, or "" if it was not sent.
func (r request) one(name string) (string, error) {
	values := r.header.Values(name)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", headerError(name, "sent more than once")
	case len(values[0]) > maxHeader:
		return "", headerError(name, "too long")
	}
	return strings.TrimSpace(values[0]), nil
}

// event returns the event's name, on which all of the headers that were sent
// must agree. names[0] is the one that is missed.
func (r request) event(names ...string) (string, error) {
	event := ""
	for _, name := range names {
		value, err := r.one(name)
		if err != nil {
			return "", err
		}
		value = cleanText(value, maxEvent)
		if value != "" && event != "" && value != event {
			return "", headerError(name, "contradicts "+names[0])
		}
		if value != "" {
			event = value
		}
	}
	if event == "" {
		return "", headerError(names[0], "missing")
	}
	return event, nil
}

// id returns the delivery id from the first header that was sent, else a
// derived one. timestamp is the signed timestamp, if the format has one.
func (r request) id(timestamp string, names ...string) (string, error) {
	for _, name := range names {
		value, err := r.one(name)
		if err != nil {
			return "", err
		}
		if value == "" {
			continue
		}
		if len(value) > maxID || !printableASCII(value) {
			return "", headerError(name, "not an id of at most 200 printable ASCII characters")
		}
		return value, nil
	}
	sum := sha256.New()
	sum.Write([]byte(string(r.forge) + "\n" + timestamp + "\n"))
	sum.Write(r.body)
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// payload returns the JSON of the body: the body itself or, for the forges
// that can be told to send a form, the form's only field "payload".
func (r request) payload(formAllowed bool) ([]byte, error) {
	contentType, err := r.one("Content-Type")
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		return r.body, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, headerError("Content-Type", "not a media type")
	case media == "application/json":
		return r.body, nil
	case media == "application/x-www-form-urlencoded" && formAllowed:
		return formPayload(r.body)
	}
	return nil, headerError("Content-Type", "not application/json")
}

// formPayload does not use url.ParseQuery, whose memory grows with the number
// of fields that a hostile form names.
func formPayload(body []byte) ([]byte, error) {
	var payload []byte
	found := false
	for rest := body; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte("&"))
		value, ok := bytes.CutPrefix(pair, []byte("payload="))
		if !ok {
			continue
		}
		if found {
			return nil, bodyError("payload", "sent more than once")
		}
		text, err := url.QueryUnescape(string(value))
		if err != nil {
			return nil, bodyError("payload", "not URL-encoded")
		}
		payload, found = []byte(text), true
	}
	if !found {
		return nil, bodyError("payload", "missing from the form")
	}
	return payload, nil
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cleanText drops what a terminal, a log or PostgreSQL must not see: invalid
// UTF-8, control and formatting characters. The result has at most limit bytes.
func cleanText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// claimedTime turns a forge's claim into UTC and drops what no push can have.
func claimedTime(t time.Time) time.Time {
	if t.Year() < 2000 || t.Year() > 2200 {
		return time.Time{}
	}
	return t.UTC()
}
