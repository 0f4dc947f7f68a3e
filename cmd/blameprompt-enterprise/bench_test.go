package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/daemontest"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/store/storetest"
)

const (
	benchRuns = 50
	// maxCheck is what a check of 10 commits may take, from start to exit.
	maxCheck = 150 * time.Millisecond
)

// BenchmarkCheck measures what a person waits for: the whole program as a child,
// with 10 commits in a repository of 2,000 commits and notes, against a daemon with
// 20 policies.
//
//	go run ./store/storetest/cluster -- go test -run '^$' -bench Check -benchtime 1x ./cmd/blameprompt-enterprise
func BenchmarkCheck(b *testing.B) {
	api, key := startDaemon(b)
	for i := range 20 {
		addPolicy(b, api, key, fmt.Sprintf(`{"name":"p%d","rule":{"blocked_models":["gpt-%d*"]},"action":"block"}`, i, i))
	}
	program := filepath.Join(b.TempDir(), program)
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	dir := checkout10(b)
	check := func() time.Duration {
		cmd := exec.Command(program, "check")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), envURL+"="+api, envKey+"="+key)
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(began)
		if err != nil || !strings.Contains(string(out), "10 commits") {
			b.Fatalf("%v: %s", err, out)
		}
		return took
	}
	check()
	for b.Loop() {
		var took []time.Duration
		for range benchRuns {
			took = append(took, check())
		}
		slices.Sort(took)
		p50, p95 := took[benchRuns/2], took[benchRuns*95/100]
		b.ReportMetric(float64(p50.Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(p95.Microseconds())/1000, "p95-ms")
		b.Logf("check of 10 commits: p50 %s, p95 %s", p50.Round(time.Millisecond), p95.Round(time.Millisecond))
		if p50 > maxCheck {
			b.Errorf("check of 10 commits takes %s, more than %s", p50, maxCheck)
		}
	}
}

// checkout10 clones a repository and puts 10 commits with notes on top.
func checkout10(b *testing.B) string {
	b.Helper()
	origin := gittest.New(b)
	old := origin.Commits("refs/heads/main", 2000)
	f := gittest.Clone(b, "file://"+origin.Dir)
	bodies := map[gitcmd.OID]string{}
	for i, oid := range append(old, f.Commits("refs/heads/main", 10)...) {
		bodies[oid] = fmt.Sprintf(`{"receipts":[{"id":"r%d","provider":"claude","model":"claude-opus-4-6","session_id":"s",`+
			`"prompt_number":%d,"files_changed":[{"path":"file%d.txt","line_range":[1,1]}]}]}`, i, i, i%10)
	}
	f.Notes(gittest.Notes{Fanout: 1, Bodies: bodies})
	f.Git("reset", "-q", "--hard")
	return f.Dir
}

// startDaemon starts the real daemon on a database of its own.
func startDaemon(b *testing.B) (api, key string) {
	b.Helper()
	dir := b.TempDir()
	cmd := exec.Command(filepath.Join(daemontest.Build(b), "blamepromptd"), "serve", "--json")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "BLAMEPROMPT_DATA_DIR="+dir, "BLAMEPROMPT_DATABASE_URL="+storetest.Empty(b),
		"BLAMEPROMPT_HTTP_ADDR=127.0.0.1:0", "BLAMEPROMPT_SSH_ADDR=127.0.0.1:0", "BLAMEPROMPT_LOG_LEVEL=error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var hello struct {
		API      string `json:"api"`
		AdminKey string `json:"admin_key"`
	}
	if err := json.NewDecoder(out).Decode(&hello); err != nil {
		b.Fatal(err)
	}
	return hello.API, hello.AdminKey
}

func addPolicy(b *testing.B, api, key, document string) {
	b.Helper()
	req, err := http.NewRequest(http.MethodPost, api+"/api/v1/policies", bytes.NewReader([]byte(document)))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		b.Fatalf("adding a policy: %s", resp.Status)
	}
}
