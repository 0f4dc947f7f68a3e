package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// localNote is one note of the tip of a notes ref.
type localNote struct {
	ref          string
	commit, blob gitcmd.OID
}

// The bounds of what is brought at once.
const (
	batchNotes = 100
	batchBytes = 4 << 20
)

// pending lists the notes of a ref that are in none of the trees that the
// server has: the one that was brought last and the one that it fetched.
func (s *syncer) pending(ctx context.Context, ref string, tip, fetched gitcmd.OID) ([]localNote, error) {
	if tip == "" {
		return nil, nil
	}
	var found []localNote
	whole := true
	for _, base := range []gitcmd.OID{s.state.Tips[ref], fetched} {
		if base.IsZero() {
			continue
		}
		var changed []localNote
		err := s.repo.DiffTrees(ctx, base, tip, func(c gitcmd.Change) error {
			changed = appendNote(changed, ref, c.Path, c.New)
			return nil
		})
		switch {
		case errors.Is(err, gitcmd.ErrMissingObject):
			// Somebody else's notes, or ours before they were rewritten.
		case err != nil:
			return nil, err
		case whole:
			found, whole = changed, false
		default:
			found = inBoth(found, changed)
		}
	}
	if whole {
		err := s.repo.Tree(ctx, tip, func(entry gitcmd.TreeEntry) error {
			if entry.Type == "blob" {
				found = appendNote(found, ref, entry.Path, entry.OID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s.unbrought(found), nil
}

// appendNote appends what a path of a notes tree holds, if it is the path of a
// note.
func appendNote(list []localNote, ref, path string, blob gitcmd.OID) []localNote {
	commit, err := gitcmd.ParseOID(strings.ReplaceAll(path, "/", ""))
	if err != nil || blob.IsZero() {
		return list
	}
	return append(list, localNote{ref: ref, commit: commit, blob: blob})
}

func inBoth(a, b []localNote) []localNote {
	in := map[localNote]bool{}
	for _, n := range b {
		in[n] = true
	}
	var both []localNote
	for _, n := range a {
		if in[n] {
			both = append(both, n)
		}
	}
	return both
}

// unbrought leaves out what the journal has.
func (s *syncer) unbrought(found []localNote) []localNote {
	var left []localNote
	for _, n := range found {
		if !s.state.brought[n] {
			left = append(left, n)
		}
	}
	return left
}

// batch is what is brought at once: notes of one ref with their bodies.
type batch struct {
	notes  []localNote
	bodies []string
	bytes  int64
}

// send brings the notes batch by batch. What one batch holds is in memory and
// no more.
func (s *syncer) send(ctx context.Context, work []localNote) error {
	reader := s.repo.NewBatchReader(ctx)
	defer reader.Close()
	blobs := func(yield func(gitcmd.OID) bool) {
		for _, n := range work {
			if !yield(n.blob) {
				return
			}
		}
	}
	var b batch
	next := 0
	err := reader.ReadMany(ctx, blobs, notes.MaxBody, func(object gitcmd.Object) error {
		n := work[next]
		next++
		if b.full(n, object.Size) {
			if err := s.deliver(ctx, b); err != nil {
				return err
			}
			b = batch{}
		}
		if object.Data == nil {
			return s.skip(n, object)
		}
		b.notes, b.bodies, b.bytes = append(b.notes, n), append(b.bodies, string(object.Data)), b.bytes+object.Size
		return nil
	})
	if err != nil {
		return err
	}
	return s.deliver(ctx, b)
}

// full reports whether another note has to wait for the next batch.
func (b *batch) full(n localNote, size int64) bool {
	return len(b.notes) > 0 && (b.notes[0].ref != n.ref || len(b.notes) == batchNotes || b.bytes+size > batchBytes)
}

// skip passes over a note that the server would not take.
func (s *syncer) skip(n localNote, object gitcmd.Object) error {
	why := fmt.Sprintf("it has %d bytes, more than %d", object.Size, notes.MaxBody)
	if object.Type == gitcmd.Missing {
		why = "git has lost it"
	}
	s.reject(n, why)
	return s.brought(batch{notes: []localNote{n}})
}

func (s *syncer) reject(n localNote, why string) {
	s.done.Rejected = append(s.done.Rejected, syncReject{Ref: n.ref, Commit: n.commit, Error: why})
}

// deliver brings a batch and remembers that.
func (s *syncer) deliver(ctx context.Context, b batch) error {
	if len(b.notes) == 0 {
		return nil
	}
	var err error
	if notes.RefFormats[b.notes[0].ref] == notes.FormatGitAI {
		err = s.upload(ctx, b)
	} else {
		err = s.post(ctx, b)
	}
	if err != nil {
		return err
	}
	return s.brought(b)
}

func (s *syncer) brought(b batch) error {
	s.done.Notes += len(b.notes)
	s.bar.add(len(b.notes))
	return s.state.add(b.notes)
}

// post brings notes of BlamePrompt.
func (s *syncer) post(ctx context.Context, b batch) error {
	type note struct {
		Commit  gitcmd.OID `json:"commit_hash"`
		Content string     `json:"content"`
	}
	body := struct {
		Repo  string `json:"repo"`
		Notes []note `json:"notes"`
	}{Repo: s.name}
	for i, n := range b.notes {
		body.Notes = append(body.Notes, note{n.commit, b.bodies[i]})
	}
	var answer struct {
		Accepted, Duplicates int
		Rejected             []struct {
			Index int
			Error string
		}
	}
	err := s.bring(ctx, http.MethodPost, "/api/v1/receipts", nil, body, &answer)
	if statusOf(err) == http.StatusRequestEntityTooLarge && len(b.notes) == 1 {
		s.reject(b.notes[0], "it is too large for the server")
		return nil
	}
	if err != nil {
		return err
	}
	s.done.New += answer.Accepted
	s.done.Known += answer.Duplicates
	for _, r := range answer.Rejected {
		if r.Index < 0 || r.Index >= len(b.notes) {
			return fmt.Errorf("%s rejects note %d of %d", s.client.url, r.Index, len(b.notes))
		}
		s.reject(b.notes[r.Index], r.Error)
	}
	return nil
}

// upload brings notes of git-ai. Each upload is a version of its note at the
// server, so that those which it has are left out.
func (s *syncer) upload(ctx context.Context, b batch) error {
	var has struct {
		Notes map[gitcmd.OID]string `json:"notes"`
	}
	commits := make([]string, len(b.notes))
	for i, n := range b.notes {
		commits[i] = string(n.commit)
	}
	query := url.Values{"commits": {strings.Join(commits, ",")}}
	if err := s.bring(ctx, http.MethodGet, "/worker/notes", query, nil, &has); err != nil {
		return err
	}
	type entry struct {
		Commit  gitcmd.OID `json:"commit_sha"`
		Content string     `json:"content"`
	}
	var body struct {
		Entries []entry `json:"entries"`
	}
	for i, n := range b.notes {
		if content, ok := has.Notes[n.commit]; ok && content == b.bodies[i] {
			s.done.Equal++
			continue
		}
		body.Entries = append(body.Entries, entry{n.commit, b.bodies[i]})
	}
	if len(body.Entries) == 0 {
		return nil
	}
	var answer struct {
		Success int `json:"success_count"`
		Failure int `json:"failure_count"`
	}
	err := s.bring(ctx, http.MethodPost, "/worker/notes/upload", nil, body, &answer)
	s.done.Uploaded += answer.Success
	if err == nil && answer.Failure > 0 {
		err = fmt.Errorf("%s did not take %d of %d git-ai notes", s.client.url, answer.Failure, len(body.Entries))
	}
	return err
}

// The bounds of asking again.
const (
	maxTries = 5
	maxPause = time.Minute
)

// bring does a call until the server answers it, within bounds: one that is
// restarted, or that asks for patience, is no reason to stop.
func (s *syncer) bring(ctx context.Context, method, path string, query url.Values, body, out any) error {
	c := call{method: method, path: path, query: query, packs: path == "/api/v1/receipts"}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("writing notes: %w", err)
		}
		c.body = text
	}
	pause := time.Second
	for try := 1; ; try++ {
		_, err := s.client.json(ctx, c, out)
		wait, again := patience(err, pause)
		if !again || try == maxTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		pause *= 2
	}
}

// patience says whether asking again may help, and after what time.
func patience(err error, pause time.Duration) (time.Duration, bool) {
	var refused *apiError
	switch {
	case errors.Is(err, errUnreachable):
		return pause, true
	case errors.As(err, &refused) && (refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusServiceUnavailable):
		return min(max(refused.retry, pause), maxPause), true
	}
	return 0, false
}
