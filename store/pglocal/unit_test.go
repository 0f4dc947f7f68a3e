package pglocal

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": "15 15.18",
		"postgres (PostgreSQL) 18beta1\n":                        "18 18beta1",
		"postgres (PostgreSQL) 9.6.24\n":                         "9 9.6.24",
		"postgres (EnterpriseDB) 15.1\n":                         "error",
		"":                                                       "error",
	} {
		major, version, err := parseVersion(line)
		got := fmt.Sprintf("%d %s", major, version)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("parseVersion(%q) = %s, want %s", line, got, want)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n")
	f.Add("postgres (PostgreSQL) 99999")
	f.Fuzz(func(t *testing.T, line string) {
		major, version, err := parseVersion(line)
		if err == nil && !strings.HasPrefix(version, fmt.Sprint(major)) && !strings.HasPrefix(version, "0") {
			t.Errorf("parseVersion(%q) = %d, %q", line, major, version)
		}
	})
}

func TestFindBinaries(t *testing.T) {
	t.Parallel()
	found, err := FindBinaries(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if found.Major < MinMajor {
		t.Errorf("found = %+v", found)
	}
	_, err = FindBinaries(t.Context(), t.TempDir())
	wantErr(t, err, ErrNoBinaries)
	_, err = FindBinaries(t.Context(), "relative")
	wantErr(t, err, ErrNoBinaries, "relative")
	_, err = FindBinaries(t.Context(), fakeBinaries(t, MinMajor-1))
	wantErr(t, err, ErrNoBinaries, "older")
}

func TestSearchKeepsOrderAndSkipsTheUnfit(t *testing.T) {
	t.Parallel()
	first, second := fakeBinaries(t, 98), fakeBinaries(t, 97)
	got := searchBinaries(t.Context(), []string{t.TempDir(), fakeBinaries(t, 9), first, second, first, ""})
	if len(got) != 2 || got[0].Major != 98 || got[1].Major != 97 {
		t.Errorf("searchBinaries = %+v", got)
	}
}

// fakeBinaries is an installation that can do nothing but tell its version.
func fakeBinaries(t *testing.T, major int) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %d.1'\n", major)
	for _, name := range []string{"postgres", "initdb"} {
		writeProgram(t, filepath.Join(dir, name), script)
	}
	return dir
}

// writeProgram writes through a child, lest a fork elsewhere in this process
// hold the file open for writing, which makes running it fail (ETXTBSY).
func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `cat >"$1" && chmod 755 "$1"`, "sh", path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestLogFileIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := openLogFile(dir, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		fmt.Fprintf(l, "line %02d of thirty bytes or so\n", i)
	}
	if got := l.lastLines(); !strings.HasSuffix(got, "line 49 of thirty bytes or so") || len(got) > tailSize {
		t.Errorf("lastLines = %q", got)
	}
	l.forget()
	if got := l.lastLines(); got != "" {
		t.Errorf("lastLines after forget = %q", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("files: %v, %v, want 3", entries, err)
	}
	var all []byte
	for _, name := range []string{".2", ".1", ""} {
		text, err := os.ReadFile(filepath.Join(dir, logName+name))
		if err != nil || len(text) > 100 {
			t.Errorf("%s%s: %d bytes, %v", logName, name, len(text), err)
		}
		all = append(all, text...)
	}
	if !bytes.Contains(all, []byte("line 48")) || bytes.Index(all, []byte("line 48")) > bytes.Index(all, []byte("line 49")) {
		t.Errorf("rotated files hold:\n%s", all)
	}
}

func TestLogFileAppendsAfterReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		l, err := openLogFile(dir, 100, 2)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(l, "x\n")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(l, "lost, but no error\n")
	}
	if text, err := os.ReadFile(filepath.Join(dir, logName)); err != nil || string(text) != "x\nx\n" {
		t.Errorf("log = %q, %v", text, err)
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "/plain/path-1.2", "two words", "it's", `a\b`, "$HOME;`id`", "ü"} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+shellQuote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("shellQuote(%q) = %s, read as %q, %v", s, shellQuote(s), out, err)
		}
	}
}

func TestUnknownAccount(t *testing.T) {
	t.Parallel()
	_, err := findAccount("no-such-account-here")
	wantErr(t, err, nil, "no-such-account-here")
	_, err = findAccount("root")
	wantErr(t, err, nil, "root")
}
