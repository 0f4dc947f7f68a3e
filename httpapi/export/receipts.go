package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// PageSize is how many receipts of an export are in memory at once.
const PageSize = 1000

// Receipts is a set of receipts that is read page by page while it is written.
// First has been read, so that a failure can be told before the first byte.
type Receipts struct {
	First []store.Receipt
	// Next reads the page behind a receipt; a page shorter than PageSize is the
	// last.
	Next func(last store.ReceiptPosition) ([]store.Receipt, error)
}

// each calls write for every receipt, and flush behind every page.
func (r Receipts) each(write func(*store.Receipt) error, flush func() error) error {
	for page := r.First; ; {
		for i := range page {
			if err := write(&page[i]); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || len(page) < PageSize {
			return err
		}
		var err error
		if page, err = r.Next(page[len(page)-1].Position()); err != nil {
			return err
		}
	}
}

// CSV writes the receipts with a header row. Cells that a spreadsheet would take
// for a formula have an apostrophe in front.
func (r Receipts) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := make([]string, len(columns))
	for i, column := range columns {
		header[i] = column.name
	}
	if err := out.Write(header); err != nil {
		return err
	}
	cells := make([]string, len(columns))
	return r.each(func(receipt *store.Receipt) error {
		for i, column := range columns {
			cells[i] = report.SafeCell(cellText(column.value(receipt)))
		}
		return out.Write(cells)
	}, func() error {
		out.Flush()
		return out.Error()
	})
}

// JSON writes the receipts as an array of objects with the columns of CSV as
// members, one line each.
func (r Receipts) JSON(w io.Writer) error {
	var line bytes.Buffer
	separator := "[\n"
	err := r.each(func(receipt *store.Receipt) error {
		line.WriteString(separator)
		separator = ",\n"
		return writeObject(&line, receipt)
	}, func() error {
		_, err := line.WriteTo(w)
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if separator == "[\n" {
		end = "[]\n"
	}
	_, err = io.WriteString(w, end)
	return err
}

func writeObject(b *bytes.Buffer, receipt *store.Receipt) error {
	for i, column := range columns {
		value, err := json.Marshal(column.value(receipt))
		if err != nil {
			return fmt.Errorf("writing %s of receipt %q: %w", column.name, receipt.ID, err)
		}
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		b.WriteByte(separator)
		fmt.Fprintf(b, "%q:%s", column.name, value)
	}
	return b.WriteByte('}')
}

// columns are what an export has of a receipt, in order, named as the API names
// them.
var columns = []struct {
	name  string
	value func(*store.Receipt) any
}{
	{"id", func(r *store.Receipt) any { return r.ID }},
	{"repo", func(r *store.Receipt) any { return r.Repo }},
	{"commit_hash", func(r *store.Receipt) any { return r.CommitHash }},
	{"timestamp", func(r *store.Receipt) any { return r.Timestamp.UTC() }},
	{"user_name", func(r *store.Receipt) any { return r.UserName }},
	{"user_email", func(r *store.Receipt) any { return r.UserEmail }},
	{"provider", func(r *store.Receipt) any { return r.Provider }},
	{"model", func(r *store.Receipt) any { return r.Model }},
	{"cost_usd", func(r *store.Receipt) any { return r.CostUSD }},
	{"cost_reported_usd", func(r *store.Receipt) any { return r.CostReportedUSD }},
	{"cost_basis", func(r *store.Receipt) any { return r.CostBasis }},
	{"input_tokens", func(r *store.Receipt) any { return r.InputTokens }},
	{"output_tokens", func(r *store.Receipt) any { return r.OutputTokens }},
	{"cache_read_tokens", func(r *store.Receipt) any { return r.CacheReadTokens }},
	{"cache_creation_tokens", func(r *store.Receipt) any { return r.CacheCreationTokens }},
	{"file_path", func(r *store.Receipt) any { return r.FilePath }},
	{"line_start", func(r *store.Receipt) any { return r.LineStart }},
	{"line_end", func(r *store.Receipt) any { return r.LineEnd }},
	{"files_count", func(r *store.Receipt) any { return int64(r.Files) }},
	{"total_additions", func(r *store.Receipt) any { return r.TotalAdditions }},
	{"total_deletions", func(r *store.Receipt) any { return r.TotalDeletions }},
	{"session_id", func(r *store.Receipt) any { return r.SessionID }},
	{"session_duration_secs", func(r *store.Receipt) any { return r.SessionDurationSecs }},
	{"prompt_id", func(r *store.Receipt) any { return r.PromptID.String() }},
	{"prompt_number", func(r *store.Receipt) any { return r.PromptNumber }},
	{"prompt_summary", func(r *store.Receipt) any { return r.PromptSummary }},
	{"prompt_hash", func(r *store.Receipt) any { return r.PromptHash }},
	{"source", func(r *store.Receipt) any { return r.Source }},
	{"current", func(r *store.Receipt) any { return r.Current }},
	{"received_at", func(r *store.Receipt) any { return r.ReceivedAt.UTC() }},
}

// cellText is a value as a cell of CSV has it; what is not known is empty.
func cellText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case *int64:
		if v != nil {
			return strconv.FormatInt(*v, 10)
		}
	case *store.Decimal:
		if v != nil {
			return string(*v)
		}
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return ""
}
