package gateway

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// mergeEvent is something that a merge did not let happen.
type mergeEvent struct {
	commit string
	// blob is the note in which it would have happened, "" for a note that was
	// taken out.
	blob    gitcmd.OID
	receipt string
	// kept and refused are digests of the two contents; refused is empty where a
	// receipt was to be removed.
	kept, refused string
}

// tampered says that the content of a receipt was to be changed.
func (e mergeEvent) tampered() bool { return e.refused != "" }

// decide makes the edits that ours needs, note by note.
func (m *notesMerge) decide() error {
	m.edits, m.plain = treeEdits{}, true
	for commit := range m.touched() {
		if err := m.unify(commit); err != nil {
			return fmt.Errorf("merging the note of %s: %w", commit, err)
		}
	}
	var base map[string]string
	if m.base != "" {
		base = firsts(m.was)
	}
	steps := map[string]notes.Step{}
	for _, step := range notes.Plan(base, firsts(m.here), firsts(m.pushed)) {
		steps[step.Commit] = step
	}
	for commit := range m.touched() {
		blob := first(m.here[commit])
		if step, changes := steps[commit]; changes {
			var err error
			if blob, err = m.take(step); err != nil {
				return fmt.Errorf("merging the note of %s: %w", commit, err)
			}
		}
		m.place(commit, blob)
	}
	return nil
}

func first(at []notePlace) gitcmd.OID {
	if len(at) == 0 {
		return ""
	}
	return at[0].blob
}

func firsts(all places) map[string]string {
	blobs := make(map[string]string, len(all))
	for commit, at := range all {
		if len(at) > 0 {
			blobs[commit] = string(at[0].blob)
		}
	}
	return blobs
}

// unify makes one note of those that a tree has twice for a commit. git reads
// them as one too.
func (m *notesMerge) unify(commit string) error {
	for _, side := range []places{m.was, m.here, m.pushed} {
		at := side[commit]
		for len(at) > 1 {
			one, err := m.body(at[0].blob)
			if err != nil {
				return err
			}
			other, err := m.body(at[1].blob)
			if err != nil {
				return err
			}
			joined, _ := notes.MergeBody(m.format, nil, one, other)
			blob, err := m.write(joined, at[0].blob, one)
			if err != nil {
				return err
			}
			m.clear(at[1].path)
			m.plain = false
			at = append([]notePlace{{at[0].path, blob}}, at[2:]...)
			side[commit] = at
		}
	}
	return nil
}

// clear takes a path out.
func (m *notesMerge) clear(path string) { m.edits[path] = "" }

// place puts the note of a commit where it belongs, "" for none: where theirs
// has it if theirs moved it or ours has none, else where it is.
func (m *notesMerge) place(commit string, blob gitcmd.OID) {
	m.plain = m.plain && blob == first(m.pushed[commit])
	was, here, pushed := m.was[commit], m.here[commit], m.pushed[commit]
	if len(here) > 0 {
		m.clear(here[0].path)
	}
	if blob == "" {
		return
	}
	moved := len(was) > 0 && len(pushed) > 0 && was[0].path != pushed[0].path
	at := here
	if len(here) == 0 || moved {
		at = pushed
	}
	if len(at) == 0 {
		at = []notePlace{{path: commit}}
	}
	m.edits[at[0].path] = blob
}

// take does one step of the plan and returns the blob of the note, "" for none.
func (m *notesMerge) take(step notes.Step) (gitcmd.OID, error) {
	if step.Action == notes.ActionTake {
		return gitcmd.OID(step.Theirs), nil
	}
	base, err := m.body(gitcmd.OID(step.Base))
	if err != nil {
		return "", err
	}
	ours, err := m.body(gitcmd.OID(step.Ours))
	if err != nil {
		return "", err
	}
	theirs, err := m.body(gitcmd.OID(step.Theirs))
	if err != nil {
		return "", err
	}
	if unread(step.Ours, ours) || unread(step.Theirs, theirs) {
		return m.keepUnread(step)
	}
	merged, err := m.mergeBody(step, base, ours, theirs)
	if err != nil || merged == nil {
		return "", err
	}
	if bytes.Equal(merged, theirs) {
		return gitcmd.OID(step.Theirs), nil
	}
	return m.write(merged, gitcmd.OID(step.Ours), ours)
}

// unread reports whether there is a note whose body is not at hand.
func unread(blob string, body []byte) bool { return blob != "" && body == nil }

// keepUnread decides about notes that are too large to be read.
func (m *notesMerge) keepUnread(step notes.Step) (gitcmd.OID, error) {
	if step.Ours == "" {
		return gitcmd.OID(step.Theirs), nil
	}
	return gitcmd.OID(step.Ours), nil
}

// mergeBody joins two bodies. What would change or take away receipts of
// others is merged again as if there were no base, which does neither.
func (m *notesMerge) mergeBody(step notes.Step, base, ours, theirs []byte) ([]byte, error) {
	merged, conflicts := notes.MergeBody(m.format, base, ours, theirs)
	lost, err := m.lost(step.Commit, base, ours, merged)
	if err != nil {
		return nil, err
	}
	rewritten := slices.ContainsFunc(conflicts, func(c notes.Conflict) bool { return c.Kind == notes.ConflictRewritten })
	if rewritten || len(lost) > 0 {
		merged, conflicts = notes.MergeBody(m.format, nil, ours, theirs)
	}
	for _, c := range conflicts {
		if c.Kind == notes.ConflictTampered {
			m.events = append(m.events, mergeEvent{commit: step.Commit, blob: gitcmd.OID(step.Theirs), receipt: c.ID,
				kept: c.OursDigest, refused: c.TheirsDigest})
		}
	}
	for _, id := range lost {
		m.events = append(m.events, mergeEvent{commit: step.Commit, blob: gitcmd.OID(step.Theirs), receipt: id})
	}
	return merged, nil
}

// lost returns the ids of receipts that ours has and merged has not, although
// they are neither the pusher's nor carried elsewhere by what was pushed.
func (m *notesMerge) lost(commit string, base, ours, merged []byte) ([]string, error) {
	if base == nil || ours == nil || bytes.Equal(ours, merged) {
		return nil, nil
	}
	left := map[string]bool{}
	if merged != nil {
		for _, r := range notes.Parse(m.format, commit, merged).Receipts {
			left[r.ID] = true
		}
	}
	var lost []string
	for _, r := range notes.Parse(m.format, commit, ours).Receipts {
		if left[r.ID] || m.mayRemove(r) {
			continue
		}
		carried, err := m.carries(receiptKey(commit, r.ID))
		if err != nil {
			return nil, err
		}
		if !carried {
			lost = append(lost, r.ID)
		}
	}
	return lost, nil
}

// mayRemove reports whether a receipt is the pusher's own or nobody's.
func (m *notesMerge) mayRemove(r notes.Receipt) bool {
	owner := strings.ToLower(r.UserEmail)
	return owner == "" || owner == m.pusher && m.pusher != ""
}

// receiptKey is a receipt's id without the commit that stands in those of
// git-ai, so that it is the same wherever the note is.
func receiptKey(commit, id string) string { return strings.Replace(id, commit, "", 1) }

// The most that is read to find receipts that were moved.
const (
	maxCarriedNotes = 5_000
	maxCarriedBytes = 128 << 20
)

// carries reports whether a note that theirs changed holds the receipt.
func (m *notesMerge) carries(key string) (bool, error) {
	if m.carried != nil {
		return m.carried[key], nil
	}
	m.carried = map[string]bool{}
	read, size := 0, 0
	for commit, at := range m.pushed {
		if read++; read > maxCarriedNotes || size > maxCarriedBytes {
			break
		}
		body, err := m.body(first(at))
		if err != nil {
			return false, err
		}
		size += len(body)
		for _, r := range notes.Parse(m.format, commit, body).Receipts {
			m.carried[receiptKey(commit, r.ID)] = true
		}
	}
	return m.carried[key], nil
}

// body reads a note, nil for none and for what is no note that can be read.
func (m *notesMerge) body(blob gitcmd.OID) ([]byte, error) {
	if blob == "" {
		return nil, nil
	}
	object, err := m.reader.Read(blob, notes.MaxBody)
	if err != nil {
		return nil, err
	}
	if object.Type != "blob" || object.Data == nil && object.Size > 0 {
		return nil, nil
	}
	return append([]byte{}, object.Data...), nil
}

// write returns the blob of a body, which may be the one that it came from.
func (m *notesMerge) write(body []byte, known gitcmd.OID, of []byte) (gitcmd.OID, error) {
	if of != nil && bytes.Equal(body, of) {
		return known, nil
	}
	return m.writer.write(plumbing.BlobObject, body)
}
