package mirror

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrRefused: the rules do not allow the remote. The message says what is
// wrong with the URL and the way out, and never repeats a credential.
var ErrRefused = errors.New("remote refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Rules say which remotes may be fetched from and with which keys. The zero
// value allows https to public addresses.
type Rules struct {
	// FileRoots are directories below which repositories may be read directly;
	// empty allows none.
	FileRoots []string
	// AllowPrivate allows http, and addresses that are not public.
	AllowPrivate bool
	// Lookup resolves a host name; nil is net.DefaultResolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// SSHKeyFile is the private key and KnownHostsFile the host keys for ssh;
	// both are absolute paths and needed for ssh remotes.
	SSHKeyFile     string
	KnownHostsFile string
	// AcceptNewHosts adds the keys of hosts that KnownHostsFile does not name
	// yet; a changed key is refused all the same.
	AcceptNewHosts bool
	// CAFile holds PEM certificates to trust for https instead of the system's.
	CAFile string
}

// Credential is a user name and a password or token for http and https.
type Credential struct {
	User   string
	Secret string
}

var _ encoding.TextMarshaler = Credential{}

// String hides both parts, for a user name can be a token.
func (c Credential) String() string { return "***" }

// GoString is String.
func (c Credential) GoString() string { return "***" }

// MarshalText is String.
func (c Credential) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Remote is a URL that Rules.Check allowed, with the addresses that it had
// then. It is meant for the next fetch, not for keeping: names move.
type Remote struct {
	rules      Rules
	scheme     string
	url        string
	host       string
	port       string
	addr       netip.Addr
	credential *Credential
}

// String is the URL without credentials, as it can be stored and shown.
func (r Remote) String() string { return r.url }

// GoString is String.
func (r Remote) GoString() string { return r.url }

// Credential returns what the URL carried as user name and password, or nil.
func (r Remote) Credential() *Credential { return r.credential }

// Own returns the remote for a repository of the program's own at dir, an
// absolute path, which needs no rule to allow it.
func Own(dir string) Remote { return Remote{scheme: "file", url: dir} }

const (
	maxURL        = 2048
	lookupTimeout = 10 * time.Second
)

var (
	remoteHelper = regexp.MustCompile(`^[A-Za-z0-9+.-]*::`)
	scpLike      = regexp.MustCompile(`^(?:([^@/:]+)@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+):([^:].*)$`)
	schemeName   = regexp.MustCompile(`(?i)^(https?|ssh|file|git|ftps?)$`)
	hostName     = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)
	sshUser      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
	sshPath      = regexp.MustCompile(`^[A-Za-z0-9_/~.][A-Za-z0-9_/~.+@%,:=-]*$`)
)

// Check returns the remote that rawURL names if the rules allow it, else an
// error that is ErrRefused, or ErrUnreachable for a name without addresses. It
// resolves names within ten seconds: every address that a name has must be
// allowed, and the fetch connects to one of these. Call it before each fetch.
func (r Rules) Check(ctx context.Context, rawURL string) (Remote, error) {
	if err := checkText(rawURL); err != nil {
		return Remote{}, err
	}
	remote, err := r.parse(rawURL)
	if err != nil {
		return Remote{}, err
	}
	remote.rules = r
	if remote.scheme == "file" {
		return remote, nil
	}
	if remote.scheme == "ssh" {
		if err := r.checkSSHFiles(); err != nil {
			return Remote{}, err
		}
	}
	remote.addr, err = r.resolve(ctx, remote.host)
	if err != nil {
		return Remote{}, err
	}
	return remote, nil
}

// checkText refuses what has no place in any form of URL. It quotes nothing,
// for it does not know yet where credentials are.
func checkText(rawURL string) error {
	switch {
	case rawURL == "":
		return refuse("the URL is empty")
	case len(rawURL) > maxURL:
		return refuse("the URL has %d characters, more than %d", len(rawURL), maxURL)
	case rawURL[0] == '-':
		return refuse("the URL begins with '-' like an option")
	case remoteHelper.MatchString(rawURL):
		return refuse("the URL names a remote helper (\"name::address\"): use https:// or ssh://")
	}
	for i := range len(rawURL) {
		switch c := rawURL[i]; {
		case c < ' ' || c == 0x7f:
			return refuse("the URL holds a control character at position %d", i)
		case c == ' ':
			return refuse("the URL holds a space at position %d: write %%20 if it belongs there", i)
		case c > 0x7f:
			return refuse("the URL holds a character outside of ASCII at position %d: percent-encode it", i)
		case c == '\\':
			return refuse("the URL holds a back-slash at position %d: use /", i)
		}
	}
	return nil
}

func (r Rules) parse(rawURL string) (Remote, error) {
	switch {
	case strings.Contains(rawURL, "://"):
		return r.parseURL(rawURL)
	case rawURL[0] == '/':
		return r.parseFile(rawURL)
	}
	m := scpLike.FindStringSubmatch(rawURL)
	if m == nil {
		return Remote{}, refuse("this is neither a URL (https://host/path, ssh://user@host/path), " +
			"nor user@host:path, nor an absolute path")
	}
	if m[1] == "" && schemeName.MatchString(m[2]) {
		return Remote{}, refuse("the URL lacks // after %q", m[2]+":")
	}
	return parseSSH(m[1], m[2], "", m[3], ":")
}

func (r Rules) parseURL(rawURL string) (Remote, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The parser's words quote the URL, and with it the password.
		return Remote{}, refuse("the URL is malformed")
	}
	switch {
	case u.RawQuery != "" || u.ForceQuery:
		return Remote{}, refuse("the URL has a query (?...): git URLs have none")
	case strings.Contains(rawURL, "#"):
		return Remote{}, refuse("the URL has a fragment (#...): git URLs have none")
	}
	switch u.Scheme {
	case "https":
		return parseWeb(u)
	case "http":
		if !r.AllowPrivate {
			return Remote{}, refuse("http sends code and credentials in the clear: use https, " +
				"or allow private addresses for a server in your own network")
		}
		return parseWeb(u)
	case "ssh":
		return parseSSHURL(u)
	case "file":
		if u.Host != "" && u.Host != "localhost" || u.User != nil {
			return Remote{}, refuse("a file URL names no host: write file:///path")
		}
		return r.parseFile(u.Path)
	}
	return Remote{}, refuse("scheme %.20q is not allowed: use https or ssh", u.Scheme)
}

func parseWeb(u *url.URL) (Remote, error) {
	host, port, err := splitHost(u)
	if err != nil {
		return Remote{}, err
	}
	if err := checkPath(u.Path); err != nil {
		return Remote{}, err
	}
	// Names are compared byte by byte where the checked address is pinned.
	host = strings.ToLower(host)
	remote := Remote{scheme: u.Scheme, host: host, port: port}
	if u.User != nil {
		secret, _ := u.User.Password()
		remote.credential = &Credential{User: u.User.Username(), Secret: secret}
		if err := remote.credential.check(); err != nil {
			return Remote{}, err
		}
	}
	remote.url = u.Scheme + "://" + joinPort(host, port) + u.EscapedPath()
	return remote, nil
}

// check refuses what git's credential protocol cannot carry.
func (c Credential) check() error {
	if strings.ContainsAny(c.User+c.Secret, "\x00\r\n") {
		return refuse("the credential holds a line break or NUL")
	}
	return nil
}

func parseSSHURL(u *url.URL) (Remote, error) {
	host, port, err := splitHost(u)
	if err != nil {
		return Remote{}, err
	}
	if _, has := u.User.Password(); has {
		return Remote{}, refuse("ssh takes no password here: register the daemon's key with the server " +
			"and remove the password from the URL")
	}
	return parseSSH(u.User.Username(), host, port, u.Path, "")
}

// parseSSH joins the parts of both notations of ssh remotes; separator is what
// the scp-like one has between host and path.
func parseSSH(user, host, port, path, separator string) (Remote, error) {
	if err := checkHost(host); err != nil {
		return Remote{}, err
	}
	if user != "" && !sshUser.MatchString(user) {
		return Remote{}, refuse("the user name may only hold letters, digits, '_', '.' and '-'")
	}
	if err := checkPath(path); err != nil {
		return Remote{}, err
	}
	if !sshPath.MatchString(path) {
		return Remote{}, refuse("the path holds characters that have no place in an ssh remote")
	}
	address := joinPort(host, port)
	if user != "" {
		address = user + "@" + address
	}
	remote := Remote{scheme: "ssh", host: host, port: port, url: "ssh://" + address + path}
	if separator != "" {
		remote.url = address + separator + path
	}
	return remote, nil
}

// parseFile resolves all symbolic links, so that what is checked against the
// roots is what git opens.
func (r Rules) parseFile(path string) (Remote, error) {
	if len(r.FileRoots) == 0 {
		return Remote{}, refuse("repositories on this machine's disk are not allowed: " +
			"configure the directories that hold them as file roots")
	}
	if !filepath.IsAbs(path) || checkText(path) != nil {
		return Remote{}, refuse("the path is not absolute or holds odd characters")
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !r.belowRoot(real) {
		// One answer for both, so that nothing outside the roots can be probed.
		return Remote{}, refuse("path %.200q is not below a configured file root", path)
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return Remote{}, refuse("path %.200q is not a directory", path)
	}
	return Remote{scheme: "file", url: real}, nil
}

func (r Rules) belowRoot(path string) bool {
	for _, root := range r.FileRoots {
		real, err := filepath.EvalSymlinks(root)
		if err != nil || !filepath.IsAbs(real) {
			continue
		}
		inside, err := filepath.Rel(real, path)
		if err == nil && inside != "." && filepath.IsLocal(inside) {
			return true
		}
	}
	return false
}

func splitHost(u *url.URL) (host, port string, err error) {
	host, port = u.Hostname(), u.Port()
	if strings.HasPrefix(u.Host, "[") {
		host = "[" + host + "]"
	}
	if strings.HasSuffix(u.Host, ":") {
		return "", "", refuse("the URL has a colon without a port")
	}
	if err := checkHost(host); err != nil {
		return "", "", err
	}
	if port == "" {
		return host, "", nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", "", refuse("port %.20q is not between 1 and 65535", port)
	}
	return host, strconv.FormatUint(number, 10), nil
}

func checkHost(host string) error {
	switch {
	case host == "":
		return refuse("the URL names no host")
	case strings.HasPrefix(host, "["):
		_, _, err := literalAddress(host)
		return err
	case len(host) > 253 || !hostName.MatchString(host):
		return refuse("host %.100q is not a host name", host)
	}
	return nil
}

// checkPath looks at the path as the server sees it, percent-decoded.
func checkPath(path string) error {
	if strings.Trim(path, "/") == "" {
		return refuse("the URL names no repository on the host")
	}
	if strings.HasPrefix(path, "-") {
		return refuse("the path begins with '-' like an option")
	}
	for _, segment := range strings.Split(path, "/") {
		if segment == ".." {
			return refuse("the path holds '..'")
		}
	}
	for i := range len(path) {
		if path[i] < ' ' || path[i] == 0x7f {
			return refuse("the path holds an encoded control character")
		}
	}
	return nil
}

func joinPort(host, port string) string {
	if port == "" {
		return host
	}
	return host + ":" + port
}

// resolve returns the address to connect to, IPv4 before IPv6.
func (r Rules) resolve(ctx context.Context, host string) (netip.Addr, error) {
	addr, isAddress, err := literalAddress(host)
	if err != nil {
		return netip.Addr{}, err
	}
	if isAddress {
		return addr, r.CheckAddress(host, addr)
	}
	addrs, err := r.lookup(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	best := addrs[0]
	for _, addr := range addrs {
		if err := r.CheckAddress(host, addr); err != nil {
			return netip.Addr{}, err
		}
		if addr.Unmap().Is4() && !best.Unmap().Is4() {
			best = addr
		}
	}
	return best.Unmap(), nil
}

func (r Rules) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	lookup := r.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	addrs, err := lookup(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = errors.New("no addresses")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: looking up host %s: %w", ErrUnreachable, host, err)
	}
	return addrs, nil
}

// checkSSHFiles makes sure that the paths can stand in ssh's -o options.
func (r Rules) checkSSHFiles() error {
	files := map[string]string{"SSH key": r.SSHKeyFile, "known hosts": r.KnownHostsFile}
	for what, path := range files {
		if !filepath.IsAbs(path) || strings.ContainsAny(path, " \t\r\n\"'%$\\") {
			return refuse("ssh remotes need a %s file: configure its absolute path, without blanks or quotes", what)
		}
	}
	return nil
}
