package gitcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxPackedRefs is the size of packed-refs from which on git finds a ref more
// quickly.
const maxPackedRefs = 1 << 20

// Tips returns what the refs of these full names point at; those that do not
// exist are left out. It looks into git's files where refs are kept in them,
// which costs no child, and asks git about what is not plainly there.
func (r *Repo) Tips(ctx context.Context, names ...string) (map[string]OID, error) {
	if tips, ok := r.readTips(names); ok {
		return tips, nil
	}
	refs, err := r.Refs(ctx, names...)
	if err != nil {
		return nil, err
	}
	tips := make(map[string]OID)
	for _, ref := range refs {
		// A name also matches what lies under it as a directory.
		for _, name := range names {
			if ref.Name == name {
				tips[name] = ref.OID
			}
		}
	}
	return tips, nil
}

// readTips reads files (gitrepository-layout(5)): first the loose ref, then
// packed-refs, since a ref that is being packed is in both for a moment.
func (r *Repo) readTips(names []string) (map[string]OID, bool) {
	if !r.refFiles {
		return nil, false
	}
	tips := make(map[string]OID)
	var packed []string
	for _, name := range names {
		text, err := r.readLoose(name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
			packed = append(packed, name)
			continue
		case err != nil:
			return nil, false
		}
		oid, err := ParseOID(strings.TrimSuffix(text, "\n"))
		if err != nil || oid.IsZero() {
			// A symbolic ref, or something that git is to complain of.
			return nil, false
		}
		tips[name] = oid
	}
	return tips, len(packed) == 0 || r.readPacked(packed, tips)
}

func (r *Repo) readLoose(name string) (string, error) {
	if !strings.HasPrefix(name, "refs/") || strings.Contains(name, "..") {
		return "", fmt.Errorf("%.100q is not the name of a ref", name)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(name)))
	return string(text), err
}

// readPacked adds the named refs in packed-refs, whose lines are
// "<oid> SP <name> LF".
func (r *Repo) readPacked(names []string, to map[string]OID) bool {
	path := filepath.Join(r.dir, "packed-refs")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil || info.Size() > maxPackedRefs {
		return false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for _, name := range names {
		end := bytes.Index(text, []byte(" "+name+"\n"))
		if end < 0 {
			continue
		}
		oid, err := ParseOID(string(text[bytes.LastIndexByte(text[:end], '\n')+1 : end]))
		if err != nil {
			return false
		}
		to[name] = oid
	}
	return true
}
