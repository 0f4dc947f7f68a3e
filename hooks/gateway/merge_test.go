package gateway

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/store"
)

const (
	ann = "ann@example.com"
	bob = "bob@example.com"
)

// annotatedN is the id of a commit that nobody has to have.
func annotatedN(n int) gitcmd.OID { return gitcmd.OID(fmt.Sprintf("%02x%038x", n%256, n)) }

// mergeCase is a merge in a repository without a server.
type mergeCase struct {
	t *testing.T
	*gittest.Fixture
	repos *Repos
	row   store.Repo
}

func newMergeCase(t *testing.T) *mergeCase {
	t.Helper()
	root := t.TempDir()
	row := store.Repo{ID: uuid.New(), Name: "acme/api", NotesRefs: []string{notesRef}, Gateway: store.GatewayHosted}
	repos := NewRepos(ReposConfig{Root: root, Log: zerolog.Nop()})
	t.Cleanup(repos.Close)
	return &mergeCase{t: t, Fixture: gittest.New(t, gittest.In(repos.dir(row.ID))), repos: repos, row: row}
}

// commit makes a notes commit on top of parents, without moving the ref that is
// merged into; bodies are receipts by annotated commit.
func (c *mergeCase) commit(n gittest.Notes, parents ...gitcmd.OID) gitcmd.OID {
	c.t.Helper()
	n.Ref, n.Parents = "refs/notes/pushed", parents
	if parents == nil {
		n.Root = true
	}
	return c.Notes(n)
}

// push merges a tip, pushed by who.
func (c *mergeCase) push(tip gitcmd.OID, who string) mergedNotes {
	c.t.Helper()
	merged, err := c.repos.mergeNotes(c.t.Context(), c.row, c.Repo, notesRef, tip, who)
	if err != nil {
		c.t.Fatal(err)
	}
	if got := c.Tip(notesRef); got != merged.new {
		c.t.Fatalf("the ref is at %s, want %s", got, merged.new)
	}
	for _, parent := range []gitcmd.OID{tip, merged.old} {
		if parent.IsZero() {
			continue
		}
		if ok, err := c.Repo.IsAncestor(c.t.Context(), parent, merged.new); err != nil || !ok {
			c.t.Fatalf("%s is not in the history of %s (%v)", parent, merged.new, err)
		}
	}
	if out, err := c.TryGit("fsck", "--strict", "--no-dangling"); err != nil {
		c.t.Fatalf("fsck: %v\n%s", err, out)
	}
	return merged
}

// holds wants receipts by commit: "id" or "id=model".
func (c *mergeCase) holds(want map[gitcmd.OID][]string) {
	c.t.Helper()
	got := map[gitcmd.OID][]string{}
	for commit, receipts := range receiptsAt(c.t, c.Repo, c.Tip(notesRef)) {
		var ids []string
		for id, text := range receipts {
			if !strings.Contains(text, `"model":"m"`) {
				_, model, _ := strings.Cut(text, `"model":"`)
				model, _, _ = strings.Cut(model, `"`)
				id += "=" + model
			}
			ids = append(ids, id)
		}
		slices.Sort(ids)
		got[gitcmd.OID(commit)] = ids
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

// by are receipts of somebody, "id" or "id=model".
func by(email string, ids ...string) string {
	var receipts []string
	for _, id := range ids {
		id, model, ok := strings.Cut(id, "=")
		if !ok {
			model = "m"
		}
		receipts = append(receipts, receiptJSON(id, email, model))
	}
	return payload(receipts...)
}

type bodies = map[gitcmd.OID]string

// TestMergeRules has what a push may do to notes, and what not.
func TestMergeRules(t *testing.T) {
	t.Parallel()
	x, y, z := annotatedN(1), annotatedN(2), annotatedN(3)
	base := bodies{x: by(ann, "a1", "a2"), y: by(bob, "b1")}
	for name, test := range map[string]struct {
		// server and pushed are made on top of base; who pushes.
		server, pushed gittest.Notes
		who            string
		want           map[gitcmd.OID][]string
		events         []string
	}{
		"disjoint notes": {
			server: gittest.Notes{Bodies: bodies{z: by(ann, "a3")}}, pushed: gittest.Notes{Bodies: bodies{annotatedN(4): by(bob, "b2")}}, who: bob,
			want: map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}, z: {"a3"}, annotatedN(4): {"b2"}},
		},
		"one note with receipts of both": {
			server: gittest.Notes{Bodies: bodies{z: by(ann, "a3", "s")}}, pushed: gittest.Notes{Bodies: bodies{z: by(bob, "b2", "s")}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}, z: {"a3", "b2", "s"}},
			events: []string{"tampered s"}, // its user differs
		},
		"a receipt added to a note of another": {
			pushed: gittest.Notes{Bodies: bodies{x: by(ann, "a1", "a2", "b2")}}, who: bob,
			want: map[gitcmd.OID][]string{x: {"a1", "a2", "b2"}, y: {"b1"}},
		},
		"a changed receipt": {
			pushed: gittest.Notes{Bodies: bodies{x: by(ann, "a1=cheap", "a2")}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}},
			events: []string{"tampered a1"},
		},
		"a changed receipt of one's own": {
			pushed: gittest.Notes{Bodies: bodies{x: by(ann, "a1=cheap", "a2")}}, who: ann,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}},
			events: []string{"tampered a1"},
		},
		"a receipt that both changed": {
			server: gittest.Notes{Bodies: bodies{x: by(ann, "a1=here", "a2")}}, pushed: gittest.Notes{Bodies: bodies{x: by(ann, "a1=there", "a2")}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1=here", "a2"}, y: {"b1"}},
			events: []string{"tampered a1"},
		},
		"one's own receipt removed": {
			pushed: gittest.Notes{Bodies: bodies{x: by(ann, "a2")}}, who: ann,
			want: map[gitcmd.OID][]string{x: {"a2"}, y: {"b1"}},
		},
		"one's own note removed, by an address in other letters": {
			pushed: gittest.Notes{Remove: []gitcmd.OID{x}}, who: "ANN@example.com",
			want: map[gitcmd.OID][]string{y: {"b1"}},
		},
		"a receipt of another removed": {
			pushed: gittest.Notes{Bodies: bodies{x: by(ann, "a2")}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}},
			events: []string{"kept a1"},
		},
		"a note of another removed": {
			pushed: gittest.Notes{Remove: []gitcmd.OID{x}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}},
			events: []string{"kept a1", "kept a2"},
		},
		"all notes removed and others put in": {
			pushed: gittest.Notes{Replace: true, Bodies: bodies{z: by(bob, "b2")}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, z: {"b2"}},
			events: []string{"kept a1", "kept a2"},
		},
		"a note of another moved, as a rebase does": {
			pushed: gittest.Notes{Remove: []gitcmd.OID{x}, Bodies: bodies{z: by(ann, "a1", "a2")}}, who: bob,
			want: map[gitcmd.OID][]string{y: {"b1"}, z: {"a1", "a2"}},
		},
		"a squash that drops a receipt of another": {
			pushed: gittest.Notes{Remove: []gitcmd.OID{x}, Bodies: bodies{z: by(ann, "a2")}}, who: bob,
			want:   map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}, z: {"a2"}},
			events: []string{"kept a1"},
		},
		"removed here and changed there": {
			server: gittest.Notes{Bodies: bodies{x: by(ann, "a1", "a2", "a3")}}, pushed: gittest.Notes{Remove: []gitcmd.OID{x}}, who: ann,
			want: map[gitcmd.OID][]string{x: {"a3"}, y: {"b1"}},
		},
		"removed by both": {
			server: gittest.Notes{Remove: []gitcmd.OID{x}}, pushed: gittest.Notes{Remove: []gitcmd.OID{x}, Bodies: bodies{z: by(bob, "b2")}}, who: bob,
			want: map[gitcmd.OID][]string{y: {"b1"}, z: {"b2"}},
		},
		"a note replaced by what nobody can read": {
			pushed: gittest.Notes{Bodies: bodies{x: "not json"}}, who: bob,
			want: map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}},
		},
		"what is no note beside the notes": {
			pushed: gittest.Notes{Bodies: bodies{z: by(bob, "b2")}, Files: map[string]string{"README": "x", "ab/cd": "y"}}, who: bob,
			want: map[gitcmd.OID][]string{x: {"a1", "a2"}, y: {"b1"}, z: {"b2"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newMergeCase(t)
			root := c.commit(gittest.Notes{Bodies: base})
			c.push(root, ann)
			theirs := c.commit(test.pushed, root)
			if test.server.Bodies != nil || test.server.Remove != nil {
				c.SetRef(notesRef, c.commit(test.server, root))
			}
			merged := c.push(theirs, test.who)
			c.holds(test.want)
			if got := eventsOf(merged); !slices.Equal(got, test.events) {
				t.Errorf("events %v, want %v", got, test.events)
			}
			if strings.Contains(c.Git("ls-tree", "-r", "--name-only", notesRef), "README") {
				t.Error("what is no note came in")
			}
			// Pushed again it brings nothing.
			tip := c.Tip(notesRef)
			if again := c.push(theirs, test.who); again.new != tip || len(again.events) != 0 {
				t.Errorf("pushed again: %+v", again)
			}
		})
	}
}

func eventsOf(m mergedNotes) []string {
	var events []string
	for _, e := range m.events {
		kind := "kept "
		if e.tampered() {
			kind = "tampered "
		}
		events = append(events, kind+e.receipt)
	}
	slices.Sort(events)
	return events
}

func TestWhatBringsNothingElseIsAFastForward(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	root := c.commit(gittest.Notes{Bodies: bodies{annotatedN(1): by(ann, "a1")}})
	if merged := c.push(root, ann); merged.new != root || !merged.old.IsZero() {
		t.Errorf("the first push: %+v", merged)
	}
	next := c.commit(gittest.Notes{Bodies: bodies{annotatedN(2): by(bob, "b1")}}, root)
	if merged := c.push(next, bob); merged.new != next || merged.old != root {
		t.Errorf("a push on top: %+v", merged)
	}
	if merged := c.push(root, ann); merged.new != next || merged.old != next {
		t.Errorf("a push of what was there: %+v", merged)
	}
}

func TestOnlyCommitsAreMerged(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	blob := c.Object("blob", "x")
	tree := c.Object("tree", "")
	tag := c.Object("tag", "object "+string(blob)+"\ntype blob\ntag x\ntagger x <x@example.com> 0 +0000\n\nx\n")
	root := c.commit(gittest.Notes{Bodies: bodies{annotatedN(1): by(ann, "a1")}})
	for _, first := range []bool{true, false} {
		for _, oid := range []gitcmd.OID{blob, tree, tag} {
			if _, err := c.repos.mergeNotes(t.Context(), c.row, c.Repo, notesRef, oid, ann); err == nil {
				t.Errorf("%s was merged (first: %t)", oid, first)
			}
		}
		c.push(root, ann)
	}
}

// TestFanOutIsKept merges notes at every fan-out with notes at every other one.
func TestFanOutIsKept(t *testing.T) {
	t.Parallel()
	for here := range 3 {
		for there := range 3 {
			t.Run(fmt.Sprintf("%d and %d", here, there), func(t *testing.T) {
				t.Parallel()
				c := newMergeCase(t)
				root := c.commit(gittest.Notes{Fanout: here, Bodies: bodies{annotatedN(1): by(ann, "a1"), annotatedN(2): by(ann, "a2")}})
				c.push(root, ann)
				server := c.commit(gittest.Notes{Fanout: here, Bodies: bodies{annotatedN(3): by(ann, "a3")}}, root)
				// bob's git has laid all notes out anew and added one to a note of ann.
				pushed := c.commit(gittest.Notes{Fanout: there, Replace: true, Bodies: bodies{
					annotatedN(1): by(ann, "a1"), annotatedN(2): payload(receiptJSON("a2", ann, "m"), receiptJSON("b1", bob, "m")),
					annotatedN(4): by(bob, "b2")}}, root)
				c.push(server, ann)
				c.push(pushed, bob)
				c.holds(map[gitcmd.OID][]string{
					annotatedN(1): {"a1"}, annotatedN(2): {"a2", "b1"}, annotatedN(3): {"a3"}, annotatedN(4): {"b2"}})
				want := []string{
					gittest.NotePath(annotatedN(1), there), gittest.NotePath(annotatedN(2), there),
					gittest.NotePath(annotatedN(3), here), gittest.NotePath(annotatedN(4), there)}
				slices.Sort(want)
				got := strings.Fields(c.Git("ls-tree", "-r", "--name-only", notesRef))
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("paths (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestANoteAtTwoPlacesIsOne(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	x := annotatedN(1)
	root := c.commit(gittest.Notes{Bodies: bodies{annotatedN(2): by(ann, "a1")}})
	c.push(root, ann)
	twice := c.commit(gittest.Notes{Bodies: bodies{x: by(bob, "b1")}, Files: map[string]string{gittest.NotePath(x, 1): by(bob, "b2")}}, root)
	c.push(twice, bob)
	c.holds(map[gitcmd.OID][]string{annotatedN(2): {"a1"}, x: {"b1", "b2"}})
	if got := strings.Fields(c.Git("ls-tree", "-r", "--name-only", notesRef)); len(got) != 2 {
		t.Errorf("paths %v", got)
	}
}

func TestNotesThatAreNoFilesAreLeftOut(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	root := c.commit(gittest.Notes{Bodies: bodies{annotatedN(1): by(ann, "a1")}})
	c.push(root, ann)
	blob := c.Object("blob", by(bob, "b1"))
	tree := c.Object("tree", treeText(t,
		treeEntry{"100644", string(annotatedN(1)), c.blobAt(root, annotatedN(1))},
		treeEntry{"120000", string(annotatedN(2)), blob}, treeEntry{"160000", string(annotatedN(3)), root},
		treeEntry{"100755", string(annotatedN(4)), blob}))
	odd := c.Object("commit", fmt.Sprintf("tree %s\nparent %s\nauthor x <x@example.com> 1 +0000\ncommitter x <x@example.com> 1 +0000\n\nx\n", tree, root))
	c.push(odd, bob)
	c.holds(map[gitcmd.OID][]string{annotatedN(1): {"a1"}, annotatedN(4): {"b1"}})
}

func (c *mergeCase) blobAt(commit, annotated gitcmd.OID) gitcmd.OID {
	return gitcmd.OID(c.Git("rev-parse", string(commit)+":"+string(annotated)))
}

func treeText(t *testing.T, entries ...treeEntry) string {
	t.Helper()
	var out strings.Builder
	for _, e := range entries {
		id := make([]byte, idSize)
		if _, err := fmt.Sscanf(string(e.oid), "%x", &id); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s\x00%s", e.mode, e.name, id)
	}
	return out.String()
}

// TestNoteTooLargeToReadStays has a body above the parser's bound.
func TestANoteThatIsTooLargeToReadStays(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	root := c.commit(gittest.Notes{Bodies: bodies{annotatedN(1): by(ann, "a1")}})
	c.push(root, ann)
	huge := strings.Repeat(" ", 17<<20)
	c.push(c.commit(gittest.Notes{Bodies: bodies{annotatedN(1): huge, annotatedN(2): huge}}, root), bob)
	if got := c.Git("cat-file", "-s", notesRef+":"+string(annotatedN(1))); got == fmt.Sprint(len(huge)) {
		t.Error("a note that can be read was replaced by one that cannot")
	}
	if got := c.Git("cat-file", "-s", notesRef+":"+string(annotatedN(2))); got != fmt.Sprint(len(huge)) {
		t.Errorf("a new note has %s bytes", got)
	}
}

// TestStormOfMerges lets developers note, fetch and push in any order, and wants
// every receipt that anybody pushed, at every moment, and every tip reachable.
func TestStormOfMerges(t *testing.T) {
	t.Parallel()
	const devs, steps = 5, 60
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			c := newMergeCase(t)
			tips := make([]gitcmd.OID, devs)
			known := make([]map[gitcmd.OID][]string, devs)
			pushed := map[string]bool{}
			for step := range steps {
				n := r.IntN(devs)
				if tips[n] != "" && r.IntN(4) == 0 {
					// Fetching is a fast-forward only behind a push.
					c.push(tips[n], fmt.Sprintf("dev%d@example.com", n))
					for _, ids := range known[n] {
						for _, id := range ids {
							pushed[id] = true
						}
					}
					tips[n] = c.Tip(notesRef)
					known[n] = map[gitcmd.OID][]string{}
					for commit, receipts := range receiptsAt(t, c.Repo, tips[n]) {
						known[n][gitcmd.OID(commit)] = slices.Sorted(maps.Keys(receipts))
					}
					if missing := missingFrom(pushed, known[n]); len(missing) > 0 {
						t.Fatalf("step %d: lost %v", step, missing)
					}
					continue
				}
				if known[n] == nil {
					known[n] = map[gitcmd.OID][]string{}
				}
				commit := annotatedN(r.IntN(12))
				known[n][commit] = append(known[n][commit], fmt.Sprintf("r%d", step))
				body := by("shared@example.com", known[n][commit]...)
				note := gittest.Notes{Fanout: r.IntN(3), Remove: []gitcmd.OID{commit}, Bodies: bodies{commit: body}}
				if tips[n] == "" {
					tips[n] = c.commit(note)
				} else {
					tips[n] = c.commit(note, tips[n])
				}
			}
		})
	}
}

func missingFrom(pushed map[string]bool, known map[gitcmd.OID][]string) []string {
	left := maps.Clone(pushed)
	for _, ids := range known {
		for _, id := range ids {
			delete(left, id)
		}
	}
	return slices.Sorted(maps.Keys(left))
}

// TestMergesSideBySide has many processes' worth of merges at once, each with its
// own Repos, so that only the ref itself decides.
func TestMergesSideBySide(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	root := c.commit(gittest.Notes{Bodies: bodies{annotatedN(0): by(ann, "base")}})
	c.push(root, ann)
	want := map[gitcmd.OID][]string{annotatedN(0): {"base"}}
	var tips []gitcmd.OID
	for i := range 12 {
		tips = append(tips, c.commit(gittest.Notes{Bodies: bodies{annotatedN(i + 1): by(ann, fmt.Sprint(i))}}, root))
		want[annotatedN(i+1)] = []string{fmt.Sprint(i)}
	}
	var group sync.WaitGroup
	for _, tip := range tips {
		group.Go(func() {
			repos := NewRepos(ReposConfig{Root: c.repos.cfg.Root, Log: zerolog.Nop()})
			defer repos.Close()
			if _, err := repos.mergeNotes(t.Context(), c.row, c.Repo, notesRef, tip, ann); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	c.holds(want)
	for _, tip := range tips {
		if ok, err := c.Repo.IsAncestor(t.Context(), tip, c.Tip(notesRef)); err != nil || !ok {
			t.Errorf("%s is not in the history (%v)", tip, err)
		}
	}
}

func TestAMergeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newMergeCase(t)
	c.push(c.commit(gittest.Notes{Bodies: bodies{annotatedN(0): by(ann, "base")}}), ann)
	tip := c.commit(gittest.Notes{Bodies: bodies{annotatedN(1): by(ann, "a1")}})
	writeFile(t, c.Dir+"/"+notesRef+".lock", "")
	ctx, cancel := contextFor(t, 300*time.Millisecond)
	defer cancel()
	if _, err := c.repos.mergeNotes(ctx, c.row, c.Repo, notesRef, tip, ann); err == nil {
		t.Error("a ref that is locked was moved")
	}
}
