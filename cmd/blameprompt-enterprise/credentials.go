package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// credentials are what "login" keeps: keys by the address of the server that
// they are for, and that alone gets to see them.
type credentials map[string]credential

type credential struct {
	Key string `toml:"key"`
	// Name is what the server calls the key.
	Name string `toml:"name"`
}

// credentialsFile is where they are; empty when there is no home.
func (a *app) credentialsFile() string {
	dir, _ := a.lookup("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home, _ := a.lookup("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "blameprompt", "credentials.toml")
}

func (a *app) readCredentials() (credentials, error) {
	path := a.credentialsFile()
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the keys of login: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s can be read by others: run \"chmod 600 %s\", and revoke its keys if others may have", path, path)
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of login: %w", err)
	}
	known := credentials{}
	if err := describeTOML(path, toml.Unmarshal(text, &known)); err != nil {
		return nil, fmt.Errorf("reading the keys of login: %w", err)
	}
	return known, nil
}

// writeCredentials replaces the file as a whole, readable by its owner alone.
func (a *app) writeCredentials(known credentials) (err error) {
	path := a.credentialsFile()
	if path == "" {
		return errors.New("there is no home directory to keep a key in: set HOME or XDG_CONFIG_HOME")
	}
	text, err := toml.Marshal(known)
	if err != nil {
		return fmt.Errorf("writing the keys of login: %w", err)
	}
	if err := replaceFile(path, text); err != nil {
		return fmt.Errorf("writing the keys of login: %w", err)
	}
	return nil
}

// replaceFile writes a file so that it holds the old text or the new one,
// whatever happens meanwhile.
func replaceFile(path string, text []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// Temporary files are for their owner alone.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
