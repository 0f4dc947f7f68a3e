package ingest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Posted says what became of posted receipts.
type Posted struct {
	// Accepted receipts are new, Duplicates were stored before or stand in the
	// body twice.
	Accepted   int
	Duplicates int
	Rejected   []Rejection
}

// Rejection is one receipt, or one whole note, that was not taken, by its
// position in the body.
type Rejection struct {
	Index int
	Error string
}

// PostReceipts takes in a body as notes.ParseReceipts reads it, or an object
// {repo, notes} of whole BlamePrompt notes {commit_hash, content}, which are
// read as notes.Parse does. repo and commit stand in for those that the body
// does not name. A *store.InvalidError names what is missing or wrong;
// notes.ErrNotReceipts means that the body is none.
func (g *Ingester) PostReceipts(ctx context.Context, by access.Principal, repo, commit string, body []byte) (Posted, error) {
	whole, ok, err := readNotes(body)
	if err != nil {
		return Posted{}, err
	}
	if ok {
		return g.postNotes(ctx, by, cmp.Or(whole.Repo, repo), whole)
	}
	batch, err := notes.ParseReceipts(body)
	if err != nil {
		return Posted{}, err
	}
	repo, commit = cmp.Or(batch.Repo, repo), cmp.Or(batch.Commit, commit)
	if repo == "" {
		return Posted{}, errNoRepo
	}
	if commit != "" && !isObjectID(commit) {
		return Posted{}, &store.InvalidError{Field: "commit_hash", Problem: "give the full object id in lower-case hex, or leave it out"}
	}
	var out Posted
	for i, item := range batch.Items {
		if item.Err != "" {
			out.Rejected = append(out.Rejected, Rejection{Index: i, Error: item.Err})
		}
	}
	out.Accepted, err = g.cfg.DB.PostNotes(ctx, by, repo, []store.PostedNote{{Commit: commit, Note: batch.Note}})
	out.Duplicates = len(batch.Items) - len(out.Rejected) - out.Accepted
	return out, err
}

var errNoRepo = &store.InvalidError{Field: "repo", Problem: "name the repository, in the body or as a query parameter"}

// MaxPostedNotes bounds the notes of one body.
const MaxPostedNotes = 1000

// wholeNotes is a body of whole notes.
type wholeNotes struct {
	Repo  string
	Notes []wholeNote
}

type wholeNote struct {
	Commit  string `json:"commit_hash"`
	Content string `json:"content"`
}

// readNotes reads a body of whole notes; ok is false for any other shape, to be
// read, and refused, as receipts.
func readNotes(body []byte) (whole wholeNotes, ok bool, err error) {
	var members map[string]json.RawMessage
	if !bytes.Contains(body, []byte(`"notes"`)) || json.Unmarshal(body, &members) != nil {
		return wholeNotes{}, false, nil
	}
	for _, other := range []string{"receipts", "id"} {
		if _, is := members[other]; is {
			return wholeNotes{}, false, nil
		}
	}
	list, ok := members["notes"]
	if !ok {
		return wholeNotes{}, false, nil
	}
	if json.Unmarshal(list, &whole.Notes) != nil || len(whole.Notes) > MaxPostedNotes {
		return wholeNotes{}, true, &store.InvalidError{Field: "notes",
			Problem: fmt.Sprintf("must be at most %d objects {commit_hash, content} of texts", MaxPostedNotes)}
	}
	if name, is := members["repo"]; is && json.Unmarshal(name, &whole.Repo) != nil {
		return wholeNotes{}, true, &store.InvalidError{Field: "repo", Problem: "must be a text"}
	}
	return whole, true, nil
}

// postNotes takes whole notes in, in one transaction. Parts of a note that
// cannot be read are its findings, as in a note from git; a note of which
// nothing could be read is rejected.
func (g *Ingester) postNotes(ctx context.Context, by access.Principal, repo string, whole wholeNotes) (Posted, error) {
	if repo == "" {
		return Posted{}, errNoRepo
	}
	var out Posted
	var posted []store.PostedNote
	for i, n := range whole.Notes {
		commit := strings.ToLower(n.Commit)
		if !isObjectID(commit) {
			out.Rejected = append(out.Rejected, Rejection{Index: i, Error: "commit_hash is not a full object id in hex"})
			continue
		}
		note := notes.Parse(notes.FormatBlamePrompt, commit, []byte(n.Content))
		if len(note.Receipts) == 0 {
			out.Rejected = append(out.Rejected, Rejection{Index: i, Error: emptiness(note)})
			continue
		}
		out.Duplicates += len(note.Receipts)
		posted = append(posted, store.PostedNote{Commit: commit, Note: note})
	}
	var err error
	out.Accepted, err = g.cfg.DB.PostNotes(ctx, by, repo, posted)
	out.Duplicates -= out.Accepted
	return out, err
}

// emptiness says why a note has no receipts.
func emptiness(note notes.Note) string {
	if len(note.Findings) > 0 {
		return note.Findings[0].Message
	}
	return "the note holds no receipts"
}

// Upload is one note of the HTTP notes backend.
type Upload struct {
	Commit  string
	Content []byte
}

// UploadNotes stores notes of the git-ai HTTP backend and returns how many
// were taken; the others name no commit or are too large.
func (g *Ingester) UploadNotes(ctx context.Context, by access.Principal, entries []Upload) (int, error) {
	uploads := make([]store.Upload, 0, len(entries))
	for _, e := range entries {
		if !isObjectID(e.Commit) || len(e.Content) > notes.MaxBody {
			continue
		}
		uploads = append(uploads, store.Upload{Commit: e.Commit, Blob: blobID(e.Commit, e.Content), Content: e.Content,
			Note: notes.Parse(notes.FormatGitAI, e.Commit, e.Content)})
	}
	if len(uploads) == 0 {
		return 0, nil
	}
	return len(uploads), g.cfg.DB.TakeUploads(ctx, by, uploads)
}

func isObjectID(s string) bool {
	oid, err := gitcmd.ParseOID(s)
	return err == nil && !oid.IsZero()
}

// blobID is the id that git would give content in the repository of commit
// (gitformat-pack: hash of "blob <size>\0" and the content).
func blobID(commit string, content []byte) string {
	var h hash.Hash = sha1.New()
	if len(commit) == sha256.Size*2 {
		h = sha256.New()
	}
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
