package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// AuditRow is one act that somebody did through the program.
type AuditRow struct {
	Seq       int64
	At        time.Time
	Principal string
	Action    string
	Target    string
	Detail    json.RawMessage
	RequestID string
	// Redacted says that a person was erased from its words.
	Redacted bool
}

// Audit records an act in the caller's transaction: no record, no act. detail
// must hold neither secrets nor prompt text.
func (tx *Tx) Audit(ctx context.Context, by access.Principal, action, target string, detail any) error {
	body, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("encoding the audit detail of %s: %w", action, err)
	}
	_, err = tx.Exec(ctx, sqlAudit, by.Org, by.Name, action, target, body, by.RequestID)
	return translate(err, "writing the audit row of %s", action)
}

const sqlAudit = `
	INSERT INTO audit_log (org_id, principal, action, target, detail, request_id) VALUES ($1, $2, $3, $4, $5, $6)`

// AuditFilter selects acts; its conditions are joined by AND and zero values
// select everything.
type AuditFilter struct {
	Principal string
	// Action may end in * for all actions that begin so.
	Action string
	Target string
	// From is inclusive, To is exclusive.
	From, To time.Time
}

const auditRowColumns = `seq, at, principal, action, target, detail, request_id, commitment IS NOT NULL AS redacted`

// AuditRows lists the newest acts before seq (0: from the newest), at most limit.
func (db *DB) AuditRows(ctx context.Context, org uuid.UUID, f AuditFilter, before int64, limit int) ([]AuditRow, error) {
	var rows []AuditRow
	err := db.snapshot(ctx, func(q querier) (err error) {
		rows, err = auditRows(ctx, q, org, f, before, limit)
		return err
	})
	return rows, err
}

func auditRows(ctx context.Context, q querier, org uuid.UUID, f AuditFilter, before int64, limit int) ([]AuditRow, error) {
	where, args := f.where(org)
	if before != 0 {
		args = append(args, before)
		where += fmt.Sprintf(" AND seq < $%d", len(args))
	}
	return collect[AuditRow](ctx, q, "listing the audit log",
		`SELECT `+auditRowColumns+` FROM audit_log WHERE `+where+` ORDER BY seq DESC LIMIT `+itoa(limit), args...)
}

// where is the filter's condition; the organisation is $1.
func (f AuditFilter) where(org uuid.UUID) (string, []any) {
	conditions, args := []string{"org_id = $1"}, []any{org}
	add := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	if f.Principal != "" {
		add("principal = $%d", f.Principal)
	}
	if prefix, ok := strings.CutSuffix(f.Action, "*"); ok {
		add("action LIKE $%d", escapeLike(prefix)+"%")
	} else if f.Action != "" {
		add("action = $%d", f.Action)
	}
	if f.Target != "" {
		add("target = $%d", f.Target)
	}
	if !f.From.IsZero() {
		add("at >= $%d", f.From)
	}
	if !f.To.IsZero() {
		add("at < $%d", f.To)
	}
	return strings.Join(conditions, " AND "), args
}

// ExportAudit hands every act that the filter selects to each, oldest first.
// They are of one snapshot.
func (db *DB) ExportAudit(ctx context.Context, org uuid.UUID, f AuditFilter, each func(AuditRow) error) error {
	where, args := f.where(org)
	return db.snapshot(ctx, func(q querier) error {
		rows, err := q.Query(ctx, `SELECT `+auditRowColumns+` FROM audit_log WHERE `+where+` ORDER BY seq`, args...)
		if err != nil {
			return translate(err, "exporting the audit log")
		}
		defer rows.Close()
		for rows.Next() {
			row, err := pgx.RowToStructByName[AuditRow](rows)
			if err != nil {
				return translate(err, "exporting the audit log")
			}
			if err := each(row); err != nil {
				return err
			}
		}
		return translate(rows.Err(), "exporting the audit log")
	})
}
