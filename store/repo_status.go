package store

import (
	"context"

	"github.com/google/uuid"
)

// RepoStatus is what a repository holds.
type RepoStatus struct {
	// Receipts counts those whose content was taken from the repository.
	Receipts        int64
	ReceiptsCurrent int64
	Findings        int64
	// Tips are what was ingested of each notes ref, by ref.
	Tips []Tip
}

// RepoStatuses reads the status of each of the repositories, the counts of
// receipts by the rollups.
func (db *DB) RepoStatuses(ctx context.Context, org uuid.UUID, repos []uuid.UUID) (map[uuid.UUID]RepoStatus, error) {
	out := make(map[uuid.UUID]RepoStatus, len(repos))
	err := db.snapshot(ctx, func(q querier) error {
		counts, err := collect[struct {
			ID                                  uuid.UUID
			Receipts, ReceiptsCurrent, Findings int64
		}](ctx, q, "counting what repositories hold", `
			SELECT p.id, coalesce(s.receipts, 0) AS receipts, coalesce(s.receipts_current, 0) AS receipts_current,
			       (SELECT count(*) FROM findings f WHERE f.org_id = $1 AND f.repo_id = p.id) AS findings
			FROM unnest($2::uuid[]) p (id)
			LEFT JOIN LATERAL (
				SELECT sum(r.receipts)::bigint AS receipts, sum(r.receipts_current)::bigint AS receipts_current
				FROM rollup_months r WHERE r.org_id = $1 AND r.dimension = 'all' AND r.repo_id = p.id) s ON true`, org, repos)
		if err != nil {
			return err
		}
		for _, c := range counts {
			out[c.ID] = RepoStatus{Receipts: c.Receipts, ReceiptsCurrent: c.ReceiptsCurrent, Findings: c.Findings}
		}
		return addTips(ctx, q, org, repos, out)
	})
	return out, err
}

func addTips(ctx context.Context, q querier, org uuid.UUID, repos []uuid.UUID, to map[uuid.UUID]RepoStatus) error {
	tips, err := collect[struct {
		RepoID uuid.UUID
		Tip
	}](ctx, q, "listing notes tips", `
		SELECT repo_id, ref, tip, updated_at FROM note_refs WHERE org_id = $1 AND repo_id = ANY($2) ORDER BY repo_id, ref`, org, repos)
	for _, t := range tips {
		status := to[t.RepoID]
		status.Tips = append(status.Tips, t.Tip)
		to[t.RepoID] = status
	}
	return err
}
