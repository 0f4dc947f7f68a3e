package httpapi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// reportsListed is how many reports a list has.
const reportsListed = 200

// ListReports implements the operation.
func (s *server) ListReports(ctx context.Context, _ ListReportsRequestObject) (ListReportsResponseObject, error) {
	rows, err := s.cfg.DB.Reports(ctx, principal(ctx).Org, reportsListed)
	if err != nil {
		return nil, err
	}
	return ListReports200JSONResponse{Items: each(rows, reportOf)}, nil
}

// CreateReport implements the operation.
func (s *server) CreateReport(ctx context.Context, in CreateReportRequestObject) (CreateReportResponseObject, error) {
	row, err := s.newReport(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	err = s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if row, err = tx.CreateReport(ctx, principal(ctx), row); err != nil {
			return err
		}
		return s.poke(ctx, tx, compliance.Task)
	})
	if err != nil {
		return nil, err
	}
	return CreateReport202JSONResponse(reportOf(row)), nil
}

// newReport checks what was asked for, so that it fails now and not in an hour.
func (s *server) newReport(ctx context.Context, body *NewReport) (store.Report, error) {
	org := principal(ctx).Org
	r := store.Report{Type: string(body.Type), Format: string(body.Format), Paper: string(body.Paper), Repos: body.Repos, Teams: body.Teams,
		FirstDay: body.From.Time, LastDay: body.To.Time}
	if r.Paper == "" {
		r.Paper = "A4"
	}
	if r.LastDay.Before(r.FirstDay) {
		return r, respond.InvalidField("to", "must not be before from")
	}
	if _, err := s.reposNamed(ctx, org, body.Repos); err != nil {
		return r, err
	}
	for _, team := range body.Teams {
		if _, err := s.teamNamed(ctx, org, team); err != nil {
			return r, err
		}
	}
	return r, nil
}

// GetReport implements the operation.
func (s *server) GetReport(ctx context.Context, in GetReportRequestObject) (GetReportResponseObject, error) {
	row, err := s.cfg.DB.ReportByID(ctx, principal(ctx).Org, in.Id)
	if err != nil {
		return nil, err
	}
	return GetReport200JSONResponse(reportOf(row)), nil
}

// RemoveReport implements the operation.
func (s *server) RemoveReport(ctx context.Context, in RemoveReportRequestObject) (RemoveReportResponseObject, error) {
	if err := s.cfg.DB.RemoveReport(ctx, principal(ctx), in.Id); err != nil {
		return nil, err
	}
	if err := os.Remove(s.reportFile(in.Id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the file of a report: %w", err)
	}
	return RemoveReport204Response{}, nil
}

// GetReportContent implements the operation.
func (s *server) GetReportContent(ctx context.Context, in GetReportContentRequestObject) (GetReportContentResponseObject, error) {
	row, err := s.cfg.DB.ReportByID(ctx, principal(ctx).Org, in.Id)
	if err != nil {
		return nil, err
	}
	if row.State != store.ReportDone {
		return nil, &respond.Problem{Status: http.StatusConflict, Code: "not_done", Detail: "The report has no file: its state is " + string(row.State) + "."}
	}
	f, err := os.Open(s.reportFile(row.ID))
	if err != nil {
		return nil, fmt.Errorf("opening the file of a report: %w", err)
	}
	return answerFunc(func(w http.ResponseWriter) error {
		defer f.Close()
		return sendReport(w, f, &row)
	}), nil
}

// VisitGetReportContentResponse implements the generated interface.
func (f answerFunc) VisitGetReportContentResponse(w http.ResponseWriter) error { return f(w) }

// GetReportSchema implements the operation.
func (s *server) GetReportSchema(context.Context, GetReportSchemaRequestObject) (GetReportSchemaResponseObject, error) {
	return answerFunc(func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, err := w.Write(report.Schema)
		return err
	}), nil
}

// VisitGetReportSchemaResponse implements the generated interface.
func (f answerFunc) VisitGetReportSchemaResponse(w http.ResponseWriter) error { return f(w) }

func (s *server) reportFile(id uuid.UUID) string {
	return (&compliance.Writer{Dir: s.cfg.ReportDir}).File(id)
}

func reportOf(r store.Report) Report {
	out := Report{
		Id: r.ID, Type: ReportType(r.Type), Format: ReportFormat(r.Format), Paper: ReportPaper(r.Paper),
		From: openapi_types.Date{Time: r.FirstDay}, To: openapi_types.Date{Time: r.LastDay}, Repos: r.Repos, Teams: r.Teams,
		State: ReportState(r.State), Rows: r.Rows, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, FinishedAt: r.FinishedAt,
	}
	if r.State == store.ReportDone {
		sum := hex.EncodeToString(r.SHA256)
		out.Bytes, out.Sha256 = &r.Bytes, &sum
	}
	if r.Error != "" {
		out.Error = &r.Error
	}
	return out
}

// reportName is what a browser saves a report as.
func reportName(r *store.Report) string {
	return fmt.Sprintf("%s-%s-%s.%s", r.Type, r.FirstDay.Format(time.DateOnly), r.LastDay.Format(time.DateOnly), r.Format)
}
