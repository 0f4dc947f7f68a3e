package demo

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// importAll writes the commits and notes of all projects into repositories that
// people push from.
func (w *world) importAll() error {
	for i, p := range w.story.projects {
		repo, err := gitcmd.Init(w.ctx, filepath.Join(w.cfg.WorkDir, "work", strconv.Itoa(i)+".git"), "sha1")
		if err != nil {
			return err
		}
		p.work = repo
		if err := w.importCommits(p); err != nil {
			return fmt.Errorf("writing the commits of %s: %w", p.name, err)
		}
		if err := w.importNotes(p); err != nil {
			return fmt.Errorf("writing the notes of %s: %w", p.name, err)
		}
	}
	return nil
}

func (w *world) importCommits(p *project) error {
	var in bytes.Buffer
	for _, c := range p.commits {
		parent := 0
		if c.parent != nil {
			parent = c.parent.mark
		}
		begin(&in, "refs/import/commits", c.mark, c.author, c.at.Unix(), c.message, parent)
		for _, path := range slices.Sorted(maps.Keys(c.files)) {
			fmt.Fprintf(&in, "M 100644 inline %s\n", quoted(path))
			data(&in, c.files[path])
		}
	}
	oids, err := w.fastImport(p, &in)
	for _, c := range p.commits {
		c.oid = oids[c.mark]
	}
	return err
}

// importNotes makes the commits of the notes refs, now that it is known what
// they annotate.
func (w *world) importNotes(p *project) error {
	var in bytes.Buffer
	for _, n := range p.noted {
		parent := 0
		if n.parent != nil {
			parent = n.parent.mark
		}
		begin(&in, "refs/import/"+strings.ReplaceAll(n.ref, "/", "-")+strconv.Itoa(n.mark), n.mark, n.by, n.at.Unix(), "Notes added by 'git notes add'\n", parent)
		bodies := map[string]string{}
		for c, body := range n.bodies {
			bodies[c.oid] = body()
		}
		for _, oid := range slices.Sorted(maps.Keys(bodies)) {
			fmt.Fprintf(&in, "M 100644 inline %s\n", oid)
			data(&in, bodies[oid])
		}
	}
	oids, err := w.fastImport(p, &in)
	for _, n := range p.noted {
		n.oid = oids[n.mark]
	}
	return err
}

// begin writes the head of a commit; parent 0 is none.
func begin(in *bytes.Buffer, ref string, mark int, who *person, at int64, message string, parent int) {
	ident := fmt.Sprintf("%s <%s> %d +0000", who.gitName, who.gitEmail, at)
	fmt.Fprintf(in, "commit %s\nmark :%d\nauthor %s\ncommitter %s\n", ref, mark, ident, ident)
	data(in, message)
	if parent > 0 {
		fmt.Fprintf(in, "from :%d\n", parent)
	}
}

func data(in *bytes.Buffer, text string) { fmt.Fprintf(in, "data %d\n%s\n", len(text), text) }

// quoted is a path as fast-import reads it.
func quoted(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// fastImport runs git fast-import and returns the ids by mark.
func (w *world) fastImport(p *project, in io.Reader) (map[int]string, error) {
	marks := filepath.Join(w.cfg.WorkDir, "marks")
	command := p.work.Command(w.ctx, "fast-import", "--quiet", "--force", "--date-format=raw", "--export-marks="+marks)
	command.Stdin = in
	if err := command.Run(); err != nil {
		return nil, err
	}
	file, err := os.Open(marks)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	oids := map[int]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		mark, oid, _ := strings.Cut(strings.TrimPrefix(lines.Text(), ":"), " ")
		n, err := strconv.Atoi(mark)
		if err != nil {
			return nil, fmt.Errorf("reading marks: %w", err)
		}
		oids[n] = oid
	}
	return oids, lines.Err()
}
