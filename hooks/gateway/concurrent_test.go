package gateway

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// crowd is developers who push notes at the same time, round after round,
// without fetching from each other before.
type crowd struct {
	*world
	row  store.Repo
	devs []*dev
	dirs []string
	// shared are commits that all annotate; want is every receipt's text that was
	// pushed, by commit and id.
	shared []string
	want   map[string]map[string]string
	took   []time.Duration
	mu     sync.Mutex
}

func newCrowd(t testing.TB, size int) *crowd {
	t.Helper()
	c := &crowd{world: newWorld(t, func(cfg *Config, _ *ReposConfig) { cfg.Limits.PerAddress = 1000 })}
	c.want = map[string]map[string]string{}
	c.row = c.hosted("acme/api")
	for i := range size {
		d := c.dev(fmt.Sprintf("dev%d@example.com", i), access.WriteRepo)
		c.devs = append(c.devs, d)
		if i == 0 {
			dir := d.clone("acme/api")
			for n := range 3 {
				c.shared = append(c.shared, d.commit(dir, fmt.Sprintf("shared %d", n)))
			}
			d.git(dir, "push", "-q", "origin", "HEAD:refs/heads/main")
		}
		c.dirs = append(c.dirs, d.clone("acme/api"))
	}
	return c
}

// expect notes what a developer is about to push.
func (c *crowd) expect(commit, id, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want[commit] == nil {
		c.want[commit] = map[string]string{}
	}
	c.want[commit][id] = text
}

// annotate lets a developer note receipts: on a commit that nobody else knows,
// on one that all annotate, and one that all have alike.
func (c *crowd) annotate(n, round int) {
	d, dir := c.devs[n], c.dirs[n]
	own := fmt.Sprintf("%040x", 1<<40+n<<20+round)
	shared := c.shared[round%len(c.shared)]
	mine := fmt.Sprintf("d%d-r%d", n, round)
	receipts := map[string]map[string]string{
		own:    {mine + "-own": receiptJSON(mine+"-own", d.email, "m")},
		shared: {mine + "-shared": receiptJSON(mine+"-shared", d.email, "m")},
	}
	same := fmt.Sprintf("same-r%d", round)
	receipts[shared][same] = receiptJSON(same, "dev0@example.com", "m")
	for commit, texts := range receipts {
		// The client adds to the note that it knows.
		if old, err := d.tryGit(dir, "notes", "--ref=blameprompt", "show", commit); err == nil {
			known, err := receiptsOf([]byte(old))
			if err != nil {
				c.t.Fatal(err)
			}
			maps.Copy(texts, known)
		}
		d.note(dir, commit, slices.Collect(maps.Values(texts))...)
		for id, text := range texts {
			c.expect(commit, id, text)
		}
	}
}

// round lets all push at once and then wants nothing lost and nothing changed.
func (c *crowd) round(round int) {
	c.t.Helper()
	for n := range c.devs {
		c.annotate(n, round)
	}
	var group sync.WaitGroup
	for n, d := range c.devs {
		group.Go(func() {
			began := time.Now()
			if out, err := d.tryGit(c.dirs[n], "push", "-q", "origin", notesRef); err != nil {
				c.t.Errorf("round %d, %s: %v: %s", round, d.email, err, out)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.took = append(c.took, time.Since(began))
		})
	}
	group.Wait()
	c.check(round)
	for n, d := range c.devs {
		group.Go(func() {
			// Without a plus: only a fast-forward passes.
			if out, err := d.tryGit(c.dirs[n], "fetch", "-q", "origin", notesRef+":"+notesRef); err != nil {
				c.t.Errorf("round %d, %s cannot fetch: %v: %s", round, d.email, err, out)
			}
		})
	}
	group.Wait()
}

func (c *crowd) check(round int) {
	c.t.Helper()
	got := receiptsAt(c.t, c.at(c.row), gitcmd.OID(c.tip(c.row, notesRef)))
	for commit, receipts := range c.want {
		for id, text := range receipts {
			if got[commit][id] != text {
				c.t.Fatalf("round %d: receipt %s of %s is %q, want %q", round, id, commit, got[commit][id], text)
			}
		}
		if len(got[commit]) != len(receipts) {
			c.t.Errorf("round %d: %d receipts of %s, want %d", round, len(got[commit]), commit, len(receipts))
		}
	}
	if len(got) != len(c.want) {
		c.t.Errorf("round %d: %d notes, want %d", round, len(got), len(c.want))
	}
}

// TestManyPushNotesAtOnce is small; BenchmarkPushers has fifty developers.
func TestManyPushNotesAtOnce(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ devs, rounds int }{{2, 6}, {8, 2}} {
		t.Run(fmt.Sprintf("%d developers", size.devs), func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, size.devs)
			for round := range size.rounds {
				c.round(round)
			}
			c.fsck(c.row)
			if codes := c.findings(c.row); len(codes) > 0 {
				t.Errorf("findings %v", codes)
			}
		})
	}
}

// BenchmarkPushers has two and fifty developers push notes at once, 20 rounds
// each, and prints how long a push took.
//
//	go test -run '^$' -bench BenchmarkPushers -benchtime 1x -timeout 60m ./hooks/gateway
func BenchmarkPushers(b *testing.B) {
	for b.Loop() {
		fmt.Println("| developers at once | rounds | pushes | median | p95 | slowest | receipts | lost or changed |\n|---|---|---|---|---|---|---|---|")
		for _, size := range []int{2, 50} {
			const rounds = 20
			c := newCrowd(b, size)
			for round := range rounds {
				c.round(round)
			}
			c.fsck(c.row)
			if b.Failed() {
				return
			}
			slices.Sort(c.took)
			total := 0
			for _, receipts := range c.want {
				total += len(receipts)
			}
			at := func(q float64) time.Duration { return c.took[int(q*float64(len(c.took)-1))].Round(time.Millisecond) }
			fmt.Printf("| %d | %d | %d | %s | %s | %s | %d | 0 |\n", size, rounds, len(c.took), at(0.5), at(0.95), at(1), total)
		}
	}
}
