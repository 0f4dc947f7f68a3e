package store

import (
	"context"
	"io/fs"
	"strconv"
	"strings"

	"github.com/blameprompt/enterprise/migrations"
)

// Ready says what keeps the program from serving requests: the database cannot
// be reached (ErrUnavailable), or its schema is not the one that this program
// was written for. Both lists are for people; err is nil when the database
// answered.
func (db *DB) Ready(ctx context.Context) (problems []string, err error) {
	if err := db.Ping(ctx); err != nil {
		return []string{"The database cannot be reached."}, err
	}
	var have int64
	err = db.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	if err != nil {
		return []string{"The database has no schema: run blamepromptd migrate."}, translate(err, "reading the schema's version")
	}
	want, err := latestMigration()
	if err != nil || have == want {
		return nil, err
	}
	return []string{"The database's schema is at version " + strconv.FormatInt(have, 10) + ", this program needs " +
		strconv.FormatInt(want, 10) + ": run blamepromptd migrate with the newer of both."}, nil
}

// latestMigration is the highest number among the embedded files.
func latestMigration() (int64, error) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	latest := int64(0)
	for _, name := range names {
		digits, _, _ := strings.Cut(name, "_")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			latest = max(latest, n)
		}
	}
	return latest, err
}
