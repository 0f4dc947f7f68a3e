package pglocal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// installer is a run of install.sh with only the given programs on PATH, and
// everything that it writes below a directory of its own.
type installer struct {
	path, dest string
}

// newInstaller links the everyday tools; id, sudo and the package managers
// are the test's to fake, and git and postgres are missing.
func newInstaller(t *testing.T) installer {
	t.Helper()
	in := installer{path: t.TempDir(), dest: t.TempDir()}
	for _, tool := range []string{"awk", "basename", "cat", "chmod", "dirname", "env", "install", "mkdir", "mv", "readlink", "rm", "rmdir", "sed", "sh"} {
		real, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(in.path, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// ssh fakes the programs that remotes are reached by.
func (in installer) ssh(t *testing.T) {
	t.Helper()
	in.fake(t, "ssh", "")
	in.fake(t, "ssh-keygen", "")
}

func (in installer) fake(t *testing.T, name, script string) {
	t.Helper()
	writeProgram(t, filepath.Join(in.path, name), "#!/bin/sh\n"+script+"\n")
}

func (in installer) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	script, err := filepath.Abs("../../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", append([]string{script}, args...)...)
	cmd.Env = []string{"PATH=" + in.path, "DESTDIR=" + in.dest, "BLAMEPROMPT_PG_ROOTS=" + in.dest + "/pg/*/bin"}
	out, err := cmd.CombinedOutput()
	return strings.NewReplacer(in.dest, "DEST", in.path, "PATH", script, "install.sh").Replace(string(out)), err
}

func TestInstallDepsAllPresent(t *testing.T) {
	t.Parallel()
	in := newInstaller(t)
	in.fake(t, "id", "echo 1000")
	in.fake(t, "git", "echo git version 2.39.5")
	in.fake(t, "postgres", "echo 'postgres (PostgreSQL) 15.18 (Debian 15.18-0)'")
	in.fake(t, "initdb", "")
	in.ssh(t)
	in.fake(t, "apt-get", "echo must not run; exit 1")
	const want = "PostgreSQL 15.18 in PATH: fine\ngit 2.39.5: fine\nssh: fine\n"
	for range 2 {
		if got, err := in.run(t, "--deps"); err != nil || got != want {
			t.Errorf("install.sh --deps: %v\n%s", err, cmp.Diff(want, got))
		}
	}
}

func TestInstallDepsDryRun(t *testing.T) {
	t.Parallel()
	const apt = `missing: postgres
+ apt-get update -q
+ mkdir -p DEST/etc/postgresql-common/createcluster.d
+ sh -c echo "create_main_cluster = false" >"$1" sh DEST/etc/postgresql-common/createcluster.d/blameprompt.conf
+ env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql
+ rm -f DEST/etc/postgresql-common/createcluster.d/blameprompt.conf
+ rmdir -p --ignore-fail-on-non-empty DEST/etc/postgresql-common/createcluster.d
`
	for name, test := range map[string]struct {
		manager, git, user, want string
		fails                    bool
	}{
		"apt": {"apt-get", "2.35.0", "0", "git 2.35.0: fine\nssh: fine\n" + apt, false},
		"apt with sudo": {"apt-get", "2.100.0", "1000",
			"git 2.100.0: fine\nssh: fine\n" + strings.ReplaceAll(apt, "+ ", "+ sudo "), false},
		"dnf": {"dnf", "2.34.9", "0", "missing: postgres git ssh\n" +
			"+ dnf install -y postgresql-server postgresql-contrib git ca-certificates openssh-clients\n", false},
		"apk": {"apk", "3.0", "0", "git 3.0: fine\nssh: fine\nmissing: postgres\n+ apk add postgresql postgresql-contrib\n", false},
		"nothing": {"other", "2.39.5", "0", "git 2.39.5: fine\nssh: fine\nmissing: postgres\n" +
			"install.sh: no apt-get, dnf or apk here; install PostgreSQL's server programs >= 14, git >= 2.35 and ssh by hand\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstaller(t)
			in.fake(t, "id", "echo "+test.user)
			in.fake(t, "sudo", "echo must not run; exit 1")
			in.fake(t, "git", "echo git version "+test.git)
			in.fake(t, test.manager, "echo must not run; exit 1")
			if test.manager != "dnf" {
				in.ssh(t)
			}
			got, err := in.run(t, "--deps", "--dry-run")
			if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.fails {
				t.Errorf("error %v, output (-want +got):\n%s", err, diff)
			}
			if left, err := os.ReadDir(in.dest); err != nil || len(left) > 0 {
				t.Errorf("a dry run wrote %v, %v", left, err)
			}
		})
	}
}

func TestInstallDepsNeedsRoot(t *testing.T) {
	t.Parallel()
	in := newInstaller(t)
	in.fake(t, "id", "echo 1000")
	in.fake(t, "apt-get", "echo must not run; exit 1")
	got, err := in.run(t, "--deps")
	if want := "install.sh: this needs root, and sudo is not there; run as root: install.sh --deps\n"; err == nil ||
		!strings.HasSuffix(got, want) {
		t.Errorf("%v\n%s", err, got)
	}
}

// The package manager is faked; it looks for the file that forbids a system
// cluster, as the real package's script does.
func TestInstallDepsForbidsSystemCluster(t *testing.T) {
	t.Parallel()
	in := newInstaller(t)
	in.fake(t, "id", "echo 0")
	in.fake(t, "git", "echo git version 2.39.5")
	in.ssh(t)
	in.fake(t, "apt-cache", "echo '  Candidate: 15+248'")
	bin := filepath.Join(in.dest, "pg", "15", "bin")
	in.fake(t, "apt-get", fmt.Sprintf(`[ "$1" = install ] || exit 0
cat %[1]s/etc/postgresql-common/createcluster.d/blameprompt.conf || exit 1
mkdir -p %[2]s
printf '#!/bin/sh\necho "postgres (PostgreSQL) 15.18"\n' >%[2]s/postgres
printf '#!/bin/sh\n' >%[2]s/initdb
chmod 755 %[2]s/postgres %[2]s/initdb`, in.dest, bin))
	got, err := in.run(t, "--deps")
	const want = "git 2.39.5: fine\nssh: fine\nmissing: postgres\ncreate_main_cluster = false\n" +
		"PostgreSQL 15.18 in DEST/pg/15/bin: fine\ngit 2.39.5: fine\nssh: fine\n"
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	if _, err := os.Stat(filepath.Join(in.dest, "etc")); !os.IsNotExist(err) {
		t.Errorf("the file that forbids clusters has stayed: %v", err)
	}
}

func TestInstallDepsTellsWhenTheDistributionIsTooOld(t *testing.T) {
	t.Parallel()
	in := newInstaller(t)
	in.fake(t, "id", "echo 0")
	in.fake(t, "git", "echo git version 2.39.5")
	in.fake(t, "apt-get", `[ "$1" = update ]`)
	in.fake(t, "apt-cache", "echo '  Candidate: 13+225'")
	got, err := in.run(t, "--deps")
	if err == nil || !strings.Contains(got, "PostgreSQL (13) is older than 14") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestInstallPrograms(t *testing.T) {
	t.Parallel()
	in := newInstaller(t)
	source := t.TempDir()
	text, err := os.ReadFile("../../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(source, "install.sh")
	if err := os.WriteFile(script, text, 0o755); err != nil {
		t.Fatal(err)
	}
	install := func() (string, error) {
		cmd := exec.Command("/bin/sh", script)
		cmd.Env = []string{"PATH=" + in.path, "DESTDIR=" + in.dest, "PREFIX=/opt"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := install(); err == nil || !strings.Contains(out, `run "make build" first`) {
		t.Errorf("without programs: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(source, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := []string{"blameprompt-enterprise", "blameprompt-hook", "blamepromptd"}
	for _, name := range programs {
		writeProgram(t, filepath.Join(source, "bin", name), "#!/bin/sh\n")
	}
	page := filepath.Join(source, "docs", "man", "blameprompt-enterprise.1")
	if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte(".TH\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out, err := install(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	var got []string
	entries, err := os.ReadDir(filepath.Join(in.dest, "opt", "bin"))
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(programs, got); err != nil || diff != "" {
		t.Errorf("installed: %v\n%s", err, diff)
	}
	if _, err := os.Stat(filepath.Join(in.dest, "opt", "share", "man", "man1", filepath.Base(page))); err != nil {
		t.Errorf("the manual page: %v", err)
	}
}

func TestInstallArguments(t *testing.T) {
	t.Parallel()
	in := newInstaller(t)
	if out, err := in.run(t, "--help"); err != nil || !strings.HasPrefix(out, "Usage: ./install.sh") {
		t.Errorf("--help: %v\n%s", err, out)
	}
	if out, err := in.run(t, "--dpes"); err == nil || !strings.HasSuffix(out, "install.sh: unknown argument: --dpes\n") {
		t.Errorf("--dpes: %v\n%s", err, out)
	}
}
