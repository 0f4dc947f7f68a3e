package gitcmd

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzReadHistory(f *testing.F) {
	oid := strings.Repeat("a", 40)
	header := strings.Join([]string{oid, oid + " " + oid, "n", "e", "-1", "n", "e", "99999999999999999999"}, "\x00") + "\x00"
	f.Add([]byte(header + "\x00::100644 100644 000000 " + oid + " " + oid + " " + oid + " MM\x00a\nb\x00"))
	f.Add([]byte(header + "message\xff\x00"))
	f.Add([]byte(header[:100]))
	f.Fuzz(func(t *testing.T, output []byte) {
		reader := &changeReader{fn: func(c *CommitChanges) error {
			for _, change := range c.Changes {
				if len(change.Old) != max(1, len(c.Parents)) || len(change.Path) > MaxPath {
					t.Errorf("change %+v of a commit with %d parents", change, len(c.Parents))
				}
			}
			return nil
		}}
		_ = reader.readAll(newTokens(bytes.NewReader(output)))
		_ = readCommits(newTokens(bytes.NewReader(output)), func(c *Commit) error {
			if c.CommitTime.Before(MinTime) || c.AuthorTime.After(MaxTime) || len(c.Message) > 3*maxMessage {
				t.Errorf("commit %+v", c)
			}
			return nil
		})
	})
}

func FuzzReadTreeEntry(f *testing.F) {
	oid := strings.Repeat("a", 40)
	f.Add([]byte("100644 blob " + oid + "\ta\nb\x00160000 commit " + oid + "\t\xff\x00"))
	f.Add([]byte("100644 blob"))
	f.Fuzz(func(t *testing.T, output []byte) {
		tokens := newTokens(bytes.NewReader(output))
		for {
			entry, err := readTreeEntry(tokens)
			if err != nil {
				return
			}
			if len(entry.Path) > MaxPath || strings.Contains(entry.Path, "\x00") {
				t.Errorf("entry %+v", entry)
			}
		}
	})
}
