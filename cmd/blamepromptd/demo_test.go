package main

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// strange is what texts of the demo hold: as it stands on pages, of what kind of
// text, and what a page must never hold.
var strange = []struct{ shown, of, raw string }{
	{`alert(&#34;name&#34;)`, "people", `<script>alert`},
	{`onerror=alert(&#34;repo&#34;)`, "repositories", `<img src=x`},
	{`alert(&#39;team&#39;)`, "teams", `<b onclick`},
	{`alert(&#39;policy&#39;)`, "policies", `<b onmouseover`},
	{`alert(&#39;prompt&#39;)`, "prompts", `<script>alert`},
	{`&lt;i&gt;preview`, "models", `<i>preview`},
	{`&lt;u&gt;beta`, "tools", `<u>beta`},
	{`&lt;b&gt;page`, "commit messages", `<b>page`},
	{`&lt;img/src=x&gt;`, "branches", `<img/src=x`},
	{`onerror=alert(1)`, "paths", `<img src=x`},
	{`alert(&#39;file&#39;)`, "files", `<script>alert`},
	{`&lt;b&gt;now`, "overrides", `<b>now`},
	{`מערכת`, "right to left", "\u202e"},
	{"\ufffd", "control characters", "\x1b"},
}

// The demo is a daemon of its own, whose pages an administrator walks: nothing
// strange breaks out of any, and all of it is seen. At its end nothing is left.
func TestDemo(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("with the race detector a demo takes minutes; package demo makes one")
	}
	w := beginDemo(t)
	w.walk()
	w.end()
}

// demoWalk is a demo that runs, and a browser at it.
type demoWalk struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string
	log    strings.Builder
	hello  greeting
	client http.Client
}

func beginDemo(t *testing.T) *demoWalk {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	hook, err := hookProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := &demoWalk{t: t, dir: t.TempDir(), cmd: exec.Command(program, "demo", "--json")}
	// PostgreSQL's account passes through when the tests run as root.
	for dir := w.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	w.cmd.Env = append(os.Environ(), "TMPDIR="+w.dir, "BLAMEPROMPT_HTTP_ADDR=127.0.0.1:0", "BLAMEPROMPT_HOOK_PROGRAM="+hook, "BLAMEPROMPT_DATABASE_URL=")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	w.cmd.Stderr = &w.log
	said, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	if err := json.NewDecoder(said).Decode(&w.hello); err != nil {
		_ = w.cmd.Wait()
		t.Fatalf("reading what the demo says: %v: %s", err, w.log.String())
	}
	w.signIn()
	return w
}

func (w *demoWalk) signIn() {
	w.t.Helper()
	w.client.Jar, _ = cookiejar.New(nil) // it has no errors
	answer, err := w.client.PostForm(w.hello.API+"/login", url.Values{"email": {w.hello.Demo.Admin}, "password": {w.hello.Demo.Password}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Request.URL.Path == "/login" {
		w.t.Fatalf("signing in leads to %s with %s", answer.Request.URL, answer.Status)
	}
}

var (
	fieldValue = regexp.MustCompile(` value="[^"]*"`)
	links      = regexp.MustCompile(`href="(/[^"]*)"`)
	// particular is what tells pages of one kind apart.
	particular = regexp.MustCompile(`[0-9a-f]{40}|[0-9a-f-]{36}|[0-9a-f]{16}|=[^&]*|/[^/]*%[^/]*|[0-9]{4}-[0-9]{2}-[0-9]{2}`)
	noPages    = regexp.MustCompile(`^/static/|^/api/|^/help/api/|\.(csv|json|yaml)|/file$|/export`)
)

// The most pages of one kind and in all.
const maxOfKind, maxPages = 3, 500

// walk follows links from the overview, and from what is strangest.
func (w *demoWalk) walk() {
	w.t.Helper()
	waiting := []string{"/receipts?q=Make+the+button+say", "/"}
	kinds, known, seen := map[string]int{}, map[string]bool{}, map[string]bool{}
	for n := 0; len(waiting) > 0 && n < maxPages; n++ {
		path := waiting[0]
		waiting = waiting[1:]
		// What a filter was given stands in its field as it was given.
		text := fieldValue.ReplaceAllString(w.page(path), "")
		for _, s := range strange {
			if strings.Contains(text, s.raw) {
				w.t.Errorf("%s: %q of %s stands there as it came", path, s.raw, s.of)
			}
			seen[s.of] = seen[s.of] || strings.Contains(text, s.shown)
		}
		for _, link := range links.FindAllStringSubmatch(text, -1) {
			next, _, _ := strings.Cut(html.UnescapeString(link[1]), "#")
			kind := particular.ReplaceAllString(next, "*")
			if known[next] || noPages.MatchString(next) || kinds[kind] >= maxOfKind {
				continue
			}
			known[next] = true
			kinds[kind]++
			waiting = append(waiting, next)
		}
	}
	for _, s := range strange {
		if !seen[s.of] {
			w.t.Errorf("no page shows what is strange of %s: %s", s.of, s.shown)
		}
	}
	w.t.Logf("%d pages of %d kinds; %d more were not looked at", len(known)-len(waiting), len(kinds), len(waiting))
}

func (w *demoWalk) page(path string) string {
	w.t.Helper()
	answer, err := w.client.Get(w.hello.API + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		w.t.Errorf("%s answers %s", path, answer.Status)
	}
	return string(text)
}

// end ends the demo, which says nothing and leaves nothing behind.
func (w *demoWalk) end() {
	w.t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil || w.log.Len() > 0 {
		w.t.Errorf("the demo ends with %v and says %s", err, w.log.String())
	}
	left, err := os.ReadDir(w.dir)
	if err != nil || len(left) > 0 {
		w.t.Errorf("the demo leaves %v (%v)", left, err)
	}
}
