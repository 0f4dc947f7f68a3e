package forge

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// ErrNoAPI marks a format that has no API to speak to, or none that is used.
var ErrNoAPI = errors.New("this forge has no API that is used")

// Account is an organisation at a forge, and the token that speaks for it.
type Account struct {
	Forge Name
	// APIURL is as NormalizeAPIURL returns it.
	APIURL string
	// Owner is the name of an organisation or user, the full path of a GitLab
	// group, a Bitbucket workspace, or the key of a Bitbucket project.
	Owner string
	// Token is an access token. For Bitbucket, and only there, "user:password" is
	// taken apart.
	Token Secret
}

// Connectable are the forges whose API is used, in a fixed order.
func Connectable() []Name { return []Name{GitHub, GitLab, Gitea, Bitbucket} }

// site is what is known about the addresses of a forge's API.
type site struct {
	// public is the address of the forge that the name alone means.
	public string
	// root is the path below which a server of one's own has its API.
	root string
}

var sites = map[Name]site{
	GitHub:    {public: "https://api.github.com", root: "/api/v3"},
	GitLab:    {public: "https://gitlab.com/api/v4", root: "/api/v4"},
	Gitea:     {root: "/api/v1"},
	Bitbucket: {public: "https://api.bitbucket.org/2.0", root: "/rest/api/latest"},
}

// cloudRoot ends the addresses of Bitbucket Cloud; all others are Data Center's.
const cloudRoot = "/2.0"

// NormalizeAPIURL returns the one spelling of the address of a forge's API. An
// empty one is the public forge's; one of a server alone gets the path that the
// API has there. Errors: ErrForge, ErrNoAPI, and a plain error that says what is
// wrong without repeating the address, which may hold a password.
func NormalizeAPIURL(f Name, raw string) (string, error) {
	known, ok := sites[f]
	switch {
	case !ok && !isFormat(f):
		return "", fmt.Errorf("%w: %q", ErrForge, cleanText(string(f), maxEvent))
	case !ok:
		return "", fmt.Errorf("%w: %s", ErrNoAPI, f)
	case raw == "" && known.public == "":
		return "", fmt.Errorf("%s runs on servers of one's own: give the address of its API", f)
	case raw == "":
		return known.public, nil
	}
	u, err := url.Parse(raw)
	if err != nil || len(raw) > maxURL || hasControl(raw) {
		return "", errors.New("the address of the API is malformed")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("the address of the API must begin with https://")
	case plainHost(u.Hostname()) == "":
		return "", errors.New("the address of the API names no host")
	case u.User != nil:
		return "", errors.New("the address of the API holds a user name or token: give the token apart from it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("the address of the API must not have a query or fragment")
	}
	return u.Scheme + "://" + apiHost(u) + known.path(f, u), nil
}

func isFormat(f Name) bool {
	_, err := formatOf(f)
	return err == nil
}

func apiHost(u *url.URL) string {
	host, port := plainHost(u.Hostname()), u.Port()
	if standard, _ := gitPort(u.Scheme); port == "" || port == standard {
		return host
	}
	return host + ":" + port
}

// path completes the path of an address. The hosts of github.com and of GitHub
// Enterprise Cloud hold nothing but the API.
func (s site) path(f Name, u *url.URL) string {
	given := strings.TrimRight(path.Clean("/"+u.EscapedPath()), "/")
	switch {
	case strings.HasSuffix(given, s.root):
		return given
	case f == GitHub && strings.HasPrefix(plainHost(u.Hostname()), "api."):
		return given
	case f == Bitbucket && (strings.HasSuffix(given, cloudRoot) || strings.HasSuffix(given, "/rest/api/1.0")):
		return given
	}
	return given + s.root
}

// GitCredential is the user name and password with which git fetches over https
// what the account's token may read.
func (a Account) GitCredential() (user string, password Secret) {
	switch a.Forge {
	case GitHub, Gitea:
		return "x-access-token", a.Token
	case GitLab:
		return "oauth2", a.Token
	}
	account, password, ok := a.basic()
	switch {
	case !ok:
		return "x-token-auth", a.Token
	case a.cloud():
		return "x-bitbucket-api-token-auth", password
	}
	return account, password
}

// basic takes a Bitbucket token apart that is "user:password".
func (a Account) basic() (user string, password Secret, ok bool) {
	if a.Forge != Bitbucket {
		return "", "", false
	}
	user, rest, ok := strings.Cut(string(a.Token), ":")
	return user, Secret(rest), ok
}

func (a Account) cloud() bool { return strings.HasSuffix(a.APIURL, cloudRoot) }

// checkPath refuses paths of repositories that no forge has and that could lead
// a request elsewhere.
func checkPath(repo string, levels int) error {
	parts := strings.Split(repo, "/")
	if len(parts) < 2 || levels > 0 && len(parts) != levels {
		return fmt.Errorf("%q is not the path of a repository, such as owner/name", cleanText(repo, maxFullName))
	}
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || hasControl(part) {
			return fmt.Errorf("%q is not the path of a repository", cleanText(repo, maxFullName))
		}
	}
	return nil
}
