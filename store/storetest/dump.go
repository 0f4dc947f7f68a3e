package storetest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/store"
)

// state is everything that the store derives from notes, as comparable lines:
// when a run happened is left out, and so are findings about a ref, which tell
// what a daemon saw happen.
var state = []string{
	`SELECT format('version %s %s %s %s %s <%s> %s %s', ref, commit, notes_commit, coalesce(blob, '-'), author_name, author_email,
		committed_at, current) FROM note_versions`,
	`SELECT format('body %s %s %s %s %s', ref, commit, blob, size, receipts) FROM note_bodies`,
	`SELECT format('link %s %s %s %s %s %s %s', receipt_id, ref, commit, blob, position, noted_at, current) FROM receipt_commits`,
	`SELECT format('receipt %s', (to_jsonb(r) - 'org_id' - 'repo_id' - 'received_at' - 'synced_at' - 'path_keys')::text) FROM receipts r`,
	`SELECT format('paths of %s %s', id, ARRAY(SELECT key # ` + hash32("org_id::text") + ` FROM unnest(path_keys) key ORDER BY 1)) FROM receipts`,
	`SELECT format('file %s', (to_jsonb(f) - 'org_id')::text) FROM receipt_files f`,
	`SELECT format('attested %s', (to_jsonb(a) - 'org_id' - 'repo_id')::text) FROM attestations a`,
	`SELECT format('prompt %s', (to_jsonb(p) - 'org_id' - 'repo_id')::text) FROM prompts p`,
	`SELECT format('rollup %s', (to_jsonb(r) - 'org_id' - 'repo_id')::text) FROM rollups r WHERE receipts <> 0 OR prompts <> 0`,
	`SELECT format('month %s', (to_jsonb(r) - 'org_id' - 'repo_id')::text) FROM rollup_months r WHERE receipts <> 0 OR prompts <> 0`,
	`SELECT format('finding %s %s %s %s %s', code, commit, blob, receipt_id, location) FROM findings WHERE commit <> ''`,
	`SELECT format('tip %s %s', ref, tip) FROM note_refs WHERE tip <> ''`,
}

// Dump returns what the store holds of notes as sorted lines that are equal for
// two stores with equal contents, whatever their ids and times of writing.
func Dump(t testing.TB, db *store.DB) []string {
	t.Helper()
	var lines []string
	for _, sql := range state {
		lines = append(lines, Column(t, db, sql+" ORDER BY 1")...)
	}
	return lines
}

// Column returns the one text column of a query's rows.
func Column(t testing.TB, db *store.DB, sql string, args ...any) []string {
	t.Helper()
	rows, err := db.Pool().Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}
