package lines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// diffReader reads what git writes for diffArguments. For each commit that is
//
//	<commit> NUL
//	:<modes> <ids> <status> NUL <path> NUL [<new path> NUL]   for each file
//	NUL
//	diff --git ..., header lines, hunks                       for each file
//
// and nothing after the first NUL when nothing changed. A merge has one colon
// per parent and "diff --combined". Every line of a hunk has a column in front
// that nothing else begins with, so that no content can pass for a header.
type diffReader struct {
	s   *stream
	max limits
	c   *Commit
	// parents is how many parents the entries of the commit show.
	parents int
	ranges  int
	// oldModes are the modes of the files in the first parent.
	oldModes []string
	// skipped counts entries beyond max.files, whose sections are passed over.
	skipped int
}

// The modes of files that have lines.
const (
	regular    = "100644"
	executable = "100755"
)

var sectionStart = []byte("diff --")

// Bounds of what is looked at. A header line holds at most two quoted paths,
// or an id per parent.
const (
	maxHeader = 1 << 20
	maxStart  = 16
)

// readDiff hands every commit of a diff to fn, the first time that all of it is
// read. An error of fn is returned as it is; of an output that ends early the
// last commit is not handed over.
func readDiff(out io.Reader, max limits, fn func(*Commit) error) error {
	r := &diffReader{s: newStream(out), max: max}
	for {
		id, err := r.s.token(100)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		oid, err := gitcmd.ParseOID(string(id))
		if err != nil {
			return fmt.Errorf("reading commit: %w", err)
		}
		r.c, r.oldModes = &Commit{OID: oid}, r.oldModes[:0]
		r.parents, r.ranges, r.skipped = 1, 0, 0
		if err := r.commit(); err != nil {
			return fmt.Errorf("reading commit %s: %w", oid, err)
		}
		if err := fn(r.c); err != nil {
			return err
		}
	}
}

func (r *diffReader) commit() error {
	for {
		next, err := r.s.peek(1)
		switch {
		case err != nil || len(next) == 0:
			return err
		case next[0] == ':':
			if err := r.entry(); err != nil {
				return err
			}
		case next[0] == 0:
			r.s.skip(1)
			return r.patch()
		default:
			return nil
		}
	}
}

// entry reads one changed path.
func (r *diffReader) entry() error {
	meta, err := r.s.innerToken(1 << 20)
	if err != nil {
		return err
	}
	text := strings.TrimLeft(string(meta), ":")
	r.parents = len(meta) - len(text)
	r.c.Merge = r.parents > 1
	fields := strings.Split(text, " ")
	if len(fields) != 2*r.parents+3 {
		return fmt.Errorf("unexpected entry %.100q", text)
	}
	blob, err := gitcmd.ParseOID(fields[2*r.parents+1])
	if err != nil {
		return err
	}
	f := File{Status: fields[2*r.parents+2], Mode: fields[r.parents], Blob: blob}
	path, err := r.s.innerToken(gitcmd.MaxPath)
	if err != nil {
		return err
	}
	f.Path = string(path)
	if !r.c.Merge && (f.Status[:min(1, len(f.Status))] == "R") {
		f.Status, f.OldPath = "R", f.Path
		if path, err = r.s.innerToken(gitcmd.MaxPath); err != nil {
			return err
		}
		f.Path = string(path)
	}
	r.add(f, fields[0])
	return nil
}

func (r *diffReader) add(f File, oldMode string) {
	if len(r.c.Files) == r.max.files {
		r.c.Cut = true
		r.skipped++
		return
	}
	if oldMode == executable {
		oldMode = regular
	}
	r.c.Files = append(r.c.Files, f)
	r.oldModes = append(r.oldModes, oldMode)
}

// patch reads the sections of all files. They stand in the order of the
// entries; a change of type has two, and a merge may leave a file without.
func (r *diffReader) patch() error {
	for next := 0; ; next++ {
		line, err := r.s.line(maxHeader)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, sectionStart) {
			return fmt.Errorf("unexpected line %.60q", line)
		}
		if name, ok := bytes.CutPrefix(line, []byte("diff --combined ")); ok {
			next = r.find(next, name)
		}
		if next >= len(r.c.Files) && r.skipped == 0 {
			return fmt.Errorf("unexpected section %.100q", line)
		}
		if err := r.sections(next); err != nil {
			return err
		}
		if more, err := r.s.starts(sectionStart); !more || err != nil {
			return err
		}
	}
}

// find returns the position of the file that a combined section names, from a
// position on; the number of files if there is none.
func (r *diffReader) find(from int, quoted []byte) int {
	path := gitcmd.Unquote(quoted)
	for i := from; i < len(r.c.Files); i++ {
		if r.c.Files[i].Path == path {
			return i
		}
	}
	return len(r.c.Files)
}

// sections reads what follows the first line of the section of a file.
func (r *diffReader) sections(i int) error {
	f, old := &File{}, regular
	if i < len(r.c.Files) {
		f, old = &r.c.Files[i], r.oldModes[i]
	}
	if err := r.section(f, old); err != nil {
		return fmt.Errorf("%.200q: %w", f.Path, err)
	}
	if f.Status != "T" {
		return nil
	}
	line, err := r.s.line(maxHeader)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, sectionStart) {
		return fmt.Errorf("unexpected line %.60q", line)
	}
	if err := r.section(f, old); err != nil {
		return fmt.Errorf("%.200q: %w", f.Path, err)
	}
	return nil
}

// headerStarts are the beginnings of the lines between the first line of a
// section and its hunks.
var headerStarts = [][]byte{
	[]byte("index "), []byte("--- "), []byte("+++ "), []byte("new "), []byte("deleted "), []byte("old "),
	[]byte("mode "), []byte("similarity "), []byte("dissimilarity "), []byte("rename "), []byte("copy "),
	[]byte("Binary files "),
}

func (r *diffReader) section(f *File, old string) error {
	for {
		next, err := r.s.peek(maxStart)
		if err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(next, []byte("@@@")):
			err = r.combinedHunk(f, old)
		case bytes.HasPrefix(next, []byte("@@")):
			err = r.hunk(f, old)
		case startsWithAny(next, headerStarts):
			f.Binary = f.Binary || next[0] == 'B'
			_, err = r.s.line(maxHeader)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func startsWithAny(b []byte, prefixes [][]byte) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(b, p) {
			return true
		}
	}
	return false
}

// hunk reads "@@ -<first>[,<count>] +<first>[,<count>] @@" and its lines, whose
// first byte says where they are: " " in both, "-" in the parent, "+" in the
// commit, "\" a remark on the line before.
func (r *diffReader) hunk(f *File, old string) error {
	line, err := r.s.line(maxHeader)
	if err != nil {
		return err
	}
	h := header{rest: line[2:]}
	before, after := h.part('-'), h.part('+')
	if h.bad {
		return fmt.Errorf("unexpected hunk %.60q", line)
	}
	if after.first == 1 && after.count > 0 && !f.Generated {
		head, err := r.s.peek(headBytes)
		if err != nil {
			return err
		}
		f.Generated = GeneratedHeader(headOf(head))
	}
	var in, out, both, run uint64
	err = r.s.hunkLines(func(kind byte) {
		if kind != '+' && run > 0 {
			r.added(f, after.first+both+in-run, run)
			run = 0
		}
		switch kind {
		case '+':
			in++
			run++
		case '-':
			out++
		case ' ':
			both++
		}
	})
	r.added(f, after.first+both+in-run, run)
	if old == regular {
		f.Deleted += int64(out)
	}
	if err == nil && (before.count != both+out || after.count != both+in) {
		err = fmt.Errorf("a hunk has other lines than its header says")
	}
	return err
}

// added notes a run of lines, joined with the one before where they touch.
func (r *diffReader) added(f *File, first, count uint64) {
	if count == 0 || f.Mode != regular && f.Mode != executable {
		return
	}
	run := notes.LineRange{
		First: uint32(min(max(first, 1), notes.MaxLine)),
		Last:  uint32(min(max(first, 1)+count-1, notes.MaxLine)),
	}
	if n := len(f.Added); n > 0 && f.Added[n-1].Last >= run.First-1 {
		f.Added[n-1].Last = max(f.Added[n-1].Last, run.Last)
		return
	}
	if r.ranges == r.max.ranges {
		r.c.Cut = true
		return
	}
	r.ranges++
	f.Added = append(f.Added, run)
}

// combinedHunk reads "@@@ -<first>,<count> ... +<first>,<count> @@@" with one
// "-" per parent. Each of its lines has a column per parent: "-" where only the
// parent has it, "+" where only the result has it. A line with "-" is not in the
// result.
func (r *diffReader) combinedHunk(f *File, old string) error {
	line, err := r.s.line(maxHeader)
	if err != nil {
		return err
	}
	h := header{rest: bytes.TrimLeft(line, "@")}
	if len(line)-len(h.rest) != r.parents+1 {
		return fmt.Errorf("unexpected hunk %.60q of %d parents", line, r.parents)
	}
	for range r.parents {
		h.part('-')
	}
	at := h.part('+').first
	if h.bad {
		return fmt.Errorf("unexpected hunk %.60q", line)
	}
	for {
		kind, err := r.combinedLine()
		if err != nil {
			return err
		}
		switch kind {
		case lineNone:
			return nil
		case lineLostByAll:
			if old == regular {
				f.Deleted++
			}
		case lineNew:
			r.added(f, at, 1)
			at++
		case lineKept:
			at++
		}
	}
}

// lineKind is where a line of a combined hunk is.
type lineKind int

const (
	// lineNone: what comes next is no line of the hunk.
	lineNone lineKind = iota
	// lineLost: in some parents and not in the result.
	lineLost
	// lineLostByAll: in every parent and not in the result.
	lineLostByAll
	// lineKept: in the result and in some parent.
	lineKept
	// lineNew: in the result alone.
	lineNew
)

func (r *diffReader) combinedLine() (lineKind, error) {
	columns, err := r.s.peek(r.parents)
	if err != nil || len(columns) == 0 || !isLine(columns[0]) {
		return lineNone, err
	}
	minus, plus := bytes.Count(columns, []byte{'-'}), bytes.Count(columns, []byte{'+'})
	if len(columns) < r.parents || minus > 0 && plus > 0 {
		return lineNone, fmt.Errorf("unexpected line %.60q", columns)
	}
	kind := lineKept
	switch {
	case minus == r.parents:
		kind = lineLostByAll
	case minus > 0:
		kind = lineLost
	case plus == r.parents:
		kind = lineNew
	}
	return kind, r.s.skipLine()
}

// header is a hunk header while it is read.
type header struct {
	rest []byte
	bad  bool
}

type part struct{ first, count uint64 }

// part reads " <sign><first>[,<count>]"; the count is 1 when it is absent.
func (h *header) part(sign byte) part {
	if len(h.rest) < 3 || h.rest[0] != ' ' || h.rest[1] != sign {
		h.bad = true
		return part{}
	}
	h.rest = h.rest[2:]
	p := part{first: h.number(), count: 1}
	if len(h.rest) > 0 && h.rest[0] == ',' {
		h.rest = h.rest[1:]
		p.count = h.number()
	}
	return p
}

func (h *header) number() uint64 {
	var n uint64
	i := 0
	for ; i < len(h.rest) && '0' <= h.rest[i] && h.rest[i] <= '9'; i++ {
		n = min(n*10+uint64(h.rest[i]-'0'), 1<<40)
	}
	h.bad = h.bad || i == 0
	h.rest = h.rest[i:]
	return n
}
