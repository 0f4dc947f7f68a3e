package notes

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

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
