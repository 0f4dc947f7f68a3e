package added

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// rules decide which files count: the repository's setting, and what
// .gitattributes at the tip of the default branch say of a path, whichever
// commit it is in.
type rules struct {
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

func readRules(ctx context.Context, git *gitcmd.Repo, tip gitcmd.OID, globs []string) (*rules, error) {
	excluder, err := lines.NewExcluder(globs)
	if err != nil {
		return nil, err
	}
	r := &rules{excluder: excluder, git: git, tip: tip, known: map[string]lines.Attributes{}}
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

func (r *rules) makeIndex(ctx context.Context, entries string) error {
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
		r.close()
		return err
	}
	return nil
}

func (r *rules) close() {
	if r.index != "" {
		_ = os.RemoveAll(filepath.Dir(r.index))
	}
}

// The attributes that say which files people did not write.
const (
	generatedAttribute = "linguist-generated"
	vendoredAttribute  = "linguist-vendored"
)

// learn asks git for the attributes of the paths of commits.
func (r *rules) learn(ctx context.Context, commits []*lines.Commit) error {
	if r.index == "" {
		return nil
	}
	if len(r.known) > maxKnown {
		clear(r.known)
	}
	var ask strings.Builder
	for _, c := range commits {
		for i := range c.Files {
			name := c.Files[i].Path
			if _, ok := r.known[name]; ok || len(c.Files[i].Added) == 0 || unaskable(name) {
				continue
			}
			r.known[name] = lines.Attributes{}
			ask.WriteString(name)
			ask.WriteByte(0)
		}
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
func (r *rules) read(out io.Reader) error {
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

func (r *rules) exclude(f *lines.File) lines.Reason {
	return r.excluder.Reason(f.Path, f.Generated, r.known[f.Path])
}

// readBorder reads where a shallow history begins.
func readBorder(git *gitcmd.Repo) (map[gitcmd.OID]bool, error) {
	const most = 16 << 20
	file, err := os.Open(filepath.Join(git.Dir(), "shallow"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the border of the history: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return nil, fmt.Errorf("reading the border of the history: %w", err)
	}
	border := map[gitcmd.OID]bool{}
	for _, line := range strings.Fields(string(text)) {
		border[gitcmd.OID(line)] = true
	}
	return border, nil
}
