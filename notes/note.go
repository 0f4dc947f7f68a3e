// Package notes reads what AI coding tools write into git notes.
//
// It owns the model of a note (Note, Receipt, Attestation, Finding) and one
// tolerant parser per format: BlamePrompt payloads and git-ai authorship logs,
// and, as a low-confidence source, the trailers and identities of commits.
// It does no I/O and knows neither git nor a database.
//
// Promises: a parser never panics and never rejects a note as a whole; it
// returns what could be read plus findings that say what could not and where;
// time is linear in the input and memory is bounded by it.
package notes

import (
	"encoding/json"
	"time"
)

// MaxBody is the size in bytes above which a note body is not parsed; ingest
// records a finding for it instead.
const MaxBody = 16 << 20

// Format names the writer's format of a note body.
type Format string

// The formats that Parse reads.
const (
	FormatBlamePrompt Format = "blameprompt"
	FormatGitAI       Format = "git-ai"
)

// RefFormats maps the registered notes refs to the format of their bodies.
var RefFormats = map[string]Format{
	"refs/notes/blameprompt": FormatBlamePrompt,
	"refs/notes/ai":          FormatGitAI,
}

// Note is everything that one note body says about one commit.
type Note struct {
	Format Format
	// FormatVersion is blameprompt_version or schema_version as written. It
	// names the last writer and never selects a parser.
	FormatVersion string
	// ToolVersion is git_ai_version; empty for BlamePrompt.
	ToolVersion string
	// BaseCommit is git-ai's base_commit_sha, in lower case and otherwise as
	// written; empty for BlamePrompt. Where it differs from the annotated commit
	// the note has been moved.
	BaseCommit   string
	Receipts     []Receipt
	Attestations []Attestation
	// Detail is a JSON object of the members of the payload that no field
	// takes; nil when there are none. It is safe for PostgreSQL jsonb.
	Detail   json.RawMessage
	Findings []Finding
}

// Receipt is a tool's claim that a model answered a prompt. Everything in it
// is unauthenticated client text. Strings are valid UTF-8 without U+0000.
// Pointers are nil where the note is silent or unreadable.
type Receipt struct {
	// ID is the id as written; one of more than 256 bytes is replaced by
	// "sha256:<hex of it>". A receipt without one gets "sha256:<hex of its JSON
	// text without white space>"; a git-ai record gets
	// "git-ai:<annotated commit>:<record key>". It is unique in a note: the last
	// receipt with an id replaces the earlier ones at the first one's place.
	ID string
	// Index is the position in the note, from 0.
	Index int

	Provider     string
	Model        string
	SessionID    string
	PromptNumber *int64

	PromptSummary   string
	ResponseSummary string
	PromptHash      string
	MessageCount    *int64

	// CostUSD is the client's claim as a plain decimal without exponent
	// ("0.0123") of at most 10 digits before and 12 behind the point, empty when
	// absent or not a finite non-negative number.
	CostUSD string

	InputTokens         *int64
	OutputTokens        *int64
	CacheReadTokens     *int64
	CacheCreationTokens *int64

	// Zero where absent or unreadable.
	Timestamp         time.Time
	SessionStart      time.Time
	SessionEnd        time.Time
	PromptSubmittedAt time.Time
	// RawTimestamps holds the strings behind the four times by field name.
	RawTimestamps map[string]string

	SessionDurationSecs *int64
	PromptDurationSecs  *int64
	AIResponseTimeSecs  *float64

	AcceptedLines   *int64
	OverriddenLines *int64
	TotalAdditions  *int64
	TotalDeletions  *int64

	// User is the field as written; UserName and UserEmail are its parts.
	User      string
	UserName  string
	UserEmail string

	// Files holds files_changed, or the legacy file_path and line_range.
	Files []FileChange

	ParentReceiptID string

	// Conversation is the JSON array as written, nil when absent; what strict
	// JSON or PostgreSQL's jsonb refuses in it is replaced. It shares memory with
	// the body. The caller decides whether it is kept.
	Conversation      json.RawMessage
	ConversationTurns int

	// Detail is a JSON object of every other field, known or not, without the
	// conversation; nil when there is none. It is safe for PostgreSQL jsonb.
	Detail json.RawMessage

	// Dangling marks a git-ai key that attests lines but has no record.
	Dangling bool
}

// FileChange is one file that a receipt claims to have changed.
type FileChange struct {
	// Path as written with back-slashes turned into slashes; relative to the
	// repository, to the agent's working directory, or absolute.
	Path string
	// LineStart and LineEnd are the client's envelope, 1-based and inclusive;
	// both 0 when unknown.
	LineStart int64
	LineEnd   int64
	// BlobHash is lower-case hex of 40 or 64 digits, or empty.
	BlobHash  string
	Additions *int64
	Deletions *int64
	// Legacy marks a change taken from file_path and line_range.
	Legacy bool
}

// LineClass says who wrote a line.
type LineClass string

// The classes that a note can attest. Lines that no note attests are unknown.
const (
	ClassAI    LineClass = "ai"
	ClassHuman LineClass = "human"
)

// Attestation says whose the lines of one file are, as a git-ai authorship log
// attests it. Within a note every line of a path has one owner: the last
// entry that covers it (git-ai specification, blame rule).
type Attestation struct {
	Path string
	// Key is the entry's key as written.
	Key   string
	Class LineClass
	// ReceiptID is the Receipt of the same note that the key stands for; empty
	// for human keys.
	ReceiptID string
	// Author is the name behind a human key, if the note has it.
	Author string
	// Lines are disjoint, ascending and owned by this entry alone.
	Lines []LineRange
}

// LineRange is a run of lines, 1-based and inclusive.
type LineRange struct {
	First, Last uint32
}

// MaxLine is the highest line number that is kept; a range beyond it is
// clamped with a finding. It leaves room for PostgreSQL's int4multirange.
const MaxLine = 1<<31 - 2

// Severity orders findings.
type Severity string

// Info is worth knowing, Warning means a value was dropped or guessed, Error
// means that a whole part could not be read.
const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Finding says what could not be read, or is not what it seems, and where.
type Finding struct {
	// Code is a stable snake_case word, documented in docs/findings.md.
	Code     string
	Severity Severity
	// ReceiptID is set where the finding concerns one receipt.
	ReceiptID string
	// Where is a JSON pointer (RFC 6901) into the body, or "line N", or "line N"
	// and a pointer into the document that begins there.
	Where string
	// Message tells a person what happened and what was kept. It never quotes
	// prompt text.
	Message string
}

// MaxFindings bounds the findings of one note. When there are more, the most
// severe are kept and the last one counts the rest.
const MaxFindings = 100
