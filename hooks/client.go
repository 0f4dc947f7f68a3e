package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// ClientConfig says where the daemon is and for whom it is asked: either
// Socket or URL and KeyFile are set.
type ClientConfig struct {
	// Socket is the daemon's Unix socket.
	Socket string
	// URL is the daemon's address, https://host or http://host, with a path where
	// the daemon has one.
	URL string
	// KeyFile holds an API key of scope hook. CAFile holds certificates in PEM that
	// are trusted instead of the system's.
	KeyFile, CAFile string
	// Org is the organisation, for a Socket alone; empty is the daemon's default.
	Org string
	// Repo is the name of the repository; empty leaves it to the Push.
	Repo string
	// Patient keeps trying for as long as the context lasts while nobody listens:
	// a daemon that is being restarted is back within seconds.
	Patient bool
}

// Client asks the daemon about pushes of one repository. It uses no proxy and
// follows no redirects: what a hook knows goes to the address that it was
// given.
type Client struct {
	http    *http.Client
	base    string
	query   string
	key     string
	patient bool
}

// ErrAway says that nobody listens where the daemon should be, so that nothing
// was asked.
var ErrAway = errors.New("the policy service cannot be reached")

// StatusError is an answer of the daemon that is no verdict.
type StatusError struct {
	Status int
	// Code and Detail are of the problem document, if it was one.
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (e *StatusError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("the policy service answered with status %d", e.Status)
	}
	return "the policy service answered: " + e.Detail
}

const (
	maxKeyFile = 4 << 10
	maxCAFile  = 1 << 20
	maxProblem = 64 << 10
	// retryStep is the pause between two tries of a patient client.
	retryStep = 100 * time.Millisecond
)

// NewClient reads the files that the configuration names and connects to
// nobody yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := &Client{patient: cfg.Patient}
	transport := &http.Transport{DisableCompression: true}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	query := url.Values{}
	if cfg.Repo != "" {
		query.Set("repo", cfg.Repo)
	}
	var err error
	switch {
	case cfg.Socket != "" && cfg.URL == "" && cfg.KeyFile == "" && cfg.CAFile == "":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", cfg.Socket)
		}
		c.base = "http://socket"
		if cfg.Org != "" {
			query.Set("org", cfg.Org)
		}
	case cfg.URL != "" && cfg.KeyFile != "" && cfg.Socket == "" && cfg.Org == "":
		err = c.useURL(transport, cfg)
	default:
		err = errors.New("give either a socket, or a URL with a key file; an organisation with a socket alone")
	}
	if err != nil {
		return nil, fmt.Errorf("preparing to ask the policy service: %w", err)
	}
	c.query = query.Encode()
	return c, nil
}

func (c *Client) useURL(transport *http.Transport, cfg ClientConfig) error {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%.200q is not a URL such as https://blameprompt.example.com", cfg.URL)
	}
	c.base = strings.TrimRight(cfg.URL, "/")
	key, err := readSmall(cfg.KeyFile, maxKeyFile)
	if err != nil {
		return fmt.Errorf("reading the key: %w", err)
	}
	c.key = strings.TrimSpace(string(key))
	if c.key == "" || strings.ContainsAny(c.key, " \t\r\n") {
		return fmt.Errorf("reading the key: %s does not hold one key", cfg.KeyFile)
	}
	if cfg.CAFile == "" {
		return nil
	}
	pem, err := readSmall(cfg.CAFile, maxCAFile)
	if err != nil {
		return fmt.Errorf("reading certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("reading certificates: %s holds none in PEM", cfg.CAFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, err
}

// Judge asks for the verdict on a push. The error wraps ErrAway, ErrAnswer, a
// *StatusError or the context's.
func (c *Client) Judge(ctx context.Context, p *Push) (Answer, error) {
	var answer Answer
	err := c.ask(ctx, http.MethodPost, "/api/v1/hook/push", p, func(body io.Reader) (err error) {
		answer, err = DecodeAnswer(body)
		return err
	})
	return answer, err
}

// Report tells that a push was accepted.
func (c *Client) Report(ctx context.Context, p *Push) error {
	return c.ask(ctx, http.MethodPost, "/api/v1/hook/received", p, nil)
}

// Heard is what the daemon says to a hook that asks whether it is heard.
type Heard struct {
	Version string `json:"version"`
	Org     string `json:"org"`
	Repo    string `json:"repo"`
	// Known says that the repository is registered; else the settings are those
	// that it will have.
	Known       bool   `json:"known"`
	Mode        Mode   `json:"mode"`
	ReceiptMode string `json:"receipt_mode"`
}

// Check asks whether the daemon hears this client.
func (c *Client) Check(ctx context.Context) (Heard, error) {
	var heard Heard
	err := c.ask(ctx, http.MethodGet, "/api/v1/hook", nil, func(body io.Reader) error {
		err := json.NewDecoder(io.LimitReader(body, maxProblem)).Decode(&heard)
		if err != nil {
			return fmt.Errorf("reading answer: %w: %w", err, ErrAnswer)
		}
		return nil
	})
	return heard, err
}

// ask sends one request, p as its body, and hands the body of a good answer to
// read.
func (c *Client) ask(ctx context.Context, method, path string, p *Push, read func(io.Reader) error) error {
	var body bytes.Buffer
	if p != nil {
		if err := p.Encode(&body); err != nil {
			return err
		}
	}
	var away error
	for {
		err := c.send(ctx, method, path, body.Bytes(), read)
		if away != nil && ctx.Err() != nil {
			// The time ended in the middle of one of many tries.
			return away
		}
		if !c.patient || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOENT) {
			return err
		}
		away = err
		select {
		case <-time.After(retryStep):
		case <-ctx.Done():
			return away
		}
	}
}

func (c *Client) send(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) error {
	target := c.base + path
	if c.query != "" {
		target += "?" + c.query
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the policy service: %w", err)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unanswered(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent:
		return readProblem(resp)
	case read == nil:
		return nil
	}
	if err := read(resp.Body); err != nil {
		return unanswered(ctx, err)
	}
	return nil
}

// unanswered sorts the errors of a request that got no answer.
func unanswered(ctx context.Context, err error) error {
	// It would name the address, which is no pusher's business.
	if in := (*url.Error)(nil); errors.As(err, &in) {
		err = in.Err
	}
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("asking the policy service: %w", ctx.Err())
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return fmt.Errorf("asking the policy service: %w", err)
}

func readProblem(resp *http.Response) error {
	problem := &StatusError{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil || json.Unmarshal(text, problem) != nil {
		problem = &StatusError{}
	}
	problem.Status = resp.StatusCode
	return problem
}
