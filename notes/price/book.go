// Package price turns tokens into dollars.
//
// It owns the dated price book (Book): what a token of each kind cost at a
// moment, per model, with an organisation's own entries before the built-in
// ones, and the many spellings of one model's name. It does no I/O, holds no
// state but the embedded book, and reads no clock.
//
// Promises: amounts are exact decimals, never floats; a cost names the entry
// that it was computed from; what the book does not know is not computed rather
// than guessed, and 0 is a price while an absent price is none. Books are
// immutable: any number of goroutines may use one.
package price

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Entry is what a model costs during a period. A nil rate is not known: tokens
// of that kind make a cost impossible to compute. What the rates point at is
// shared with the book and must not be changed.
type Entry struct {
	// Model is the name as the book spells it, 1 to 200 bytes.
	Model string
	// From is the first moment at which the entry holds and Until the first at
	// which it no longer does; zero is unbounded.
	From, Until time.Time

	Input, Output, CacheRead, CacheWrite *Rate

	// Source says where the book has it from: "models.dev catalogue, as of
	// 2026-08-22". The book fills in its own where it is empty.
	Source string
}

// holds reports whether the entry is valid at a moment. At no known moment only
// an entry without bounds is.
func (e *Entry) holds(at time.Time) bool {
	if at.IsZero() {
		return e.From.IsZero() && e.Until.IsZero()
	}
	return !at.Before(e.From) && (e.Until.IsZero() || at.Before(e.Until))
}

// Book knows prices by model and time.
type Book struct {
	// layers are searched in order: the organisation's before the built-in one.
	layers []layer
	// aliases map the key of a spelling to the spelling that is looked up.
	aliases map[string]string
	edition string
}

// layer holds the entries of one source by the key of their model, ascending
// in time.
type layer map[string][]Entry

const (
	maxEntries = 100_000
	maxName    = 200
)

// New makes a book. Aliases map a model's name as clients write it to its name
// in this book or in the one that this one overrides. The error names the
// entry and the field that cannot be.
func New(source string, entries []Entry, aliases map[string]string) (*Book, error) {
	if len(entries)+len(aliases) > maxEntries {
		return nil, fmt.Errorf("making price book: %d entries and aliases are more than %d",
			len(entries)+len(aliases), maxEntries)
	}
	own := layer{}
	for i, e := range entries {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("making price book: entry %d (%.60q): %w", i+1, e.Model, err)
		}
		e.Source = cmp.Or(e.Source, source)
		own[key(e.Model)] = append(own[key(e.Model)], e)
	}
	if err := own.order(); err != nil {
		return nil, fmt.Errorf("making price book: %w", err)
	}
	b := &Book{layers: []layer{own}, aliases: map[string]string{}}
	for _, from := range slices.Sorted(maps.Keys(aliases)) {
		if err := b.alias(from, aliases[from]); err != nil {
			return nil, fmt.Errorf("making price book: alias %.60q: %w", from, err)
		}
	}
	return b, nil
}

func (e *Entry) check() error {
	if err := checkName(e.Model); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if !e.From.IsZero() && !e.Until.IsZero() && !e.Until.After(e.From) {
		return fmt.Errorf("until: %s is not after from, %s", moment(e.Until), moment(e.From))
	}
	priced := false
	for _, k := range e.rates() {
		if k.rate == nil {
			continue
		}
		if priced = true; *k.rate < 0 || *k.rate > maxRate {
			return fmt.Errorf("%s: %d is not between 0 and %d", k.name, *k.rate, maxRate)
		}
	}
	if !priced {
		return fmt.Errorf("input: an entry needs at least one price")
	}
	return nil
}

type namedRate struct {
	name string
	rate *Rate
}

func (e *Entry) rates() [4]namedRate {
	return [...]namedRate{
		{"input", e.Input}, {"output", e.Output}, {"cache_read", e.CacheRead}, {"cache_write", e.CacheWrite},
	}
}

func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("the name has %d bytes, more than %d", len(name), maxName)
	case !utf8.ValidString(name) || slices.ContainsFunc([]rune(name), func(r rune) bool { return r < ' ' }):
		return fmt.Errorf("the name %.60q is not plain text", name)
	case key(name) == "":
		return fmt.Errorf("the name is empty")
	}
	return nil
}

// order sorts entries by time and refuses two prices for one moment.
func (l layer) order() error {
	for _, k := range slices.Sorted(maps.Keys(l)) {
		entries := l[k]
		slices.SortStableFunc(entries, func(a, b Entry) int { return a.From.Compare(b.From) })
		for i := 1; i < len(entries); i++ {
			before, e := &entries[i-1], &entries[i]
			if before.Until.IsZero() || before.Until.After(e.From) {
				return fmt.Errorf("entry %q: from: %s is inside of the period of entry %q from %s until %s",
					e.Model, moment(e.From), before.Model, moment(before.From), moment(before.Until))
			}
		}
	}
	return nil
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "ever"
	}
	return t.UTC().Format(time.RFC3339)
}

func (b *Book) alias(from, to string) error {
	if err := cmp.Or(checkName(from), checkName(to)); err != nil {
		return err
	}
	if other, taken := b.aliases[key(from)]; taken && other != to {
		return fmt.Errorf("stands for %q and for %q", other, to)
	}
	b.aliases[key(from)] = to
	return nil
}

// With returns a book in which the entries and aliases of own win over those
// of b wherever they hold. Neither book changes.
func (b *Book) With(own *Book) *Book {
	aliases := maps.Clone(b.aliases)
	maps.Copy(aliases, own.aliases)
	return &Book{layers: slices.Concat(own.layers, b.layers), aliases: aliases, edition: b.edition}
}

// Edition names what a book that was read by Parse says: its date and a digest
// of it, so that a later book has a greater edition. A book that overrides it has
// the same. It is empty for a book of New.
func (b *Book) Edition() string { return b.edition }

// Aliases returns a copy of the aliases, by the form in which names are compared.
func (b *Book) Aliases() map[string]string { return maps.Clone(b.aliases) }

// Entry returns what the model, as a client spells it, cost at a moment. A zero
// moment is answered by entries without bounds alone.
//
// Case, quotes, dots for hyphens, a vendor in front ("anthropic/", "openai:",
// "us.anthropic."), Bedrock's version and the size of the context ("[1m]") make
// no difference; a release without an entry of its own costs what the name
// without date costs. A model behind a local prefix ("ollama:", "lmstudio/")
// costs nothing, unless the book has an entry by that full name.
func (b *Book) Entry(model string, at time.Time) (Entry, bool) {
	for _, e := range b.candidates(model) {
		if e.holds(at) {
			return *e, true
		}
	}
	return Entry{}, false
}

// candidates are the entries that may tell what a model costs, the ones that
// win first.
func (b *Book) candidates(model string) []*Entry {
	if len(model) > maxName {
		return nil
	}
	var found []*Entry
	spellings := b.spellings(model)
	for _, l := range b.layers {
		for _, spelling := range spellings {
			for i := range l[spelling] {
				found = append(found, &l[spelling][i])
			}
		}
	}
	if local, ok := localEntry(model); ok {
		found = append(found, &local)
	}
	return found
}

// Entries returns a copy of all entries, overrides first, each by name and time.
func (b *Book) Entries() []Entry {
	var all []Entry
	for _, l := range b.layers {
		for _, k := range slices.Sorted(maps.Keys(l)) {
			all = append(all, l[k]...)
		}
	}
	return all
}

// Rate is a price in millionths of a dollar per million tokens, which is
// picodollars per token.
type Rate int64

// maxRate is one million dollars per million tokens.
const maxRate Rate = 1_000_000 * 1_000_000

// rateDigits is how many digits behind the point a rate keeps.
const rateDigits = 6

// ParseRate reads dollars per million tokens: a plain decimal like "0.003625",
// not negative, at most 1,000,000, with at most 6 digits behind the point.
func ParseRate(text string) (Rate, error) {
	var whole, fraction int64
	digits, point := 0, -1
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '.' && point < 0 && i > 0:
			point = i
		case c < '0' || c > '9':
			return 0, fmt.Errorf("%.40q is not a plain decimal", text)
		case point < 0:
			whole = min(whole*10+int64(c-'0'), int64(maxRate))
		default:
			digits++
			if digits > rateDigits {
				return 0, fmt.Errorf("%.40q has more than %d digits behind the point", text, rateDigits)
			}
			fraction = fraction*10 + int64(c-'0')
		}
	}
	if text == "" || point == len(text)-1 {
		return 0, fmt.Errorf("%.40q is not a plain decimal", text)
	}
	for ; digits < rateDigits; digits++ {
		fraction *= 10
	}
	if whole > 1_000_000 || whole == 1_000_000 && fraction > 0 {
		return 0, fmt.Errorf("%.40q is more than 1000000", text)
	}
	return Rate(whole*1_000_000 + fraction), nil
}

// String is the rate as ParseRate reads it, without zeros at the end.
func (r Rate) String() string {
	return decimal(strconv.FormatInt(int64(r), 10), rateDigits)
}
