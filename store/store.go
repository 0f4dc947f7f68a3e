// Package store owns everything that the program keeps in PostgreSQL: one file
// per table or view, the SQL beside the Go method that needs it.
//
// Promises: every read and write is filtered by organisation here, so that no
// caller can forget it; an administrative act and its audit row share one
// transaction; driver errors are translated to the errors of this package and
// pgx appears nowhere outside store and its subpackages. A DB is safe for
// concurrent use.
package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/blameprompt/enterprise/notes/price"
)

// DB is a connection pool to one database with the schema of package
// migrations.
type DB struct {
	pool      *pgxpool.Pool
	sealer    Sealer
	maxWaiver time.Duration
	prices    *price.Book
	publicURL string
	told      func(context.Context, *Tx) error
}

// Config says how to reach the database.
type Config struct {
	// DSN is a PostgreSQL connection string or URL.
	DSN string
	// MaxConns bounds the pool; 0 means 16.
	MaxConns int32
	// Sealer encrypts secrets at rest; its zero value refuses to seal.
	Sealer Sealer
	// MaxWaiver is how long a waiver may be valid; 0 means DefaultMaxWaiver.
	MaxWaiver time.Duration
	// Prices is the price book beneath those of organisations; nil means the one
	// that the program was built with.
	Prices *price.Book
	// PublicURL is where people find the daemon's pages, which messages lead to;
	// empty leaves the links out.
	PublicURL string
}

// Open makes the pool. It does not wait for the database: a server that is
// away now may come back, and Ping says so.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", maskDSN(err, cfg.DSN))
	}
	pc.MaxConns = cfg.MaxConns
	if pc.MaxConns == 0 {
		pc.MaxConns = 16
	}
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.ConnConfig.ConnectTimeout = 5 * time.Second
	// One plan per text keeps hot queries planned; times come back in UTC.
	pc.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pc.ConnConfig.RuntimeParams["application_name"] = "blamepromptd"
	pc.AfterConnect = encodeUUIDs
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	if cfg.Prices == nil {
		if cfg.Prices, err = builtinPrices(); err != nil {
			pool.Close()
			return nil, err
		}
	}
	return &DB{pool: pool, sealer: cfg.Sealer, maxWaiver: cmp.Or(cfg.MaxWaiver, DefaultMaxWaiver), prices: cfg.Prices,
		publicURL: strings.TrimRight(cfg.PublicURL, "/")}, nil
}

// OnMessages has fn called in every transaction that writes messages for
// endpoints, so that they are sent soon. It is set before the DB is used; without
// it messages wait for the regular look.
func (db *DB) OnMessages(fn func(context.Context, *Tx) error) { db.told = fn }

// Close waits for borrowed connections and closes the pool.
func (db *DB) Close() { db.pool.Close() }

// Pool gives the subpackages of store the pool.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping reports whether the database answers, as nil or ErrUnavailable.
func (db *DB) Ping(ctx context.Context) error {
	return translate(db.pool.Ping(ctx), "asking the database")
}

// Tx is a running transaction.
type Tx struct {
	pgx.Tx
	sealer    Sealer
	prices    *price.Book
	publicURL string
	told      func(context.Context, *Tx) error
}

// InTx runs fn in a transaction: committed if fn returns nil, else rolled
// back, also when ctx has ended meanwhile.
func (db *DB) InTx(ctx context.Context, fn func(*Tx) error) error {
	return db.inTx(ctx, pgx.TxOptions{}, fn)
}

func (db *DB) inTx(ctx context.Context, options pgx.TxOptions, fn func(*Tx) error) error {
	tx, err := db.pool.BeginTx(ctx, options)
	if err != nil {
		return translate(err, "beginning a transaction")
	}
	defer func() {
		// Rollback after Commit is a no-op; a fresh context outlives the caller's.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(end)
	}()
	if err := fn(&Tx{Tx: tx, sealer: db.sealer, prices: db.prices, publicURL: db.publicURL, told: db.told}); err != nil {
		return err
	}
	return translate(tx.Commit(ctx), "committing")
}

// querier is what a pool and a transaction share.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// collect runs a query and scans its rows into T by column name.
func collect[T any](ctx context.Context, q querier, op, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err, "%s", op)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	return out, translate(err, "%s", op)
}

// collectOne is collect for exactly one row; none is ErrNotFound.
func collectOne[T any](ctx context.Context, q querier, op, sql string, args ...any) (T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		var zero T
		return zero, translate(err, "%s", op)
	}
	out, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	return out, translate(err, "%s", op)
}
