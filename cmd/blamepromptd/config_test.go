package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// load reads a configuration from a file's text, an environment and flags, in a
// directory of its own.
func load(t *testing.T, file string, env map[string]string, args ...string) (*Config, []*setting, error) {
	t.Helper()
	dir := t.TempDir()
	if file != "" {
		if err := os.WriteFile(filepath.Join(dir, configName), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	l := &loader{dir: dir, flags: flags, lookup: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
	return l.load("")
}

func TestLaterSourcesWin(t *testing.T) {
	t.Parallel()
	const file = "http_addr = \":1\"\nssh_addr = \":1\"\nsweep_every = \"1m\"\nfile_roots = [\"/a\"]\nprivate_addresses = true\n"
	env := map[string]string{"BLAMEPROMPT_SSH_ADDR": ":2", "BLAMEPROMPT_SWEEP_EVERY": "2m", "BLAMEPROMPT_FILE_ROOTS": "/b, /c"}
	cfg, list, err := load(t, file, env, "--sweep-every=3m", "--fetch-workers=2")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{cfg.HTTPAddr, cfg.SSHAddr, cfg.SweepEvery.Duration, cfg.FileRoots, cfg.PrivateAddresses, cfg.FetchWorkers, cfg.LogLevel}
	want := []any{":1", ":2", 3 * time.Minute, []string{"/b", "/c"}, true, 2, "info"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sources := map[string]string{}
	for _, s := range list {
		sources[s.Key] = filepath.Base(s.Source)
	}
	for key, want := range map[string]string{
		"http_addr": configName, "ssh_addr": "BLAMEPROMPT_SSH_ADDR", "sweep_every": "--sweep-every", "log_level": "default",
	} {
		if sources[key] != want {
			t.Errorf("%s is said to come from %q, want %q", key, sources[key], want)
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("postgres://u:p@h/d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const password = "hunter2"
	for name, c := range map[string]struct {
		file string
		env  map[string]string
		args []string
		want string
	}{
		"unknown key":      {file: "http_addr = \":1\"\n\nhtpp_addr = \":2\"\n", want: configName + `:3: unknown key "htpp_addr"`},
		"unknown table":    {file: "[serve]\nx = 1\n", want: configName + `:1: unknown key "serve"`},
		"mistyped key":     {file: "\nfetch_workers = \"many\"\n", want: configName + `:2: fetch_workers wants a whole number`},
		"mistyped time":    {file: "\nsweep_every = 30\n", want: configName + `:2: sweep_every wants a duration`},
		"no duration":      {file: "\n\nsweep_every = \"soon\"\n", want: configName + `:3: sweep_every wants a duration`},
		"no TOML":          {file: "http_addr\n", want: configName + ":1:"},
		"twice":            {file: "log_level = \"info\"\nlog_level = \"warn\"\n", want: "log_level"},
		"address":          {env: map[string]string{"BLAMEPROMPT_HTTP_ADDR": "8780"}, want: `http_addr: "8780" is not an address`},
		"public URL":       {env: map[string]string{"BLAMEPROMPT_PUBLIC_URL": "example.com"}, want: "public_url"},
		"number":           {env: map[string]string{"BLAMEPROMPT_FETCH_WORKERS": "x"}, want: `fetch_workers (BLAMEPROMPT_FETCH_WORKERS): "x"`},
		"range":            {args: []string{"--fetch-workers=1000"}, want: "fetch_workers: 1000 is not between"},
		"connections":      {args: []string{"--fetch-workers=8"}, want: "give at least 28"},
		"duration":         {args: []string{"--sweep-idle=soon"}, want: `sweep_idle (--sweep-idle): "soon"`},
		"negative":         {args: []string{"--sweep-idle=-1s"}, want: "sweep_idle: -1s is not a positive duration"},
		"boolean":          {args: []string{"--queue-poll-only=perhaps"}, want: `"perhaps" is not true or false`},
		"level":            {args: []string{"--log-level=loud"}, want: "log_level"},
		"format":           {args: []string{"--log-format=xml"}, want: "log_format"},
		"root":             {args: []string{"--file-roots=git"}, want: `file_roots: "git" is not an absolute path`},
		"socket":           {env: map[string]string{"BLAMEPROMPT_HOOK_SOCKET": "hook.sock"}, want: `hook_socket: "hook.sock" is not an absolute path`},
		"socket's mode":    {args: []string{"--hook-socket-mode=rw"}, want: `hook_socket_mode: "rw" are no permissions`},
		"database":         {env: map[string]string{"BLAMEPROMPT_DATABASE_URL": "mysql://u:" + password + "@h"}, want: "database_url: not a URL"},
		"secret twice":     {env: map[string]string{"BLAMEPROMPT_DATABASE_URL": "x", "BLAMEPROMPT_DATABASE_URL_FILE": secret}, want: "both set"},
		"no secret file":   {env: map[string]string{"BLAMEPROMPT_DATABASE_URL_FILE": "/nonexistent"}, want: "BLAMEPROMPT_DATABASE_URL_FILE"},
		"secret directory": {env: map[string]string{"BLAMEPROMPT_DATABASE_URL_FILE": t.TempDir()}, want: "is not a file"},
		"no file":          {env: map[string]string{"BLAMEPROMPT_CONFIG": "/nonexistent.toml"}, want: "/nonexistent.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, c.file, c.env, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestSecretFromFileIsShownMasked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	const value = "postgres://bob:hunter2@db.example/x?password=hunter3"
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, list, err := load(t, "", map[string]string{"BLAMEPROMPT_DATABASE_URL_FILE": file})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.DatabaseURL != value {
		t.Errorf("database_url is %q", cfg.DatabaseURL)
	}
	for _, s := range list {
		if strings.Contains(s.text(), "hunter") || strings.Contains(fmt.Sprint(s.shown()), "hunter") {
			t.Errorf("%s shows its password: %s", s.Key, s.text())
		}
	}
	for in, want := range map[string]string{"": "", "host=x password=y": "***", "postgres://h/d": "postgres://h/d"} {
		if got := maskURL(in); got != want {
			t.Errorf("maskURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSecretsHaveNoFlag(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	addFlags(flags)
	for _, s := range settings(&Config{}) {
		if has := flags.Lookup(s.flag()) != nil; has == s.Secret {
			t.Errorf("%s: secret %t, has a flag %t", s.Key, s.Secret, has)
		}
	}
}

func TestDataDirectoryIsGuessed(t *testing.T) {
	t.Parallel()
	// The account of root's PostgreSQL must be able to enter a checkout.
	checkout := clusterDir(t)
	if err := os.Chmod(checkout, 0o755); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(checkout, "cmd", "x")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(checkout, "go.mod"), []byte("module "+modulePath+"\n\ngo 1.26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module "+modulePath+"x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dir, state, given, want string
	}{
		"checkout":       {dir: checkout, want: filepath.Join(checkout, "data")},
		"in a checkout":  {dir: deep, want: filepath.Join(checkout, "data")},
		"other checkout": {dir: other, want: "/var/lib/blameprompt"},
		"service":        {dir: "/", want: "/var/lib/blameprompt"},
		"systemd":        {dir: checkout, state: "/var/lib/a:/var/lib/b", want: "/var/lib/a"},
		"given":          {dir: other, given: "sub", want: filepath.Join(other, "sub")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{stateDirEnv: c.state, "BLAMEPROMPT_DATA_DIR": c.given}
			l := &loader{dir: c.dir, lookup: func(name string) (string, bool) { return env[name], env[name] != "" }}
			cfg, _, err := l.load("")
			if err != nil {
				t.Fatal(err)
			}
			if cfg.DataDir != c.want {
				t.Errorf("data directory %s, want %s", cfg.DataDir, c.want)
			}
		})
	}
}

// The table of docs/configuration.md is made of the struct's tags; this test
// prints what it should be.
func TestDocumentedConfiguration(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- settings -->\n")
	table, _, ok := strings.Cut(rest, "<!-- /settings -->")
	if !ok {
		t.Fatal("docs/configuration.md has lost the marks around its table")
	}
	if diff := cmp.Diff(settingsTable(), table); diff != "" {
		t.Errorf("docs/configuration.md and Config differ (-Config +docs); the table is to be:\n%s\n%s", settingsTable(), diff)
	}
}

func settingsTable() string {
	var b strings.Builder
	b.WriteString("| key | environment | default | meaning |\n|---|---|---|---|\n")
	for _, s := range settings(&Config{}) {
		env := "`" + s.env() + "`"
		if s.Secret {
			env += " or `" + s.env() + "_FILE`"
		}
		def := ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, env, def, s.Doc)
	}
	return b.String()
}

// Root's PostgreSQL runs as another account: a checkout in a closed directory
// is no place for its data, and an own one still is.
func TestACheckoutThatPostgreSQLCannotEnterIsPassedOver(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(closed, "go.mod"), []byte("module "+modulePath+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &loader{lookup: func(string) (string, bool) { return "", false }, dir: closed}
	want := filepath.Join(closed, checkoutDir)
	if dir, _ := l.guessDataDir(false); dir != want {
		t.Errorf("with a database elsewhere the data directory is %s, want %s", dir, want)
	}
	if os.Geteuid() == 0 {
		want = serviceDir
	}
	if dir, _ := l.guessDataDir(true); dir != want {
		t.Errorf("with a private PostgreSQL the data directory is %s, want %s", dir, want)
	}
}
