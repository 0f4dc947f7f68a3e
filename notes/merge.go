package notes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A merge joins two states of one notes ref, ours (what the repository has)
// and theirs (what was pushed), that grew out of base. Plan compares the trees
// and says which notes need what; MergeBody joins two bodies. Neither does I/O.
//
// Both follow one rule, for notes and for each part of a note (a receipt; a
// git-ai record, line or member): who did not change it since base gets the
// other's state. A removal is a change like any other, but gives way to the
// other side's change. Where both changed it to different content, ours stays
// and a Conflict tells. A note that one side has removed counts as one without
// parts. A body that could not be read whole removes nothing by its silence.
//
// With m(base, ours, theirs) for a merge, "=" for equal parts with their text
// but for white space, and bodies that can be read whole and are joined within
// the parsers' bounds:
//
//   - m(b, x, x) = x and m(b, x, b) = x, byte for byte and for all bodies.
//   - The parts of m(none, x, y) are those of x and y, and those of x unchanged.
//   - m(b, x, y) and m(b, y, x) have the same keys, and the same parts where no
//     part was changed on both sides.
//   - m(none, m(none, x, y), z) = m(none, x, m(none, y, z)) for receipts.
//   - Merging any number of sides that grew out of b gives the same receipts in
//     every order, and the same texts where no two sides changed one receipt.
//
// Grouping otherwise with a base does not hold: there is no one base for both.

// Action is what a Step asks of the caller.
type Action string

// The actions of a plan. There is none for notes that stay as ours has them.
const (
	// ActionTake puts theirs in: a note on a commit that had none.
	ActionTake Action = "take"
	// ActionRemove takes our note out: theirs removed it, ours did not touch it.
	ActionRemove Action = "remove"
	// ActionMerge asks for MergeBody with the bodies of the step, nil where the
	// step names no blob; a nil result takes the note out.
	ActionMerge Action = "merge"
)

// Step is what happens to the note of one commit. Base, Ours and Theirs are
// its blobs, empty where that tree has no note of the commit.
type Step struct {
	Commit             string
	Action             Action
	Base, Ours, Theirs string
}

// Plan compares three notes trees, given as the blob of each annotated commit,
// and returns what must be done to ours, ordered by commit. A nil base stands
// for unrelated histories. Commits whose note theirs has as base has it get no
// step. A note that theirs alone changed is merged and not taken, so that a
// push can replace no receipts by text that cannot be read and rewrite none
// unseen. The maps are only read.
func Plan(base, ours, theirs map[string]string) []Step {
	var steps []Step
	consider := func(commit, theirs string) {
		step := Step{Commit: commit, Base: base[commit], Ours: ours[commit], Theirs: theirs}
		if step.Action = step.action(); step.Action != "" {
			steps = append(steps, step)
		}
	}
	for commit, blob := range theirs {
		consider(commit, blob)
	}
	for commit := range base {
		if _, there := theirs[commit]; !there {
			consider(commit, "")
		}
	}
	slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Commit, b.Commit) })
	return steps
}

func (s *Step) action() Action {
	switch {
	case s.Theirs == s.Ours || s.Theirs == s.Base:
		return ""
	case s.Ours == "" && s.Base == "":
		return ActionTake
	case s.Theirs == "" && s.Ours == s.Base:
		return ActionRemove
	}
	return ActionMerge
}

// ConflictKind says what a merge met.
type ConflictKind string

// The kinds of conflicts.
const (
	// ConflictTampered: both sides have the receipt or record with different
	// content, and none of the two is base's. Ours is kept.
	ConflictTampered ConflictKind = "tampered"
	// ConflictRewritten: theirs alone changed a receipt or record that base and
	// ours have. Theirs is taken; a caller that lets no push change what it has
	// merges that note again without base.
	ConflictRewritten ConflictKind = "rewritten"
	// ConflictRestored: one side removed what the other changed. It stays.
	ConflictRestored ConflictKind = "restored"
	// ConflictDiverged: both sides changed a member of the payload. Ours is kept.
	ConflictDiverged ConflictKind = "diverged"
	// ConflictContested: both sides gave a line of a git-ai log to another key.
	// Ours owns it.
	ConflictContested ConflictKind = "contested"
	// ConflictRepaired: a part was no strict JSON and would have made the whole
	// note unreadable for the stock clients. It was written in strict form.
	ConflictRepaired ConflictKind = "repaired"
	// ConflictDamaged: a side could not be read whole, or holds a receipt with
	// several contents. What was read is merged, of receipts the last content.
	ConflictDamaged ConflictKind = "damaged"
	// ConflictUnreadable: nothing could be read of a side. The other is kept.
	ConflictUnreadable ConflictKind = "unreadable"
	// ConflictUnmerged: the merged body would break a bound of the parsers. Ours
	// is kept, or theirs where ours has no note.
	ConflictUnmerged ConflictKind = "unmerged"
)

// Conflict is one thing that a merge could not do without a loss or that
// somebody should know of.
type Conflict struct {
	Kind ConflictKind
	// ID is the receipt's id as in Receipt.ID, or the member's name; for git-ai
	// records the map and the key, for its entries path and key, with a space
	// between. It is empty where the whole body is meant.
	ID string
	// OursDigest and TheirsDigest are "sha256:<hex>" of the two contents: of
	// JSON without white space, of other text and whole bodies as they are.
	// Empty for a side that has none.
	OursDigest, TheirsDigest string
	// Dropped is the text as written that the merged body does not hold, nil
	// when it holds all. It shares memory with the bodies.
	Dropped []byte
}

// MergeBody joins two bodies of a commit's note by the rule above; a nil body
// stands for no note and a blank one for a note without parts. It returns nil
// when no note remains. The result is a side's body itself where it has that
// side's content, and otherwise a new one in the writer's layout: one document,
// the parts of ours in their order and then those that theirs added, each with
// its text byte for byte, and the newer of the two versions (numbers by value,
// a pre-release before its release, other text before all numbers, none
// first). Members of the payload that the format does not know come last.
//
// Several documents in one body are read as one; of a part that stands in a
// body twice the last text counts, as in Parse. The lines of a git-ai log are
// merged one by one by their owners, of which each side's last-owner rule leaves
// one; an entry that owns no line stays where others cover its lines. A record
// that lines refer to is not removed.
//
// Time is linear in the bodies but for the sorting of git-ai ranges, memory is
// bounded by them. Formats without a parser are joined as if unreadable. The
// result may share memory with the bodies. Concurrent calls are safe.
func MergeBody(format Format, base, ours, theirs []byte) (merged []byte, conflicts []Conflict) {
	switch {
	case sameBody(ours, theirs) || sameBody(theirs, base):
		return ours, nil
	case ours == nil && base == nil:
		return theirs, nil
	case theirs == nil && sameBody(ours, base):
		return nil, nil
	}
	m := merger{format: format, base: readSide(format, base), ours: readSide(format, ours),
		theirs: readSide(format, theirs), likeOurs: true, likeTheirs: true}
	merged = m.merge()
	return merged, m.conflicts
}

func sameBody(a, b []byte) bool {
	return (a == nil) == (b == nil) && bytes.Equal(a, b)
}

// part is a piece of a note that is merged as a whole.
type part struct {
	key  string
	text []byte
	// lines are those that a git-ai entry owns, or those that it names when it
	// is covered, which means that later entries own all of them.
	lines   []LineRange
	covered bool
}

// parts are pieces of one sort in their order, each key once.
type parts struct {
	list []part
	at   map[string]int
}

// put adds p, or replaces the part with its key; false when limit parts are
// there already.
func (ps *parts) put(p part, limit int) bool {
	if i, known := ps.at[p.key]; known {
		ps.list[i] = p
		return true
	}
	if len(ps.list) >= limit {
		return false
	}
	if ps.at == nil {
		ps.at = map[string]int{}
	}
	ps.at[p.key] = len(ps.list)
	ps.list = append(ps.list, p)
	return true
}

func (ps *parts) get(key string) (p part, known bool) {
	i, known := ps.at[key]
	if !known {
		return part{}, false
	}
	return ps.list[i], true
}

// noteParts is what a note says, read or merged.
type noteParts struct {
	// receipts are BlamePrompt receipts by id, or git-ai records by map and key.
	receipts parts
	// entries are git-ai's attested lines by path and key.
	entries parts
	// members are the other members of the payload.
	members parts
	// version is the newest version of the writer.
	version string
}

// hollow reports whether nothing stands in a note that would be missed.
func (n *noteParts) hollow() bool {
	return len(n.receipts.list) == 0 && len(n.entries.list) == 0
}

// side is one body to be merged.
type side struct {
	noteParts
	body []byte
	// damaged is set when not all of the body could be read.
	damaged bool
	// clean bodies are single documents in strict form, fit to be handed on.
	clean bool
}

func (s *side) unreadable() bool { return s.damaged && s.hollow() }

func readSide(format Format, body []byte) *side {
	s := &side{body: body}
	switch {
	case body == nil:
	case len(body) > MaxBody:
		s.damaged = true
	case format == FormatBlamePrompt:
		s.readBlamePrompt()
	case format == FormatGitAI:
		s.readGitAI()
	default:
		s.damaged = true
	}
	return s
}

// text is the body without a byte order mark.
func (s *side) text() []byte { return bytes.TrimPrefix(s.body, []byte("\uFEFF")) }

// keep adds p to ps and calls the side damaged when there is no room.
func (s *side) keep(ps *parts, p part, limit int) {
	if !ps.put(p, limit) {
		s.damaged = true
	}
}

// judge calls the side damaged when findings say that a part of it was lost.
func (s *side) judge(findings []Finding) {
	for _, f := range findings {
		switch code(f.Code) {
		case syntaxBroken, notANote, notAReceipt, tooManyReceipts, receiptConflict, entryInvalid, tooManyAttestations:
			s.damaged = true
		}
	}
}

// merger joins two sides.
type merger struct {
	format             Format
	base, ours, theirs *side
	result             noteParts
	conflicts          []Conflict
	// likeOurs and likeTheirs say that the result has the side's parts and no
	// others, each with its text.
	likeOurs, likeTheirs bool
}

func (m *merger) merge() []byte {
	switch {
	case m.theirs.unreadable():
		m.lose(ConflictUnreadable, m.theirs)
		return m.ours.body
	case m.ours.unreadable() && m.theirs.hollow():
		return m.ours.body
	}
	for _, s := range []*side{m.ours, m.theirs} {
		switch {
		case s.unreadable():
			m.lose(ConflictUnreadable, s)
		case s.damaged:
			m.lose(ConflictDamaged, s)
		}
	}
	m.unite()
	switch {
	case m.result.hollow() && (m.ours.body == nil || m.theirs.body == nil):
		return nil
	case m.likeOurs && m.ours.clean:
		return m.ours.body
	case m.likeTheirs && m.theirs.clean:
		return m.theirs.body
	}
	return m.written()
}

// lose reports that the body of s is not handed on as it is.
func (m *merger) lose(kind ConflictKind, s *side) {
	c := m.bodies(kind)
	c.Dropped = s.body
	m.conflicts = append(m.conflicts, c)
}

// bodies is a conflict about the whole note.
func (m *merger) bodies(kind ConflictKind) Conflict {
	c := Conflict{Kind: kind}
	if m.ours.body != nil {
		c.OursDigest = hashID(m.ours.body)
	}
	if m.theirs.body != nil {
		c.TheirsDigest = hashID(m.theirs.body)
	}
	return c
}

// unite merges the parts of all sorts.
func (m *merger) unite() {
	m.uniteLines()
	records := sortOfPart{diverged: ConflictTampered, rewritten: ConflictRewritten, needed: m.attested()}
	m.result.receipts = m.union(records, &m.base.receipts, &m.ours.receipts, &m.theirs.receipts)
	members := sortOfPart{diverged: ConflictDiverged, needed: m.standing()}
	m.result.members = m.union(members, &m.base.members, &m.ours.members, &m.theirs.members)
	m.result.version = newerVersion(m.ours.version, m.theirs.version)
	m.likeOurs = m.likeOurs && m.result.version == m.ours.version
	m.likeTheirs = m.likeTheirs && m.result.version == m.theirs.version
}

// standing are the members that no absent or blank side removes: it takes the
// parts out of a note, not what the note says about the others.
func (m *merger) standing() map[string]bool {
	needed := map[string]bool{}
	for _, s := range []*side{m.ours, m.theirs} {
		if len(bytes.TrimSpace(s.text())) > 0 {
			continue
		}
		for _, p := range m.base.members.list {
			needed[p.key] = true
		}
	}
	return needed
}

func jsonDigest(text []byte) string { return hashID(appendSafe(nil, text)) }

// sortOfPart is how the parts of one sort are reported and kept.
type sortOfPart struct {
	// diverged is what a change on both sides is called, rewritten one on theirs
	// alone; empty when that is no news.
	diverged, rewritten ConflictKind
	// needed are keys whose parts stay although a side lacks them.
	needed map[string]bool
}

// union merges the parts of one sort.
func (m *merger) union(sort sortOfPart, base, ours, theirs *parts) parts {
	var out parts
	limit := len(ours.list) + len(theirs.list)
	for _, p := range ours.list {
		other, both := theirs.get(p.key)
		switch {
		case both:
			out.put(m.choose(sort, base, p, other), limit)
		case m.staysAlone(sort, base, p, m.theirs, &m.likeOurs, &m.likeTheirs):
			out.put(p, limit)
		}
	}
	for _, p := range theirs.list {
		if _, both := ours.get(p.key); !both && m.staysAlone(sort, base, p, m.ours, &m.likeTheirs, &m.likeOurs) {
			out.put(p, limit)
		}
	}
	return out
}

// choose decides between the two states of a part.
func (m *merger) choose(sort sortOfPart, base *parts, ours, theirs part) part {
	was, had := base.get(ours.key)
	switch {
	case sameJSON(ours.text, theirs.text):
		m.likeTheirs = m.likeTheirs && bytes.Equal(ours.text, theirs.text)
		return ours
	case had && sameJSON(was.text, theirs.text):
		m.likeTheirs = false
		return ours
	case had && sameJSON(was.text, ours.text):
		m.likeOurs = false
		m.tell(sort.rewritten, &ours, &theirs, ours.text)
		return theirs
	}
	m.likeTheirs = false
	m.tell(sort.diverged, &ours, &theirs, theirs.text)
	return ours
}

// staysAlone decides about a part that one side has and the other lacks.
// likeOne and likeOther are the flags of the two.
func (m *merger) staysAlone(sort sortOfPart, base *parts, p part, other *side, likeOne, likeOther *bool) bool {
	was, had := base.get(p.key)
	removed := had && !other.damaged && !sort.needed[p.key]
	if removed && sameJSON(was.text, p.text) {
		*likeOne = false
		return false
	}
	*likeOther = false
	switch {
	case removed && other == m.ours:
		m.tell(ConflictRestored, nil, &p, nil)
	case removed:
		m.tell(ConflictRestored, &p, nil, nil)
	}
	return true
}

// tell reports what happened to a part that ours, theirs or both have.
func (m *merger) tell(kind ConflictKind, ours, theirs *part, dropped []byte) {
	if kind == "" {
		return
	}
	c := Conflict{Kind: kind, Dropped: dropped}
	if theirs != nil {
		c.ID, c.TheirsDigest = theirs.name(), jsonDigest(theirs.text)
	}
	if ours != nil {
		c.ID, c.OursDigest = ours.name(), jsonDigest(ours.text)
	}
	m.conflicts = append(m.conflicts, c)
}

func (p *part) name() string { return strings.ReplaceAll(p.key, keyBreak, " ") }

// keyBreak stands between the pieces of a key, which are free of it.
const keyBreak = "\x00"

// written lays the result out and reads it again: a body that would not say
// what it should is never handed on.
func (m *merger) written() []byte {
	var body []byte
	if m.format == FormatGitAI {
		body = m.writeGitAI()
	} else {
		body = m.writeBlamePrompt()
	}
	if back := readSide(m.format, body); !back.damaged && back.holds(&m.result) {
		return body
	}
	c := m.bodies(ConflictUnmerged)
	kept := m.ours.body
	if c.Dropped = m.theirs.body; kept == nil {
		kept, c.Dropped = m.theirs.body, nil
	}
	m.conflicts = []Conflict{c}
	return kept
}

// holds reports whether the keys of n are those of the side.
func (s *side) holds(n *noteParts) bool {
	return sameKeys(&s.receipts, &n.receipts) && sameKeys(&s.entries, &n.entries)
}

func sameKeys(a, b *parts) bool {
	if len(a.list) != len(b.list) {
		return false
	}
	for _, p := range a.list {
		if _, known := b.at[p.key]; !known {
			return false
		}
	}
	return true
}

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

// layout writes JSON as the clients do: two spaces for each level.
type layout struct {
	out   []byte
	depth int
	// filled is set when the open object or array has something in it.
	filled bool
}

func (w *layout) open(bracket byte) {
	w.out = append(w.out, bracket)
	w.depth++
	w.filled = false
}

func (w *layout) close(bracket byte) {
	w.depth--
	if w.filled {
		w.line()
	}
	w.out = append(w.out, bracket)
	w.filled = true
}

// item begins the next element on a line of its own.
func (w *layout) item() {
	if w.filled {
		w.out = append(w.out, ',')
	}
	w.filled = true
	w.line()
}

func (w *layout) member(name string) {
	w.item()
	clean, _ := cleanText([]byte(name))
	w.out = append(appendQuoted(w.out, clean), ": "...)
}

func (w *layout) line() {
	w.out = append(w.out, '\n')
	for range w.depth {
		w.out = append(w.out, "  "...)
	}
}

// readGitAI reads one log after the other, as Parse does.
func (s *side) readGitAI() {
	g := &gitAI{reader: reader{s: scanner{text: s.text()}}, byPath: map[string]int{}}
	for n := 0; ; n++ {
		divided := g.attestations()
		g.dropPending()
		g.current = nil
		g.s.space()
		if g.s.pos >= len(g.s.text) {
			s.damaged = s.damaged || len(bytes.TrimSpace(g.s.text)) > 0
			break
		}
		start := g.s.pos
		if err := s.metadata(&g.s); err != nil {
			s.damaged = true
			break
		}
		s.clean = n == 0 && divided && isStrict(g.s.text[start:g.s.pos])
		g.s.space()
		if g.s.pos >= len(g.s.text) {
			break
		}
	}
	s.judge(g.findings)
	for _, f := range g.files {
		s.attest(f)
	}
	s.clean = s.clean && !s.damaged
}

// metadata reads the JSON object at the cursor.
func (s *side) metadata(sc *scanner) error {
	if sc.text[sc.pos] != '{' {
		return sc.unexpected("the metadata object")
	}
	return sc.members(func(key []byte) error {
		name := string(key)
		isMap := slices.Contains(gitAIMaps, name)
		if isMap && sc.space() == '{' {
			return s.records(sc, name)
		}
		v, err := sc.value()
		switch {
		case err != nil:
			return err
		case isMap:
			s.damaged = s.damaged || v.kind != kindNull
		case name == "git_ai_version":
			s.version = newerVersion(s.version, versionText(v))
		default:
			s.keep(&s.members, part{key: name, text: v.raw}, maxMembers)
		}
		return nil
	})
}

// gitAIMaps are the maps of records in the order in which git-ai writes them.
var gitAIMaps = []string{"prompts", "humans", "sessions"}

func (s *side) records(sc *scanner, name string) error {
	return sc.members(func(raw []byte) error {
		key, _ := cleanText(raw)
		v, err := sc.value()
		if err != nil {
			return err
		}
		p := part{key: name + keyBreak + key, text: v.raw}
		if was, known := s.receipts.get(p.key); known && !sameJSON(was.text, p.text) {
			s.damaged = true
		}
		s.keep(&s.receipts, p, maxReceipts)
		return nil
	})
}

// attest keeps the entries of a file: for each key the lines that it owns, or
// those that it names when other entries own them all.
func (s *side) attest(f *attestedFile) {
	named := make([][]claim, len(f.keys))
	for _, c := range f.claims {
		named[c.key] = append(named[c.key], c)
	}
	owned := make([][]LineRange, len(f.keys))
	for _, c := range owners(f.claims) {
		owned[c.key] = append(owned[c.key], c.LineRange)
	}
	for i, key := range f.keys {
		p := part{key: f.path + keyBreak + key, lines: owned[i]}
		if len(p.lines) == 0 && len(named[i]) > 0 {
			p.covered = true
			for _, c := range owners(named[i]) {
				p.lines = append(p.lines, c.LineRange)
			}
		}
		if len(p.lines) > 0 {
			p.text = appendRanges(nil, p.lines)
			s.keep(&s.entries, p, maxEntries)
		}
	}
}

func appendRanges(out []byte, lines []LineRange) []byte {
	for i, r := range lines {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(r.First), 10)
		if r.Last > r.First {
			out = strconv.AppendUint(append(out, '-'), uint64(r.Last), 10)
		}
	}
	return out
}

// attested are the keys that the records of the merged entries can have: a
// record stays as long as lines refer to it.
func (m *merger) attested() map[string]bool {
	needed := map[string]bool{}
	for _, p := range m.result.entries.list {
		_, key, _ := strings.Cut(p.key, keyBreak)
		for _, name := range gitAIMaps {
			needed[name+keyBreak+recordKey(key)] = true
		}
	}
	return needed
}

// mergedFile is the merged entries of one path.
type mergedFile struct {
	path    string
	entries []part
}

// files are the merged entries by path, covered ones first, so that the others
// own their lines.
func (m *merger) files() []mergedFile {
	paths, entries := m.result.entries.byPath()
	out := make([]mergedFile, len(paths))
	for i, path := range paths {
		out[i] = mergedFile{path, entries[path]}
		slices.SortStableFunc(out[i].entries, func(a, b part) int {
			switch {
			case a.covered == b.covered:
				return 0
			case a.covered:
				return -1
			}
			return 1
		})
	}
	return out
}

// byPath groups entries; paths are in order of appearance.
func (ps *parts) byPath() (paths []string, entries map[string][]part) {
	entries = map[string][]part{}
	for _, p := range ps.list {
		path, _, _ := strings.Cut(p.key, keyBreak)
		if entries[path] == nil {
			paths = append(paths, path)
		}
		entries[path] = append(entries[path], p)
	}
	return paths, entries
}

// uniteLines merges the entries of all paths.
func (m *merger) uniteLines() {
	_, base := m.base.entries.byPath()
	paths, ours := m.ours.entries.byPath()
	more, theirs := m.theirs.entries.byPath()
	for _, path := range append(paths, more...) {
		m.uniteFile(newFileMerge(base[path], ours[path], theirs[path]))
		// A path of both sides comes twice.
		delete(ours, path)
		delete(theirs, path)
	}
	m.likeOurs = m.likeOurs && sameEntries(&m.result.entries, &m.ours.entries)
	m.likeTheirs = m.likeTheirs && sameEntries(&m.result.entries, &m.theirs.entries)
}

func sameEntries(a, b *parts) bool {
	if len(a.list) != len(b.list) {
		return false
	}
	for _, p := range a.list {
		if q, known := b.get(p.key); !known || p.covered != q.covered || !bytes.Equal(p.text, q.text) {
			return false
		}
	}
	return true
}

// fileMerge merges the lines of one path.
type fileMerge struct {
	base, ours, theirs []part
	// ids number the keys of the entries.
	ids map[string]int
	// lines are the merged lines of each key, taken those that any key owns.
	lines [][]LineRange
	taken []LineRange
	// contested are the keys of theirs that lost a line to ours.
	contested map[int]bool
}

func newFileMerge(base, ours, theirs []part) *fileMerge {
	f := &fileMerge{base: base, ours: ours, theirs: theirs, ids: map[string]int{}, contested: map[int]bool{}}
	for _, entries := range [][]part{base, ours, theirs} {
		for _, p := range entries {
			if _, known := f.ids[p.key]; !known {
				f.ids[p.key] = len(f.ids)
			}
		}
	}
	return f
}

// uniteFile puts the entries of a path into the result: those that own lines,
// and those that others cover unless a side removed them.
func (m *merger) uniteFile(f *fileMerge) {
	f.own(m.ours.damaged, m.theirs.damaged)
	for _, p := range f.ours {
		m.putEntry(f, p, m.theirs)
	}
	for _, p := range f.theirs {
		if f.contested[f.ids[p.key]] {
			m.conflicts = append(m.conflicts, Conflict{Kind: ConflictContested, ID: p.name(),
				TheirsDigest: hashID(p.text), Dropped: p.text})
		}
		if _, put := m.result.entries.get(p.key); !put {
			m.putEntry(f, p, m.ours)
		}
	}
}

// putEntry puts an entry of one side into the result.
func (m *merger) putEntry(f *fileMerge, p part, other *side) {
	lines := f.lines[f.ids[p.key]]
	p.covered = len(lines) == 0
	if p.covered && !m.removes(other, p) {
		lines = common(p.lines, f.taken)
	}
	if len(lines) > 0 {
		p.lines, p.text = lines, appendRanges(nil, lines)
		m.result.entries.put(p, 2*maxEntries)
	}
}

// removes reports whether a side removed an entry that base has.
func (m *merger) removes(s *side, p part) bool {
	_, had := m.base.entries.get(p.key)
	_, has := s.entries.get(p.key)
	return had && !has && !s.damaged
}

// own gives each line its owner. A damaged side in which a line has none is
// taken not to have changed it.
func (f *fileMerge) own(oursDamaged, theirsDamaged bool) {
	base, ours, theirs := f.claims(f.base), f.claims(f.ours), f.claims(f.theirs)
	var borders []uint32
	for _, claims := range [][]claim{base, ours, theirs} {
		for _, c := range claims {
			borders = append(borders, c.First, c.Last+1)
		}
	}
	slices.Sort(borders)
	borders = slices.Compact(borders)
	var owned []claim
	for i := 1; i < len(borders); i++ {
		r := LineRange{borders[i-1], borders[i] - 1}
		was, our, their := ownerOf(&base, r), ownerOf(&ours, r), ownerOf(&theirs, r)
		if our == unowned && oursDamaged {
			our = was
		}
		if their == unowned && theirsDamaged {
			their = was
		}
		if key := f.owner(was, our, their); key != unowned {
			owned = append(owned, claim{r, key})
		}
	}
	f.lines = make([][]LineRange, len(f.ids))
	for _, c := range joined(owned) {
		f.lines[c.key] = append(f.lines[c.key], c.LineRange)
		f.taken = append(f.taken, c.LineRange)
	}
}

// owner decides about lines by their owners.
func (f *fileMerge) owner(was, our, their int) int {
	switch {
	case our == their || their == was:
		return our
	case our == was || our == unowned:
		return their
	case their != unowned:
		f.contested[their] = true
	}
	return our
}

// claims are the lines of entries that own some, ascending.
func (f *fileMerge) claims(entries []part) []claim {
	var out []claim
	for _, p := range entries {
		if p.covered {
			continue
		}
		for _, r := range p.lines {
			out = append(out, claim{r, f.ids[p.key]})
		}
	}
	slices.SortFunc(out, func(a, b claim) int { return cmp.Compare(a.First, b.First) })
	return out
}

// ownerOf is the key that claims r, which no border of claims cuts. It drops
// the claims before r.
func ownerOf(claims *[]claim, r LineRange) int {
	for len(*claims) > 0 && (*claims)[0].Last < r.First {
		*claims = (*claims)[1:]
	}
	if len(*claims) == 0 || (*claims)[0].First > r.First {
		return unowned
	}
	return (*claims)[0].key
}

// common are the lines that are in both a and b, which are ascending.
func common(a, b []LineRange) []LineRange {
	var out []claim
	for len(a) > 0 && len(b) > 0 {
		first, last := max(a[0].First, b[0].First), min(a[0].Last, b[0].Last)
		if first <= last {
			out = append(out, claim{LineRange{first, last}, 0})
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	var lines []LineRange
	for _, c := range joined(out) {
		lines = append(lines, c.LineRange)
	}
	return lines
}

func (m *merger) writeGitAI() []byte {
	w := layout{out: make([]byte, 0, len(m.ours.body)+len(m.theirs.body)+64)}
	for _, f := range m.files() {
		w.out = append(appendPath(w.out, f.path), '\n')
		for _, p := range f.entries {
			_, key, _ := strings.Cut(p.key, keyBreak)
			w.out = append(append(w.out, "  "...), key...)
			w.out = append(append(append(w.out, ' '), p.text...), '\n')
		}
	}
	w.out = append(w.out, "---\n"...)
	m.writeMetadata(&w)
	return append(w.out, '\n')
}

// appendPath quotes a path that would be read as something else.
func appendPath(out []byte, path string) []byte {
	quoted := len(path) > 2 && path[0] == '"' && path[len(path)-1] == '"'
	if !quoted && path != "---" && !strings.HasPrefix(path, "{") && !strings.ContainsAny(path, " \t\r") {
		return append(out, path...)
	}
	return append(append(append(out, '"'), path...), '"')
}

func (m *merger) writeMetadata(w *layout) {
	m.result.members.put(part{key: "schema_version", text: m.schema()}, maxMembers)
	w.open('{')
	m.writeMember(w, "schema_version")
	if m.result.version != "" {
		w.member("git_ai_version")
		w.out = appendQuoted(w.out, m.result.version)
	}
	m.writeMember(w, "base_commit_sha")
	for _, name := range gitAIMaps {
		m.writeRecords(w, name)
	}
	m.writeOthers(w, "schema_version", "base_commit_sha")
	w.close('}')
}

// schema is the merged schema_version; sides that lost theirs had the only one.
func (m *merger) schema() []byte {
	if p, known := m.result.members.get("schema_version"); known {
		return p.text
	}
	return appendQuoted(nil, gitAISchema)
}

// writeRecords writes a map of records; prompts even when it is empty, since
// the reference parser wants it.
func (m *merger) writeRecords(w *layout, name string) {
	var records []part
	for _, p := range m.result.receipts.list {
		if key, mine := strings.CutPrefix(p.key, name+keyBreak); mine {
			records = append(records, part{key: key, text: m.strict(p)})
		}
	}
	if len(records) == 0 && name != "prompts" {
		return
	}
	w.member(name)
	w.open('{')
	for _, r := range records {
		w.member(r.key)
		w.out = append(w.out, r.text...)
	}
	w.close('}')
}

// newerVersion is the later of two versions in a total order.
func newerVersion(a, b string) string {
	if compareVersions(a, b) < 0 {
		return b
	}
	return a
}

// compareVersions orders versions as semantic versioning does, with any count
// of numbers. A build name before a colon ("development:1.2.3") does not count
// but between equal numbers; text that is no version stands before all that are.
func compareVersions(a, b string) int {
	coreA, preA, okA := splitVersion(a)
	coreB, preB, okB := splitVersion(b)
	if okA != okB {
		if okA {
			return 1
		}
		return -1
	}
	if !okA {
		return strings.Compare(a, b)
	}
	pre := compareDotted(preA, preB)
	if (preA == "") != (preB == "") {
		pre = -pre
	}
	return cmp.Or(compareDotted(coreA, coreB), pre, strings.Compare(a, b))
}

// splitVersion takes a version apart into its numbers and its pre-release.
func splitVersion(version string) (core, pre string, ok bool) {
	version, _, _ = strings.Cut(version[strings.LastIndexByte(version, ':')+1:], "+")
	core, pre, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for number := range strings.SplitSeq(core, ".") {
		if number == "" || digitRun([]byte(number)) != len(number) {
			return "", "", false
		}
	}
	return core, pre, true
}

// compareDotted compares identifiers between dots: numbers by value and before
// text, fewer identifiers before more.
func compareDotted(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareIdentifiers(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareIdentifiers(a, b string) int {
	numberA, numberB := digitRun([]byte(a)) == len(a), digitRun([]byte(b)) == len(b)
	switch {
	case numberA && numberB:
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case numberA:
		return -1
	case numberB:
		return 1
	}
	return strings.Compare(a, b)
}
