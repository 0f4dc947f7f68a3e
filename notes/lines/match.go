package lines

import (
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// paths finds the file of a commit that a receipt's path means. A receipt's
// path is relative to the repository, relative to a folder in it, or absolute
// on the developer's machine.
type paths struct {
	files []File
	// byPath and byBlob hold the position of a file by its path, or the path that
	// it was renamed from, and by blob, NUL and path.
	byPath map[string]int
	// reversed holds the same keys with the components of the path in reverse
	// order, sorted, so that the files below which a path may lie are neighbours.
	reversed []reversedPath
}

type reversedPath struct {
	key  string
	file int
}

func newPaths(files []File) *paths {
	p := &paths{files: files, byPath: make(map[string]int, 2*len(files))}
	for i := range files {
		if !files[i].Blob.IsZero() {
			p.add(files[i].Path, i)
		}
	}
	for i := range files {
		if old := files[i].OldPath; old != "" {
			p.add(old, i)
		}
	}
	slices.SortFunc(p.reversed, func(a, b reversedPath) int { return strings.Compare(a.key, b.key) })
	return p
}

func (p *paths) add(name string, file int) {
	blob := string(p.files[file].Blob)
	for _, prefix := range []string{"", blob + "\x00"} {
		if _, taken := p.byPath[prefix+name]; taken {
			continue
		}
		p.byPath[prefix+name] = file
		p.reversed = append(p.reversed, reversedPath{prefix + reverse(name), file})
	}
}

// reverse returns the path from its last component to its first, each followed
// by a slash.
func reverse(name string) string {
	parts := strings.Split(name, "/")
	slices.Reverse(parts)
	return strings.Join(parts, "/") + "/"
}

// The bounds of the paths that receipts name: PATH_MAX of Linux, and the
// number of ends of an absolute path that are looked up.
const (
	maxClaimPath = 4096
	maxDepth     = 64
)

// find returns the position of the file that a path means, among those with
// the blob if one is given; false if there is none or it cannot be told which.
// The path itself comes first; then, for an absolute path, the longest end of
// it that is a file; for a relative one the only file that ends with it.
func (p *paths) find(name string, blob gitcmd.OID) (int, bool) {
	prefix := ""
	if blob != "" {
		prefix = string(blob) + "\x00"
	}
	absolute := isAbsolute(name)
	name = cleanPath(name)
	if name == "" {
		return 0, false
	}
	if i, ok := p.byPath[prefix+name]; ok {
		return i, true
	}
	if !absolute {
		return p.below(prefix, name)
	}
	for depth := strings.Count(name, "/"); depth > 0; depth-- {
		_, name, _ = strings.Cut(name, "/")
		if depth > maxDepth {
			continue
		}
		if i, ok := p.byPath[prefix+name]; ok {
			return i, true
		}
	}
	return 0, false
}

// below returns the only file whose path ends with the components of name.
func (p *paths) below(prefix, name string) (int, bool) {
	key := prefix + reverse(name)
	at := sort.Search(len(p.reversed), func(i int) bool { return p.reversed[i].key >= key })
	found, ok := 0, false
	for ; at < len(p.reversed) && strings.HasPrefix(p.reversed[at].key, key); at++ {
		if ok && p.reversed[at].file != found {
			return 0, false
		}
		found, ok = p.reversed[at].file, true
	}
	return found, ok
}

func isAbsolute(name string) bool {
	return strings.HasPrefix(name, "/") || len(name) > 2 && name[1] == ':' && name[2] == '/'
}

// cleanPath takes "./", "../" and the root or drive off a path.
func cleanPath(name string) string {
	if len(name) > maxClaimPath {
		return ""
	}
	if isAbsolute(name) && name[0] != '/' {
		name = name[2:]
	}
	name = strings.TrimLeft(path.Clean(name), "/")
	for strings.HasPrefix(name, "../") {
		name = name[3:]
	}
	if name == "." || name == ".." {
		return ""
	}
	return name
}
