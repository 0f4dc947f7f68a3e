package httpapi

import (
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// csvPage is how many receipts are in memory at once.
const csvPage = 1000

// receiptsCSV answers the whole filtered set, page by page.
func (s *server) receiptsCSV(ctx context.Context, org uuid.UUID, f store.ReceiptFilter, order store.ReceiptOrder,
	p ListReceiptsParams) (ListReceiptsResponseObject, error) {
	var bad []respond.Field
	for name, given := range map[string]bool{"limit": p.Limit != 0, "cursor": p.Cursor != ""} {
		if given {
			bad = append(bad, respond.Field{Field: name, Problem: "must not be given with Accept: text/csv, which answers everything"})
		}
	}
	if bad != nil {
		return nil, respond.Invalid(bad...)
	}
	// The first page is read before the first byte is sent, so that a failure can still be told.
	page, err := s.cfg.DB.Receipts(ctx, org, f, order, nil, csvPage)
	if err != nil {
		return nil, err
	}
	next := func(last store.Receipt) ([]store.Receipt, error) {
		after := last.Position()
		return s.cfg.DB.Receipts(ctx, org, f, order, &after, csvPage)
	}
	return answerFunc(func(w http.ResponseWriter) error { return writeCSV(w, page, next) }), nil
}

func writeCSV(w http.ResponseWriter, page []store.Receipt, next func(store.Receipt) ([]store.Receipt, error)) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="receipts.csv"`)
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader()); err != nil {
		return err
	}
	for {
		for i := range page {
			if err := out.Write(csvRow(&page[i])); err != nil {
				return err
			}
		}
		if out.Flush(); out.Error() != nil || len(page) < csvPage {
			return out.Error()
		}
		var err error
		if page, err = next(page[len(page)-1]); err != nil {
			return err
		}
	}
}

// csvColumns are the columns in order, named as in JSON.
var csvColumns = []struct {
	name  string
	value func(*store.Receipt) string
}{
	{"id", func(r *store.Receipt) string { return r.ID }},
	{"repo", func(r *store.Receipt) string { return r.Repo }},
	{"commit_hash", func(r *store.Receipt) string { return r.CommitHash }},
	{"timestamp", func(r *store.Receipt) string { return r.Timestamp.UTC().Format(time.RFC3339Nano) }},
	{"user_name", func(r *store.Receipt) string { return r.UserName }},
	{"user_email", func(r *store.Receipt) string { return r.UserEmail }},
	{"provider", func(r *store.Receipt) string { return r.Provider }},
	{"model", func(r *store.Receipt) string { return r.Model }},
	{"cost_usd", func(r *store.Receipt) string { return csvDecimal(r.CostUSD) }},
	{"cost_reported_usd", func(r *store.Receipt) string { return csvDecimal(r.CostReportedUSD) }},
	{"cost_basis", func(r *store.Receipt) string { return r.CostBasis }},
	{"input_tokens", func(r *store.Receipt) string { return csvInt(r.InputTokens) }},
	{"output_tokens", func(r *store.Receipt) string { return csvInt(r.OutputTokens) }},
	{"cache_read_tokens", func(r *store.Receipt) string { return csvInt(r.CacheReadTokens) }},
	{"cache_creation_tokens", func(r *store.Receipt) string { return csvInt(r.CacheCreationTokens) }},
	{"file_path", func(r *store.Receipt) string { return r.FilePath }},
	{"line_start", func(r *store.Receipt) string { return csvInt(&r.LineStart) }},
	{"line_end", func(r *store.Receipt) string { return csvInt(&r.LineEnd) }},
	{"files_count", func(r *store.Receipt) string { return strconv.Itoa(r.Files) }},
	{"total_additions", func(r *store.Receipt) string { return csvInt(r.TotalAdditions) }},
	{"total_deletions", func(r *store.Receipt) string { return csvInt(r.TotalDeletions) }},
	{"session_id", func(r *store.Receipt) string { return r.SessionID }},
	{"session_duration_secs", func(r *store.Receipt) string { return csvInt(r.SessionDurationSecs) }},
	{"prompt_id", func(r *store.Receipt) string { return r.PromptID.String() }},
	{"prompt_number", func(r *store.Receipt) string { return csvInt(r.PromptNumber) }},
	{"prompt_summary", func(r *store.Receipt) string { return r.PromptSummary }},
	{"prompt_hash", func(r *store.Receipt) string { return r.PromptHash }},
	{"source", func(r *store.Receipt) string { return r.Source }},
	{"current", func(r *store.Receipt) string { return strconv.FormatBool(r.Current) }},
	{"received_at", func(r *store.Receipt) string { return r.ReceivedAt.UTC().Format(time.RFC3339Nano) }},
}

func csvHeader() []string {
	names := make([]string, len(csvColumns))
	for i, column := range csvColumns {
		names[i] = column.name
	}
	return names
}

func csvRow(r *store.Receipt) []string {
	cells := make([]string, len(csvColumns))
	for i, column := range csvColumns {
		cells[i] = csvCell(column.value(r))
	}
	return cells
}

// csvCell keeps a spreadsheet from running client text as a formula (OWASP,
// "CSV Injection"): an apostrophe in front makes it text.
func csvCell(text string) string {
	if text != "" && strings.ContainsAny(text[:1], "=+-@\t\r\n") || strings.HasPrefix(text, "＝") ||
		strings.HasPrefix(text, "＋") || strings.HasPrefix(text, "－") || strings.HasPrefix(text, "＠") {
		return "'" + text
	}
	return text
}

func csvInt(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func csvDecimal(d *store.Decimal) string {
	if d == nil {
		return ""
	}
	return string(*d)
}
