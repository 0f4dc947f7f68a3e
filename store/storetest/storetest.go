// Package storetest gives tests real PostgreSQL databases.
//
// It owns one server per run, a template with the migrated schema, and a
// database of its own for each test that asks. The server is the one that
// BLAMEPROMPT_TEST_DATABASE_URL names, by a role that may create databases;
// without that each test binary starts a private one. "go run
// ./store/storetest/cluster -- go test ./..." starts one for a whole run.
//
// Promises: tests, test binaries and whole runs may work at once on one
// server; what a killed run leaves behind is removed by itself or by the next.
package storetest

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// EnvURL is the environment variable that names the server to test against.
const EnvURL = "BLAMEPROMPT_TEST_DATABASE_URL"

// setupTimeout bounds what a test may wait for the server and its databases.
const setupTimeout = 2 * time.Minute

// DSN makes a database with the program's schema, for this test alone, and
// returns its connection URL. It is dropped when the test ends, whoever is
// still connected.
func DSN(t testing.TB) string {
	t.Helper()
	return create(t, func(ctx context.Context, s *server) (string, error) { return s.template(ctx) })
}

// Empty is DSN without any schema, for tests of migrations.
func Empty(t testing.TB) string {
	t.Helper()
	return create(t, func(context.Context, *server) (string, error) { return "template1", nil })
}

// Pool is DSN with a pool opened on it, closed when the test ends.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), DSN(t))
	if err != nil {
		t.Fatalf("opening the test database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func create(t testing.TB, template func(context.Context, *server) (string, error)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	s, err := theServer()
	if err != nil {
		t.Fatalf("starting the test server: %v", err)
	}
	from, err := template(ctx, s)
	if err != nil {
		t.Fatalf("making the template database: %v", err)
	}
	name := fmt.Sprintf("%s%d_%d", testPrefix, s.run, databases.Add(1))
	if err := s.createDatabase(ctx, name, from); err != nil {
		t.Fatalf("making the test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		if err := s.dropDatabase(ctx, name); err != nil {
			t.Errorf("dropping the test database: %v", err)
		}
	})
	return withDatabase(s.url, name)
}

// databases numbers this process's databases.
var databases atomic.Int64

// withDatabase is the server's URL with another database.
func withDatabase(server *url.URL, name string) string {
	u := *server
	u.Path = "/" + name
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
