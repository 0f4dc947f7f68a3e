package hooks

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// MaxUpdates is the largest number of refs that one push may update.
const MaxUpdates = 10_000

// maxRefName bounds a ref's name. git has no bound of its own; the file
// systems that hold loose refs end far below.
const maxRefName = 1024

// maxUpdateLine is two long ids, the name, the blanks and the newline.
const maxUpdateLine = 2*64 + maxRefName + 3

// ErrUpdates says that the hook's input is not what git writes. The push is
// refused: what cannot be read cannot be judged.
var ErrUpdates = errors.New("hook input is not readable")

// Update is one ref update as git gives it to pre-receive and post-receive.
type Update struct {
	// Old and New are null where the ref did not or will not exist. Both are for
	// notes that a client wants to have deleted without having seen them: the
	// gateway hides them.
	Old, New gitcmd.OID
	Ref      string
}

// ReadUpdates reads the standard input of a pre-receive or post-receive hook
// (githooks(5)): lines "<old> SP <new> SP <ref> LF". Every line must be such
// a line, with ids of one length and the name of a ref that no other line has.
// The error wraps ErrUpdates and names the line.
func ReadUpdates(r io.Reader) ([]Update, error) {
	lines := bufio.NewReaderSize(r, maxUpdateLine)
	var updates []Update
	seen := make(map[string]bool)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return updates, nil
		}
		number := len(updates) + 1
		if number > MaxUpdates {
			return nil, fmt.Errorf("reading ref updates: more than %d: %w", MaxUpdates, ErrUpdates)
		}
		update, err := parseUpdate(line, err)
		if err == nil {
			err = joins(updates, seen, update)
		}
		if err != nil {
			return nil, fmt.Errorf("reading ref updates: line %d: %w: %w", number, err, ErrUpdates)
		}
		seen[update.Ref] = true
		updates = append(updates, update)
	}
}

// parseUpdate reads one line, or says why there is none.
func parseUpdate(line []byte, err error) (Update, error) {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Update{}, fmt.Errorf("it is longer than %d bytes", maxUpdateLine)
	case err == io.EOF:
		return Update{}, errors.New("it does not end in a newline")
	case err != nil:
		return Update{}, err
	}
	fields := strings.Split(string(line[:len(line)-1]), " ")
	if len(fields) != 3 {
		return Update{}, fmt.Errorf("%.100q is not an old id, a new id and a ref", line)
	}
	update := Update{Old: gitcmd.OID(fields[0]), New: gitcmd.OID(fields[1]), Ref: fields[2]}
	return update, update.check()
}

func (u Update) check() error {
	for _, oid := range []gitcmd.OID{u.Old, u.New} {
		if _, err := gitcmd.ParseOID(string(oid)); err != nil {
			return err
		}
	}
	switch {
	case len(u.Old) != len(u.New):
		return fmt.Errorf("ids have %d and %d digits", len(u.Old), len(u.New))
	case u.Old.IsZero() && u.New.IsZero() && !isNotesRef(u.Ref):
		return errors.New("both ids are null")
	case !validRefName(u.Ref):
		return fmt.Errorf("%.100q is not the name of a ref", u.Ref)
	}
	return nil
}

// joins checks update against those before it.
func joins(updates []Update, seen map[string]bool, update Update) error {
	if len(updates) > 0 && len(updates[0].Old) != len(update.Old) {
		return fmt.Errorf("ids have %d digits, those before %d", len(update.Old), len(updates[0].Old))
	}
	if seen[update.Ref] {
		return fmt.Errorf("%.100q is updated twice", update.Ref)
	}
	return nil
}

// validRefName follows git-check-ref-format(1) for full names: under refs/,
// and in UTF-8 or any other encoding without control bytes.
func validRefName(name string) bool {
	if len(name) > maxRefName || !strings.HasPrefix(name, "refs/") {
		return false
	}
	if strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == 0x7f || strings.IndexByte("~^:?*[\\", name[i]) >= 0 {
			return false
		}
	}
	for component := range strings.SplitSeq(name, "/") {
		if component == "" || component[0] == '.' || strings.HasSuffix(component, ".lock") {
			return false
		}
	}
	return true
}
