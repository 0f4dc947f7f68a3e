package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// Codes of findings, documented in docs/findings.md.
const (
	codeTooLarge = "file_too_large"
	codeMissing  = "file_history_incomplete"
	codeSlow     = "file_history_slow"
	codeFailed   = "file_history_unreadable"
)

// work is what Build and Update share: it reads files and hands them over, one
// at a time.
type work struct {
	repo *gitcmd.Repo
	o    Options
	fn   func(*File) error

	mu          sync.Mutex
	done, total int
}

func (w *work) give(f *File) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fn(f); err != nil {
		return err
	}
	w.done++
	if w.o.Progress != nil {
		w.o.Progress(w.done, w.total)
	}
	return nil
}

func isRegular(mode string) bool { return strings.HasPrefix(mode, "100") }

// fileOf returns what a path of a tree is, as far as its content tells: a file of
// KindText has no runs yet.
func (w *work) fileOf(blobs *gitcmd.BatchReader, path, mode string, blob gitcmd.OID) (*File, error) {
	f := &File{Path: path, Blob: blob}
	switch {
	case mode == "160000":
		f.Kind = KindSubmodule
	case !isRegular(mode):
		f.Kind = KindSymlink
	case w.exclude(f, false):
	case len(path) >= gitcmd.MaxPath:
		f.unreadable(codeFailed, "The path is too long to be read.")
	default:
		return f, w.look(blobs, f)
	}
	return f, nil
}

func (w *work) exclude(f *File, generated bool) bool {
	if w.o.Exclude == nil {
		return false
	}
	f.Excluded = w.o.Exclude(f.Path, generated)
	if f.Excluded != "" {
		f.Kind = KindExcluded
	}
	return f.Excluded != ""
}

// binaryHead is where git looks for a NUL.
const binaryHead = 8000

// look reads the content of a file.
func (w *work) look(blobs *gitcmd.BatchReader, f *File) error {
	object, err := blobs.Read(f.Blob, w.o.MaxBytes)
	switch {
	case errors.Is(err, gitcmd.ErrMissingObject), err == nil && object.Type != "blob":
		f.unreadable(codeMissing, "The mirror does not have the content of this file.")
		return nil
	case err != nil:
		return err
	case object.Data == nil && object.Size > 0:
		f.tooLarge(fmt.Sprintf("The file has %d bytes, more than %d.", object.Size, w.o.MaxBytes))
		return nil
	}
	data := object.Data
	f.Lines = countLines(data)
	switch {
	case bytes.IndexByte(data[:min(len(data), binaryHead)], 0) >= 0:
		f.Kind, f.Lines = KindBinary, 0
	case lines.GeneratedHeader(data) && w.exclude(f, true):
		f.Lines = 0
	case f.Lines > w.o.MaxLines:
		f.tooLarge(fmt.Sprintf("The file has %d lines, more than %d.", f.Lines, w.o.MaxLines))
	default:
		f.Kind = KindText
	}
	return nil
}

// countLines counts as git does: what follows the last newline is a line too.
func countLines(data []byte) uint32 {
	n := bytes.Count(data, []byte("\n"))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		n++
	}
	return uint32(n)
}

func (f *File) tooLarge(message string) {
	f.Kind, f.Lines = KindTooLarge, 0
	f.Finding = &notes.Finding{Code: codeTooLarge, Severity: notes.Warning, Where: where(f.Path),
		Message: message + " Where its lines come from is not read."}
}

func (f *File) unreadable(code, message string) {
	f.Kind, f.Lines, f.Runs = KindUnreadable, 0, nil
	f.Finding = &notes.Finding{Code: code, Severity: notes.Error, Where: where(f.Path),
		Message: message + " Where its lines come from is not known."}
}

func where(path string) string { return strings.ToValidUTF8(path, "\uFFFD") }

// blame is blame within the time for one file. What concerns that file alone is
// an unreadableError.
func (w *work) blame(ctx context.Context, revisions, path string, ranges []notes.LineRange) ([]piece, error) {
	limited, cancel := context.WithTimeout(ctx, w.o.Timeout)
	defer cancel()
	pieces, err := blame(limited, w.repo, revisions, path, ranges)
	if err != nil && ctx.Err() == nil {
		return nil, w.judge(err)
	}
	return pieces, err
}

// unreadableError is why git cannot say where the lines of one file come from.
type unreadableError struct {
	error
	code, message string
}

// died is how git ends when it cannot go on with what it was given.
const died = 128

// judge tells what concerns one file from what concerns all: git that cannot
// run, was killed, or lost the repository.
func (w *work) judge(err error) error {
	var child *gitcmd.Error
	isChild := errors.As(err, &child)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return unreadableError{err, codeSlow, fmt.Sprintf("git took more than %s for this file.", w.o.Timeout)}
	case errors.Is(err, gitcmd.ErrMissingObject):
		return unreadableError{err, codeMissing, "The mirror lacks a part of the history of this file."}
	case isChild && child.ExitCode != died:
		return err
	}
	if _, openErr := gitcmd.Open(w.repo.Dir()); openErr != nil {
		return err
	}
	message := "The output of git could not be read."
	if isChild {
		message = child.Error() + "."
	}
	return unreadableError{err, codeFailed, message}
}

// fault makes the file unreadable if that is what the error says, and returns
// any other error.
func (f *File) fault(err error) error {
	var unreadable unreadableError
	if errors.As(err, &unreadable) {
		f.unreadable(unreadable.code, unreadable.message)
		return nil
	}
	return err
}
