package endpoint_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// failing answers a status n times, and then takes what comes.
func failing(n, status int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, request int) {
		if request <= n {
			http.Error(w, "not now", status)
		}
	}
}

func TestAMessageIsTriedUnderOneID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, failing(3, 503))
	row, secret := w.listen(rc)
	w.ping(row)
	w.send()
	got := rc.all()
	if len(got) != 4 {
		t.Fatalf("%d requests, want 4", len(got))
	}
	for _, r := range got {
		if r.ID != got[0].ID || string(r.Body) != string(got[0].Body) || !r.verifies(secret) {
			t.Errorf("another message, or badly signed: %s %s", r.ID, r.Body)
		}
	}
	list := w.messages(row)
	if len(list) != 1 || list[0].ID.String() != got[0].ID || list[0].State != store.MessageSent {
		t.Fatalf("messages %+v", list)
	}
	var shown []string
	for _, a := range list[0].Attempts {
		shown = append(shown, fmt.Sprint(a.Number, " ", a.Status, " ", a.Error, " ", a.Answer))
	}
	want := []string{"4 200  ", "3 503 the receiver refused it not now", "2 503 the receiver refused it not now", "1 503 the receiver refused it not now"}
	if !slices.Equal(shown, want) {
		t.Errorf("attempts %q, want %q", shown, want)
	}
	if e := w.endpoint(row); e.Failures != 0 || e.FailingSince != nil || e.SucceededAt == nil {
		t.Errorf("the endpoint stands so: %+v", e)
	}
}

func TestAMessageIsGivenUpAndSentAgainOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, failing(3, 500))
	row, _ := w.listen(rc)
	m := w.ping(row)
	few := w.sender(func(c *endpoint.Config) { c.Pauses = make([]time.Duration, 2) })
	w.sendBy(few)
	if list := w.messages(row); list[0].State != store.MessageFailed || len(list[0].Attempts) != 3 {
		t.Fatalf("given up: %+v", list)
	}
	if e := w.endpoint(row); e.Failed != 1 || e.FailingSince == nil || e.Failures != 3 {
		t.Errorf("the endpoint stands so: %+v", e)
	}
	if failing, err := w.db.FailingEndpoints(t.Context(), w.org.ID, 5); err != nil || len(failing) != 1 {
		t.Errorf("failing %+v, %v", failing, err)
	}
	again, err := w.db.ResendMessage(t.Context(), w.by, m.ID)
	if err != nil || again.ID != m.ID || again.State != store.MessageWaiting || len(again.Attempts) != 3 {
		t.Fatalf("asked for again: %+v, %v", again, err)
	}
	w.sendBy(few)
	got := rc.all()
	if len(got) != 4 || got[3].ID != m.ID.String() {
		t.Errorf("%d requests, the last of %s", len(got), got[len(got)-1].ID)
	}
	if list := w.messages(row); list[0].State != store.MessageSent || list[0].Attempts[0].Number != 4 {
		t.Errorf("then: %+v", list)
	}
}

// The pauses are those of the specification: they end after three days.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, always(500))
	row, _ := w.listen(rc)
	m := w.ping(row)
	s := w.sender(func(c *endpoint.Config) { c.Pauses = nil })
	var sum time.Duration
	for i, want := range endpoint.Pauses {
		w.sendBy(s)
		var wait time.Duration
		err := w.db.Pool().QueryRow(t.Context(), `
			SELECT m.next_at - a.at FROM messages m JOIN message_attempts a ON a.message_id = m.id AND a.number = m.attempts WHERE m.id = $1`, m.ID).Scan(&wait)
		w.must(err)
		if wait < want*9/10 || wait > want*11/10+time.Minute {
			t.Errorf("pause %d is %s, want about %s", i+1, wait, want)
		}
		sum += want
		// Time passes.
		w.exec(`UPDATE messages SET next_at = now()`)
		w.exec(`UPDATE endpoints SET rest_until = '-infinity'`)
	}
	if sum < 3*24*time.Hour || len(rc.all()) != len(endpoint.Pauses) {
		t.Errorf("%d attempts in %s", len(rc.all()), sum)
	}
	w.sendBy(s)
	if list := w.messages(row); list[0].State != store.MessageFailed {
		t.Errorf("at the end: %+v", list[0])
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ int) {
		rw.Header().Set("Retry-After", "3600")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	row, _ := w.listen(rc)
	w.ping(row)
	w.ping(row)
	w.send()
	var waits, rests bool
	w.must(w.db.Pool().QueryRow(t.Context(), `SELECT bool_or(next_at > now() + interval '59 minutes') FROM messages`).Scan(&waits))
	w.must(w.db.Pool().QueryRow(t.Context(), `SELECT rest_until > now() + interval '59 minutes' FROM endpoints`).Scan(&rests))
	if !waits || !rests || len(rc.all()) != 1 {
		t.Errorf("the message waits: %v, the endpoint rests: %v, requests: %d", waits, rests, len(rc.all()))
	}
}

func TestGoneSwitchesOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, always(http.StatusGone))
	row, _ := w.listen(rc)
	first, second := w.ping(row), w.ping(row)
	w.send()
	w.policy("No mini", "block", `{"blocked_models": ["*mini*"]}`)
	w.decide(pushed("one", "gpt-5-mini"))
	w.send()
	if got := rc.all(); len(got) != 1 || got[0].ID != first.ID.String() {
		t.Errorf("%d requests", len(got))
	}
	e := w.endpoint(row)
	if e.DisabledAt == nil || e.Disabled != store.DisabledGone || e.Failed != 2 {
		t.Errorf("the endpoint stands so: %+v", e)
	}
	if act := storetest.Column(t, w.db, `SELECT detail::text FROM audit_log WHERE action = 'endpoint.disable'`); len(act) != 1 || !strings.Contains(act[0], "gone") {
		t.Errorf("acts %q", act)
	}
	if _, err := w.db.ResendMessage(t.Context(), w.by, second.ID); err == nil {
		t.Error("a message is sent to an endpoint that is switched off")
	}
	if _, err := w.db.PingEndpoint(t.Context(), w.by, row.ID); err == nil {
		t.Error("an endpoint that is switched off is pinged")
	}
}

func TestDaysOfFailureSwitchOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, failing(2, 500))
	row, _ := w.listen(rc)
	w.ping(row)
	one := w.sender(func(c *endpoint.Config) { c.Pauses = []time.Duration{time.Hour, time.Hour} })
	w.sendBy(one)
	w.exec(`UPDATE messages SET next_at = now()`)
	w.exec(`UPDATE endpoints SET rest_until = '-infinity', failing_since = now() - interval '71 hours'`)
	w.sendBy(one)
	if e := w.endpoint(row); e.DisabledAt != nil {
		t.Fatalf("switched off before three days: %+v", e)
	}
	rc.mu.Lock()
	rc.answer = always(500)
	rc.mu.Unlock()
	w.exec(`UPDATE messages SET next_at = now()`)
	w.exec(`UPDATE endpoints SET rest_until = '-infinity', failing_since = now() - interval '73 hours'`)
	w.sendBy(one)
	if e := w.endpoint(row); e.DisabledAt == nil || e.Disabled != store.DisabledFailing {
		t.Errorf("the endpoint stands so: %+v", e)
	}
	yes := true
	e, err := w.desk.Change(t.Context(), w.by, row.ID, endpoint.Change{Enabled: &yes})
	if err != nil || e.DisabledAt != nil || e.FailingSince != nil || e.Failures != 0 {
		t.Errorf("switched on again: %+v, %v", e, err)
	}
}

// An endpoint that was sealed with another key cannot be sent to: it shows as
// failing, and takes up nothing that others wait for.
func TestAnEndpointThatCannotBeOpenedFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, other := newReceiver(t, nil), newReceiver(t, nil)
	row, _ := w.listen(old)
	w.ping(row)
	w.db = openSealed(t, w.dsn, "another key of thirty-two bytes!")
	w.desk.DB = w.db
	second, _ := w.listen(other)
	w.ping(second)
	w.send()
	if e := w.endpoint(row); e.FailingSince == nil || e.Waiting != 1 || e.DisabledAt != nil {
		t.Errorf("the endpoint stands so: %+v", e)
	}
	if len(old.all()) != 0 || len(other.all()) != 1 {
		t.Errorf("%d messages to the one that cannot be opened, %d to the other", len(old.all()), len(other.all()))
	}
	url := other.URL
	if _, err := w.desk.Change(t.Context(), w.by, row.ID, endpoint.Change{URL: &url}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.db.RotateEndpoint(t.Context(), w.by, row.ID); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE endpoints SET rest_until = '-infinity'`)
	w.send()
	if e := w.endpoint(row); e.FailingSince != nil || e.Waiting != 0 {
		t.Errorf("with an URL and a secret anew the endpoint stands so: %+v", e)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inner := newReceiver(t, nil)
	for _, status := range []int{301, 302, 307, 308} {
		rc := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(rw, r, inner.URL+"/latest/meta-data", status)
		})
		row, _ := w.listen(rc)
		w.ping(row)
		w.sendBy(w.sender(func(c *endpoint.Config) { c.Pauses = []time.Duration{} }))
		if list := w.messages(row); list[0].State != store.MessageFailed || list[0].Attempts[0].Status != status ||
			!strings.Contains(list[0].Attempts[0].Error, "redirects are not followed") {
			t.Errorf("%d: %+v", status, list)
		}
	}
	if got := inner.all(); len(got) != 0 {
		t.Errorf("a redirect was followed: %+v", got)
	}
}

// A receiver that hangs holds up no other: what comes while it hangs reaches
// others before it has answered.
func TestAHangingReceiverHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hangs, release := make(chan struct{}), make(chan struct{})
	slow := newReceiver(t, func(_ http.ResponseWriter, _ *http.Request, _ int) {
		close(hangs)
		<-release
	})
	quick := newReceiver(t, nil)
	hanging, _ := w.listen(slow)
	w.ping(hanging)
	ended := make(chan error, 1)
	s := w.sender(func(c *endpoint.Config) { c.Timeout = time.Minute / 2 })
	go func() { ended <- s.Send(context.Background()) }()
	<-hangs
	row, _ := w.listen(quick)
	m := w.ping(row)
	for len(quick.all()) == 0 {
		select {
		case err := <-ended:
			t.Fatalf("the run ended: %v", err)
		case <-t.Context().Done():
			t.Fatal("the other one was not told")
		case <-time.After(time.Millisecond):
		}
	}
	if got := quick.all(); got[0].ID != m.ID.String() {
		t.Errorf("told of %s, want %s", got[0].ID, m.ID)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if list := w.messages(hanging); list[0].State != store.MessageSent {
		t.Errorf("the slow one: %+v", list)
	}
}

func TestAReceiverHasSomeTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	rc := newReceiver(t, func(_ http.ResponseWriter, _ *http.Request, _ int) { <-release })
	row, _ := w.listen(rc)
	w.ping(row)
	w.sendBy(w.sender(func(c *endpoint.Config) { c.Pauses, c.Timeout = []time.Duration{}, 50*time.Millisecond }))
	close(release)
	if list := w.messages(row); list[0].Attempts[0].Status != 0 || list[0].Attempts[0].Error != "no answer within 50ms" {
		t.Errorf("%+v", list)
	}
}

// rules are those of a daemon that allows nothing private.
var rules = endpoint.Rules{CheckAddress: mirror.Rules{}.CheckAddress}

func TestPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://127.0.0.1/x":              "loopback address",
		"https://10.1.2.3/x":               "private address",
		"https://169.254.169.254/latest":   "link-local address",
		"https://[::1]/x":                  "loopback address",
		"https://[::ffff:127.0.0.1]/x":     "loopback address",
		"http://hooks.example.com/x":       "must begin with https://",
		"ftp://hooks.example.com/x":        "must begin with https://",
		"javascript:alert(1)":              "URL such as",
		"https:///x":                       "must name a host",
		"https://user:pw@example.com/":     "must have no user name",
		"https://example.com/#secret":      "must have no fragment",
		"https://example.com/\x00":         "URL such as",
		"https://exa mple.com/":            "URL such as",
		"":                                 "must be given",
		"https://e.com/" + long(3000):      "too long",
		"https://hooks.example.com/s3cret": "",
	} {
		_, err := rules.Parse(url)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60q: %v, want %q", url, err, want)
		case err != nil && (strings.Contains(err.Error(), "pw@") || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: the error repeats it: %v", url, err)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// What a name resolves to is judged when the connection is made: a name that was
// harmless when it was entered leads nowhere.
func TestRebindingIsRefusedWhenConnecting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(rc.URL, "http://"))
	w.must(err)
	row, _ := w.add(endpoint.New{Name: "rebound", URL: "http://localhost:" + port + "/x"})
	w.ping(row)
	var asked sync.Map
	check := func(host string, addr netip.Addr) error {
		asked.Store(host+" "+addr.String(), true)
		return mirror.Rules{}.CheckAddress(host, addr)
	}
	w.sendBy(w.sender(func(c *endpoint.Config) {
		c.Pauses, c.Rules = []time.Duration{}, endpoint.Rules{AllowHTTP: true, CheckAddress: check}
	}))
	if got := rc.all(); len(got) != 0 {
		t.Errorf("a private address was connected to: %+v", got)
	}
	a := w.messages(row)[0].Attempts[0]
	if a.Status != 0 || !strings.HasPrefix(a.Error, "host localhost has the loopback address") {
		t.Errorf("%+v", a)
	}
	seen := false
	asked.Range(func(key, _ any) bool {
		seen = seen || key == "localhost 127.0.0.1" || key == "localhost ::1"
		return true
	})
	if !seen {
		t.Error("the address was not judged")
	}
}

// A URL that was allowed when it was entered and is not any more is not sent to.
func TestRulesThatChangedHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	row, _ := w.listen(rc)
	w.ping(row)
	w.sendBy(w.sender(func(c *endpoint.Config) { c.Pauses, c.Rules = []time.Duration{}, rules }))
	if a := w.messages(row)[0].Attempts[0]; len(rc.all()) != 0 || !strings.Contains(a.Error, "must begin with https://") {
		t.Errorf("%+v", a)
	}
}

// Of an answer only the beginning is kept, and nothing in it that cannot be seen.
func TestAnswersAreBoundedAndCleaned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed := make(chan struct{})
	var once sync.Once
	rc := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, _ int) {
		defer once.Do(func() { close(closed) })
		rw.WriteHeader(500)
		fmt.Fprint(rw, "<script>alert(1)</script>\x00\x1b[31m\u202e\xff\xfeline\n")
		chunk := []byte(strings.Repeat("é", 32<<10))
		for range 64 << 20 / len(chunk) {
			if _, err := rw.Write(chunk); err != nil {
				return
			}
		}
	})
	row, _ := w.listen(rc)
	w.ping(row)
	w.sendBy(w.sender(func(c *endpoint.Config) { c.Pauses = []time.Duration{} }))
	<-closed
	a := w.messages(row)[0].Attempts[0]
	if !strings.HasPrefix(a.Answer, "<script>alert(1)</script>[31mline\né") || len(a.Answer) > 4<<10 || a.Status != 500 {
		t.Errorf("%d bytes kept: %.100q", len(a.Answer), a.Answer)
	}
}

// A rotated secret signs together with the one before for a day.
func TestBothSecretsSignAfterARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	row, before := w.listen(rc)
	row, now, err := w.db.RotateEndpoint(t.Context(), w.by, row.ID)
	w.must(err)
	if before == now || row.PreviousUntil == nil || row.PreviousUntil.Before(time.Now().Add(23*time.Hour)) {
		t.Errorf("rotated: %+v", row)
	}
	w.ping(row)
	w.send()
	w.exec(`UPDATE endpoints SET previous_until = now() - interval '1 second'`)
	w.ping(row)
	w.send()
	got := rc.all()
	if !got[0].verifies(before) || !got[0].verifies(now) || got[1].verifies(before) || !got[1].verifies(now) {
		t.Errorf("signed with %q and then %q", got[0].Signature, got[1].Signature)
	}
}

// Several senders on one database send each message once.
func TestSeveralSendersShareTheWork(t *testing.T) {
	t.Parallel()
	const endpoints, each, senders = 6, 8, 3
	w := newWorld(t)
	rc := newReceiver(t, nil)
	for range endpoints {
		row, _ := w.listen(rc)
		for range each {
			w.ping(row)
		}
	}
	var group sync.WaitGroup
	for range senders {
		db := openDB(t, w.dsn)
		s := w.sender(func(c *endpoint.Config) { c.DB = db })
		group.Go(func() {
			if err := s.Send(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	w.send()
	times := map[string]int{}
	for _, r := range rc.all() {
		times[r.ID]++
	}
	if len(times) != endpoints*each {
		t.Errorf("%d messages came, want %d", len(times), endpoints*each)
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("message %s came %d times", id, n)
		}
	}
}

// One that was claimed by a daemon that died is taken up when the claim is over.
func TestAClaimOfADeadDaemonEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	row, _ := w.listen(rc)
	w.ping(row)
	claimed, _, err := w.db.ClaimEndpoints(t.Context(), 10, time.Hour)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%+v, %v", claimed, err)
	}
	w.send()
	if got := rc.all(); len(got) != 0 {
		t.Fatal("sent under another one's claim")
	}
	w.exec(`UPDATE endpoints SET claimed_until = now() - interval '1 second'`)
	w.send()
	if got := rc.all(); len(got) != 1 {
		t.Errorf("%d requests", len(got))
	}
}

// A receiver's URL holds a secret: it is in the database sealed, and in no log.
func TestTheURLStaysSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, always(500))
	row, secret := w.listen(rc)
	gone, _ := w.add(endpoint.New{Name: "nobody", URL: "http://127.0.0.1:1/services/s3cret"})
	w.ping(row)
	w.ping(gone)
	var log strings.Builder
	w.sendBy(w.sender(func(c *endpoint.Config) {
		c.Pauses, c.Log = []time.Duration{}, zerolog.New(zerolog.SyncWriter(&log))
	}))
	kept := strings.Join(storetest.Column(t, w.db, `
		SELECT e::text || encode(url, 'escape') || encode(secret, 'escape') FROM endpoints e
		UNION ALL SELECT a::text FROM audit_log a UNION ALL SELECT m::text FROM messages m UNION ALL SELECT a::text FROM message_attempts a`), "\n")
	for what, text := range map[string]string{"the log": log.String(), "the database": kept} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, secret) || !strings.Contains(text, "127.0.0.1") {
			t.Errorf("%s holds the URL or the secret, or nothing: %.2000s", what, text)
		}
	}
	if row.Origin != rc.URL {
		t.Errorf("shown as %s", row.Origin)
	}
	if _, err := w.db.Endpoint(t.Context(), uuid.New(), row.ID); err == nil {
		t.Error("another organisation reads it")
	}
}
