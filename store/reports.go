package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// Report is a report that was asked for.
type Report struct {
	ID    uuid.UUID
	OrgID uuid.UUID
	// Type is soc2, gdpr or audit; Format json, csv, md, html, pdf or client-json;
	// Paper A4 or Letter.
	Type, Format, Paper string
	// FirstDay and LastDay are the period in the organisation's time zone, both
	// inclusive, as midnight UTC.
	FirstDay, LastDay time.Time
	// Repos and Teams are names; none is all.
	Repos, Teams []string
	State        ReportState
	// Rows is how many rows were written so far.
	Rows int64
	// Bytes and SHA256 are those of the file, once it is done.
	Bytes     int64
	SHA256    []byte `db:"sha256"`
	Error     string
	CreatedBy string
	// ScheduleID is the schedule that asked for it, if one did.
	ScheduleID *uuid.UUID
	CreatedAt  time.Time
	FinishedAt *time.Time
}

// ReportState says how far a report is.
type ReportState string

// The states.
const (
	ReportWaiting ReportState = "waiting"
	ReportRunning ReportState = "running"
	ReportDone    ReportState = "done"
	ReportFailed  ReportState = "failed"
)

const reportColumns = `id, org_id, type, format, paper, first_day, last_day, repos, teams, state, rows, bytes, sha256, error, created_by,
	schedule_id, created_at, finished_at`

// CreateReport writes down what was asked for, with its audit row.
func (tx *Tx) CreateReport(ctx context.Context, by access.Principal, r Report) (Report, error) {
	r.ID, r.OrgID = newID(), by.Org
	row, err := collectOne[Report](ctx, tx, "asking for a report", `
		INSERT INTO reports (id, org_id, type, format, paper, first_day, last_day, repos, teams, created_by, schedule_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING `+reportColumns,
		r.ID, r.OrgID, r.Type, r.Format, r.Paper, r.FirstDay, r.LastDay, noneIfNil(r.Repos), noneIfNil(r.Teams), by.Name, r.ScheduleID)
	if err != nil {
		return Report{}, err
	}
	detail := map[string]any{"type": r.Type, "format": r.Format, "from": r.FirstDay.Format(time.DateOnly), "to": r.LastDay.Format(time.DateOnly),
		"repos": r.Repos, "teams": r.Teams}
	if r.ScheduleID != nil {
		detail["schedule"] = *r.ScheduleID
	}
	return row, tx.Audit(ctx, by, "report.create", r.ID.String(), detail)
}

func noneIfNil(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// ReportKey is the place of a report in the list.
type ReportKey struct {
	At time.Time
	ID uuid.UUID
}

// Reports lists the newest reports, or those behind one, at most limit.
func (db *DB) Reports(ctx context.Context, org uuid.UUID, behind *ReportKey, limit int) ([]Report, error) {
	if behind == nil {
		return collect[Report](ctx, db.pool, "listing reports", `
			SELECT `+reportColumns+` FROM reports WHERE org_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`, org, limit)
	}
	return collect[Report](ctx, db.pool, "listing reports", `
		SELECT `+reportColumns+` FROM reports WHERE org_id = $1 AND (created_at, id) < ($3, $4) ORDER BY created_at DESC, id DESC LIMIT $2`,
		org, limit, behind.At, behind.ID)
}

// ReportByID returns one report, or ErrNotFound.
func (db *DB) ReportByID(ctx context.Context, org, id uuid.UUID) (Report, error) {
	return collectOne[Report](ctx, db.pool, "finding a report", `
		SELECT `+reportColumns+` FROM reports WHERE org_id = $1 AND id = $2`, org, id)
}

// NextReport takes the oldest report that waits, or that runs since before
// staleBefore, whose daemon died. ok is false when there is none.
func (db *DB) NextReport(ctx context.Context, stale time.Duration) (r Report, ok bool, err error) {
	r, err = collectOne[Report](ctx, db.pool, "taking a report up", `
		UPDATE reports SET state = 'running', rows = 0, touched_at = now()
		WHERE (org_id, id) = (SELECT org_id, id FROM reports
			WHERE state = 'waiting' OR state = 'running' AND touched_at < now() - $1::interval
			ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+reportColumns, stale)
	if errors.Is(err, ErrNotFound) {
		return Report{}, false, nil
	}
	return r, err == nil, err
}

// ReportProgress says how many rows are written, and that somebody is at it; of a
// report that was removed meanwhile it returns ErrNotFound.
func (db *DB) ReportProgress(ctx context.Context, org, id uuid.UUID, rows int64) error {
	return db.changeReport(ctx, "noting the progress of a report", `
		UPDATE reports SET rows = $3, touched_at = now() WHERE org_id = $1 AND id = $2`, org, id, rows)
}

// FinishReport records the file of a report, or why there is none; of a report
// that was removed meanwhile it returns ErrNotFound.
func (db *DB) FinishReport(ctx context.Context, r Report) error {
	return db.changeReport(ctx, "finishing a report", `
		UPDATE reports SET state = $3, rows = $4, bytes = $5, sha256 = $6, error = $7, finished_at = now() WHERE org_id = $1 AND id = $2`,
		r.OrgID, r.ID, r.State, r.Rows, r.Bytes, r.SHA256, clean(r.Error))
}

func (db *DB) changeReport(ctx context.Context, op, sql string, args ...any) error {
	tag, err := db.pool.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return translate(err, "%s", op)
}

// ReportFetched records that somebody is handed the file of a report, and the
// texts of prompts that are in it: call it before.
func (db *DB) ReportFetched(ctx context.Context, by access.Principal, r Report) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if r.Type == "audit" && r.Rows > 0 {
			if err := tx.countListed(ctx, by, int(r.Rows)); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, by, "report.fetch", r.ID.String(), map[string]any{"type": r.Type, "format": r.Format})
	})
}

// RemoveReport removes the row of a report, or ErrNotFound; its file is the
// caller's.
func (db *DB) RemoveReport(ctx context.Context, by access.Principal, id uuid.UUID) error {
	return db.InTx(ctx, func(tx *Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM reports WHERE org_id = $1 AND id = $2`, by.Org, id)
		if err != nil {
			return translate(err, "removing a report")
		}
		if tag.RowsAffected() == 0 {
			return translate(pgx.ErrNoRows, "removing a report")
		}
		return tx.Audit(ctx, by, "report.remove", id.String(), nil)
	})
}
