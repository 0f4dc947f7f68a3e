package pglocal

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFirstStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), "missing", "data", "pg")
	began := time.Now()
	c := start(t, testConfig(t, dir))
	took := time.Since(began)
	// About 2 s on an idle machine. Other tests make it longer, and what
	// initdb needs alone as well.
	if floor := timeInitdb(t, c); took > 3*floor+2*time.Second {
		t.Errorf("the first start took %v, initdb alone %v", took, floor)
	}
	for sql, want := range map[string]string{
		"SHOW listen_addresses": "",
		"SHOW timezone":         "UTC",
		"SHOW fsync":            "on",
		"SHOW data_checksums":   "on",
		"SHOW server_encoding":  "UTF8",
		"SELECT current_user":   Role,
		"SELECT rolsuper FROM pg_roles WHERE rolname = current_user":      "false",
		"SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user": "false",
		"SELECT lower('ÄÖ')": "äö",
	} {
		if show, ok := strings.CutPrefix(sql, "SHOW "); ok {
			sql = "SELECT current_setting('" + show + "')"
		}
		if got := query(t, c.DSN(Database), sql); got != want {
			t.Errorf("%s = %q, want %q", sql, got, want)
		}
	}
	exec1(t, c.DSN(Database), "CREATE EXTENSION pg_trgm")
	if got := query(t, c.AdminDSN("postgres"), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"); got != "true" {
		t.Errorf("AdminDSN is superuser: %s", got)
	}
	for _, private := range []string{c.paths.run, c.paths.data, c.paths.logs} {
		if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v, want mode 0700", private, info.Mode(), err)
		}
	}
}

func timeInitdb(t *testing.T, c *Cluster) time.Duration {
	t.Helper()
	dir := filepath.Join(testDir(t), "floor")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.owner.give(dir); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.initdb(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func TestServerIsUnprivileged(t *testing.T) {
	t.Parallel()
	c := start(t, testConfig(t, made(t)))
	info, err := os.Stat(fmt.Sprintf("/proc/%d", postmasterPID(c.paths.data)))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 || int(uid) != c.owner.uid {
		t.Errorf("the postmaster runs as user id %d", uid)
	}
}

func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	c := start(t, testConfig(t, made(t)))
	wantKept(t, c)
	select {
	case <-c.Done():
		t.Error("Done is closed before Stop")
	default:
	}
	stop(t, c)
	stop(t, c)
	<-c.Done()
	if left, err := serverProcesses(c.paths.data); err != nil || len(left) > 0 {
		t.Errorf("after Stop: %d processes, %v", len(left), err)
	}
}

func TestStopWhileConnected(t *testing.T) {
	t.Parallel()
	dir := made(t)
	c := start(t, testConfig(t, dir))
	conn := connect(t, c.DSN(Database))
	if _, err := conn.Exec(t.Context(), "BEGIN; UPDATE kept SET answer = 0"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stop(t, c)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	wantKept(t, start(t, testConfig(t, dir)))
}

func TestStopInAHurry(t *testing.T) {
	t.Parallel()
	dir := made(t)
	c := start(t, testConfig(t, dir))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	<-c.Done()
	wantKept(t, start(t, testConfig(t, dir)))
}

func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	dir := made(t)
	first := startDaemon(t, dir)
	first.awaitReady(t)
	_, err := Start(t.Context(), testConfig(t, dir))
	pid := fmt.Sprint(first.cmd.Process.Pid)
	wantErr(t, err, ErrInUse, "process "+pid, "kill "+pid, dir)
	if !alive(postmasterPID(filepath.Join(dir, "data"))) {
		t.Error("the refused daemon ended the other's PostgreSQL")
	}
	first.stdin.Close()
	if err := first.cmd.Wait(); err != nil {
		t.Errorf("the first daemon: %v", err)
	}
	wantKept(t, start(t, testConfig(t, dir)))
}

func TestUnseenServer(t *testing.T) {
	t.Parallel()
	dir := made(t)
	p, err := newPaths(dir)
	if err != nil {
		t.Fatal(err)
	}
	held, err := lockServer(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = Start(ctx, testConfig(t, dir))
	wantErr(t, err, context.DeadlineExceeded)
}

func TestCtrlCReachesOnlyTheDaemon(t *testing.T) {
	t.Parallel()
	dir := made(t)
	d := startDaemon(t, dir)
	d.awaitReady(t)
	pid := postmasterPID(filepath.Join(dir, "data"))
	if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	own, err := syscall.Getpgid(pid)
	if err != nil || own == d.cmd.Process.Pid {
		t.Errorf("process group of PostgreSQL = %d, %v; the daemon's is %d", own, err, d.cmd.Process.Pid)
	}
	d.stdin.Close()
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("the daemon after Ctrl-C: %v", err)
	}
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("long", 30), "odd, 'quoted' \\ ünïcode"} {
		dir := filepath.Join(testDir(t), name, "pg")
		c := start(t, testConfig(t, dir))
		if c.socket == c.paths.run || !fitsSocket(c.socket) {
			t.Errorf("socket directory = %s", c.socket)
		}
		if info, err := os.Stat(c.socket); err != nil || info.Mode().Perm() != 0o700 || !c.owner.owns(info) {
			t.Errorf("socket directory: %v, %v", info, err)
		}
		if got := query(t, c.DSN(Database), "SELECT 1"); got != "1" {
			t.Errorf("SELECT 1 = %s", got)
		}
		stop(t, c)
		if _, err := os.Stat(c.socket); !os.IsNotExist(err) {
			t.Errorf("after Stop the socket directory is there: %v", err)
		}
	}
}

func TestSquattedSocketDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), "socket")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	owner, err := findAccount("")
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, makePrivate(dir, owner), nil, dir, "0700")
	link := dir + "-link"
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	wantErr(t, makePrivate(link, owner), nil, link)
}

func TestUnreachableDir(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(testDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "data", "pg")
	owner := account{name: "nobody", uid: 65534, gid: 65534, other: os.Geteuid() == 0}
	if !owner.other {
		// The own account may enter whatever it may create.
		if err := owner.checkEnter(dir); err != nil {
			t.Error(err)
		}
		return
	}
	_, err := Start(t.Context(), testConfig(t, dir))
	wantErr(t, err, ErrUnreachable, "may not enter "+closed+";", "chmod o+x "+closed)
	if entries, err := os.ReadDir(closed); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestForeignDataDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), "pg")
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "thesis.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), testConfig(t, dir))
	wantErr(t, err, nil, data)
	if _, err := os.Stat(filepath.Join(data, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestOtherMajorVersion(t *testing.T) {
	t.Parallel()
	dir := made(t)
	programs, err := FindBinaries(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	older := programs.Major - 1
	file := filepath.Join(dir, "data", "PG_VERSION")
	for version, texts := range map[int][]string{
		older: {fmt.Sprintf("made by PostgreSQL %d,", older), programs.Version, programs.Path("pg_upgrade"),
			fmt.Sprintf("--old-bindir=/usr/lib/postgresql/%d/bin", older), "--old-datadir=" + filepath.Join(dir, "data")},
		999: {"made by PostgreSQL 999,", "install PostgreSQL 999's server"},
	} {
		if err := os.WriteFile(file, fmt.Appendf(nil, "%d\n", version), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := testConfig(t, dir)
		cfg.BinDir = programs.Dir
		_, err := Start(t.Context(), cfg)
		wantErr(t, err, ErrMajorVersion, texts...)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, "%d\n", programs.Major), 0o600); err != nil {
		t.Fatal(err)
	}
	wantKept(t, start(t, testConfig(t, dir)))
}

// The commands are tried between two clusters of one version, which
// pg_upgrade allows.
func TestUpgradeCommands(t *testing.T) {
	t.Parallel()
	dir := made(t)
	c := start(t, testConfig(t, dir))
	stop(t, c)
	script := c.upgradeCommands(c.bin.Major, c.bin.Dir)
	if out, err := exec.Command("/bin/sh", "-e", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	c = start(t, testConfig(t, dir))
	wantKept(t, c)
	if got := query(t, c.DSN(Database), "SELECT current_setting('cluster_name')"); got != "blameprompt" {
		t.Errorf("cluster_name = %q: the managed configuration is not included", got)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := made(t)
	for name, value := range map[string]string{
		"listen_addresses": "*", "hba_file": "/tmp/x", "Work_mem": "1MB", "work_mem": "1MB\nfsync = off", "a b": "c",
	} {
		cfg := testConfig(t, dir)
		cfg.Settings = map[string]string{name: value}
		_, err := Start(t.Context(), cfg)
		wantErr(t, err, nil, fmt.Sprintf("%q", name))
	}
	cfg := testConfig(t, dir)
	const odd = `it's \ odd`
	cfg.Settings = map[string]string{"work_mem": "7MB", "blameprompt.odd": odd}
	c := start(t, cfg)
	if got := query(t, c.DSN(Database), "SELECT current_setting('work_mem') || current_setting('blameprompt.odd')"); got != "7MB"+odd {
		t.Errorf("settings = %q", got)
	}
}

func TestRefusedSettingShowsWhatPostgresSays(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, made(t))
	cfg.Settings = map[string]string{"work_mem": "plenty"}
	_, err := Start(t.Context(), cfg)
	wantErr(t, err, nil, `invalid value for parameter "work_mem"`)
}

func TestAlterSystemOpensNoPort(t *testing.T) {
	t.Parallel()
	dir := made(t)
	c := start(t, testConfig(t, dir))
	exec1(t, c.AdminDSN("postgres"), "ALTER SYSTEM SET listen_addresses = 'localhost'")
	stop(t, c)
	c = start(t, testConfig(t, dir))
	if got := query(t, c.AdminDSN("postgres"), "SELECT current_setting('listen_addresses')"); got != "" {
		t.Errorf("listen_addresses = %q", got)
	}
}

func TestLogKeepsNoValues(t *testing.T) {
	t.Parallel()
	c := start(t, testConfig(t, made(t)))
	conn := connect(t, c.DSN(Database))
	_, err := conn.Exec(t.Context(), "CREATE TABLE u (k text PRIMARY KEY); INSERT INTO u VALUES ('s3cret'), ('s3cret')")
	wantErr(t, err, nil, "duplicate key")
	stop(t, c)
	text, err := os.ReadFile(filepath.Join(c.paths.logs, logName))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "duplicate key") || strings.Contains(string(text), "s3cret") {
		t.Errorf("log:\n%s", text)
	}
}

func TestDSNIsAURL(t *testing.T) {
	t.Parallel()
	c := &Cluster{socket: "/a b/run"}
	u, err := url.Parse(c.DSN("x y"))
	if err != nil || u.User.Username() != Role || u.Path != "/x y" || u.Query().Get("host") != "/a b/run" {
		t.Errorf("DSN = %v, %v", u, err)
	}
}
