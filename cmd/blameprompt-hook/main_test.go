package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// call runs a command line and returns its exit code and both outputs.
func call(t *testing.T, stdin string, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(context.Background(), process{args: args, environ: environ, dir: t.TempDir(), stdin: strings.NewReader(stdin),
		stdout: &out, stderr: &err})
	return code, out.String(), err.String()
}

// A command line that makes no sense is a refusal whatever its mode is.
func TestACommandLineThatMakesNoSenseFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":        {nil, 2, "usage: "},
		"two hooks":      {[]string{"pre-receive", "post-receive"}, 2, "usage: "},
		"unknown flag":   {[]string{"--sokcet", "/s", "pre-receive"}, 2, "sokcet"},
		"unknown hook":   {[]string{"--socket", "/s", "update"}, 1, `"update" is neither a hook nor a command`},
		"unknown mode":   {[]string{"--mode", "strict", "pre-receive"}, 2, "it is neither advisory nor enforcing"},
		"no daemon":      {[]string{"--mode", "enforcing", "pre-receive"}, 1, "this push is refused because nobody could judge it"},
		"no key":         {[]string{"--mode", "enforcing", "--url", "https://h", "pre-receive"}, 1, "this push is refused because nobody could judge it"},
		"check no key":   {[]string{"--url", "https://h", "check"}, 1, "give either a socket, or a URL"},
		"bad time":       {[]string{"--timeout", "soon", "pre-receive"}, 2, "timeout"},
		"relay anywhere": {[]string{"--url", "https://h", "proc-receive"}, 1, "is for the sessions of the gateway"},
		"check nobody":   {[]string{"--socket", "/nonexistent", "check"}, 1, "no such file"},
	} {
		if code, out, err := call(t, "", nil, c.args...); code != c.code || !strings.Contains(err, c.want) || out != "" {
			t.Errorf("%s: code %d, %q, %q", name, code, out, err)
		}
	}
	if code, _, err := call(t, "", nil, "--help"); code != 0 || !strings.Contains(err, "key-file") {
		t.Errorf("help: code %d, %q", code, err)
	}
	if code, out, _ := call(t, "", nil, "version"); code != 0 || !strings.HasPrefix(out, "blameprompt-hook ") {
		t.Errorf("version: code %d, %q", code, out)
	}
}

// serveSocket is a daemon that knows the repository api.
func serveSocket(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repo := r.URL.Query().Get("repo")
		_ = json.NewEncoder(w).Encode(map[string]any{"version": "9", "org": "acme", "repo": repo, "known": repo == "api", "mode": "enforcing"})
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

func TestCheckSaysWhatAHookWouldFind(t *testing.T) {
	t.Parallel()
	socket := serveSocket(t)
	for _, c := range []struct {
		args []string
		env  []string
		want string
	}{
		{[]string{"--socket", socket}, nil, "for organisation acme.\n"},
		{nil, []string{"BLAMEPROMPT_SOCKET=" + socket}, "The daemon 9 answers after "},
		{[]string{"--socket", socket, "--repo", "api", "--mode", "enforcing"}, nil, "Repository \"api\" is enforcing.\n"},
		{[]string{"--socket", socket, "--repo", "api"}, nil, "is enforcing there and advisory here"},
		{[]string{"--socket", socket, "--repo", "new"}, nil, "does not know repository \"new\" yet"},
		// A command line that names a daemon is not led astray by the environment.
		{[]string{"--socket", socket}, []string{"BLAMEPROMPT_SOCKET=/nonexistent"}, "answers after"},
	} {
		if code, out, err := call(t, "", c.env, append(c.args, "check")...); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%v: code %d, %q, %q", c.args, code, out, err)
		}
	}
}

// The pieces of the program that this test lets in beside the standard library.
const module = "github.com/blameprompt/enterprise/"

var pieces = []string{"cmd/blameprompt-hook", "hooks", "notes", "notes/gitcmd", "policy/push"}

func TestTheProgramIsMadeOfLittle(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, path := range strings.Fields(string(out)) {
		got = append(got, strings.TrimPrefix(path, module))
	}
	for _, path := range got {
		if !strings.Contains(" "+strings.Join(pieces, " ")+" ", " "+path+" ") {
			t.Errorf("the hook is made of %s too, which makes it larger and slower to start", path)
		}
	}
}

// build makes the program as the Makefile does.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blameprompt-hook")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the hook: %v: %s", err, out)
	}
	return path
}

func TestTheProgramIsStaticAndSmall(t *testing.T) {
	t.Parallel()
	const maxSize = 10 << 20
	path := build(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= maxSize {
		t.Errorf("the hook has %d bytes, at least %d", info.Size(), maxSize)
	}
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("the hook needs an interpreter: it is not static")
		}
	}
	if out, err := exec.Command(path, "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "blameprompt-hook test ") {
		t.Errorf("version says %q, %v", out, err)
	}
}

// TestGitIsNeverMisled runs the program as git does, on a repository, and takes
// away what it has: its reader, and its time.
func TestGitIsNeverMisled(t *testing.T) {
	t.Parallel()
	program := build(t)
	repo := t.TempDir()
	if out, err := exec.Command("git", "init", "-q", "--bare", repo).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	asked := make(chan struct{})
	for name, c := range map[string]struct {
		outcome string
		signal  os.Signal
		want    int
	}{
		"refused, and nobody reads it":     {"refuse", nil, 1},
		"accepted, and nobody reads it":    {"warn", nil, 0},
		"told to stop":                     {"", syscall.SIGTERM, 1},
		"told to stop by a broken session": {"", syscall.SIGHUP, 1},
		"killed":                           {"", syscall.SIGKILL, -1},
	} {
		socket := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.signal != nil {
				asked <- struct{}{}
				<-r.Context().Done()
				return
			}
			fmt.Fprintf(w, `{"version":1,"verdict":{"outcome":%q,"findings":[{"policy_name":"p","message":"m","outcome":%q}]}}`, c.outcome, c.outcome)
		})}
		go func() { _ = server.Serve(listener) }()
		cmd := exec.Command(program, "--socket", socket, "--mode", "advisory", "pre-receive")
		cmd.Dir, cmd.Env = repo, append(os.Environ(), "GIT_DIR=.")
		zero := strings.Repeat("0", 40)
		cmd.Stdin = strings.NewReader(strings.Repeat("1", 40) + " " + zero + " refs/heads/gone\n")
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		cmd.Stdout, cmd.Stderr = writer, writer
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		writer.Close()
		if c.signal != nil {
			<-asked
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Error(err)
			}
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
		_ = server.Close()
	}
}

// BenchmarkStart is from the start of the program to its end, with nothing in
// between. It is to take less than 10 ms.
func BenchmarkStart(b *testing.B) {
	path := build(b)
	for b.Loop() {
		if out, err := exec.Command(path, "version").CombinedOutput(); err != nil {
			b.Fatal(fmt.Errorf("%w: %s", err, out))
		}
	}
}

// BenchmarkStartOfGit is the floor: a program in C.
func BenchmarkStartOfGit(b *testing.B) {
	for b.Loop() {
		if out, err := exec.Command("git", "--version").CombinedOutput(); err != nil {
			b.Fatal(fmt.Errorf("%w: %s", err, out))
		}
	}
}
