package migrations_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/blameprompt/enterprise/migrations"
	"github.com/blameprompt/enterprise/store/pglocal"
	"github.com/blameprompt/enterprise/store/storetest"
)

var update = flag.Bool("update", false, "write schema.sql instead of comparing it")

func TestSchemaIsTheSumOfTheMigrations(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	applyAll(t, dsn)
	got := dump(t, dsn)
	if *update {
		if err := os.WriteFile("schema.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(migrations.Schema, got); diff != "" {
		t.Errorf("schema.sql is not what the migrations make; run \"go generate ./migrations\" (-committed +made):\n%s", diff)
	}
}

// applyAll applies the files alone: River's tables are River's to describe.
func applyAll(t *testing.T, dsn string) {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	files, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func dump(t *testing.T, dsn string) string {
	t.Helper()
	programs, err := pglocal.FindBinaries(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(programs.Path("pg_dump"), "--schema-only", "--no-owner", "--no-privileges",
		"--exclude-table=goose_db_version*", dsn)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running pg_dump: %v\n%s", err, stderr.String())
	}
	return normalise(string(out))
}

// noise is what pg_dump says about itself and its session, and not about the
// schema: comments, settings, and the \restrict keys of newer versions.
var noise = regexp.MustCompile(`(?m)^(--.*|SET .*;|SELECT pg_catalog\.set_config.*;|\\(un)?restrict .*)\n`)

var blankLines = regexp.MustCompile(`\n{3,}`)

func normalise(dump string) string {
	text := blankLines.ReplaceAllString(noise.ReplaceAllString(dump, ""), "\n\n")
	return "-- Made by \"go generate ./migrations\" from the migrations; do not edit.\n\n" + strings.TrimSpace(text) + "\n"
}

func TestNormaliseKeepsOnlyTheSchema(t *testing.T) {
	t.Parallel()
	const in = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped by pg_dump version 15.18\n\n" +
		"SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n\n\n" +
		"CREATE TABLE public.a (\n    b text\n);\n\n\n\n--\n-- Name: x\n--\n\nCREATE INDEX c ON public.a (b);\n\n\\unrestrict abc\n"
	const want = "-- Made by \"go generate ./migrations\" from the migrations; do not edit.\n\n" +
		"CREATE TABLE public.a (\n    b text\n);\n\nCREATE INDEX c ON public.a (b);\n"
	if diff := cmp.Diff(want, normalise(in)); diff != "" {
		t.Error(diff)
	}
}
