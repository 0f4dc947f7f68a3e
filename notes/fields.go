package notes

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds of what is kept of one note. Lengths are in bytes of UTF-8.
const (
	maxID       = 256
	maxName     = 512
	maxUser     = 1024
	maxPath     = 4096
	maxSummary  = 64 << 10
	maxRawTime  = 64
	maxKey      = 128
	maxReceipts = 32 << 10
	maxFiles    = 100_000

	maxMembers           = 10_000
	maxDetail            = 256 << 10
	maxDetailDepth       = 32
	maxConversationDepth = 64
)

// reader turns JSON values into fields of the model and says in findings what
// it could not turn.
type reader struct {
	s scanner
	report
	// rest holds the members that no field took; each object owns the tail from
	// its restFrom on.
	rest []member
}

// member is a name and a value of a JSON object.
type member struct {
	key   string
	value value
}

// object is the state of one JSON object being read.
type object struct {
	at       place
	restFrom int
}

// keep puts a member aside for Detail.
func (r *reader) keep(o *object, field string, v value) {
	if len(r.rest) == maxMembers {
		r.addOnce(detailDropped, o.at, field, "more than %d members have no field; this one and later ones were left out.", maxMembers)
		return
	}
	r.rest = append(r.rest, member{field, v})
}

// mistyped records that a value has a kind that its field can't take, and
// keeps it in Detail.
func (r *reader) mistyped(o *object, field string, v value, wanted string) {
	r.add(fieldMistyped, o.at, field, "%s is %s, not %s; kept in detail only.", field, article(v.kind), wanted)
	r.keep(o, field, v)
}

func article(k kind) string {
	if k == kindArray || k == kindObject {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// text reads a string field of at most limit bytes; numbers and booleans are
// taken by their text.
func (r *reader) text(o *object, field string, v value, limit int) string {
	text := ""
	switch v.kind {
	case kindNull:
		return ""
	case kindString:
		text = r.decode(o, field, v)
	case kindNumber, kindBool:
		text = string(v.raw)
		r.add(valueCoerced, o.at, field, "%s is %s; its text was taken.", field, article(v.kind))
	default:
		r.mistyped(o, field, v, "a string")
		return ""
	}
	return r.bound(o, field, text, limit)
}

func (r *reader) decode(o *object, field string, v value) string {
	text, repaired := decodeString(v)
	if repaired {
		r.add(textRepaired, o.at, field, "%s holds U+0000 or text that is not Unicode; U+FFFD stands in its place.", field)
	}
	return text
}

func (r *reader) bound(o *object, field, text string, limit int) string {
	short, cut := truncate(text, limit)
	if cut {
		r.add(textTruncated, o.at, field, "%s has %d bytes; the first %d are kept.", field, len(text), len(short))
	}
	return short
}

// id reads an identifier; one that is too long is replaced by its hash, since
// a cut one could meet another's head.
func (r *reader) id(o *object, field string, v value) string {
	id := r.text(o, field, v, MaxBody)
	if len(id) <= maxID {
		return id
	}
	hash := hashID([]byte(id))
	r.add(idShortened, o.at, field, "%s has %d bytes; %s stands for it.", field, len(id), hash)
	return hash
}

// number returns the text of a number field, also of one written as a string;
// ok is false for null and for what is no number, which is then recorded.
func (r *reader) number(o *object, field string, v value, invalid code) (raw []byte, ok bool) {
	switch v.kind {
	case kindNull:
		return nil, false
	case kindNumber:
		if validNumber(v.raw) {
			return v.raw, true
		}
	case kindString:
		raw = bytes.TrimSpace(v.raw[1 : len(v.raw)-1])
		if validNumber(raw) {
			r.add(valueCoerced, o.at, field, "%s is a string; its number was taken.", field)
			return raw, true
		}
	default:
		r.mistyped(o, field, v, "a number")
		return nil, false
	}
	r.add(invalid, o.at, field, "%s is not a number; kept in detail only.", field)
	r.keep(o, field, v)
	return nil, false
}

// counter reads a non-negative integer.
func (r *reader) counter(o *object, field string, v value) *int64 {
	raw, ok := r.number(o, field, v, numberInvalid)
	if !ok {
		return nil
	}
	n, ok := wholeNumber(raw)
	if !ok {
		r.add(numberInvalid, o.at, field, "%s is negative, has a fraction or is too large; kept in detail only.", field)
		r.keep(o, field, v)
		return nil
	}
	return &n
}

// cost reads an amount of money as exact decimal text.
func (r *reader) cost(o *object, field string, v value) string {
	raw, ok := r.number(o, field, v, costInvalid)
	if !ok {
		return ""
	}
	cost, rounded, ok := plainCost(raw)
	if !ok {
		r.add(costInvalid, o.at, field, "%s is negative or has more than %d digits before the point; kept in detail only.",
			field, costWholeDigits)
		r.keep(o, field, v)
	}
	if rounded {
		r.addOnce(costRounded, o.at, field, "%s has more than %d digits after the point; rounded, here and in later receipts.",
			field, costFractionDigits)
	}
	return cost
}

// duration reads a non-negative number of seconds with a fraction.
func (r *reader) duration(o *object, field string, v value) *float64 {
	raw, ok := r.number(o, field, v, numberInvalid)
	if !ok {
		return nil
	}
	f, ok := seconds(raw)
	if !ok {
		r.add(numberInvalid, o.at, field, "%s is negative or too large; kept in detail only.", field)
		r.keep(o, field, v)
		return nil
	}
	return &f
}

// time reads an RFC 3339 time into UTC and returns the text behind it.
func (r *reader) time(o *object, field string, v value) (t time.Time, raw string) {
	raw = r.text(o, field, v, maxRawTime)
	if raw == "" {
		return time.Time{}, ""
	}
	t, err := parseTime(raw)
	if err != nil {
		r.add(timestampInvalid, o.at, field, "%s is not an RFC 3339 time with an offset; only its text is kept.", field)
		return time.Time{}, raw
	}
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		r.add(timestampOutOfRange, o.at, field, "%s lies outside the years 1970 to 9999; only its text is kept.", field)
		return time.Time{}, raw
	}
	return t, raw
}

// parseTime takes what RFC 3339 allows beyond Go's layout: lower-case letters
// and a space between date and time (its section 5.6).
func parseTime(raw string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, raw)
	if err == nil || len(raw) < len("2006-01-02T") {
		return t, err
	}
	upper := strings.ToUpper(raw)
	if upper[10] == ' ' {
		upper = upper[:10] + "T" + upper[11:]
	}
	return time.Parse(time.RFC3339Nano, upper)
}

// conversation returns a JSON array and its length.
func (r *reader) conversation(o *object, field string, v value) (raw json.RawMessage, turns int) {
	switch {
	case v.kind == kindNull:
		return nil, 0
	case v.kind != kindArray:
		r.mistyped(o, field, v, "an array")
		return nil, 0
	}
	turns = countElements(v)
	if v.depth > maxConversationDepth {
		r.add(conversationDropped, o.at, field, "%s is nested %d levels deep; only its length is kept.", field, v.depth)
		return nil, turns
	}
	if v.odd || !utf8.Valid(v.raw) {
		return appendSafe(make([]byte, 0, len(v.raw)), v.raw), turns
	}
	return json.RawMessage(v.raw), turns
}

func countElements(v value) int {
	n := 0
	s := scanner{text: v.raw}
	// The text has been scanned once, so that no error can come.
	_ = s.elements(func(int) error {
		n++
		_, err := s.value()
		return err
	})
	return n
}

// detail makes a JSON object of the members that no field took since o began:
// sorted by name, the last of equal names, safe for PostgreSQL's jsonb.
func (r *reader) detail(o *object) json.RawMessage {
	members := r.rest[o.restFrom:]
	r.rest = r.rest[:o.restFrom]
	if len(members) == 0 {
		return nil
	}
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	out := append(make([]byte, 0, 256), '{')
	for i, m := range members {
		if i+1 < len(members) && members[i+1].key == m.key {
			r.add(duplicateKey, o.at, m.key, "a member name stands twice; the last value is kept.")
			continue
		}
		out = r.appendMember(out, o, m)
	}
	if len(out) == 1 {
		return nil
	}
	return append(out, '}')
}

// appendMember appends one member of a Detail object if it fits.
func (r *reader) appendMember(out []byte, o *object, m member) []byte {
	before := len(out)
	if len(m.key)+len(m.value.raw) <= maxDetail && m.value.depth <= maxDetailDepth {
		if before > 1 {
			out = append(out, ',')
		}
		out = appendQuoted(out, m.key)
		out = append(out, ':')
		out = appendSafe(out, m.value.raw)
		// One byte is left for the closing bracket.
		if len(out) < maxDetail {
			return out
		}
		out = out[:before]
	}
	r.add(detailDropped, o.at, m.key, "a member of %d bytes, nested %d levels deep, was left out of detail.",
		len(m.value.raw), m.value.depth)
	return out
}
