package forge

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
)

const maxURL = 2048

// NormalizeURL returns the key by which two addresses of a repository are
// compared: "host/path", "host:port/path", or "/path" for a local repository.
// Scheme, user and password, query and fragment are dropped, so are the
// scheme's default port, slashes at the end and ".git". The host is folded to
// lower case; the path is not, since not every server ignores its case.
// https, ssh, git and scp-like addresses of one path on one host give one key.
//
// The result is empty, and so matches nothing, for what is not the address of
// a repository: bare names, relative paths, other schemes, transport helpers
// ("ext::"), hosts outside ASCII, addresses with control characters or above
// 2048 bytes.
func NormalizeURL(raw string) string {
	raw = strings.TrimSpace(raw)
	if raw == "" || len(raw) > maxURL || hasControl(raw) || isTransportHelper(raw) {
		return ""
	}
	if strings.Contains(raw, "://") {
		return urlKey(raw)
	}
	if strings.HasPrefix(raw, "/") {
		return pathKey(raw)
	}
	return scpKey(raw)
}

func urlKey(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || hasControl(u.Path) {
		return ""
	}
	if u.Scheme == "file" && (u.Host == "" || u.Host == "localhost") {
		return pathKey(u.Path)
	}
	defaultPort, ok := gitPort(u.Scheme)
	if !ok {
		return ""
	}
	port := u.Port()
	if port == defaultPort {
		port = ""
	}
	return hostKey(u.Hostname(), port, u.Path)
}

// gitPort returns the default port of the schemes that git speaks
// (git-fetch(1), "GIT URLS").
func gitPort(scheme string) (port string, ok bool) {
	switch scheme {
	case "https":
		return "443", true
	case "http":
		return "80", true
	case "ssh", "git+ssh", "ssh+git":
		return "22", true
	case "git":
		return "9418", true
	}
	return "", false
}

// scpKey reads [user@]host:path, which git takes for an ssh address if the
// colon comes before the first slash.
func scpKey(raw string) string {
	host, repo, ok := cutSCP(raw)
	if !ok {
		return ""
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	if strings.HasPrefix(host, "[") {
		host = strings.Trim(host, "[]")
	}
	return hostKey(host, "", repo)
}

func cutSCP(raw string) (host, repo string, ok bool) {
	start := 0
	if open := strings.IndexByte(raw, '['); open >= 0 && !strings.ContainsAny(raw[:open], "/:") {
		start = max(strings.IndexByte(raw, ']'), 0)
	}
	colon := strings.IndexByte(raw[start:], ':')
	if colon < 0 || strings.Contains(raw[:start+colon], "/") {
		return "", "", false
	}
	return raw[:start+colon], raw[start+colon+1:], true
}

func hostKey(host, port, repo string) string {
	host = plainHost(host)
	if host == "" {
		return ""
	}
	if port != "" {
		host += ":" + port
	}
	repo = pathKey(repo)
	if repo == "" {
		return ""
	}
	return host + repo
}

// plainHost returns a host's one spelling, an IPv6 address in brackets, or ""
// for what is no host.
func plainHost(host string) string {
	if strings.Contains(host, ":") {
		address, err := netip.ParseAddr(host)
		if err != nil || address.Zone() != "" {
			return ""
		}
		return "[" + address.String() + "]"
	}
	host = strings.ToLower(host)
	if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return ""
	}
	return host
}

func pathKey(repo string) string {
	for {
		repo = path.Clean("/" + repo)
		bare := strings.TrimSuffix(repo, ".git")
		if bare == repo {
			break
		}
		repo = bare
	}
	if repo == "/" {
		return ""
	}
	return (&url.URL{Path: repo}).EscapedPath()
}

func isTransportHelper(raw string) bool {
	helper, _, ok := strings.Cut(raw, "::")
	return ok && strings.Trim(strings.ToLower(helper), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

func hasControl(s string) bool {
	return cleanText(s, len(s)) != s
}

// withoutSecrets returns an address that is fit to be stored and shown, or ""
// for what has no key.
func withoutSecrets(raw string) string {
	raw = strings.TrimSpace(raw)
	if NormalizeURL(raw) == "" {
		return ""
	}
	if !strings.Contains(raw, "://") {
		return scpWithoutPassword(raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	// The user of ssh is an account's name; that of http is often a token.
	if u.Scheme == "http" || u.Scheme == "https" {
		u.User = nil
	}
	return u.String()
}

// scpWithoutPassword refuses user:password@host:path, which is no scp-like
// address but may be meant as one.
func scpWithoutPassword(raw string) string {
	colon, at := strings.IndexByte(raw, ':'), strings.IndexByte(raw, '@')
	if colon >= 0 && at > colon && !strings.ContainsAny(raw[:at], "/[") {
		return ""
	}
	return raw
}
