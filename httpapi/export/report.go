package export

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/store"
)

// Report sends the file of a report as a download. No browser shows it within the
// page, where what people wrote would be of this site.
func Report(w http.ResponseWriter, file io.Reader, r *store.Report) error {
	h := w.Header()
	h.Set("Content-Type", compliance.MediaType(report.Format(r.Format)))
	h.Set("Content-Length", strconv.FormatInt(r.Bytes, 10))
	h.Set("Content-Disposition", `attachment; filename="`+ReportName(r)+`"`)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", `"`+hex.EncodeToString(r.SHA256)+`"`)
	_, err := io.Copy(w, file)
	return err
}

// ReportName is what a browser saves a report as.
func ReportName(r *store.Report) string {
	return fmt.Sprintf("%s-%s-%s.%s", r.Type, r.FirstDay.Format(time.DateOnly), r.LastDay.Format(time.DateOnly), compliance.Extension(report.Format(r.Format)))
}
