// Package secrets finds credentials in texts that people gave to models, and
// masks them.
//
// It owns the rules (those of gitleaks, embedded as they are) and the engine
// that applies them: one pass over the text looks for the rules' keywords, and
// only near one is an expression tried. It does no I/O and keeps nothing of
// what it reads.
//
// Promises: time is linear in the text; a masked text has the same secrets
// masked wherever it is masked again; a mask never holds a part of a secret.
package secrets

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// Hit is one secret in a text.
type Hit struct {
	// Start and End are offsets in bytes.
	Start, End int
	// Rule is the id of the rule that found it.
	Rule string
}

// span is a part of a text that a rule is to be tried on.
type span struct{ start, end int }

// Find returns the secrets in the text by their place; they do not overlap.
func (s *Scanner) Find(text string) []Hit { return s.findIn(text, s.spans(text)) }

func (s *Scanner) findIn(text string, spans map[int][]span) []Hit {
	if len(spans) == 0 {
		return nil
	}
	var hits []Hit
	for n := range s.rules {
		for _, at := range spans[n] {
			hits = append(hits, s.try(&s.rules[n], text, at)...)
		}
	}
	return tidy(hits)
}

// spans are the parts of the text near keywords, by rule.
func (s *Scanner) spans(text string) map[int][]span {
	var spans map[int][]span
	s.words.find(text, func(word uint16, end int) {
		value, assigns := span{}, false
		for i, n := range s.byWord[word] {
			if i == 0 {
				value, assigns = assigned(text, end)
			}
			r := &s.rules[n]
			start, last := max(0, end-r.reach), min(len(text), end+r.reach)
			if r.assigns {
				if !assigns || r.id == generic && !strings.ContainsAny(text[value.start:value.end], "0123456789") {
					continue
				}
				start, last = max(0, end-longName), min(len(text), value.end+2)
			}
			if spans == nil {
				spans = map[int][]span{}
			}
			spans[n] = widen(spans[n], start, last)
		}
	})
	return spans
}

// generic is the rule for whatever is assigned to a name that tells of a secret.
const generic = "generic-api-key"

// longName is how long a name with a keyword at its end may be: fifty
// characters that rules allow in front, and the longest keyword.
const longName = 100

// widen adds a span behind others, and joins it with the last where they touch.
func widen(spans []span, start, end int) []span {
	if last := len(spans) - 1; last >= 0 && start <= spans[last].end {
		spans[last].end = max(spans[last].end, end)
		return spans
	}
	return append(spans, span{start, end})
}

// assigned finds the value that may be assigned to a name with a keyword in it
// that ends at end: what every rule for assignments wants is the rest of a name,
// a sign of assignment and a value of ten characters. The quotes of a JSON text
// have a backslash in front.
func assigned(text string, end int) (value span, ok bool) {
	i, most := end, min(len(text), end+24)
	for i < most && (isWord(text[i]) || strings.IndexByte(" \t\r\n.-'\"\\", text[i]) >= 0) {
		i++
	}
	if i == len(text) || strings.IndexByte("=>:|?,", text[i]) < 0 {
		return span{}, false
	}
	for most = min(len(text), i+12); i < most && strings.IndexByte("=>:|?,`'\" \t\r\n\\", text[i]) >= 0; i++ {
	}
	value.start = i
	for most = min(len(text), i+2*longWord); i < most && (isWord(text[i]) || strings.IndexByte(".=-+/", text[i]) >= 0); i++ {
	}
	value.end = i
	return value, value.end-value.start >= 10
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// try applies a rule to a part of the text.
func (s *Scanner) try(r *rule, text string, at span) []Hit {
	var hits []Hit
	part := text[at.start:at.end]
	for _, m := range r.expr().FindAllStringSubmatchIndex(part, -1) {
		start, end := r.secretIn(m)
		if start == end || s.harmless(r, text, at.start+m[0], at.start+m[1], part[start:end]) {
			continue
		}
		start, end = at.start+start, at.start+end
		// A part ends where no rule may reach; the secret may not.
		for end == at.end && end < len(text) && (isWord(text[end]) || strings.IndexByte("+/=-.", text[end]) >= 0) {
			end, at.end = end+1, at.end+1
		}
		hits = append(hits, Hit{start, end, r.id})
	}
	return hits
}

// secretIn is the part of a match that is secret: the rule's group, else the
// first one that is not empty, else all.
func (r *rule) secretIn(m []int) (start, end int) {
	if g := 2 * r.group; g > 0 && g+1 < len(m) && m[g] >= 0 {
		return m[g], m[g+1]
	}
	for g := 2; g+1 < len(m); g += 2 {
		if m[g] >= 0 && m[g] < m[g+1] {
			return m[g], m[g+1]
		}
	}
	return m[0], m[1]
}

// harmless reports whether what a rule found is none: too regular for a secret,
// or known as an example.
func (s *Scanner) harmless(r *rule, text string, start, end int, secret string) bool {
	if r.entropy > 0 && entropy(secret) <= r.entropy {
		return true
	}
	if r.id == generic && !strings.ContainsAny(secret, "0123456789") {
		return true
	}
	if s.allowed.allows(secret, secret, secret) {
		return true
	}
	if len(r.allowed) == 0 {
		return false
	}
	line := lineAround(text, start, end)
	return slices.ContainsFunc(r.allowed, func(a allowlist) bool { return a.allows(secret, text[start:end], line) })
}

func lineAround(text string, start, end int) string {
	start = strings.LastIndexByte(text[:start], '\n') + 1
	if n := strings.IndexByte(text[end:], '\n'); n >= 0 {
		return text[start : end+n]
	}
	return text[start:]
}

func (a *allowlist) allows(secret, match, line string) bool {
	target := secret
	switch a.RegexTarget {
	case "match":
		target = match
	case "line":
		target = line
	}
	for _, expr := range a.compiled {
		if expr.MatchString(target) {
			return true
		}
	}
	lowered := strings.ToLower(secret)
	return slices.ContainsFunc(a.Stopwords, func(word string) bool { return strings.Contains(lowered, word) })
}

// entropy is Shannon's, in bits per character.
func entropy(text string) float64 {
	var counts [256]int
	for i := range len(text) {
		counts[text[i]]++
	}
	bits, all := 0.0, float64(len(text))
	for _, n := range counts {
		if n > 0 {
			share := float64(n) / all
			bits -= share * math.Log2(share)
		}
	}
	return bits
}

// tidy orders hits and joins those that overlap, under the rule that says more
// than that there is some key.
func tidy(hits []Hit) []Hit {
	slices.SortFunc(hits, func(a, b Hit) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return strings.Compare(a.Rule, b.Rule)
	})
	var out []Hit
	for _, h := range hits {
		last := len(out) - 1
		if last < 0 || h.Start >= out[last].End {
			out = append(out, h)
			continue
		}
		out[last].End = max(out[last].End, h.End)
		if out[last].Rule == generic {
			out[last].Rule = h.Rule
		}
	}
	return out
}

// Rules returns the rules that find something in the text as it is written.
func (s *Scanner) Rules(text string) []string { return rulesOf(s.Find(text)) }

// Mask puts [masked:RULE] in the place of every secret, and returns the rules.
func (s *Scanner) Mask(text string) (masked string, rules []string) {
	hits := s.Find(text)
	if len(hits) == 0 {
		return text, nil
	}
	return cut(text, hits), rulesOf(hits)
}

func cut(text string, hits []Hit) string {
	var b strings.Builder
	at := 0
	for _, h := range hits {
		b.WriteString(text[at:h.Start])
		b.WriteString("[masked:" + h.Rule + "]")
		at = h.End
	}
	b.WriteString(text[at:])
	return b.String()
}

func rulesOf(hits []Hit) []string {
	rules := make([]string, len(hits))
	for i, h := range hits {
		rules[i] = h.Rule
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// MaskJSON masks a JSON document, which stays one. Secrets are looked for in
// the document as it is written, so that the name of a member counts for its
// value, and in the texts that it writes with escapes.
func (s *Scanner) MaskJSON(doc []byte) (masked []byte, rules []string) {
	text := string(doc)
	spans := s.spans(text)
	if len(spans) == 0 && !strings.Contains(text, `\u`) {
		return doc, nil
	}
	hits := s.findIn(text, spans)
	masked = doc
	if len(hits) > 0 {
		masked = []byte(cut(text, hits))
		if !json.Valid(masked) {
			// A secret with the beginning or the end of a text in it.
			return []byte(`"[masked]"`), rulesOf(hits)
		}
	}
	if bytes.IndexByte(masked, '\\') < 0 {
		return masked, rulesOf(hits)
	}
	more := s.maskTexts(&masked)
	return masked, slices.Compact(slices.Sorted(slices.Values(append(rulesOf(hits), more...))))
}

// maskTexts masks within the texts of a document, as they read without escapes.
func (s *Scanner) maskTexts(doc *[]byte) (rules []string) {
	var out []byte
	at := 0
	for at < len(*doc) {
		start := bytes.IndexByte((*doc)[at:], '"')
		if start < 0 {
			break
		}
		start += at
		end := endOfText(*doc, start)
		if text, hits := s.inText((*doc)[start:end]); len(hits) > 0 {
			out = append(out, (*doc)[at:start]...)
			out = append(out, text...)
			rules = append(rules, hits...)
		} else {
			out = append(out, (*doc)[at:end]...)
		}
		at = end
	}
	if len(rules) > 0 {
		*doc = append(out, (*doc)[at:]...)
	}
	return rules
}

// endOfText is the offset behind the JSON text that begins at start.
func endOfText(doc []byte, start int) int {
	for i := start + 1; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

func (s *Scanner) inText(quoted []byte) (masked []byte, rules []string) {
	var text string
	if bytes.IndexByte(quoted, '\\') < 0 {
		return nil, nil
	}
	if raw := string(quoted); !strings.Contains(raw, `\u`) && len(s.spans(raw)) == 0 {
		return nil, nil
	}
	if json.Unmarshal(quoted, &text) != nil {
		return nil, nil
	}
	text, rules = s.Mask(text)
	if len(rules) == 0 {
		return nil, nil
	}
	masked, err := json.Marshal(text)
	if err != nil {
		return nil, nil
	}
	return masked, rules
}

// Describe says what a rule finds, "" for a rule that there is not.
func (s *Scanner) Describe(id string) string {
	for i := range s.rules {
		if s.rules[i].id == id {
			return s.rules[i].description
		}
	}
	return ""
}
