package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/migrations"
)

// ErrNewerSchema: the database has been migrated by a newer program.
var ErrNewerSchema = errors.New("the database is newer than this program")

const (
	// migrateLock is the key of the advisory lock under which one program at a
	// time migrates a database: "bpmigrat" in ASCII.
	migrateLock      = 0x62706d6967726174
	migrateLockRetry = 100 * time.Millisecond
	// minServerVersion is server_version_num of the oldest supported server.
	minServerVersion = 140000
)

// Migrate brings the database at dsn to the schema of this program: the
// program's own tables, then the job queue's. It only goes forward. Any number
// of programs may call it at once: one works, the others wait for it, for as
// long as ctx lets them. A failed migration leaves the ones before it in
// place, and is rolled back itself. ErrNewerSchema if a newer program has been
// here; nothing is changed then. The lock is a session's: dsn must not lead
// through a pooler that shares sessions.
func Migrate(ctx context.Context, dsn string, log zerolog.Logger) error {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("reading the database URL: %w", maskDSN(err, dsn))
	}
	config.MaxConns = 2
	unlock, err := lockSchema(ctx, config.ConnConfig, log)
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	err = migrateLocked(ctx, config, log)
	if err = errors.Join(err, unlock()); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// lockSchema checks the server's version and takes the lock. It asks again and
// again instead of waiting inside PostgreSQL, where a waiting session would
// hold a snapshot that concurrent index builds wait for.
func lockSchema(ctx context.Context, config *pgx.ConnConfig, log zerolog.Logger) (unlock func() error, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, translate(err, "connecting")
	}
	// The lock ends with its session.
	unlock = func() error {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return conn.Close(end)
	}
	if err := checkServer(ctx, conn); err != nil {
		return nil, errors.Join(err, unlock())
	}
	tick := time.NewTicker(migrateLockRetry)
	defer tick.Stop()
	for said := false; ; said = true {
		var got bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(migrateLock)).Scan(&got); err != nil {
			return nil, errors.Join(translate(err, "locking the schema"), unlock())
		}
		if got {
			return unlock, nil
		}
		if !said {
			log.Info().Msg("another program migrates the database; waiting for it")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another program to migrate it: %w", ctx.Err()), unlock())
		}
	}
}

func checkServer(ctx context.Context, conn *pgx.Conn) error {
	var version int
	err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version)
	if err != nil {
		return translate(err, "asking the server's version")
	}
	if version < minServerVersion {
		return fmt.Errorf("the server is PostgreSQL %d; at least %d is needed", version/10000, minServerVersion/10000)
	}
	return nil
}

func migrateLocked(ctx context.Context, config *pgxpool.Config, log zerolog.Logger) (err error) {
	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { err = errors.Join(err, db.Close()) }()
	tables, err := newTables(ctx, db)
	if err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return translate(err, "connecting")
	}
	defer pool.Close()
	queue, err := newQueue(ctx, pool)
	if err != nil {
		return err
	}
	results, err := tables.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrating the tables: %w", err)
	}
	for _, r := range results {
		log.Info().Str("migration", r.Source.Path).Dur("took", r.Duration).Msg("migrated the database")
	}
	if _, err := queue.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the job queue: %w", err)
	}
	return nil
}

// newTables prepares the program's own migrations.
func newTables(ctx context.Context, db *sql.DB) (*goose.Provider, error) {
	tables, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("reading the migrations: %w", err)
	}
	have, known, err := tables.GetVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the database's version: %w", err)
	}
	if have > known {
		return nil, newerError("schema", have, known)
	}
	return tables, nil
}

// newQueue prepares River's migrations.
func newQueue(ctx context.Context, pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	queue, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, fmt.Errorf("reading the job queue's migrations: %w", err)
	}
	have, err := queueVersion(ctx, pool)
	if err != nil {
		return nil, err
	}
	known := 0
	for _, m := range queue.AllVersions() {
		known = max(known, m.Version)
	}
	if have > known {
		return nil, newerError("job queue", int64(have), int64(known))
	}
	return queue, nil
}

// queueVersion reads River's table itself: rivermigrate fails on a version
// that it does not know, in words that help nobody.
func queueVersion(ctx context.Context, pool *pgxpool.Pool) (version int, err error) {
	var exists bool
	if err := pool.QueryRow(ctx, "SELECT to_regclass('river_migration') IS NOT NULL").Scan(&exists); err != nil {
		return 0, translate(err, "looking for the job queue")
	}
	if !exists {
		return 0, nil
	}
	err = pool.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM river_migration").Scan(&version)
	return version, translate(err, "reading the job queue's version")
}

func newerError(what string, have, known int64) error {
	return fmt.Errorf("%w: its %s is at version %d, this program knows %d; run the newer program again, "+
		"or restore a backup from before its first start", ErrNewerSchema, what, have, known)
}
