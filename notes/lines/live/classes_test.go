package live

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/notes/lines/live/livetest"
)

func classed(first, last uint32, class notes.LineClass, receipt string) lines.Run {
	return lines.Run{LineRange: notes.LineRange{First: first, Last: last}, Class: class, ReceiptID: receipt}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	added := func(commit gitcmd.OID, path string) []lines.Run {
		if commit != "c" || path != "p" {
			return nil
		}
		return []lines.Run{classed(3, 5, notes.ClassAI, "r"), classed(8, 8, notes.ClassHuman, ""), classed(9, 20, notes.ClassAI, "s")}
	}
	for name, c := range map[string]struct {
		runs []Run
		want []lines.Run
	}{
		"none":         {nil, nil},
		"all of it":    {[]Run{run(1, 3, "c", "p", 3)}, []lines.Run{classed(1, 3, notes.ClassAI, "r")}},
		"a part":       {[]Run{run(7, 8, "c", "p", 4)}, []lines.Run{classed(7, 8, notes.ClassAI, "r")}},
		"not added":    {[]Run{run(1, 2, "c", "p", 1)}, []lines.Run{classed(1, 2, lines.ClassUnknown, "")}},
		"other path":   {[]Run{run(1, 2, "c", "q", 3)}, []lines.Run{classed(1, 2, lines.ClassUnknown, "")}},
		"behind all":   {[]Run{run(1, 1, "c", "p", 21)}, []lines.Run{classed(1, 1, lines.ClassUnknown, "")}},
		"apart there":  {[]Run{run(1, 1, "c", "p", 3), run(2, 2, "c", "p", 5)}, []lines.Run{classed(1, 2, notes.ClassAI, "r")}},
		"other order":  {[]Run{run(1, 1, "c", "p", 9), run(2, 2, "c", "p", 3)}, []lines.Run{classed(1, 1, notes.ClassAI, "s"), classed(2, 2, notes.ClassAI, "r")}},
		"over borders": {[]Run{run(1, 20, "c", "p", 2)}, []lines.Run{classed(1, 1, lines.ClassUnknown, ""), classed(2, 4, notes.ClassAI, "r"), classed(5, 6, lines.ClassUnknown, ""), classed(7, 7, notes.ClassHuman, ""), classed(8, 19, notes.ClassAI, "s"), classed(20, 20, lines.ClassUnknown, "")}},
	} {
		if diff := cmp.Diff(c.want, Classes(c.runs, added)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestOriginsAreAddedLines: what git blame says of a commit is among what
// lines.Diff says that it added, unless the commit saw no text before.
func TestOriginsAreAddedLines(t *testing.T) {
	t.Parallel()
	w := livetest.New(11, 60)
	f := gittest.New(t)
	ids := w.Build(f)
	type place struct {
		commit gitcmd.OID
		path   string
	}
	added := map[place]lines.File{}
	err := lines.Diff(t.Context(), f.Repo, ids, func(c *lines.Commit) error {
		for _, file := range c.Files {
			added[place{c.OID, file.Path}] = file
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i := 0; i < len(w.Tips); i += 12 {
		for _, file := range built(t, f, ids[w.Tips[i]], Options{MaxBytes: livetest.MaxBytes}) {
			for _, r := range file.Runs {
				there := added[place{r.Commit, r.Path}]
				if there.Binary || slices.Contains([]byte(there.Status), 'T') {
					continue
				}
				for line := r.Line; line <= r.Line+r.Last-r.First; line++ {
					compared++
					if !slices.ContainsFunc(there.Added, func(a notes.LineRange) bool { return a.First <= line && line <= a.Last }) {
						t.Errorf("line %d of %q is not among what %s added: %+v", line, r.Path, r.Commit, there)
					}
				}
			}
		}
	}
	if compared < 300 {
		t.Errorf("only %d lines were compared", compared)
	}
}
