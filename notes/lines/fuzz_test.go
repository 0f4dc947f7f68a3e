package lines

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func FuzzReadDiff(f *testing.F) {
	a, b := strings.Repeat("a", 40), strings.Repeat("0", 40)
	f.Add([]byte(a + "\x00:000000 100644 " + b + " " + a + " A\x00f\x00\x00diff --git a/f b/f\nnew file mode 100644\n" +
		"index " + b + ".." + a + "\n--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+x\n+y\n\\ No newline at end of file\n" + a + "\x00"))
	f.Add([]byte(a + "\x00::100644 100644 100644 " + b + " " + b + " " + a + " MM\x00f\x00\x00diff --combined \"f\\t\"\n" +
		"@@@ -1,2 -1,1 +1,2 @@@ x\n--a\n +b\n++c\n" + b + "\x00"))
	f.Add([]byte(a + "\x00:100644 120000 " + b + " " + a + " T\x00f\x00\x00diff --git a/f b/f\n@@ -1 +0,0 @@\n-x\n" +
		"diff --git a/f b/f\n@@ -0,0 +1 @@\n+x\n"))
	f.Add([]byte(a + "\x00:100644 100644 " + b + " " + a + " R050\x00f\x00g\x00\x00diff --git a/f b/g\nBinary files differ\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		var commits []*Commit
		err := readDiff(bytes.NewReader(output), bounds, func(c *Commit) error {
			commits = append(commits, c)
			checkCommit(t, c)
			return nil
		})
		n := 0
		again := readDiff(iotest.OneByteReader(bytes.NewReader(output)), bounds, func(*Commit) error { n++; return nil })
		if n != len(commits) || (err == nil) != (again == nil) {
			t.Errorf("%d commits, %v; byte by byte %d, %v", len(commits), err, n, again)
		}
	})
}

func checkCommit(t *testing.T, c *Commit) {
	t.Helper()
	for _, file := range c.Files {
		for i, r := range file.Added {
			if r.First == 0 || r.Last < r.First || i > 0 && r.First <= file.Added[i-1].Last {
				t.Errorf("%q: ranges %v", file.Path, file.Added)
			}
		}
		if file.Deleted < 0 || file.Path != "" && len(file.Added) > 0 && file.Mode != regular && file.Mode != executable {
			t.Errorf("file %+v", file)
		}
	}
}

func TestReadDiffEndsWithAnyError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	err := readDiff(iotest.ErrReader(broken), bounds, func(*Commit) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
