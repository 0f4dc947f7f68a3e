package live

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestReadBlame(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 64)
	text := a + " 3 1 2\nauthor boundary\nsummary filename x\nboundary\nfilename \"d/\\ttab\"\n\tboundary\n" + a + " 4 2\n\tfilename y\n" +
		b + " 1 3 1\nsummary " + a + " 1 1 1\nfilename p\n\t\n" + a + " 9 4 1\nfilename q\n\t" + a + " 5 5 5\n" +
		a + " 10 5 1\n\t" + strings.Repeat("\x00long", 100_000) + "\n"
	want := []piece{
		{run(1, 2, gitcmd.OID(a), "d/\ttab", 3), true}, {run(3, 3, gitcmd.OID(b), "p", 1), false},
		{run(4, 4, gitcmd.OID(a), "q", 9), true}, {run(5, 5, gitcmd.OID(a), "q", 10), true},
	}
	got, err := readBlame(strings.NewReader(text))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(piece{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, cut := range []int{10, len(text) - 1, strings.Index(text, "filename p")} {
		if _, err := readBlame(strings.NewReader(text[:cut])); err == nil {
			t.Errorf("%d bytes are no error", cut)
		}
	}
	broken := errors.New("broken")
	if _, err := readBlame(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func FuzzReadBlame(f *testing.F) {
	a := strings.Repeat("a", 40)
	f.Add([]byte(a + " 1 1 2\nboundary\nfilename \"x\\n\"\n\tx\n" + a + " 2 2\n\ty\n"))
	f.Add([]byte(a + " 4294967295 4294967295 4294967295\n\n\t\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		pieces, err := readBlame(bytes.NewReader(output))
		again, errAgain := readBlame(iotest.OneByteReader(bytes.NewReader(output)))
		if diff := cmp.Diff(pieces, again, cmp.AllowUnexported(piece{})); diff != "" || (err == nil) != (errAgain == nil) {
			t.Errorf("%v, byte by byte %v\n%s", err, errAgain, diff)
		}
		for _, p := range pieces {
			if p.First == 0 || p.Line == 0 || p.Last < p.First {
				t.Errorf("%+v", p)
			}
		}
		file := &File{Path: "x", Kind: KindText, Lines: 3}
		file.setRuns(runsOf(pieces))
		if file.Kind == KindText && (file.Runs[0].First != 1 || file.Runs[len(file.Runs)-1].Last != 3) {
			t.Errorf("%+v", file)
		}
	})
}

func TestRuns(t *testing.T) {
	t.Parallel()
	runs := []Run{run(1, 3, "c", "p", 5), run(4, 4, "d", "p", 8), run(6, 9, "c", "q", 1)}
	for _, c := range []struct {
		first, n, at uint32
		want         []Run
		ok           bool
	}{
		{1, 3, 1, runs[:1], true},
		{2, 3, 10, []Run{run(10, 11, "c", "p", 6), run(12, 12, "d", "p", 8)}, true},
		{7, 2, 1, []Run{run(1, 2, "c", "q", 2)}, true},
		{4, 2, 1, nil, false}, {5, 1, 1, nil, false}, {9, 2, 1, nil, false}, {20, 1, 1, nil, false},
	} {
		got, ok := cutOut(runs, c.first, c.n, c.at)
		if diff := cmp.Diff(c.want, got); ok != c.ok || ok && diff != "" {
			t.Errorf("%d lines from %d: %t\n%s", c.n, c.first, ok, diff)
		}
	}
	got := united([]notes.LineRange{{First: 5, Last: 7}, {First: 1, Last: 2}, {First: 3, Last: 3}, {First: 6, Last: 6}, {First: 9, Last: 9}})
	if diff := cmp.Diff([]notes.LineRange{{First: 1, Last: 3}, {First: 5, Last: 7}, {First: 9, Last: 9}}, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range [][]Run{nil, runs[1:], runs[:1], {runs[0], runs[2]}, {runs[0], runs[1], runs[2]}, {runs[0], run(4, 4, "d", "", 1)}} {
		if cover(c, 4) {
			t.Errorf("%v are not four lines", c)
		}
	}
	if !cover(runs[:2], 4) || !cover(nil, 0) {
		t.Error("four lines, or none, are not covered")
	}
	got2 := joined([]Run{run(1, 1, "c", "p", 1), run(2, 3, "c", "p", 2), run(4, 4, "c", "p", 5), run(5, 5, "c", "q", 6), run(6, 6, "d", "q", 7)})
	if diff := cmp.Diff([]Run{run(1, 3, "c", "p", 1), run(4, 4, "c", "p", 5), run(5, 5, "c", "q", 6), run(6, 6, "d", "q", 7)}, got2); diff != "" {
		t.Error(diff)
	}
}

// TestLargeFiles: a line of 50 MB, at the tip and in history, and 300,000 lines.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 60 MB")
	}
	const size = 50 << 20
	line := strings.Repeat("x", size)
	var many, more strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&many, "%d\n", i%1000)
		if fmt.Fprintf(&more, "%d\n", i%1000); i%3 == 0 {
			fmt.Fprintf(&more, "more %d\n", i)
		}
	}
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"was": "1\n" + line + "\n2\n", "many": many.String()}},
		{Files: map[string]string{"was": "1\n2\n", "many": more.String()}},
	})
	m := built(t, f, ids[0], Options{})
	if m["was"].Kind != KindTooLarge || m["many"].Lines != 300_000 {
		t.Errorf("%s, %d", m["was"].Kind, m["many"].Lines)
	}
	m.updated(t, f, ids[0], ids[1], Options{})
	if diff := cmp.Diff([]Run{run(1, 1, ids[0], "was", 1), run(2, 2, ids[0], "was", 3)}, m["was"].Runs); diff != "" {
		t.Error(diff)
	}
	if n := len(m["many"].Runs); n != 200_001 {
		t.Errorf("%d runs, want 200001", n)
	}
}
