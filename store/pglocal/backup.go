package pglocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Backup writes a database into a file in pg_dump's custom format, which
// pg_restore reads, and returns when the file is on the disk and pg_restore has
// listed what is in it. The URL is as in store.Config, of any server that is no
// newer than the programs. The file must not exist; it is closed to others, and
// is there as a whole or not at all.
func Backup(ctx context.Context, programs Binaries, databaseURL, file string) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("backing up into %s: it exists already", file)
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".backup-")
	if err != nil {
		return fmt.Errorf("backing up into %s: %w", file, err)
	}
	defer os.RemoveAll(dir)
	if err := backup(ctx, programs, databaseURL, dir); err != nil {
		return fmt.Errorf("backing up into %s: %w", file, err)
	}
	// A link, unlike a rename, does not replace what came there meanwhile.
	if err := os.Link(filepath.Join(dir, dumpName), file); err != nil {
		return fmt.Errorf("backing up into %s: %w", file, err)
	}
	return syncDir(filepath.Dir(file))
}

const (
	dumpName    = "dump"
	serviceName = "backup"
)

func backup(ctx context.Context, programs Binaries, databaseURL, dir string) error {
	service, err := serviceFile(databaseURL)
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "service.conf")
	if err := os.WriteFile(conf, []byte(service), 0o600); err != nil {
		return err
	}
	dump := filepath.Join(dir, dumpName)
	err = program(ctx, programs.Path("pg_dump"), []string{"PGSERVICEFILE=" + conf},
		"--format=custom", "--no-owner", "--no-privileges", "--no-password", "--file="+dump, "--dbname=service="+serviceName)
	if err != nil {
		return err
	}
	if err := program(ctx, programs.Path("pg_restore"), nil, "--list", dump); err != nil {
		return err
	}
	if err := os.Chmod(dump, 0o600); err != nil {
		return err
	}
	return syncFile(dump)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// program runs one of PostgreSQL's programs; the error has what it said.
func program(ctx context.Context, path string, env []string, args ...string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(childEnv(), env...)
	cmd.Stderr = &said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s is not there; it comes with PostgreSQL's client programs", path)
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(path), err, strings.TrimSpace(said.String()))
}

// serviceFile is the URL as a connection service file
// (www.postgresql.org/docs/current/libpq-pgservice.html): what a URL holds may be
// a password, which must neither be an argument nor in the environment.
func serviceFile(databaseURL string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("the database URL is none: it must begin with postgres://")
	}
	params := map[string]string{"host": u.Hostname(), "port": u.Port(), "dbname": strings.TrimPrefix(u.Path, "/")}
	if u.User != nil {
		params["user"] = u.User.Username()
		params["password"], _ = u.User.Password()
	}
	for name, values := range u.Query() {
		// The pool's own settings are none of libpq's.
		if !strings.HasPrefix(name, "pool_") {
			params[name] = values[len(values)-1]
		}
	}
	lines := []string{"[" + serviceName + "]"}
	for name, value := range params {
		if strings.ContainsAny(name+value, "\n\r") {
			return "", fmt.Errorf("the database URL has a line break in %s", name)
		}
		if value != "" {
			lines = append(lines, name+"="+value)
		}
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n") + "\n", nil
}
