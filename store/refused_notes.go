package store

import (
	"context"

	"github.com/blameprompt/enterprise/policy/access"
)

// RecordRefusedNotes records what a merge of pushed notes did not let happen:
// findings about the receipts, and a row of the audit log for each, in one
// transaction. Known findings count once.
func (db *DB) RecordRefusedNotes(ctx context.Context, by access.Principal, repo Repo, ref string, faults []Fault) error {
	org, err := db.OrgByID(ctx, repo.OrgID)
	if err != nil {
		return err
	}
	src := Source{Org: org, Repo: repo, Ref: ref}
	return db.Intake(ctx, src, func(in *Intake) error {
		if err := in.Stage(ctx, NewRows(src, Batch{Faults: faults})); err != nil {
			return err
		}
		if err := in.addFindings(ctx); err != nil {
			return err
		}
		for _, f := range faults {
			err := in.tx.Audit(ctx, by, "notes."+f.Code, repo.Name, map[string]any{
				"ref": ref, "commit": f.Commit, "receipt": f.ReceiptID, "message": f.Message})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
