package ui

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// Receipt is one receipt with all that is known of it.
type Receipt struct {
	Base
	store.ReceiptDetail
	// Violations are those of its commit that name it or no receipt at all.
	Violations []store.Violation
	// Results are what policies said of it in all.
	Results []store.ReceiptResult
	// Extra is what the tool said beside what has a place of its own, and Dialogue
	// the conversation where the organisation keeps it, both as JSON.
	Extra, Dialogue string
	DialogueCut     bool
}

// Bounds of what a receipt's page shows of the longest lists, so that the page
// stays below 100 KB.
const (
	maxListed = 100
	maxText   = 8 << 10
)

func (p *pages) receipt(w http.ResponseWriter, r *http.Request) error {
	id, err := pathVar(r, "id")
	if err != nil {
		return err
	}
	base, err := p.newBase(r, "/receipts", "Receipt")
	if err != nil {
		return err
	}
	page := &Receipt{Base: base}
	if page.ReceiptDetail, err = p.cfg.DB.ReceiptDetail(r.Context(), base.Viewer.Org, id); err != nil {
		return err
	}
	if err := p.cfg.DB.PromptRead(r.Context(), base.Viewer.Principal, id); err != nil {
		return err
	}
	if page.PromptSummary != "" {
		page.Title = clip(page.PromptSummary, 80)
	}
	page.Extra, _ = indented(page.Detail, maxText)
	page.Dialogue, page.DialogueCut = indented(page.Conversation, maxText)
	if page.Violations, err = p.receiptViolations(r, page); err != nil {
		return err
	}
	if page.Results, err = p.cfg.DB.ResultsOf(r.Context(), base.Viewer.Org, id); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "receipt", page)
}

func (p *pages) receiptViolations(r *http.Request, page *Receipt) ([]store.Violation, error) {
	if page.CommitHash == "" {
		return nil, nil
	}
	rows, err := p.cfg.DB.Violations(r.Context(), page.Viewer.Org, store.ViolationFilter{Commit: page.CommitHash}, uuid.Nil, maxListed)
	var out []store.Violation
	for _, row := range rows {
		if row.Finding.Receipt == "" || row.Finding.Receipt == page.ID {
			out = append(out, row)
		}
	}
	return out, err
}

// Lines is where in a file a receipt says that it wrote.
func (p *Receipt) Lines(f store.ReceiptFile) string {
	switch {
	case f.LineStart == 0 && f.LineEnd == 0:
		return "–"
	case f.LineStart == f.LineEnd:
		return strconv.FormatInt(f.LineStart, 10)
	}
	return strconv.FormatInt(f.LineStart, 10) + "–" + strconv.FormatInt(f.LineEnd, 10)
}

// Shortened are the lists, cut to what a page holds.
func (p *Receipt) ShownFiles() []store.ReceiptFile     { return head(p.FileChanges) }
func (p *Receipt) ShownBodies() []store.ReceiptBody    { return head(p.Bodies) }
func (p *Receipt) ShownVersions() []store.NoteVersion  { return head(p.Versions) }
func (p *Receipt) ShownAttested() []store.AttestedPath { return head(p.Attested) }

// ShownReattachments are those that the page holds.
func (p *Receipt) ShownReattachments() []store.StoredReattachment { return head(p.Reattachments) }

func head[T any](list []T) []T { return list[:min(len(list), maxListed)] }

// indented lays JSON out for reading, at most limit bytes of it.
func indented(raw json.RawMessage, limit int) (text string, shortened bool) {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "{}" {
		return "", false
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return "", false
	}
	text = b.String()
	if len(text) > limit {
		return clip(text, limit), true
	}
	return text, false
}

// clip is the beginning of a text, at most limit bytes and whole characters.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && text[limit]&0xC0 == 0x80 {
		limit--
	}
	return text[:limit] + "…"
}

// resultMark shows what policies said of a receipt.
func resultMark(result store.ReceiptResult) Mark {
	switch result {
	case store.ResultHeld, store.ResultRefused:
		return Mark{"bad", string(result)}
	case store.ResultWarned:
		return Mark{"warn", string(result)}
	}
	return Mark{"quiet", string(result)}
}
