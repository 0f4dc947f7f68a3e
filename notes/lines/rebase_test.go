package lines

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// TestExactSurvivesRebase: a receipt finds its lines in another commit by the
// content alone, and its envelope says nothing where the content differs.
func TestExactSurvivesRebase(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	edited := strings.Replace(ten, "5\n", "five\nand\n", 1)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"src/a.txt": ten}},
		{Files: map[string]string{"src/a.txt": edited}},
		{Parents: []gitcmd.OID{gittest.Nth(0)}, Files: map[string]string{"other": "x\n"}},
		{Files: map[string]string{"src/a.txt": edited}},
		{Parents: []gitcmd.OID{gittest.Nth(2)}, Files: map[string]string{"src/a.txt": edited + "more\n"}},
	})
	blob := f.Git("rev-parse", string(ids[1])+":src/a.txt")
	claims := Claims(&notes.Receipt{ID: "r", Files: []notes.FileChange{
		{Path: "/home/ada/repo/src/a.txt", LineStart: 5, LineEnd: 6, BlobHash: blob},
	}}, false)
	var got [][]Run
	for _, c := range diffAll(t, f.Repo, ids...) {
		out, _ := Classify(c.Files, Evidence{Claims: claims}, nil)
		for _, file := range out {
			got = append(got, file.Runs)
		}
	}
	want := [][]Run{
		{unknown(1, 10)}, {prompted(5, 6, Exact, "r")}, {unknown(1, 1)}, {prompted(5, 6, Exact, "r")},
		{unknown(5, 6), unknown(12, 12)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
