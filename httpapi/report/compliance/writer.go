package compliance

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// Task is the name of the task that writes reports.
const Task = "reports"

const (
	// progressEvery is the pause between two notes of how far a report is.
	progressEvery = 2 * time.Second
	// staleAfter is how long a report may be without such a note before another
	// daemon takes it up.
	staleAfter = 2 * time.Minute
)

// Writer writes reports that were asked for into files.
type Writer struct {
	DB *store.DB
	// Dir is the directory of the files, which it makes.
	Dir string
	Log zerolog.Logger
}

// File is where the file of a report is, or will be.
func (w *Writer) File(id uuid.UUID) string { return filepath.Join(w.Dir, id.String()) }

// Work writes every report that waits; it is the work of a queue.Task. A report
// that cannot be made is marked as failed, with the reason.
func (w *Writer) Work(ctx context.Context) error {
	if err := os.MkdirAll(w.Dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of reports: %w", err)
	}
	for {
		r, ok, err := w.DB.NextReport(ctx, staleAfter)
		if err != nil || !ok {
			return err
		}
		if err := w.one(ctx, r); err != nil {
			return err
		}
	}
}

func (w *Writer) one(ctx context.Context, r store.Report) error {
	err := w.write(ctx, &r)
	switch {
	case ctx.Err() != nil, errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("writing report %s: %w", r.ID, err)
	case err != nil:
		w.Log.Warn().Err(err).Stringer("report", r.ID).Msg("a report could not be made")
		r.State, r.Error = store.ReportFailed, err.Error()
	default:
		r.State = store.ReportDone
	}
	return w.DB.FinishReport(ctx, r)
}

// write writes the file as a whole and fills in what is known of it.
func (w *Writer) write(ctx context.Context, r *store.Report) error {
	scope, err := w.scope(ctx, r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(w.Dir, ".report-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := &hashed{sha256: sha256.New()}
	out := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	if err := w.document(ctx, out, r, scope); err != nil {
		return err
	}
	if err := errors.Join(out.Flush(), f.Sync()); err != nil {
		return err
	}
	r.Bytes, r.SHA256 = sum.bytes, sum.sha256.Sum(nil)
	return os.Rename(f.Name(), w.File(r.ID))
}

// hashed counts and hashes what is written.
type hashed struct {
	sha256 interface {
		io.Writer
		Sum([]byte) []byte
	}
	bytes int64
}

func (h *hashed) Write(p []byte) (int, error) {
	h.bytes += int64(len(p))
	return h.sha256.Write(p)
}

func (w *Writer) document(ctx context.Context, out io.Writer, r *store.Report, scope store.ReportScope) error {
	told := time.Now()
	wrote := func() {
		r.Rows++
		if r.Rows%1000 != 0 || time.Since(told) < progressEvery {
			return
		}
		told = time.Now()
		// Only who waits for the report would miss it.
		if err := w.DB.ReportProgress(ctx, r.OrgID, r.ID, r.Rows); err != nil {
			w.Log.Warn().Err(err).Msg("the progress of a report was not noted")
		}
	}
	request := Request{Type: Type(r.Type), Repos: r.Repos, Teams: r.Teams, By: r.CreatedBy, Made: time.Now()}
	return w.DB.ReadReport(ctx, scope, func(data *store.ReportData) error {
		doc, err := Document(ctx, data, request, wrote)
		if err != nil {
			return err
		}
		return report.Write(ctx, out, doc, report.Format(r.Format), report.Options{Paper: r.Paper})
	})
}

// scope resolves the names of a report as they are now.
func (w *Writer) scope(ctx context.Context, r *store.Report) (store.ReportScope, error) {
	org, err := w.DB.OrgByID(ctx, r.OrgID)
	if err != nil {
		return store.ReportScope{}, err
	}
	zone, err := time.LoadLocation(org.TimeZone)
	if err != nil {
		return store.ReportScope{}, err
	}
	s := store.ReportScope{Org: org, FirstDay: r.FirstDay, LastDay: r.LastDay, From: midnight(r.FirstDay, zone),
		To: midnight(r.LastDay.AddDate(0, 0, 1), zone)}
	for _, name := range r.Repos {
		repo, err := w.DB.Repo(ctx, r.OrgID, name)
		if err != nil {
			return s, fmt.Errorf("repository %s: %w", name, err)
		}
		s.Repos = append(s.Repos, repo.ID)
	}
	for _, name := range r.Teams {
		emails, err := w.DB.TeamEmails(ctx, r.OrgID, name)
		if err != nil {
			return s, fmt.Errorf("team %s: %w", name, err)
		}
		// A team of nobody is not everybody.
		s.Emails = append(append([]string{}, s.Emails...), emails...)
	}
	return s, nil
}

func midnight(day time.Time, zone *time.Location) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, zone)
}
