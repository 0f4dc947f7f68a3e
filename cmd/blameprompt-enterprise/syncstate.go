package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// stateDir is below the git directory.
const stateDir = "blameprompt-enterprise"

// errLocked: another process syncs the same repository.
var errLocked = errors.New("another sync of this repository goes on; wait for it")

// syncState is what a server has been brought of a repository: whole notes
// trees, by their tips, and beside them the notes of a sync that did not end,
// one per line of a journal. The journal is written behind the answer of the
// server, so that a process that dies brings a few notes again, and never
// leaves one out.
type syncState struct {
	// Server and Repo are for people who look into the file; Repo is also the name
	// when the server cannot be asked.
	Server string                `json:"server"`
	Repo   string                `json:"repo"`
	Tips   map[string]gitcmd.OID `json:"tips"`

	file, journalFile string
	journal           *os.File
	lock              *os.File
	brought           map[localNote]bool
}

// openState reads what is known and keeps others from changing it. Another
// server, another repository there and another key have states of their own:
// keys may be of different organisations.
func openState(gitDir string, s server, name string, afresh bool) (*syncState, error) {
	id := sha256.Sum256([]byte(s.url.String() + "\x00" + name + "\x00" + s.key))
	base := filepath.Join(gitDir, stateDir, "sync-"+hex.EncodeToString(id[:8]))
	state := &syncState{file: base + ".json", journalFile: base + ".journal", brought: map[localNote]bool{}}
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return nil, fmt.Errorf("opening the state of the sync: %w", err)
	}
	if err := state.takeLock(base + ".lock"); err != nil {
		return nil, err
	}
	err := state.read()
	if err == nil && afresh {
		err = state.forget()
	}
	if err == nil {
		err = state.openJournal()
	}
	if err != nil {
		state.close()
		return nil, fmt.Errorf("opening the state of the sync: %w", err)
	}
	state.Server = s.url.String()
	return state, nil
}

// takeLock holds a file that the kernel frees when the process ends.
func (s *syncState) takeLock(path string) (err error) {
	if s.lock, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return fmt.Errorf("opening the state of the sync: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		s.lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errLocked
		}
		return fmt.Errorf("locking the state of the sync: %w", err)
	}
	return nil
}

// read takes a state that cannot be read for none: then everything is brought.
func (s *syncState) read() error {
	text, err := os.ReadFile(s.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if json.Unmarshal(text, s) != nil {
		s.Tips, s.Repo = nil, ""
	}
	return nil
}

func (s *syncState) openJournal() error {
	text, err := os.ReadFile(s.journalFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range bytes.Lines(text) {
		// The last line of a process that died may lack its end.
		if n, ok := parseJournal(string(line)); ok {
			s.brought[n] = true
		}
	}
	s.journal, err = os.OpenFile(s.journalFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil && len(text) > 0 && text[len(text)-1] != '\n' {
		_, err = s.journal.WriteString("\n")
	}
	return err
}

func parseJournal(line string) (localNote, bool) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if !strings.HasSuffix(line, "\n") || len(fields) != 3 {
		return localNote{}, false
	}
	return localNote{ref: fields[0], commit: gitcmd.OID(fields[1]), blob: gitcmd.OID(fields[2])}, true
}

// add remembers notes that the server has.
func (s *syncState) add(batch []localNote) error {
	var lines strings.Builder
	for _, n := range batch {
		fmt.Fprintf(&lines, "%s %s %s\n", n.ref, n.commit, n.blob)
	}
	if _, err := s.journal.WriteString(lines.String()); err != nil {
		return fmt.Errorf("writing the state of the sync: %w", err)
	}
	return nil
}

// finish remembers that the server has all of the trees.
func (s *syncState) finish(tips map[string]gitcmd.OID, repo string) error {
	s.Tips, s.Repo = tips, repo
	text, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = replaceFile(s.file, append(text, '\n'))
	}
	if err == nil {
		err = s.journal.Truncate(0)
	}
	if err != nil {
		return fmt.Errorf("writing the state of the sync: %w", err)
	}
	return nil
}

// forget takes back that the server has anything.
func (s *syncState) forget() error {
	s.Tips, s.brought = nil, map[localNote]bool{}
	for _, path := range []string{s.file, s.journalFile} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if s.journal == nil {
		return nil
	}
	return errors.Join(s.journal.Close(), s.openJournal())
}

func (s *syncState) close() {
	// Every line was written when it was due.
	if s.journal != nil {
		_ = s.journal.Close()
	}
	_ = s.lock.Close()
}
