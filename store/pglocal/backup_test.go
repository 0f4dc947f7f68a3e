package pglocal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServiceFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url, want, err string
	}{
		{"postgres://ada:s%20ecret@db.example:5433/main?sslmode=verify-full&pool_max_conns=4",
			"[backup]\ndbname=main\nhost=db.example\npassword=s ecret\nport=5433\nsslmode=verify-full\nuser=ada\n", ""},
		{"postgresql:///main?host=/run/postgres&user=ada", "[backup]\ndbname=main\nhost=/run/postgres\nuser=ada\n", ""},
		{"postgres://[::1]/main", "[backup]\ndbname=main\nhost=::1\n", ""},
		{"postgres://ada:a%0Ahost=evil@db.example/main", "", "line break in password"},
		{"host=db.example dbname=main", "", "must begin with postgres://"},
	} {
		got, err := serviceFile(test.url)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.url, diff)
		}
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", test.url, err, test.err)
		}
	}
}

func TestBackupLeavesNothingBehindWhereItFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	programs := Binaries{Dir: dir}
	const url = "postgres://ada:hidden@127.0.0.1:1/main"
	err := Backup(context.Background(), programs, url, file)
	if err == nil || !strings.Contains(err.Error(), "client programs") {
		t.Errorf("without pg_dump: %v", err)
	}
	writeProgram(t, filepath.Join(dir, "pg_dump"), "#!/bin/sh\necho cannot >&2; env; echo \"$@\"; exit 1\n")
	err = Backup(context.Background(), programs, url, file)
	if err == nil || !strings.Contains(err.Error(), "pg_dump: exit status 1: cannot") {
		t.Errorf("with a pg_dump that fails: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Backup(context.Background(), programs, url, file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("over a file that is there: %v", err)
	}
}

// TestBackupKeepsThePasswordToItself looks at what a program of another account
// could see: arguments and environment.
func TestBackupKeepsThePasswordToItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	writeProgram(t, filepath.Join(dir, "pg_dump"), "#!/bin/sh\n{ env; echo \"$@\"; } >"+seen+"\nexit 1\n")
	_ = Backup(context.Background(), Binaries{Dir: dir}, "postgres://ada:hidden@127.0.0.1:1/main", filepath.Join(dir, "file"))
	text, err := os.ReadFile(seen)
	if err != nil || strings.Contains(string(text), "hidden") || !strings.Contains(string(text), "service=backup") {
		t.Errorf("pg_dump got %s (%v)", text, err)
	}
}
