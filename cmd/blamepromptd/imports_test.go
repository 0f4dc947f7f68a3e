package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed is which packages of this module each package may import: the layout
// of docs/design.md, section 4. A name with /... stands for all below it and
// itself. Tests may use more. A package that is not named here fails the test:
// adding one is a decision, to be taken here.
var allowed = map[string][]string{
	"migrations":              {},
	"notes":                   {},
	"notes/gitcmd":            {},
	"notes/gitcmd/gittest":    {"notes/gitcmd"},
	"notes/mailmap":           {},
	"notes/price":             {},
	"notes/secrets":           {},
	"policy/access":           {},
	"policy/push":             {},
	"policy":                  {"notes", "policy/push"},
	"policy/backtest":         {"policy", "policy/push"},
	"policy/file":             {"policy"},
	"store":                   {"migrations", "notes", "notes/gitcmd", "notes/lines", "notes/price", "notes/secrets", "policy", "policy/access", "policy/push"},
	"store/pglocal":           {},
	"store/queue":             {"store"},
	"store/storetest":         {"migrations", "policy/access", "policy/push", "store", "store/pglocal"},
	"store/storetest/cluster": {"store/storetest"},
	"notes/mirror":            {"notes", "notes/gitcmd", "store"},
	"notes/lines":             {"notes", "notes/gitcmd", "notes/price"},
	"notes/lines/counted":     {"notes/gitcmd", "notes/lines"},
	"notes/lines/added":       {"notes", "notes/gitcmd", "notes/lines", "notes/lines/counted", "notes/mirror", "store"},
	"notes/lines/live":        {"notes", "notes/gitcmd", "notes/lines"},
	"notes/lines/upkeep":      {"notes", "notes/gitcmd", "notes/lines", "notes/lines/counted", "notes/lines/live", "notes/mirror", "store"},
	"notes/lines/reattach":    {"notes", "notes/gitcmd", "notes/lines", "notes/lines/live", "notes/mirror", "store"},
	"notes/ingest":            {"notes", "notes/gitcmd", "notes/lines", "notes/mailmap", "notes/mirror", "notes/price", "policy/access", "store"},
	"hooks":                   {"notes", "notes/gitcmd", "policy", "policy/push"},
	"hooks/forge":             {},
	"hooks/connect":           {"hooks/forge", "notes/mirror", "policy", "policy/access", "store", "store/queue"},
	"hooks/endpoint":          {"hooks/forge", "notes/mirror", "policy/access", "store"},
	"hooks/enforce": {"hooks", "notes", "notes/gitcmd", "notes/lines", "notes/mirror", "notes/price", "policy", "policy/access", "policy/backtest",
		"policy/push", "store", "store/queue"},
	"hooks/gateway":             {"hooks", "notes", "notes/gitcmd", "notes/mirror", "policy", "policy/access", "policy/push", "store"},
	"httpapi/respond":           {"store"},
	"httpapi/cursor":            {"httpapi/respond", "store"},
	"httpapi/export":            {"httpapi/report", "httpapi/report/compliance", "store"},
	"httpapi/report":            {},
	"httpapi/report/compliance": {"httpapi/report", "httpapi/respond", "policy/access", "store"},
	"httpapi/auth":              {"httpapi/respond", "policy/access", "store"},
	"httpapi": {"hooks", "hooks/connect", "hooks/endpoint", "hooks/enforce", "hooks/forge", "httpapi/...", "notes", "notes/ingest", "notes/mirror", "notes/price",
		"policy", "policy/access", "policy/backtest", "policy/push", "store", "store/queue"},
	"ui": {"hooks", "hooks/connect", "hooks/endpoint", "hooks/enforce", "hooks/forge", "httpapi/auth", "httpapi/cursor", "httpapi/export", "httpapi/report/...", "httpapi/respond",
		"notes", "notes/gitcmd", "notes/mirror", "notes/price", "policy", "policy/access", "policy/backtest", "policy/push", "store", "store/queue"},
	"ui/chromium":                 {},
	"ui/screenshots":              {},
	"cmd/blamepromptd":            {"..."},
	"cmd/blamepromptd/daemontest": {"store/storetest"},
	"cmd/blamepromptd/demo": {"hooks/enforce", "hooks/gateway", "httpapi/auth", "httpapi/report/compliance", "notes/gitcmd", "notes/ingest", "notes/lines/added",
		"notes/lines/reattach", "notes/lines/upkeep", "policy", "policy/access", "store", "store/queue"},
	"cmd/blameprompt-hook":       {"hooks", "notes", "notes/gitcmd", "policy", "policy/push"},
	"cmd/blameprompt-enterprise": {"..."},

	"notes/lines/live/livetest": {"notes/gitcmd", "notes/gitcmd/gittest"},
}

// pgxOwner is the only part of the tree that speaks to PostgreSQL.
const pgxOwner = "store"

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", modulePath+"/...").Output()
	if err != nil {
		t.Fatalf("running go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, modulePath+"/")
		rules, ok := allowed[name]
		if !ok {
			t.Errorf("%s is not in the table of this test; say there what it may import", name)
			continue
		}
		for _, path := range p.Imports {
			if fault := judge(name, rules, path); fault != "" {
				t.Error(fault)
			}
		}
	}
}

// judge returns what is wrong with a package importing path, or nothing.
func judge(name string, rules []string, path string) string {
	if strings.HasPrefix(path, "github.com/jackc/pgx") && !within(name, pgxOwner+"/...") {
		return name + " imports " + path + ": only " + pgxOwner + " and what is below it may"
	}
	ours, ok := strings.CutPrefix(path, modulePath+"/")
	if !ok {
		return ""
	}
	if slices.ContainsFunc(rules, func(rule string) bool { return within(ours, rule) }) {
		return ""
	}
	return name + " must not import " + ours
}

func within(name, rule string) bool {
	prefix, all := strings.CutSuffix(rule, "...")
	if !all {
		return name == rule
	}
	return prefix == "" || strings.HasPrefix(name+"/", prefix)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const pgx = "github.com/jackc/pgx/v5"
	for _, c := range []struct {
		name, path string
		allowed    bool
	}{
		{"ui", modulePath + "/httpapi/auth", true},
		{"ui", modulePath + "/httpapi", false},
		{"httpapi", modulePath + "/httpapi/auth", true},
		{"hooks", modulePath + "/store", false},
		{"hooks", "net/http", true},
		{"hooks", pgx, false},
		{"store/queue", pgx, true},
		{"store", pgx + "/pgxpool", true},
		{"cmd/blamepromptd", modulePath + "/httpapi", true},
		{"cmd/blamepromptd", pgx, false},
		{"notes", modulePath + "/store", false},
	} {
		if got := judge(c.name, allowed[c.name], c.path) == ""; got != c.allowed {
			t.Errorf("%s importing %s: allowed %t, want %t", c.name, c.path, got, c.allowed)
		}
	}
}
