package store

import (
	"context"
	"fmt"
)

// measuredTable is a table and the columns of it by which rows are found.
type measuredTable struct{ name, columns string }

// lineReads are the tables that lines are classified from and written to.
var lineReads = []measuredTable{
	{"commits", "org_id, repo_id, commit, committed_at"},
	{"note_versions", "org_id, repo_id, ref, commit, blob, current"},
	{"note_bodies", "org_id, repo_id, ref, commit, blob"},
	{"attestations", "org_id, repo_id, ref, commit, blob, receipt_id"},
	{"receipts", "org_id, id, source"},
	{"receipt_commits", "org_id, receipt_id, repo_id, ref, commit, blob, current"},
	{"receipt_files", "org_id, receipt_id, blob_hash"},
	{"line_demands", "org_id, repo_id, seq, commit, receipt_id, planned"},
	{"commit_lines", "org_id, repo_id, commit, on_default, committed_at, author_email, revision, state"},
	{"commit_owners", "org_id, repo_id, commit"},
	{"added_files", "org_id, repo_id, commit, path, blob"},
	{"added_runs", "org_id, repo_id, commit, path, receipt_id"},
	{"line_rollups", "org_id, dimension, repo_id, key, key2, day"},
	{"line_rollup_months", "org_id, dimension, repo_id, key, key2, day"},
}

// MeasureLines gathers the statistics of the tables of added lines that have more
// than doubled since somebody did. PostgreSQL does so by itself a minute later;
// until then it takes a table for one of few rows and goes through all of a
// repository for each commit. To ask costs a part of a millisecond, and all
// measuring together is linear in what is written.
func (db *DB) MeasureLines(ctx context.Context) error { return db.measure(ctx, lineReads) }

func (db *DB) measure(ctx context.Context, tables []measuredTable) error {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.name
	}
	grown, err := collect[struct{ N int }](ctx, db.pool, "looking for tables that have grown", `
		SELECT t.n::integer AS n FROM unnest($1::text[]) WITH ORDINALITY t (name, n) JOIN pg_class c ON c.oid = t.name::regclass
		WHERE pg_relation_size(c.oid) / current_setting('block_size')::integer > 2 * greatest(c.relpages, 0) + 8
		ORDER BY t.n`, names)
	if err != nil {
		return err
	}
	for _, g := range grown {
		t := tables[g.N-1]
		if _, err := db.pool.Exec(ctx, fmt.Sprintf(`ANALYZE %s (%s)`, t.name, t.columns)); err != nil {
			return translate(err, "measuring %s", t.name)
		}
	}
	return nil
}
