package httpapi

import (
	"context"
	"encoding/hex"

	"github.com/blameprompt/enterprise/store"
)

// ListAudit implements the operation.
func (s *server) ListAudit(ctx context.Context, in ListAuditRequestObject) (ListAuditResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.AuditFilter{Principal: p.Principal, Action: p.Action, Target: p.Target}
	var err error
	if filter.From, filter.To, err = s.period(ctx, org, p.From, p.To); err != nil {
		return nil, err
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listAudit", p)
	var after *int64
	if err := openCursor(cursor, seal, &after); err != nil {
		return nil, err
	}
	before := int64(0)
	if after != nil {
		before = *after
	}
	rows, err := s.cfg.DB.AuditRows(ctx, org, filter, before, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListAudit200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, rows[limit-1].Seq)
	}
	page.Items = each(rows, func(a store.AuditRow) Act {
		return Act{Seq: a.Seq, At: a.At, Principal: a.Principal, Action: a.Action, Target: a.Target, Detail: rawJSON(a.Detail),
			RequestId: a.RequestID, Redacted: a.Redacted}
	})
	return page, nil
}

// GetAuditHead implements the operation.
func (s *server) GetAuditHead(ctx context.Context, _ GetAuditHeadRequestObject) (GetAuditHeadResponseObject, error) {
	head, err := s.cfg.DB.ExtendChain(ctx, principal(ctx).Org)
	if err != nil {
		return nil, err
	}
	answer := GetAuditHead200JSONResponse{Position: head.Position, Hash: hex.EncodeToString(head.Hash), Head: head.String()}
	if !head.LaidAt.IsZero() {
		answer.LaidAt = &head.LaidAt
	}
	return answer, nil
}
