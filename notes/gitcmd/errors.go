package gitcmd

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Sentinels that errors.Is finds in what this package returns.
var (
	// ErrNotRepository: the directory is not a git directory.
	ErrNotRepository = errors.New("not a git directory")
	// ErrMissingObject: an object that the command needs is absent or corrupt;
	// errors.As with *MissingObjectError tells which.
	ErrMissingObject = errors.New("object is missing")
	// ErrRefMoved: a ref did not have the expected value, nothing was changed.
	ErrRefMoved = errors.New("ref moved")
	// ErrRefLocked: another process, or the lock file of a dead one, holds a
	// ref, nothing was changed.
	ErrRefLocked = errors.New("ref is locked")
	// ErrOutputTooLarge: the command printed more than the caller allowed.
	ErrOutputTooLarge = errors.New("output is too large")
)

// Error tells how a git child failed. Credentials are masked in all of it.
type Error struct {
	// Args are the arguments as given, without the fixed configuration.
	Args []string
	// ExitCode is -1 when the child was ended by a signal or did not start.
	ExitCode int
	// Stderr is the end of what the child wrote there, at most 16 KiB.
	Stderr string
	// Err is the context's error, or what os/exec or a reader said.
	Err error
}

// Error names the subcommand, the cause and git's own words on one line.
func (e *Error) Error() string {
	name := "git"
	if len(e.Args) > 0 {
		name += " " + e.Args[0]
	}
	words := summarize(e.Stderr)
	if words == "" {
		return fmt.Sprintf("%s: %v", name, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", name, e.Err, words)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// MissingObjectError is an object that git needed and could not read.
type MissingObjectError struct {
	// OID is empty when git did not name it.
	OID OID
	// Err is the *Error of the child.
	Err error
}

// Error names the object and repeats git's words.
func (e *MissingObjectError) Error() string {
	if e.OID == "" {
		return fmt.Sprintf("object is missing: %v", e.Err)
	}
	return fmt.Sprintf("object %s is missing: %v", e.OID, e.Err)
}

// Unwrap returns Err.
func (e *MissingObjectError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrMissingObject) true.
func (e *MissingObjectError) Is(target error) bool { return target == ErrMissingObject }

// callbackError carries an error of the caller's function through Stream.
type callbackError struct{ error }

// unwrapCallback returns the caller's error as it was and wraps any other.
func unwrapCallback(err error, doing string) error {
	if callback, ok := err.(callbackError); ok {
		return callback.error
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// expression is a regular expression that is compiled when it is first used:
// programs that start with every push meet few errors.
type expression func() *regexp.Regexp

func lazily(text string) expression {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// missingObject holds git's ways to say that an object cannot be read, of
// versions 2.35 to 2.51, the most precise first.
var missingObject = []expression{
	lazily(`could not fetch ([0-9a-f]{40,64}) from promisor remote`),
	lazily(`(?:loose|packed) object ([0-9a-f]{40,64}) .*is corrupt`),
	lazily(`unable to read tree \(?([0-9a-f]{40,64})`),
	lazily(`[Cc]ould not read ([0-9a-f]{40,64})`),
	lazily(`Cannot read blob ([0-9a-f]{40,64})`),
	lazily(`bad (?:tree |blob |commit |tag )?object ([0-9a-f]{40,64})`),
	lazily(`[Nn]ot a valid (?:commit|object) name ([0-9a-f]{40,64})`),
	lazily(`nonexistent object ([0-9a-f]{40,64})`),
	lazily(`unable to (?:parse object:?|read|find) ([0-9a-f]{40,64})`),
	lazily(`missing (?:blob|tree|commit|tag|object) '?([0-9a-f]{40,64})`),
	lazily(`not a tree object`),
}

// classify gives err the type that its words deserve.
func classify(err error) error {
	var failed *Error
	if !errors.As(err, &failed) || failed.ExitCode <= 0 {
		return err
	}
	for _, re := range missingObject {
		m := re().FindStringSubmatch(failed.Stderr)
		switch len(m) {
		case 1:
			return &MissingObjectError{Err: err}
		case 2:
			return &MissingObjectError{OID: OID(m[1]), Err: err}
		}
	}
	return err
}

// maxSummary bounds the words of git that an error message repeats.
const maxSummary = 400

// summarize picks the lines that tell why git failed and makes them safe for a
// log and a terminal.
func summarize(stderr string) string {
	var told, rest []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.Map(printable, line))
		switch {
		case line == "":
		case strings.HasPrefix(line, "fatal:"), strings.HasPrefix(line, "error:"),
			strings.HasPrefix(line, "ERROR:"), strings.HasPrefix(line, "remote:"):
			told = append(told, line)
		default:
			rest = append(rest, line)
		}
	}
	if told == nil {
		told = rest[max(0, len(rest)-3):]
	}
	words := strings.ToValidUTF8(strings.Join(slices.Compact(told), "; "), "\uFFFD")
	if len(words) > maxSummary {
		words = strings.ToValidUTF8(words[:maxSummary], "") + "…"
	}
	return words
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

var (
	webUserinfo   = lazily(`(?i)(https?://)[^/\s'"]*@`)
	otherPassword = lazily(`([a-zA-Z][a-zA-Z0-9+.-]*://[^/\s'":@]*):[^/\s'"]*@`)
)

// Mask hides the credentials of every URL in s: all of the userinfo for http
// and https, where a lone user name may be a token, else the password.
func Mask(s string) string {
	return otherPassword().ReplaceAllString(webUserinfo().ReplaceAllString(s, "$1***@"), "$1:***@")
}
