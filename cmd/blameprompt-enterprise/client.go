package main

import (
	"bytes"
	"compress/gzip"
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
	"strconv"
	"strings"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	tlsTimeout  = 10 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 256 << 20
	// gzipAbove is the size from which a body is worth packing.
	gzipAbove = 4 << 10
)

// client asks the server. It follows no redirects: a key goes to the address
// that was configured and to no other.
type client struct {
	server
	http    *http.Client
	timeout time.Duration
}

func (a *app) newClient(s server) (*client, error) {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: tlsTimeout, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
	}
	if s.caFile != "" {
		pool, err := readCAs(s.caFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &client{server: s, timeout: a.timeout, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func readCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the certificates to trust: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// connect makes the client that a command asks with.
func (a *app) connect() (*client, config, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, config{}, err
	}
	s, err := a.server(cfg)
	if err != nil {
		return nil, cfg, err
	}
	c, err := a.newClient(s)
	return c, cfg, err
}

// call is one request.
type call struct {
	method, path string
	query        url.Values
	// body is sent as JSON, packed when it is large.
	body []byte
	// packs says that the operation takes gzip.
	packs  bool
	accept string
	// anonymous calls carry no key.
	anonymous bool
	// long calls bring a file and may take as long as it takes.
	long bool
}

// get asks for JSON.
func (c *client) get(ctx context.Context, out any, query url.Values, path ...string) (json.RawMessage, error) {
	return c.json(ctx, call{method: http.MethodGet, path: joinPath(path...), query: query}, out)
}

// joinPath escapes the segments of a path.
func joinPath(segments ...string) string {
	var path strings.Builder
	for _, s := range segments {
		path.WriteString("/" + url.PathEscape(s))
	}
	return path.String()
}

// json does a call, reads its answer into out, unless that is nil, and returns
// it as it came.
func (c *client) json(ctx context.Context, call call, out any) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.do(ctx, call, func(resp *http.Response) (err error) {
		raw, err = c.read(ctx, resp)
		return err
	})
	if err != nil {
		return nil, err
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			return nil, fmt.Errorf("the answer of %s to %s %s cannot be read: %w", c.url, call.method, call.path, err)
		}
	}
	return raw, nil
}

// read reads an answer to its end.
func (c *client) read(ctx context.Context, resp *http.Response) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return text, nil
}

// do does a call and hands an answer of success to read, whose error it returns
// as it is. Its own errors are for people; an *apiError among them is what the
// server says.
func (c *client) do(ctx context.Context, call call, read func(*http.Response) error) error {
	if !call.long {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, errSlow)
		defer cancel()
	}
	req, err := c.request(ctx, call)
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.url, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refused(call, resp)
	}
	return read(resp)
}

func (c *client) request(ctx context.Context, call call) (*http.Request, error) {
	body, packed := call.body, false
	if call.packs && len(body) > gzipAbove {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, err := w.Write(body)
		if err := errors.Join(err, w.Close()); err != nil {
			return nil, err
		}
		body, packed = out.Bytes(), true
	}
	target := c.url.String() + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", program+"/"+buildVersion().Version)
	req.Header.Set("Accept", "application/json")
	if call.accept != "" {
		req.Header.Set("Accept", call.accept)
	}
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if !call.anonymous {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	return req, nil
}

// errUnreachable: there was no answer. Asking again later may help.
var errUnreachable = errors.New("server is not reachable")

// errSlow: the answer took longer than --timeout.
var errSlow = errors.New("no answer within --timeout")

// unreachableError says why there was no answer, for people.
type unreachableError struct{ text string }

func (e *unreachableError) Error() string        { return e.text }
func (e *unreachableError) Is(target error) bool { return target == errUnreachable }

// unreachable says what to do about a connection that failed.
func (c *client) unreachable(ctx context.Context, err error) error {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		dns      *net.DNSError
		failed   *url.Error
	)
	if errors.As(err, &failed) {
		err = failed.Err
	}
	what := func(format string, args ...any) error {
		return &unreachableError{fmt.Sprintf("cannot reach %s (%s): ", c.url, c.urlFrom) + fmt.Sprintf(format, args...)}
	}
	switch {
	case context.Cause(ctx) == errSlow:
		return what("no answer within %s; --timeout gives it longer", c.timeout)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &unknown):
		return what("its certificate is signed by an authority that is not trusted here; give that authority's certificate "+
			"with --ca-file or %s", envCAFile)
	case errors.As(err, &hostname):
		return what("its certificate is for another name: %v", hostname)
	case errors.As(err, &invalid):
		return what("its certificate is not valid: %v", invalid)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return what("it does not speak TLS there; should the address begin with http://?")
	case errors.As(err, &dns):
		return what("%s is not known (%v)", dns.Name, dns.Err)
	}
	return what("%v; is the server up, and is the address right?", err)
}

// apiError is a refusal of the server.
type apiError struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Field   string `json:"field"`
		Problem string `json:"problem"`
	} `json:"errors"`

	// text is the sentence for people; retry is how long to wait before asking again.
	text  string
	retry time.Duration
}

func (e *apiError) Error() string { return e.text }

// refused reads a problem document (RFC 9457) and says it in a sentence.
func (c *client) refused(call call, resp *http.Response) error {
	e := &apiError{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxConfig))
	if err != nil || json.Unmarshal(text, e) != nil || e.Code == "" {
		*e = apiError{}
	}
	e.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.retry = time.Duration(max(0, seconds)) * time.Second
	}
	e.text = c.sentence(call, resp, e)
	return e
}

func (c *client) sentence(call call, resp *http.Response, e *apiError) string {
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		return fmt.Sprintf("%s (%s) sends on to %.200q: if that is the server, use its address", c.url, c.urlFrom, resp.Header.Get("Location"))
	case e.Code == "":
		return fmt.Sprintf("%s (%s) answers %s as a BlamePrompt server would not: is the address right?", c.url, c.urlFrom, resp.Status)
	case e.missing():
		return fmt.Sprintf("the server at %s is too old for this: it has no %s %s; update blamepromptd", c.url, call.method, call.path)
	case e.Status == http.StatusUnauthorized:
		return fmt.Sprintf("%s does not accept the API key (%s): it may be mistyped, revoked or expired", c.url, c.keyFrom)
	case e.Status == http.StatusForbidden:
		return fmt.Sprintf("the API key (%s) may not do this: %s", c.keyFrom, e.words())
	case e.Status >= 500:
		return fmt.Sprintf("the server at %s failed: %s (request %s)", c.url, e.words(), e.RequestID)
	}
	return e.words()
}

// missing reports whether the server does not have the operation.
func (e *apiError) missing() bool {
	return e.Code == "no_such_path" || e.Code == "method_not_allowed"
}

// words are the server's own.
func (e *apiError) words() string {
	words := strings.TrimSuffix(e.Detail, ".")
	if len(e.Errors) > 0 {
		words = ""
	}
	for _, field := range e.Errors {
		if words != "" {
			words += "; "
		}
		words += plain(field.Field) + " " + plain(field.Problem)
	}
	if words == "" {
		words = e.Title
	}
	return plain(words)
}

// statusOf is the status of a refusal, 0 for any other error.
func statusOf(err error) int {
	var refused *apiError
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}
