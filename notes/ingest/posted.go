package ingest

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

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

// Rejection is one receipt that was not taken, by its position in the body.
type Rejection struct {
	Index int
	Error string
}

// PostReceipts takes in a body as notes.ParseReceipts reads it. repo and commit
// stand in for those that the body does not name. A *store.InvalidError names
// what is missing or wrong; notes.ErrNotReceipts means that the body is none.
func (g *Ingester) PostReceipts(ctx context.Context, by access.Principal, repo, commit string, body []byte) (Posted, error) {
	batch, err := notes.ParseReceipts(body)
	if err != nil {
		return Posted{}, err
	}
	repo, commit = cmp.Or(batch.Repo, repo), cmp.Or(batch.Commit, commit)
	if repo == "" {
		return Posted{}, &store.InvalidError{Field: "repo", Problem: "name the repository, in the body or as a query parameter"}
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
	out.Accepted, err = g.cfg.DB.PostReceipts(ctx, by, repo, commit, batch.Note)
	out.Duplicates = len(batch.Items) - len(out.Rejected) - out.Accepted
	return out, err
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
