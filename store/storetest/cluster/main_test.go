package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blameprompt/enterprise/store/storetest"
)

func TestRunPassesServerAndExitCode(t *testing.T) {
	t.Setenv(storetest.EnvURL, "")
	file := filepath.Join(t.TempDir(), "url")
	code, err := run([]string{"sh", "-c", `printf %s "$` + storetest.EnvURL + `" >"$1"; exit 7`, "sh", file})
	if err != nil || code != 7 {
		t.Errorf("run = %d, %v, want 7", code, err)
	}
	url, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(url), "postgres://blameprompt@") {
		t.Errorf("%s = %q, %v", storetest.EnvURL, url, err)
	}
}

func TestRunUsesTheServerThatIsThere(t *testing.T) {
	const url = "postgres://there/x"
	t.Setenv(storetest.EnvURL, url)
	code, err := run([]string{"sh", "-c", `test "$` + storetest.EnvURL + `" = "$1"`, "sh", url})
	if err != nil || code != 0 {
		t.Errorf("run = %d, %v", code, err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -TERM $$": exitSignal + int(syscall.SIGTERM)} {
		if code, err := runCommand([]string{"sh", "-c", script}, nil, nil); err != nil || code != want {
			t.Errorf("%s: %d, %v, want %d", script, code, err, want)
		}
	}
	if code, err := runCommand([]string{"/no/such/program"}, nil, nil); err == nil || code != exitNoStart {
		t.Errorf("a program that is not there: %d, %v", code, err)
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	code, err := runCommand([]string{"sleep", "60"}, nil, signals)
	if want := exitSignal + int(syscall.SIGTERM); err != nil || code != want {
		t.Errorf("runCommand = %d, %v, want %d", code, err, want)
	}
}
