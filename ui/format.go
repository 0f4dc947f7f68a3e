package ui

import (
	"fmt"
	"html/template"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// functions are what templates can call.
func functions(files assets) template.FuncMap {
	return template.FuncMap{
		"asset": func(name string) (string, error) {
			if _, ok := files[name]; !ok {
				return "", fmt.Errorf("there is no asset %q", name)
			}
			return files.url(name), nil
		},
		"seg": url.PathEscape, "short": short, "plain": plain, "join": strings.Join, "branch": branch, "list": list,
		"count": count, "amount": amount, "usd": usd, "percent": percent, "words": words, "lower": strings.ToLower,
		"more": func(all, shown int) int { return max(all-shown, 0) }, "millis": millis,
		"lineShare": func(f push.File) Share { l := f.Lines(); return lineShare(l.AI, l.Human, l.Unknown()) }, "ranking": newRanking, "mark": newMark, "sure": newSure, "keyKind": keyKind, "person": person, "choice": choiceName, "figure": newFigure, "outcome": outcomeMark, "state": stateMark, "severity": severityMark, "sync": syncMark, "result": resultMark, "reported": reportMark, "endpoint": endpointMark, "message": messageMark, "happened": happened, "fieldName": fieldName,
		"nilID": func(id uuid.UUID) bool { return id == uuid.Nil },
	}
}

// list makes a list of what components take several of.
func list(items ...any) []any { return items }

// short is the beginning of a commit's or another object's id.
func short(id string) string {
	if len(id) > 10 {
		return id[:10]
	}
	return id
}

// branch is a ref as people say it.
func branch(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }

// plain shows text of clients, or what prints as text: what is not to be seen, what changes the
// direction of writing and what breaks a line is made visible as U+FFFD.
// html/template does the escaping.
func plain(v any) string {
	text, ok := v.(string)
	if !ok {
		text = fmt.Sprint(v)
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r) && r != zeroWidthJoiner, r == '\u2028', r == '\u2029':
			return unicode.ReplacementChar
		}
		return r
	}, text), string(unicode.ReplacementChar))
}

// zeroWidthJoiner is what emoji are put together with.
const zeroWidthJoiner = '\u200d'

// words makes a name of the program readable: require_receipts.
func words(name any) string {
	return plain(strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(name), "_", " "), ".", " "))
}

// fieldNames are the labels of fields that are not their names with a capital.
var fieldNames = map[string]string{
	"email": "Address", "emails": "Other addresses", "scopes": "What it may do", "title": "Name that pages show", "input": "In", "output": "Out",
	"q": "Search", "repo": "Repository", "repos": "Repositories", "min_cost": "Cost from", "max_cost": "Cost to", "policy_result": "Policies", "current": "State",
	"sort": "Order", "col": "Columns", "noted": "Note", "class": "With lines that are", "public_key": "Public key", "old_password": "Present password",
	"api_url": "Address of the API", "remote_url": "Address", "excluded_paths": "Paths that do not count", "grace_seconds": "Grace period", "grace": "Grace period",
	"rule": "Rule", "document": "The policy", "scope.repos": "Repositories", "scope.branches": "Branches", "scope.teams": "Teams", "do": "Button",
	"again": "The same again", "cursor": "Page", "from": "From", "to": "To",
}

// fieldName is what the form calls a field that was refused: "scope.repos[2]" is in
// "Repositories".
func fieldName(field string) string {
	base, rest, _ := strings.Cut(field, "[")
	name, ok := fieldNames[base]
	if !ok {
		name = words(strings.TrimPrefix(base, "rule."))
		name = strings.ToUpper(name[:min(len(name), 1)]) + name[min(len(name), 1):]
	}
	if rest != "" {
		name += ", entry " + plain(strings.TrimSuffix(rest, "]"))
	}
	return name
}

// choiceName is a value of a rule as a form offers it.
func choiceName(value string) string {
	switch value {
	case "true":
		return "yes"
	case "false":
		return "no"
	case "org":
		return "organisation"
	}
	return words(value)
}

// person is a principal as people say it: a person by the address alone.
func person(principal string) string { return strings.TrimPrefix(principal, "user:") }

// keyKind is what kind of key a principal is, and the end of its id.
func keyKind(principal string) string {
	kind, id, _ := strings.Cut(principal, ":")
	return kind + " …" + id[max(len(id)-6, 0):]
}

// count writes a whole number with thin gaps: 1 234 567. It takes every kind
// of integer that the store has.
func count(n any) string {
	switch v := n.(type) {
	case int:
		return group(strconv.Itoa(v))
	case int64:
		return group(strconv.FormatInt(v, 10))
	case *int64:
		if v == nil {
			return "–"
		}
		return group(strconv.FormatInt(*v, 10))
	case store.Decimal:
		whole, _, _ := strings.Cut(string(v), ".")
		return group(whole)
	}
	return fmt.Sprint(n)
}

// group puts a comma before every third digit from the right.
func group(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if digits == "" {
		digits = "0"
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// usd writes dollars: at least two places, and four below one cent's worth of
// difference, so that a prompt that cost half a cent does not cost nothing.
func usd(v any) string {
	text, ok := decimalText(v)
	if !ok {
		return "–"
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return "–"
	}
	places := 2
	if small := new(big.Rat).Abs(r); small.Sign() > 0 && small.Cmp(big.NewRat(1, 1)) < 0 {
		places = 4
	}
	fixed := r.FloatString(places)
	whole, rest, _ := strings.Cut(fixed, ".")
	return "$" + group(whole) + "." + rest
}

func decimalText(v any) (string, bool) {
	switch d := v.(type) {
	case store.Decimal:
		if d == "" {
			return "0", true
		}
		return string(d), true
	case *store.Decimal:
		if d == nil {
			return "", false
		}
		return string(*d), true
	case push.Decimal:
		return d.String(), true
	}
	return fmt.Sprint(v), true
}

// amount writes a large number for a headline: 12.3 M.
func amount(v any) string {
	text, ok := decimalText(v)
	f, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil {
		return "–"
	}
	for _, unit := range []struct {
		above float64
		name  string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if f >= unit.above {
			scale := unit.above
			if unit.name == "k" {
				scale = 1e3
			}
			return strconv.FormatFloat(f/scale, 'f', 1, 64) + " " + unit.name
		}
	}
	return group(strconv.FormatFloat(f, 'f', 0, 64))
}

// millis writes microseconds as milliseconds.
func millis(us int) string { return strconv.FormatFloat(float64(us)/1000, 'f', 1, 64) }

// percent writes part of whole; nothing of nothing is no number.
func percent(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + " %"
}

// Moment is a time as a page shows it: how long ago, and when exactly.
type Moment struct {
	ISO, Ago, Exact string
	// Both shows both, where there is room.
	Both bool
}

// At is a moment for a list.
func (c Clock) At(t any) Moment {
	at, ok := timeOf(t)
	if !ok || at.IsZero() {
		return Moment{}
	}
	local := at.In(c.zone())
	return Moment{ISO: at.UTC().Format(time.RFC3339), Ago: c.ago(at), Exact: local.Format("2 Jan 2006, 15:04:05 MST")}
}

// When is a moment where there is room for all of it.
func (c Clock) When(t any) Moment {
	m := c.At(t)
	m.Both = true
	if at, ok := timeOf(t); ok && !at.IsZero() {
		m.Ago = c.distance(at)
	}
	return m
}

func timeOf(t any) (time.Time, bool) {
	switch v := t.(type) {
	case time.Time:
		return v, true
	case *time.Time:
		if v != nil {
			return *v, true
		}
	}
	return time.Time{}, false
}

// farTime is from where on a date says more than a distance.
const farTime = 30 * 24 * time.Hour

// ago is the distance of a time from now in one unit, or its date.
func (c Clock) ago(t time.Time) string {
	if c.Now.Sub(t).Abs() > farTime {
		return t.In(c.zone()).Format("2 Jan 2006")
	}
	return c.distance(t)
}

// distance is how far a time is from now in one unit.
func (c Clock) distance(t time.Time) string {
	d := c.Now.Sub(t)
	switch {
	case d.Abs() < 10*time.Second:
		return "now"
	case d < 0:
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + " days"
}
