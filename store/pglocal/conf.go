package pglocal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// baseSettings suit a machine of two cores and a few gigabytes whose database
// is mostly read. The log keeps neither statements nor row values: they may
// hold prompts.
var baseSettings = map[string]string{
	"cluster_name":                "blameprompt",
	"timezone":                    "UTC",
	"log_timezone":                "UTC",
	"lc_messages":                 "C",
	"max_connections":             "100",
	"shared_buffers":              "256MB",
	"effective_cache_size":        "1GB",
	"work_mem":                    "16MB",
	"maintenance_work_mem":        "128MB",
	"random_page_cost":            "1.1",
	"jit":                         "off",
	"wal_compression":             "on",
	"min_wal_size":                "80MB",
	"max_wal_size":                "1GB",
	"unix_socket_permissions":     "0777",
	"log_destination":             "stderr",
	"log_line_prefix":             "%m [%p] ",
	"log_error_verbosity":         "terse",
	"log_min_error_statement":     "panic",
	"log_checkpoints":             "off",
	"log_autovacuum_min_duration": "-1",
}

// volatileSettings trade durability for speed.
var volatileSettings = map[string]string{
	"fsync":              "off",
	"synchronous_commit": "off",
	"full_page_writes":   "off",
}

// guarded settings keep the package's promises and cannot be overridden.
var guarded = []string{
	"data_directory", "config_file", "hba_file", "ident_file", "external_pid_file", "include", "include_dir",
	"include_if_exists", "listen_addresses", "logging_collector", "port", "unix_socket_directories",
	"unix_socket_group", "unix_socket_permissions",
}

var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// configure writes the managed configuration and makes the cluster include it.
func (c *Cluster) configure() error {
	settings, err := c.settings()
	if err != nil {
		return err
	}
	files := map[string]string{
		c.paths.conf:  renderConf(settings),
		c.paths.hba:   managed + "local all all peer map=blameprompt\n",
		c.paths.ident: managed + renderIdent(c.owner),
	}
	root, err := os.OpenRoot(c.paths.root)
	if err != nil {
		return fmt.Errorf("writing PostgreSQL's configuration: %w", err)
	}
	defer root.Close()
	for path, text := range files {
		if err := replaceFile(root, filepath.Base(path), text); err != nil {
			return fmt.Errorf("writing PostgreSQL's configuration: %w", err)
		}
	}
	return includeConf(c.paths.data)
}

const managed = "# Written by blamepromptd at every start; changes are lost.\n"

func (c *Cluster) settings() (map[string]string, error) {
	all := maps.Clone(baseSettings)
	if c.cfg.Volatile {
		maps.Copy(all, volatileSettings)
	}
	for name, value := range c.cfg.Settings {
		if !settingName.MatchString(name) || strings.ContainsAny(value, "\x00\r\n") {
			return nil, fmt.Errorf("reading the PostgreSQL setting %q: not a name with a one-line value", name)
		}
		if slices.Contains(guarded, name) {
			return nil, fmt.Errorf("reading the PostgreSQL setting %q: the private cluster does not allow it", name)
		}
		all[name] = value
	}
	all["listen_addresses"] = ""
	all["port"] = port
	all["unix_socket_directories"] = c.socket
	all["logging_collector"] = "off"
	all["hba_file"] = c.paths.hba
	all["ident_file"] = c.paths.ident
	return all, nil
}

func renderConf(settings map[string]string) string {
	var b strings.Builder
	b.WriteString(managed)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, quoteConf.Replace(settings[name]))
	}
	return b.String()
}

var quoteConf = strings.NewReplacer(`\`, `\\`, `'`, `''`)

// renderIdent lets the daemon, and by hand the account that owns the files
// anyway, be the application's role and the superuser.
func renderIdent(owner account) string {
	var b strings.Builder
	for _, system := range slices.Compact([]string{owner.daemon, owner.name}) {
		for _, role := range []string{Role, Superuser} {
			fmt.Fprintf(&b, "blameprompt %q %s\n", system, role)
		}
	}
	return b.String()
}

// replaceFile writes a file that the account may read, whole or not at all.
func replaceFile(root *os.Root, name, text string) error {
	next := name + ".new"
	if err := root.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	if err := root.Chmod(next, 0o644); err != nil {
		return err
	}
	return root.Rename(next, name)
}

// includeConf appends the include to the cluster's own file if it is missing,
// as after initdb or pg_upgrade. The path is relative: data may be moved.
func includeConf(data string) error {
	root, err := os.OpenRoot(data)
	if err != nil {
		return fmt.Errorf("including the managed configuration: %w", err)
	}
	defer root.Close()
	line := []byte("include '../" + confName + "'\n")
	text, err := root.ReadFile("postgresql.conf")
	if err != nil {
		return fmt.Errorf("including the managed configuration: %w", err)
	}
	if bytes.HasSuffix(text, append([]byte("\n"), line...)) {
		return nil
	}
	f, err := root.OpenFile("postgresql.conf", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("including the managed configuration: %w", err)
	}
	_, err = f.Write(append([]byte("\n"), line...))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("including the managed configuration: %w", err)
	}
	return nil
}
