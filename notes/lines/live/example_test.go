package live

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines"
)

// TestExampleOfTheDocumentation makes the example of docs/numbers.md.
func TestExampleOfTheDocumentation(t *testing.T) {
	t.Parallel()
	const (
		head  = "def greet(name):\n"
		agent = "    name = name.strip()\n    name = name or 'you'\n"
		body  = "    return 'Hello ' + name\n\n"
	)
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: only("greet.py", head+body+"greet('Ada')\n")},
		{Remove: []string{"greet.py"}, Files: only("hello.py", head+body+"print(greet('Ada'))\n")},
		{Parents: at(0), Files: only("greet.py", head+agent+body+"greet('Ada')\n")},
		{Parents: at(1, 2), Files: only("hello.py", head+agent+body+"print(greet('Ada'))\nprint(greet(''))\n")},
		{Files: only("hello.py", head+"    name = name.strip()\n"+body+"print(greet('Ada'))\nprint(greet(''))\n")},
	})
	names := map[gitcmd.OID]string{}
	for i, id := range ids {
		names[id] = "ABCDE"[i : i+1]
	}
	var text strings.Builder
	m := built(t, f, ids[3], Options{})
	describe(&text, "at D", names, m["hello.py"])
	m.updated(t, f, ids[3], ids[4], Options{})
	describe(&text, "at E", names, m["hello.py"])
	page, err := os.ReadFile("../../../docs/numbers.md")
	if err != nil || !strings.Contains(string(page), "```\n"+text.String()+"```") {
		t.Errorf("docs/numbers.md does not have\n%s%v", text.String(), err)
	}

	added := map[gitcmd.OID][]lines.Run{}
	var total lines.Counts
	err = lines.Diff(t.Context(), f.Repo, ids, func(c *lines.Commit) error {
		evidence := lines.Evidence{}
		if c.OID == ids[2] {
			evidence.Attestations = []notes.Attestation{{Path: "greet.py", Class: notes.ClassAI, ReceiptID: "r", Lines: []notes.LineRange{{First: 2, Last: 3}}}}
		}
		files, counts := lines.Classify(c.Files, evidence, nil)
		for _, file := range files {
			added[c.OID] = file.Runs
		}
		total.Add(counts)
		return nil
	})
	if err != nil || total.Added != 8 || total.AI != 2 {
		t.Errorf("added %+v, %v", total, err)
	}
	alive := int64(0)
	for _, r := range Classes(m["hello.py"].Runs, func(commit gitcmd.OID, _ string) []lines.Run { return added[commit] }) {
		if r.ReceiptID == "r" {
			alive += lines.Count([]notes.LineRange{r.LineRange})
		}
	}
	if alive != 1 || m["hello.py"].Lines != 6 {
		t.Errorf("%d of %d lines are the agent's", alive, m["hello.py"].Lines)
	}
}

func describe(b *strings.Builder, title string, names map[gitcmd.OID]string, f *File) {
	for _, r := range f.Runs {
		span := fmt.Sprint(r.First)
		if r.Last > r.First {
			span = fmt.Sprintf("%d-%d", r.First, r.Last)
		}
		fmt.Fprintf(b, "%-4s  %-3s  %s  %s:%d\n", title, span, names[r.Commit], r.Path, r.Line)
		title = ""
	}
}
