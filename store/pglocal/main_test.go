package pglocal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
)

// envDaemon turns the test binary into a daemon on the directory it names.
const envDaemon = "PGLOCAL_TEST_DAEMON"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDaemon); dir != "" {
		os.Exit(daemonMain(dir))
	}
	originals, err := os.MkdirTemp("", "pglocal-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	original = sync.OnceValues(func() (string, error) { return originals, makeOriginal(originals) })
	code := m.Run()
	_ = os.RemoveAll(originals)
	os.Exit(code)
}

// daemonMain starts a cluster, says so, and stops it at the end of its input.
// Like the daemon it survives a terminal's Ctrl-C for long enough to clean up.
func daemonMain(dir string) int {
	signal.Ignore(syscall.SIGINT)
	c, err := Start(context.Background(), Config{Dir: dir, Log: zerolog.New(os.Stderr)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return 1
	}
	if err := c.Stop(context.Background()); err != nil {
		return 1
	}
	return 0
}

// daemon is a daemon process of the test's.
type daemon struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ready <-chan bool
}

func startDaemon(t *testing.T, dir string) *daemon {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envDaemon+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		ready <- err == nil && line == "ready\n"
	}()
	d := &daemon{cmd, stdin, ready}
	t.Cleanup(d.kill)
	return d
}

func (d *daemon) awaitReady(t *testing.T) {
	t.Helper()
	if !<-d.ready {
		t.Fatal("the daemon did not start")
	}
}

// kill is kill -9, and does nothing when the daemon has ended.
func (d *daemon) kill() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
}

// testDir is a temporary directory that PostgreSQL's account may pass through,
// which t.TempDir's are not.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pglocal-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func testConfig(t *testing.T, dir string) Config {
	t.Helper()
	return Config{Dir: dir, Log: zerolog.New(t.Output())}
}

// start starts a cluster that stops with the test.
func start(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// made is the directory of a cluster that has been started, given one row in
// table kept, and stopped. It is a copy: initdb takes a second.
func made(t *testing.T) string {
	t.Helper()
	original, err := original()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(testDir(t), "pg")
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(original, "pg", "data"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// original is the directory that made copies, set by TestMain, which also
// removes it.
var original func() (string, error)

func makeOriginal(dir string) (err error) {
	ctx := context.Background()
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	c, err := Start(ctx, Config{Dir: filepath.Join(dir, "pg")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop(ctx)) }()
	conn, err := pgx.Connect(ctx, c.DSN(Database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE TABLE kept AS SELECT 42 AS answer")
	return errors.Join(err, conn.Close(ctx))
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

func exec1(t *testing.T, dsn, sql string) {
	t.Helper()
	conn := connect(t, dsn)
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// query returns the one value of a query, as text.
func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	value, err := tryQuery(t.Context(), dsn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func tryQuery(ctx context.Context, dsn, sql string) (value string, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, "SELECT v::text FROM ("+sql+") q(v)").Scan(&value)
	return value, err
}

func wantKept(t *testing.T, c *Cluster) {
	t.Helper()
	if got := query(t, c.DSN(Database), "SELECT answer FROM kept"); got != "42" {
		t.Errorf("kept row = %s, want 42", got)
	}
}

// eventually polls until ok, within a generous bound.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func wantErr(t *testing.T, err, target error, texts ...string) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Fatalf("error = %v, want %v", err, target)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error lacks %q:\n%v", text, err)
		}
	}
}
