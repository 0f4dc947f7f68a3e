package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// maxGatewayRatio is how many times as long as to OpenSSH a push to the gateway
// may take.
const maxGatewayRatio = 1.3

// BenchmarkPushGateway measures a push to the gateway, judged by five policies
// and recorded, beside the same push to OpenSSH and git-receive-pack without
// any hook, on this machine and in turns. It prints a table of medians; see
// BenchmarkPush.
func BenchmarkPushGateway(b *testing.B) {
	w := newGatewayBench(b)
	for b.Loop() {
		fmt.Println("| push over SSH of | OpenSSH, no hook | gateway | ratio | bound |\n|---|---|---|---|---|")
		for _, size := range pushSizes {
			w.row(fmt.Sprintf("%d commits", size.commits), func(round int) { w.commit(round, size.commits) }, "refs/heads/main")
		}
		w.row("1 note among 2,000", func(round int) {
			w.dev.Notes(gittest.Notes{Fanout: 1, Bodies: map[gitcmd.OID]string{
				gitcmd.OID(fmt.Sprintf("%040x", 1<<40+round)): noteBody(fmt.Sprintf("fresh-%d", round))}})
		}, "refs/notes/blameprompt")
	}
}

// gatewayBench is a pushWorld with two SSH servers.
type gatewayBench struct {
	*pushWorld
	// addresses and commands are of OpenSSH and of the gateway.
	addresses, commands [2]string
}

func newGatewayBench(b *testing.B) *gatewayBench {
	b.Helper()
	program, err := hookProgram()
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv("BLAMEPROMPT_HOOK_PROGRAM", program)
	w := &gatewayBench{pushWorld: newPushWorld(b)}
	dir := b.TempDir()
	port, stop, err := startSSHD(dir)
	if err != nil {
		b.Skipf("no OpenSSH server: %v", err)
	}
	b.Cleanup(stop)
	eventually(b, "sshd serves", func() bool { return listens(port) })
	// Both exchange keys in the same way; OpenSSH's own choice takes longer.
	ssh := sshWith(filepath.Join(dir, "key")) + " -o KexAlgorithms=curve25519-sha256"
	account, err := user.Current()
	if err != nil {
		b.Fatal(err)
	}
	w.addresses[0], w.commands[0] = "ssh://"+account.Username+"@127.0.0.1:"+port+w.plain, ssh
	note, err := readRunning(filepath.Join(w.daemon.dir, "daemon.json"))
	if err != nil {
		b.Fatal(err)
	}
	w.addresses[1], w.commands[1] = "ssh://git@"+note.SSHAddr+"/bench", w.commands[0]
	w.letIn(filepath.Join(dir, "key.pub"))
	w.push(1, "refs/heads/main", "refs/notes/blameprompt")
	return w
}

// letIn makes the repository, and somebody with the key who may push to it.
func (w *gatewayBench) letIn(keyFile string) {
	w.b.Helper()
	ctx := w.b.Context()
	org, err := w.db.OrgByName(ctx, defaultOrg)
	if err != nil {
		w.b.Fatal(err)
	}
	by := access.CLI(org.ID)
	line, err := os.ReadFile(keyFile)
	if err != nil {
		w.b.Fatal(err)
	}
	ada := storetest.MustUser(w.b, w.db, org, "ada@example.com")
	if _, err := w.db.AddSSHKey(ctx, by, store.NewSSHKey{UserID: ada.ID, Line: string(line)}); err != nil {
		w.b.Fatal(err)
	}
	if _, err := w.db.CreateRepo(ctx, by, store.NewRepo{Name: "bench", Gateway: store.GatewayHosted}); err != nil {
		w.b.Fatal(err)
	}
	_, err = w.db.SetGrant(ctx, by, store.NewGrant{Subject: store.SubjectUser, SubjectID: ada.ID, Permission: access.WriteRepo})
	if err != nil {
		w.b.Fatal(err)
	}
}

// row measures pushes to both and prints the medians.
func (w *gatewayBench) row(what string, change func(round int), ref string) {
	var both [2][]time.Duration
	for round := range *benchPushes {
		change(round)
		for _, turn := range []int{round % 2, 1 - round%2} {
			both[turn] = append(both[turn], w.push(turn, ref))
		}
	}
	plain, gateway := milliseconds(both[0]), milliseconds(both[1])
	fmt.Printf("| %s | %.1f ms | %.1f ms | %.2f times | %.1f times |\n", what, plain, gateway, gateway/plain, maxGatewayRatio)
	w.b.ReportMetric(gateway/plain, "times/"+strings.Fields(what)[0]+strings.Fields(what)[1])
}

// push pushes to one of the servers as a developer would.
func (w *gatewayBench) push(to int, refs ...string) time.Duration {
	w.b.Helper()
	cmd := exec.CommandContext(w.b.Context(), "git", append([]string{"push", "-q", w.addresses[to]}, refs...)...)
	cmd.Dir = w.dev.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_SSH_COMMAND="+w.commands[to])
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		w.b.Fatalf("pushing to %s: %v: %s", w.addresses[to], err, out)
	}
	return time.Since(began)
}
