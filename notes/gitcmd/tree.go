package gitcmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// TreeEntry is one leaf of a tree.
type TreeEntry struct {
	// Path is relative to the tree, as raw bytes: it may hold anything but NUL.
	// What is longer than MaxPath is cut.
	Path string
	// Mode is octal as git prints it: "100644", "100755", "120000", "160000".
	Mode string
	// Type is "blob", or "commit" for a submodule.
	Type string
	OID  OID
}

// MaxPath bounds the length in bytes of the paths that this package returns.
const MaxPath = 64 << 10

// Tree hands every leaf under the tree, or under the tree of the commit or tag,
// to fn in git's order. An error of fn ends the walk and is returned as it is.
func (r *Repo) Tree(ctx context.Context, treeish OID, fn func(TreeEntry) error) error {
	if _, err := ParseOID(string(treeish)); err != nil {
		return fmt.Errorf("reading tree: %w", err)
	}
	err := r.Command(ctx, "ls-tree", "-r", "-z", "--full-tree", string(treeish)).Stream(func(out io.Reader) error {
		tokens := newTokens(out)
		for {
			entry, err := readTreeEntry(tokens)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := fn(entry); err != nil {
				return callbackError{err}
			}
		}
	})
	return unwrapCallback(err, "reading tree "+string(treeish))
}

// readTreeEntry reads "<mode> SP <type> SP <oid> TAB <path> NUL".
func readTreeEntry(tokens *tokens) (TreeEntry, error) {
	token, err := tokens.next(MaxPath + 100)
	if err != nil {
		return TreeEntry{}, err
	}
	meta, path, ok := strings.Cut(token, "\t")
	fields := strings.Split(meta, " ")
	if !ok || len(fields) != 3 {
		return TreeEntry{}, fmt.Errorf("unexpected tree entry %.100q", token)
	}
	oid, err := ParseOID(fields[2])
	if err != nil {
		return TreeEntry{}, err
	}
	path = path[:min(len(path), MaxPath)]
	return TreeEntry{Path: path, Mode: fields[0], Type: fields[1], OID: oid}, nil
}

// tokens splits output at NUL.
type tokens struct {
	r *bufio.Reader
}

func newTokens(out io.Reader) *tokens {
	return &tokens{r: bufio.NewReaderSize(out, 64<<10)}
}

// next returns the bytes up to the next NUL, cut at limit. The error is io.EOF
// at the end of the output and errTruncated inside of a token.
func (t *tokens) next(limit int) (string, error) {
	part, err := t.r.ReadSlice(0)
	if err == nil {
		return cut(part[:len(part)-1], limit), nil
	}
	if err == io.EOF && len(part) == 0 {
		return "", io.EOF
	}
	token := []byte(cut(part, limit))
	for err == bufio.ErrBufferFull {
		part, err = t.r.ReadSlice(0)
		token = append(token, part[:min(len(part), limit-len(token))]...)
	}
	if err != nil {
		return "", errTruncated
	}
	return strings.TrimSuffix(string(token), "\x00"), nil
}

func cut(b []byte, limit int) string {
	return string(b[:min(len(b), limit)])
}
