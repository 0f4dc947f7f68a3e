package forge

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// documented returns the shell example of docs/webhooks.md that has the line
// "# name", pointed at a receiver and a secret file.
func documented(t *testing.T, name, url, secretFile string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(page), "```sh\n")[1:] {
		script, _, closed := strings.Cut(block, "```")
		if !closed || !strings.Contains(script, "# "+name+"\n") {
			continue
		}
		changed := strings.Replace(script, "https://blameprompt.example.com/hooks/generic/acme", url, 1)
		changed = strings.Replace(changed, "/etc/blameprompt/webhook-secret", secretFile, 1)
		if !strings.Contains(changed, url) || !strings.Contains(changed, secretFile) {
			t.Fatalf("example %q has another URL or secret file", name)
		}
		return changed
	}
	t.Fatalf("docs/webhooks.md has no example %q", name)
	return ""
}

// receiver verifies and parses what it is sent as the daemon does.
func receiver(t *testing.T) (url string, deliveries <-chan Delivery) {
	t.Helper()
	received := make(chan Delivery, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, readErr := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		verifyErr := Verify(Generic, r.Header, body, []Secret{testSecret}, time.Now())
		d, parseErr := Parse(Generic, r.Header, body)
		if err := errors.Join(readErr, verifyErr, parseErr); err != nil {
			t.Errorf("receiving: %v", err)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		received <- d
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	return server.URL, received
}

func secretFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(string(testSecret)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com",
		"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// take returns a delivery that arrived before the sender ended.
func take(t *testing.T, deliveries <-chan Delivery) Delivery {
	t.Helper()
	select {
	case d := <-deliveries:
		return d
	default:
		t.Fatal("nothing was delivered")
		return Delivery{}
	}
}

func TestDocumentedDelivery(t *testing.T) {
	t.Parallel()
	url, deliveries := receiver(t)
	run(t, t.TempDir(), "sh", "-c", documented(t, "one delivery", url, secretFile(t)))
	got := take(t, deliveries)
	want := []string{"https://git.example.com/acme/payments.git"}
	if diff := cmp.Diff(want, got.CloneURLs); diff != "" || got.Kind != Push || got.Updates != nil {
		t.Errorf("delivery %+v, CloneURLs (-want +got):\n%s", got, diff)
	}
}

func TestDocumentedPostReceive(t *testing.T) {
	t.Parallel()
	url, deliveries := receiver(t)
	dir := t.TempDir()
	bare, work := filepath.Join(dir, "bare.git"), filepath.Join(dir, "work")
	run(t, dir, "git", "init", "-q", "--bare", bare)
	run(t, dir, "git", "init", "-q", "-b", "main", work)
	hook := documented(t, "post-receive", url, secretFile(t))
	if err := os.WriteFile(filepath.Join(bare, "hooks", "post-receive"), []byte(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, work, "git", "commit", "-q", "--allow-empty", "-m", "first")
	run(t, work, "git", "notes", "--ref=blameprompt", "add", "-m", "{}")
	tip := run(t, work, "git", "rev-parse", "main")
	notes := run(t, work, "git", "rev-parse", "refs/notes/blameprompt")
	run(t, work, "git", "push", "-q", bare, "main", `main:refs/heads/a"b$(c)`, "refs/notes/blameprompt")

	want := map[string]string{"refs/heads/main": tip, `refs/heads/a"b$(c)`: tip, "refs/notes/blameprompt": notes}
	got := map[string]string{}
	for _, u := range take(t, deliveries).Updates {
		got[u.Ref] = u.New
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}

	run(t, work, "git", "push", "-q", bare, `:refs/heads/a"b$(c)`)
	deleted := moved(`refs/heads/a"b$(c)`, tip, null1)
	if diff := cmp.Diff(deleted, take(t, deliveries).Updates); diff != "" {
		t.Errorf("deletion (-want +got):\n%s", diff)
	}
}
