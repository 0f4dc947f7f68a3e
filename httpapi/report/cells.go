package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// plain is a cell for programs.
func plain(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case string:
		return v
	case Decimal:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(cell)
}

// shown is a cell for people: numbers in groups of three, times to the minute,
// and nothing that moves or hides what stands around it.
func shown(kind Kind, cell any) string {
	if cell == nil {
		return "–"
	}
	switch v := cell.(type) {
	case int64:
		return grouped(v)
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04")
	case Decimal:
		return shownDecimal(kind, v)
	}
	text := visible(plain(cell))
	if kind == OID && len(text) > shortOID {
		return text[:shortOID]
	}
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown-1]) + "…"
	}
	return text
}

// shortOID is how much of an object's id people's formats have.
const shortOID = 12

func shownDecimal(kind Kind, d Decimal) string {
	number := string(d)
	whole, rest, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		number = grouped(n)
		if rest != "" {
			number += "." + rest
		}
		if strings.HasPrefix(string(d), "-") {
			number = "-" + number
		}
	}
	switch kind {
	case Money:
		return "$" + number
	case Share:
		return number + " %"
	}
	return number
}

// grouped is a number with commas between groups of three digits.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// maxShown bounds a cell of people's formats, in characters.
const maxShown = 300

// visible is text on one line without what cannot be seen: control characters,
// and those that turn the direction of what follows (CVE-2021-42574).
func visible(text string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r) || r == unicode.ReplacementChar:
			return '·'
		}
		return r
	}, strings.ToValidUTF8(text, "·"))
	return strings.Join(strings.Fields(clean), " ")
}
