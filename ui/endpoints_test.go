package ui

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store/storetest"
)

var (
	endpointPath  = regexp.MustCompile(`/settings/endpoints/[0-9a-f-]{36}`)
	shownSecret   = regexp.MustCompile(`<code id="secret">(whsec_[^<]+)</code>`)
	messageHidden = regexp.MustCompile(`name="message" value="([0-9a-f-]{36})"`)
)

// An administrator adds an endpoint, sees what it was sent and what it answered,
// and changes it, without a script.
func TestAnEndpointIsAddedAndWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storetest.MustRepo(t, w.db, w.org, "acme/api", "")
	answers := []int{500, 200}
	rc := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(answers[0])
		answers = answers[1:]
		fmt.Fprint(rw, `<script>alert("`+strings.Repeat("x", 1000)+`")</script>`)
	}))
	t.Cleanup(rc.Close)
	sender, err := endpoint.NewSender(endpoint.Config{DB: w.db, Rules: endpoint.Rules{AllowHTTP: true}, Pauses: []time.Duration{}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ada := w.person(w.org, "ada@example.com", access.RoleAdmin)
	ada.get("/settings/webhooks").want(200).says(`href="/settings/endpoints"`)
	ada.get(endpointsPath).want(200).says("None yet.").says("a push is refused")

	ada.post(endpointsPath, "name", "chat", "url", "ftp://x/s3cret", "repos", "acme/api", "types", "push.refused").want(400).
		says("must begin with https://").says(`value="acme/api"`).says(`value="push.refused" checked`).lacks("s3cret")
	ada.post(endpointsPath, "name", "chat", "url", rc.URL+"/s3cret", "repos", "acme/none").want(400).says("must be names of repositories")
	made := ada.post(endpointsPath, "name", "chat", "url", rc.URL+"/s3cret", "repos", "acme/api", "types", "push.refused").want(200)
	secret, path := shownSecret.FindStringSubmatch(made.body), endpointPath.FindString(made.body)
	if secret == nil || path == "" {
		t.Fatalf("no secret or no page: %s", made.body)
	}
	ada.get(path).want(200).says("not tried yet").says(rc.URL + "</bdi>/…").says("acme/api").lacks(secret[1]).lacks("s3cret")
	ada.get(endpointsPath).want(200).says("chat").says("<code>push.refused</code> in one repository").lacks("s3cret")

	send := func() {
		t.Helper()
		if err := sender.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ada.post(path, "do", "ping").leads(path + "?done=pinged")
	ada.get(path + "?done=pinged").says("A ping is being sent").says("waiting")
	send()
	failed := ada.get(path + "?state=failed").want(200).says("500 in").says("the receiver refused it").says("&lt;script&gt;alert(").lacks("<script>alert").says("failing")
	ada.get("/").want(200).says("takes no messages")
	w.person(w.org, "bob@example.com", access.RoleMember).get("/").want(200).lacks("takes no messages")
	message := messageHidden.FindStringSubmatch(failed.body)
	if message == nil {
		t.Fatal("a message that failed cannot be redelivered")
	}
	ada.post(path+"/redeliver", "message", message[1]).leads(path + "?done=resent")
	send()
	ada.get(path + "?state=sent").want(200).says("200 in").says("attempt 2").says("works")
	ada.post(path+"/redeliver", "message", uuid.NewString()).want(404)
	ada.post(path+"/redeliver", "message", "x").want(400)

	again := ada.post(path, "do", "rotate").want(200)
	if other := shownSecret.FindStringSubmatch(again.body); other == nil || other[1] == secret[1] {
		t.Error("the secret was not rotated")
	}
	ada.get(path).says("signs too until")
	ada.post(path, "do", "change", "name", "talk", "url", "", "repos", "").leads(path + "?done=endpoint-changed")
	ada.get(path).says("talk").says("everything").says("all repositories").says(rc.URL)
	ada.post(path, "do", "change", "name", "").want(400).says("must be given")
	ada.post(path, "do", "off").leads(path + "?done=endpoint-off")
	ada.get(path).says("switched off").says("Switch on").lacks(">Redeliver<")
	ada.post(path, "do", "ping").want(400).says("is switched off")
	ada.post(path, "do", "on").leads(path + "?done=endpoint-on")
	ada.post(path, "do", "remove").leads(endpointsPath + "?done=endpoint-removed")
	ada.get(path).want(404)
	if strings.Contains(w.log.String(), "s3cret") {
		t.Error("the log holds the path of the URL")
	}
}

// lacks wants a text not to be on the page.
func (p page) lacks(text string) page {
	p.t.Helper()
	if strings.Contains(p.body, text) {
		p.t.Errorf("%s: %q is on the page", p.asked, text)
	}
	return p
}
