package ingest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/store"
)

// annotated gives the commit that a path of a notes tree annotates: the hex of
// its object id, with slashes where git fanned the tree out. Other paths are
// none of a note's.
func annotated(path string) (commit string, ok bool) {
	if len(path) > 128 {
		return "", false
	}
	if strings.IndexByte(path, '/') >= 0 {
		path = strings.ReplaceAll(path, "/", "")
	}
	oid, err := gitcmd.ParseOID(path)
	return string(oid), err == nil && !oid.IsZero()
}

// versionsOf gives the versions that one notes commit brought, in the order of
// its changes. A note that only moved, because git fanned the tree out or in,
// is no version.
func versionsOf(c *gitcmd.CommitChanges) []store.Version {
	if len(c.Changes) == 0 {
		return nil
	}
	byCommit := make(map[string]*noteChange, len(c.Changes))
	order := make([]string, 0, len(c.Changes))
	for i := range c.Changes {
		commit, ok := annotated(c.Changes[i].Path)
		if !ok {
			continue
		}
		change := byCommit[commit]
		if change == nil {
			change = &noteChange{}
			byCommit[commit] = change
			order = append(order, commit)
		}
		change.add(&c.Changes[i])
	}
	versions := make([]store.Version, 0, len(order))
	for _, commit := range order {
		blob, changed := byCommit[commit].outcome()
		if changed {
			versions = append(versions, version(&c.Commit, commit, blob))
		}
	}
	return versions
}

// noteChange is what a notes commit did to one note, over all its paths.
type noteChange struct {
	path string
	blob gitcmd.OID
	old  []gitcmd.OID
}

func (n *noteChange) add(c *gitcmd.Change) {
	for _, old := range c.Old {
		if !old.IsZero() {
			n.old = append(n.old, old)
		}
	}
	// If a commit is annotated twice in one tree, the shallower path counts.
	isNote := !c.New.IsZero() && isFile(c.Mode)
	if isNote && (n.blob == "" || len(c.Path) < len(n.path)) {
		n.path, n.blob = c.Path, c.New
	}
}

// outcome is the new blob, "" for a removal; changed is false when some parent
// held the same blob at another path.
func (n *noteChange) outcome() (blob string, changed bool) {
	if n.blob == "" {
		return "", len(n.old) > 0
	}
	return string(n.blob), !slices.Contains(n.old, n.blob)
}

// isFile tells notes from links and submodules, which hold no note.
func isFile(mode string) bool { return strings.HasPrefix(mode, "100") }

func version(c *gitcmd.Commit, commit, blob string) store.Version {
	return store.Version{Commit: commit, NotesCommit: string(c.OID), Blob: blob,
		AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail, AuthoredAt: c.AuthorTime, CommittedAt: c.CommitTime}
}

func newCommit(c *gitcmd.Commit) store.NewCommit {
	parents := make([]string, len(c.Parents))
	for i, p := range c.Parents {
		parents[i] = string(p)
	}
	subject, _, _ := strings.Cut(c.Message, "\n")
	if runes := []rune(subject); len(runes) > 500 {
		subject = string(runes[:500])
	}
	return store.NewCommit{Commit: string(c.OID), Parents: parents, AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail,
		AuthoredAt: c.AuthorTime, CommitterName: c.CommitterName, CommitterEmail: c.CommitterEmail, CommittedAt: c.CommitTime,
		Subject: subject, Agents: agentMarks(c), Bot: notes.IsBot(c.AuthorName, c.AuthorEmail),
		CoAuthors: notes.CoAuthors(c.Message)}
}

func agentMarks(c *gitcmd.Commit) json.RawMessage {
	marks := notes.AgentMarks(c.AuthorName, c.AuthorEmail, c.CommitterName, c.CommitterEmail, c.Message)
	if len(marks) == 0 {
		return nil
	}
	body, err := json.Marshal(marks)
	if err != nil {
		return nil
	}
	return body
}
