package chromium

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a page does wrong is heard: else a quiet page would prove nothing.
func TestComplaintsAreHeard(t *testing.T) {
	t.Parallel()
	b := New(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" && r.URL.Path != "/strict" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/strict" {
			w.Header().Set("Content-Security-Policy", "default-src 'none'")
		}
		_, _ = w.Write([]byte(`<!doctype html><title>x</title><h1>x</h1><script>console.error("said"); undefinedName()</script><img src="/gone.png">`))
	}))
	t.Cleanup(server.Close)
	for path, want := range map[string][]string{
		"/":       {`console: "said"`, "undefinedName is not defined", "/gone.png"},
		"/strict": {"Content Security Policy", "gone.png"},
	} {
		b.Visit(server.URL + path)
		heard := strings.Join(b.complaints, "\n")
		b.complaints = nil
		for _, text := range want {
			if !strings.Contains(heard, text) {
				t.Errorf("%s: nobody heard %q: %s", path, text, heard)
			}
		}
	}
	b.Quiet("after what was heard")
}

// Another browser has no cookie of the first.
func TestBrowsersAreAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
		w.Header().Set("Content-Type", "text/html")
		if _, err := r.Cookie("seen"); err == nil {
			_, _ = w.Write([]byte(`<h1 id="again">again</h1><link rel="icon" href="data:,">`))
			return
		}
		_, _ = w.Write([]byte(`<h1 id="first">first</h1><link rel="icon" href="data:,">`))
	}))
	t.Cleanup(server.Close)
	ada := New(t)
	bob := ada.Another()
	for _, b := range []*Browser{ada, bob} {
		b.Visit(server.URL)
		b.See("#first")
		b.Visit(server.URL)
		b.See("#again")
		b.Quiet("")
	}
}
