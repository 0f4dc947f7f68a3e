package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/daemontest"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"blamepromptd": main})
}

// tidy removes what was built for all tests.
type tidy struct{ *testing.M }

func (t tidy) Run() int {
	defer os.RemoveAll(built)
	return t.M.Run()
}

// built is a directory for programs, which git's account can enter.
var built = filepath.Join(os.TempDir(), fmt.Sprintf("blamepromptd-test-%d", os.Getpid()))

// build builds a program of this module for tests and returns its path.
func build(program string, flags ...string) (string, error) {
	if err := os.MkdirAll(built, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(built, program)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", path, "../"+program)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", program, err, out)
	}
	return path, nil
}

// hookProgram builds blameprompt-hook once, for git to run.
var hookProgram = sync.OnceValues(func() (string, error) {
	return build("blameprompt-hook", "-trimpath", "-ldflags", "-s -w")
})

// TestScripts runs testdata/script. Beside what testscript and daemontest have,
// there is blameprompt-hook, the conditions root and race, and a script has
//
//	httpshost     serves the daemon over HTTPS; sets $HTTPS and writes ca.pem
//	sshhost       runs an OpenSSH server for this account with the key in $WORK/key;
//	              sets $SSHPORT and GIT_SSH_COMMAND
//	sql QUERY     prints the first column of each row
//	forgehost     serves $WORK/remotes/acme as a Gitea server does, to whoever has the
//	              token in $WORK/token; sets $FORGE and writes what it is told to
//	              statuses and webhooks
//	remote FILE   wants the server to have said FILE during the last push, where
//	              <commit>, <id>, <url>, <day> and <month> stand for any
//	until REGEXP exec ARG ...
//	              runs a program until its output matches
//
// and $PUSH, the shell script testdata/push.sh, and $INSTALL, install.sh.
func TestScripts(t *testing.T) {
	t.Parallel()
	program, err := hookProgram()
	if err != nil {
		t.Fatal(err)
	}
	push, err := filepath.Abs("testdata/push.sh")
	if err != nil {
		t.Fatal(err)
	}
	install, err := filepath.Abs("../../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	params := daemontest.Params(t, "testdata/script")
	setup := params.Setup
	params.Setup = func(env *testscript.Env) error {
		env.Setenv("PUSH", push)
		env.Setenv("INSTALL", install)
		env.Setenv("PATH", filepath.Dir(program)+string(filepath.ListSeparator)+env.Getenv("PATH"))
		return setup(env)
	}
	params.Condition = func(name string) (bool, error) {
		switch name {
		case "root":
			return os.Geteuid() == 0, nil
		case "race":
			return raceDetector, nil
		}
		return false, fmt.Errorf("unknown condition %q", name)
	}
	params.Cmds["httpshost"] = cmdHTTPSHost
	params.Cmds["sshhost"] = cmdSSHHost
	params.Cmds["forgehost"] = cmdForgeHost
	params.Cmds["remote"] = cmdRemote
	params.Cmds["until"] = cmdUntil
	params.Cmds["sql"] = func(ts *testscript.TestScript, neg bool, args []string) {
		daemontest.Usage(ts, neg, len(args) == 1, "sql QUERY")
		rows := storetest.Column(t, storetest.OpenDSN(t, ts.Getenv("BLAMEPROMPT_DATABASE_URL")), args[0])
		fmt.Fprintln(ts.Stdout(), strings.Join(rows, "\n"))
	}
	testscript.Run(t, params)
}

func cmdHTTPSHost(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 0, "httpshost")
	daemon, err := url.Parse(ts.Getenv("API"))
	ts.Check(err)
	proxy := httputil.NewSingleHostReverseProxy(daemon)
	server := httptest.NewUnstartedServer(proxy)
	// What clients do that do not trust it is theirs, and what the daemon does that
	// is down.
	silent := log.New(io.Discard, "", 0)
	server.Config.ErrorLog, proxy.ErrorLog = silent, silent
	server.StartTLS()
	ts.Defer(server.Close)
	ts.Setenv("HTTPS", server.URL)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o600))
}

func cmdSSHHost(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 0, "sshhost")
	port, stop, err := startSSHD(ts.MkAbs("."))
	ts.Check(err)
	ts.Defer(stop)
	daemontest.Poll(ts, "sshd", daemontest.Patience, func() bool { return listens(port) })
	ts.Setenv("SSHPORT", port)
	ts.Setenv("GIT_SSH_COMMAND", sshWith(ts.MkAbs("key")))
}

// sshWith is ssh with a key for a server that nobody knows.
func sshWith(key string) string {
	return strings.Join([]string{"ssh", "-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"}, " ")
}

// startSSHD starts an OpenSSH server for this account, which lets in who has
// the key that is made in dir.
func startSSHD(dir string) (port string, stop func(), err error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		return "", nil, err
	}
	if os.Geteuid() == 0 {
		// Where sshd confines itself, which its service makes at its start.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return "", nil, err
		}
	}
	for _, name := range []string{"hostkey", "key"} {
		if err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).Run(); err != nil {
			return "", nil, fmt.Errorf("making a key: %w", err)
		}
	}
	if port, err = freePort(); err != nil {
		return "", nil, err
	}
	config := fmt.Sprintf("ListenAddress 127.0.0.1:%s\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nPidFile none\n"+
		"PermitRootLogin yes\nUsePAM no\nSetEnv PATH=%s\n", port, filepath.Join(dir, "hostkey"), filepath.Join(dir, "key.pub"), os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(config), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	return port, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, nil
}

func listens(port string) bool {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

func cmdRemote(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 1, "remote FILE")
	var said []string
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		if text, ok := strings.CutPrefix(line, "remote: "); ok {
			said = append(said, strings.TrimRight(text, " \n"))
		}
	}
	want := regexp.QuoteMeta(strings.TrimRight(ts.ReadFile(args[0]), "\n"))
	want = strings.NewReplacer("<commit>", "[0-9a-f]{12}", "<id>", "[0-9a-f-]{36}", "<url>", "http://127[.]0[.]0[.]1:[0-9]+",
		"<day>", "[0-9]{4}-[0-9]{2}-[0-9]{2}", "<month>", "[0-9]{4}-[0-9]{2}").Replace(want)
	got := strings.Join(said, "\n")
	if !regexp.MustCompile("^" + want + "$").MatchString(got) {
		ts.Fatalf("the server said:\n%s\n--- and not:\n%s", got, ts.ReadFile(args[0]))
	}
}

// cmdUntil waits for what is sure to come, by asking for it again and again.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) > 2 && args[1] == "exec", "until REGEXP exec ARG ...")
	wanted, err := regexp.Compile(args[0])
	ts.Check(err)
	daemontest.Poll(ts, args[0], daemontest.Patience, func() bool {
		ts.Check(ts.Exec(args[2], args[3:]...))
		return wanted.MatchString(ts.ReadFile("stdout"))
	})
}
