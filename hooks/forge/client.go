package forge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

// ClientConfig says how forges may be spoken to.
type ClientConfig struct {
	// CheckAddress refuses addresses that must not be connected to. It sees every
	// address right before the connection is made. Nil allows all.
	CheckAddress func(host string, addr netip.Addr) error
	// AllowHTTP lets tokens travel in the clear, for a forge in one's own network.
	AllowHTTP bool
	// CAFile holds PEM certificates to trust instead of the system's.
	CAFile string
	// Timeout bounds one request; 0 means 15 seconds.
	Timeout time.Duration
	// Rest is how long a host is left alone that failed five times in a row; 0
	// means 30 seconds.
	Rest time.Duration
	// UserAgent names the program to the forge; empty means "blamepromptd".
	UserAgent string
}

// Client speaks to the APIs of forges. It is safe for concurrent use.
//
// Every error that comes from a forge, or from the way to it, is a *CallError. A
// call that the forge's limits or the state of its host forbid is not made.
type Client struct {
	http      *http.Client
	allowHTTP bool
	timeout   time.Duration
	userAgent string
	rests     rests
	limits    limits
}

// Bounds of a connection.
const (
	defaultTimeout = 15 * time.Second
	connectTimeout = 10 * time.Second
	defaultRest    = 30 * time.Second
	// maxConns is the number of requests to one host at a time.
	maxConns = 4
	// maxAnswerHeader bounds the header of an answer.
	maxAnswerHeader = 256 << 10
)

// NewClient prepares a client. It connects to nobody yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	transport, err := Transport(cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{
		// Redirects are judged in send.
		http:      &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		allowHTTP: cfg.AllowHTTP, timeout: cfg.Timeout, userAgent: cfg.UserAgent, rests: rests{pause: cfg.Rest},
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.userAgent == "" {
		c.userAgent = "blamepromptd"
	}
	if c.rests.pause == 0 {
		c.rests.pause = defaultRest
	}
	return c, nil
}

// Transport makes connections as CheckAddress and CAFile of cfg allow them:
// directly, and to addresses that are checked when the connection is made.
func Transport(cfg ClientConfig) (*http.Transport, error) {
	roots, err := readRoots(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		DialContext:         dialer(cfg.CheckAddress),
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: connectTimeout, MaxConnsPerHost: maxConns, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: maxAnswerHeader, ForceAttemptHTTP2: true,
	}, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the certificates to trust: %s holds none", file)
	}
	return roots, nil
}

// AddressError is a refusal of ClientConfig.CheckAddress, as the transport
// returns it.
type AddressError struct{ err error }

func (e *AddressError) Error() string { return e.err.Error() }
func (e *AddressError) Unwrap() error { return e.err }

// dialer connects directly, without any proxy, and only to addresses that check
// allows: it sees them after the name was resolved.
func dialer(check func(string, netip.Addr) error) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := &net.Dialer{Timeout: connectTimeout}
		if check != nil {
			d.Control = func(_, resolved string, _ syscall.RawConn) error { return checkDial(check, address, resolved) }
		}
		return d.DialContext(ctx, network, address)
	}
}

func checkDial(check func(string, netip.Addr) error, address, resolved string) error {
	at, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return &AddressError{fmt.Errorf("%q is no address", resolved)}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if err := check(host, at.Addr()); err != nil {
		return &AddressError{err}
	}
	return nil
}

// State is what a status says.
type State string

// The states of a status.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
)

// StatusContext tells our status from those of others at the same commit.
const StatusContext = "blameprompt"

// maxDescription is the length in characters that every forge takes.
const maxDescription = 140

// Status is a verdict to show at a commit.
type Status struct {
	State State
	// Description is shortened to what the forge takes.
	Description string
	// URL is where the verdict is explained.
	URL string
}

// Repo is a repository as a forge lists it.
type Repo struct {
	// Path is the owner's path and the name: "acme/payments".
	Path string
	// HTTPURL and SSHURL are addresses to fetch from, without passwords; empty
	// where the forge offers none.
	HTTPURL string
	SSHURL  string
	// DefaultBranch is empty where the forge does not tell.
	DefaultBranch string
	Archived      bool
	Fork          bool
	Private       bool
}

// MaxRepos is the largest number of repositories that are listed.
const MaxRepos = 50_000

// Webhook is a webhook that tells of pushes.
type Webhook struct {
	URL    string
	Secret Secret
}

// api is what each forge's file implements.
type api interface {
	// check asks for what only a valid token sees.
	check(ctx context.Context) error
	setStatus(ctx context.Context, repo, commit string, s Status) error
	listRepos(ctx context.Context, add func(Repo) error) error
	// hooks is where the webhooks of a repository are kept, or of the owner if
	// repo is empty.
	hooks(repo string) (hookPlace, error)
}

// api returns the API of an account.
func (c *Client) api(a Account) (api, error) {
	base, err := url.Parse(a.APIURL)
	if err != nil || base.Host == "" {
		return nil, &CallError{Err: ErrAddress, Detail: "the address of the API is malformed"}
	}
	if base.Scheme != "https" && !c.allowHTTP {
		return nil, &CallError{Err: ErrAddress, Detail: "http sends the token in the clear: use https, " +
			"or allow private addresses for a server in your own network"}
	}
	s := session{client: c, account: a, base: base}
	switch {
	case a.Forge == GitHub:
		return githubAPI{s}, nil
	case a.Forge == GitLab:
		return gitlabAPI{s}, nil
	case a.Forge == Gitea:
		return giteaAPI{s}, nil
	case a.Forge == Bitbucket && a.cloud():
		return cloudAPI{s}, nil
	case a.Forge == Bitbucket:
		return dataCenterAPI{s}, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoAPI, cleanText(string(a.Forge), maxEvent))
}

// Check reports whether the forge answers, knows the token and shows it the
// owner.
func (c *Client) Check(ctx context.Context, a Account) error {
	api, err := c.api(a)
	if err != nil {
		return err
	}
	return api.check(ctx)
}

// SetStatus shows a verdict at a commit, in the place of the one before. The
// same once more does no harm.
func (c *Client) SetStatus(ctx context.Context, a Account, repo, commit string, s Status) error {
	api, err := c.api(a)
	if err != nil {
		return err
	}
	if !objectID(commit) || commit == "" {
		return &CallError{Err: ErrRejected, Detail: "the commit's id is malformed"}
	}
	s.Description = shorten(s.Description, maxDescription)
	return api.setStatus(ctx, repo, commit, s)
}

// ListRepos returns every repository of the account's owner that the token
// sees, subgroups included, in the forge's order.
func (c *Client) ListRepos(ctx context.Context, a Account) ([]Repo, error) {
	api, err := c.api(a)
	if err != nil {
		return nil, err
	}
	var repos []Repo
	seen := map[string]bool{}
	err = api.listRepos(ctx, func(r Repo) error {
		if len(repos) == MaxRepos {
			return &CallError{Err: ErrAnswer, Detail: fmt.Sprintf("more than %d repositories", MaxRepos)}
		}
		if r.Path = cleanText(r.Path, maxFullName); checkPath(r.Path, 0) != nil || seen[r.Path] {
			return nil
		}
		seen[r.Path] = true
		r.HTTPURL, r.SSHURL = withoutSecrets(r.HTTPURL), withoutSecrets(r.SSHURL)
		r.DefaultBranch = cleanText(r.DefaultBranch, maxFullName)
		repos = append(repos, r)
		return nil
	})
	return repos, err
}

// CreateWebhook makes sure that pushes are told to the webhook's URL, signed
// with its secret: by the one that has this URL already, else by a new one. An
// empty repo means all repositories of the owner, which is not offered
// everywhere and needs more than other tokens may: ErrMissing or ErrForbidden.
func (c *Client) CreateWebhook(ctx context.Context, a Account, repo string, h Webhook) (created bool, err error) {
	api, err := c.api(a)
	if err != nil {
		return false, err
	}
	place, err := api.hooks(repo)
	if err != nil {
		return false, err
	}
	return place.ensure(ctx, h)
}

// IsOwnersFault reports whether a call failed for a reason that stays until
// somebody changes token, permissions or settings at the forge.
func IsOwnersFault(err error) bool {
	for _, kind := range []error{ErrToken, ErrForbidden, ErrMissing, ErrRejected, ErrAddress} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// shorten cuts a text to a number of characters, at a word if one ends near.
func shorten(text string, limit int) string {
	text = cleanText(text, 4*maxDetail)
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}
