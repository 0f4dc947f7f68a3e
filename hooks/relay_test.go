package hooks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// relayTo serves relays on a socket by lead.
func relayTo(t *testing.T, lead func(*RelayConn)) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	serveSocket(t, socket, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := AcceptRelay(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer conn.Close()
		lead(conn)
	}))
	return socket
}

func TestRelayCarriesADialogue(t *testing.T) {
	t.Parallel()
	socket := relayTo(t, func(c *RelayConn) {
		line := make([]byte, 5)
		for range 2 {
			if _, err := io.ReadFull(c, line); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(c, strings.ToUpper(string(line)))
		}
		rest, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(c, c.Hook+" "+string(rest))
	})
	fromGit, git := io.Pipe()
	answers, toGit := io.Pipe()
	done := make(chan error)
	go func() {
		err := Relay(t.Context(), socket, "proc-receive", fromGit, toGit)
		toGit.Close()
		done <- err
	}()
	answer := make([]byte, 5)
	for _, word := range []string{"first", "secnd"} {
		if _, err := io.WriteString(git, word); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(answers, answer); err != nil || string(answer) != strings.ToUpper(word) {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	_, _ = io.WriteString(git, "end")
	git.Close()
	rest, err := io.ReadAll(answers)
	if err = errors.Join(err, <-done); err != nil || string(rest) != "proc-receive end" {
		t.Errorf("%q, %v", rest, err)
	}
}

// The other side may be done before git has said everything.
func TestRelayEndsWithTheOtherSide(t *testing.T) {
	t.Parallel()
	socket := relayTo(t, func(c *RelayConn) { _, _ = io.WriteString(c, "ng") })
	never, writer := io.Pipe()
	defer writer.Close()
	var out bytes.Buffer
	if err := Relay(t.Context(), socket, "proc-receive", never, &out); err != nil || out.String() != "ng" {
		t.Errorf("%q, %v", &out, err)
	}
}

func TestRelayThatIsNone(t *testing.T) {
	t.Parallel()
	if err := Relay(t.Context(), "/nonexistent/s", "proc-receive", strings.NewReader(""), io.Discard); !errors.Is(err, ErrAway) {
		t.Errorf("no socket: %v", err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	serveSocket(t, socket, http.NotFoundHandler())
	if err := Relay(t.Context(), socket, "proc-receive", strings.NewReader(""), io.Discard); !errors.Is(err, ErrNoRelay) {
		t.Errorf("no relay: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hung := relayTo(t, func(*RelayConn) {
		cancel()
		<-t.Context().Done()
	})
	never, writer := io.Pipe()
	defer writer.Close()
	if err := Relay(ctx, hung, "proc-receive", never, io.Discard); err == nil {
		t.Error("a relay that was told to stop ended well")
	}
	usual, err := http.NewRequest(http.MethodPost, "http://socket/relay/proc-receive", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AcceptRelay(nil, usual); !errors.Is(err, ErrNoRelay) {
		t.Errorf("a usual request: %v", err)
	}
}
