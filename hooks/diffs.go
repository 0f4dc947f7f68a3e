package hooks

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// diffArguments pin down all that configuration could change. Paths are
// quoted, so that no path can look like another line; --cc leaves of a merge
// only the hunks that differ from every parent; --always names each commit.
var diffArguments = []string{
	"diff-tree", "--stdin", "--always", "-r", "--root", "--cc", "--raw", "-p", "-U3", "--no-abbrev", "--full-index",
	"-M", "-l200", "--diff-algorithm=myers", "--indent-heuristic", "--no-color", "--no-ext-diff", "--no-textconv",
	"--no-relative", "--ignore-submodules=none", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/",
	"--inter-hunk-context=0", "-O/dev/null",
}

// The bounds of one file.
const (
	maxPath     = 4 << 10
	maxFileRuns = 2000
)

// measurement is what the diff of one commit says.
type measurement struct {
	oid     gitcmd.OID
	files   []File
	patchID string
}

// submodule is the mode of one.
const submodule = "160000"

// errBudget ends the reading of diffs where a bound is reached.
var errBudget = errors.New("diffs are larger than the bounds")

// diffReader reads the output of diffArguments. What has been handed to done
// is complete, whatever ends the reading.
type diffReader struct {
	in   *bufio.Reader
	done func(measurement)
	// bytes, files, runs and the text of paths are what may still be read.
	bytes, files, runs, text int64

	commit  measurement
	parents int
	// paths finds files by their path as git has it.
	paths map[string]*fileDiff
	order []*fileDiff
	// file is the one whose hunks are being read, nil between files.
	file    *fileDiff
	oldPath string
	index   string
	patch   *patchID
	// hunks says that the file has some, binary that it has none to show.
	hunks, binary bool
}

type fileDiff struct {
	File
	old     gitcmd.OID
	tooMany bool
}

func newDiffReader(out io.Reader, format string, limits Limits, done func(measurement)) *diffReader {
	return &diffReader{
		in: bufio.NewReaderSize(out, 64<<10), done: done, patch: newPatchID(format),
		bytes: limits.DiffBytes, files: int64(limits.Files), runs: int64(limits.Runs), text: limits.Text,
	}
}

// readAll reads to the end. The error is errBudget where a bound was reached.
func (d *diffReader) readAll() error {
	for {
		line, err := d.line()
		if err == io.EOF {
			d.endCommit()
			return nil
		}
		if err == nil {
			err = d.take(line)
		}
		if err != nil {
			return err
		}
	}
}

// line returns the next line without its newline; of one that is longer than
// the buffer, which outside of hunks only paths can be, the beginning.
func (d *diffReader) line() ([]byte, error) {
	line, whole, err := d.chunk()
	if err != nil || whole {
		return line, err
	}
	line = bytes.Clone(line)
	return line, d.rest(func([]byte) {})
}

// chunk returns a line, or the part of it that fits the buffer.
func (d *diffReader) chunk() (line []byte, whole bool, err error) {
	line, err = d.in.ReadSlice('\n')
	d.bytes -= int64(len(line))
	switch {
	case d.bytes < 0:
		return nil, false, errBudget
	case err == bufio.ErrBufferFull:
		return line, false, nil
	case err == io.EOF && len(line) > 0:
		return nil, false, io.ErrUnexpectedEOF
	case err != nil:
		return nil, false, err
	}
	return line[:len(line)-1], true, nil
}

// rest hands the parts that follow a chunk that was not whole to fn.
func (d *diffReader) rest(fn func([]byte)) error {
	for {
		part, whole, err := d.chunk()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		fn(part)
		if whole {
			return nil
		}
	}
}

// take reads a line outside of hunks, and the hunk that begins there.
func (d *diffReader) take(line []byte) error {
	text := string(line)
	switch {
	case text == "", text[0] == '\\':
		return nil
	case text[0] == ':':
		return d.raw(text)
	case strings.HasPrefix(text, "@@"):
		return d.hunk(text)
	}
	if oid, err := gitcmd.ParseOID(text); err == nil {
		d.endCommit()
		d.commit.oid = oid
		return nil
	}
	d.header(text)
	return nil
}

// endCommit hands over the commit before this place.
func (d *diffReader) endCommit() {
	id := d.patch.take()
	if d.commit.oid != "" {
		for _, file := range d.order {
			d.commit.files = append(d.commit.files, file.File)
		}
		if d.parents < 2 {
			d.commit.patchID = id
		}
		d.done(d.commit)
	}
	d.commit, d.parents = measurement{}, 0
	d.paths, d.order, d.file = nil, nil, nil
	d.hunks, d.binary = false, false
}

// raw reads ":<modes> <ids> <status> TAB <path>[TAB <path>]" with as many
// colons as parents, see "Raw output format" in git-diff-tree(1).
func (d *diffReader) raw(line string) error {
	meta, paths, ok := strings.Cut(line, "\t")
	d.parents = len(meta) - len(strings.TrimLeft(meta, ":"))
	fields := strings.Split(meta[d.parents:], " ")
	if !ok || len(fields) != 2*d.parents+3 {
		return fmt.Errorf("unexpected change %.200q", line)
	}
	d.files--
	d.text -= int64(min(len(paths), 2*maxPath))
	if d.files < 0 || d.text < 0 {
		return errBudget
	}
	from, path, renamed := strings.Cut(paths, "\t")
	if !renamed {
		from, path = "", from
	}
	from, path = unquote(from), unquote(path)
	file := &fileDiff{File: File{Path: bounded(path, maxPath), From: bounded(from, maxPath)}}
	file.old = gitcmd.OID(fields[d.parents+1])
	if blob := gitcmd.OID(fields[2*d.parents+1]); !blob.IsZero() && fields[d.parents] != submodule {
		file.Blob = blob
	}
	if d.paths == nil {
		d.paths = make(map[string]*fileDiff)
	}
	d.paths[path] = file
	d.order = append(d.order, file)
	return nil
}

// header reads a line of a file's header.
func (d *diffReader) header(line string) {
	name, value, _ := strings.Cut(line, " ")
	switch name {
	case "diff":
		d.beginFile()
	case "index":
		d.index = value
		return
	case "Binary":
		d.markBinary()
		return
	case "---":
		d.oldPath = headerPath(value)
	case "+++":
		path := headerPath(value)
		if value == "/dev/null" {
			path = d.oldPath
		}
		d.file = d.paths[path]
	}
	if d.binary {
		// As git has it, the header behind a binary file counts for nothing.
		d.binary = name != "diff"
		return
	}
	d.patch.add([]byte(line))
}

func (d *diffReader) beginFile() {
	if d.hunks {
		d.patch.endFile()
	}
	d.hunks, d.file, d.oldPath = false, nil, ""
}

// headerPath reads "a/path" or "b/path". Behind a path with a blank in it git
// writes a tab.
func headerPath(value string) string {
	value = unquote(strings.TrimSuffix(value, "\t"))
	return value[min(2, len(value)):]
}

// markBinary marks all files with the contents that the index line names.
func (d *diffReader) markBinary() {
	ids, _, _ := strings.Cut(d.index, " ")
	before, after, _ := strings.Cut(ids, "..")
	for _, file := range d.order {
		blob := file.Blob
		if blob == "" {
			blob = gitcmd.OID(strings.Repeat("0", len(after)))
		}
		if file.old == gitcmd.OID(before) && blob == gitcmd.OID(after) || d.parents > 1 && blob == gitcmd.OID(after) {
			file.Binary = true
		}
	}
	d.patch.add([]byte(before))
	d.patch.add([]byte(after))
	d.patch.endFile()
	d.binary = true
}

// hunk is what is left of one while it is read.
type hunk struct {
	// old are the lines of each parent, result those of the new file.
	old    []int64
	result int64
	// line is the next line of the new file.
	line int64
}

func (h *hunk) over() bool {
	return h.result <= 0 && !slices.ContainsFunc(h.old, func(n int64) bool { return n > 0 })
}

// hunk reads a hunk from its header on.
func (d *diffReader) hunk(header string) error {
	h, err := parseHunk(header)
	if err != nil {
		return err
	}
	d.hunks = true
	for !h.over() {
		if err := d.hunkLine(h); err != nil {
			return err
		}
	}
	return nil
}

// parseHunk reads "@@ -l,n +l,n @@", with one more @ and one more pair for
// each further parent of a merge.
func parseHunk(header string) (*hunk, error) {
	fields := strings.Fields(header)
	parents := len(fields[0]) - 1
	if len(fields) < parents+2 {
		return nil, fmt.Errorf("unexpected hunk %.200q", header)
	}
	h := &hunk{}
	for _, field := range fields[1 : parents+1] {
		_, count, err := parseRange(field, '-')
		if err != nil {
			return nil, err
		}
		h.old = append(h.old, count)
	}
	var err error
	h.line, h.result, err = parseRange(fields[parents+1], '+')
	return h, err
}

func parseRange(field string, sign byte) (first, count int64, err error) {
	if field[0] != sign {
		return 0, 0, fmt.Errorf("unexpected range %.40q", field)
	}
	start, length, listed := strings.Cut(field[1:], ",")
	if !listed {
		length = "1"
	}
	first, err = strconv.ParseInt(start, 10, 64)
	count, countErr := strconv.ParseInt(length, 10, 64)
	return first, count, errors.Join(err, countErr)
}

func (d *diffReader) hunkLine(h *hunk) error {
	line, whole, err := d.chunk()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if len(line) < len(h.old) {
		return fmt.Errorf("unexpected line %.40q of a hunk", line)
	}
	told := line[0] != '\\'
	if told {
		if err := d.count(h, string(line[:len(h.old)])); err != nil {
			return err
		}
		d.patch.add(line)
	}
	if whole {
		return nil
	}
	return d.rest(func(part []byte) {
		if told {
			d.patch.add(part)
		}
	})
}

// count takes the signs in front of a line, one for each parent: '+' the line
// is new against it, '-' it was there and is gone, ' ' neither.
func (d *diffReader) count(h *hunk, signs string) error {
	gone := strings.Contains(signs, "-")
	for i := range h.old {
		if gone == (signs[i] == '-') && signs[i] != '+' {
			h.old[i]--
		}
	}
	file := d.file
	if file == nil {
		// Its path is longer than a line that is read.
		return errBudget
	}
	if gone {
		if strings.Count(signs, "-") == len(signs) {
			file.Deleted++
		}
		return nil
	}
	h.result--
	h.line++
	if strings.Count(signs, "+") == len(signs) {
		file.Added++
		return d.addRun(file, h.line-1)
	}
	return nil
}

func (d *diffReader) addRun(file *fileDiff, line int64) error {
	last := len(file.Runs) - 1
	switch {
	case file.tooMany:
	case last >= 0 && file.Runs[last][1] == line-1:
		file.Runs[last][1] = line
	case last+1 == maxFileRuns:
		file.Runs, file.tooMany = nil, true
	default:
		if d.runs--; d.runs < 0 {
			return errBudget
		}
		file.Runs = append(file.Runs, Run{line, line})
	}
	return nil
}

// unquote reads a path as git prints it: between quotes with escapes of C
// where it holds a quote, a back-slash or a control byte.
func unquote(path string) string {
	if len(path) < 2 || path[0] != '"' || path[len(path)-1] != '"' {
		return path
	}
	path = path[1 : len(path)-1]
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '\\' || i+1 == len(path) {
			out.WriteByte(path[i])
			continue
		}
		i++
		if i+2 < len(path) && '0' <= path[i] && path[i] <= '3' {
			octal, _ := strconv.ParseUint(path[i:i+3], 8, 8)
			out.WriteByte(byte(octal))
			i += 2
			continue
		}
		out.WriteByte(escaped(path[i]))
	}
	return out.String()
}

func escaped(c byte) byte {
	if i := strings.IndexByte("abtnvfr", c); i >= 0 {
		return "\a\b\t\n\v\f\r"[i]
	}
	return c
}
