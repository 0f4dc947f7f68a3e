package mirror_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
)

// serve serves the directory of the bare repository dir by git's own HTTP
// backend, behind wrap.
func serve(t *testing.T, dir string, wrap func(http.Handler) http.Handler) *httptest.Server {
	t.Helper()
	out, err := gitcmd.New(t.Context(), "/", "--exec-path").Output(1000)
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
		Stderr: io.Discard,
	}
	server := httptest.NewServer(wrap(backend))
	t.Cleanup(server.Close)
	return server
}

func plain(next http.Handler) http.Handler { return next }

// gate stops every request until it is opened.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate() *gate {
	return &gate{arrived: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.once.Do(func() { close(g.arrived) })
		select {
		case <-g.open:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// wanting asks for a user name and password.
func wanting(user, secret string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, s, ok := r.BasicAuth(); !ok || u != user || s != secret {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestFetchByHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 200)
	tip := w.note("a")
	w.rules = mirror.Rules{AllowPrivate: true}
	server := serve(t, w.Dir, plain)
	var progress []string
	o := mirror.FetchOptions{
		Remote: mustCheck(t, w.rules, server.URL+"/remote.git"), Heads: true, NotesRefs: []string{ref},
		Progress: func(line string) { progress = append(progress, line) },
	}
	got, err := w.mirror.Fetch(t.Context(), o)
	if err != nil || got.DefaultBranch != main || !got.HeadsChanged {
		t.Fatalf("fetch = %+v, %v", got, err)
	}
	w.wantState(tip)
	if !strings.Contains(strings.Join(progress, "\n"), "Receiving objects: 100%") {
		t.Errorf("progress = %q", progress)
	}
}

func TestFetchFromAnOldServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 2)
	tip := w.note("a")
	server := serve(t, w.Dir, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Header.Del("Git-Protocol")
			next.ServeHTTP(rw, r)
		})
	})
	remote := mustCheck(t, mirror.Rules{AllowPrivate: true}, server.URL+"/remote.git")
	got, err := w.mirror.Fetch(t.Context(), mirror.FetchOptions{Remote: remote, Heads: true, NotesRefs: []string{ref}})
	if err != nil || got.DefaultBranch != main {
		t.Errorf("fetch by protocol version 0 = %+v, %v", got, err)
	}
	w.wantState(tip)
}

// TestPinnedAddress fetches from a name that no resolver knows: only the
// address that Check saw can be where git connects to.
func TestPinnedAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	server := serve(t, w.Dir, plain)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.rules = mirror.Rules{AllowPrivate: true, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}}
	remote := mustCheck(t, w.rules, "http://Git.Rebind.Invalid:"+port+"/remote.git")
	if _, err := w.mirror.Fetch(t.Context(), mirror.FetchOptions{Remote: remote, NotesRefs: []string{ref}}); err != nil {
		t.Fatal(err)
	}
	w.wantState(tip)
}

func TestCredentialsReachTheServerAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	const user, secret = "ada@example.com", "hunter2/:@% é$(id)'\"7f3c"
	var once sync.Once
	var looked bool
	server := serve(t, w.Dir, func(next http.Handler) http.Handler {
		return wanting(user, secret, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			// Git has the credential now and waits for us.
			once.Do(func() { looked = lookForSecret(t, secret, w.root) })
			next.ServeHTTP(rw, r)
		}))
	})
	address := strings.TrimPrefix(server.URL, "http://")
	withUserinfo := "http://" + url.UserPassword(user, secret).String() + "@" + address + "/remote.git"
	rules := mirror.Rules{AllowPrivate: true}
	for _, o := range []mirror.FetchOptions{
		{Remote: mustCheck(t, rules, server.URL+"/remote.git"), Credential: &mirror.Credential{User: user, Secret: secret}},
		{Remote: mustCheck(t, rules, withUserinfo)},
	} {
		o.Heads, o.NotesRefs = true, []string{ref}
		o.Progress = func(line string) {
			if strings.Contains(line, "hunter2") {
				t.Errorf("progress line %q shows the secret", line)
			}
		}
		if _, err := w.mirror.Fetch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		w.wantState(tip)
	}
	if !looked {
		t.Error("no git child was seen")
	}
	if _, err := os.Stat(filepath.Join(w.root, id+".tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary files are left: %v", err)
	}
	config, err := os.ReadFile(filepath.Join(w.root, id+".git", "config"))
	if err != nil || strings.Contains(string(config), "hunter2") || strings.Contains(string(config), "url") {
		t.Errorf("configuration of the mirror = %s, %v", config, err)
	}
}

// lookForSecret reads arguments and environments of all processes and the
// modes of the temporary files, and reports whether a git child of this
// mirror was among them.
func lookForSecret(t *testing.T, secret, root string) (found bool) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Error(err)
	}
	for _, path := range paths {
		// Processes come and go, and some belong to others.
		cmdline, _ := os.ReadFile(filepath.Join(path, "cmdline"))
		environ, _ := os.ReadFile(filepath.Join(path, "environ"))
		both := string(cmdline) + string(environ)
		for _, form := range []string{secret, url.QueryEscape(secret), url.UserPassword("", secret).String()[1:]} {
			if strings.Contains(both, form) {
				t.Errorf("process %s shows the secret: %q", path, cmdline)
			}
		}
		found = found || strings.Contains(both, root) && strings.Contains(string(cmdline), "remote-http")
	}
	tmp := filepath.Join(root, id+".tmp")
	for path, want := range map[string]os.FileMode{tmp: 0o700, filepath.Join(tmp, "credentials"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", path, info, err, want)
		}
	}
	return found
}

func TestFailuresOfAServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 1)
	tip := w.note("a")
	w.fetch()
	status := func(code int) func(http.Handler) http.Handler {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Location", "http://"+r.Host+"/remote.git/info/refs?service=git-upload-pack")
				rw.WriteHeader(code)
			})
		}
	}
	auth := func(next http.Handler) http.Handler { return wanting("u", "right", next) }
	page := func(body string) func(http.Handler) http.Handler {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, body) })
		}
	}
	cut := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(rw, r)
		})
	}
	tests := []struct {
		name       string
		wrap       func(http.Handler) http.Handler
		path       string
		credential *mirror.Credential
		want       error
	}{
		{"absent repository", plain, "/absent.git", nil, mirror.ErrAccess},
		{"no credential", auth, "/remote.git", nil, mirror.ErrAccess},
		{"wrong credential", auth, "/remote.git", &mirror.Credential{User: "u", Secret: "hunter2"}, mirror.ErrAccess},
		{"forbidden", status(403), "/remote.git", nil, mirror.ErrAccess},
		{"redirect", status(302), "/other.git", nil, mirror.ErrRefused},
		{"permanent redirect", status(308), "/other.git", nil, mirror.ErrRefused},
		{"server error", status(500), "/remote.git", nil, mirror.ErrUnreachable},
		{"too many requests", status(429), "/remote.git", nil, mirror.ErrUnreachable},
		{"web page", page("<html>\n<body>\n"), "/remote.git", nil, mirror.ErrAccess},
		// To git these are repositories without refs.
		{"web page on one line", page("<html>maintenance</html>"), "/remote.git", nil, mirror.ErrRemote},
		{"empty page", page(""), "/remote.git", nil, mirror.ErrRemote},
		{"connection cut", cut, "/remote.git", nil, mirror.ErrUnreachable},
	}
	rules := mirror.Rules{AllowPrivate: true}
	for _, test := range tests {
		server := serve(t, w.Dir, test.wrap)
		for _, heads := range []bool{true, false} {
			o := mirror.FetchOptions{Remote: mustCheck(t, rules, server.URL+test.path), Heads: heads,
				NotesRefs: []string{ref}, Credential: test.credential}
			_, err := w.mirror.Fetch(t.Context(), o)
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error shows the secret: %v", test.name, err)
			}
			w.wantState(tip)
			w.wantHeads("main")
		}
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rules := mirror.Rules{AllowPrivate: true}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String() + "/a"
	listener.Close()
	o := mirror.FetchOptions{Remote: mustCheck(t, rules, closed), Heads: true}
	if _, err := w.mirror.Fetch(t.Context(), o); !errors.Is(err, mirror.ErrUnreachable) {
		t.Errorf("fetch from a closed port: %v, want ErrUnreachable", err)
	}
	if _, err := w.mirror.Tips(t.Context()); err != nil {
		t.Errorf("Tips after a failed first fetch: %v", err)
	}
	tlsToPlain := strings.Replace(serve(t, w.Dir, plain).URL, "http:", "https:", 1) + "/remote.git"
	o.Remote = mustCheck(t, rules, tlsToPlain)
	if _, err := w.mirror.Fetch(t.Context(), o); !errors.Is(err, mirror.ErrUnreachable) {
		t.Errorf("fetch by https from an http port: %v, want ErrUnreachable", err)
	}
}

func TestSilentServerTimesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := newGate()
	server := serve(t, w.Dir, gate.wrap)
	o := mirror.FetchOptions{Remote: mustCheck(t, mirror.Rules{AllowPrivate: true}, server.URL+"/remote.git"), Heads: true,
		Timeout: 500 * time.Millisecond}
	start := time.Now()
	_, err := w.mirror.Fetch(t.Context(), o)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("fetch from a silent server: %v, want context.DeadlineExceeded", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestPrivateCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	backend := serve(t, w.Dir, plain)
	server := httptest.NewTLSServer(backend.Config.Handler)
	t.Cleanup(server.Close)
	rules := mirror.Rules{AllowPrivate: true}
	o := mirror.FetchOptions{Remote: mustCheck(t, rules, server.URL+"/remote.git"), NotesRefs: []string{ref}}
	if _, err := w.mirror.Fetch(t.Context(), o); !errors.Is(err, mirror.ErrUnreachable) {
		t.Errorf("fetch from a server with an unknown certificate: %v, want ErrUnreachable", err)
	}
	rules.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	writeCertificate(t, rules.CAFile, server.Certificate())
	o.Remote = mustCheck(t, rules, server.URL+"/remote.git")
	if _, err := w.mirror.Fetch(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.wantState(tip)
}
