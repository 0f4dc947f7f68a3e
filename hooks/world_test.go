package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// The variables by which the test binary knows that it is a hook.
const (
	outVariable    = "BLAMEPROMPT_TEST_OUT"
	limitsVariable = "BLAMEPROMPT_TEST_LIMITS"
	statusVariable = "BLAMEPROMPT_TEST_STATUS"
)

// TestMain is the hook where git runs the test binary as one.
func TestMain(m *testing.M) {
	if out := os.Getenv(outVariable); out != "" {
		os.Exit(actAsHook(out))
	}
	os.Exit(m.Run())
}

// hookResult is what the hook leaves for its test.
type hookResult struct {
	Push       Push
	Error      string
	Incomplete bool
	Quarantine Quarantine
}

func actAsHook(out string) int {
	result, err := collectAsHook()
	if err != nil {
		result.Error, result.Incomplete = err.Error(), errors.Is(err, ErrIncomplete)
	}
	text, err := json.Marshal(result)
	if err == nil {
		err = os.WriteFile(out, text, 0o600)
	}
	status, statusErr := strconv.Atoi(os.Getenv(statusVariable))
	if err := errors.Join(err, statusErr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return status
}

func collectAsHook() (hookResult, error) {
	updates, err := ReadUpdates(os.Stdin)
	if err != nil {
		return hookResult{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return hookResult{}, err
	}
	env, err := ReadEnvironment(os.Environ(), dir)
	if err != nil {
		return hookResult{}, err
	}
	repo, err := gitcmd.Open(dir)
	if err != nil {
		return hookResult{}, err
	}
	var limits Limits
	if err := json.Unmarshal([]byte(os.Getenv(limitsVariable)), &limits); err != nil {
		return hookResult{}, err
	}
	push, err := Collect(context.Background(), repo, updates, env, limits)
	return hookResult{Push: push, Quarantine: env.Quarantine}, err
}

// world is a server repository with the test binary as its hook, and a
// developer's repository.
type world struct {
	t      *testing.T
	server *gittest.Fixture
	dev    *gittest.Fixture
	out    string
}

func newWorld(t *testing.T, opts ...gittest.Option) *world {
	t.Helper()
	w := &world{t: t, server: gittest.New(t, opts...), dev: gittest.New(t, opts...)}
	w.server.Git("config", "receive.advertisePushOptions", "true")
	w.out = filepath.Join(t.TempDir(), "push.json")
	w.hook(Limits{}, 0)
	return w
}

// hook makes the test binary the pre-receive hook, with these limits and this
// exit status.
func (w *world) hook(limits Limits, status int) {
	w.t.Helper()
	text, err := json.Marshal(limits)
	if err != nil {
		w.t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=%s %s=%s %s=%d exec %s\n", outVariable, shellQuote(w.out),
		limitsVariable, shellQuote(string(text)), statusVariable, status, shellQuote(program))
	writeScript(w.t, filepath.Join(w.server.Dir, "hooks", "pre-receive"), script)
}

func writeScript(t *testing.T, path, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// push pushes and returns what the hook collected. The push must be accepted.
func (w *world) push(args ...string) Push {
	w.t.Helper()
	result, said, err := w.try(args...)
	if err != nil || result.Error != "" {
		w.t.Fatalf("push %v: %v %s\n%s", args, err, result.Error, said)
	}
	return result.Push
}

// try pushes and returns what the hook left, what git said, and git's error.
func (w *world) try(args ...string) (hookResult, string, error) {
	w.t.Helper()
	return w.tryFrom(w.dev, args...)
}

func (w *world) tryFrom(dev *gittest.Fixture, args ...string) (hookResult, string, error) {
	w.t.Helper()
	if err := os.Remove(w.out); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	arguments := []string{"push"}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		arguments, args = append(arguments, args[0]), args[1:]
	}
	said, pushErr := dev.TryGit(append(append(arguments, "file://"+w.server.Dir), args...)...)
	if _, err := os.Stat(w.out); err != nil {
		w.t.Fatalf("hook left nothing: %v\n%s%v", err, said, pushErr)
	}
	return readResult(w.t, w.out), said, pushErr
}

func readResult(t *testing.T, file string) hookResult {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var result hookResult
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// ids returns the ids of commits, "" where there are none.
func ids(commits []Commit) string {
	var list []string
	for i := range commits {
		list = append(list, string(commits[i].OID))
	}
	return strings.Join(list, " ")
}

func join(oids ...gitcmd.OID) string {
	var list []string
	for _, oid := range oids {
		list = append(list, string(oid))
	}
	return strings.Join(list, " ")
}
