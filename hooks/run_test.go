package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/push"
)

// desk is a daemon that answers hooks on a Unix socket as it is told.
type desk struct {
	socket string

	mu       sync.Mutex
	judged   []Push
	reported []Push
	queries  []string
}

// newDesk answers judgements by answer, which gets the number of the question.
func newDesk(t testing.TB, answer func(w http.ResponseWriter, n int, p Push)) *desk {
	t.Helper()
	d := &desk{socket: filepath.Join(t.TempDir(), "s")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/hook/push", func(w http.ResponseWriter, r *http.Request) {
		p, err := DecodePush(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		d.mu.Lock()
		d.judged, d.queries = append(d.judged, p), append(d.queries, r.URL.RawQuery)
		n := len(d.judged)
		d.mu.Unlock()
		answer(w, n, p)
	})
	mux.HandleFunc("POST /api/v1/hook/received", func(w http.ResponseWriter, r *http.Request) {
		p, err := DecodePush(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		d.mu.Lock()
		d.reported = append(d.reported, p)
		d.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	serveSocket(t, d.socket, mux)
	return d
}

func serveSocket(t testing.TB, path string, handler http.Handler) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// always gives the same answer.
func always(a Answer) func(http.ResponseWriter, int, Push) {
	return func(w http.ResponseWriter, _ int, _ Push) { reply(w, a) }
}

// hookRun is a pre-receive hook on a repository with three new commits, and what
// came of it.
type hookRun struct {
	RunConfig
	tips []gitcmd.OID
	out  bytes.Buffer
}

func newHookRun(t testing.TB, socket string) *hookRun {
	t.Helper()
	f := gittest.New(t)
	old := f.Commits("refs/heads/main", 1)
	tips := f.Commits("refs/heads/main", 3)
	f.SetRef("refs/heads/main", old[0])
	h := &hookRun{tips: tips}
	h.RunConfig = RunConfig{Hook: "pre-receive", Client: ClientConfig{Socket: socket}, Mode: Advisory, Dir: f.Dir, Environ: []string{"GIT_DIR=.", "USER=ada"},
		Stdin: strings.NewReader(fmt.Sprintf("%s %s refs/heads/main\n", old[0], tips[2]))}
	h.Out = &h.out
	return h
}

func (h *hookRun) run(t testing.TB) int {
	t.Helper()
	return RunHook(t.Context(), h.RunConfig)
}

func TestAJudgedPushEndsAsTheDaemonSays(t *testing.T) {
	t.Parallel()
	violated := finding("No GPT-4", push.Refuse, nil)
	awaited := finding("Receipts", push.Pending, func(f *push.Finding) { f.Problem = push.Awaited })
	quiet, loud := answer(push.Pending, awaited), answer(push.Warn, finding("No GPT-4", push.Warn, nil))
	quiet.Quiet, loud.Quiet = true, true
	retry := answer(push.Refuse, awaited)
	retry.Retry = "git push --atomic origin main refs/notes/blameprompt"
	for name, c := range map[string]struct {
		answer Answer
		code   int
		text   string
	}{
		"accepted":         {answer(push.Accept), 0, ""},
		"warned":           {answer(push.Warn, finding("No GPT-4", push.Warn, nil)), 0, "BlamePrompt: this push is accepted, with warnings.\n"},
		"pending":          {answer(push.Pending, awaited), 0, "BlamePrompt: this push is accepted for now: receipts are awaited.\n"},
		"pending in quiet": {quiet, 0, ""},
		"never too quiet":  {loud, 0, "BlamePrompt: this push is accepted, with warnings.\n"},
		"refused":          {answer(push.Refuse, violated), 1, "BlamePrompt: this push is refused.\n"},
		"to be retried":    {retry, 1, "\n  Retry: bring what is missing in the same push:\n    git push --atomic origin main refs/notes/blameprompt\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, always(c.answer))
			h := newHookRun(t, d.socket)
			h.Client.Repo, h.Client.Org = "acme/api & co", "acme"
			code := h.run(t)
			if code != c.code || !strings.Contains(h.out.String(), c.text) || c.text == "" && h.out.Len() > 0 {
				t.Errorf("code %d and %q", code, &h.out)
			}
			if len(d.judged) != 1 || len(d.judged[0].Commits) != 3 || d.judged[0].User != "ada" || d.queries[0] != "org=acme&repo=acme%2Fapi+%26+co" {
				t.Errorf("asked %+v with %v", d.judged, d.queries)
			}
		})
	}
}

// TestAPushThatNobodyJudgedEndsByTheMode has all that can happen to a question.
func TestAPushThatNobodyJudgedEndsByTheMode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, int, Push)
		change func(*hookRun)
		why    string
	}{
		"no socket": {nil, func(h *hookRun) { h.Client.Socket = "/nonexistent/s" }, "the policy service cannot be reached (no such file or directory)"},
		"problem": {func(w http.ResponseWriter, _ int, _ Push) {
			w.WriteHeader(503)
			reply(w, map[string]any{"status": 503, "code": "database_unavailable", "detail": "The database cannot be reached. Try again."})
		}, nil, "the policy service answered: The database cannot be reached. Try again."},
		"page of a proxy": {func(w http.ResponseWriter, _ int, _ Push) {
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<html>"+strings.Repeat("x", maxProblem))
		}, nil, "the policy service answered with status 502"},
		"elsewhere": {func(w http.ResponseWriter, _ int, _ Push) {
			w.Header().Set("Location", "http://socket/api/v1/hook/received")
			w.WriteHeader(307)
		}, nil, "the policy service answered with status 307"},
		"no JSON":     {func(w http.ResponseWriter, _ int, _ Push) { _, _ = io.WriteString(w, "<html>") }, nil, "gave an answer that cannot be read"},
		"no version":  {func(w http.ResponseWriter, _ int, _ Push) { reply(w, map[string]any{}) }, nil, "gave an answer that cannot be read"},
		"new outcome": {always(Answer{Version: AnswerVersion, Verdict: push.Verdict{Outcome: "perhaps"}}), nil, "gave an answer that cannot be read"},
		"too large": {func(w http.ResponseWriter, _ int, _ Push) {
			_, _ = io.Copy(w, io.LimitReader(endless{}, maxAnswer+10))
		}, nil, "gave an answer that cannot be read"},
		"broken off": {func(w http.ResponseWriter, _ int, _ Push) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"version":1`)
		}, nil, "unexpected EOF"},
		"hangs up": {func(http.ResponseWriter, int, Push) { panic(http.ErrAbortHandler) }, nil, "EOF"},
		"silent": {func(http.ResponseWriter, int, Push) { select {} }, func(h *hookRun) { h.Time = 300 * time.Millisecond },
			"the policy service gave no answer within 300ms"},
		"waits for ever": {always(Answer{Version: AnswerVersion, Verdict: push.Verdict{Outcome: push.Pending}, WaitMS: 1}), nil, "gave an answer that cannot be read"},
		"no key": {nil, func(h *hookRun) { h.Client = ClientConfig{URL: "https://h", KeyFile: "/nonexistent"} },
			"reading the key: open /nonexistent: no such file or directory"},
		"nobody to ask": {nil, func(h *hookRun) { h.Client = ClientConfig{} }, "give either a socket, or a URL with a key file"},
		"no repository": {always(answer(push.Accept)), func(h *hookRun) { h.Dir = t.TempDir() }, "not a git directory"},
	} {
		for _, mode := range []Mode{Advisory, Enforcing} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				socket := ""
				if c.answer != nil {
					socket = newDesk(t, c.answer).socket
				}
				h := newHookRun(t, socket)
				h.Mode = mode
				if c.change != nil {
					c.change(h)
				}
				code, headline := h.run(t), "BlamePrompt: this push is accepted without having been judged.\n"
				want := exitAccept
				if mode == Enforcing {
					want, headline = exitRefuse, "BlamePrompt: this push is refused because nobody could judge it.\n"
				}
				text := unwrapped(h.out.String())
				if code != want || !strings.HasPrefix(h.out.String(), headline) || !strings.Contains(text, c.why) {
					t.Errorf("code %d and %q, want %d and %q", code, text, want, c.why)
				}
				expectSafe(t, h.out.String())
			})
		}
	}
}

// unwrapped joins the lines of a text.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestAPushThatCannotBeReadIsRefused has what is refused in every repository,
// without asking anybody.
func TestAPushThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	zero := strings.Repeat("0", 40)
	never, writer := io.Pipe()
	t.Cleanup(func() { writer.Close() })
	for name, c := range map[string]struct {
		change func(*hookRun)
		why    string
	}{
		"no updates":    {func(h *hookRun) { h.Stdin = strings.NewReader("nonsense\n") }, `line 1: "nonsense\n" is not an old id`},
		"no newline":    {func(h *hookRun) { h.Stdin = strings.NewReader(zero) }, "does not end in a newline"},
		"crafted ref":   {func(h *hookRun) { h.Stdin = strings.NewReader(zero + " " + string(h.tips[0]) + " refs/heads/../x\n") }, "is not the name of a ref"},
		"endless input": {func(h *hookRun) { h.Stdin, h.Time = never, 200*time.Millisecond }, "the input does not end"},
		"options":       {func(h *hookRun) { h.Environ = append(h.Environ, "GIT_PUSH_OPTION_COUNT=1000") }, "1000 push options, more than 32"},
		"lost option":   {func(h *hookRun) { h.Environ = append(h.Environ, "GIT_PUSH_OPTION_COUNT=1") }, "GIT_PUSH_OPTION_0 is not set"},
		"shallow history": {func(h *hookRun) {
			h.Stdin = strings.NewReader(zero + " " + strings.Repeat("1", 40) + " refs/heads/x\n")
		}, "git fetch --unshallow"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, always(answer(push.Accept)))
			h := newHookRun(t, d.socket)
			c.change(h)
			if code, text := h.run(t), unwrapped(h.out.String()); code != exitRefuse || !strings.Contains(text, c.why) ||
				!strings.HasPrefix(text, "BlamePrompt: this push is refused because it cannot be read.") {
				t.Errorf("code %d and %q", code, text)
			}
			if len(d.judged) > 0 {
				t.Error("the daemon was asked")
			}
		})
	}
}

func TestAPushOfNothingIsAccepted(t *testing.T) {
	t.Parallel()
	h := newHookRun(t, "/nonexistent")
	h.Mode, h.Stdin = Enforcing, strings.NewReader("")
	if code := h.run(t); code != exitAccept || h.out.Len() > 0 {
		t.Errorf("code %d and %q", code, &h.out)
	}
}

// A hook that is told to stop has not judged, whatever the mode, and what
// becomes of its text is nothing to git.
func TestNothingTurnsARefusalIntoAnAcceptance(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	d := newDesk(t, func(http.ResponseWriter, int, Push) {
		close(asked)
		select {}
	})
	h := newHookRun(t, d.socket)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if code := RunHook(ctx, h.RunConfig); code != exitRefuse || !strings.Contains(h.out.String(), "the hook was told to stop") {
		t.Errorf("a stopped hook: code %d and %q", code, &h.out)
	}

	refusing := newDesk(t, always(answer(push.Refuse, finding("p", push.Refuse, nil))))
	h = newHookRun(t, refusing.socket)
	h.Out = deaf{}
	if code := h.run(t); code != exitRefuse {
		t.Errorf("with nobody to read: code %d", code)
	}
	accepting := newDesk(t, always(answer(push.Warn, finding("p", push.Warn, nil))))
	h = newHookRun(t, accepting.socket)
	h.Out = deaf{}
	if code := h.run(t); code != exitAccept {
		t.Errorf("with nobody to read the warning: code %d", code)
	}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAFaultOfTheHookIsNoVerdict(t *testing.T) {
	t.Parallel()
	for mode, want := range map[Mode]int{Advisory: exitAccept, Enforcing: exitRefuse, "": exitRefuse} {
		h := newHookRun(t, "/nonexistent")
		h.Mode, h.Stdin = mode, faulty{}
		if code := h.run(t); code != want || !strings.Contains(unwrapped(h.out.String()), "the hook has a fault") {
			t.Errorf("%q: code %d and %q", mode, code, &h.out)
		}
	}
}

type faulty struct{}

func (faulty) Read([]byte) (int, error) { panic("planned") }

func TestPostReceiveTells(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	h := newHookRun(t, d.socket)
	h.Hook = "post-receive"
	if code := h.run(t); code != exitAccept || h.out.Len() > 0 {
		t.Errorf("code %d and %q", code, &h.out)
	}
	if len(d.reported) != 1 || len(d.reported[0].Refs) != 1 || d.reported[0].Refs[0].New != h.tips[2] || d.reported[0].User != "ada" {
		t.Errorf("reported %+v", d.reported)
	}
	for name, change := range map[string]func(*hookRun){
		"nobody listens": func(h *hookRun) { h.Client.Socket = "/nonexistent" },
		"bad input":      func(h *hookRun) { h.Stdin = strings.NewReader("x") },
		"bad options":    func(h *hookRun) { h.Environ = append(h.Environ, "GIT_PUSH_OPTION_COUNT=x") },
	} {
		h := newHookRun(t, d.socket)
		h.Hook, h.Mode = "post-receive", Enforcing
		change(h)
		if code := h.run(t); code != exitAccept || h.out.Len() > 0 {
			t.Errorf("%s: code %d and %q", name, code, &h.out)
		}
	}
}

func TestGitLabShowsRefusals(t *testing.T) {
	t.Parallel()
	d := newDesk(t, always(answer(push.Refuse, finding("p", push.Refuse, nil))))
	h := newHookRun(t, d.socket)
	h.Environ = append(h.Environ, "GL_PROJECT_PATH=acme/api", "GL_ID=user-7", "GL_USERNAME=ada", "GL_PROTOCOL=web")
	if code := h.run(t); code != exitRefuse || !strings.HasPrefix(h.out.String(), "GL-HOOK-ERR: BlamePrompt: ") {
		t.Errorf("code %d and %q", code, &h.out)
	}
	if p := d.judged[0]; p.Repo != "acme/api" || p.Via != Edited || p.UserID != "user-7" {
		t.Errorf("asked %+v", p.Environment)
	}
	h = newHookRun(t, d.socket)
	h.Environ = append(h.Environ, "GL_PROJECT_PATH=acme/api", "GIT_PUSH_OPTION_COUNT=no")
	if code := h.run(t); code != exitRefuse || !strings.HasPrefix(h.out.String(), "GL-HOOK-ERR: ") {
		t.Errorf("options: code %d and %q", code, &h.out)
	}
}

// TestTheHookWaitsForNotes lets a second push bring the notes of one commit
// after the other while the hook of the first looks for them.
func TestTheHookWaitsForNotes(t *testing.T) {
	t.Parallel()
	var h *hookRun
	d := newDesk(t, func(w http.ResponseWriter, n int, p Push) {
		if n > 1 {
			reply(w, answer(push.Accept))
			return
		}
		first := answer(push.Pending,
			finding("r", push.Pending, func(f *push.Finding) { f.Problem, f.Commit = push.Awaited, string(h.tips[0]) }),
			finding("r", push.Pending, func(f *push.Finding) { f.Problem, f.Commit = push.Awaited, string(h.tips[2]) }))
		first.WaitMS = 3000
		reply(w, first)
		go func() {
			f := gittest.Open(t, h.Dir)
			f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{h.tips[0]: noteBody("a", "claude-opus-4")}})
			f.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{h.tips[2]: noteBody("b", "claude-opus-4")}})
		}()
	})
	h = newHookRun(t, d.socket)
	began := time.Now()
	if code := h.run(t); code != exitAccept || h.out.Len() > 0 {
		t.Fatalf("code %d and %q", code, &h.out)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
	first, second := d.judged[0], d.judged[1]
	if len(d.judged) != 2 || first.Waited || !second.Waited || len(first.Notes) != 0 || len(second.Notes) != 2 || len(second.Commits) != 3 {
		t.Errorf("asked %+v", d.judged)
	}
	if !slices.EqualFunc(second.Notes, []gitcmd.OID{h.tips[0], h.tips[2]}, func(n Note, oid gitcmd.OID) bool { return n.Commit == oid }) {
		t.Errorf("notes %+v", second.Notes)
	}
}

func TestAWaitEndsInTime(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(w http.ResponseWriter, n int, _ Push) {
		a := answer(push.Pending)
		if n == 1 {
			a.WaitMS = 60_000
		}
		reply(w, a)
	})
	h := newHookRun(t, d.socket)
	h.Time = 1500 * time.Millisecond
	began := time.Now()
	if code := h.run(t); code != exitAccept || len(d.judged) != 2 || !d.judged[1].Waited {
		t.Errorf("code %d after %d questions: %q", code, len(d.judged), &h.out)
	}
	if took := time.Since(began); took > h.Time {
		t.Errorf("took %s", took)
	}
}

func TestAwaited(t *testing.T) {
	t.Parallel()
	p := &Push{Commits: []Commit{{OID: "a"}, {OID: "b"}, {OID: "c"}}}
	await := func(commit string) push.Finding { return push.Finding{Problem: push.Awaited, Commit: commit} }
	for name, c := range map[string]struct {
		verdict push.Verdict
		want    string
	}{
		"named":    {push.Verdict{Findings: []push.Finding{await("b"), {Problem: push.Violated, Commit: "a"}}}, "b"},
		"not all":  {push.Verdict{Findings: []push.Finding{await("b")}, Policies: []push.Judged{{More: 1}}}, "a b c"},
		"the push": {push.Verdict{Findings: []push.Finding{await("b"), await("")}}, "a b c"},
		"nothing":  {push.Verdict{}, "a b c"},
	} {
		if got := join(Answer{Verdict: c.verdict}.awaited(p)...); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
