package gittest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Commit describes one commit. Its zero value is an empty commit on top of
// refs/heads/main.
type Commit struct {
	// Ref is moved to the commit; empty is refs/heads/main.
	Ref string
	// Parents are ids, or Nth of the same Import. Nil is the ref's tip, if any.
	Parents []gitcmd.OID
	// Root makes a commit without parents.
	Root bool
	// Files are written over what the first parent has; paths may hold
	// anything that git allows.
	Files map[string]string
	// Modes are those of Files that are not "100644": "100755", "120000" for a
	// symbolic link to the content, "160000" for a submodule at the commit whose id
	// the content is.
	Modes map[string]string
	// Remove lists paths to delete; those that do not exist are passed over.
	Remove []string
	// Replace starts from an empty tree instead of the first parent's.
	Replace bool
	// Name and Email are author and committer; empty are Name and Email above.
	Name, Email string
	// Time is author's and committer's; zero is the fixture's next minute.
	Time time.Time
	// Message is the commit message.
	Message string
}

// Notes describes one notes commit.
type Notes struct {
	// Ref is moved to the commit; empty is refs/notes/blameprompt.
	Ref string
	// Parents, Root, Replace, Name, Email, Time: as in Commit.
	Parents     []gitcmd.OID
	Root        bool
	Replace     bool
	Name, Email string
	Time        time.Time
	// Bodies are the notes by annotated commit, which need not exist.
	Bodies map[gitcmd.OID]string
	// Remove lists annotated commits whose notes are deleted, at any fan-out.
	Remove []gitcmd.OID
	// Fanout is the number of directory levels: 0 is "<oid>", 1 "ab/cdef...".
	Fanout int
	// Files are further paths of the tree that are no notes.
	Files map[string]string
}

// maxFanout is the deepest fan-out that Remove looks for.
const maxFanout = 3

// Nth stands for the i-th commit, from 0, of the same Import among Parents.
func Nth(i int) gitcmd.OID {
	return gitcmd.OID(":" + strconv.Itoa(i+1))
}

// NotePath returns the path of a note in a notes tree with that many levels of
// directories.
func NotePath(annotated gitcmd.OID, fanout int) string {
	var b strings.Builder
	for range fanout {
		b.WriteString(string(annotated[:2]) + "/")
		annotated = annotated[2:]
	}
	return b.String() + string(annotated)
}

// Commit makes one commit and returns its id.
func (f *Fixture) Commit(c Commit) gitcmd.OID {
	f.t.Helper()
	return f.Import([]Commit{c})[0]
}

// Commits makes n commits on top of the ref, each with a change of one of ten
// files, and returns their ids, the oldest first.
func (f *Fixture) Commits(ref string, n int) []gitcmd.OID {
	f.t.Helper()
	commits := make([]Commit, n)
	for i := range commits {
		commits[i] = Commit{
			Ref:     ref,
			Files:   map[string]string{fmt.Sprintf("file%d.txt", i%10): fmt.Sprintf("change %d\n", i)},
			Message: fmt.Sprintf("change %d", i),
		}
	}
	return f.Import(commits)
}

// Notes makes one notes commit and returns its id.
func (f *Fixture) Notes(n Notes) gitcmd.OID {
	f.t.Helper()
	return f.ImportNotes([]Notes{n})[0]
}

// ImportNotes makes notes commits, as Import does.
func (f *Fixture) ImportNotes(all []Notes) []gitcmd.OID {
	f.t.Helper()
	commits := make([]Commit, len(all))
	for i, n := range all {
		commits[i] = n.commit()
	}
	return f.Import(commits)
}

func (n Notes) commit() Commit {
	c := Commit{
		Ref: n.Ref, Parents: n.Parents, Root: n.Root, Replace: n.Replace,
		Name: n.Name, Email: n.Email, Time: n.Time,
		Files: map[string]string{}, Message: "Notes added by 'git notes add'\n",
	}
	if c.Ref == "" {
		c.Ref = "refs/notes/blameprompt"
	}
	for path, content := range n.Files {
		c.Files[path] = content
	}
	for annotated, body := range n.Bodies {
		c.Files[NotePath(annotated, n.Fanout)] = body
	}
	for _, annotated := range n.Remove {
		for fanout := range maxFanout + 1 {
			c.Remove = append(c.Remove, NotePath(annotated, fanout))
		}
	}
	return c
}

// Import makes all commits by one git fast-import and returns their ids in
// order. Refs are moved to their last commit, also backwards.
func (f *Fixture) Import(commits []Commit) []gitcmd.OID {
	f.t.Helper()
	marks := filepath.Join(f.t.TempDir(), "marks")
	w := &importWriter{f: f, tips: map[string]gitcmd.OID{}}
	for i, c := range commits {
		w.commit(i, c)
	}
	cmd := f.Repo.Command(f.t.Context(), "fast-import", "--quiet", "--force", "--done",
		"--date-format=raw", "--export-marks="+marks)
	// Nothing here has to survive a crash of the machine.
	cmd.Config = []string{"core.fsync=none", "core.compression=1"}
	w.out.WriteString("done\n")
	cmd.Stdin = &w.out
	if err := cmd.Run(); err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	return f.readMarks(marks, len(commits))
}

func (f *Fixture) readMarks(path string, n int) []gitcmd.OID {
	f.t.Helper()
	file, err := os.Open(path)
	if err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	defer file.Close()
	oids := make([]gitcmd.OID, n)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var mark int
		var oid gitcmd.OID
		if _, err := fmt.Sscanf(lines.Text(), ":%d %s", &mark, &oid); err != nil {
			f.t.Fatalf("gittest: reading marks: %v", err)
		}
		oids[mark-1] = oid
	}
	if err := lines.Err(); err != nil {
		f.t.Fatalf("gittest: reading marks: %v", err)
	}
	return oids
}

// importWriter writes the stream described in git-fast-import(1).
type importWriter struct {
	f    *Fixture
	out  bytes.Buffer
	tips map[string]gitcmd.OID
}

func (w *importWriter) commit(i int, c Commit) {
	w.f.commits++
	if c.Ref == "" {
		c.Ref = "refs/heads/main"
	}
	parents := w.parents(c)
	who := identity(c, w.f.nextTime())
	if len(parents) == 0 {
		// Else fast-import would go on from the tip that it knows.
		fmt.Fprintf(&w.out, "reset %s\n\n", c.Ref)
	}
	fmt.Fprintf(&w.out, "commit %s\nmark :%d\nauthor %s\ncommitter %s\n", c.Ref, i+1, who, who)
	w.data(c.Message)
	for k, parent := range parents {
		fmt.Fprintf(&w.out, "%s %s\n", []string{"from", "merge"}[min(k, 1)], parent)
	}
	w.tree(c)
	w.tips[c.Ref] = Nth(i)
}

func (w *importWriter) parents(c Commit) []gitcmd.OID {
	if c.Parents != nil || c.Root {
		return c.Parents
	}
	tip, known := w.tips[c.Ref]
	if !known {
		tip = w.f.Tip(c.Ref)
	}
	if tip == "" {
		return nil
	}
	return []gitcmd.OID{tip}
}

func (w *importWriter) tree(c Commit) {
	if c.Replace {
		w.out.WriteString("deleteall\n")
	}
	for _, path := range c.Remove {
		fmt.Fprintf(&w.out, "D %s\n", quotePath(path))
	}
	for _, path := range sorted(c.Files) {
		switch mode := c.Modes[path]; mode {
		case "":
			fmt.Fprintf(&w.out, "M 100644 inline %s\n", quotePath(path))
			w.data(c.Files[path])
		case "160000":
			fmt.Fprintf(&w.out, "M 160000 %s %s\n", c.Files[path], quotePath(path))
		default:
			fmt.Fprintf(&w.out, "M %s inline %s\n", mode, quotePath(path))
			w.data(c.Files[path])
		}
	}
	w.out.WriteString("\n")
}

func (w *importWriter) data(content string) {
	fmt.Fprintf(&w.out, "data %d\n%s\n", len(content), content)
}

func identity(c Commit, next time.Time) string {
	name, email, at := c.Name, c.Email, c.Time
	if name == "" {
		name = Name
	}
	if email == "" {
		email = Email
	}
	if at.IsZero() {
		at = next
	}
	return fmt.Sprintf("%s <%s> %d +0000", name, email, at.Unix())
}

// quotePath writes a path in C style, as fast-import reads it.
func quotePath(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + `"`
}
