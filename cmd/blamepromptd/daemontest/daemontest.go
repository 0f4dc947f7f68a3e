// Package daemontest runs the daemon in scripts of testscript, for the tests
// of every program that talks to it. It owns the daemons: each script has one
// with a database of its own, which ends with the script.
package daemontest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/blameprompt/enterprise/store/storetest"
)

// Patience is how long a script waits for what is sure to come.
const Patience = time.Minute

// Params are those of the scripts in dir. Beside what testscript knows, a
// script has
//
//	database            a PostgreSQL database of its own instead of a private cluster
//	serve [arg ...]     starts the daemon and waits until it is ready; sets $API, $SSH
//	                    and, on a first start, $KEY
//	halt                ends the daemon with SIGTERM and wants exit code 0
//	crash               ends the daemon with SIGKILL
//	usekey FILE         sets $KEY to the key in FILE
//	githost             serves $WORK/remotes over HTTP; sets $GIT
//	api METHOD PATH [FILE]
//	                    asks the API with $KEY; prints the status and the body
//	receipts N PATH DURATION
//	                    waits until GET PATH lists N receipts, at most so long
//	webhook SECRET REPO sends a signed generic webhook
//
// The caller sees to it that blamepromptd is on the scripts' PATH, and may add
// commands.
func Params(t *testing.T, dir string) testscript.Params {
	return testscript.Params{
		Dir:   dir,
		Setup: Setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"database": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Setenv("BLAMEPROMPT_DATABASE_URL", storetest.Empty(t))
			},
			"serve":    cmdServe,
			"halt":     cmdHalt,
			"crash":    cmdCrash,
			"githost":  cmdGitHost,
			"usekey":   cmdUseKey,
			"api":      cmdAPI,
			"receipts": cmdReceipts,
			"webhook":  cmdWebhook,
		},
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
	}
}

// Build builds the daemon for tests of other programs and returns the directory
// that it is in.
func Build(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir, "github.com/blameprompt/enterprise/cmd/blamepromptd").CombinedOutput()
	if err != nil {
		t.Fatalf("building the daemon: %v: %s", err, out)
	}
	return dir
}

// Setup gives a script a home, an identity and a place for the daemon's data.
func Setup(env *testscript.Env) error {
	// PostgreSQL's account passes through when the tests run as root.
	for dir := env.WorkDir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("BLAMEPROMPT_DATA_DIR", filepath.Join(env.WorkDir, "data"))
	env.Setenv("BLAMEPROMPT_HTTP_ADDR", "127.0.0.1:0")
	env.Setenv("BLAMEPROMPT_SSH_ADDR", "127.0.0.1:0")
	env.Setenv("BLAMEPROMPT_PRIVATE_ADDRESSES", "true")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env.Setenv("GIT_"+who+"_NAME", "Ada")
		env.Setenv("GIT_"+who+"_EMAIL", "ada@example.com")
	}
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Values[daemonKey{}] = &scriptDaemon{}
	return nil
}

// daemonKey is where a script's values hold its daemon.
type daemonKey struct{}

// scriptDaemon is the daemon that a script runs, if any.
type scriptDaemon struct{ cmd *exec.Cmd }

func daemonOf(ts *testscript.TestScript) *scriptDaemon {
	return ts.Value(daemonKey{}).(*scriptDaemon)
}

// Usage fails the script unless a command is used as text says.
func Usage(ts *testscript.TestScript, neg bool, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	d := daemonOf(ts)
	Usage(ts, neg, d.cmd == nil, "serve [arg ...], while no daemon runs")
	cmd := exec.Command(lookPath(ts, "blamepromptd"), append([]string{"serve", "--json"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = scriptEnv(ts)
	// A test that dies takes its daemon along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := os.Create(ts.MkAbs("serve.out"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.OpenFile(ts.MkAbs("serve.err"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ts.Check(err)
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	ts.Check(cmd.Start())
	d.cmd = cmd
	ts.Defer(func() { d.end(syscall.SIGKILL) })
	awaitReady(ts)
}

// lookPath finds a program on the script's PATH, which may not be the test's.
func lookPath(ts *testscript.TestScript, program string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	ts.Fatalf("%s is not on the PATH", program)
	return ""
}

// scriptEnv is the script's environment, which testscript gives to its own
// children alone.
func scriptEnv(ts *testscript.TestScript) []string {
	env := os.Environ()
	for _, name := range []string{
		"HOME", "PATH", "GIT_CONFIG_NOSYSTEM", "BLAMEPROMPT_DATA_DIR", "BLAMEPROMPT_DATABASE_URL", "BLAMEPROMPT_HTTP_ADDR", "BLAMEPROMPT_SSH_ADDR",
		"BLAMEPROMPT_PRIVATE_ADDRESSES", "BLAMEPROMPT_SWEEP_EVERY", "BLAMEPROMPT_SWEEP_ACTIVE", "BLAMEPROMPT_FILE_ROOTS",
	} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// awaitReady waits for the daemon's banner and its /readyz.
func awaitReady(ts *testscript.TestScript) {
	var hello struct {
		API      string `json:"api"`
		SSH      string `json:"ssh"`
		AdminKey string `json:"admin_key"`
	}
	Poll(ts, "the daemon's banner", Patience, func() bool {
		text, err := os.ReadFile(ts.MkAbs("serve.out"))
		return err == nil && json.Unmarshal(text, &hello) == nil
	})
	ts.Setenv("API", hello.API)
	ts.Setenv("SSH", hello.SSH)
	if hello.AdminKey != "" {
		ts.Setenv("KEY", hello.AdminKey)
	}
	Poll(ts, "the daemon to be ready", Patience, func() bool {
		status, _, err := Ask(ts, http.MethodGet, "/readyz", nil)
		return err == nil && status == http.StatusOK
	})
}

// Poll waits until ok, and fails the script with the daemon's log.
func Poll(ts *testscript.TestScript, what string, patience time.Duration, ok func() bool) {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(ts.MkAbs("serve.err"))
			ts.Fatalf("waited %s in vain for %s; the daemon says:\n%s", Patience, what, log)
		}
	}
}

// end signals the daemon and waits for its end.
func (d *scriptDaemon) end(signal syscall.Signal) error {
	if d.cmd == nil {
		return nil
	}
	cmd := d.cmd
	d.cmd = nil
	if err := cmd.Process.Signal(signal); err != nil {
		return err
	}
	return cmd.Wait()
}

func cmdHalt(ts *testscript.TestScript, neg bool, args []string) {
	d := daemonOf(ts)
	Usage(ts, neg, d.cmd != nil && len(args) == 0, "halt, while the daemon runs")
	ts.Check(d.end(syscall.SIGTERM))
}

func cmdCrash(ts *testscript.TestScript, neg bool, args []string) {
	d := daemonOf(ts)
	Usage(ts, neg, d.cmd != nil && len(args) == 0, "crash, while the daemon runs")
	if err := d.end(syscall.SIGKILL); err == nil {
		ts.Fatalf("the daemon ended by itself")
	}
}

func cmdUseKey(ts *testscript.TestScript, neg bool, args []string) {
	Usage(ts, neg, len(args) == 1, "usekey FILE")
	ts.Setenv("KEY", strings.TrimSpace(ts.ReadFile(args[0])))
}

func cmdGitHost(ts *testscript.TestScript, neg bool, args []string) {
	Usage(ts, neg, len(args) == 0, "githost")
	path, err := exec.Command("git", "--exec-path").Output()
	ts.Check(err)
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + ts.MkAbs("remotes"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + ts.Getenv("HOME"),
		},
		InheritEnv: []string{"PATH"},
		Stderr:     io.Discard,
	})
	ts.Defer(server.Close)
	ts.Setenv("GIT", server.URL)
}

// Ask sends a request to the daemon with the script's key.
func Ask(ts *testscript.TestScript, method, path string, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, ts.Getenv("API")+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+ts.Getenv("KEY"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

func cmdAPI(ts *testscript.TestScript, neg bool, args []string) {
	Usage(ts, neg, len(args) == 2 || len(args) == 3, "api METHOD PATH [FILE]")
	var body []byte
	if len(args) == 3 {
		body = []byte(ts.ReadFile(args[2]))
	}
	status, answer, err := Ask(ts, args[0], args[1], body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", status, answer)
}

func cmdReceipts(ts *testscript.TestScript, neg bool, args []string) {
	Usage(ts, neg, len(args) == 3, "receipts N PATH DURATION")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	limit, err := time.ParseDuration(args[2])
	ts.Check(err)
	began := time.Now()
	Poll(ts, args[0]+" receipts from "+args[1], limit, func() bool {
		status, answer, err := Ask(ts, http.MethodGet, args[1], nil)
		var page struct{ Items []json.RawMessage }
		return err == nil && status == http.StatusOK && json.Unmarshal(answer, &page) == nil && len(page.Items) == want
	})
	ts.Logf("%d receipts after %s", want, time.Since(began).Round(time.Millisecond))
}

func cmdWebhook(ts *testscript.TestScript, neg bool, args []string) {
	Usage(ts, neg, len(args) == 2, "webhook SECRET REPO")
	body, err := json.Marshal(map[string]any{"repository": args[1]})
	ts.Check(err)
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(args[0]))
	fmt.Fprintf(mac, "%s.%s", timestamp, body)
	address, err := url.JoinPath(ts.Getenv("API"), "hooks", "generic", "default")
	ts.Check(err)
	req, err := http.NewRequest(http.MethodPost, address, bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-BlamePrompt-Timestamp", timestamp)
	req.Header.Set("X-BlamePrompt-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, answer)
}
