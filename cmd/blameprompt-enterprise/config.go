package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2"
)

const (
	envURL     = "BLAMEPROMPT_API_URL"
	envKey     = "BLAMEPROMPT_API_KEY"
	envCAFile  = "BLAMEPROMPT_CA_FILE"
	configDir  = ".blameprompt"
	configName = "config.toml"
	// maxConfig bounds the files that are read here.
	maxConfig = 1 << 20
	// keyPrefix begins every API key. What does not is not sent: a repository's
	// file may name any variable.
	keyPrefix = "bpe_"
)

// Enterprise is the table [enterprise] of a configuration file. The other
// tables of the file are none of our business.
type Enterprise struct {
	// Enabled is whether sync and check do anything; absent is true.
	Enabled *bool `toml:"enabled"`
	// APIURL is the address of the server and APIKeyEnv the variable that holds
	// the key, BLAMEPROMPT_API_KEY if empty.
	APIURL    string `toml:"api_url"`
	APIKeyEnv string `toml:"api_key_env"`
	// SyncOnCommit and EnforcePolicies are what "sync --post-commit" and "check
	// --pre-push" ask for.
	SyncOnCommit    bool `toml:"sync_on_commit"`
	EnforcePolicies bool `toml:"enforce_policies"`
	// Team is whose numbers analytics shows.
	Team string `toml:"team"`
	// Repo is the repository's name at the server.
	Repo string `toml:"repo"`
	// CAFile holds certificates to trust; relative to the directory that
	// .blameprompt is in.
	CAFile string `toml:"ca_file"`
}

// config is what the commands go by.
type config struct {
	Enterprise
	// file is where the table was found, empty for nowhere.
	file string
	// stranger is the account that the file belongs to, if nobody named the file
	// and the account is neither root nor one's own.
	stranger string
}

func (c config) enabled() bool { return c.Enabled == nil || *c.Enabled }

// config reads the configuration: --config, else the nearest file upwards from
// the working directory that has the table, else nothing.
func (a *app) config() (config, error) {
	if a.configFile != "" {
		cfg, _, err := readConfig(a.configFile)
		return cfg, err
	}
	for dir := a.dir; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, configDir, configName)
		cfg, found, err := readConfig(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		case err != nil || found:
			cfg.stranger = a.stranger(path)
			return cfg, err
		}
		if dir == filepath.Dir(dir) {
			return config{}, nil
		}
	}
}

// stranger returns the account that a file belongs to, empty for our own and
// root: whoever can write into a directory above could else have keys sent
// to a server of theirs.
func (a *app) stranger(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	owner := strconv.FormatUint(uint64(stat.Uid), 10)
	sudo, _ := a.lookup("SUDO_UID")
	if stat.Uid == 0 || owner == strconv.Itoa(os.Geteuid()) || os.Geteuid() == 0 && owner == sudo {
		return ""
	}
	return owner
}

// readConfig reads one file, and whether it has the table.
func readConfig(path string) (cfg config, found bool, err error) {
	text, err := readBounded(path)
	if err != nil {
		return config{}, false, fmt.Errorf("reading the configuration: %w", err)
	}
	var all struct {
		Enterprise *Enterprise `toml:"enterprise"`
	}
	err = toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&all)
	if err = describeTOML(path, err); err != nil {
		return config{}, false, fmt.Errorf("reading the configuration: %w", err)
	}
	if all.Enterprise == nil {
		return config{file: path}, false, nil
	}
	cfg = config{Enterprise: *all.Enterprise, file: path}
	if cfg.CAFile != "" && !filepath.IsAbs(cfg.CAFile) {
		cfg.CAFile = filepath.Join(filepath.Dir(filepath.Dir(path)), cfg.CAFile)
	}
	return cfg, true, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfig {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxConfig)
	}
	return os.ReadFile(path)
}

// describeTOML names file, line and key of what is wrong, and passes over
// tables of others. It quotes no values: they may be secrets.
func describeTOML(path string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all []error
		for _, e := range unknown.Errors {
			if key := e.Key(); len(key) > 1 && key[0] == "enterprise" {
				line, _ := e.Position()
				all = append(all, fmt.Errorf("%s:%d: unknown key %q; known are %s", path, line, strings.Join(key, "."),
					strings.Join(configKeys(), ", ")))
			}
		}
		return errors.Join(all...)
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		if key := decode.Key(); len(key) > 0 {
			return fmt.Errorf("%s:%d: %s wants %s", path, line, strings.Join(key, "."), wanted(key[len(key)-1]))
		}
		return fmt.Errorf("%s:%d:%d: %w", path, line, column, decode)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func configKeys() []string {
	var keys []string
	for field := range reflect.TypeFor[Enterprise]().Fields() {
		keys = append(keys, field.Tag.Get("toml"))
	}
	return keys
}

// wanted says what the value of a key looks like.
func wanted(key string) string {
	if key == "enterprise" {
		return "a table"
	}
	for field := range reflect.TypeFor[Enterprise]().Fields() {
		if field.Tag.Get("toml") == key && field.Type.Kind() != reflect.String {
			return "true or false"
		}
	}
	return "a text in quotes"
}

// server is where the API is and who asks.
type server struct {
	url *url.URL
	key string
	// urlFrom and keyFrom say where both come from.
	urlFrom, keyFrom string
	caFile           string
}

// server finds out which server to ask, as whom.
func (a *app) server(cfg config) (server, error) {
	known, err := a.readCredentials()
	if err != nil {
		return server{}, err
	}
	s, err := a.serverURL(cfg, known)
	if err != nil {
		return server{}, err
	}
	s.key, s.keyFrom, err = a.key(cfg, known, s.url.String())
	return s, err
}

func (a *app) serverURL(cfg config, known credentials) (server, error) {
	fromEnv, _ := a.lookup(envURL)
	text, from := "", ""
	switch {
	case a.apiURL != "":
		text, from = a.apiURL, "--api-url"
	case fromEnv != "":
		text, from = fromEnv, envURL
	case cfg.APIURL != "" && cfg.stranger != "":
		return server{}, cfg.distrust("api_url", envURL)
	case cfg.APIURL != "":
		text, from = cfg.APIURL, cfg.file
	case len(known) == 1:
		for address := range known {
			text, from = address, "login"
		}
	default:
		return server{}, fmt.Errorf("no server is named: set %s, or api_url in the table [enterprise] of %s, "+
			"or run \"%s login --api-url URL\"", envURL, filepath.Join(configDir, configName), program)
	}
	address, err := parseURL(text)
	if err != nil {
		return server{}, fmt.Errorf("api_url (%s): %w", from, err)
	}
	fromEnv, _ = a.lookup(envCAFile)
	s := server{url: address, urlFrom: from, caFile: cmp.Or(a.caFile, fromEnv, cfg.CAFile)}
	if cfg.stranger != "" && s.caFile != "" && s.caFile == cfg.CAFile {
		return server{}, cfg.distrust("ca_file", envCAFile)
	}
	return s, nil
}

// distrust says why a key of a stranger's file is not obeyed.
func (c config) distrust(key, variable string) error {
	return fmt.Errorf("%s says %s and belongs to another account (uid %s): if it is to be trusted, name it with --config, "+
		"or set %s", c.file, key, c.stranger, variable)
}

// parseURL reads the address of a server.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		// The error of net/url quotes the text, which may hold a password.
		return nil, errors.New("it is not a URL, such as https://blameprompt.example.com")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("it must be an http or https URL, such as https://blameprompt.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it must be without user, query and fragment")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// key finds the key for a server: the variable that the configuration names,
// BLAMEPROMPT_API_KEY, the file that BLAMEPROMPT_API_KEY_FILE names, what login
// left.
func (a *app) key(cfg config, known credentials, address string) (key, from string, err error) {
	for _, name := range []string{cfg.APIKeyEnv, envKey} {
		if name == "" {
			continue
		}
		if key, _ = a.lookup(name); key != "" {
			return key, name, checkKey(key, name)
		}
	}
	if file, _ := a.lookup(envKey + "_FILE"); file != "" {
		text, err := readBounded(file)
		if err != nil {
			return "", "", fmt.Errorf("%s_FILE: %w", envKey, err)
		}
		key = strings.TrimSpace(string(text))
		return key, file, checkKey(key, file)
	}
	if entry, ok := known[address]; ok {
		return entry.Key, a.credentialsFile(), checkKey(entry.Key, a.credentialsFile())
	}
	return "", "", fmt.Errorf("there is no API key for %s: set %s, or run \"%s login\"", address, cmp.Or(cfg.APIKeyEnv, envKey), program)
}

// checkKey keeps other secrets from being sent.
func checkKey(key, from string) error {
	if !strings.HasPrefix(key, keyPrefix) || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("what %s holds is no API key: they begin with %s", from, keyPrefix)
	}
	return nil
}
