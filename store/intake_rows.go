package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/secrets"
)

// Rows are the rows that a source brings, ready to be staged. They share no
// memory with the bodies that they were made from.
type Rows struct {
	// What was added, for progress and reports.
	Versions, Bodies, Receipts int

	src                                                                   Source
	versions, tip, bodies, links, receipts, files, attestations, findings [][]any
}

type stageTable struct {
	name    string
	columns []string
	rows    [][]any
}

// NewRows makes the rows of batches of src.
func NewRows(src Source, batches ...Batch) *Rows {
	s := &Rows{src: src}
	for _, b := range batches {
		s.add(b)
	}
	return s
}

func (s *Rows) add(b Batch) {
	for _, v := range b.Versions {
		s.Versions++
		name, email := s.src.Org.erased.person(clean(v.AuthorName), clean(v.AuthorEmail))
		s.versions = append(s.versions, []any{v.Commit, v.NotesCommit, nullText(v.Blob), name, email, v.AuthoredAt, v.CommittedAt})
	}
	for _, p := range b.Tip {
		s.tip = append(s.tip, []any{p.Commit, nullText(p.Blob), p.Depth})
	}
	for i := range b.Bodies {
		s.AddBody(&b.Bodies[i])
	}
	for _, f := range b.Faults {
		s.AddFault(f)
	}
}

func (s *Rows) tables() []stageTable {
	return []stageTable{
		{"stage_versions", []string{"commit", "notes_commit", "blob", "author_name", "author_email", "authored_at",
			"committed_at"}, s.versions},
		{"stage_tip", []string{"commit", "blob", "depth"}, s.tip},
		{"stage_bodies", []string{"commit", "blob", "format", "format_version", "tool_version", "size", "receipts"}, s.bodies},
		{"stage_links", []string{"receipt_id", "commit", "blob", "position", "content_hash"}, s.links},
		{"stage_receipts", receiptStageColumns, s.receipts},
		{"stage_files", []string{"receipt_id", "content_hash", "position", "path", "line_start", "line_end", "blob_hash",
			"additions", "deletions"}, s.files},
		{"stage_attestations", []string{"commit", "blob", "position", "path", "key", "class", "receipt_id", "author",
			"lines", "line_count"}, s.attestations},
		{"stage_findings", []string{"id", "repo_id", "code", "severity", "ref", "commit", "blob", "receipt_id",
			"location", "message"}, s.findings},
	}
}

// receiptStageColumns are id, contentColumns and the two that follow them.
var receiptStageColumns = func() []string {
	columns := []string{"id"}
	for _, c := range strings.Split(contentColumns, ",") {
		columns = append(columns, strings.TrimSpace(c))
	}
	return append(columns, "content_hash", "client_time")
}()

// AddBody adds what one body says. Conversations are dropped here unless the
// organisation stores them.
func (s *Rows) AddBody(b *Body) {
	n := &b.Note
	s.Bodies++
	s.Receipts += len(n.Receipts)
	s.bodies = append(s.bodies, []any{b.Commit, b.Blob, string(n.Format), n.FormatVersion, n.ToolVersion, b.Size, len(n.Receipts)})
	attested := attestedFiles(n.Attestations)
	for i := range n.Receipts {
		r := &n.Receipts[i]
		files := r.Files
		if n.Format == notes.FormatGitAI {
			files = attested[r.ID]
		}
		s.addReceipt(b.Pair, r, files)
	}
	for i, a := range n.Attestations {
		lines, count := multirange(a.Lines)
		k := keeper{rows: s, at: b.Pair}
		s.attestations = append(s.attestations, []any{b.Commit, b.Blob, i, k.text("attested path", a.Path), k.text("attestation key", a.Key),
			string(a.Class), a.ReceiptID, s.src.Org.erased.text(k.text("attestation author", a.Author)), lines, count})
	}
	for _, f := range n.Findings {
		s.AddFault(Fault{b.Pair, f})
	}
}

func (s *Rows) addReceipt(at Pair, as *notes.Receipt, files []notes.FileChange) {
	sum := contentHash(as, files)
	prompt := PromptID(as.Provider, as.SessionID, as.PromptNumber, as.ID)
	s.links = append(s.links, []any{as.ID, at.Commit, at.Blob, as.Index, sum})
	r := keeper{rows: s, at: at, receipt: as.ID}.keep(as, files)
	first := notes.FileChange{}
	if len(r.files) > 0 {
		first = r.files[0]
	}
	// The order of contentColumns.
	s.receipts = append(s.receipts, []any{r.ID,
		r.Provider, r.Model, r.SessionID, r.PromptNumber, prompt,
		r.PromptSummary, r.ResponseSummary, r.PromptHash, r.MessageCount, numeric(r.CostUSD), r.InputTokens, r.OutputTokens, r.CacheReadTokens,
		r.CacheCreationTokens, r.UserName, r.UserEmail, first.Path, first.LineStart, first.LineEnd, len(files),
		pathKeys(s.src.Org.ID, r.files), nullTime(r.SessionStart), nullTime(r.SessionEnd), nullTime(r.PromptSubmittedAt), rawTimestamps(r.RawTimestamps),
		r.SessionDurationSecs, r.PromptDurationSecs, r.AIResponseTimeSecs, r.AcceptedLines, r.OverriddenLines,
		r.TotalAdditions, r.TotalDeletions, r.ParentReceiptID, nullJSON(r.Detail), nullJSON(r.conversation), r.ConversationTurns,
		len(as.Conversation), sum, nullTime(r.Timestamp)})
	for i, f := range r.files {
		s.files = append(s.files, []any{r.ID, sum, i, f.Path, f.LineStart, f.LineEnd, f.BlobHash, f.Additions, f.Deletions})
	}
}

// AddFault adds a finding. One that was found before counts once: its id is
// derived from what it is about.
func (s *Rows) AddFault(at Fault) {
	f := at.Finding
	sum := sha256.New()
	for _, part := range []string{s.src.Repo.ID.String(), s.src.Ref, at.Commit, at.Blob, f.Code, f.ReceiptID, f.Where} {
		hashText(sum, part)
	}
	// What a finding quotes of a note is a client's text.
	where, _ := secrets.Default().Mask(f.Where)
	message, _ := secrets.Default().Mask(clean(f.Message))
	s.findings = append(s.findings, []any{hashID(sum), s.src.Repo.ID, f.Code, string(f.Severity), s.src.Ref, at.Commit,
		at.Blob, f.ReceiptID, where, message})
}

// attestedFiles gives each receipt of an authorship log the files whose lines
// its keys own, with the envelope of those lines.
func attestedFiles(attestations []notes.Attestation) map[string][]notes.FileChange {
	files := map[string][]notes.FileChange{}
	at := map[[2]string]int{}
	for _, a := range attestations {
		if a.ReceiptID == "" || len(a.Lines) == 0 {
			continue
		}
		first, last := int64(a.Lines[0].First), int64(a.Lines[len(a.Lines)-1].Last)
		key := [2]string{a.ReceiptID, a.Path}
		if i, ok := at[key]; ok {
			f := &files[a.ReceiptID][i]
			f.LineStart, f.LineEnd = min(f.LineStart, first), max(f.LineEnd, last)
			continue
		}
		at[key] = len(files[a.ReceiptID])
		files[a.ReceiptID] = append(files[a.ReceiptID], notes.FileChange{Path: a.Path, LineStart: first, LineEnd: last})
	}
	return files
}

func multirange(lines []notes.LineRange) (pgtype.Multirange[pgtype.Range[pgtype.Int4]], int64) {
	out := make(pgtype.Multirange[pgtype.Range[pgtype.Int4]], len(lines))
	var count int64
	for i, l := range lines {
		out[i] = pgtype.Range[pgtype.Int4]{
			Lower: pgtype.Int4{Int32: int32(l.First), Valid: true}, LowerType: pgtype.Inclusive,
			Upper: pgtype.Int4{Int32: int32(l.Last) + 1, Valid: true}, UpperType: pgtype.Exclusive, Valid: true}
		count += int64(l.Last) - int64(l.First) + 1
	}
	return out, count
}

// PromptID derives the id of the logical prompt that a receipt reports:
// (provider, session, number), or the receipt itself where the session or the
// number is not known. Whoever counts costs counts them by it.
func PromptID(provider, session string, number *int64, receipt string) uuid.UUID {
	sum := sha256.New()
	if number == nil || session == "" || session == "unknown" {
		hashText(sum, "receipt")
		hashText(sum, receipt)
		return hashID(sum)
	}
	hashText(sum, "prompt")
	hashText(sum, provider)
	hashText(sum, session)
	hashInt(sum, number)
	return hashID(sum)
}

// contentHash is equal for two readings of a receipt exactly when every column
// that comes from it is equal. The conversation counts whether or not it is kept.
func contentHash(r *notes.Receipt, files []notes.FileChange) []byte {
	sum := sha256.New()
	for _, s := range []string{r.ID, r.Provider, r.Model, r.SessionID, r.PromptSummary, r.ResponseSummary, r.PromptHash,
		r.CostUSD, r.User, r.UserName, r.UserEmail, r.ParentReceiptID, string(r.Detail)} {
		hashText(sum, s)
	}
	conversation := sha256.Sum256(r.Conversation)
	sum.Write(conversation[:])
	for _, n := range []*int64{r.PromptNumber, r.MessageCount, r.InputTokens, r.OutputTokens, r.CacheReadTokens,
		r.CacheCreationTokens, r.SessionDurationSecs, r.PromptDurationSecs, r.AcceptedLines, r.OverriddenLines,
		r.TotalAdditions, r.TotalDeletions} {
		hashInt(sum, n)
	}
	if r.AIResponseTimeSecs != nil {
		bits := int64(math.Float64bits(*r.AIResponseTimeSecs))
		hashInt(sum, &bits)
	}
	for _, t := range []time.Time{r.Timestamp, r.SessionStart, r.SessionEnd, r.PromptSubmittedAt} {
		hashText(sum, t.UTC().Format(time.RFC3339Nano))
	}
	for _, field := range sortedKeys(r.RawTimestamps) {
		hashText(sum, field)
		hashText(sum, r.RawTimestamps[field])
	}
	for _, f := range files {
		hashText(sum, f.Path)
		hashText(sum, f.BlobHash)
		for _, n := range []*int64{&f.LineStart, &f.LineEnd, f.Additions, f.Deletions} {
			hashInt(sum, n)
		}
	}
	return sum.Sum(nil)
}

// hashText writes a string with its length, so that no two lists of strings
// hash alike.
func hashText(h hash.Hash, s string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	h.Write([]byte(s))
}

func hashInt(h hash.Hash, v *int64) {
	var n [9]byte
	if v != nil {
		n[0] = 1
		binary.LittleEndian.PutUint64(n[1:], uint64(*v))
	}
	h.Write(n[:])
}

// hashID makes a UUIDv8 (RFC 9562) from a SHA-256.
func hashID(h hash.Hash) uuid.UUID {
	var id uuid.UUID
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// clean makes text of git fit for PostgreSQL, which takes neither U+0000 nor
// invalid UTF-8.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func nullJSON(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return []byte(raw)
}

func numeric(decimal string) any {
	if decimal == "" {
		return nil
	}
	var n pgtype.Numeric
	if n.Scan(decimal) != nil {
		return nil
	}
	return n
}

func rawTimestamps(raw map[string]string) any {
	if len(raw) == 0 {
		return nil
	}
	body, err := json.Marshal(raw)
	if err != nil {
		return nil
	}
	return body
}
