package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/blameprompt/enterprise/store"
)

const (
	filledPrefix = "bp_filled_"
	// fillTimeout bounds the making of the largest of them.
	fillTimeout = 3 * time.Hour
	filledRepos = 200
)

// FilledOrg is the name of the organisation that Filled fills.
const FilledOrg = "acme"

// Filled is a database in which the organisation FilledOrg has n receipts as
// Fill makes them, but in 200 repositories and up to today, and with them what
// commits, pushes and acts leave: classes of added and of live lines, decisions,
// findings, acts, and the sums over all of that. It returns the connection URL
// and the organisation.
//
// Ten million receipts take half an hour to make, and 40 GB. So the
// database is made once per server, and whoever asks for the same size shares
// it: keys and sessions may be added to it, nothing may be changed. It stays as
// long as the server.
func Filled(t testing.TB, n int) (string, store.Org) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), fillTimeout)
	defer cancel()
	s, err := theServer()
	if err != nil {
		t.Fatalf("starting the test server: %v", err)
	}
	dsn, err := s.filled(ctx, t, n)
	if err != nil {
		t.Fatalf("making a database with %d receipts: %v", n, err)
	}
	org, err := OpenDSN(t, dsn).OrgByName(ctx, FilledOrg)
	if err != nil {
		t.Fatalf("reading the organisation with %d receipts: %v", n, err)
	}
	return dsn, org
}

// filled makes the database under a lock unless it is there. A database is
// complete when it is a template; what is not is made anew.
func (s *server) filled(ctx context.Context, t testing.TB, n int) (dsn string, err error) {
	// Before the lock: making the template takes a connection of its own.
	template, err := s.template(ctx)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s%s_%d", filledPrefix, strings.TrimPrefix(template, templatePrefix), n)
	dsn = withDatabase(s.url, name)
	return dsn, s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) (err error) {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", templateLock, n); err != nil {
			return fmt.Errorf("locking it: %w", err)
		}
		defer func() {
			_, unlockErr := conn.Exec(ctx, "SELECT pg_advisory_unlock($1, $2)", templateLock, n)
			err = errors.Join(err, unlockErr)
		}()
		var complete bool
		err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&complete)
		if err != nil || complete {
			return err
		}
		return s.makeFilled(ctx, t, template, name, n)
	})
}

func (s *server) makeFilled(ctx context.Context, t testing.TB, template, name string, n int) error {
	if err := s.dropDatabase(ctx, name); err != nil {
		return err
	}
	if err := s.createDatabase(ctx, name, template); err != nil {
		return err
	}
	start := time.Now()
	db := OpenDSN(t, withDatabase(s.url, name))
	org := MustOrg(t, db, FilledOrg)
	fill(t, db.Pool(), filling{org: org.ID, n: n, repos: filledRepos, end: time.Now().UTC().Truncate(time.Hour), history: true})
	if err := db.NoteLate(ctx, start); err != nil {
		return err
	}
	t.Logf("%d receipts and what goes with them made in %s", n, time.Since(start).Round(time.Second))
	_, err := s.admin.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE true")
	return err
}
