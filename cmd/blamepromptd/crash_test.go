package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/pglocal"
	"github.com/blameprompt/enterprise/store/storetest"
)

// binary builds the daemon once per run: a process of its own is what a test
// can kill.
var binary = sync.OnceValues(func() (string, error) { return build("blamepromptd") })

// instance is a running daemon.
type instance struct {
	t    testing.TB
	dir  string
	url  string
	cmd  *exec.Cmd
	done chan struct{}
	out  *transcript
}

// transcript is what a daemon says, which can be read while it speaks.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(text)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// begin starts a daemon on a database, with its data in dir, and does not wait
// until it serves.
func begin(t testing.TB, dir, dsn, root string, env ...string) *instance {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &instance{t: t, dir: dir, cmd: exec.Command(path, "serve"), done: make(chan struct{}), out: &transcript{}}
	p.cmd.Env = append(os.Environ(), append([]string{"BLAMEPROMPT_DATA_DIR=" + dir, "BLAMEPROMPT_DATABASE_URL=" + dsn,
		"BLAMEPROMPT_HTTP_ADDR=127.0.0.1:0", "BLAMEPROMPT_SSH_ADDR=127.0.0.1:0", "BLAMEPROMPT_FILE_ROOTS=" + root, "BLAMEPROMPT_SWEEP_EVERY=1s"}, env...)...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	os.Remove(filepath.Join(dir, "daemon.json"))
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9.
func (p *instance) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ready waits until the daemon serves.
func (p *instance) ready() *instance {
	p.t.Helper()
	eventually(p.t, "the daemon serves", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("the daemon ended: %s", p.out)
		default:
		}
		note, err := readRunning(filepath.Join(p.dir, "daemon.json"))
		if err != nil {
			return false
		}
		p.url = note.URL
		response, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("gave up waiting until %s", what)
		case <-tick.C:
		}
	}
}

// fixtureNotes makes a repository with n notes of one receipt each, 50 to a
// notes commit.
func fixtureNotes(t testing.TB, n int) *gittest.Fixture {
	t.Helper()
	remote := gittest.New(t)
	var all []gittest.Notes
	for first := 0; first < n; first += 50 {
		bodies := map[gitcmd.OID]string{}
		for i := first; i < min(n, first+50); i++ {
			bodies[gitcmd.OID(fmt.Sprintf("%040x", i*7919+1))] = noteBody(fmt.Sprintf("receipt-%d", i))
		}
		all = append(all, gittest.Notes{Bodies: bodies, Fanout: 1})
	}
	remote.ImportNotes(all)
	return remote
}

func noteBody(id string) string {
	return fmt.Sprintf(`{"blameprompt_version": "1.0.1", "receipts": [{"id": %q, "provider": "claude", "model": "claude-opus-4-6",
		"session_id": "s-%s", "prompt_number": 1, "prompt_summary": "do it", "prompt_hash": "sha256:00", "message_count": 2,
		"cost_usd": 0.5, "timestamp": "2026-02-03T04:05:06Z", "user": "Dev <dev@example.com>", "files_changed": []}]}`, id, id)
}

// tip is the ingested tip, empty while there is none or the database is away.
func (p *instance) tip(db *store.DB) string {
	var tip string
	if err := db.Pool().QueryRow(context.Background(), `SELECT max(tip) FROM note_refs`).Scan(&tip); err != nil {
		return ""
	}
	return tip
}

// The daemon is killed at random moments of taking 5,000 notes in. Whatever it
// was doing, the rows in the end are those of a daemon that nobody disturbed.
func TestKilledDaemonsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const kills = 30
	remote := fixtureNotes(t, 5000)
	want := string(remote.Tip("refs/notes/blameprompt"))

	undisturbed := storetest.Open(t)
	org := storetest.MustOrg(t, undisturbed, "acme")
	ref := takeIn(t, undisturbed, org, remote)

	dsn := storetest.DSN(t)
	db := storetest.OpenDSN(t, dsn)
	acme := storetest.MustOrg(t, db, "acme")
	storetest.MustRepo(t, db, acme, "backend", remote.Dir)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 30))
	killed := 0
	for ; killed < kills; killed++ {
		p := begin(t, dir, dsn, filepath.Dir(remote.Dir))
		// From before it serves to the end of an ingest.
		wait := time.Duration(rng.Int64N(int64(ref)))
		select {
		case <-time.After(wait):
		case <-p.done:
			t.Fatalf("the daemon ended by itself: %s", p.out)
		}
		p.kill()
		t.Logf("killed after %v of %v; taken in: %v", wait.Round(time.Millisecond), ref.Round(time.Millisecond), p.tip(db) == want)
		if p.tip(db) == want {
			// Done before its time: start over, so that every kill hits an ingest.
			restart(t, db)
		}
	}
	p := begin(t, dir, dsn, filepath.Dir(remote.Dir)).ready()
	eventually(t, "the tip is taken in", func() bool { return p.tip(db) == want })
	if diff := cmp.Diff(storetest.Dump(t, undisturbed), storetest.Dump(t, db)); diff != "" {
		t.Errorf("after %d kills the rows differ (-undisturbed +killed):\n%s", killed, diff)
	}
	if n := storetest.Column(t, db, `SELECT count(*)::text FROM receipts`)[0]; n != "5000" {
		t.Errorf("%s receipts, want 5000", n)
	}
}

// takeIn runs an undisturbed daemon and returns how long it took.
func takeIn(t *testing.T, db *store.DB, org store.Org, remote *gittest.Fixture) time.Duration {
	t.Helper()
	storetest.MustRepo(t, db, org, "backend", remote.Dir)
	started := time.Now()
	p := begin(t, t.TempDir(), db.Pool().Config().ConnString(), filepath.Dir(remote.Dir)).ready()
	want := string(remote.Tip("refs/notes/blameprompt"))
	eventually(t, "the tip is taken in", func() bool { return p.tip(db) == want })
	took := time.Since(started)
	p.kill()
	return took
}

// restart empties the tables that an ingest fills and asks for a fetch at once.
func restart(t *testing.T, db *store.DB) {
	t.Helper()
	_, err := db.Pool().Exec(context.Background(), `
		TRUNCATE note_refs, note_versions, note_bodies, receipt_commits, receipts, receipt_files, attestations, prompts, rollups, rollup_months, findings;
		UPDATE repos SET fetch_started_at = NULL, fetched_at = NULL`)
	if err != nil {
		t.Fatal(err)
	}
}

// Two daemons share a database while pushes and duplicate deliveries storm in.
func TestTwoDaemonsAndAStormOfDeliveriesLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	remote := fixtureNotes(t, 200)
	dsn := storetest.DSN(t)
	db := storetest.OpenDSN(t, dsn)
	org := storetest.MustOrg(t, db, "acme")
	storetest.MustRepo(t, db, org, "backend", remote.Dir)
	// Daemons that share a database share the key of its secrets.
	seal := "BLAMEPROMPT_SEAL_KEY_FILE=" + filepath.Join(t.TempDir(), "seal.key")
	first := begin(t, t.TempDir(), dsn, filepath.Dir(remote.Dir), seal).ready()
	second := begin(t, t.TempDir(), dsn, filepath.Dir(remote.Dir), seal).ready()
	key := storetest.MustKey(t, db, org, access.Admin)
	secret := first.webhookSecret(key)

	var senders sync.WaitGroup
	pushed := make(chan string, 20)
	for n := range 20 {
		remote.Notes(gittest.Notes{Fanout: 1, Bodies: map[gitcmd.OID]string{
			gitcmd.OID(fmt.Sprintf("%040x", n+1)): noteBody(fmt.Sprintf("stormed-%d", n))}})
		pushed <- fmt.Sprintf("stormed-%d", n)
		for _, p := range []*instance{first, second, first} {
			senders.Go(func() { p.deliver(secret, fmt.Sprintf("delivery-%d", n)) })
		}
		senders.Go(func() { second.deliver(secret, fmt.Sprintf("another-%d", n)) })
	}
	senders.Wait()
	close(pushed)
	want := string(remote.Tip("refs/notes/blameprompt"))
	eventually(t, "the last tip is taken in", func() bool { return first.tip(db) == want })
	for id := range pushed {
		if n := storetest.Column(t, db, `SELECT count(*)::text FROM receipts WHERE id = $1 AND current`, id)[0]; n != "1" {
			t.Errorf("receipt %s stands %s times, want once", id, n)
		}
	}
	if n := storetest.Column(t, db, `SELECT count(*)::text FROM webhook_deliveries`)[0]; n != "40" {
		t.Errorf("%s deliveries are recorded, want 40", n)
	}
	fresh := storetest.Open(t)
	takeIn(t, fresh, storetest.MustOrg(t, fresh, "acme"), remote)
	if diff := cmp.Diff(storetest.Dump(t, fresh), storetest.Dump(t, db)); diff != "" {
		t.Errorf("after the storm the rows differ (-one daemon +two):\n%s", diff)
	}
	for _, p := range []*instance{first, second} {
		p.kill()
		if log := p.out.String(); strings.Contains(log, "deadlock") || strings.Contains(log, "panic") {
			t.Errorf("the log of a daemon tells of trouble:\n%s", log)
		}
	}
}

// webhookSecret makes a secret for generic webhooks through the API.
func (p *instance) webhookSecret(key string) string {
	p.t.Helper()
	var answer struct{ Secret string }
	p.call(key, http.MethodPost, "/api/v1/webhook-secrets", `{"forge": "generic"}`, &answer)
	return answer.Secret
}

func (p *instance) call(key, method, path, body string, into any) {
	p.t.Helper()
	request, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		p.t.Fatalf("%s %s = %d %s, %v", method, path, response.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		p.t.Fatalf("%s %s answers %s: %v", method, path, text, err)
	}
}

// deliver sends one signed delivery of the generic form; 202 is the only answer.
func (p *instance) deliver(secret, id string) {
	body := `{"repository": "backend", "updates": [{"ref": "refs/heads/main"}]}`
	now := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(now + "." + body))
	request, err := http.NewRequest(http.MethodPost, p.url+"/hooks/generic/acme", strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-BlamePrompt-Timestamp", now)
	request.Header.Set("X-BlamePrompt-Delivery", id)
	request.Header.Set("X-BlamePrompt-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusAccepted {
		p.t.Errorf("delivery %s (%s) = %d %s, want 202", id, forge.Generic, response.StatusCode, text)
	}
}

// PostgreSQL goes away and comes back under load: the daemon says so, waits,
// and goes on by itself.
func TestTheDaemonOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	remote := fixtureNotes(t, 50)
	config := pglocal.Config{Dir: filepath.Join(clusterDir(t), "pg"), Volatile: true, Log: zerolog.Nop()}
	cluster, err := pglocal.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if err := cluster.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { stop() })
	dsn := cluster.DSN(pglocal.Database)
	if err := store.Migrate(t.Context(), dsn, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	db := storetest.OpenDSN(t, dsn)
	org := storetest.MustOrg(t, db, "acme")
	storetest.MustRepo(t, db, org, "backend", remote.Dir)
	p := begin(t, t.TempDir(), dsn, filepath.Dir(remote.Dir), "BLAMEPROMPT_SWEEP_ACTIVE=1s").ready()
	key := storetest.MustKey(t, db, org, access.Admin)

	load, endLoad := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { p.ask(load, key) })
	}
	for round := range 3 {
		stop()
		eventually(t, "the daemon says that it is not ready", func() bool { return p.status(t, "/readyz") == http.StatusServiceUnavailable })
		if got := p.status(t, "/healthz"); got != http.StatusOK {
			t.Errorf("/healthz without a database = %d, want 200: the process is alive", got)
		}
		remote.Notes(gittest.Notes{Fanout: 1, Bodies: map[gitcmd.OID]string{
			gitcmd.OID(fmt.Sprintf("%040x", round+1)): noteBody(fmt.Sprintf("away-%d", round))}})
		if cluster, err = pglocal.Start(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the daemon is ready again", func() bool { return p.status(t, "/readyz") == http.StatusOK })
		want := string(remote.Tip("refs/notes/blameprompt"))
		eventually(t, "what was pushed meanwhile is taken in", func() bool { return p.tip(db) == want })
	}
	endLoad()
	clients.Wait()
}

// clusterDir is a directory that an unprivileged account can reach, also when
// the test runs as root.
func clusterDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "blamepromptd-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ask reads receipts until ctx ends. While the database is away every answer
// is a 503; a 500 at any time is a fault.
func (p *instance) ask(ctx context.Context, key string) {
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/receipts?limit=5", nil)
		if err != nil {
			p.t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		default:
			p.t.Errorf("under load: %d %s", response.StatusCode, text)
			return
		}
	}
}

func (p *instance) status(t *testing.T, path string) int {
	t.Helper()
	response, err := http.Get(p.url + path)
	if err != nil {
		t.Fatalf("GET %s: %v\n%s", path, err, p.out)
	}
	defer response.Body.Close()
	return response.StatusCode
}
