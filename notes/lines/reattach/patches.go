package reattach

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// change is the way from a base to a commit; an empty base is its first parent,
// or the empty tree for a root.
type change struct{ base, commit gitcmd.OID }

// patchArguments pin down all that configuration could change. Renames are
// deletions and additions, so that an id does not depend on guesses; ids of
// objects let those of binary files differ.
var patchArguments = []string{
	"diff-tree", "--stdin", "-p", "-r", "--root", "-U3", "--full-index", "--no-renames", "--diff-algorithm=myers",
	"--indent-heuristic", "--inter-hunk-context=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative",
	"--ignore-submodules=none", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/", "-O/dev/null",
}

// bigFile is the size from which git calls a file binary: a comparison holds
// both of its sides in memory.
const bigFile = "core.bigFileThreshold=100m"

// patchIDs returns the patch id of every commit, compared with its base. Of two
// changes with one commit only the last is known. Those that change nothing, and
// merges without a base, have none. One child compares, and one that reads
// what it writes adds up, however many there are.
func patchIDs(ctx context.Context, repo *gitcmd.Repo, changes []change) (map[gitcmd.OID]string, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	diff := repo.Command(ctx, patchArguments...)
	diff.Config = []string{bigFile, "diff.suppressBlankEmpty=false"}
	// Nor does a repository with a work tree then take attributes from its index.
	diff.Env = []string{"GIT_INDEX_FILE=/nonexistent/index"}
	diff.Stdin = strings.NewReader(requests(changes))
	ids := make(map[gitcmd.OID]string, len(changes))
	err := diff.Stream(func(patches io.Reader) error {
		sum := repo.Command(ctx, "patch-id", "--stable")
		sum.Stdin = patches
		return sum.Stream(func(out io.Reader) error { return readPatchIDs(out, ids) })
	})
	if err != nil {
		return nil, fmt.Errorf("computing patch ids: %w", err)
	}
	return ids, nil
}

// requests is a line for each change: "<commit>[ <base>]".
func requests(changes []change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(string(c.commit))
		if c.base != "" {
			b.WriteByte(' ')
			b.WriteString(string(c.base))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// readPatchIDs reads "<patch id> <commit> LF".
func readPatchIDs(out io.Reader, ids map[gitcmd.OID]string) error {
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		id, commit, _ := strings.Cut(lines.Text(), " ")
		oid, err := gitcmd.ParseOID(commit)
		if err != nil {
			return fmt.Errorf("reading a patch id: %w", err)
		}
		ids[oid] = id
	}
}
