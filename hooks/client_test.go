package hooks

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/push"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientSpeaksHTTPSWithAKeyToWhomItTrusts(t *testing.T) {
	t.Parallel()
	var got http.Header
	var query string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, query = r.Header, r.URL.String()
		reply(w, answer(push.Accept))
	}))
	// A client that does not trust it is no news.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	key := writeFile(t, "bpe_secret\n")
	c, err := NewClient(ClientConfig{URL: server.URL + "/base/", KeyFile: key, CAFile: ca, Repo: "api"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Judge(t.Context(), &Push{}); err != nil {
		t.Fatal(err)
	}
	if got.Get("Authorization") != "Bearer bpe_secret" || query != "/base/api/v1/hook/push?repo=api" {
		t.Errorf("asked %s with %v", query, got)
	}
	c, err = NewClient(ClientConfig{URL: server.URL, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Judge(t.Context(), &Push{}); err == nil || errors.Is(err, ErrAway) {
		t.Errorf("an unknown certificate: %v", err)
	} else if why := (&run{stopped: t.Context()}).why(err); why != "the policy service shows a certificate that is not trusted here" {
		t.Errorf("a pusher reads %q", why)
	}
}

func TestClientConfigurationThatCannotBe(t *testing.T) {
	t.Parallel()
	key := writeFile(t, "bpe_x")
	for name, c := range map[string]struct {
		cfg  ClientConfig
		want string
	}{
		"nothing":        {ClientConfig{}, "give either"},
		"both":           {ClientConfig{Socket: "/s", URL: "https://h", KeyFile: key}, "give either"},
		"key and socket": {ClientConfig{Socket: "/s", KeyFile: key}, "give either"},
		"no key":         {ClientConfig{URL: "https://h"}, "give either"},
		"org and URL":    {ClientConfig{URL: "https://h", KeyFile: key, Org: "acme"}, "give either"},
		"scheme":         {ClientConfig{URL: "ftp://h", KeyFile: key}, "is not a URL"},
		"secret in URL":  {ClientConfig{URL: "https://u:p@h", KeyFile: key}, "is not a URL"},
		"query":          {ClientConfig{URL: "https://h?x=1", KeyFile: key}, "is not a URL"},
		"no key file":    {ClientConfig{URL: "https://h", KeyFile: "/nonexistent"}, "reading the key"},
		"empty key":      {ClientConfig{URL: "https://h", KeyFile: writeFile(t, "\n")}, "does not hold one key"},
		"two keys":       {ClientConfig{URL: "https://h", KeyFile: writeFile(t, "bpe_a\nbpe_b\n")}, "does not hold one key"},
		"large key":      {ClientConfig{URL: "https://h", KeyFile: writeFile(t, strings.Repeat("x", maxKeyFile+1))}, "has more than"},
		"no CA":          {ClientConfig{URL: "https://h", KeyFile: key, CAFile: key}, "holds none in PEM"},
	} {
		if _, err := NewClient(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestAPatientClientAwaitsTheDaemon starts the daemon when the first try has
// failed.
func TestAPatientClientAwaitsTheDaemon(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	for _, patient := range []bool{false, true} {
		c, err := NewClient(ClientConfig{Socket: socket, Patient: patient})
		if err != nil {
			t.Fatal(err)
		}
		transport := c.http.Transport.(*http.Transport)
		dial, tries := transport.DialContext, 0
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if tries++; tries == 2 {
				serveSocket(t, socket, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, answer(push.Accept)) }))
			}
			return dial(ctx, network, address)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = c.Judge(ctx, &Push{})
		if patient && (err != nil || tries != 2) || !patient && (!errors.Is(err, ErrAway) || tries != 1) {
			t.Errorf("patient %v: %v after %d tries", patient, err, tries)
		}
	}
}

func TestClientChecks(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	serveSocket(t, socket, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "GET /api/v1/hook" {
			http.NotFound(w, r)
			return
		}
		reply(w, Heard{Version: "1", Org: "acme", Repo: "api", Known: true, Mode: Enforcing, ReceiptMode: "wait"})
	}))
	c, err := NewClient(ClientConfig{Socket: socket, Repo: "api"})
	if err != nil {
		t.Fatal(err)
	}
	heard, err := c.Check(t.Context())
	if err != nil || heard.Org != "acme" || heard.Mode != Enforcing || !heard.Known {
		t.Errorf("%+v, %v", heard, err)
	}
}
