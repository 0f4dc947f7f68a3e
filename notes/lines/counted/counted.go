// Package counted says which files of a default branch count: by the setting of
// the repository, and by what .gitattributes at the branch's tip say of a path,
// whichever commit it is in.
//
// Promises: equal settings and attributes have equal fingerprints; git is asked
// about many paths at once, and not at all where no attributes are given.
package counted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// Rules decide which files count. Reason may be called by several goroutines at
// once while nobody calls Learn or Close.
type Rules struct {
	excluder    *lines.Excluder
	fingerprint string

	git *gitcmd.Repo
	tip gitcmd.OID
	// index is an index file with the .gitattributes alone, for a git that does
	// not read attributes of a commit; empty when there are none.
	index string
	known map[string]lines.Attributes
}

// maxKnown bounds the paths whose attributes are held.
const maxKnown = 200_000

// Read reads the rules at a tip, which is empty where there is no branch. Globs
// are the setting. Close removes what it leaves on disk.
func Read(ctx context.Context, git *gitcmd.Repo, tip gitcmd.OID, globs []string) (*Rules, error) {
	excluder, err := lines.NewExcluder(globs)
	if err != nil {
		return nil, err
	}
	r := &Rules{excluder: excluder, git: git, tip: tip, known: map[string]lines.Attributes{}}
	sum := sha256.New()
	for _, glob := range globs {
		fmt.Fprintf(sum, "glob %q\n", glob)
	}
	var entries strings.Builder
	if tip != "" {
		err = git.Tree(ctx, tip, func(e gitcmd.TreeEntry) error {
			if path.Base(e.Path) == ".gitattributes" && strings.HasPrefix(e.Mode, "100") && !unaskable(e.Path) {
				fmt.Fprintf(&entries, "%s %s 0\t%s\x00", e.Mode, e.OID, e.Path)
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(sum, "attributes %s\n", entries.String())
	r.fingerprint = hex.EncodeToString(sum.Sum(nil))
	if entries.Len() == 0 {
		return r, nil
	}
	return r, r.makeIndex(ctx, entries.String())
}

func (r *Rules) makeIndex(ctx context.Context, entries string) error {
	dir, err := os.MkdirTemp("", "blameprompt-attributes-")
	if err != nil {
		return fmt.Errorf("reading attributes: %w", err)
	}
	r.index = filepath.Join(dir, "index")
	cmd := r.git.Command(ctx, "update-index", "-z", "--index-info")
	cmd.Env = []string{"GIT_INDEX_FILE=" + r.index}
	cmd.Config = []string{"core.protectNTFS=false", "core.protectHFS=false"}
	cmd.Stdin = strings.NewReader(entries)
	if err := cmd.Run(); err != nil {
		r.Close()
		return err
	}
	return nil
}

// Close removes what Read has left on disk.
func (r *Rules) Close() {
	if r.index != "" {
		_ = os.RemoveAll(filepath.Dir(r.index))
	}
}

// The attributes that say which files people did not write.
const (
	generatedAttribute = "linguist-generated"
	vendoredAttribute  = "linguist-vendored"
)

// Learn asks git for the attributes of paths; they are not listed where there are
// no attributes.
func (r *Rules) Learn(ctx context.Context, paths iter.Seq[string]) error {
	if r.index == "" {
		return nil
	}
	if len(r.known) > maxKnown {
		clear(r.known)
	}
	var ask strings.Builder
	for name := range paths {
		if _, ok := r.known[name]; ok || unaskable(name) {
			continue
		}
		r.known[name] = lines.Attributes{}
		ask.WriteString(name)
		ask.WriteByte(0)
	}
	if ask.Len() == 0 {
		return nil
	}
	cmd := r.git.Command(ctx, "check-attr", "--cached", "--stdin", "-z", generatedAttribute, vendoredAttribute)
	cmd.Env = []string{"GIT_INDEX_FILE=" + r.index}
	// A git that knows attr.tree would read HEAD's in a bare repository.
	cmd.Config = []string{"attr.tree=" + string(r.tip)}
	cmd.Stdin = strings.NewReader(ask.String())
	return cmd.Stream(r.read)
}

// unaskable tells paths that git would take for others, for it normalises them,
// or refuses: no git makes them.
func unaskable(name string) bool {
	return path.Clean("/"+name) != "/"+name || name == "" ||
		slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.EqualFold(part, ".git") })
}

// read reads "<path> NUL <attribute> NUL <value> NUL".
func (r *Rules) read(out io.Reader) error {
	all, err := io.ReadAll(out)
	if err != nil {
		return err
	}
	fields := strings.Split(string(all), "\x00")
	for ; len(fields) >= 3; fields = fields[3:] {
		a := r.known[fields[0]]
		switch fields[1] {
		case generatedAttribute:
			a.Generated = said(fields[2])
		case vendoredAttribute:
			a.Vendored = said(fields[2])
		}
		r.known[fields[0]] = a
	}
	return nil
}

// said reads the value of an attribute, nil for one that is not given.
func said(value string) *bool {
	switch value {
	case "set", "true":
		return new(true)
	case "unset", "false":
		return new(false)
	}
	return nil
}

// Fingerprint is equal for equal rules.
func (r *Rules) Fingerprint() string { return r.fingerprint }

// Reason returns why the lines of a path do not count, or "". Generated is what
// lines.GeneratedHeader says of the file. The path must have been learned.
func (r *Rules) Reason(name string, generated bool) lines.Reason {
	return r.excluder.Reason(name, generated, r.known[name])
}
