package main

import (
	"fmt"
	"strings"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/store"
)

// greeting is the banner in JSON.
type greeting struct {
	Version string `json:"version"`
	API     string `json:"api"`
	// SSH is the address of the gateway, empty for none.
	SSH     string `json:"ssh,omitempty"`
	DataDir string `json:"data_dir"`
	// PostgreSQL is the version of the private one, empty for another one.
	PostgreSQL string `json:"postgresql,omitempty"`
	// AdminKey and SetupLink are there on the first start alone.
	AdminKey  string `json:"admin_key,omitempty"`
	SetupLink string `json:"setup_link,omitempty"`
	// Demo is how to sign in to a demo.
	Demo *demoLogin `json:"demo,omitempty"`
}

// greet says where the daemon is to be found, and what its first key and the
// link of its first account are.
func (a *app) greet(cfg *Config, database *database, first store.FirstSecrets, login *demoLogin) error {
	g := greeting{Version: buildVersion().Version, API: cfg.publicURL(), DataDir: cfg.DataDir, AdminKey: first.Key, Demo: login}
	if first.Setup != "" {
		g.SetupLink = auth.LinkURL(cfg.publicURL(), store.LinkSetup, first.Setup)
	}
	if cfg.SSHAddr != off {
		g.SSH = cfg.SSHAddr
	}
	if database.cluster != nil {
		g.PostgreSQL = database.cluster.Version()
	}
	if a.json {
		return a.printJSON(g)
	}
	if _, err := a.stdout.Write([]byte(g.text())); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

func (g greeting) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "BlamePrompt Enterprise %s\n\n", g.Version)
	line := func(name, value string) { fmt.Fprintf(&b, "  %-11s %s\n", name, value) }
	line("API", g.API+"/api/v1")
	if g.SSH != "" {
		line("SSH", "ssh://git@"+g.SSH)
	}
	line("Data", g.DataDir)
	if g.PostgreSQL != "" {
		line("Database", "PostgreSQL "+g.PostgreSQL+", private, in the data directory")
	}
	if g.AdminKey != "" {
		line("Admin key", g.AdminKey)
		line("First login", g.SetupLink)
		b.WriteString("\n  Keep the key now: it is not shown again. It administers the organisation \"default\".\n" +
			"  The link makes the first account, once, within a day.\n")
	}
	if g.Demo != nil {
		b.WriteString(g.Demo.text(g.API))
		return b.String()
	}
	b.WriteString("\n  Add a repository: blamepromptd repo add NAME URL\n\n")
	return b.String()
}
