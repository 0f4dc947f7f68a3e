package ui

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"html/template"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// DiffFile is what a commit changed in one file.
type DiffFile struct {
	Path  string
	Lines []DiffLine
}

// DiffLine is a line of a diff with its owner, if it was added.
type DiffLine struct {
	// Kind is is, was, or empty for a line that stays; Number is the line's in the
	// new file.
	Kind, Number, Text string
	// Class is ai, human or unknown of an added line. Receipt is whose run begins
	// here.
	Class, Receipt string
}

// Bounds of a diff that is shown: a page is for reading, git has the rest.
const (
	maxDiffLines = 250
	maxDiffBytes = 30 << 10
	maxDiffLine  = 240
)

var (
	errEnough = errors.New("enough of the diff was read")
	hunkHead  = regexp.MustCompile(`^@@ -[0-9]+(?:,[0-9]+)? \+([0-9]+)(?:,[0-9]+)? @@`)
)

// Sign is the class of an added line in two letters, for those who see no colours.
func (l DiffLine) Sign() string {
	switch l.Class {
	case "ai", "human":
		return l.Class[:2]
	case "unknown":
		return "··"
	}
	return "  "
}

// diff reads the beginning of what a commit changed from the mirror. Without
// the commit there, or without a mirror, there is none. Nil runs say that its
// lines are not classified.
func (p *pages) diff(ctx context.Context, repo uuid.UUID, commit string, runs []store.AddedRun) (files []DiffFile, more bool, err error) {
	oid, err := gitcmd.ParseOID(commit)
	if err != nil || p.cfg.MirrorRoot == "" {
		return nil, false, nil
	}
	m, err := mirror.Open(p.cfg.MirrorRoot, repo.String())
	if err != nil {
		return nil, false, err
	}
	git, err := m.Repo()
	if errors.Is(err, gitcmd.ErrNotRepository) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if known, err := git.HasCommit(ctx, oid); err != nil || !known {
		return nil, false, err
	}
	d := diffReader{owners: ownersOf(runs), classified: runs != nil}
	command := git.Command(ctx, "diff-tree", "-p", "-r", "--root", "-m", "--first-parent", "--no-commit-id", "-M50%", "--diff-algorithm=myers",
		"--indent-heuristic", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", string(oid))
	command.Config = []string{"core.quotePath=false"}
	err = command.Stream(d.read)
	if errors.Is(err, errEnough) {
		more, err = true, nil
	}
	return d.files, more, err
}

// ownersOf are the runs by their files.
func ownersOf(runs []store.AddedRun) map[string][]store.AddedRun {
	out := map[string][]store.AddedRun{}
	for _, run := range runs {
		out[string(run.Path)] = append(out[string(run.Path)], run)
	}
	return out
}

// diffReader reads a patch line by line.
type diffReader struct {
	owners     map[string][]store.AddedRun
	classified bool
	files      []DiffFile
	// inHunk says that lines are a file's content, next which line of the new file
	// comes next.
	inHunk      bool
	next        int
	lines, size int
}

func (d *diffReader) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := d.take(string(line)); err != nil {
			return err
		}
	}
}

// readLine reads a line, of which the beginning is kept.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := maxDiffLine - len(line); room > 0 {
			line = append(line, part[:min(len(part), room)]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}

func (d *diffReader) take(line string) error {
	switch {
	case strings.HasPrefix(line, "diff --git "):
		d.inHunk = false
		d.files = append(d.files, DiffFile{Path: strings.TrimPrefix(line, "diff --git ")})
	case len(d.files) == 0:
	case hunkHead.MatchString(line):
		d.inHunk = true
		d.next, _ = strconv.Atoi(hunkHead.FindStringSubmatch(line)[1])
		return d.add(DiffLine{Kind: "head", Text: line})
	case !d.inHunk:
		d.head(line)
	case strings.HasPrefix(line, "+"):
		added := DiffLine{Kind: "is", Number: strconv.Itoa(d.next), Text: line}
		if d.classified {
			added.Class, added.Receipt = d.owner(d.next)
		}
		d.next++
		return d.add(added)
	case strings.HasPrefix(line, "-"):
		return d.add(DiffLine{Kind: "was", Text: line})
	case strings.HasPrefix(line, " "), line == "":
		stays := DiffLine{Number: strconv.Itoa(d.next), Text: line}
		d.next++
		return d.add(stays)
	}
	return nil
}

// head takes the name of the new file from what stands before its hunks. Git
// puts a tab behind a name with blanks, and quotes one with control characters.
func (d *diffReader) head(line string) {
	file := &d.files[len(d.files)-1]
	for marker, prefix := range map[string]string{"+++ ": "b/", "--- ": "a/"} {
		name, ok := strings.CutPrefix(line, marker)
		if !ok {
			continue
		}
		name = gitcmd.Unquote([]byte(strings.TrimSuffix(name, "\t")))
		if name, ok = strings.CutPrefix(name, prefix); ok {
			file.Path = name
		}
	}
}

// owner is whose an added line is; the receipt is named where its run begins.
func (d *diffReader) owner(line int) (class, receipt string) {
	for _, run := range d.owners[d.files[len(d.files)-1].Path] {
		if line >= int(run.First) && line <= int(run.Last) {
			if line == int(run.First) {
				receipt = run.ReceiptID
			}
			return run.Class, receipt
		}
	}
	return "unknown", ""
}

func (d *diffReader) add(line DiffLine) error {
	d.lines++
	d.size += len(template.HTMLEscapeString(line.Text))
	if d.lines > maxDiffLines || d.size > maxDiffBytes {
		return errEnough
	}
	file := &d.files[len(d.files)-1]
	file.Lines = append(file.Lines, line)
	return nil
}
