package notes

import (
	"bytes"
	"strings"
)

// The bounds of the attestation part of one note.
const (
	maxEntries = 50_000
	maxRanges  = 1_000_000
)

// gitAISchema is the only schema that git-ai ever wrote into notes.
const gitAISchema = "authorship/3.0.0"

// literalHuman is a key that old clients wrote for human lines.
const literalHuman = "human"

// gitAI reads authorship logs: an attestation part of paths and their entries,
// a line "---", and JSON metadata with the records behind the entries' keys.
type gitAI struct {
	reader
	note   Note
	commit string
	lines  lineCounter

	// files are the attested files in order of appearance, byPath their positions.
	files  []*attestedFile
	byPath map[string]int
	// current is the file that entries go to; pending is a path line that has
	// no entry yet, from line pendingLine.
	current     *attestedFile
	pending     []byte
	pendingLine int
	entries     int
	ranges      int
	// full is set when a bound of the attestation part is reached.
	full bool
	// divider is the position of the next line "---", the text's end for none.
	divider int

	// records are the positions of receipts by record key.
	records map[string]int
	// raws are the texts of the receipts' records, nil for dangling keys.
	raws [][]byte
	// authors are the names of known humans by key.
	authors map[string]string
	// extra are members of the metadata that no field takes.
	extra []member
}

// attestedFile is one path with its entries' keys and claims.
type attestedFile struct {
	path  string
	line  int
	keys  []string
	byKey map[string]int
	// claims stand in the order of the note: a later one wins.
	claims []claim
}

// claim says that a range of lines belongs to an entry, by its position in
// attestedFile.keys.
type claim struct {
	LineRange
	key int
}

func parseGitAI(commit string, body []byte) Note {
	g := &gitAI{
		reader:  reader{s: scanner{text: bytes.TrimPrefix(body, []byte("\uFEFF"))}},
		note:    Note{Format: FormatGitAI},
		commit:  commit,
		byPath:  map[string]int{},
		records: map[string]int{},
		authors: map[string]string{},
	}
	g.sections()
	g.attest()
	g.conclude()
	return g.note
}

// sections reads one log after the other; more than one stand in a note when
// git joined two with its union strategy.
func (g *gitAI) sections() {
	for n := 1; ; n++ {
		divided := g.attestations()
		g.dropPending()
		g.current = nil
		g.s.space()
		switch {
		case g.s.pos >= len(g.s.text):
			g.missing(divided, n)
			return
		case !divided:
			g.addOnce(dividerMissing, g.here(), "", "no line --- stands before the metadata; they were read where they begin.")
		}
		if n == 2 {
			g.add(severalDocuments, g.here(), "", "the note holds several logs in a row; each was read, later ones win.")
		}
		g.name("")
		if err := g.metadata(); err != nil {
			g.breakOff(err)
			return
		}
		g.s.space()
		if g.s.pos >= len(g.s.text) {
			return
		}
	}
}

// here is the place of the line at the cursor.
func (g *gitAI) here() place {
	return place{line: g.lines.at(g.s.text, g.s.pos), index: -1}
}

// missing records that the text ended where metadata were expected.
func (g *gitAI) missing(divided bool, n int) {
	switch {
	case n == 1 && len(bytes.TrimSpace(g.s.text)) == 0:
		g.add(emptyNote, g.here(), "", "the note is empty.")
	case divided:
		g.add(metadataMissing, g.here(), "", "no metadata stand behind the line ---; the attested lines are kept.")
	default:
		g.add(dividerMissing, g.here(), "", "the note has no line --- and no metadata; the attested lines are kept.")
	}
	g.name("")
}

// breakOff records metadata that are not JSON.
func (g *gitAI) breakOff(err error) {
	g.rest = g.rest[:0]
	g.s.pos = brokenAt(err)
	g.add(syntaxBroken, g.here(), "", "column %d: %s. Attested lines and the records before it are kept, the rest is not.",
		columnAt(g.s.text, g.s.pos), err)
	g.name("")
	g.s.pos = len(g.s.text)
}

// attestations reads lines up to the divider and reports whether there is one.
// Without it the metadata begin at the first line that begins with a brace; with
// it such a line is a path like any other.
func (g *gitAI) attestations() (divided bool) {
	g.findDivider()
	for g.s.pos < len(g.s.text) {
		start := g.s.pos
		// Asked before the line's end is looked for, which may be far away.
		if g.divider == len(g.s.text) && g.s.text[start] == '{' {
			return false
		}
		line, end := g.lineAt(start)
		g.s.pos = end
		switch {
		case string(line) == "---":
			return true
		case len(line) == 0:
		case bytes.HasPrefix(line, []byte("  ")):
			g.entry(line[2:], start)
		default:
			g.dropPending()
			g.current = nil
			g.pending, g.pendingLine = line, g.lines.at(g.s.text, start)
		}
	}
	return false
}

// findDivider moves divider to the first line "---" at or behind the cursor.
func (g *gitAI) findDivider() {
	for g.divider = max(g.divider, g.s.pos); g.divider < len(g.s.text); {
		line, end := g.lineAt(g.divider)
		if string(line) == "---" {
			return
		}
		g.divider = end
	}
}

// lineAt is the line from pos on, without the white space at its end, and the
// position behind it.
func (g *gitAI) lineAt(pos int) (line []byte, end int) {
	end = nextLine(g.s.text, pos)
	return bytes.TrimRight(g.s.text[pos:end], " \t\r\n"), end
}

// dropPending records a path that no entry followed.
func (g *gitAI) dropPending() {
	if g.pending == nil {
		return
	}
	g.add(fileWithoutEntries, place{line: g.pendingLine, index: -1}, "", "no entry follows this path; it attests nothing.")
	g.name("")
	g.pending = nil
}

// entry reads "key ranges" into the current file.
func (g *gitAI) entry(line []byte, pos int) {
	at := place{line: g.lines.at(g.s.text, pos), index: -1}
	defer g.name("")
	key, ranges, _ := bytes.Cut(line, []byte(" "))
	switch {
	case g.pending == nil && g.current == nil:
		g.add(entryInvalid, at, "", "an entry stands before the first path; it was left out.")
		return
	case len(key) == 0 || len(ranges) == 0:
		g.add(entryInvalid, at, "", "an entry has no key or no lines; it was left out.")
		return
	case g.entries == maxEntries:
		g.overflow(at)
		return
	}
	g.entries++
	if g.current == nil {
		g.current = g.file()
		g.pending = nil
	}
	g.claim(at, g.current.key(g.key(at, key)), ranges)
}

func (g *gitAI) overflow(at place) {
	if !g.full {
		g.full = true
		g.add(tooManyAttestations, at, "", "the note has more than %d entries or %d ranges; what follows is not kept.",
			maxEntries, maxRanges)
	}
}

// file is the attested file of the pending path line; a path that comes again
// continues the first one.
func (g *gitAI) file() *attestedFile {
	at := place{line: g.pendingLine, index: -1}
	path := g.pending
	if len(path) > 2 && path[0] == '"' && path[len(path)-1] == '"' {
		path = path[1 : len(path)-1]
	}
	text := g.clean(at, "path", path, maxPath)
	if i, ok := g.byPath[text]; ok {
		g.add(pathRepeated, at, "", "the path stands in the note again; its entries were joined.")
		return g.files[i]
	}
	f := &attestedFile{path: text, line: g.pendingLine, byKey: map[string]int{}}
	g.byPath[text] = len(g.files)
	g.files = append(g.files, f)
	return f
}

// clean bounds and repairs text that stands outside JSON.
func (g *gitAI) clean(at place, what string, raw []byte, limit int) string {
	text, repaired := cleanText(raw)
	if repaired {
		g.add(textRepaired, at, "", "the %s holds U+0000 or bytes that are not UTF-8; U+FFFD stands in their place.", what)
	}
	return g.bound(&object{at: at}, what, text, limit)
}

// key returns an entry's key, or the hash of one that is too long.
func (g *gitAI) key(at place, raw []byte) string {
	if len(raw) <= maxKey {
		return g.clean(at, "key", raw, len(raw)*len("\uFFFD"))
	}
	hash := hashID(raw)
	g.add(idShortened, at, "", "the key has %d bytes; %s stands for it.", len(raw), hash)
	return hash
}

// key is the position of a key among the file's.
func (f *attestedFile) key(key string) int {
	i, ok := f.byKey[key]
	if !ok {
		i = len(f.keys)
		f.byKey[key] = i
		f.keys = append(f.keys, key)
	}
	return i
}

// claim reads "1-4,6" for a key of the current file.
func (g *gitAI) claim(at place, key int, ranges []byte) {
	for item := range bytes.SplitSeq(ranges, []byte(",")) {
		item = bytes.TrimSpace(item)
		if len(item) == 0 {
			continue
		}
		lines, problem := parseRange(item)
		if problem != "" {
			g.add(problem, at, "", "%s", problemTexts[problem])
		}
		if lines == (LineRange{}) {
			continue
		}
		if g.ranges == maxRanges {
			g.overflow(at)
			return
		}
		g.ranges++
		g.current.claims = append(g.current.claims, claim{lines, key})
	}
}

var problemTexts = map[code]string{
	lineRangeInvalid: "a range is not N or N-M with N not above M; it was left out.",
	lineRangeClamped: "a range leaves lines 1 to 2147483646; it was cut to them.",
}

// parseRange reads "N" or "N-M"; the zero range says that nothing is left.
func parseRange(item []byte) (LineRange, code) {
	first, last, two := bytes.Cut(item, []byte("-"))
	if !two {
		last = first
	}
	from, ok := lineNumber(first)
	to, okTo := lineNumber(last)
	switch {
	case !ok || !okTo || from > to || from > MaxLine || to == 0:
		return LineRange{}, lineRangeInvalid
	case from == 0 || to > MaxLine:
		return LineRange{First: uint32(max(from, 1)), Last: uint32(min(to, MaxLine))}, lineRangeClamped
	}
	return LineRange{First: uint32(from), Last: uint32(to)}, ""
}

// lineNumber reads digits; numbers of more than 18 digits count as 10^18.
func lineNumber(raw []byte) (int64, bool) {
	if len(raw) == 0 || digitRun(raw) != len(raw) {
		return 0, false
	}
	raw = bytes.TrimLeft(raw, "0")
	if len(raw) > 18 {
		return 1e18, true
	}
	return smallInteger(raw), true
}

// recordKey is the part of an entry's key that names a record: session keys
// carry a trace id behind "::".
func recordKey(key string) string {
	if strings.HasPrefix(key, "s_") {
		key, _, _ = strings.Cut(key, "::")
	}
	return key
}

func isHumanKey(key string) bool {
	return key == literalHuman || strings.HasPrefix(key, "h_")
}

// attest gives every attested line its one owner.
func (g *gitAI) attest() {
	for _, f := range g.files {
		lines := make([][]LineRange, len(f.keys))
		for _, c := range owners(f.claims) {
			lines[c.key] = append(lines[c.key], c.LineRange)
		}
		for i, key := range f.keys {
			a := g.attestation(f, key)
			if len(lines[i]) > 0 {
				a.Lines = lines[i]
				g.note.Attestations = append(g.note.Attestations, a)
			}
		}
	}
}

// attestation resolves a key; one that no record stands behind gets a receipt
// of its own, so that the lines are not lost.
func (g *gitAI) attestation(f *attestedFile, key string) Attestation {
	a := Attestation{Path: f.path, Key: key, Class: ClassAI}
	at := place{line: f.line, index: -1}
	if isHumanKey(key) {
		a.Class = ClassHuman
		author, known := g.authors[key]
		if !known && key != literalHuman {
			g.addOnce(recordMissing, at, "", "no record names the human behind a key; the lines are kept as a human's.")
			g.name("")
		}
		a.Author = author
		return a
	}
	record := recordKey(key)
	i, known := g.records[record]
	if !known {
		i = g.addReceipt(record, Receipt{Dangling: true}, nil)
		g.add(recordMissing, at, "", "no record stands behind a key; who and what wrote its lines is unknown.")
		g.name(g.note.Receipts[i].ID)
	}
	a.ReceiptID = g.note.Receipts[i].ID
	return a
}

// addReceipt puts the receipt of a record key into the note.
func (g *gitAI) addReceipt(key string, r Receipt, raw []byte) int {
	r.ID = "git-ai:" + g.commit + ":" + key
	r.Index = len(g.note.Receipts)
	g.records[key] = r.Index
	g.note.Receipts = append(g.note.Receipts, r)
	g.raws = append(g.raws, raw)
	return r.Index
}

func (g *gitAI) conclude() {
	o := object{at: place{index: -1}}
	g.rest = g.extra
	g.note.Detail = g.detail(&o)
	g.name("")
	g.note.Findings = g.close()
}
