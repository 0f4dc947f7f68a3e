package ui

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, path string) (int, http.Header, string) {
	t.Helper()
	pages, err := New(Config{PublicURL: "https://blame.example.com", Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Header(), w.Body.String()
}

func TestTheLinkOfADecisionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const id = "01a21502-e658-70f9-97d6-59906826ce0e"
	status, header, body := get(t, "/decisions/"+id)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		"blamepromptd decision show " + id, "https://blame.example.com/api/v1/decisions/" + id, `lang="en"`, "1.2.3",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q:\n%s", want, body)
		}
	}
	if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("content security policy %q", csp)
	}
}

func TestOtherPathsAreNotThere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/decisions", "/decisions/17", "/decisions/%3Cscript%3E", "/static/", "/static/../ui.go"} {
		status, _, body := get(t, path)
		if status == http.StatusOK || strings.Contains(body, "<script>") {
			t.Errorf("%s: status %d:\n%s", path, status, body)
		}
	}
}

func TestTheStyleIsServed(t *testing.T) {
	t.Parallel()
	status, header, body := get(t, "/static/style.css")
	if status != http.StatusOK || header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(body, "light-dark") {
		t.Errorf("status %d, type %q", status, header.Get("Content-Type"))
	}
}
