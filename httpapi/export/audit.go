package export

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// AuditCSV writes acts with a header row. rows hands them over one by one.
func AuditCSV(w io.Writer, rows func(each func(store.AuditRow) error) error) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"seq", "at", "principal", "action", "target", "detail", "request_id"}); err != nil {
		return err
	}
	err := rows(func(a store.AuditRow) error {
		return out.Write([]string{strconv.FormatInt(a.Seq, 10), a.At.UTC().Format(time.RFC3339Nano), report.SafeCell(a.Principal),
			report.SafeCell(a.Action), report.SafeCell(a.Target), report.SafeCell(string(a.Detail)), report.SafeCell(a.RequestID)})
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
