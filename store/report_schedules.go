package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// ReportSchedule asks for a report of each period when it is over.
type ReportSchedule struct {
	ID    uuid.UUID
	OrgID uuid.UUID
	// Type, Format, Paper, Repos and Teams are those of the reports.
	Type, Format, Paper string
	Repos, Teams        []string
	Every               Every
	// NextFirst and NextLast are the days of the next report's period, as midnight
	// UTC, and NextAt when it is asked for: the moment at which the period is over
	// in the organisation's time zone.
	NextFirst, NextLast, NextAt time.Time
	CreatedBy                   string
	CreatedAt                   time.Time
}

// Every is how long the period of a schedule is: a calendar week from Monday on,
// a month, a quarter or a year.
type Every string

// The periods.
const (
	EveryWeek    Every = "week"
	EveryMonth   Every = "month"
	EveryQuarter Every = "quarter"
	EveryYear    Every = "year"
)

// Everys are all of them.
var Everys = []Every{EveryWeek, EveryMonth, EveryQuarter, EveryYear}

// nextFirst is the first day behind a period of a schedule s.
const nextFirst = `(s.next_first + CASE s.every WHEN 'week' THEN interval '7 days' WHEN 'month' THEN interval '1 month'
	WHEN 'quarter' THEN interval '3 months' ELSE interval '1 year' END)::date`

const scheduleColumns = `s.id, s.org_id, s.type, s.format, s.paper, s.repos, s.teams, s.every, s.next_first, ` + nextFirst + ` - 1 AS next_last,
	(` + nextFirst + `)::timestamp AT TIME ZONE o.time_zone AS next_at, s.created_by, s.created_at`

// CreateReportSchedule makes a schedule whose first report is of the period that
// now lies in, with its audit row.
func (db *DB) CreateReportSchedule(ctx context.Context, by access.Principal, s ReportSchedule, now time.Time) (out ReportSchedule, err error) {
	s.ID = newID()
	err = db.InTx(ctx, func(tx *Tx) error {
		out, err = collectOne[ReportSchedule](ctx, tx, "making a schedule of reports", `
			WITH s AS (
				INSERT INTO report_schedules (org_id, id, type, format, paper, repos, teams, every, created_by, next_first)
				SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, date_trunc($8::text, $10::timestamptz AT TIME ZONE time_zone)::date FROM orgs WHERE id = $1
				RETURNING *)
			SELECT `+scheduleColumns+` FROM s JOIN orgs o ON o.id = s.org_id`,
			by.Org, s.ID, s.Type, s.Format, s.Paper, noneIfNil(s.Repos), noneIfNil(s.Teams), s.Every, by.Name, now)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "report_schedule.create", s.ID.String(), map[string]any{"type": s.Type, "format": s.Format, "every": s.Every,
			"repos": s.Repos, "teams": s.Teams})
	})
	return out, err
}

// ReportSchedules lists the schedules, those whose report comes first before.
func (db *DB) ReportSchedules(ctx context.Context, org uuid.UUID) ([]ReportSchedule, error) {
	return collect[ReportSchedule](ctx, db.pool, "listing schedules of reports", `
		SELECT `+scheduleColumns+` FROM report_schedules s JOIN orgs o ON o.id = s.org_id WHERE s.org_id = $1 ORDER BY next_at, s.id`, org)
}

// RemoveReportSchedule ends a schedule, or returns ErrNotFound. Its reports stay.
func (db *DB) RemoveReportSchedule(ctx context.Context, by access.Principal, id uuid.UUID) error {
	return db.InTx(ctx, func(tx *Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM report_schedules WHERE org_id = $1 AND id = $2`, by.Org, id)
		if err != nil {
			return translate(err, "ending a schedule of reports")
		}
		if tag.RowsAffected() == 0 {
			return translate(pgx.ErrNoRows, "ending a schedule of reports")
		}
		return tx.Audit(ctx, by, "report_schedule.remove", id.String(), nil)
	})
}

// AskForDueReports asks for the reports of all periods that were over at a
// moment, of every organisation, also those that were over while nobody looked.
// It returns how many it asked for.
func (db *DB) AskForDueReports(ctx context.Context, now time.Time) (asked int, err error) {
	for {
		err := db.InTx(ctx, func(tx *Tx) error { return tx.askForDueReport(ctx, now) })
		switch {
		case errors.Is(err, ErrNotFound):
			return asked, nil
		case err != nil:
			return asked, err
		}
		asked++
	}
}

// askForDueReport asks for one report, or returns ErrNotFound. The schedule moves
// on in the same transaction, so that no period has two reports of it.
func (tx *Tx) askForDueReport(ctx context.Context, now time.Time) error {
	s, err := collectOne[ReportSchedule](ctx, tx, "finding a report that is due", `
		SELECT `+scheduleColumns+` FROM report_schedules s JOIN orgs o ON o.id = s.org_id
		WHERE (`+nextFirst+`)::timestamp AT TIME ZONE o.time_zone <= $1
		ORDER BY s.next_first, s.id LIMIT 1 FOR UPDATE OF s SKIP LOCKED`, now)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE report_schedules s SET next_first = `+nextFirst+` WHERE org_id = $1 AND id = $2`, s.OrgID, s.ID); err != nil {
		return translate(err, "moving a schedule of reports on")
	}
	_, err = tx.CreateReport(ctx, access.Daemon(s.OrgID), Report{Type: s.Type, Format: s.Format, Paper: s.Paper, FirstDay: s.NextFirst,
		LastDay: s.NextLast, Repos: s.Repos, Teams: s.Teams, ScheduleID: &s.ID})
	return err
}
