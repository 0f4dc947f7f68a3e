package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

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

// AuditRows lists the newest acts before seq (0: from the newest), at most limit.
func (db *DB) AuditRows(ctx context.Context, org uuid.UUID, before int64, limit int) ([]AuditRow, error) {
	return collect[AuditRow](ctx, db.pool, "listing the audit log", `
		SELECT seq, at, principal, action, target, detail, request_id FROM audit_log
		WHERE org_id = $1 AND ($2 = 0 OR seq < $2) ORDER BY seq DESC LIMIT $3`, org, before, limit)
}
