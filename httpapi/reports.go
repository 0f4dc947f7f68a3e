package httpapi

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/httpapi/export"
	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// reportsListed is how many reports a list has.
const reportsListed = 200

// ListReports implements the operation.
func (s *server) ListReports(ctx context.Context, _ ListReportsRequestObject) (ListReportsResponseObject, error) {
	rows, err := s.cfg.DB.Reports(ctx, principal(ctx).Org, nil, reportsListed)
	if err != nil {
		return nil, err
	}
	return ListReports200JSONResponse{Items: each(rows, reportOf)}, nil
}

// desk is where reports are asked for.
func (s *server) desk() *compliance.Desk {
	return &compliance.Desk{DB: s.cfg.DB, Dir: s.cfg.ReportDir, Poke: s.poke}
}

// CreateReport implements the operation.
func (s *server) CreateReport(ctx context.Context, in CreateReportRequestObject) (CreateReportResponseObject, error) {
	body := in.Body
	row, err := s.desk().Ask(ctx, principal(ctx), store.Report{Type: string(body.Type), Format: string(body.Format), Paper: string(body.Paper),
		FirstDay: body.From.Time, LastDay: body.To.Time, Repos: body.Repos, Teams: body.Teams})
	if err != nil {
		return nil, err
	}
	return CreateReport202JSONResponse(reportOf(row)), nil
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
	if err := s.desk().Remove(ctx, principal(ctx), in.Id); err != nil {
		return nil, err
	}
	return RemoveReport204Response{}, nil
}

// GetReportContent implements the operation.
func (s *server) GetReportContent(ctx context.Context, in GetReportContentRequestObject) (GetReportContentResponseObject, error) {
	row, file, err := s.desk().Open(ctx, principal(ctx), in.Id)
	if errors.Is(err, compliance.ErrNotDone) {
		return nil, &respond.Problem{Status: http.StatusConflict, Code: "not_done", Detail: "The report has no file: its state is " + string(row.State) + "."}
	}
	if err != nil {
		return nil, err
	}
	return answerFunc(func(w http.ResponseWriter) error {
		defer file.Close()
		return export.Report(w, file, &row)
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

func reportOf(r store.Report) Report {
	out := Report{
		Id: r.ID, Type: ReportType(r.Type), Format: ReportFormat(r.Format), Paper: ReportPaper(r.Paper),
		From: openapi_types.Date{Time: r.FirstDay}, To: openapi_types.Date{Time: r.LastDay}, Repos: r.Repos, Teams: r.Teams,
		State: ReportState(r.State), Rows: r.Rows, CreatedBy: r.CreatedBy, ScheduleId: r.ScheduleID, CreatedAt: r.CreatedAt, FinishedAt: r.FinishedAt,
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

// ListReportSchedules implements the operation.
func (s *server) ListReportSchedules(ctx context.Context, _ ListReportSchedulesRequestObject) (ListReportSchedulesResponseObject, error) {
	rows, err := s.cfg.DB.ReportSchedules(ctx, principal(ctx).Org)
	if err != nil {
		return nil, err
	}
	return ListReportSchedules200JSONResponse{Items: each(rows, reportScheduleOf)}, nil
}

// CreateReportSchedule implements the operation.
func (s *server) CreateReportSchedule(ctx context.Context, in CreateReportScheduleRequestObject) (CreateReportScheduleResponseObject, error) {
	body := in.Body
	row, err := s.desk().Schedule(ctx, principal(ctx), store.ReportSchedule{Type: string(body.Type), Format: string(body.Format),
		Paper: string(body.Paper), Every: store.Every(body.Every), Repos: body.Repos, Teams: body.Teams})
	if err != nil {
		return nil, err
	}
	return CreateReportSchedule201JSONResponse(reportScheduleOf(row)), nil
}

// RemoveReportSchedule implements the operation.
func (s *server) RemoveReportSchedule(ctx context.Context, in RemoveReportScheduleRequestObject) (RemoveReportScheduleResponseObject, error) {
	if err := s.cfg.DB.RemoveReportSchedule(ctx, principal(ctx), in.Id); err != nil {
		return nil, err
	}
	return RemoveReportSchedule204Response{}, nil
}

func reportScheduleOf(s store.ReportSchedule) ReportSchedule {
	return ReportSchedule{
		Id: s.ID, Type: ReportType(s.Type), Format: ReportFormat(s.Format), Paper: ReportPaper(s.Paper), Every: ReportEvery(s.Every),
		Repos: s.Repos, Teams: s.Teams, NextFrom: openapi_types.Date{Time: s.NextFirst}, NextTo: openapi_types.Date{Time: s.NextLast},
		NextAt: s.NextAt, CreatedBy: s.CreatedBy, CreatedAt: s.CreatedAt,
	}
}
