package notes

import (
	"bytes"
	"slices"
	"strings"
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
