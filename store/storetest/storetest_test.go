package storetest

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// envServe makes the test binary start a server and wait for its death.
const envServe = "STORETEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(envServe) != "" {
		server, err := StartServer(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(server.URL)
		select {}
	}
	os.Exit(m.Run())
}

func TestDatabaseIsMigratedAndAlone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	one, two := Pool(t), Pool(t)
	if _, err := one.Exec(ctx, "INSERT INTO orgs (id, name) VALUES (gen_random_uuid(), 'acme')"); err != nil {
		t.Fatal(err)
	}
	var orgs, jobs int
	err := two.QueryRow(ctx, "SELECT (SELECT count(*) FROM orgs), (SELECT count(*) FROM river_job)").Scan(&orgs, &jobs)
	if err != nil || orgs != 0 || jobs != 0 {
		t.Errorf("the other database: %d orgs, %d jobs, %v", orgs, jobs, err)
	}
	empty, err := pgx.Connect(ctx, Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close(ctx)
	var tables int
	err = empty.QueryRow(ctx, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables)
	if err != nil || tables != 0 {
		t.Errorf("the empty database: %d tables, %v", tables, err)
	}
}

func TestDatabaseIsDroppedUnderOpenConnections(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("user", func(t *testing.T) {
		dsn := DSN(t)
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		name = strings.TrimPrefix(u.Path, "/")
		if _, err := pgx.Connect(context.Background(), dsn); err != nil {
			t.Fatal(err)
		}
	})
	if exists(t, name) {
		t.Errorf("%s is still there", name)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	var seen sync.Map
	for range 8 {
		wg.Go(func() {
			if _, twice := seen.LoadOrStore(DSN(t), true); twice {
				t.Error("one database was given out twice")
			}
		})
	}
	wg.Wait()
}

func TestRunsShareTheTemplate(t *testing.T) {
	t.Parallel()
	name := templateName(t)
	var wg sync.WaitGroup
	for range 4 {
		s := anotherRun(t)
		wg.Go(func() {
			if err := s.ensureTemplate(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestHalfMadeTemplateIsMadeAnew(t *testing.T) {
	t.Parallel()
	name, s := templateName(t), anotherRun(t)
	if err := s.createDatabase(t.Context(), name, "template1"); err != nil {
		t.Fatal(err)
	}
	if err := s.ensureTemplate(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	copied := fmt.Sprintf("%s%d_0", testPrefix, s.run)
	if err := s.createDatabase(t.Context(), copied, name); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), withDatabase(s.url, copied))
	if err != nil {
		t.Fatal(err)
	}
	var orgs int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orgs").Scan(&orgs); err != nil {
		t.Error(err)
	}
	if err := s.dropDatabase(t.Context(), copied); err != nil {
		t.Error(err)
	}
}

func TestDatabasesOfDeadRunsAreDropped(t *testing.T) {
	t.Parallel()
	other, own := anotherRun(t), anotherRun(t)
	name := fmt.Sprintf("%s%d_1", testPrefix, other.run)
	if err := other.createDatabase(t.Context(), name, "template1"); err != nil {
		t.Fatal(err)
	}
	if err := own.dropDead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !exists(t, name) {
		t.Fatal("the database of a living run was dropped")
	}
	if err := other.keeper.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The server notices the end of a session in its own time.
	deadline := time.Now().Add(30 * time.Second)
	for exists(t, name) && time.Now().Before(deadline) {
		if err := own.dropDead(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if exists(t, name) {
		t.Error("the database of a dead run is still there")
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envServe+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(filepath.Dir(u.Query().Get("host")))
	if !strings.HasPrefix(filepath.Base(dir), "blameprompt-test-") {
		t.Fatalf("directory of the server: %s", dir)
	}
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s is still there", dir)
}

// anotherRun is this server as another process would see it.
func anotherRun(t *testing.T) *server {
	t.Helper()
	own, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	s, err := connectServer(t.Context(), own.url.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.admin.Close()
		_ = s.keeper.Close(context.Background())
	})
	return s
}

// templateName is the name of a template of the test's own, dropped after it.
func templateName(t *testing.T) string {
	t.Helper()
	s := anotherRun(t)
	name := fmt.Sprintf("%stest_%d", templatePrefix, s.run)
	t.Cleanup(func() {
		_, err := s.admin.Exec(context.Background(), "ALTER DATABASE "+quote(name)+" IS_TEMPLATE false")
		if err != nil {
			t.Error(err)
		}
		if err := s.dropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return name
}

func exists(t *testing.T, name string) (found bool) {
	t.Helper()
	s, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	err = s.admin.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&found)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
