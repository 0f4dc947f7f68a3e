package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

// PushVersion is the version of the format of a Push. It rises when an older
// reader would misjudge what a newer program writes; a new field alone does
// not raise it.
const PushVersion = 1

// MaxPush is the largest Push in bytes of JSON that DecodePush reads. What
// Collect makes with DefaultLimits and Encode writes stays below, if all of its
// text needs escapes, and usually has some kilobytes.
const MaxPush = 128 << 20

// ErrPush says that a document is no Push of a known version, or breaks the
// rules of one.
var ErrPush = errors.New("document is no push")

// Push is everything that a hook tells about one push. All text in it comes
// from the pusher or the forge and is valid UTF-8.
type Push struct {
	Version int `json:"version"`
	Environment
	// ObjectFormat is "sha1" or "sha256".
	ObjectFormat string `json:"object_format"`
	Refs         []Ref  `json:"refs"`
	// Commits are the new ones, parents before children.
	Commits []Commit `json:"commits,omitempty"`
	// Notes are those of Commits, at most one per commit and path of a notes tree.
	Notes []Note `json:"notes,omitempty"`
	// LargeNotes are among what a pushed notes ref has and did not have before, 20 at
	// most; those that were not found in time are left out.
	LargeNotes []LargeNote `json:"large_notes,omitempty"`
	// Initial says that no branch was there before: all history is new.
	Initial bool `json:"initial,omitempty"`
	// Shallow says that the pusher's history is cut off and the repository accepts
	// that.
	Shallow bool `json:"shallow,omitempty"`
	// MoreCommits says that there are more new commits than Limits.Commits, the
	// older ones, of which nothing is known.
	MoreCommits bool `json:"more_commits,omitempty"`
	// Unmeasured counts Commits that are not Measured.
	Unmeasured int `json:"unmeasured,omitempty"`
	// UnreadNotes says that notes of Commits may exist that are not in Notes.
	UnreadNotes bool `json:"unread_notes,omitempty"`
	// Waited says that the hook has looked for notes as long as it was asked to.
	Waited bool `json:"waited,omitempty"`

	// Place is set inside of the daemon alone, by who keeps the repository and will
	// know whether it took the push. It names where the repository is kept.
	Place string `json:"-"`
}

// Ref is one ref update.
type Ref struct {
	Name string       `json:"name"`
	Old  gitcmd.OID   `json:"old"`
	New  gitcmd.OID   `json:"new"`
	Kind push.RefKind `json:"kind"`
	// Forced says that Old is not in the history of New, or that it was not looked
	// for because too many refs are updated. It is never set for tags, new refs
	// and deletions.
	Forced bool `json:"forced,omitempty"`
	// Commit is what an annotated tag in New stands for; empty when New is the
	// commit itself, or the tag is of something else.
	Commit gitcmd.OID `json:"commit,omitempty"`
	// Abandoned are commits that Old reaches and no ref outside of refs/notes/ does
	// after the push, newest first and at most MaxAbandoned: what a forced update or
	// the deletion of a branch leaves behind. It is looked for in pushes with at
	// most 256 of such updates, for the first 64 of them.
	Abandoned []gitcmd.OID `json:"abandoned,omitempty"`
}

// MaxAbandoned bounds Ref.Abandoned.
const MaxAbandoned = 1000

// Commit is one new commit.
type Commit struct {
	OID       gitcmd.OID   `json:"oid"`
	Parents   []gitcmd.OID `json:"parents,omitempty"`
	Author    Identity     `json:"author"`
	Committer Identity     `json:"committer"`
	// Refs names the refs of the push that reach the commit; empty means all that
	// are judged, or that there are too many to tell.
	Refs     []string       `json:"refs,omitempty"`
	Trailers []push.Trailer `json:"trailers,omitempty"`
	Marks    []push.Mark    `json:"marks,omitempty"`
	// Bot says that the author is automation that is no coding agent.
	Bot bool `json:"bot,omitempty"`
	// Boundary says that the history of a shallow push ends here: the parents are
	// not known and the commit is not measured.
	Boundary bool `json:"boundary,omitempty"`
	// Cut says that trailers were left out, and names shortened, for their size.
	Cut bool `json:"cut,omitempty"`
	// Measured says that Files and PatchID are complete.
	Measured bool `json:"measured,omitempty"`
	// Files are those that differ from the first parent, renames followed; of a
	// merge those that differ from every parent.
	Files []File `json:"files,omitempty"`
	// PatchID is as git patch-id --stable has it; empty for merges and for commits
	// that change nothing.
	PatchID string `json:"patch_id,omitempty"`
}

// Identity is an author or committer as the commit says.
type Identity struct {
	Name  string    `json:"name,omitempty"`
	Email string    `json:"email,omitempty"`
	Time  time.Time `json:"time"`
}

// File is what a commit did to one path. Lines are counted by git's diff; of a
// merge a line counts as added if it is in no parent and as deleted if it was
// in every one.
type File struct {
	Path string `json:"path"`
	// From is the old path of a file that was renamed.
	From    string `json:"from,omitempty"`
	Added   int64  `json:"added,omitempty"`
	Deleted int64  `json:"deleted,omitempty"`
	Binary  bool   `json:"binary,omitempty"`
	// Blob is the new content, empty for a deleted path and for a submodule.
	Blob gitcmd.OID `json:"blob,omitempty"`
	// Runs are the added lines as numbered in Blob; nil although Added is not 0
	// when there are too many of them.
	Runs []Run `json:"runs,omitempty"`
}

// Run is the first and the last of adjacent lines, 1-based.
type Run [2]int64

// Note is one note of a commit, without its prompts.
type Note struct {
	Commit gitcmd.OID `json:"commit"`
	// Ref is the notes ref and Blob the content.
	Ref  string     `json:"ref"`
	Blob gitcmd.OID `json:"blob"`
	Size int64      `json:"size"`
	// Unread says why nothing else is known of the note; empty when it was read.
	Unread       string        `json:"unread,omitempty"`
	Receipts     []Receipt     `json:"receipts,omitempty"`
	Attestations []Attestation `json:"attestations,omitempty"`
	// Findings counts what could not be read in it.
	Findings int `json:"findings,omitempty"`
	// Cut says that Receipts, Attestations or their parts were left out.
	Cut bool `json:"cut,omitempty"`
}

// Receipt is what a policy may ask of a notes.Receipt; the fields mean the
// same.
type Receipt struct {
	ID           string            `json:"id"`
	Provider     string            `json:"provider,omitempty"`
	Model        string            `json:"model,omitempty"`
	SessionID    string            `json:"session_id,omitempty"`
	PromptNumber *int64            `json:"prompt_number,omitempty"`
	CostUSD      string            `json:"cost_usd,omitempty"`
	Tokens       Tokens            `json:"tokens,omitzero"`
	Timestamp    time.Time         `json:"timestamp,omitzero"`
	UserName     string            `json:"user_name,omitempty"`
	UserEmail    string            `json:"user_email,omitempty"`
	Files        []ReceiptFile     `json:"files,omitempty"`
	Secrets      []push.SecretKind `json:"secrets,omitempty"`
	// Unscanned says that not all texts were searched for secrets.
	Unscanned bool `json:"unscanned,omitempty"`
	Dangling  bool `json:"dangling,omitempty"`
}

// Tokens are nil where the note is silent.
type Tokens struct {
	Input         *int64 `json:"input,omitempty"`
	Output        *int64 `json:"output,omitempty"`
	CacheRead     *int64 `json:"cache_read,omitempty"`
	CacheCreation *int64 `json:"cache_creation,omitempty"`
}

// ReceiptFile is a notes.FileChange.
type ReceiptFile struct {
	Path string `json:"path"`
	// Lines is the client's envelope; zero when unknown.
	Lines Run    `json:"lines,omitzero"`
	Blob  string `json:"blob,omitempty"`
}

// Attestation is a notes.Attestation without names.
type Attestation struct {
	Path      string          `json:"path"`
	Class     notes.LineClass `json:"class"`
	ReceiptID string          `json:"receipt_id,omitempty"`
	Runs      []Run           `json:"runs"`
}

// Input returns what the push says of a push.Input: pusher, repository, refs
// and commits, without classes of lines, receipts, reviews and totals. Names
// are the forge's; whoever knows better replaces them.
func (p *Push) Input() push.Input {
	in := push.Input{
		Pusher: push.Person{User: p.User, Name: p.User, Email: p.Email},
		Repo:   push.Repo{Name: p.Repo},
	}
	noted := make(map[gitcmd.OID]bool)
	for i := range p.Notes {
		if p.Notes[i].Unread == "" {
			noted[p.Notes[i].Commit] = true
		}
	}
	for _, ref := range p.Refs {
		in.Refs = append(in.Refs, push.Ref{
			Name: ref.Name, Old: string(ref.Old), New: string(ref.New), Kind: ref.Kind, Origin: p.Via.origin(),
		})
	}
	for i := range p.Commits {
		commit := p.Commits[i].input()
		commit.Noted = noted[p.Commits[i].OID]
		in.Commits = append(in.Commits, commit)
	}
	return in
}

func (v Via) origin() push.Origin {
	switch v {
	case Merged:
		return push.Merge
	case Edited, Called:
		return push.Web
	}
	return push.Direct
}

func (c *Commit) input() push.Commit {
	out := push.Commit{
		OID: string(c.OID), Refs: c.Refs, Trailers: c.Trailers, Marks: c.Marks, Bot: c.Bot, PatchID: c.PatchID,
		Author:    push.Person{Name: c.Author.Name, Email: c.Author.Email},
		Committer: push.Person{Name: c.Committer.Name, Email: c.Committer.Email},
	}
	for _, parent := range c.Parents {
		out.Parents = append(out.Parents, string(parent))
	}
	for _, file := range c.Files {
		out.Files = append(out.Files, push.File{Path: file.Path, Added: file.Added, Deleted: file.Deleted})
	}
	return out
}

// Encode writes the push as one JSON document.
func (p *Push) Encode(w io.Writer) error {
	encoder := json.NewEncoder(w)
	// It is no page, and the escapes would make names of refs six times as long.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return fmt.Errorf("writing push: %w", err)
	}
	return nil
}

// DecodePush reads one Push as JSON of at most MaxPush bytes. Unknown fields
// are ignored, so that an older daemon understands a newer hook. The error
// wraps ErrPush.
func DecodePush(r io.Reader) (Push, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxPush+1))
	if err != nil {
		return Push{}, fmt.Errorf("reading push: %w", err)
	}
	if len(text) > MaxPush {
		return Push{}, fmt.Errorf("reading push: more than %d bytes: %w", MaxPush, ErrPush)
	}
	// An unknown version may use known names for other things.
	var header struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return Push{}, fmt.Errorf("reading push: %w: %w", err, ErrPush)
	}
	if header.Version != PushVersion {
		return Push{}, fmt.Errorf("reading push: version %d instead of %d: %w", header.Version, PushVersion, ErrPush)
	}
	var p Push
	if err := json.Unmarshal(text, &p); err != nil {
		return Push{}, fmt.Errorf("reading push: %w: %w", err, ErrPush)
	}
	if err := p.check(); err != nil {
		return Push{}, fmt.Errorf("reading push: %w: %w", err, ErrPush)
	}
	return p, nil
}

// check holds a Push to what Collect makes.
func (p *Push) check() error {
	if p.ObjectFormat != "sha1" && p.ObjectFormat != "sha256" {
		return fmt.Errorf("unknown object_format %.20q", p.ObjectFormat)
	}
	if len(p.Refs) > MaxUpdates || len(p.Commits) > maxCommits {
		return fmt.Errorf("%d refs and %d commits", len(p.Refs), len(p.Commits))
	}
	for i, ref := range p.Refs {
		if err := (Update{Old: ref.Old, New: ref.New, Ref: ref.Name}).check(); err != nil {
			return fmt.Errorf("refs[%d]: %w", i, err)
		}
		if !refKinds[ref.Kind] {
			return fmt.Errorf("refs[%d]: unknown kind %.20q", i, ref.Kind)
		}
		if err := checkAbandoned(ref.Abandoned); err != nil {
			return fmt.Errorf("refs[%d]: abandoned: %w", i, err)
		}
	}
	for i := range p.Commits {
		if err := p.Commits[i].check(); err != nil {
			return fmt.Errorf("commits[%d]: %w", i, err)
		}
	}
	for i, note := range p.Notes {
		if _, err := gitcmd.ParseOID(string(note.Commit)); err != nil {
			return fmt.Errorf("notes[%d]: %w", i, err)
		}
	}
	return checkLarge(p.LargeNotes)
}

func checkLarge(large []LargeNote) error {
	if len(large) > maxLargeNotes {
		return fmt.Errorf("%d large_notes", len(large))
	}
	for i, note := range large {
		if _, err := gitcmd.ParseOID(string(note.Commit)); err != nil && note.Commit != "" {
			return fmt.Errorf("large_notes[%d]: %w", i, err)
		}
	}
	return nil
}

func checkAbandoned(commits []gitcmd.OID) error {
	if len(commits) > MaxAbandoned {
		return fmt.Errorf("%d commits", len(commits))
	}
	for _, oid := range commits {
		if _, err := gitcmd.ParseOID(string(oid)); err != nil {
			return err
		}
	}
	return nil
}

var refKinds = map[push.RefKind]bool{
	push.Create: true, push.Update: true, push.Force: true, push.Delete: true, push.Tag: true, push.Notes: true,
}

func (c *Commit) check() error {
	if _, err := gitcmd.ParseOID(string(c.OID)); err != nil {
		return err
	}
	for _, parent := range c.Parents {
		if _, err := gitcmd.ParseOID(string(parent)); err != nil {
			return fmt.Errorf("parents: %w", err)
		}
	}
	for i, file := range c.Files {
		if file.Added < 0 || file.Deleted < 0 {
			return fmt.Errorf("files[%d]: negative count", i)
		}
	}
	return nil
}
