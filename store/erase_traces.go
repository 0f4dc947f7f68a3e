package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// personalTables are the tables with columns that may hold something of people.
func personalTables() []string {
	tables := map[string]bool{}
	for _, column := range personal {
		tables[column.table] = true
	}
	return slices.Sorted(maps.Keys(tables))
}

// statistics gathers anew what the planner knows of the tables: it keeps samples of
// their values, among them addresses and what was said.
func (e *eraser) statistics(ctx context.Context) error {
	sampled, err := collect[struct{ Name string }](ctx, e.tx, "listing tables with statistics", `
		SELECT DISTINCT tablename AS name FROM pg_stats WHERE schemaname = current_schema() AND tablename = ANY($1) ORDER BY 1`, personalTables())
	if err != nil {
		return err
	}
	for _, table := range sampled {
		if _, err := e.tx.Exec(ctx, `ANALYZE `+pgx.Identifier{table.Name}.Sanitize()); err != nil {
			return translate(err, "gathering the statistics of %s", table.Name)
		}
	}
	return nil
}

// VacuumErased removes the dead rows that erasures left in tables and indexes,
// if there was an erasure since. PostgreSQL would do so only when a fifth of a
// table has changed. It takes minutes where there are millions of rows, and
// hinders nobody. Rows that a transaction from before the erasure may still read
// stay until a later one; an erasure that ends meanwhile is for the next call.
func (db *DB) VacuumErased(ctx context.Context) error {
	due, err := collectOne[struct{ Last *time.Time }](ctx, db.pool, "looking for erasures", `
		SELECT max(at) AS last FROM erasures WHERE vacuumed_at IS NULL`)
	if err != nil || due.Last == nil {
		return err
	}
	for _, table := range personalTables() {
		if _, err := db.pool.Exec(ctx, `VACUUM `+pgx.Identifier{table}.Sanitize()); err != nil {
			return translate(err, "removing dead rows from %s", table)
		}
	}
	_, err = db.pool.Exec(ctx, `UPDATE erasures SET vacuumed_at = now() WHERE vacuumed_at IS NULL AND at <= $1`, *due.Last)
	return translate(err, "recording that dead rows are gone")
}
