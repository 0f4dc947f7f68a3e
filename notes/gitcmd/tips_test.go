package gitcmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// TestTips compares with git, whatever form the refs have.
func TestTips(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 2)
	names := []string{"refs/notes/a", "refs/notes/ab", "refs/notes/b", "refs/notes/none"}
	want := map[string]gitcmd.OID{}
	check := func(state string) {
		t.Helper()
		repo, err := gitcmd.Open(f.Dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := repo.Tips(t.Context(), names...)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", state, err, diff)
		}
	}
	set := func(name string, oid gitcmd.OID) {
		f.SetRef(name, oid)
		want[name] = oid
	}
	check("nothing")
	set("refs/notes/a", commits[0])
	check("loose")
	set("refs/notes/ab", commits[1])
	f.Git("pack-refs", "--all")
	check("packed")
	set("refs/notes/a", commits[1])
	check("loose above packed")
	f.Delete("refs/notes/ab")
	delete(want, "refs/notes/ab")
	check("deleted")
	f.SetRef("refs/notes/none/below", commits[0])
	check("a directory of the name")
	f.Git("pack-refs", "--all")
	check("a packed directory of the name")
	// What else git would take the name for is another ref.
	f.SetRef("refs/heads/refs/notes/ab", commits[0])
	f.SetRef("refs/tags/refs/notes/ab", commits[0])
	check("look-alikes")
	f.Git("symbolic-ref", "refs/notes/b", "refs/heads/main")
	want["refs/notes/b"] = commits[1]
	check("symbolic")

	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range 30_000 {
		fmt.Fprintf(&packed, "%s refs/heads/branch-%05d\n", commits[0], i)
	}
	fmt.Fprintf(&packed, "%[1]s refs/heads/main\n%[1]s refs/notes/a\n", commits[1])
	if err := os.WriteFile(filepath.Join(f.Dir, "packed-refs"), []byte(packed.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	check("many packed refs")
}
