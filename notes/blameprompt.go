package notes

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// maxNesting is how deep payloads may stand in each other's receipts, which
// happens when a note that was cut off is joined with a whole one.
const maxNesting = 4

// costOfTry is what a failed search for a receipt takes from the budget beside
// the bytes that it read.
const costOfTry = 64

// blamePrompt reads BlamePrompt payloads: {"blameprompt_version", "receipts"},
// a bare array of receipts, or one receipt, and any number of them in a row.
type blamePrompt struct {
	reader
	note  Note
	lines lineCounter
	// byID is the position of each receipt id, raws the text of each receipt.
	byID map[string]int
	raws [][]byte
	// extra are the members of payloads that no field takes.
	extra  []member
	files  int
	drafts [maxNesting + 1]draft

	// nesting is how deep payloads may stand in each other, budget how many
	// bytes may still be read in vain behind a syntax error.
	nesting, budget int
	// broken is where the receipt began in which a syntax error stands, or -1.
	broken int
	// items is what became of each element of an array of receipts; kept for
	// ParseReceipts alone.
	items    []Item
	itemised bool
	// repo and commit are an upload's envelope.
	repo, commit string
}

// outcome is what an object turned out to be; a payload is listed when it has
// an array of receipts.
type outcome struct {
	payload, listed bool
	item            Item
}

func newBlamePrompt(body []byte) *blamePrompt {
	return &blamePrompt{
		reader:  reader{s: scanner{text: body}},
		note:    Note{Format: FormatBlamePrompt},
		nesting: maxNesting,
		budget:  4 * len(body),
		broken:  -1,
	}
}

func parseBlamePrompt(body []byte) Note {
	p := newBlamePrompt(bytes.TrimPrefix(body, []byte("\uFEFF")))
	p.documents()
	return p.finish()
}

func (p *blamePrompt) finish() Note {
	o := object{at: place{index: -1}}
	p.rest = p.extra
	p.note.Detail = p.detail(&o)
	p.name("")
	p.note.Findings = p.close()
	return p.note
}

// documents reads one JSON document after the other.
func (p *blamePrompt) documents() {
	for n := 1; ; n++ {
		p.s.space()
		if p.s.pos >= len(p.s.text) {
			p.concludeDocuments(n - 1)
			return
		}
		at := place{index: -1}
		if n > 1 {
			at.line = p.lines.at(p.s.text, p.s.pos)
		}
		start := p.s.pos
		if payload, err := p.document(at); err != nil {
			p.salvage(start, payload, err)
		}
	}
}

func (p *blamePrompt) concludeDocuments(n int) {
	at := place{index: -1}
	switch {
	case n == 0:
		p.add(emptyNote, at, "", "the note is empty.")
	case n > 1:
		p.add(severalDocuments, at, "", "the note holds %d parts in a row; each was read.", n)
	}
	p.name("")
}

// document reads the JSON document at the cursor and reports whether it holds
// receipts of its own.
func (p *blamePrompt) document(at place) (payload bool, err error) {
	switch p.s.text[p.s.pos] {
	case '{':
		out, err := p.object(at, 0, false)
		return out.payload, err
	case '[':
		return true, p.list(at, 1)
	}
	v, err := p.s.value()
	if err == nil {
		p.add(notANote, at, "", "%s stands where a payload was expected.", article(v.kind))
		p.name("")
	}
	return false, err
}

// list reads the array of receipts at the cursor.
func (p *blamePrompt) list(at place, depth int) error {
	return p.s.elements(func(i int) error {
		if p.itemised && i == maxReceipts {
			return p.s.fail("more than %d receipts in one body", maxReceipts)
		}
		start := p.s.pos
		at.index = i
		out, err := p.element(at, depth)
		if err != nil && p.broken < 0 {
			p.broken = start
		}
		if err == nil && p.itemised {
			p.items = append(p.items, out.item)
		}
		return err
	})
}

func (p *blamePrompt) element(at place, depth int) (outcome, error) {
	if p.s.pos < len(p.s.text) && p.s.text[p.s.pos] == '{' {
		return p.object(at, depth, false)
	}
	v, err := p.s.value()
	if err != nil {
		return outcome{}, err
	}
	return p.reject(at, article(v.kind)+" stands where a receipt was expected"), nil
}

// reject records an element that is no receipt.
func (p *blamePrompt) reject(at place, why string) outcome {
	p.add(notAReceipt, at, "", "%s; it was left out.", why)
	p.name("")
	return outcome{item: Item{Receipt: -1, Err: why}}
}

// object reads the object at the cursor, which is a payload, a receipt or
// neither; quiet lets the last pass without a finding.
func (p *blamePrompt) object(at place, depth int, quiet bool) (outcome, error) {
	start := p.s.pos
	o := object{at: at, restFrom: len(p.rest)}
	d := p.draft(depth)
	var out outcome
	err := p.s.members(func(key []byte) error {
		if f, ok := receiptFields[string(key)]; ok {
			return p.receiptMember(&o, d, f)
		}
		if depth < p.nesting && string(key) == "receipts" && p.s.space() == '[' {
			out.payload, out.listed = true, true
			return p.receipts(at, depth)
		}
		v, err := p.s.value()
		if err == nil {
			out.payload = p.otherMember(&o, string(key), v, depth) || out.payload
		}
		return err
	})
	defer func() { p.rest = p.rest[:o.restFrom] }()
	if err != nil {
		p.name("")
		return out, err
	}
	switch {
	case out.payload:
		p.payload(&o, out.listed)
		return out, nil
	case d.isReceipt(quiet):
		return p.receipt(&o, d, p.s.text[start:p.s.pos]), nil
	case quiet:
		return outcome{}, nil
	}
	return p.reject(at, "an object has no field of a receipt"), nil
}

// draft returns an empty draft; one serves all objects of a depth in turn.
func (p *blamePrompt) draft(depth int) *draft {
	d := &p.drafts[depth]
	if d.present != 0 {
		*d = draft{}
	}
	return d
}

func (p *blamePrompt) receipts(at place, depth int) error {
	return p.list(place{line: at.line, pointer: place{pointer: at.pointer, index: at.index}.at("receipts")}, depth+1)
}

func (p *blamePrompt) receiptMember(o *object, d *draft, f receiptField) error {
	v, err := p.s.value()
	if err != nil {
		return err
	}
	if d.present&f.bit != 0 {
		p.add(duplicateKey, o.at, f.name, "%s stands twice; the last value is kept.", f.name)
	}
	d.present |= f.bit
	if v.kind != kindNull {
		d.filled |= f.bit
	}
	f.read(p, o, d, v)
	return nil
}

// otherMember keeps a member that is no receipt field and reports whether it
// marks a payload.
func (p *blamePrompt) otherMember(o *object, key string, v value, depth int) (payload bool) {
	if depth >= p.nesting {
		p.keep(o, key, v)
		return false
	}
	switch key {
	case "blameprompt_version":
		p.note.FormatVersion = p.text(o, key, v, maxName)
		return true
	case "receipts", "file_mappings", "code_origin":
		p.keep(o, key, v)
		return true
	}
	p.keep(o, key, v)
	return false
}

// payload closes a payload whose receipts have been read.
func (p *blamePrompt) payload(o *object, listed bool) {
	if !listed {
		p.add(receiptsMissing, o.at, "receipts", "a payload has no array of receipts.")
	}
	p.name("")
	for _, m := range p.rest[o.restFrom:] {
		if m.value.kind == kindString && m.key == "repo" {
			p.repo = p.text(o, m.key, m.value, maxPath)
		}
		if m.value.kind == kindString && m.key == "commit_hash" {
			p.commit = strings.ToLower(p.text(o, m.key, m.value, maxName))
		}
	}
	p.extra = append(p.extra, p.rest[o.restFrom:]...)
	p.extra = p.extra[:min(len(p.extra), maxMembers)]
}

// isReceipt asks for one telling field, or for an id and another one where an
// object was found by searching.
func (d *draft) isReceipt(searched bool) bool {
	telling := d.present & tellingBits
	if searched {
		return telling&receiptFields["id"].bit != 0 && bits.OnesCount64(telling) > 1
	}
	return telling != 0
}

var tellingBits, requiredBits = func() (telling, required uint64) {
	for _, f := range receiptFields {
		if f.telling {
			telling |= f.bit
		}
		if f.required {
			required |= f.bit
		}
	}
	return telling, required
}()

// receipt completes a receipt and puts it into the note.
func (p *blamePrompt) receipt(o *object, d *draft, raw []byte) outcome {
	if d.ID == "" {
		d.ID = hashID(appendSafe(nil, raw))
		p.add(idMissing, o.at, "id", "the receipt has no id; the hash of its text stands for it.")
	}
	if lacking := requiredBits &^ d.filled &^ receiptFields["id"].bit; lacking != 0 {
		p.add(fieldMissing, o.at, "", "the receipt lacks what every client writes: %s.", fieldSet(lacking))
	}
	p.legacyFile(o, d)
	d.UserName, d.UserEmail = splitUser(d.User)
	d.Detail = p.detail(o)
	out := p.place(o, d, raw)
	p.name(d.ID)
	return out
}

// fieldSet is a set of bits of receiptFields.
type fieldSet uint64

// String lists the fields' names in the order of receiptFields.
func (set fieldSet) String() string {
	names := make([]string, 0, len(receiptFields))
	for name, f := range receiptFields {
		if uint64(set)&f.bit != 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(receiptFields[a].bit, receiptFields[b].bit) })
	return strings.Join(names, ", ")
}

// place puts a receipt at the end of the note, or in the place of an earlier
// one with its id: the position is the first's, the content the last's, as the
// last document is the one that was joined on.
func (p *blamePrompt) place(o *object, d *draft, raw []byte) outcome {
	if p.byID == nil {
		p.byID = map[string]int{}
	}
	at, seen := p.byID[d.ID]
	if !seen && len(p.note.Receipts) == maxReceipts {
		p.add(tooManyReceipts, o.at, "", "the note holds more than %d receipts; this one was left out.", maxReceipts)
		return outcome{item: Item{Receipt: -1, Err: "too many receipts in one body"}}
	}
	if !seen {
		at = len(p.note.Receipts)
		p.byID[d.ID] = at
		d.Index = at
		if at == 0 {
			// Receipts are big: a guess at their number saves most of the growth.
			p.note.Receipts = make([]Receipt, 0, min(1+len(p.s.text)/1024, 64))
		}
		p.note.Receipts = append(p.note.Receipts, d.Receipt)
		p.raws = append(p.raws, raw)
		return outcome{item: Item{Receipt: at}}
	}
	if sameJSON(p.raws[at], raw) {
		p.add(duplicateReceipt, o.at, "", "the receipt stands in the note twice with the same content.")
	} else {
		p.add(receiptConflict, o.at, "", "the receipt's id stands in the note with other content; the last one is kept.")
	}
	d.Index = at
	p.note.Receipts[at], p.raws[at] = d.Receipt, raw
	return outcome{item: Item{Receipt: at, Duplicate: true}}
}

// salvage records a syntax error in the document that began at start, and looks
// behind it for objects that begin a line and are receipts or payloads. A whole
// payload leads back to documents.
func (p *blamePrompt) salvage(start int, payload bool, err error) {
	text := p.s.text
	broken := brokenAt(err)
	at := place{line: p.lines.at(text, broken), index: -1}
	p.add(syntaxBroken, at, "", "column %d: %s. What was read before is kept, and receipts that begin a line behind it.",
		columnAt(text, broken), err)
	p.name("")
	p.budget -= broken - start
	from := p.resume(start, payload, err)
	for p.budget > 0 {
		p.s.pos = nextObject(text, from)
		if p.s.pos == len(text) {
			return
		}
		start = p.s.pos
		out, err := p.object(place{line: p.lines.at(text, start), index: -1}, 0, true)
		switch {
		case err != nil:
			p.budget -= brokenAt(err) - start + costOfTry
			from = p.resume(start, out.payload, err)
		case out.payload:
			return
		default:
			from = p.s.pos
		}
	}
	p.s.pos = len(text)
}

// resume is where to look for receipts after err broke the object that began
// at start: behind the receipt that it broke, or where the payload broke off;
// in what is no payload, behind the first line.
func (p *blamePrompt) resume(start int, payload bool, err error) int {
	element := p.broken
	p.broken = -1
	switch {
	case element >= 0:
		return nextLine(p.s.text, element)
	case payload:
		return brokenAt(err)
	}
	return nextLine(p.s.text, start)
}

// brokenAt is the position of an error of the scanner; it returns no others.
func brokenAt(err error) int { return err.(*syntaxError).pos }

// nextLine is the position behind the next line break.
func nextLine(text []byte, from int) int {
	if i := bytes.IndexByte(text[from:], '\n'); i >= 0 {
		return from + i + 1
	}
	return len(text)
}

// nextObject is the position of the next brace that begins a line, or stands
// at from itself.
func nextObject(text []byte, from int) int {
	for from < len(text) {
		s := scanner{text: text, pos: from}
		if s.space() == '{' {
			return s.pos
		}
		from = nextLine(text, s.pos)
	}
	return len(text)
}
