package compliance

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// Task is the name of the task that writes reports.
const Task = "reports"

const (
	// beatEvery is the pause between two notes of how far a report is, and so how
	// long one that was removed goes on.
	beatEvery = 2 * time.Second
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
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// File is where the file of a report is, or will be.
func (w *Writer) File(id uuid.UUID) string { return fileOf(w.Dir, id) }

func (w *Writer) now() time.Time {
	if w.Now == nil {
		return time.Now()
	}
	return w.Now()
}

// Work asks for the reports that schedules want and writes every report that
// waits; it is the work of a queue.Task. A report that cannot be made is marked as
// failed, with the reason.
func (w *Writer) Work(ctx context.Context) error {
	if err := os.MkdirAll(w.Dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of reports: %w", err)
	}
	if _, err := w.DB.AskForDueReports(ctx, w.now()); err != nil {
		return err
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
	case errors.Is(err, store.ErrNotFound) && w.removed(ctx, r):
		return nil
	case ctx.Err() != nil, errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("writing report %s: %w", r.ID, err)
	case err != nil:
		w.Log.Warn().Err(err).Stringer("report", r.ID).Msg("a report could not be made")
		r.State, r.Error = store.ReportFailed, err.Error()
	default:
		r.State = store.ReportDone
	}
	err = w.DB.FinishReport(ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		return removeFile(w.Dir, r.ID)
	}
	return err
}

// removed reports whether somebody removed the report itself, and not something
// that it is about.
func (w *Writer) removed(ctx context.Context, r store.Report) bool {
	_, err := w.DB.ReportByID(ctx, r.OrgID, r.ID)
	return errors.Is(err, store.ErrNotFound)
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
	var rows atomic.Int64
	ctx, rest := w.beat(ctx, r, &rows)
	defer rest()
	request := Request{Type: Type(r.Type), Repos: r.Repos, Teams: r.Teams, By: r.CreatedBy, Made: w.now()}
	err := w.DB.ReadReport(ctx, scope, func(data *store.ReportData) error {
		return Write(ctx, out, data, request, report.Format(r.Format), report.Options{Paper: r.Paper}, func() { rows.Add(1) })
	})
	r.Rows = rows.Load()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// beat notes regularly how far the report is, also while the database sorts. The
// context that it returns ends when the report was removed.
func (w *Writer) beat(ctx context.Context, r *store.Report, rows *atomic.Int64) (_ context.Context, rest func()) {
	org, id := r.OrgID, r.ID
	ctx, cancel := context.WithCancelCause(ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := w.DB.ReportProgress(ctx, org, id, rows.Load())
			if errors.Is(err, store.ErrNotFound) {
				cancel(err)
			} else if err != nil && ctx.Err() == nil {
				// Only who waits for the report would miss it.
				w.Log.Warn().Err(err).Msg("the progress of a report was not noted")
			}
		}
	})
	return ctx, func() { cancel(nil); beats.Wait() }
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
