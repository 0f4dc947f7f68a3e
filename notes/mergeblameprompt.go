package notes

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// readBlamePrompt reads the receipts as Parse does, and the members of the
// payloads around them.
func (s *side) readBlamePrompt() {
	text := s.text()
	p := newBlamePrompt(text)
	p.documents()
	s.judge(p.findings)
	for i, r := range p.note.Receipts {
		s.keep(&s.receipts, part{key: r.ID, text: p.raws[i]}, maxReceipts)
	}
	s.clean = s.payloads(text) && !s.damaged && isStrict(text)
}

// payloads collects the members of the payloads that stand in text one after
// the other and reports whether there is one, and nothing else.
func (s *side) payloads(text []byte) (single bool) {
	sc := scanner{text: text}
	for n := 0; ; n++ {
		c := sc.space()
		if sc.pos >= len(text) {
			return single && n == 1
		}
		payload, err := false, error(nil)
		if c == '{' {
			payload, err = s.payload(&sc)
		} else {
			_, err = sc.value()
		}
		if err != nil {
			return false
		}
		single = n == 0 && payload
	}
}

// payload reads the object at the cursor; the members count when it is a
// payload and no receipt.
func (s *side) payload(sc *scanner) (payload bool, err error) {
	found := side{}
	listed := false
	err = sc.members(func(key []byte) error {
		v, err := sc.value()
		if err != nil {
			return err
		}
		switch string(key) {
		case "receipts":
			listed = v.kind == kindArray
			found.damaged = found.damaged || (!listed && v.kind != kindNull)
			return nil
		case "blameprompt_version":
			payload = true
			found.version = newerVersion(found.version, versionText(v))
			return nil
		case "file_mappings", "code_origin":
			payload = true
		}
		found.keep(&found.members, part{key: string(key), text: v.raw}, maxMembers)
		return nil
	})
	if payload || listed {
		s.adopt(&found)
	}
	return listed, err
}

// adopt adds the members and the version of a payload.
func (s *side) adopt(found *side) {
	for _, p := range found.members.list {
		s.keep(&s.members, p, maxMembers)
	}
	s.version = newerVersion(s.version, found.version)
	s.damaged = s.damaged || found.damaged
}

// versionText is a version as written, empty for what is none.
func versionText(v value) string {
	switch v.kind {
	case kindString:
		text, _ := decodeString(v)
		return text
	case kindNumber, kindBool:
		return string(v.raw)
	}
	return ""
}

func (m *merger) writeBlamePrompt() []byte {
	w := layout{out: make([]byte, 0, len(m.ours.body)+len(m.theirs.body)+64)}
	w.open('{')
	w.member("blameprompt_version")
	w.out = appendQuoted(w.out, m.result.version)
	w.member("receipts")
	w.open('[')
	for _, p := range m.result.receipts.list {
		w.item()
		w.out = append(w.out, m.strictReceipt(p)...)
	}
	w.close(']')
	m.writeMember(&w, "file_mappings")
	m.writeMember(&w, "code_origin")
	m.writeOthers(&w, "file_mappings", "code_origin")
	w.close('}')
	return append(w.out, '\n')
}

// writeMember writes a member of the payload if there is one of that name.
func (m *merger) writeMember(w *layout, key string) {
	if p, known := m.result.members.get(key); known {
		w.member(key)
		w.out = append(w.out, m.strict(p)...)
	}
}

// writeOthers writes the members of the payload that are not among written.
func (m *merger) writeOthers(w *layout, written ...string) {
	for _, p := range m.result.members.list {
		if !slices.Contains(written, p.key) {
			m.writeMember(w, p.key)
		}
	}
}

// strictReceipt is strict for a receipt, whose id may be such that a repair
// would change it.
func (m *merger) strictReceipt(p part) []byte {
	text := m.strict(p)
	if bytes.Equal(text, p.text) {
		return text
	}
	out := append([]byte(`{"id":`), appendQuoted(nil, p.key)...)
	s := scanner{text: text}
	// The text has been scanned once, so that no error can come.
	_ = s.members(func(key []byte) error {
		v, err := s.value()
		if err == nil && string(key) != "id" {
			clean, _ := cleanText(key)
			out = appendQuoted(append(out, ','), clean)
			out = append(append(out, ':'), v.raw...)
		}
		return err
	})
	return append(out, '}')
}

// strict is the part's text, or a copy in strict form when another reader
// would refuse the text and with it the whole note.
func (m *merger) strict(p part) []byte {
	if isStrict(p.text) {
		return p.text
	}
	m.conflicts = append(m.conflicts, Conflict{Kind: ConflictRepaired, ID: p.name(), Dropped: p.text})
	return appendSafe(nil, p.text)
}

// isStrict reports whether text is JSON in UTF-8 whose strings are Unicode.
func isStrict(text []byte) bool {
	return json.Valid(text) && utf8.Valid(text) && !hasLoneSurrogate(text)
}

// hasLoneSurrogate looks for half of a pair among the escapes of valid JSON;
// Go's decoder forgives it, the clients' does not.
func hasLoneSurrogate(text []byte) bool {
	for i := bytes.IndexByte(text, '\\'); i >= 0 && i+1 < len(text); {
		size := 2
		if r, ok := hex4(text[i:]); ok && utf16.IsSurrogate(r) {
			low, ok := hex4(text[i+6:])
			if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
				return true
			}
			size = 12
		}
		next := bytes.IndexByte(text[i+size:], '\\')
		if next < 0 {
			return false
		}
		i += size + next
	}
	return false
}
