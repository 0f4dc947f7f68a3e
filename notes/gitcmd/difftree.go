package gitcmd

import (
	"context"
	"fmt"
	"io"
)

// DiffTrees hands the paths in which the trees of two commits differ to fn,
// each with one Old. Renames are deletions and additions. It costs as much as
// the subtrees that differ, not as the trees. An error of fn ends the reading
// and is returned as it is.
func (r *Repo) DiffTrees(ctx context.Context, old, tip OID, fn func(Change) error) error {
	for _, oid := range []OID{old, tip} {
		if _, err := ParseOID(string(oid)); err != nil {
			return fmt.Errorf("comparing trees: %w", err)
		}
	}
	cmd := r.Command(ctx, "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", string(old), string(tip))
	err := cmd.Stream(func(out io.Reader) error {
		reader := &changeReader{tokens: newTokens(out)}
		for {
			if _, err := reader.skipSeparators(); err == io.EOF {
				return nil
			}
			change, err := reader.readChange(1)
			if err != nil {
				return err
			}
			if err := fn(change); err != nil {
				return callbackError{err}
			}
		}
	})
	return unwrapCallback(err, fmt.Sprintf("comparing the trees of %s and %s", old, tip))
}
