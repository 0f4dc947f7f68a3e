package notes

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// kind is the JSON kind of a value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// The names that a finding's message uses.
var kindNames = [...]string{"null", "boolean", "number", "string", "array", "object"}

func (k kind) String() string { return kindNames[k] }

// value is one JSON value in place.
type value struct {
	// raw is the value's text and shares the body's memory.
	raw  []byte
	kind kind
	// depth is how many arrays and objects are open at the deepest point.
	depth int
	// odd is set when the text is not what strict JSON or PostgreSQL's jsonb
	// takes: control characters, unicode escapes, NaN, malformed numbers.
	odd bool
	// escaped is set when a string has a backslash or a byte above 0x7f, so
	// that its text is not simply what stands between the quotes.
	escaped bool
}

// syntaxError says where and why a text stops being JSON.
type syntaxError struct {
	pos  int
	what string
}

func (e *syntaxError) Error() string { return e.what }

// scanner walks JSON text. It takes more than RFC 8259: raw control characters
// other than line breaks inside strings, any escape, and NaN, Infinity and
// malformed numbers as numbers, because one odd value must not cost its
// neighbours. It keeps no recursion, so nesting costs one byte a level.
type scanner struct {
	text  []byte
	pos   int
	stack []byte
}

func (s *scanner) fail(format string, args ...any) error {
	return &syntaxError{pos: s.pos, what: fmt.Sprintf(format, args...)}
}

// space skips white space and returns the next byte, 0 at the end.
func (s *scanner) space() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\n', '\t', '\r':
			s.pos++
			for s.pos+8 <= len(s.text) && binary.LittleEndian.Uint64(s.text[s.pos:]) == eightSpaces {
				s.pos += 8
			}
		default:
			return c
		}
	}
	return 0
}

// unexpected reports the byte at the cursor.
func (s *scanner) unexpected(wanted string) error {
	if s.pos >= len(s.text) {
		return s.fail("the text ends where %s was expected", wanted)
	}
	return s.fail("found %q where %s was expected", s.text[s.pos:s.pos+1], wanted)
}

// members calls member for each member of the object at the cursor; member
// must consume the value. The key is decoded and lives until the next call.
func (s *scanner) members(member func(key []byte) error) error {
	s.pos++
	if s.space() == '}' {
		s.pos++
		return nil
	}
	for {
		key, err := s.key()
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		more, err := s.more('}')
		if err != nil || !more {
			return err
		}
	}
}

// elements calls element for each element of the array at the cursor; element
// must consume it.
func (s *scanner) elements(element func(i int) error) error {
	s.pos++
	if s.space() == ']' {
		s.pos++
		return nil
	}
	for i := 0; ; i++ {
		s.space()
		if err := element(i); err != nil {
			return err
		}
		more, err := s.more(']')
		if err != nil || !more {
			return err
		}
	}
}

// more steps over a comma or the closing bracket and says which it was.
func (s *scanner) more(closing byte) (bool, error) {
	switch s.space() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.unexpected(fmt.Sprintf("a comma or %q", closing))
}

// key reads a member's name and the colon after it.
func (s *scanner) key() ([]byte, error) {
	if s.space() != '"' {
		return nil, s.unexpected("a member name")
	}
	v, err := s.string()
	if err != nil {
		return nil, err
	}
	if s.space() != ':' {
		return nil, s.unexpected("a colon")
	}
	s.pos++
	s.space()
	if !v.escaped && !v.odd {
		return v.raw[1 : len(v.raw)-1], nil
	}
	text, _ := decodeString(v)
	return []byte(text), nil
}

// value reads the value at the cursor without looking into it.
func (s *scanner) value() (value, error) {
	if c := s.space(); c != '{' && c != '[' {
		return s.scalar(c)
	}
	start := s.pos
	s.stack = s.stack[:0]
	out := value{}
	for {
		v, opened, err := s.open()
		if err != nil {
			return value{}, err
		}
		out.odd = out.odd || v.odd
		out.depth = max(out.depth, len(s.stack))
		if opened {
			continue
		}
		done, odd, err := s.closeAll()
		if err != nil {
			return value{}, err
		}
		out.odd = out.odd || odd
		if done {
			out.raw, out.kind = s.text[start:s.pos], kindArray
			if s.text[start] == '{' {
				out.kind = kindObject
			}
			return out, nil
		}
	}
}

// open reads a scalar, or an opening bracket up to the place where its first
// element stands (opened), or an empty container.
func (s *scanner) open() (v value, opened bool, err error) {
	c := s.space()
	if c != '{' && c != '[' {
		v, err = s.scalar(c)
		return v, false, err
	}
	s.pos++
	s.stack = append(s.stack, c)
	if s.space() == closer(c) {
		return value{kind: kindArray}, false, nil
	}
	if c == '{' {
		v.odd, err = s.skipKey()
	}
	return v, true, err
}

// closeAll steps over closing brackets and then either reaches the end of the
// outermost value (done) or the place of the next value.
func (s *scanner) closeAll() (done, odd bool, err error) {
	for len(s.stack) > 0 {
		top := s.stack[len(s.stack)-1]
		more, err := s.more(closer(top))
		if err != nil {
			return false, false, err
		}
		if more && top == '{' {
			odd, err = s.skipKey()
		}
		if more {
			return false, odd, err
		}
		s.stack = s.stack[:len(s.stack)-1]
	}
	return true, false, nil
}

func closer(open byte) byte {
	if open == '{' {
		return '}'
	}
	return ']'
}

func (s *scanner) skipKey() (odd bool, err error) {
	if s.space() != '"' {
		return false, s.unexpected("a member name")
	}
	v, err := s.string()
	if err != nil {
		return false, err
	}
	if s.space() != ':' {
		return false, s.unexpected("a colon")
	}
	s.pos++
	return v.odd, nil
}

func (s *scanner) scalar(c byte) (value, error) {
	switch {
	case c == '"':
		return s.string()
	case c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'):
		return s.number(), nil
	}
	for _, w := range words {
		if bytes.HasPrefix(s.text[s.pos:], []byte(w.text)) {
			v := value{raw: s.text[s.pos : s.pos+len(w.text)], kind: w.kind, odd: w.kind == kindNumber}
			s.pos += len(w.text)
			return v, nil
		}
	}
	return value{}, s.unexpected("a value")
}

// words holds the literals; the last two are what writers without a rule for
// non-finite floats put down.
var words = []struct {
	text string
	kind kind
}{
	{"null", kindNull}, {"true", kindBool}, {"false", kindBool},
	{"NaN", kindNumber}, {"Infinity", kindNumber},
}

// number takes every byte that a number could hold and leaves the judgement
// to validNumber.
func (s *scanner) number() value {
	start := s.pos
	s.pos += digitRun(s.text[start:])
	if n := s.pos - start; n > 0 && n <= 18 && s.text[start] != '0' && !s.numberGoesOn() {
		return value{raw: s.text[start:s.pos], kind: kindNumber}
	}
	for s.numberGoesOn() {
		s.pos++
	}
	if rest := s.text[s.pos:]; s.pos == start+1 && bytes.HasPrefix(rest, []byte("Infinity")) {
		s.pos += len("Infinity")
	}
	raw := s.text[start:s.pos]
	return value{raw: raw, kind: kindNumber, odd: !storableNumber(raw)}
}

func (s *scanner) numberGoesOn() bool {
	return s.pos < len(s.text) && numberByte(s.text[s.pos])
}

func numberByte(c byte) bool {
	return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

// The classes of bytes inside a string.
const (
	inPlain = iota
	inQuote
	inBackslash
	inControl
	inBreak
	inHigh
)

var stringClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c == '"':
			t[c] = inQuote
		case c == '\\':
			t[c] = inBackslash
		case c == '\n' || c == '\r':
			t[c] = inBreak
		case c < 0x20:
			t[c] = inControl
		case c >= 0x80:
			t[c] = inHigh
		}
	}
	return t
}()

// string reads the string at the cursor. A line break ends it as an error:
// that keeps an unclosed quote from swallowing the documents behind it.
func (s *scanner) string() (value, error) {
	v := value{kind: kindString}
	text := s.text
	for i := s.pos + 1; i < len(text); i++ {
		if i = plainRun(text, i); i == len(text) {
			break
		}
		switch stringClass[text[i]] {
		case inQuote:
			v.raw = text[s.pos : i+1]
			s.pos = i + 1
			return v, nil
		case inBackslash:
			v.escaped = true
			if i+1 < len(text) && stringClass[text[i+1]] != inBreak {
				i++
				v.odd = v.odd || !simpleEscape(text[i])
			}
		case inControl:
			v.odd = true
		case inHigh:
			v.escaped = true
		case inBreak:
			s.pos = i
			return value{}, s.fail("found a line break inside a string")
		}
	}
	s.pos = len(text)
	return value{}, s.fail("the text ends inside a string")
}

// Words of eight equal bytes.
const (
	eightOnes   = 0x0101010101010101
	eightHighs  = 0x80 * eightOnes
	eightSpaces = ' ' * eightOnes
	eightQuotes = '"' * eightOnes
	eightSlants = '\\' * eightOnes
)

// plainRun is the position of the first byte from i on that is not plain. It
// looks at eight bytes at a time: text is most of what there is to scan. The
// subtractions raise a byte's high bit where it was below 0x20, or zero.
func plainRun(text []byte, i int) int {
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		quotes, slants := w^eightQuotes, w^eightSlants
		low := (w - eightSpaces) | (quotes - eightOnes) | (slants - eightOnes)
		if (low|w)&eightHighs != 0 {
			break
		}
	}
	for i < len(text) && stringClass[text[i]] == inPlain {
		i++
	}
	return i
}

// simpleEscape reports whether c after a backslash is a two-character escape.
func simpleEscape(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}
