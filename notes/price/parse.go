package price

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

//go:embed models.json
var builtin []byte

// MaxBook is the size in bytes above which Parse refuses a book.
const MaxBook = 16 << 20

// unit is the one unit that a book may name.
const unit = "USD per 1,000,000 tokens"

// Builtin returns the book that this program was built with: the models.dev
// catalogue as of the date that its entries name as their source.
func Builtin() (*Book, error) {
	return Parse(builtin)
}

// file is the JSON form of a book; see Parse.
type file struct {
	Source  string            `json:"source"`
	AsOf    string            `json:"as_of"`
	Unit    string            `json:"unit"`
	Remarks string            `json:"remarks"`
	Aliases map[string]string `json:"aliases"`
	Entries []json.RawMessage `json:"entries"`
}

// fileEntry holds prices as they are written, as a JSON number or string.
type fileEntry struct {
	Model      string          `json:"model"`
	From       string          `json:"from"`
	Until      string          `json:"until"`
	Input      json.RawMessage `json:"input"`
	Output     json.RawMessage `json:"output"`
	CacheRead  json.RawMessage `json:"cache_read"`
	CacheWrite json.RawMessage `json:"cache_write"`
}

// Parse reads a book in JSON:
//
//	{"source": "where from", "as_of": "2026-08-22", "unit": "USD per 1,000,000 tokens",
//	 "aliases": {"name as written": "name in the book"},
//	 "entries": [{"model": "name", "from": "2026-01-01", "until": "2026-07-01",
//	              "input": 1.25, "output": "10", "cache_read": 0.125, "cache_write": 0}]}
//
// Only model and one price are needed in an entry; from is the first day (or
// RFC 3339 moment) of its validity and until the first behind it, in UTC. Unknown
// members are errors. An error names the entry and the field.
func Parse(data []byte) (*Book, error) {
	if len(data) > MaxBook {
		return nil, fmt.Errorf("reading price book: it has %d bytes, more than %d", len(data), MaxBook)
	}
	var f file
	if err := strictly(data, &f); err != nil {
		return nil, fmt.Errorf("reading price book: %w", err)
	}
	if f.Unit != unit && f.Unit != "" {
		return nil, fmt.Errorf("reading price book: unit: %.60q is not %q", f.Unit, unit)
	}
	if len(f.Entries) > maxEntries {
		return nil, fmt.Errorf("reading price book: entries: %d are more than %d", len(f.Entries), maxEntries)
	}
	entries := make([]Entry, len(f.Entries))
	for i, raw := range f.Entries {
		var err error
		if entries[i], err = readEntry(raw); err != nil {
			return nil, fmt.Errorf("reading price book: entry %d (%.60q): %w", i+1, entries[i].Model, err)
		}
	}
	book, err := New(f.source(), entries, f.Aliases)
	if err == nil {
		book.edition = f.edition(data)
	}
	return book, err
}

// reading is the generation of the rules by which books are read and models are
// found in them; a greater one makes another edition of every book.
const reading = 1

func (f *file) edition(data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%s %d %x", f.AsOf, reading, sum[:8])
}

func (f *file) source() string {
	if f.AsOf == "" {
		return f.Source
	}
	return f.Source + ", as of " + f.AsOf
}

// readEntry returns as much of the entry as it could read beside an error.
func readEntry(raw json.RawMessage) (Entry, error) {
	var f fileEntry
	if err := strictly(raw, &f); err != nil {
		return Entry{Model: f.Model}, err
	}
	e := Entry{Model: f.Model}
	for _, field := range []struct {
		name, text string
		into       *time.Time
	}{{"from", f.From, &e.From}, {"until", f.Until, &e.Until}} {
		at, err := ParseTime(field.text)
		if err != nil {
			return e, fmt.Errorf("%s: %w", field.name, err)
		}
		*field.into = at
	}
	for _, field := range []struct {
		name string
		raw  json.RawMessage
		into **Rate
	}{
		{"input", f.Input, &e.Input}, {"output", f.Output, &e.Output},
		{"cache_read", f.CacheRead, &e.CacheRead}, {"cache_write", f.CacheWrite, &e.CacheWrite},
	} {
		rate, err := readRate(field.raw)
		if err != nil {
			return e, fmt.Errorf("%s: %w", field.name, err)
		}
		*field.into = rate
	}
	return e, nil
}

// ParseTime reads a moment as entries have it: a date like 2026-08-22, which is its
// beginning in UTC, or an RFC 3339 time. Empty text is the zero time.
func ParseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil && !at.IsZero() {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is neither a date like 2026-08-22 nor an RFC 3339 time", text)
}

func readRate(raw json.RawMessage) (*Rate, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
	}
	rate, err := ParseRate(text)
	if err != nil {
		return nil, err
	}
	return &rate, nil
}

// strictly decodes one JSON value whose members are all known.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more text behind the JSON value")
	}
	return nil
}
