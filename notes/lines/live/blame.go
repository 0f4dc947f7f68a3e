package live

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// piece is a run as one git blame tells it.
type piece struct {
	Run
	// boundary: git went no further than this commit, because the caller's range
	// ends there. Whether the lines were added there is not said.
	boundary bool
}

// blameArguments ask for a form that is made when all is known: that which
// tells pieces as they are found may name a commit before it is known to be the
// end of the range. They pin down all that configuration could change.
var blameArguments = []string{"blame", "--porcelain", "--root", "--no-textconv", "--ignore-revs-file="}

// blameConfig: so that an empty setting of the repository changes nothing.
var blameConfig = []string{"diff.algorithm=myers", "diff.indentHeuristic=true"}

// allocLimit is the most that git may take into memory at once: former versions
// of a file may be of any size.
const allocLimit = "GIT_ALLOC_LIMIT=256m"

// maxRanges is the number of ranges of lines from which git is asked for all.
const maxRanges = 100

// blame returns where the lines of a file at the end of a revision or range of
// revisions come from, of all lines or only those in ranges.
func blame(ctx context.Context, repo *gitcmd.Repo, revisions, path string, ranges []notes.LineRange) ([]piece, error) {
	args := append([]string{}, blameArguments...)
	if len(ranges) <= maxRanges {
		for _, r := range ranges {
			args = append(args, fmt.Sprintf("-L%d,%d", r.First, r.Last))
		}
	}
	cmd := repo.Command(ctx, append(args, revisions, "--", path)...)
	cmd.Config = blameConfig
	cmd.Env = []string{allocLimit}
	said := &complaints{}
	cmd.OnStderr = said.add
	var pieces []piece
	var readErr error
	err := cmd.Stream(func(out io.Reader) error {
		pieces, readErr = readBlame(out)
		return nil
	})
	switch {
	case err != nil:
	case readErr != nil:
		err = readErr
	default:
		// A parent that is not there is passed over by git with a word and no error.
		err = said.err()
	}
	if err != nil {
		return nil, fmt.Errorf("blaming a file at %s: %w", revisions, err)
	}
	return pieces, nil
}

// complaints keeps the first error that a git which ends well speaks of.
type complaints struct{ first string }

func (c *complaints) add(line string) {
	if c.first == "" && strings.HasPrefix(line, "error:") {
		c.first = line
	}
}

func (c *complaints) err() error {
	if c.first == "" {
		return nil
	}
	return &gitcmd.MissingObjectError{Err: errors.New(c.first)}
}

// suspect is what git has told of a commit.
type suspect struct {
	oid      gitcmd.OID
	path     string
	boundary bool
}

// maxBlameLine bounds what is kept of a line that is not a line of the file: a
// quoted path.
const maxBlameLine = 4*gitcmd.MaxPath + 100

// readBlame reads what blameArguments ask for. For each line of the file that is
//
//	<commit> <line there> <line> [<length of the group>]
//	<key> <value>                  where something is new about the commit
//	TAB <the line>
//
// and nothing in a line of the file can pass for one of the others.
func readBlame(out io.Reader) ([]piece, error) {
	lines := &lineReader{r: bufio.NewReaderSize(out, 64<<10)}
	r := &blameReader{suspects: map[gitcmd.OID]*suspect{}}
	for {
		line, err := lines.next()
		switch {
		case err == nil:
			r.read(line)
		case err != io.EOF:
			return nil, err
		case r.open:
			return nil, io.ErrUnexpectedEOF
		default:
			return r.pieces, nil
		}
	}
}

type blameReader struct {
	suspects map[gitcmd.OID]*suspect
	pieces   []piece
	// last is the commit of the last piece, which is open until its first line
	// comes.
	last *suspect
	open bool
}

func (r *blameReader) read(line []byte) {
	switch {
	case line[0] == '\t':
		if r.open {
			p := &r.pieces[len(r.pieces)-1]
			p.Path, p.boundary = r.last.path, r.last.boundary
			r.open = false
		}
	case r.open && string(line) == "boundary":
		r.last.boundary = true
	case r.open && bytes.HasPrefix(line, []byte("filename ")):
		r.last.path = gitcmd.Unquote(line[len("filename "):])
	default:
		if p, ok := parseGroup(line); ok {
			r.begin(p)
		}
	}
}

func (r *blameReader) begin(p piece) {
	if r.last = r.suspects[p.Commit]; r.last == nil {
		r.last = &suspect{oid: p.Commit}
		r.suspects[p.Commit] = r.last
	}
	p.Commit = r.last.oid
	r.pieces, r.open = append(r.pieces, p), true
}

// parseGroup reads the first line of a group. Other lines are passed over: they
// have not four parts of which the first is an object id.
func parseGroup(line []byte) (piece, bool) {
	fields := bytes.Split(line, []byte(" "))
	if len(fields) != 4 {
		return piece{}, false
	}
	oid, err := gitcmd.ParseOID(string(fields[0]))
	if err != nil {
		return piece{}, false
	}
	var n [3]uint32
	for i := range n {
		v, err := strconv.ParseUint(string(fields[i+1]), 10, 31)
		if err != nil || v == 0 {
			return piece{}, false
		}
		n[i] = uint32(v)
	}
	p := piece{Run: Run{Origin: Origin{Commit: oid, Line: n[0]}}}
	p.First, p.Last = n[1], n[1]+n[2]-1
	return p, true
}

// lineReader reads lines of any length and keeps the beginning of each.
type lineReader struct {
	r    *bufio.Reader
	long []byte
}

// next returns a line without its end, at least one byte of it.
func (l *lineReader) next() ([]byte, error) {
	part, err := l.r.ReadSlice('\n')
	if err == nil && len(part) > 1 {
		return part[:len(part)-1], nil
	}
	if err == nil {
		return []byte(" "), nil
	}
	if err == io.EOF && len(part) == 0 {
		return nil, io.EOF
	}
	l.long = append(l.long[:0], part...)
	for err == bufio.ErrBufferFull {
		part, err = l.r.ReadSlice('\n')
		l.long = append(l.long, part[:min(len(part), maxBlameLine-len(l.long))]...)
	}
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(l.long, []byte("\n")), nil
}
