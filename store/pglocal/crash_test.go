package pglocal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestDaemonKilled(t *testing.T) {
	t.Parallel()
	dir := made(t)
	d := startDaemon(t, dir)
	d.awaitReady(t)
	d.kill()
	wantKept(t, start(t, testConfig(t, dir)))
}

func TestPostgresDoesNotOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	dir := made(t)
	d := startDaemon(t, dir)
	d.awaitReady(t)
	data := filepath.Join(dir, "data")
	d.kill()
	eventually(t, "PostgreSQL ends with its daemon", func() bool {
		left, err := serverProcesses(data)
		return err == nil && len(left) == 0
	})
}

// An orphan that does not know that its daemon has died.
func TestOrphanIsEnded(t *testing.T) {
	t.Parallel()
	dir := made(t)
	c := start(t, testConfig(t, dir))
	stop(t, c)
	orphan := runPostgres(t, c)
	eventually(t, "the orphan is up", func() bool {
		_, err := tryQuery(t.Context(), c.DSN(Database), "SELECT 1")
		return err == nil
	})
	wantKept(t, start(t, testConfig(t, dir)))
	if err := orphan.Wait(); err != nil {
		t.Errorf("the orphan was not shut down in good order: %v", err)
	}
}

// Both daemon and postmaster are gone, a backend is not.
func TestOrphanedBackendIsEnded(t *testing.T) {
	t.Parallel()
	dir := made(t)
	c := start(t, testConfig(t, dir))
	stop(t, c)
	orphan := runPostgres(t, c)
	eventually(t, "the orphan is up", func() bool {
		_, err := tryQuery(t.Context(), c.DSN(Database), "SELECT 1")
		return err == nil
	})
	conn := connect(t, c.DSN(Database))
	backend := int(conn.PgConn().PID())
	if err := syscall.Kill(backend, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := orphan.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = orphan.Wait()
	wantKept(t, start(t, testConfig(t, dir)))
	if alive(backend) {
		t.Error("the stopped backend is still there")
	}
}

func runPostgres(t *testing.T, c *Cluster) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(c.bin.Path("postgres"), "-D", c.paths.data)
	cmd.Dir = c.paths.data
	cmd.SysProcAttr = c.owner.attr(0)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

func TestPostmasterKilled(t *testing.T) {
	t.Parallel()
	c := start(t, testConfig(t, made(t)))
	for range 3 {
		pid := postmasterPID(c.paths.data)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "PostgreSQL is back", func() bool {
			_, err := tryQuery(t.Context(), c.DSN(Database), "SELECT 1")
			return err == nil && postmasterPID(c.paths.data) != pid
		})
	}
	wantKept(t, c)
	select {
	case <-c.Done():
		t.Error("Done is closed after a crash")
	default:
	}
}

// A server of another cluster, and any other program of the same account, may
// have got the number that a stale postmaster.pid holds.
func TestReusedPID(t *testing.T) {
	t.Parallel()
	bystander := start(t, testConfig(t, made(t)))
	sleeper := exec.Command("sleep", "600")
	sleeper.SysProcAttr = bystander.owner.attr(syscall.SIGKILL)
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = sleeper.Process.Kill(), sleeper.Wait() }()

	dir := made(t)
	file := filepath.Join(dir, "data", "postmaster.pid")
	text, err := os.ReadFile(filepath.Join(bystander.paths.data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{postmasterPID(bystander.paths.data), sleeper.Process.Pid} {
		_, rest, _ := strings.Cut(string(text), "\n")
		stale := strconv.Itoa(pid) + "\n" + strings.ReplaceAll(rest, bystander.paths.root, dir)
		if err := os.WriteFile(file, []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		c := start(t, testConfig(t, dir))
		wantKept(t, c)
		stop(t, c)
		if !alive(pid) {
			t.Errorf("process %d, a stranger, was ended", pid)
		}
	}
	wantKept(t, bystander)
}

func TestDaemonKilledDuringInitdb(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), "pg")
	d := startDaemon(t, dir)
	eventually(t, "initdb is at work", func() bool {
		found, err := filepath.Glob(filepath.Join(dir, partialPrefix+"*", "PG_VERSION"))
		return err == nil && len(found) > 0
	})
	d.kill()
	c := start(t, testConfig(t, dir))
	exec1(t, c.DSN(Database), "CREATE TABLE a ()")
	if left, err := filepath.Glob(filepath.Join(dir, partialPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestHalfMadeClusterWithForeignFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), "pg")
	partial := filepath.Join(dir, partialPrefix+"1")
	if err := os.MkdirAll(filepath.Join(partial, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(partial, "thesis.txt")
	if err := os.WriteFile(foreign, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), testConfig(t, dir))
	wantErr(t, err, nil, partial, "thesis.txt")
	if _, err := os.Stat(foreign); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	start(t, testConfig(t, dir))
}
