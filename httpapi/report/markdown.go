package report

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// facts are what stands at the head of every report.
func (d *Document) facts() []Fact {
	head := []Fact{{Name: "Organisation", Value: d.Organisation}, {Name: "Made", Value: d.Made.UTC().Format(time.RFC3339)}}
	return append(head, d.Parameters...)
}

// writeMarkdown writes GitHub's Markdown (github.github.com/gfm).
func writeMarkdown(ctx context.Context, w io.Writer, doc *Document, o Options) error {
	m := &markdown{w: bufio.NewWriter(w), ctx: ctx, maxRows: o.MaxRows}
	m.line("# %s", escapeMarkdown(doc.Title))
	m.facts(doc.facts())
	for depth, s := range doc.all() {
		m.line("\n%s %s", strings.Repeat("#", min(depth+2, 6)), escapeMarkdown(s.Title))
		for _, p := range s.Paragraphs {
			m.line("\n%s", escapeMarkdown(p))
		}
		m.facts(s.Facts)
		m.chart(s.Chart)
		if s.Table != nil {
			if err := m.table(s.Table); err != nil {
				return err
			}
		}
	}
	return m.w.Flush()
}

// markdown leaves errors to the last Flush, which repeats the first.
type markdown struct {
	w       *bufio.Writer
	ctx     context.Context
	maxRows int
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m.w, format+"\n", args...) }

func (m *markdown) facts(list []Fact) {
	if len(list) == 0 {
		return
	}
	m.line("")
	for _, f := range list {
		note := ""
		if f.Note != "" {
			note = " (" + escapeMarkdown(f.Note) + ")"
		}
		m.line("- **%s:** %s%s", escapeMarkdown(f.Name), escapeMarkdown(f.Value), note)
	}
}

func (m *markdown) chart(c *Chart) {
	if c == nil {
		return
	}
	m.line("\n| %s | %s |\n|---|--:|", escapeMarkdown(c.Title), escapeMarkdown(c.Unit))
	for i, label := range c.Labels {
		m.line("| %s | %s |", escapeMarkdown(label), shownValue(c.Values[i]))
	}
}

func (m *markdown) table(t *Table) error {
	t = t.forPeople()
	if t.Caption != "" {
		m.line("\n%s", escapeMarkdown(t.Caption))
	}
	n := 0
	more, err := t.bounded(m.ctx, m.maxRows, func(row Row) error {
		if n++; n == 1 {
			m.head(t)
		}
		for i, cell := range row {
			fmt.Fprintf(m.w, "| %s ", escapeMarkdown(shown(t.Columns[i].Kind, cell)))
		}
		_, err := m.w.WriteString("|\n")
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		m.line("\n%s", escapeMarkdown(t.empty()))
	}
	if more > 0 {
		m.line("\n%s", leftOut(more))
	}
	return nil
}

func (m *markdown) head(t *Table) {
	m.line("")
	for _, c := range t.Columns {
		fmt.Fprintf(m.w, "| %s ", escapeMarkdown(c.Title))
	}
	m.line("|")
	for _, c := range t.Columns {
		if rightAligned(c.Kind) {
			_, _ = m.w.WriteString("|--:")
		} else {
			_, _ = m.w.WriteString("|---")
		}
	}
	m.line("|")
}

func (t *Table) empty() string {
	if t.Empty != "" {
		return t.Empty
	}
	return "None."
}

// escapeMarkdown keeps text what it is: a backslash before all ASCII punctuation
// that can mean something within a line or at its beginning.
func escapeMarkdown(text string) string {
	var out strings.Builder
	for i, r := range visible(text) {
		if strings.ContainsRune("\\`*_{}[]<>|~#!&$@", r) || i == 0 && strings.ContainsRune("-+=>:", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
