package enforce_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Classes of lines are those of package lines, from what the hook measured.
func TestClassesOfLines(t *testing.T) {
	t.Parallel()
	note := func(name string, files ...hooks.ReceiptFile) hooks.Note {
		n := noted(name, good, "")
		n.Receipts[0].Files = files
		return n
	}
	attested := hooks.Note{Commit: oid("c1"), Ref: "refs/notes/ai", Attestations: []hooks.Attestation{
		{Path: "c1.go", Class: notes.ClassAI, ReceiptID: "r", Runs: []hooks.Run{{1, 4}}},
		{Path: "c1.go", Class: notes.ClassHuman, Runs: []hooks.Run{{5, 1 << 40}}}}}
	for name, c := range map[string]struct {
		commit hooks.Commit
		via    hooks.Via
		mode   string
		notes  []hooks.Note
		want   push.File
	}{
		"envelope": {commit("c1"), hooks.Pushed, store.ReceiptsDeferred, []hooks.Note{note("c1", hooks.ReceiptFile{Path: "c1.go", Lines: hooks.Run{3, 6}})},
			push.File{AI: 4}},
		"exact": {commit("c1"), hooks.Pushed, store.ReceiptsDeferred,
			[]hooks.Note{note("c1", hooks.ReceiptFile{Path: "c1.go", Blob: string(oid("blob c1"))})}, push.File{AI: 10}},
		"exact, by another commit's receipt": {commit("c1"), hooks.Pushed, store.ReceiptsDeferred,
			[]hooks.Note{note("c2", hooks.ReceiptFile{Path: "c1.go", Lines: hooks.Run{1, 2}, Blob: string(oid("blob c1"))})}, push.File{AI: 2}},
		"attested":                  {commit("c1"), hooks.Pushed, store.ReceiptsDeferred, []hooks.Note{attested}, push.File{AI: 4, Human: 6}},
		"an importer's line":        {commit("c1"), hooks.Pushed, store.ReceiptsDeferred, []hooks.Note{note("c1", hooks.ReceiptFile{Path: "c1.go", Lines: hooks.Run{1, 1}})}, push.File{}},
		"an unread note":            {marked("c1"), hooks.Pushed, store.ReceiptsDeferred, []hooks.Note{{Commit: oid("c1"), Unread: "it is too large"}}, push.File{}},
		"an agent, still awaited":   {marked("c1"), hooks.Pushed, store.ReceiptsDeferred, nil, push.File{}},
		"an agent, nothing awaited": {marked("c1"), hooks.Pushed, store.ReceiptsSamePush, nil, push.File{AI: 10}},
		"an agent, and a note":      {marked("c1"), hooks.Pushed, store.ReceiptsSamePush, []hooks.Note{note("c1")}, push.File{}},
		"merged by the forge":       {marked("c1"), hooks.Merged, store.ReceiptsSamePush, nil, push.File{}},
		"a lock file": {func() hooks.Commit { c := commit("c1"); c.Files[0].Path = "go.sum"; return c }(), hooks.Pushed, store.ReceiptsDeferred,
			[]hooks.Note{note("c1", hooks.ReceiptFile{Path: "go.sum", Lines: hooks.Run{1, 10}})}, push.File{Path: "go.sum", Excluded: true}},
		"lines that are not listed": {func() hooks.Commit { c := commit("c1"); c.Files[0].Runs = nil; return c }(), hooks.Pushed, store.ReceiptsDeferred,
			[]hooks.Note{note("c1", hooks.ReceiptFile{Path: "c1.go", Lines: hooks.Run{1, 10}})}, push.File{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.set(`receipt_mode = '` + c.mode + `'`)
			p := with(pushed(c.commit), c.notes...)
			p.Via = c.via
			d := w.decision(w.decide(p))
			if c.want.Path == "" {
				c.want.Path = "c1.go"
			}
			c.want.Added = 10
			got := w.input(d).Commits[0].Files[0]
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			lines := got.Lines()
			if got.Excluded {
				lines = push.Lines{}
			}
			if d.Added != lines.Added || d.AI != lines.AI || d.Human != lines.Human {
				t.Errorf("the decision has %d lines, %d AI, %d human", d.Added, d.AI, d.Human)
			}
		})
	}
}
