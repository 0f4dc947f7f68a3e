package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/migrations"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var updateLanded = flag.Bool("update-landed", false, "dump a database of the migrations that there are into testdata/landed")

// landedReceipts are those of the organisation in a dump.
const landedReceipts = 300

// TestDatabasesOfEarlierVersionsAreTakenOver loads what earlier versions of the
// program have kept, with data in every table that sums are made of, and
// migrates it: what migrations put in the place of what was there adds up, and
// nothing of it is lost. A release dumps its own with
//
//	go test ./store -run TestDatabasesOfEarlierVersions -update-landed
func TestDatabasesOfEarlierVersionsAreTakenOver(t *testing.T) {
	t.Parallel()
	if *updateLanded {
		dumpLanded(t)
	}
	dumps, err := filepath.Glob("testdata/landed/*.sql.gz")
	if err != nil || len(dumps) == 0 {
		t.Fatalf("there is no dump of an earlier version (%v)", err)
	}
	for _, dump := range dumps {
		t.Run(strings.TrimSuffix(filepath.Base(dump), ".sql.gz"), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.Empty(t)
			load(t, dsn, dump)
			if err := store.Migrate(t.Context(), dsn, zerolog.Nop()); err != nil {
				t.Fatal(err)
			}
			mustAddUp(t, storetest.OpenDSN(t, dsn))
		})
	}
}

// mustAddUp compares sums with their rows, and the number of these with what
// went into the dump.
func mustAddUp(t *testing.T, db *store.DB) {
	t.Helper()
	org, err := db.OrgByName(t.Context(), storetest.FilledOrg)
	if err != nil {
		t.Fatal(err)
	}
	report, err := db.CheckNumbers(t.Context(), org.ID, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.Differences {
		t.Errorf("%+v", d)
	}
	totals, err := db.FigureTotals(t.Context(), org.ID, store.AnalyticsFilter{})
	if err != nil || totals.Receipts != landedReceipts || totals.Lines.AI == 0 {
		t.Errorf("the totals are %+v, %v; want %d receipts and AI lines", totals, err, landedReceipts)
	}
}

// metaCommand is a line that psql reads and PostgreSQL does not.
var metaCommand = regexp.MustCompile(`(?m)^\\.*\n`)

func load(t *testing.T, dsn, dump string) {
	t.Helper()
	file, err := os.Open(dump)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(t.Context(), metaCommand.ReplaceAllString(string(text), "")).ReadAll(); err != nil {
		t.Fatalf("loading %s: %v", dump, err)
	}
}

// dumpLanded writes a filled database, under the number of its last migration.
func dumpLanded(t *testing.T) {
	t.Helper()
	dsn, _ := storetest.Filled(t, landedReceipts)
	text, err := osexec.Command("pg_dump", "--inserts", "--rows-per-insert=500", "--no-owner", "--no-privileges", "--no-comments", dsn).Output()
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	last, _, _ := strings.Cut(slices.Max(names), "_")
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata/landed", last+".sql.gz"), packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
