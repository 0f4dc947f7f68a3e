package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/daemontest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){program: main})
}

// TestScripts runs testdata/script against the real daemon. Beside the commands
// of daemontest, a script has
//
//	connect             sets the variables of this program to the daemon and $KEY
//	notes N             makes N commits with a BlamePrompt note each in the current directory
//	tls                 serves the daemon over TLS; sets $TLS, and writes ca.pem
//	answering STATUS BODY
//	                    starts a server that gives this one answer; sets $OTHER
//	withhold N          serves the daemon, and withholds the answer to the post behind
//	                    the next N; sets $BETWEEN
//	withheld            waits until an answer is withheld
//
// and the programs blameprompt-enterprise, blamepromptd and git.
func TestScripts(t *testing.T) {
	t.Parallel()
	params := daemontest.Params(t, "testdata/script")
	path := daemontest.Build(t)
	params.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", path+":"+env.Getenv("PATH"))
		env.Values[middlemanKey{}] = &middleman{}
		return daemontest.Setup(env)
	}
	for name, command := range map[string]func(*testscript.TestScript, bool, []string){
		"connect": cmdConnect, "notes": cmdNotes, "tls": cmdTLS, "answering": cmdAnswering,
		"withhold": cmdWithhold, "withheld": cmdWithheld,
	} {
		params.Cmds[name] = command
	}
	testscript.Run(t, params)
}

func cmdConnect(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 0, "connect")
	ts.Setenv(envURL, ts.Getenv("API"))
	ts.Setenv(envKey, ts.Getenv("KEY"))
}

// cmdNotes imports commits and notes by one git fast-import.
func cmdNotes(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 1, "notes N")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var stream strings.Builder
	who := "committer Ada <ada@example.com> 1767322800 +0000\n"
	data := func(text string) { fmt.Fprintf(&stream, "data %d\n%s\n", len(text), text) }
	for i := range n {
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\n%s", i+1, who)
		data(fmt.Sprint("change ", i))
	}
	stream.WriteString("commit refs/notes/blameprompt\n" + who)
	data("notes")
	for i := range n {
		fmt.Fprintf(&stream, "N inline :%d\n", i+1)
		data(fmt.Sprintf(`{"blameprompt_version":"1.0.1","receipts":[{"id":"receipt-%d","provider":"claude",`+
			`"model":"claude-opus-4-6","session_id":"s","prompt_number":%d,"cost_usd":0.01,"prompt_summary":"ask %d"}]}`, i, i, i))
	}
	ts.Check(os.WriteFile(ts.MkAbs("notes.import"), []byte(stream.String()), 0o600))
	ts.Check(ts.Exec("sh", "-c", "git fast-import --quiet <notes.import"))
}

// cmdTLS puts TLS before the daemon, as a reverse proxy would.
func cmdTLS(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 0, "tls")
	server := httptest.NewUnstartedServer(proxyTo(ts))
	// Clients that do not trust it are what is tested.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	ts.Defer(server.Close)
	ts.Setenv("TLS", server.URL)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o600))
}

func proxyTo(ts *testscript.TestScript) *httputil.ReverseProxy {
	target, err := url.Parse(ts.Getenv("API"))
	ts.Check(err)
	return httputil.NewSingleHostReverseProxy(target)
}

func cmdAnswering(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 2, "answering STATUS BODY")
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if json.Valid([]byte(args[1])) {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.Header().Set("Location", "https://elsewhere.example.com/")
		w.WriteHeader(status)
		fmt.Fprint(w, args[1])
	}))
	ts.Defer(server.Close)
	ts.Setenv("OTHER", server.URL)
}

// middleman passes requests on to the daemon, until it withholds an answer.
type middleman struct {
	server *httptest.Server

	mu sync.Mutex
	// left posts are answered; the one behind them reaches the daemon, and whoever
	// sent it waits for ever.
	left     int
	withheld chan struct{}
}

type middlemanKey struct{}

func middlemanOf(ts *testscript.TestScript) *middleman {
	return ts.Value(middlemanKey{}).(*middleman)
}

// arm sets when the next answer is withheld.
func (m *middleman) arm(left int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.withheld = left, make(chan struct{})
}

func (m *middleman) serve(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		proxy.ServeHTTP(w, r)
		return
	}
	m.mu.Lock()
	m.left--
	left, withheld := m.left, m.withheld
	m.mu.Unlock()
	if left >= 0 {
		proxy.ServeHTTP(w, r)
		return
	}
	proxy.ServeHTTP(httptest.NewRecorder(), r)
	close(withheld)
	<-r.Context().Done()
}

// cmdWithhold arms the middleman, and puts it before the daemon at first.
func cmdWithhold(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 1, "withhold N")
	left, err := strconv.Atoi(args[0])
	ts.Check(err)
	m := middlemanOf(ts)
	m.arm(left)
	if m.server != nil {
		return
	}
	proxy := proxyTo(ts)
	m.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(proxy, w, r) }))
	ts.Defer(m.server.Close)
	ts.Setenv("BETWEEN", m.server.URL)
}

func cmdWithheld(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 0, "withheld")
	m := middlemanOf(ts)
	select {
	case <-m.withheld:
	case <-time.After(daemontest.Patience):
		ts.Fatalf("no answer was to be withheld within %s", daemontest.Patience)
	}
}
