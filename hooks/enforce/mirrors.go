package enforce

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Mirrors reads notes from the mirrors, and what was posted or uploaded from
// the store. It is a NotesReader.
type Mirrors struct {
	DB *store.DB
	// Root is the directory of the mirrors.
	Root string
}

// Notes reads the notes of commits as they are now. A repository without a
// mirror has those that were posted.
func (m *Mirrors) Notes(ctx context.Context, org, repo uuid.UUID, commits []string) ([]hooks.Note, error) {
	row, err := m.DB.Repo(ctx, org, repo.String())
	if err != nil {
		return nil, err
	}
	found, err := m.fetched(ctx, row, commits)
	if err != nil {
		return nil, fmt.Errorf("reading notes of %s: %w", row.Name, err)
	}
	uploaded, err := m.uploaded(ctx, org, commits)
	if err != nil {
		return nil, err
	}
	posted, err := m.posted(ctx, org, commits)
	return slices.Concat(found, uploaded, posted), err
}

// lateLimits leave room for all that a push may bring: nobody waits.
var lateLimits = hooks.Limits{Notes: 100_000, NoteBytes: 1 << 30, Receipts: 200_000, Scan: 64 << 20, Text: 64 << 20}

func (m *Mirrors) fetched(ctx context.Context, row store.Repo, commits []string) ([]hooks.Note, error) {
	mirrored, err := mirror.Open(m.Root, row.ID.String())
	if err != nil {
		return nil, err
	}
	git, err := mirrored.Repo()
	if errors.Is(err, gitcmd.ErrNotRepository) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tips, err := mirrored.Tips(ctx)
	if err != nil {
		return nil, err
	}
	for ref := range tips {
		if !slices.Contains(row.NotesRefs, ref) {
			delete(tips, ref)
		}
	}
	oids := make([]gitcmd.OID, len(commits))
	for i, commit := range commits {
		oids[i] = gitcmd.OID(commit)
	}
	slices.Reverse(oids)
	found, _, err := hooks.ReadNotes(ctx, git, tips, oids, lateLimits)
	return found, err
}

// uploaded are the notes of the HTTP notes backend.
func (m *Mirrors) uploaded(ctx context.Context, org uuid.UUID, commits []string) ([]hooks.Note, error) {
	bodies, err := m.DB.UploadedNotes(ctx, org, commits)
	if err != nil {
		return nil, err
	}
	var found []hooks.Note
	for commit, body := range bodies {
		parsed := notes.Parse(notes.FormatGitAI, commit, body)
		found = append(found, hooks.Brief(gitcmd.OID(commit), store.UploadRef, "", int64(len(body)), parsed))
	}
	return found, nil
}

// posted are the receipts that were posted for the commits, as a note of each.
func (m *Mirrors) posted(ctx context.Context, org uuid.UUID, commits []string) ([]hooks.Note, error) {
	receipts, err := m.DB.PostedReceipts(ctx, org, commits)
	if err != nil {
		return nil, err
	}
	var found []hooks.Note
	// They come by commit.
	for _, r := range receipts {
		if n := len(found); n == 0 || string(found[n-1].Commit) != r.Commit {
			found = append(found, hooks.Note{Commit: gitcmd.OID(r.Commit), Ref: store.APIRef})
		}
		last := &found[len(found)-1]
		last.Receipts = append(last.Receipts, postedReceipt(r))
	}
	return found, nil
}

func postedReceipt(r store.PostedReceipt) hooks.Receipt {
	out := hooks.Receipt{
		ID: r.ID, Provider: r.Provider, Model: r.Model, SessionID: r.SessionID, PromptNumber: r.PromptNumber,
		Tokens: hooks.Tokens{
			Input: r.InputTokens, Output: r.OutputTokens, CacheRead: r.CacheReadTokens, CacheCreation: r.CacheCreationTokens,
		},
		Timestamp: r.Timestamp, UserName: r.UserName, UserEmail: r.UserEmail,
		// Conversations of posted receipts are not kept unless the organisation says so.
		Secrets: push.FindSecrets(r.PromptSummary, r.ResponseSummary, string(r.Conversation)), Unscanned: r.Conversation == nil,
	}
	if r.CostReportedUSD != nil {
		out.CostUSD = string(*r.CostReportedUSD)
	}
	for _, f := range r.FilesChanged {
		out.Files = append(out.Files, hooks.ReceiptFile{Path: f.Path, Lines: hooks.Run{f.LineStart, f.LineEnd}, Blob: f.BlobHash})
	}
	return out
}
