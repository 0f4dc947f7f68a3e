package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"
)

const (
	envPrefix  = "BLAMEPROMPT_"
	envConfig  = envPrefix + "CONFIG"
	configName = "blamepromptd.toml"
	systemFile = "/etc/blameprompt/" + configName
	// maxSecretFile bounds what is read from a file that holds a secret.
	maxSecretFile = 64 << 10
)

// setting is one field of a Config with what its tags say and where its value
// came from.
type setting struct {
	Key, Default, Doc string
	Secret            bool
	Source            string
	value             reflect.Value
}

// settings lists the fields of cfg in their order.
func settings(cfg *Config) []*setting {
	v := reflect.ValueOf(cfg).Elem()
	list := make([]*setting, v.NumField())
	for i := range list {
		tag := v.Type().Field(i).Tag
		list[i] = &setting{
			Key: tag.Get("toml"), Default: tag.Get("default"), Doc: tag.Get("doc"),
			Secret: tag.Get("secret") == "true", Source: "default", value: v.Field(i),
		}
	}
	return list
}

func (s *setting) env() string  { return envPrefix + strings.ToUpper(s.Key) }
func (s *setting) flag() string { return strings.ReplaceAll(s.Key, "_", "-") }

// set reads the value from text, as the environment and flags give it.
func (s *setting) set(text, source string) error {
	if err := parseInto(s.value, text); err != nil {
		if s.Secret {
			return fmt.Errorf("%s (%s): not readable", s.Key, source)
		}
		return fmt.Errorf("%s (%s): %w", s.Key, source, err)
	}
	s.Source = source
	return nil
}

func parseInto(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(b)
	case reflect.Slice:
		v.Set(reflect.ValueOf(splitList(text)))
	default:
		return fmt.Errorf("settings of type %s cannot be read", v.Type())
	}
	return nil
}

func splitList(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// shown is the value as people may see it.
func (s *setting) shown() any {
	if s.Secret {
		return maskURL(s.value.String())
	}
	if d, ok := s.value.Interface().(Duration); ok {
		return d.String()
	}
	return s.value.Interface()
}

// text is shown for a table.
func (s *setting) text() string {
	if list, ok := s.value.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(s.shown())
}

// maskURL hides what may be a password.
func maskURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.RawQuery == "" {
		return "***"
	}
	query := u.Query()
	if query.Has("password") {
		query.Set("password", "xxxxx")
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}

// loader reads a Config from its sources.
type loader struct {
	lookup func(string) (string, bool)
	// dir is the working directory.
	dir string
	// flags are the command line's; nil for none.
	flags *pflag.FlagSet
}

// load reads, in this order, defaults, file, environment and flags.
func (l *loader) load(file string) (*Config, []*setting, error) {
	cfg := &Config{}
	list := settings(cfg)
	for _, s := range list {
		if s.Default == "" {
			continue
		}
		if err := s.set(s.Default, "default"); err != nil {
			return nil, nil, err
		}
	}
	for _, layer := range []func([]*setting) error{
		func(list []*setting) error { return l.loadFile(cfg, list, file) }, l.loadEnv, l.loadFlags,
	} {
		if err := layer(list); err != nil {
			return nil, nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	l.defaultDataDir(cfg, list)
	if err := cfg.check(); err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return cfg, list, nil
}

// findFile is the configuration file: the one that is named, else the first
// that exists in the working directory or /etc/blameprompt.
func (l *loader) findFile(named string) (string, error) {
	if named == "" {
		named, _ = l.lookup(envConfig)
	}
	if named != "" {
		return named, nil
	}
	for _, path := range []string{filepath.Join(l.dir, configName), systemFile} {
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

func (l *loader) loadFile(cfg *Config, list []*setting, named string) error {
	path, err := l.findFile(named)
	if err != nil || path == "" {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := decodeTOML(text, cfg); err != nil {
		return describeTOML(path, text, err)
	}
	var present map[string]any
	if err := toml.Unmarshal(text, &present); err != nil {
		return describeTOML(path, text, err)
	}
	for _, s := range list {
		if _, ok := present[s.Key]; ok {
			s.Source = path
		}
	}
	return nil
}

func decodeTOML(text []byte, cfg *Config) error {
	return toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(cfg)
}

// describeTOML names file, line and key. It quotes no values: they may be
// secrets.
func describeTOML(path string, text []byte, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: unknown key %q", path, line, strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		if key := strings.Join(decode.Key(), "."); key != "" {
			return fmt.Errorf("%s:%d: %s wants %s", path, line, key, wanted(key))
		}
		return fmt.Errorf("%s:%d:%d: %w", path, line, column, decode)
	}
	// The decoder does not say where a duration is that cannot be read.
	if key, line := findDuration(text); key != "" {
		return fmt.Errorf("%s:%d: %s wants %s", path, line, key, wanted(key))
	}
	return fmt.Errorf("%s: %w", path, err)
}

// findDuration finds the first key whose value is no duration, and its line.
func findDuration(text []byte) (key string, line int) {
	var present map[string]any
	if toml.Unmarshal(text, &present) != nil {
		return "", 0
	}
	for _, s := range settings(&Config{}) {
		value, ok := present[s.Key]
		if _, is := s.value.Interface().(Duration); !is || !ok {
			continue
		}
		if str, ok := value.(string); ok && parseInto(s.value, str) == nil {
			continue
		}
		at := regexp.MustCompile(`(?m)^[ \t]*"?` + s.Key + `"?[ \t]*=`).FindIndex(text)
		if at == nil {
			return s.Key, 1
		}
		return s.Key, 1 + bytes.Count(text[:at[0]], []byte("\n"))
	}
	return "", 0
}

// wanted says what the value of a key looks like in TOML.
func wanted(key string) string {
	for _, s := range settings(&Config{}) {
		if s.Key != key {
			continue
		}
		switch s.value.Interface().(type) {
		case int:
			return "a whole number"
		case bool:
			return "true or false"
		case []string:
			return "a list of texts in quotes"
		case Duration:
			return "a duration in quotes, such as \"30s\", \"5m\" or \"1h30m\""
		}
	}
	return "a text in quotes"
}

func (l *loader) loadEnv(list []*setting) error {
	for _, s := range list {
		text, ok := l.lookup(s.env())
		if s.Secret {
			if file, given := l.lookup(s.env() + "_FILE"); given && file != "" {
				if ok && text != "" {
					return fmt.Errorf("%s and %s_FILE are both set; keep one", s.env(), s.env())
				}
				if err := s.loadSecret(file); err != nil {
					return err
				}
				continue
			}
		}
		if !ok || text == "" {
			continue
		}
		if err := s.set(text, s.env()); err != nil {
			return err
		}
	}
	return nil
}

func (s *setting) loadSecret(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", s.env(), err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return fmt.Errorf("%s_FILE: %s is not a file of at most %d bytes", s.env(), file, maxSecretFile)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", s.env(), err)
	}
	return s.set(strings.TrimRight(string(text), "\r\n"), s.env()+"_FILE")
}

// addFlags gives every setting that is no secret a flag.
func addFlags(flags *pflag.FlagSet) {
	for _, s := range settings(&Config{}) {
		if !s.Secret {
			flags.String(s.flag(), "", s.Doc)
		}
	}
}

func (l *loader) loadFlags(list []*setting) error {
	if l.flags == nil {
		return nil
	}
	for _, s := range list {
		f := l.flags.Lookup(s.flag())
		if f == nil || !f.Changed {
			continue
		}
		if err := s.set(f.Value.String(), "--"+s.flag()); err != nil {
			return err
		}
	}
	return nil
}

const (
	modulePath    = "github.com/blameprompt/enterprise"
	serviceDir    = "/var/lib/blameprompt"
	stateDirEnv   = "STATE_DIRECTORY"
	checkoutDir   = "data"
	checkoutDepth = 32
)

// defaultDataDir decides where the data is when nothing says so, and makes the
// path absolute.
func (l *loader) defaultDataDir(cfg *Config, list []*setting) {
	if cfg.DataDir == "" {
		var source string
		cfg.DataDir, source = l.guessDataDir(cfg.DatabaseURL == "")
		list[0].Source = "default: " + source
	}
	if !filepath.IsAbs(cfg.DataDir) {
		cfg.DataDir = filepath.Join(l.dir, cfg.DataDir)
	}
}

// guessDataDir passes a checkout over whose path the private PostgreSQL could
// not enter: root's daemon runs it as another account, which /root keeps out.
func (l *loader) guessDataDir(private bool) (dir, source string) {
	if state, ok := l.lookup(stateDirEnv); ok && state != "" {
		// systemd separates several by colons (systemd.exec(5)).
		first, _, _ := strings.Cut(state, ":")
		return first, stateDirEnv
	}
	root := checkoutRoot(l.dir)
	switch {
	case root == "":
		return serviceDir, "service"
	case private && os.Geteuid() == 0 && !openToOthers(root):
		return serviceDir, "the checkout is closed to PostgreSQL's account"
	}
	return filepath.Join(root, checkoutDir), "checkout"
}

// openToOthers says whether any account may pass through dir.
func openToOthers(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// checkoutRoot is the directory with this module's go.mod at or above dir.
func checkoutRoot(dir string) string {
	for range checkoutDepth {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+modulePath+"\n") {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
	return ""
}
