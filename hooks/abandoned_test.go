package hooks

import (
	"fmt"
	"slices"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// abandoned are the commits that each ref of a push leaves behind.
func abandoned(p Push) map[string]string {
	out := make(map[string]string)
	for _, ref := range p.Refs {
		if ref.Abandoned != nil {
			out[ref.Name] = join(ref.Abandoned...)
		}
	}
	return out
}

func wantAbandoned(t *testing.T, p Push, want map[string]string) {
	t.Helper()
	got := abandoned(p)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("abandoned %v, want %v", got, want)
	}
}

func TestForcedUpdatesAndDeletionsTellWhatTheyLeaveBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.dev.Commits("refs/heads/main", 1)
	// newest first
	chain := func(ref string, n int) []gitcmd.OID {
		w.dev.SetRef(ref, base[0])
		list := w.dev.Commits(ref, n)
		slices.Reverse(list)
		return list
	}
	first, second := chain("refs/heads/first", 2), chain("refs/heads/second", 3)
	main := w.dev.Commits("refs/heads/main", 2)
	slices.Reverse(main)
	w.push("refs/heads/main", "refs/heads/first", "refs/heads/second")

	// HEAD of the server points at main, whose old tip it thereby still names.
	w.dev.SetRef("refs/heads/main", base[0])
	fresh := w.dev.Commits("refs/heads/main", 1)
	p := w.push("--force", "refs/heads/main")
	if p.Refs[0].Kind != "force" || ids(p.Commits) != join(fresh...) {
		t.Errorf("pushed %+v", p.Refs)
	}
	wantAbandoned(t, p, map[string]string{"refs/heads/main": join(main...)})

	// What another branch still has is not left behind, and neither is what this
	// push gives to another one.
	w.dev.Git("push", "file://"+w.server.Dir, string(first[0])+":refs/heads/keeper")
	wantAbandoned(t, w.push(":refs/heads/first"), map[string]string{})
	wantAbandoned(t, w.push(":refs/heads/keeper", string(first[0])+":refs/heads/heir"), map[string]string{})

	// Two refs that leave together leave together what both had, and a note keeps nothing.
	w.dev.Git("push", "file://"+w.server.Dir, string(second[1])+":refs/heads/below", string(second[0])+":refs/notes/x")
	p = w.push("--force", ":refs/heads/second", string(fresh[0])+":refs/heads/below")
	wantAbandoned(t, p, map[string]string{"refs/heads/second": join(second...), "refs/heads/below": join(second[1:]...)})

	// A tag holds on; its own removal is no branch's.
	w.dev.Git("push", "file://"+w.server.Dir, string(first[1])+":refs/tags/v1")
	p = w.push("--force", string(base[0])+":refs/heads/heir", ":refs/tags/v1")
	wantAbandoned(t, p, map[string]string{"refs/heads/heir": join(first[0])})

	// A fast-forward leaves nothing.
	w.dev.Commits("refs/heads/main", 1)
	wantAbandoned(t, w.push("refs/heads/main"), map[string]string{})
}

func TestAbandonedIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.dev.Commits("refs/heads/main", 1)
	w.dev.SetRef("refs/heads/long", base[0])
	long := w.dev.Commits("refs/heads/long", MaxAbandoned+5)
	w.push("refs/heads/main", "refs/heads/long")
	p := w.push(":refs/heads/long")
	if got := p.Refs[0].Abandoned; len(got) != MaxAbandoned || got[0] != long[len(long)-1] {
		t.Errorf("%d abandoned commits, the first %s", len(got), got[0])
	}

	var names, gone []string
	for i := range maxLeaving + 1 {
		names = append(names, fmt.Sprintf("%s:refs/heads/b%d", base[0], i))
		gone = append(gone, fmt.Sprintf(":refs/heads/b%d", i))
	}
	w.push(names...)
	wantAbandoned(t, w.push(gone...), map[string]string{})
}
