package gitcmd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestWriteCommitGraph(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	for range 2 {
		f.Commits("refs/heads/main", 5)
		if err := f.Repo.WriteCommitGraph(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if graphs, err := filepath.Glob(filepath.Join(f.Repo.Dir(), "objects/info/commit-graphs/*.graph")); len(graphs) == 0 {
		t.Errorf("no commit-graph was written: %v", err)
	}
	f.Git("commit-graph", "verify")
	if err := os.WriteFile(filepath.Join(f.Repo.Dir(), "shallow"), []byte(f.Tip("refs/heads/main")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.Repo.WriteCommitGraph(t.Context()); err != nil {
		t.Errorf("in a shallow repository: %v", err)
	}
}
