package hooks

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

// The bounds of one note and of its parts. What names a prompt stays whole: the
// parsers keep names of at most maxReceiptText bytes.
const (
	maxReceiptText  = 512
	maxReceiptFiles = 500
	maxAttested     = 2000
	maxConversation = 1 << 20
)

// readBodies reads and parses the notes that were found: those of the newest
// commits first, where there are too many.
func (c *collection) readBodies(w *noteWalk) error {
	if len(w.found) == 0 {
		return nil
	}
	slices.SortStableFunc(w.found, func(a, b noteBlob) int { return c.index[a.commit] - c.index[b.commit] })
	if len(w.found) > c.limits.Notes {
		w.found, w.cut = w.found[:c.limits.Notes], true
	}
	brief := &briefing{receipts: c.limits.Receipts, scan: c.limits.Scan, runs: c.limits.Runs, text: c.limits.Text}
	ids := func(yield func(gitcmd.OID) bool) {
		for _, n := range w.found {
			if !yield(n.blob) {
				return
			}
		}
	}
	err := w.reader.ReadMany(w.ctx, ids, notes.MaxBody, func(object gitcmd.Object) error {
		n := w.found[len(c.notes.found)]
		note := Note{Commit: n.commit, Ref: n.ref, Blob: n.blob, Size: object.Size}
		w.bytes -= object.Size
		switch {
		case object.Type != "blob":
			note.Unread = "it is no blob"
		case object.Data == nil:
			note.Unread = "it is too large"
		case w.bytes < 0:
			note.Unread = "the notes of the push are too large"
		default:
			brief.fill(&note, notes.Parse(formatOf(n.ref), string(n.commit), object.Data))
		}
		c.notes.unread = c.notes.unread || note.Unread != ""
		c.notes.found = append(c.notes.found, note)
		return nil
	})
	slices.Reverse(c.notes.found)
	return err
}

// formatOf is the format of the notes of a ref. Refs that are not registered are
// taken for the client's own.
func formatOf(ref string) notes.Format {
	if format, ok := notes.RefFormats[ref]; ok {
		return format
	}
	return notes.FormatBlamePrompt
}

// Brief turns a parsed note into what policies may ask of it.
func Brief(commit gitcmd.OID, ref string, blob gitcmd.OID, size int64, parsed notes.Note) Note {
	limits := DefaultLimits()
	note := Note{Commit: commit, Ref: ref, Blob: blob, Size: size}
	b := &briefing{receipts: limits.Receipts, scan: limits.Scan, runs: limits.Runs, text: limits.Text}
	b.fill(&note, parsed)
	return note
}

// briefing turns parsed notes into what leaves the server. The fields are what
// may still be told, of bytes what may still be searched.
type briefing struct {
	receipts, runs int
	scan, text     int64
}

func (b *briefing) fill(note *Note, parsed notes.Note) {
	note.Findings = len(parsed.Findings)
	for i := range parsed.Receipts {
		receipt, cut := b.receipt(&parsed.Receipts[i])
		b.receipts--
		if b.text -= receipt.textSize(); b.receipts < 0 || b.text < 0 {
			note.Cut = true
			break
		}
		note.Receipts = append(note.Receipts, receipt)
		note.Cut = note.Cut || cut
	}
	for _, a := range parsed.Attestations {
		b.runs -= len(a.Lines)
		b.text -= int64(min(len(a.Path), maxPath) + len(a.ReceiptID))
		if b.runs < 0 || b.text < 0 || len(note.Attestations) == maxAttested {
			note.Cut = true
			break
		}
		note.Attestations = append(note.Attestations, attestation(a))
	}
}

func attestation(a notes.Attestation) Attestation {
	out := Attestation{Path: bounded(a.Path, maxPath), Class: a.Class, ReceiptID: a.ReceiptID}
	for _, lines := range a.Lines {
		out.Runs = append(out.Runs, Run{int64(lines.First), int64(lines.Last)})
	}
	return out
}

func (b *briefing) receipt(r *notes.Receipt) (out Receipt, cut bool) {
	out = Receipt{
		ID: r.ID, Provider: bounded(r.Provider, maxReceiptText), Model: bounded(r.Model, maxReceiptText),
		SessionID: bounded(r.SessionID, maxReceiptText), PromptNumber: r.PromptNumber, CostUSD: r.CostUSD,
		Tokens: Tokens{
			Input: r.InputTokens, Output: r.OutputTokens,
			CacheRead: r.CacheReadTokens, CacheCreation: r.CacheCreationTokens,
		},
		Timestamp: r.Timestamp, Dangling: r.Dangling,
		UserName: bounded(r.UserName, maxReceiptText), UserEmail: bounded(r.UserEmail, maxReceiptText),
	}
	for i, f := range r.Files {
		if i == maxReceiptFiles {
			cut = true
			break
		}
		out.Files = append(out.Files, ReceiptFile{
			Path: bounded(f.Path, maxPath), Lines: Run{f.LineStart, f.LineEnd}, Blob: f.BlobHash,
		})
	}
	b.search(&out, r)
	return out, cut
}

// textSize counts what the client wrote.
func (r *Receipt) textSize() int64 {
	size := len(r.ID) + len(r.Provider) + len(r.Model) + len(r.SessionID) + len(r.UserName) + len(r.UserEmail)
	for _, file := range r.Files {
		size += len(file.Path) + len(file.Blob)
	}
	return int64(size)
}

// search looks for secrets in the texts of a receipt, as far as there is scan
// left. The texts themselves are not kept.
func (b *briefing) search(out *Receipt, r *notes.Receipt) {
	said, whole := conversation(r.Conversation)
	size := int64(len(r.PromptSummary) + len(r.ResponseSummary) + len(said))
	if size > b.scan {
		out.Unscanned = true
		return
	}
	b.scan -= size
	out.Unscanned = !whole
	out.Secrets = push.FindSecrets(r.PromptSummary, r.ResponseSummary, said)
}

// conversation returns the strings of a JSON text, one per line, and whether
// these are all.
func conversation(raw json.RawMessage) (text string, whole bool) {
	if len(raw) > maxConversation {
		return "", false
	}
	var out bytes.Buffer
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := decoder.Token()
		if err != nil {
			return out.String(), len(raw) == 0 || decoder.InputOffset() >= int64(len(bytes.TrimSpace(raw)))
		}
		if s, ok := token.(string); ok {
			out.WriteString(s)
			out.WriteByte('\n')
		}
	}
}
