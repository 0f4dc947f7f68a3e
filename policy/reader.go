package policy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blameprompt/enterprise/policy/push"
)

// The bounds of a policy document.
const (
	maxDocument = 256 << 10
	maxList     = 500
	maxText     = 200
)

// object reads the members of one JSON object. Every method that takes a member
// adds what is wrong with it to the problems and returns a usable value, so that
// one reading finds all problems.
type object struct {
	path     string
	names    []string
	members  map[string]json.RawMessage
	taken    []string
	problems *[]Problem
	// broken: the text is no JSON object.
	broken bool
}

// readObject splits raw into members. A value that is no object, or that names a
// member twice, is a problem of path.
func readObject(path string, raw []byte, problems *[]Problem) *object {
	o := &object{path: path, members: map[string]json.RawMessage{}, problems: problems}
	if err := o.split(raw); err != nil {
		o.broken = true
		o.problem(cmp.Or(path, "policy"), err.Error())
	}
	return o
}

func (o *object) split(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return errors.New("must be a JSON object")
	}
	for dec.More() {
		name, value, err := member(dec)
		if err != nil {
			return fmt.Errorf("is not readable JSON: %w", err)
		}
		if _, twice := o.members[name]; twice {
			o.problem(o.at(name), "is given twice")
			continue
		}
		o.names = append(o.names, name)
		o.members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("is not readable JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has text behind the JSON object")
	}
	return nil
}

func member(dec *json.Decoder) (string, json.RawMessage, error) {
	token, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	name, _ := token.(string)
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return "", nil, err
	}
	return name, value, nil
}

// at is the field path of a member; hostile names are quoted and bounded.
func (o *object) at(name string) string {
	if !plainName(name) {
		name = quote(name)
	}
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

func plainName(name string) bool {
	return name != "" && len(name) <= maxText && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func (o *object) problem(field, text string, allowed ...string) {
	*o.problems = append(*o.problems, Problem{Field: field, Problem: text, Allowed: allowed})
}

// once makes a problem of a field that has none yet: what reads a value further
// need not say again that it is no text.
func (o *object) once(field, text string, allowed ...string) {
	has := func(p Problem) bool { return p.Field == field }
	if !slices.ContainsFunc(*o.problems, has) {
		o.problem(field, text, allowed...)
	}
}

// take returns a member and marks it as known. JSON null counts as absent only
// where the schemas say so, which is nowhere.
func (o *object) take(name string) (json.RawMessage, bool) {
	o.taken = append(o.taken, name)
	raw, ok := o.members[name]
	return raw, ok
}

// finish makes a problem of every member that nobody took.
func (o *object) finish() {
	for _, name := range o.names {
		if !slices.Contains(o.taken, name) {
			o.problem(o.at(name), "is unknown", o.taken...)
		}
	}
}

// decimal reads a number from 0 to limit with at most places digits behind the
// point.
func (o *object) decimal(name string, limit int64, places int) push.Decimal {
	raw, ok := o.take(name)
	if !ok {
		return push.Decimal{}
	}
	wrong := fmt.Sprintf("must be a number from 0 to %d", limit)
	if places > 0 {
		wrong += fmt.Sprintf(" with at most %d digits behind the point", places)
	} else {
		wrong += " without a fraction"
	}
	value, err := push.ParseDecimal(string(raw))
	if err != nil || value.Sign() < 0 || value.Cmp(push.DecimalOf(limit)) > 0 || value.Places() > places {
		o.problem(o.at(name), wrong)
	}
	return value
}

// truth reads a boolean.
func (o *object) truth(name string, otherwise bool) bool {
	raw, ok := o.take(name)
	switch {
	case !ok:
		return otherwise
	case string(raw) == "true":
		return true
	case string(raw) != "false":
		o.problem(o.at(name), "must be a boolean", "true", "false")
	}
	return false
}

// choice reads one of the allowed words; the first is the default.
func (o *object) choice(name string, allowed ...string) string {
	raw, ok := o.take(name)
	if !ok {
		return allowed[0]
	}
	var word string
	if json.Unmarshal(raw, &word) != nil || !isString(raw) || !slices.Contains(allowed, word) {
		o.problem(o.at(name), "has a value that is not known", allowed...)
		return allowed[0]
	}
	return word
}

// text reads a string of 1 to limit characters with something to see in it.
func (o *object) text(name string, limit int) string {
	raw, ok := o.take(name)
	if !ok {
		return ""
	}
	text, problem := readText(raw, limit, isControl)
	if problem != "" {
		o.problem(o.at(name), problem)
	}
	return text
}

// code reads a text that may have several lines.
func (o *object) code(name string, limit int) string {
	raw, ok := o.take(name)
	if !ok {
		return ""
	}
	text, problem := readText(raw, limit, func(r rune) bool { return isControl(r) && !isLayout(r) })
	if problem != "" {
		o.problem(o.at(name), problem)
		return ""
	}
	return text
}

// list reads 1 to 500 texts.
func (o *object) list(name string) []string {
	raw, ok := o.take(name)
	if !ok {
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || len(items) == 0 || len(items) > maxList {
		o.problem(o.at(name), fmt.Sprintf("must be a list of 1 to %d texts", maxList))
		return nil
	}
	texts := make([]string, 0, len(items))
	for i, item := range items {
		text, problem := readText(item, maxText, isControl)
		if problem != "" {
			o.problem(fmt.Sprintf("%s[%d]", o.at(name), i), problem)
		}
		texts = append(texts, text)
	}
	return texts
}

func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

// readText reads a string of which some character is neither blank nor layout.
func readText(raw []byte, limit int, forbidden func(rune) bool) (text, problem string) {
	if !isString(raw) || json.Unmarshal(raw, &text) != nil {
		return "", "must be a text"
	}
	switch n := utf8.RuneCountInString(text); {
	case n > limit:
		return text, fmt.Sprintf("has %d characters: at most %d are allowed", n, limit)
	case strings.ContainsFunc(text, forbidden):
		return text, "has control characters"
	case strings.Trim(text, " \t\r\n") == "":
		return text, "is empty"
	}
	return text, ""
}

func isLayout(r rune) bool { return r == '\n' || r == '\t' || r == '\r' }

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// quote writes hostile text for people: in quotes, without control characters
// and at most 120 characters of it.
func quote(text string) string {
	const limit = 120
	runes := 0
	for i := range text {
		if runes == limit {
			text = text[:i] + "…"
			break
		}
		runes++
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			r = '�'
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
