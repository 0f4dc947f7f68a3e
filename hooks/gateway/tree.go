package gateway

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// The modes of what a notes tree holds.
const (
	modeTree = "40000"
	modeFile = "100644"
)

// treeEntry is one entry of a git tree.
type treeEntry struct {
	mode, name string
	oid        gitcmd.OID
}

// sortKey orders entries as git does: trees as if their names ended in a slash.
func (e treeEntry) sortKey() string {
	if e.mode == modeTree {
		return e.name + "/"
	}
	return e.name
}

// treeEdits are blobs by path; a path with "" is taken out.
type treeEdits map[string]gitcmd.OID

// maxTree bounds a single tree object, of some 500,000 entries.
const maxTree = 32 << 20

// errTree says that a tree object cannot be read.
var errTree = errors.New("tree is not readable")

// treeEditor makes trees out of others by changing few of their paths. It
// reads and writes only the trees on the way to these.
type treeEditor struct {
	reader *gitcmd.BatchReader
	writer objectWriter
}

// edit returns the tree that root becomes; root is "" for an empty one. A path
// takes the place of whatever is in its way.
func (t treeEditor) edit(root gitcmd.OID, edits treeEdits) (gitcmd.OID, error) {
	oid, err := t.editTree(root, edits)
	if err == nil && oid == "" {
		return t.write(nil)
	}
	return oid, err
}

// editTree returns "" for a tree without entries.
func (t treeEditor) editTree(oid gitcmd.OID, edits treeEdits) (gitcmd.OID, error) {
	entries, err := t.read(oid)
	if err != nil {
		return "", err
	}
	below := map[string]treeEdits{}
	for path, blob := range edits {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case deeper && below[name] == nil:
			below[name] = treeEdits{rest: blob}
		case deeper:
			below[name][rest] = blob
		case blob != "":
			entries[name] = treeEntry{mode: modeFile, name: name, oid: blob}
		case entries[name].mode != modeTree:
			delete(entries, name)
		}
	}
	for name, edits := range below {
		if err := t.editBelow(entries, name, edits); err != nil {
			return "", err
		}
	}
	if len(entries) == 0 {
		return "", nil
	}
	return t.write(entries)
}

func (t treeEditor) editBelow(entries map[string]treeEntry, name string, edits treeEdits) error {
	subtree := entries[name].oid
	if entries[name].mode != modeTree {
		if !edits.adds() {
			return nil
		}
		subtree = ""
	}
	oid, err := t.editTree(subtree, edits)
	if err != nil {
		return err
	}
	if oid == "" {
		delete(entries, name)
	} else {
		entries[name] = treeEntry{mode: modeTree, name: name, oid: oid}
	}
	return nil
}

// adds reports whether any edit puts something in.
func (e treeEdits) adds() bool {
	for _, blob := range e {
		if blob != "" {
			return true
		}
	}
	return false
}

// read returns the entries of a tree by name.
func (t treeEditor) read(oid gitcmd.OID) (map[string]treeEntry, error) {
	entries := map[string]treeEntry{}
	if oid == "" {
		return entries, nil
	}
	err := t.each(oid, func(e treeEntry) { entries[e.name] = e })
	return entries, err
}

// each hands the entries of a tree to fn.
func (t treeEditor) each(oid gitcmd.OID, fn func(treeEntry)) error {
	object, err := t.reader.Read(oid, maxTree)
	if err != nil {
		return err
	}
	if object.Type != "tree" || object.Data == nil && object.Size > 0 {
		return fmt.Errorf("object %s, a %s of %d bytes: %w", oid, object.Type, object.Size, errTree)
	}
	for data := object.Data; len(data) > 0; {
		entry, rest, err := parseTreeEntry(data)
		if err != nil {
			return fmt.Errorf("object %s: %w", oid, err)
		}
		fn(entry)
		data = rest
	}
	return nil
}

// idSize is the length of a binary id in repositories of the format sha1.
const idSize = 20

// parseTreeEntry reads "<mode> SP <name> NUL <binary id>".
func parseTreeEntry(data []byte) (entry treeEntry, rest []byte, err error) {
	end := bytes.IndexByte(data, 0)
	if end < 0 || len(data) < end+1+idSize {
		return treeEntry{}, nil, errTree
	}
	mode, name, ok := strings.Cut(string(data[:end]), " ")
	if !ok {
		return treeEntry{}, nil, errTree
	}
	oid := gitcmd.OID(hex.EncodeToString(data[end+1 : end+1+idSize]))
	return treeEntry{mode: mode, name: name, oid: oid}, data[end+1+idSize:], nil
}

func (t treeEditor) write(entries map[string]treeEntry) (gitcmd.OID, error) {
	list := make([]treeEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b treeEntry) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	var out bytes.Buffer
	for _, e := range list {
		id, err := hex.DecodeString(string(e.oid))
		if err != nil || len(id) != idSize {
			return "", fmt.Errorf("entry %q has the id %.80q: %w", e.name, e.oid, errTree)
		}
		fmt.Fprintf(&out, "%s %s\x00", e.mode, e.name)
		out.Write(id)
	}
	return t.writer.write(plumbing.TreeObject, out.Bytes())
}
