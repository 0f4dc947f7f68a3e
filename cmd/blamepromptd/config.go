package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store/queue"
)

// Config is every setting of the program. The tags are its documentation: the
// key in blamepromptd.toml, the default, and what the setting means. Its
// environment variable is BLAMEPROMPT_ and the key in capitals; its flag is the
// key with dashes. Secrets have no flag, since flags can be seen in ps; they may
// also be given as the name of a file, in the variable with _FILE at its end.
type Config struct {
	DataDir string `toml:"data_dir" doc:"Directory of everything that is kept: mirrors, key file, private PostgreSQL. Unset: the directory that systemd gives (STATE_DIRECTORY), else data in the checkout that the program is run in (if root's PostgreSQL can enter it, which below /root it cannot), else /var/lib/blameprompt."`

	DatabaseURL      string `toml:"database_url" secret:"true" doc:"PostgreSQL 14 or newer to use, as a postgres:// URL. Unset: a private PostgreSQL in the data directory."`
	DatabaseMaxConns int    `toml:"database_max_conns" default:"20" doc:"Most connections to the database at a time."`
	PostgresBinDir   string `toml:"postgres_bin_dir" doc:"Directory of initdb and postgres for the private PostgreSQL. Unset: found on PATH and where distributions put them."`
	PostgresUser     string `toml:"postgres_user" doc:"Account that runs the private PostgreSQL when the daemon is root. Unset: postgres, else nobody."`
	QueuePollOnly    bool   `toml:"queue_poll_only" default:"false" doc:"Do without LISTEN/NOTIFY, for poolers that cannot pass it on. Sessions must stay whole in any case."`

	HTTPAddr       string   `toml:"http_addr" default:"127.0.0.1:8780" doc:"Address of API and webhooks."`
	SSHAddr        string   `toml:"ssh_addr" default:"127.0.0.1:2222" doc:"Address of the SSH gateway, or off for none."`
	PublicURL      string   `toml:"public_url" doc:"URL under which people and forges reach http_addr. Unset: http:// and http_addr."`
	TrustedProxies []string `toml:"trusted_proxies" doc:"Addresses or networks (CIDR) of proxies in front of http_addr, whose X-Forwarded-For tells where requests come from. In the environment and as a flag: separated by commas."`

	SessionIdle     Duration `toml:"session_idle" default:"12h" doc:"How long somebody who is signed in stays so without doing anything."`
	SessionLifetime Duration `toml:"session_lifetime" default:"168h" doc:"How long somebody who is signed in stays so at most."`

	HookSocket      string `toml:"hook_socket" doc:"Unix socket on which the hooks of this machine ask, or off for none. Unset: hook.sock in the data directory."`
	HookSocketMode  string `toml:"hook_socket_mode" default:"0600" doc:"Permissions of hook_socket. Who may write to it may have pushes judged for any organisation."`
	HookSocketGroup string `toml:"hook_socket_group" doc:"Group of hook_socket, by name or number; with 0660 its members may ask: the accounts that git runs as."`
	HookProgram     string `toml:"hook_program" doc:"The program blameprompt-hook, for hooks install and the gateway. Unset: beside blamepromptd, else on PATH."`

	SSHHostKeyFile     string   `toml:"ssh_host_key_file" doc:"Private key by which clients know the gateway; made if missing. Unset: ssh_host_key in the data directory."`
	SSHIdleTimeout     Duration `toml:"ssh_idle_timeout" default:"10m" doc:"After how long a connection to the gateway ends on which nothing moves."`
	SSHSessionTimeout  Duration `toml:"ssh_session_timeout" default:"2h" doc:"How long a connection to the gateway may last."`
	SSHUserSessions    int      `toml:"ssh_user_sessions" default:"50" doc:"Sessions that a user may have at the gateway at a time."`
	SSHAddrConnections int      `toml:"ssh_address_connections" default:"100" doc:"Connections that an address may have to the gateway at a time."`
	SSHMaxPush         int      `toml:"ssh_max_push" default:"4096" doc:"Largest push through the gateway, in MiB."`

	LogLevel  string `toml:"log_level" default:"info" doc:"debug, info, warn or error."`
	LogFormat string `toml:"log_format" default:"auto" doc:"json, console, or auto: console on a terminal."`

	SealKeyFile string `toml:"seal_key_file" doc:"File with the 32 bytes that encrypt secrets in the database; made if missing. Unset: seal.key in the data directory."`

	FileRoots        []string `toml:"file_roots" doc:"Directories below which repositories may be added by path. In the environment and as a flag: separated by commas."`
	PrivateAddresses bool     `toml:"private_addresses" default:"false" doc:"Allow remotes, APIs of forges, and endpoints, on loopback, link-local and private addresses, and over http."`
	SSHKeyFile       string   `toml:"ssh_key_file" doc:"Private key for remotes over ssh; they need it."`
	SSHKnownHosts    string   `toml:"ssh_known_hosts_file" doc:"Host keys of remotes over ssh. Unset: known_hosts in the data directory."`
	SSHAcceptNew     bool     `toml:"ssh_accept_new_hosts" default:"false" doc:"Trust the key of a host at its first sight. A changed key is refused all the same."`
	CAFile           string   `toml:"ca_file" doc:"PEM certificates to trust for remotes and APIs of forges over https instead of the system's."`
	FetchWorkers     int      `toml:"fetch_workers" default:"4" doc:"Repositories that are fetched at a time."`
	FetchTimeout     Duration `toml:"fetch_timeout" default:"30m" doc:"Longest time that git may take for one fetch."`
	SweepEvery       Duration `toml:"sweep_every" default:"30s" doc:"Pause between two looks for repositories that no event spoke of."`
	SweepActive      Duration `toml:"sweep_active" default:"5m" doc:"Pause between fetches of a repository that changed within a day."`
	SweepIdle        Duration `toml:"sweep_idle" default:"1h" doc:"Pause between fetches of any other repository."`

	MaxWaiver Duration `toml:"max_waiver" default:"8784h" doc:"How long a waiver may be valid at most; 8784h are 366 days."`

	ConnectionsEvery Duration `toml:"connections_every" default:"30m" doc:"Pause between two looks for new repositories of a connection to a forge."`

	StopTimeout Duration `toml:"stop_timeout" default:"10s" doc:"How long requests and fetches may go on after the signal to stop."`
}

// Duration is a time.Duration that is written as Go writes it: 30s, 5m, 1h30m.
// It is a struct so that a bare number, which would be nanoseconds, is refused.
type Duration struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30s, 5m or 1h30m", text)
	}
	d.Duration = v
	return nil
}

// check reports every setting that cannot be used.
func (c *Config) check() error {
	return errors.Join(
		checkAddr("http_addr", c.HTTPAddr),
		checkSSH(c),
		checkPublicURL(c.PublicURL),
		checkProxies(c.TrustedProxies),
		checkPositive("session_idle", c.SessionIdle),
		checkPositive("session_lifetime", c.SessionLifetime),
		checkHookSocket(c),
		checkDatabaseURL(c.DatabaseURL),
		checkLog(c.LogLevel, c.LogFormat),
		checkRange("database_max_conns", c.DatabaseMaxConns, 12, 1000),
		checkRange("fetch_workers", c.FetchWorkers, 1, 64),
		checkConns(c.DatabaseMaxConns, c.FetchWorkers),
		checkPositive("fetch_timeout", c.FetchTimeout),
		checkPositive("sweep_every", c.SweepEvery),
		checkPositive("sweep_active", c.SweepActive),
		checkPositive("sweep_idle", c.SweepIdle),
		checkPositive("connections_every", c.ConnectionsEvery),
		checkPositive("stop_timeout", c.StopTimeout),
		checkAbsolute("ssh_key_file", c.SSHKeyFile),
		checkAbsolute("ssh_known_hosts_file", c.SSHKnownHosts),
		checkAbsolute("ca_file", c.CAFile),
		checkAbsolute("file_roots", c.FileRoots...),
	)
}

func checkAddr(key, addr string) error {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("%s: %q is not an address such as 127.0.0.1:8780 or :8780", key, addr)
	}
	return nil
}

// off is the address or socket that is not opened.
const off = "off"

func checkSSH(c *Config) error {
	if c.SSHAddr != off {
		if err := checkAddr("ssh_addr", c.SSHAddr); err != nil {
			return err
		}
	}
	return errors.Join(
		checkAbsolute("ssh_host_key_file", c.SSHHostKeyFile),
		checkPositive("ssh_idle_timeout", c.SSHIdleTimeout),
		checkPositive("ssh_session_timeout", c.SSHSessionTimeout),
		checkRange("ssh_user_sessions", c.SSHUserSessions, 1, 10_000),
		checkRange("ssh_address_connections", c.SSHAddrConnections, 1, 100_000),
		checkRange("ssh_max_push", c.SSHMaxPush, 1, 1<<20),
	)
}

func checkPublicURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("public_url: %q is not a URL such as https://blameprompt.example.com", text)
	}
	return nil
}

func checkProxies(texts []string) error {
	_, err := prefixes(texts)
	return err
}

// prefixes reads addresses and networks.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		list = append(list, prefix)
	}
	return list, nil
}

// checkDatabaseURL never quotes the value, which may hold a password.
func checkDatabaseURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New("database_url: not a URL such as postgres://user:password@host:5432/database")
	}
	return nil
}

func checkHookSocket(c *Config) error {
	if _, err := socketMode(c.HookSocketMode); err != nil {
		return fmt.Errorf("hook_socket_mode: %w", err)
	}
	if c.HookSocket == off {
		return checkAbsolute("hook_program", c.HookProgram)
	}
	return errors.Join(checkAbsolute("hook_socket", c.HookSocket), checkAbsolute("hook_program", c.HookProgram))
}

func checkLog(level, format string) error {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil || parsed < zerolog.DebugLevel || parsed > zerolog.ErrorLevel {
		return fmt.Errorf("log_level: %q is not debug, info, warn or error", level)
	}
	if format != "auto" && format != "json" && format != "console" {
		return fmt.Errorf("log_format: %q is not auto, json or console", format)
	}
	return nil
}

func checkRange(key string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%s: %d is not between %d and %d", key, value, low, high)
	}
	return nil
}

// checkConns leaves connections for requests: a fetch and a task hold one for
// their lock and one for what they write.
func checkConns(conns, workers int) error {
	if need := 2*(workers+queue.TaskWorkers) + 4; conns < need {
		return fmt.Errorf("database_max_conns: %d is too few for fetch_workers %d; give at least %d", conns, workers, need)
	}
	return nil
}

func checkPositive(key string, d Duration) error {
	if d.Duration <= 0 {
		return fmt.Errorf("%s: %s is not a positive duration", key, d)
	}
	return nil
}

func checkAbsolute(key string, paths ...string) error {
	for _, path := range paths {
		if path != "" && !filepath.IsAbs(path) {
			return fmt.Errorf("%s: %q is not an absolute path", key, path)
		}
	}
	return nil
}

// publicURL is where people reach the API.
func (c *Config) publicURL() string {
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/")
	}
	return "http://" + c.HTTPAddr
}

// The places in the data directory.
func (c *Config) mirrorRoot() string  { return filepath.Join(c.DataDir, "mirrors") }
func (c *Config) postgresDir() string { return filepath.Join(c.DataDir, "postgres") }
func (c *Config) reportDir() string   { return filepath.Join(c.DataDir, "reports") }
func (c *Config) gatewayRoot() string { return filepath.Join(c.DataDir, "gateway") }
func (c *Config) runningFile() string { return filepath.Join(c.DataDir, "daemon.json") }

// hookSocket is the path of the hooks' socket, empty for none.
func (c *Config) hookSocket() string {
	switch c.HookSocket {
	case "":
		return filepath.Join(c.DataDir, "hook.sock")
	case off:
		return ""
	}
	return c.HookSocket
}

func (c *Config) hostKeyFile() string {
	if c.SSHHostKeyFile != "" {
		return c.SSHHostKeyFile
	}
	return filepath.Join(c.DataDir, "ssh_host_key")
}

func (c *Config) sealKeyFile() string {
	if c.SealKeyFile != "" {
		return c.SealKeyFile
	}
	return filepath.Join(c.DataDir, "seal.key")
}

// rules say which remotes may be fetched.
func (c *Config) rules() mirror.Rules {
	knownHosts := c.SSHKnownHosts
	if knownHosts == "" {
		knownHosts = filepath.Join(c.DataDir, "known_hosts")
	}
	return mirror.Rules{
		FileRoots: c.FileRoots, AllowPrivate: c.PrivateAddresses,
		SSHKeyFile: c.SSHKeyFile, KnownHostsFile: knownHosts, AcceptNewHosts: c.SSHAcceptNew, CAFile: c.CAFile,
	}
}
