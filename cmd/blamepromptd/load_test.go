package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/store/storetest"
)

var (
	loadTime    = flag.Duration("load.time", 15*time.Second, "how long TestPushersUnderKills pushes")
	loadPushers = flag.Int("load.pushers", 8, "how many push at a time, half of them through the gateway")
	loadKills   = flag.Int("load.kills", 1, "how often the daemon is killed meanwhile")
)

// saw is what a pusher was told.
type saw string

const (
	accepted saw = "accepted"
	refused  saw = "refused"
	// broken: the connection ended before the answer.
	broken saw = "broken"
)

// pushed is one push.
type pushed struct {
	oid    string
	branch string
	marked bool
	saw    saw
}

// pusher pushes to a branch of its own, again and again.
type pusher struct {
	t      *testing.T
	dir    string
	remote string
	// bare is the directory behind the remote.
	bare   string
	branch string
	env    []string
	rng    *rand.Rand
	// base is the last commit that is known to be in the repository.
	base string
	all  []pushed
}

// People push through hook and gateway while the daemon is killed and comes
// back. What they saw accepted is in the repository and has one decision that
// accepts it; what they saw refused is not there; nothing stays locked.
func TestPushersUnderKills(t *testing.T) {
	t.Parallel()
	w := newLoadWorld(t)
	p := w.begin().ready()
	w.prepare()
	pushers := w.pushers()
	ctx, cancel := context.WithTimeout(t.Context(), *loadTime)
	defer cancel()
	var group sync.WaitGroup
	for _, one := range pushers {
		group.Go(func() { one.run(ctx) })
	}
	for range *loadKills {
		select {
		case <-ctx.Done():
		case <-time.After(*loadTime / time.Duration(*loadKills+1)):
		}
		p.kill()
		p = w.begin().ready()
	}
	group.Wait()
	w.judge(pushers)
}

// loadWorld is a database, two bare repositories and how to start the daemon.
type loadWorld struct {
	t          *testing.T
	dsn        string
	root, data string
	// hook is the program blameprompt-hook.
	hook string
	// hooked and hosted are the directories of the repositories.
	hooked, hosted string
	// sshPort is where the gateway listens, and key opens it.
	sshPort, key string
}

func newLoadWorld(t *testing.T) *loadWorld {
	t.Helper()
	root := t.TempDir()
	hook, err := hookProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := &loadWorld{t: t, hook: hook, dsn: storetest.Empty(t), root: root, data: filepath.Join(root, "data"),
		hooked: filepath.Join(root, "hooked.git"), key: filepath.Join(root, "key")}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, w.sshPort, err = net.SplitHostPort(listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.data, 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *loadWorld) begin() *instance {
	return begin(w.t, w.data, w.dsn, w.root, "BLAMEPROMPT_SSH_ADDR=127.0.0.1:"+w.sshPort, "BLAMEPROMPT_HOOK_PROGRAM="+w.hook)
}

// prepare makes the repositories and the one policy: commits that an agent
// marked need receipts in the same push, which the pushers never bring.
func (w *loadWorld) prepare() {
	w.t.Helper()
	w.run("git", "init", "-q", "--bare", "-b", "main", w.hooked)
	w.admin("hooks", "install", "--repo", "hooked", "--mode", "enforcing", w.hooked)
	w.admin("repo", "create", "hosted")
	for _, name := range []string{"hooked", "hosted"} {
		w.admin("repo", "set", name, "--mode", "enforcing", "--receipts", "same-push")
	}
	var hosted struct{ ID string }
	if err := json.Unmarshal([]byte(w.admin("repo", "status", "hosted", "--json")), &hosted); err != nil {
		w.t.Fatal(err)
	}
	w.hosted = filepath.Join(w.data, "gateway", hosted.ID+".git")
	w.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", w.key)
	w.admin("user", "add", "dev@example.com")
	w.admin("ssh-key", "add", "dev@example.com", w.key+".pub")
	w.admin("grant", "add", "dev@example.com", "--all", "--write")
	policy := filepath.Join(w.root, "policy.json")
	document := `{"name": "Receipts", "rule": {"require_receipts": true}, "action": "block"}`
	if err := os.WriteFile(policy, []byte(document), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.admin("policy", "apply", policy)
}

func (w *loadWorld) admin(args ...string) string {
	w.t.Helper()
	path, err := binary()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.run(path, args...)
}

func (w *loadWorld) run(name string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "BLAMEPROMPT_DATA_DIR="+w.data, "BLAMEPROMPT_DATABASE_URL="+w.dsn, "BLAMEPROMPT_HOOK_PROGRAM="+w.hook)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// pushers go half through the hook and half through the gateway.
func (w *loadWorld) pushers() []*pusher {
	w.t.Helper()
	ssh := "ssh -F none -i " + w.key + " -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
	var all []*pusher
	for i := range *loadPushers {
		one := &pusher{t: w.t, dir: filepath.Join(w.root, fmt.Sprint("clone", i)), branch: fmt.Sprint("refs/heads/p", i),
			remote: w.hooked, bare: w.hooked, rng: rand.New(rand.NewPCG(7, uint64(i)))}
		if i%2 == 1 {
			one.remote, one.bare = "ssh://git@127.0.0.1:"+w.sshPort+"/hosted", w.hosted
		}
		one.env = append(os.Environ(), "GIT_SSH_COMMAND="+ssh, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=Dev", "GIT_AUTHOR_EMAIL=dev@example.com", "GIT_COMMITTER_NAME=Dev", "GIT_COMMITTER_EMAIL=dev@example.com")
		w.run("git", "init", "-q", one.dir)
		all = append(all, one)
	}
	return all
}

// run pushes until the time is over; a push that has begun is ended.
func (p *pusher) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		message := fmt.Sprintf("Change %d of %s", n, p.branch)
		marked := p.rng.IntN(2) == 0
		if marked {
			message += "\n\nCo-authored-by: Claude <noreply@anthropic.com>"
		}
		oid, err := p.commit(message, n)
		if err != nil {
			p.t.Errorf("committing: %v", err)
			return
		}
		told := p.push(oid)
		p.all = append(p.all, pushed{oid: oid, branch: p.branch, marked: marked, saw: told})
		if told == accepted || told == broken && p.tip() == oid {
			p.base = oid
		}
	}
}

func (p *pusher) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// commit makes a commit of one new file on the last one that is there.
func (p *pusher) commit(message string, n int) (string, error) {
	if err := os.WriteFile(filepath.Join(p.dir, "file"), fmt.Appendf(nil, "%s %d\n", p.branch, n), 0o600); err != nil {
		return "", err
	}
	if out, err := p.git("add", "file"); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	tree, err := p.git("write-tree")
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, tree)
	}
	args := []string{"commit-tree", tree, "-m", message}
	if p.base != "" {
		args = append(args, "-p", p.base)
	}
	oid, err := p.git(args...)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, oid)
	}
	return oid, err
}

// push pushes and says what git told.
func (p *pusher) push(oid string) saw {
	out, err := p.git("push", "--porcelain", p.remote, oid+":"+p.branch)
	switch {
	case err == nil:
		return accepted
	case strings.Contains(out, "[remote rejected]"):
		return refused
	}
	return broken
}

// tip is what the repository has, whatever the pusher was told.
func (p *pusher) tip() string {
	out, err := exec.Command("git", "-C", p.bare, "for-each-ref", "--format=%(objectname)", p.branch).Output()
	if err != nil {
		p.t.Errorf("reading %s: %v", p.branch, err)
	}
	return strings.TrimSpace(string(out))
}

// judge compares what the pushers saw with the repositories and the decisions.
func (w *loadWorld) judge(pushers []*pusher) {
	w.t.Helper()
	decisions := w.decisions()
	told := map[saw]int{}
	for _, p := range pushers {
		reached := p.reached()
		for _, one := range p.all {
			told[one.saw]++
			outcomes := decisions[one.oid]
			switch {
			case one.saw == accepted && one.marked:
				w.t.Errorf("%s breaks the policy and was accepted", one.oid)
			case one.saw == accepted && !reached[one.oid]:
				w.t.Errorf("%s was accepted and is not in the repository", one.oid)
			case one.saw == accepted && (len(outcomes) != 1 || outcomes[0] != "accept"):
				w.t.Errorf("%s was accepted with the decisions %v", one.oid, outcomes)
			case one.saw == refused && reached[one.oid]:
				w.t.Errorf("%s was refused and is in the repository", one.oid)
			case one.saw == broken && reached[one.oid] && (one.marked || len(outcomes) == 0):
				w.t.Errorf("%s is in the repository with the decisions %v", one.oid, outcomes)
			}
		}
	}
	w.t.Logf("%d accepted, %d refused, %d without an answer", told[accepted], told[refused], told[broken])
	if told[accepted] == 0 || told[refused] == 0 {
		w.t.Error("nothing was accepted, or nothing refused")
	}
	for _, p := range pushers[:min(2, len(pushers))] {
		w.unlocked(p)
	}
}

// decisions are the outcomes of all decisions by the pushed commit.
func (w *loadWorld) decisions() map[string][]string {
	w.t.Helper()
	db := storetest.OpenDSN(w.t, w.dsn)
	rows, err := db.Pool().Query(context.Background(), `SELECT r->>'new', outcome FROM decisions, json_array_elements(refs) r`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var oid, outcome string
		if err := rows.Scan(&oid, &outcome); err != nil {
			w.t.Fatal(err)
		}
		out[oid] = append(out[oid], outcome)
	}
	if rows.Err() != nil {
		w.t.Fatal(rows.Err())
	}
	return out
}

// reached are the commits of the pusher's branch in the repository.
func (p *pusher) reached() map[string]bool {
	out := map[string]bool{}
	if p.tip() == "" {
		return out
	}
	list, err := exec.Command("git", "-C", p.bare, "rev-list", p.branch).Output()
	if err != nil {
		p.t.Errorf("listing %s: %v", p.branch, err)
	}
	for oid := range strings.FieldsSeq(string(list)) {
		out[oid] = true
	}
	return out
}

// unlocked wants the repository to be whole and open to the next push.
func (w *loadWorld) unlocked(p *pusher) {
	w.t.Helper()
	err := filepath.WalkDir(p.bare, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".lock") {
			err = errors.New(path + " was left behind")
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	w.run("git", "-C", p.bare, "fsck", "--strict")
	oid, err := p.commit("Afterwards", -1)
	if err != nil {
		w.t.Fatal(err)
	}
	if p.push(oid) != accepted {
		w.t.Errorf("%s takes no push any more", p.bare)
	}
}
