package ui

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheLinkOfADecisionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const id = "01a21502-e658-70f9-97d6-59906826ce0e"
	got := newWorld(t).browser().get("/decisions/" + id).want(http.StatusOK)
	for _, want := range []string{
		"blamepromptd decision show " + id, "http://blame.example.com/api/v1/decisions/" + id, `lang="en"`, "1.2.3",
	} {
		got.says(want)
	}
	if csp := got.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("content security policy %q", csp)
	}
}

func TestOtherPathsAreNotThere(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	for _, path := range []string{"/nothing", "/decisions", "/decisions/17", "/decisions/%3Cscript%3E", "/static/", "/static/../ui.go", "/logout"} {
		if got := b.get(path); got.status == http.StatusOK || strings.Contains(got.body, "<script>") {
			t.Errorf("%s: status %d:\n%s", path, got.status, got.body)
		}
	}
}

func TestTheStyleIsServed(t *testing.T) {
	t.Parallel()
	got := newWorld(t).browser().get("/static/style.css").want(http.StatusOK).says("light-dark")
	if got.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("type %q", got.header.Get("Content-Type"))
	}
}
