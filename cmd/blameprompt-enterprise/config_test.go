package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testApp is an app in a directory with an environment of its own.
func testApp(t *testing.T, env map[string]string) *app {
	t.Helper()
	return &app{
		dir: t.TempDir(), stdin: strings.NewReader(""), stdout: t.Output(), stderr: t.Output(),
		lookup: func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		},
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConfigIsRead(t *testing.T) {
	t.Parallel()
	a := testApp(t, nil)
	path := filepath.Join(a.dir, configDir, configName)
	writeFile(t, path, `
[enterprise]
enabled = true
api_url = "https://blameprompt.example.com"
api_key_env = "BLAMEPROMPT_API_KEY"
sync_on_commit = true
enforce_policies = true
team = "backend-team"
repo = "acme/api"
ca_file = "ca.pem"
`)
	deep := *a
	deep.dir = filepath.Join(a.dir, "a", "b")
	cfg, err := deep.config()
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.enabled() || cfg.APIURL != "https://blameprompt.example.com" || !cfg.SyncOnCommit || !cfg.EnforcePolicies ||
		cfg.Team != "backend-team" || cfg.Repo != "acme/api" || cfg.CAFile != filepath.Join(a.dir, "ca.pem") || cfg.file != path {
		t.Errorf("read %+v", cfg)
	}
}

func TestMistakesInConfigAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[enterprise]\nenabled = 1":                ":2: enterprise.enabled wants true or false",
		"[enterprise]\n\nteam = [\"a\"]":           ":3: enterprise.team wants a text in quotes",
		"[enterprise]\napi_key = \"bpe_secret\"":   ":2: unknown key \"enterprise.api_key\"; known are enabled, api_url",
		"[enterprise]\nteam = \"a\"\nteam = \"b\"": ":3:",
		"enterprise = 1":                           ":1: enterprise wants a table",
		"[enterprise":                              ":1:",
		"[enterprise]\n[enterprise.sub]\nx = 1":    "unknown key \"enterprise.sub",
		strings.Repeat("#", maxConfig+1):           "is not a file of at most",
	} {
		a := testApp(t, nil)
		a.configFile = filepath.Join(a.dir, "c.toml")
		writeFile(t, a.configFile, text)
		_, err := a.config()
		if err == nil || !strings.Contains(err.Error(), a.configFile) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "bpe_secret") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// A file that another account put above the working directory must not decide
// where keys are sent.
func TestConfigOfAStranger(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	a := testApp(t, map[string]string{envKey: "bpe_1"})
	path := filepath.Join(a.dir, configDir, configName)
	writeFile(t, path, "[enterprise]\napi_url = \"https://attacker.example.com\"\n")
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	ask := func() (server, error) {
		cfg, err := a.config()
		if err != nil {
			t.Fatal(err)
		}
		return a.server(cfg)
	}
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), "belongs to another account (uid 12345)") {
		t.Errorf("the stranger's server: %v", err)
	}
	a.configFile = path
	if s, err := ask(); err != nil || s.urlFrom != path {
		t.Errorf("named by --config: %+v, %v", s, err)
	}
	a.configFile, a.apiURL = "", "https://mine.example.com"
	if s, err := ask(); err != nil || s.url.Host != "mine.example.com" {
		t.Errorf("beside --api-url: %+v, %v", s, err)
	}
	writeFile(t, path, "[enterprise]\nca_file = \"ca.pem\"\n")
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), "says ca_file and belongs to another account") {
		t.Errorf("the stranger's authority: %v", err)
	}
}

func TestAddressesOfServers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://Example.com/":          "https://example.com",
		" http://localhost:8780 ":       "http://localhost:8780",
		"https://example.com/prefix///": "https://example.com/prefix",
		"example.com":                   "",
		"https://":                      "",
		"file:///etc/passwd":            "",
		"https://a:secret@example.com":  "",
		"https://example.com?q=1":       "",
		"https://a:secret@exa mple.com": "",
	} {
		got := ""
		u, err := parseURL(text)
		if err == nil {
			got = u.String()
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats a password: %v", text, err)
		}
		if got != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestReplaceFileLeavesNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "file")
	for _, text := range []string{"one", "two"} {
		if err := replaceFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("holds %q, %v, want %q", got, err, text)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside it are %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
