package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/migrations"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// schemaLock is the key that Migrate takes: programs of all versions must agree
// on it, so it may never change.
const schemaLock = 0x62706d6967726174

func TestMigrateEmptyDatabaseAndAgain(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	var log bytes.Buffer
	if err := store.Migrate(t.Context(), dsn, zerolog.New(&log)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "0001_receipts.sql") {
		t.Errorf("log = %s", log.String())
	}
	for _, table := range []string{"orgs", "receipts", "river_job"} {
		if got := queryText(t, dsn, "SELECT to_regclass('"+table+"')::text"); got != table {
			t.Errorf("table %s: %q", table, got)
		}
	}
	before := history(t, dsn)
	log.Reset()
	if err := store.Migrate(t.Context(), dsn, zerolog.New(&log)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, history(t, dsn)); diff != "" || log.Len() > 0 {
		t.Errorf("the second run did something: %s\n%s", log.String(), diff)
	}
}

func TestMigrateSeveralStarters(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := store.Migrate(t.Context(), dsn, zerolog.Nop()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := queryText(t, dsn, "SELECT (count(*) - count(DISTINCT version_id))::text FROM goose_db_version")
	if got != "0" {
		t.Errorf("%s migrations are recorded twice", got)
	}
}

func TestMigrateWaits(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	other := connect(t, dsn)
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_lock($1)", int64(schemaLock)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var log bytes.Buffer
	err := store.Migrate(ctx, dsn, zerolog.New(&log))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want the context's", err)
	}
	if got := strings.Count(log.String(), "waiting"); got != 1 {
		t.Errorf("said %d times that it waits: %s", got, log.String())
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), dsn, zerolog.Nop()); err != nil {
		t.Error(err)
	}
}

func TestMigrateNewerDatabase(t *testing.T) {
	t.Parallel()
	for name, newer := range map[string]string{
		"schema":    "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)",
		"job queue": "INSERT INTO river_migration (line, version) VALUES ('main', 999)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := storetest.DSN(t)
			conn := connect(t, dsn)
			if _, err := conn.Exec(t.Context(), newer); err != nil {
				t.Fatal(err)
			}
			before := history(t, dsn)
			err := store.Migrate(t.Context(), dsn, zerolog.Nop())
			if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "its "+name+" is at version 999") {
				t.Errorf("error = %v", err)
			}
			if diff := cmp.Diff(before, history(t, dsn)); diff != "" {
				t.Errorf("the refused run changed something:\n%s", diff)
			}
		})
	}
}

func TestMigrateKeepsThePasswordToItself(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:s3cret@127.0.0.1:1/x?connect_timeout=1",
		"postgres://u:s3cret@127.0.0.1:port/x",
	} {
		err := store.Migrate(t.Context(), dsn, zerolog.Nop())
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error = %v", err)
		}
	}
}

// TestMigrationMakesPathKeys: receipts from before the index on terms have the
// keys that an intake would give them.
func TestMigrationMakesPathKeys(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	before, err := goose.NewProvider(goose.DialectPostgres, openSQL(t, dsn), migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.UpTo(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{"none": nil, "plain": {"a.go", "src/b.go"}, "odd": {"/abs//x/", "x", "ünï/ö", "src/b.go", "src/b.go"}}
	for i := range 600 {
		paths["many"] = append(paths["many"], fmt.Sprintf("dir%d/file", i))
	}
	org, conn := uuid.New(), connect(t, dsn)
	for id, files := range paths {
		if _, err := conn.Exec(t.Context(), oldReceipt, org, id, files); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Migrate(t.Context(), dsn, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	for id, files := range paths {
		var got []int32
		if err := conn.QueryRow(t.Context(), `SELECT path_keys FROM receipts WHERE id = $1`, id).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(store.PathKeys(org, files...), got); diff != "" {
			t.Errorf("%s (-intake +migration):\n%s", id, diff)
		}
	}
	if n := queryText(t, dsn, `SELECT sum(receipts)::text FROM rollups WHERE dimension = 'all' AND repo_id = '`+uuid.Nil.String()+`'`); n != "4" {
		t.Errorf("the rollups count %s receipts", n)
	}
}

const oldReceipt = `
	WITH receipt AS (
		INSERT INTO receipts (org_id, id, repo_id, repo, ref, commit_hash, blob, notes_commit, content_hash, current, source,
			format_version, provider, model, session_id, prompt_id, prompt_summary, response_summary, prompt_hash, cost_basis,
			user_name, user_email, file_path, line_start, line_end, files, timestamp, timestamp_basis, day, parent_receipt_id,
			conversation_turns, conversation_bytes)
		VALUES ($1, $2, gen_random_uuid(), '', '', '', '', '', '', true, 'api', '', '', '', '', gen_random_uuid(), '', '', '',
			'none', '', '', '', 0, 0, 0, now(), 'received', now(), '', 0, 0))
	INSERT INTO receipt_files (org_id, receipt_id, position, path, line_start, line_end, blob_hash)
	SELECT $1, $2, n, path, 0, 0, '' FROM unnest($3::text[]) WITH ORDINALITY AS f (path, n)`

func openSQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// history is what goose and River have written down.
func history(t *testing.T, dsn string) string {
	t.Helper()
	return queryText(t, dsn, `SELECT concat(
		(SELECT string_agg(concat(version_id, ' ', tstamp), ',' ORDER BY id) FROM goose_db_version), ';',
		(SELECT string_agg(concat(version, ' ', created_at), ',' ORDER BY version) FROM river_migration))`)
}

func queryText(t *testing.T, dsn, sql string) (text string) {
	t.Helper()
	if err := connect(t, dsn).QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
