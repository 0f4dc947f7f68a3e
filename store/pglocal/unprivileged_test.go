package pglocal

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startTests are those that start and end processes.
const startTests = "^Test(FirstStart|RestartKeepsData|TwoDaemons|LongPath|DaemonKilled|OrphanIsEnded|" +
	"PostmasterKilled|ReusedPID|UnreachableDir|WithoutRoot)$"

// TestWithoutRoot runs the tests that depend on the account once more as an ordinary account
// where they run as root; elsewhere they are run so already.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		owner, err := findAccount("")
		if err != nil || owner.other || owner.uid != os.Geteuid() {
			t.Errorf("findAccount = %+v, %v", owner, err)
		}
		return
	}
	nobody, err := findAccount("nobody")
	if err != nil {
		t.Fatal(err)
	}
	dir := testDir(t)
	binary := filepath.Join(dir, "pglocal.test")
	copyProgram(t, os.Args[0], binary)
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := nobody.give(home); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.v", "-test.run="+startTests)
	cmd.Dir = home
	cmd.Env = append(childEnv(), "TMPDIR="+home, "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(nobody.uid), Gid: uint32(nobody.gid)},
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := strings.Count(string(out), "--- PASS: Test"), strings.Count(startTests, "|")+1; got != want {
		t.Errorf("%d tests passed, want %d:\n%s", got, want, out)
	}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
