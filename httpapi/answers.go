package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/httpapi/respond"
)

// answerFunc is an answer of an operation that the generated types cannot
// express: one that streams, or that joins two schemas.
type answerFunc func(http.ResponseWriter) error

// VisitListReceiptsResponse implements the generated interface.
func (f answerFunc) VisitListReceiptsResponse(w http.ResponseWriter) error { return f(w) }

// VisitGetReceiptResponse implements the generated interface.
func (f answerFunc) VisitGetReceiptResponse(w http.ResponseWriter) error { return f(w) }

// VisitGetMetricsResponse implements the generated interface.
func (f answerFunc) VisitGetMetricsResponse(w http.ResponseWriter) error { return f(w) }

// VisitReadNotesResponse implements the generated interface.
func (f answerFunc) VisitReadNotesResponse(w http.ResponseWriter) error { return f(w) }

// VisitReportPushResponse implements the generated interface.
func (f answerFunc) VisitReportPushResponse(w http.ResponseWriter) error { return f(w) }

// VisitGetPolicySchemaResponse implements the generated interface.
func (f answerFunc) VisitGetPolicySchemaResponse(w http.ResponseWriter) error { return f(w) }

// VisitExportPersonResponse implements the generated interface.
func (f answerFunc) VisitExportPersonResponse(w http.ResponseWriter) error { return f(w) }

// negotiate picks the offer that Accept prefers (RFC 9110, section 12.5.1); of
// equals the first.
func negotiate(h http.Header, offers ...string) (string, error) {
	accept := strings.Join(h.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return offers[0], nil
	}
	best, bestQuality := "", 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQuality {
			best, bestQuality = offer, q
		}
	}
	if best == "" {
		return "", &respond.Problem{Status: http.StatusNotAcceptable, Code: "not_acceptable",
			Fields: []respond.Field{{Field: "Accept", Problem: "must allow " + strings.Join(offers, " or ")}}}
	}
	return best, nil
}

// quality is how much Accept likes a media type, by its most specific range.
func quality(accept, media string) float64 {
	kind, _, _ := strings.Cut(media, "/")
	found, specificity := 0.0, -1
	for _, part := range strings.Split(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		rank := map[string]int{"*/*": 0, kind + "/*": 1, media: 2}
		r, ok := rank[strings.ToLower(strings.TrimSpace(name))]
		if ok && r > specificity {
			found, specificity = weight(params), r
		}
	}
	return found
}

func weight(params string) float64 {
	for _, param := range strings.Split(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && q >= 0 && q <= 1 {
			return q
		}
		return 0
	}
	return 1
}

// streamed are the operations that answer everything in other formats than the
// first, which is a page of it.
var streamed = map[string][]string{"listReceipts": {"application/json", "text/csv"}, "exportPerson": personMedia}

// timeoutOf gives an answer of everything more time than a page.
func (op *operation) timeoutOf(r *http.Request) time.Duration {
	if offers, ok := streamed[op.id]; ok {
		if format, err := negotiate(r.Header, offers...); err == nil && format != "application/json" {
			return streamTimeout
		}
	}
	return op.timeout
}
