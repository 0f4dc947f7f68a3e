package httpapi

import (
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// sendReport sends the file as a download. No browser shows it within the page,
// where what people wrote would be of this site.
func sendReport(w http.ResponseWriter, f *os.File, r *store.Report) error {
	h := w.Header()
	h.Set("Content-Type", report.Format(r.Format).MediaType())
	h.Set("Content-Length", strconv.FormatInt(r.Bytes, 10))
	h.Set("Content-Disposition", `attachment; filename="`+reportName(r)+`"`)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", `"`+hex.EncodeToString(r.SHA256)+`"`)
	_, err := io.Copy(w, f)
	return err
}
