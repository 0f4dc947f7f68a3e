package compliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Desk is where reports are asked for, fetched and removed: by the API and by
// pages.
type Desk struct {
	DB *store.DB
	// Dir is the directory of the files, as a Writer's.
	Dir string
	// Poke wakes a task within the transaction; nil leaves it to its regular look.
	Poke func(ctx context.Context, tx *store.Tx, task string) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Papers are the sizes of the pages of a PDF.
var Papers = []string{"A4", "Letter"}

// Ask writes down that a report is wanted. What cannot be made is refused now and
// not in an hour.
func (d *Desk) Ask(ctx context.Context, by access.Principal, r store.Report) (store.Report, error) {
	r.Paper = cmp.Or(r.Paper, Papers[0])
	if err := d.check(ctx, by.Org, r); err != nil {
		return r, err
	}
	if r.LastDay.Before(r.FirstDay) {
		return r, respond.InvalidField("to", "must not be before from")
	}
	err := d.DB.InTx(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.CreateReport(ctx, by, r); err != nil || d.Poke == nil {
			return err
		}
		return d.Poke(ctx, tx, Task)
	})
	return r, err
}

// Schedule has a report made of each period when it is over.
func (d *Desk) Schedule(ctx context.Context, by access.Principal, s store.ReportSchedule) (store.ReportSchedule, error) {
	s.Paper = cmp.Or(s.Paper, Papers[0])
	if !slices.Contains(store.Everys, s.Every) {
		return s, respond.InvalidField("every", "must be week, month, quarter or year")
	}
	if err := d.check(ctx, by.Org, store.Report{Type: s.Type, Format: s.Format, Paper: s.Paper, Repos: s.Repos, Teams: s.Teams}); err != nil {
		return s, err
	}
	return d.DB.CreateReportSchedule(ctx, by, s, d.now())
}

func (d *Desk) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Desk) check(ctx context.Context, org uuid.UUID, r store.Report) error {
	switch {
	case !slices.Contains(Types, Type(r.Type)):
		return respond.InvalidField("type", "must be soc2, gdpr or audit")
	case !slices.Contains(Formats, report.Format(r.Format)):
		return respond.InvalidField("format", "must be json, csv, md, html, pdf or client-json")
	case report.Format(r.Format) == ClientJSON && Type(r.Type) != Audit:
		return respond.InvalidField("format", "client-json is a form of audit alone")
	case !slices.Contains(Papers, r.Paper):
		return respond.InvalidField("paper", "must be A4 or Letter")
	}
	for _, name := range r.Repos {
		_, err := d.DB.Repo(ctx, org, name)
		if errors.Is(err, store.ErrNotFound) {
			return respond.InvalidField("repos", "must be names or ids of repositories of your organisation, and "+name+" is none")
		}
		if err != nil {
			return err
		}
	}
	for _, name := range r.Teams {
		_, err := d.DB.TeamEmails(ctx, org, name)
		if errors.Is(err, store.ErrNotFound) {
			return respond.InvalidField("teams", "must be names or ids of teams of your organisation, and "+name+" is none")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrNotDone is what Open returns of a report that has no file yet, or none at all.
var ErrNotDone = errors.New("the report has no file")

// errFileGone is for a data directory that is not the one that the report was
// written into, or not as it was.
var errFileGone = &respond.Problem{Status: http.StatusGone, Code: "file_gone",
	Detail: "The file of this report is not in the data directory of this server any more. Ask for the report again."}

// Open returns a report and its file, and records who is handed it.
func (d *Desk) Open(ctx context.Context, by access.Principal, id uuid.UUID) (store.Report, *os.File, error) {
	r, err := d.DB.ReportByID(ctx, by.Org, id)
	if err != nil {
		return r, nil, err
	}
	if r.State != store.ReportDone {
		return r, nil, fmt.Errorf("opening report %s, which is %s: %w", id, r.State, ErrNotDone)
	}
	f, err := os.Open(fileOf(d.Dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil, errFileGone
	}
	if err != nil {
		return r, nil, fmt.Errorf("opening the file of a report: %w", err)
	}
	if err := d.DB.ReportFetched(ctx, by, r); err != nil {
		f.Close()
		return r, nil, err
	}
	return r, f, nil
}

// Remove removes a report and its file. One that is being made is given up within
// seconds.
func (d *Desk) Remove(ctx context.Context, by access.Principal, id uuid.UUID) error {
	if err := d.DB.RemoveReport(ctx, by, id); err != nil {
		return err
	}
	return removeFile(d.Dir, id)
}

func removeFile(dir string, id uuid.UUID) error {
	if err := os.Remove(fileOf(dir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the file of a report: %w", err)
	}
	return nil
}

func fileOf(dir string, id uuid.UUID) string { return filepath.Join(dir, id.String()) }
