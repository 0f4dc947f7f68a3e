package store

import (
	"context"
	"time"
)

// Health is what an administrator wants to know of the database.
type Health struct {
	// Version is the server's, "15.18 (Debian 15.18-0+deb12u1)".
	Version string
	// Now is the server's time at some moment of the call.
	Now time.Time
	// Extensions says that pg_trgm and btree_gin are there or can be made.
	Extensions bool
	// Schema is the last migration that was applied, 0 for none, and
	// WantSchema the last one of this program.
	Schema     int64
	WantSchema int64
}

// Health asks the server. It works on a database that was never migrated.
func (db *DB) Health(ctx context.Context) (Health, error) {
	want, err := latestMigration()
	if err != nil {
		return Health{}, err
	}
	var migrated bool
	h := Health{WantSchema: want}
	err = db.pool.QueryRow(ctx, `
		SELECT current_setting('server_version'), clock_timestamp(),
			(SELECT count(*) = 2 FROM pg_available_extensions WHERE name IN ('pg_trgm', 'btree_gin')),
			to_regclass('goose_db_version') IS NOT NULL`).Scan(&h.Version, &h.Now, &h.Extensions, &migrated)
	if err != nil || !migrated {
		return h, translate(err, "asking for the database's health")
	}
	err = db.pool.QueryRow(ctx, `
		SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&h.Schema)
	return h, translate(err, "asking for the database's schema")
}
