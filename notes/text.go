package notes

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeString returns a string value's text as valid UTF-8 without U+0000.
// repaired is set when U+FFFD stands for something that could not be kept:
// U+0000, a lone surrogate, an unknown escape, bytes that are not UTF-8.
func decodeString(v value) (text string, repaired bool) {
	inner := v.raw[1 : len(v.raw)-1]
	if !v.escaped && !v.odd {
		return string(inner), false
	}
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); {
		if inner[i] == '\\' {
			r, size := unescape(inner[i:])
			repaired = repaired || size < 0
			out = utf8.AppendRune(out, r)
			i += max(size, -size)
			continue
		}
		end := i
		for end < len(inner) && inner[end] != '\\' {
			end++
		}
		out = append(out, inner[i:end]...)
		i = end
	}
	text, bad := cleanText(out)
	return text, repaired || bad
}

// unescape reads one escape at the start of b. A negative size says that
// U+FFFD stands for what could not be read.
func unescape(b []byte) (r rune, size int) {
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unescapeUnicode(b)
	}
	return utf8.RuneError, -2
}

func unescapeUnicode(b []byte) (rune, int) {
	r, ok := hex4(b)
	switch {
	case !ok:
		return utf8.RuneError, -2
	case r == 0:
		return utf8.RuneError, -6
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	if low, ok := hex4(b[6:]); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, -6
}

// hex4 reads the four digits of a \uXXXX escape at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// cleanText makes valid UTF-8 without U+0000 of b.
func cleanText(b []byte) (text string, repaired bool) {
	if utf8.Valid(b) && !slices.Contains(b, 0) {
		return string(b), false
	}
	text = strings.ToValidUTF8(string(b), "\uFFFD")
	return strings.ReplaceAll(text, "\x00", "\uFFFD"), true
}

// truncate cuts text to at most limit bytes between characters.
func truncate(text string, limit int) (string, bool) {
	if len(text) <= limit {
		return text, false
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	// Cloned so that a short head does not hold the whole text in memory.
	return strings.Clone(text[:limit]), true
}

// hashID is the id that stands for text which is too long to be one, or for a
// receipt that has none.
func hashID(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// appendSafe appends the JSON text raw, which the scanner has accepted, without
// white space and in a form that strict JSON parsers and PostgreSQL's jsonb
// take. Numbers that jsonb can't hold become strings, non-finite ones null.
func appendSafe(dst, raw []byte) []byte {
	s := scanner{text: raw}
	for s.space() != 0 {
		c := raw[s.pos]
		switch {
		case c == '"':
			v, err := s.string()
			if err != nil {
				return append(dst, "null"...)
			}
			dst = appendString(dst, v)
		case numberByte(c) && c != 'e' && c != 'E':
			dst = appendNumber(dst, s.number().raw)
		case c == 'N':
			dst = append(dst, "null"...)
			s.pos += len("NaN")
		case c == 'I':
			dst = append(dst, "null"...)
			s.pos += len("Infinity")
		default:
			dst = append(dst, c)
			s.pos++
		}
	}
	return dst
}

func appendString(dst []byte, v value) []byte {
	if !v.odd && (!v.escaped || utf8.Valid(v.raw)) {
		return append(dst, v.raw...)
	}
	text, _ := decodeString(v)
	return appendQuoted(dst, text)
}

// appendQuoted appends text, which is valid UTF-8, as a JSON string.
func appendQuoted(dst []byte, text string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func appendNumber(dst, raw []byte) []byte {
	switch {
	case storableNumber(raw):
		return append(dst, raw...)
	case validNumber(raw):
		dst = append(dst, '"')
		dst = append(dst, raw...)
		return append(dst, '"')
	}
	return append(dst, "null"...)
}
