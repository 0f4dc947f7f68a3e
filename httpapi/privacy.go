package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// ListRetention implements the operation.
func (s *server) ListRetention(ctx context.Context, _ ListRetentionRequestObject) (ListRetentionResponseObject, error) {
	rows, err := s.cfg.DB.Retentions(ctx, principal(ctx).Org)
	return ListRetention200JSONResponse{Items: each(rows, func(r store.Retention) Retention { return Retention{Class: r.Class, Days: r.Days} })}, err
}

// SetRetention implements the operation.
func (s *server) SetRetention(ctx context.Context, in SetRetentionRequestObject) (SetRetentionResponseObject, error) {
	err := s.cfg.DB.SetRetention(ctx, principal(ctx), store.Retention{Class: in.Body.Class, Days: in.Body.Days})
	return SetRetention204Response{}, err
}

// maxPersonRows bounds the rows of one answer about a person.
const maxPersonRows = 10_000

// personMedia are the media types of what is kept of a person, and what they are
// written as.
var (
	personMedia   = []string{"application/json", "application/x-ndjson", "text/html", "text/markdown"}
	personFormats = map[string]report.Format{personMedia[1]: report.JSON, personMedia[2]: report.HTML, personMedia[3]: report.Markdown}
)

// ExportPerson implements the operation.
func (s *server) ExportPerson(ctx context.Context, in ExportPersonRequestObject) (ExportPersonResponseObject, error) {
	media, err := negotiate(requestOf(ctx).Header, personMedia...)
	if err != nil {
		return nil, err
	}
	if media != personMedia[0] {
		return s.personFile(ctx, in.Body.Email, personFormats[media]), nil
	}
	answer := ExportPerson200JSONResponse{}
	answer.Items = make([]struct {
		Row   json.RawMessage `json:"row"`
		Table string          `json:"table"`
	}, 0)
	err = s.cfg.DB.ExportPerson(ctx, principal(ctx), in.Body.Email, func(table string, row json.RawMessage) error {
		if len(answer.Items) == maxPersonRows {
			answer.More = true
			return nil
		}
		answer.Items = append(answer.Items, struct {
			Row   json.RawMessage `json:"row"`
			Table string          `json:"table"`
		}{append(json.RawMessage(nil), row...), table})
		return nil
	})
	return answer, err
}

// personFile answers all that is kept of a person as a file.
func (s *server) personFile(ctx context.Context, email string, format report.Format) answerFunc {
	return func(w http.ResponseWriter) error {
		media, name := compliance.PersonFile(format)
		return compliance.WritePerson(ctx, &respond.File{W: w, MediaType: media, Name: name}, s.cfg.DB, principal(ctx), email, format)
	}
}

// ErasePerson implements the operation.
func (s *server) ErasePerson(ctx context.Context, in ErasePersonRequestObject) (ErasePersonResponseObject, error) {
	erasure, err := s.cfg.DB.ErasePerson(ctx, principal(ctx), in.Body.Email)
	return ErasePerson200JSONResponse{Pseudonym: erasure.Pseudonym, Act: erasure.Act, At: erasure.At, Rows: erasure.Rows}, err
}
