package mirror_test

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
)

// victimEnv makes the test binary a process that fetches until it is killed:
// its value is mirror root and remote.
const victimEnv = "MIRROR_TEST_VICTIM"

func TestMain(m *testing.M) {
	if args, ok := os.LookupEnv(victimEnv); ok {
		fetchForever(strings.Split(args, "|"))
	}
	os.Exit(m.Run())
}

func fetchForever(args []string) {
	root, url := args[0], args[1]
	r := mirror.Rules{FileRoots: []string{filepath.Dir(root)}, AllowPrivate: true}
	for {
		m, err := mirror.Open(root, id)
		if err != nil {
			panic(err)
		}
		remote, err := r.Check(context.Background(), url)
		if err != nil {
			panic(err)
		}
		_, err = m.Fetch(context.Background(), mirror.FetchOptions{Remote: remote, Heads: true, NotesRefs: []string{ref}})
		if err != nil {
			panic(err)
		}
		if _, err := os.Stdout.WriteString("fetched\n"); err != nil {
			os.Exit(1)
		}
	}
}

// victim is a process that fetches; lines tells of its fetches.
func victim(t *testing.T, root, url string) (cmd *exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+root+"|"+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// hold takes the mirror's lock as another process would.
func (w *world) hold() *os.File {
	w.t.Helper()
	lock, err := os.OpenFile(filepath.Join(w.root, id+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return lock
}

// TestKillLosesNothing kills a fetching process again and again while the
// remote's notes are forced elsewhere. All that was ever seen in the mirror
// must be reachable from the tip or the archive in the end.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 20)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	seen := map[gitcmd.OID]bool{}
	look := func() {
		repo, err := w.mirror.Repo()
		if errors.Is(err, gitcmd.ErrNotRepository) {
			return
		}
		refs, err := repo.Refs(t.Context(), "refs/notes/", "refs/incoming/", "refs/archive/")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range refs {
			seen[r.OID] = true
		}
	}
	for round := range 12 {
		cmd, lines := victim(t, w.root, w.Dir)
		for range rng.IntN(3) {
			w.orphanNote("round " + string(rune('a'+round)))
			w.note("on top")
			if !lines.Scan() {
				t.Fatal("the fetching process ended by itself")
			}
			look()
		}
		w.orphanNote("last of round " + string(rune('a'+round)))
		timer := time.NewTimer(time.Duration(rng.IntN(60)) * time.Millisecond)
		<-timer.C
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		look()
	}
	w.fetch()
	tip := w.Tip(ref)
	archived, err := w.mirror.Archived(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	w.wantState(tip, archived...)
	kept := map[gitcmd.OID]bool{}
	err = w.repo().Commits(t.Context(), append(archived, tip), nil, func(c *gitcmd.Commit) error {
		kept[c.OID] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for oid := range seen {
		if !kept[oid] {
			t.Errorf("notes commit %s was in the mirror and is lost", oid)
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %d notes commits were seen", len(seen))
	}
	if out, err := w.repo().Command(t.Context(), "fsck", "--strict", "--no-dangling").Output(1 << 20); err != nil {
		t.Errorf("git fsck: %v\n%s", err, out)
	}
}

// TestOrphanedGitKeepsTheLock kills a process whose git children go on: the
// mirror stays locked until they have ended.
func TestOrphanedGitKeepsTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	gate := newGate()
	server := serve(t, w.Dir, gate.wrap)
	cmd, _ := victim(t, w.root, server.URL+"/remote.git")
	<-gate.arrived
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	o := mirror.FetchOptions{Remote: mustCheck(t, w.rules, w.Dir), NotesRefs: []string{ref}, Timeout: 200 * time.Millisecond}
	if _, err := w.mirror.Fetch(t.Context(), o); !errors.Is(err, mirror.ErrBusy) {
		t.Errorf("fetch beside an orphaned git: %v, want ErrBusy", err)
	}
	close(gate.open)
	o.Timeout = time.Minute
	if _, err := w.mirror.Fetch(t.Context(), o); err != nil {
		t.Error(err)
	}
	w.wantState(tip)
}
