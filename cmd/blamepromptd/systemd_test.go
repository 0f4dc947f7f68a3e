package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestSystemdIsTold plays systemd: it hears that the daemon is ready, that it is
// alive while it answers, nothing while it does not, and that it stops.
func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var sick atomic.Bool
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if sick.Load() {
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "150000")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		supervised(ctx, server.URL, zerolog.Nop())
	}()
	hear := func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 100)
		n, err := conn.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
	for i, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := hear(); got != want {
			t.Fatalf("word %d is %q, want %q", i, got, want)
		}
	}
	sick.Store(true)
	for before := asked.Load(); asked.Load() < before+4; {
		if got := hearOrNothing(t, conn); got != "" && got != "WATCHDOG=1" {
			t.Fatalf("a sick daemon says %q", got)
		}
	}
	if got := hearOrNothing(t, conn); got != "" {
		t.Errorf("a daemon that does not answer says %q", got)
	}
	cancel()
	if got := hear(); got != "STOPPING=1" {
		t.Errorf("the last word is %q", got)
	}
	<-ended
}

// hearOrNothing is what was said already or is said in the next moment.
func hearOrNothing(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 100)
	n, _ := conn.Read(text)
	return string(text[:n])
}
