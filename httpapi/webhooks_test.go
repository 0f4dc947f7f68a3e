package httpapi_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// hookSecret makes a webhook secret and checks what is told of it.
func (w *world) hookSecret(forge string) string {
	w.t.Helper()
	var made struct{ Secret, URL string }
	w.post(w.admin, "/api/v1/webhook-secrets", map[string]any{"forge": forge}).want(201).into(&made)
	if want := "https://blameprompt.example.com/hooks/" + forge + "/acme"; made.URL != want {
		w.t.Errorf("the address to enter is %q, want %q", made.URL, want)
	}
	if list := w.get(w.admin, "/api/v1/webhook-secrets").want(200); strings.Contains(string(list.body), made.Secret) {
		w.t.Error("the list of webhook secrets shows one")
	}
	return made.Secret
}

func (w *world) addRepo(name, url string) store.Repo {
	w.t.Helper()
	w.post(w.admin, "/api/v1/repos", map[string]any{"name": name, "url": url}).want(201)
	r, err := w.db.Repo(context.Background(), w.org.ID, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.fetches.take()
	return r
}

// github sends a push as GitHub does.
func (w *world) github(org, secret, delivery, event, cloneURL string) reply {
	body := fmt.Sprintf(`{"ref":"refs/heads/main","before":"%s","after":"%s","repository":{"full_name":"team/app","clone_url":"%s"}}`,
		strings.Repeat("1", 40), strings.Repeat("2", 40), cloneURL)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return w.do(call{method: "POST", path: "/hooks/github/" + org, body: body, header: map[string]string{
		"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil))}})
}

type taken struct{ Delivery, Outcome string }

func TestAWebhookDemandsFetchesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.addRepo("app", "https://git.example.com/team/app.git")
	secret := w.hookSecret("github")
	for _, test := range []struct {
		delivery, event, url, outcome string
		demands                       int
	}{
		{"d1", "push", "https://git.example.com/team/app", "fetch", 1},
		{"d1", "push", "https://git.example.com/team/app", "duplicate", 0},
		{"d2", "push", "git@git.example.com:team/app.git", "fetch", 1},
		{"d3", "push", "https://elsewhere.example.com/other.git", "unknown_repo", 0},
		{"d4", "ping", "https://git.example.com/team/app.git", "ignored", 0},
	} {
		var got taken
		w.github("acme", secret, test.delivery, test.event, test.url).want(202).into(&got)
		if got != (taken{test.delivery, test.outcome}) {
			t.Errorf("%+v: answered %+v", test, got)
		}
		made := w.fetches.take()
		if len(made) != test.demands || (len(made) > 0 && made[0] != (demand{w.org.ID, repo.ID, queue.Event})) {
			t.Errorf("%+v: demanded %v", test, made)
		}
	}
}

func TestAStormOfOneDeliveryDemandsOneFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addRepo("app", "https://git.example.com/team/app.git")
	secret := w.hookSecret("github")
	var mu sync.Mutex
	outcomes := map[string]int{}
	var storm sync.WaitGroup
	for range 30 {
		storm.Go(func() {
			var got taken
			w.github("acme", secret, "same", "push", "https://git.example.com/team/app.git").want(202).into(&got)
			mu.Lock()
			defer mu.Unlock()
			outcomes[got.Outcome]++
		})
	}
	storm.Wait()
	if outcomes["fetch"] != 1 || outcomes["duplicate"] != 29 || len(w.fetches.take()) != 1 {
		t.Errorf("outcomes %v, want one fetch", outcomes)
	}
}

func TestADeliveryWhoseFetchCannotBeQueuedIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addRepo("app", "https://git.example.com/team/app.git")
	secret := w.hookSecret("github")
	w.fetches.fail = errPlanned
	w.github("acme", secret, "d1", "push", "https://git.example.com/team/app.git").want(500)
	w.fetches.fail = nil
	var got taken
	if w.github("acme", secret, "d1", "push", "https://git.example.com/team/app.git").want(202).into(&got); got.Outcome != "fetch" {
		t.Errorf("the redelivery is %q, want fetch", got.Outcome)
	}
}

func TestAGenericWebhookNamesItsRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.addRepo("app", "https://git.example.com/team/app.git")
	secret := w.hookSecret("generic")
	body, stamp := `{"repository":"app"}`, strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	got := w.do(call{method: "POST", path: "/hooks/generic/acme", body: body, header: map[string]string{"X-BlamePrompt-Timestamp": stamp,
		"X-BlamePrompt-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil))}}).want(202)
	var answer taken
	if got.into(&answer); answer.Outcome != "fetch" {
		t.Errorf("answered %+v, want fetch", answer)
	}
	if made := w.fetches.take(); len(made) != 1 || made[0].repo != repo.ID {
		t.Errorf("demanded %v", made)
	}
}

// TestWhoIsNotAuthenticatedLearnsNothing compares the answers for an unknown
// organisation, one without a secret, a wrong signature and a revoked secret.
func TestWhoIsNotAuthenticatedLearnsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addRepo("app", "https://git.example.com/team/app.git")
	secret := w.hookSecret("github")
	strip := func(r reply) string {
		p := r.want(401).problem()
		return p.Code + p.Detail
	}
	const url = "https://git.example.com/team/app.git"
	want := strip(w.github("nobody", secret, "d1", "push", url))
	if got := strip(w.github("rival", secret, "d1", "push", url)); got != want {
		t.Errorf("an organisation without a secret answers %q, an unknown one %q", got, want)
	}
	if got := strip(w.github("acme", "wrong", "d1", "push", url)); got != want {
		t.Errorf("a wrong signature gets %q, an unknown organisation %q", got, want)
	}
	var list struct{ Items []struct{ ID string } }
	w.get(w.admin, "/api/v1/webhook-secrets").want(200).into(&list)
	w.do(call{method: "DELETE", path: "/api/v1/webhook-secrets/" + list.Items[0].ID, key: w.admin}).want(204)
	if got := strip(w.github("acme", secret, "d1", "push", url)); got != want {
		t.Errorf("a revoked secret gets %q, an unknown organisation %q", got, want)
	}
	if made := w.fetches.take(); len(made) != 0 {
		t.Errorf("demanded %v", made)
	}
}

func TestSeveralWebhookSecretsAreValidAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, fresh := w.hookSecret("github"), ""
	w.post(w.admin, "/api/v1/webhook-secrets", map[string]any{"forge": "github", "secret": "chosen-by-the-forge"}).want(201)
	fresh = "chosen-by-the-forge"
	w.github("acme", old, "d1", "ping", "https://git.example.com/x").want(202)
	w.github("acme", fresh, "d2", "ping", "https://git.example.com/x").want(202)
	_, secrets, err := w.db.OpenWebhookSecrets(context.Background(), "acme", "github")
	if err != nil || len(secrets) != 2 {
		t.Errorf("%d valid secrets, %v", len(secrets), err)
	}
	if _, err := w.db.WebhookSecrets(context.Background(), access.CLI(w.org.ID).Org); err != nil {
		t.Error(err)
	}
}
