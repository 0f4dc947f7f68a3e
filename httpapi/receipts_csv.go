package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/export"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

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
	read := func(after *store.ReceiptPosition) ([]store.Receipt, error) {
		page, err := s.cfg.DB.Receipts(ctx, org, f, order, after, export.PageSize)
		if err != nil {
			return nil, err
		}
		return page, s.cfg.DB.PromptsListed(ctx, principal(ctx), store.WithText(page))
	}
	rows := export.Receipts{Next: func(last store.ReceiptPosition) ([]store.Receipt, error) { return read(&last) }}
	// The first page is read before the first byte is sent, so that a failure can still be told.
	var err error
	if rows.First, err = read(nil); err != nil {
		return nil, err
	}
	return answerFunc(func(w http.ResponseWriter) error {
		respond.Attach(w.Header(), "text/csv; charset=utf-8; header=present", "receipts.csv")
		return rows.CSV(w)
	}), nil
}
