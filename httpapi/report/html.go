package report

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
)

//go:embed style.css
var style string

// writeHTML writes one page that needs no other file, no script and no network.
func writeHTML(ctx context.Context, w io.Writer, doc *Document, o Options) error {
	h := &page{w: bufio.NewWriter(w), ctx: ctx, maxRows: o.MaxRows}
	h.put(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`)
	h.put("<title>%s</title><style>%s</style></head><body><main><h1>%s</h1>", esc(doc.Title), style, esc(doc.Title))
	h.facts(doc.facts())
	h.contents(doc)
	for depth, s := range doc.all() {
		if err := h.section(depth, s); err != nil {
			return err
		}
	}
	h.put("</main></body></html>\n")
	return h.w.Flush()
}

// page leaves errors to the last Flush, which repeats the first.
type page struct {
	w       *bufio.Writer
	ctx     context.Context
	maxRows int
}

func (h *page) put(format string, args ...any) { fmt.Fprintf(h.w, format, args...) }

func esc(text string) string { return template.HTMLEscapeString(visible(text)) }

func (h *page) facts(list []Fact) {
	if len(list) == 0 {
		return
	}
	h.put("<dl>")
	for _, f := range list {
		h.put("<div><dt>%s</dt><dd>%s", esc(f.Name), esc(f.Value))
		if f.Note != "" {
			h.put(" <small>%s</small>", esc(f.Note))
		}
		h.put("</dd></div>")
	}
	h.put("</dl>")
}

func (h *page) contents(doc *Document) {
	h.put(`<nav aria-label="Contents"><ol>`)
	for _, s := range doc.Sections {
		h.put(`<li><a href="#%s">%s</a></li>`, esc(s.ID), esc(s.Title))
	}
	h.put("</ol></nav>")
}

func (h *page) section(depth int, s *Section) error {
	level := min(depth+2, 6)
	h.put(`<h%d id="%s">%s</h%d>`, level, esc(s.ID), esc(s.Title), level)
	for _, p := range s.Paragraphs {
		h.put("<p>%s</p>", template.HTMLEscapeString(visible(p)))
	}
	h.facts(s.Facts)
	h.chart(s.Chart)
	if s.Table == nil {
		return nil
	}
	return h.table(s.Table)
}

// chart draws bars; the figures are in it as text.
func (h *page) chart(c *Chart) {
	if c == nil || len(c.Labels) == 0 {
		return
	}
	most := c.most()
	h.put(`<table class="bars"><caption>%s (%s)</caption><tbody>`, esc(c.Title), esc(c.Unit))
	for i, label := range c.Labels {
		h.put(`<tr><th scope="row">%s</th><td><svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">`+
			`<rect width="%.2f" height="1"/></svg></td><td>%s</td></tr>`, esc(label), 100*c.Values[i]/most, shownValue(c.Values[i]))
	}
	h.put("</tbody></table>")
}

func (h *page) table(t *Table) error {
	t = t.forPeople()
	n := 0
	more, err := t.bounded(h.ctx, h.maxRows, func(row Row) error {
		if n++; n == 1 {
			h.head(t)
		}
		h.put("<tr>")
		for i, cell := range row {
			h.cell(t.Columns[i].Kind, cell)
		}
		_, err := h.w.WriteString("</tr>")
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		h.put("<p><em>%s</em></p>", esc(t.empty()))
		return nil
	}
	h.put("</tbody></table></div>")
	if more > 0 {
		h.put("<p><em>%s</em></p>", leftOut(more))
	}
	return nil
}

func (h *page) head(t *Table) {
	h.put(`<div class="wide" tabindex="0" role="region" aria-label="%s"><table>`, esc(t.Caption))
	if t.Caption != "" {
		h.put("<caption>%s</caption>", esc(t.Caption))
	}
	h.put("<thead><tr>")
	for _, c := range t.Columns {
		h.put(`<th scope="col"%s>%s</th>`, class(c.Kind), esc(c.Title))
	}
	h.put("</tr></thead><tbody>")
}

func (h *page) cell(kind Kind, cell any) {
	text := esc(shown(kind, cell))
	if whole, ok := cell.(string); ok && kind == OID && whole != text {
		h.put(`<td%s title="%s">%s</td>`, class(kind), esc(whole), text)
		return
	}
	h.put("<td%s>%s</td>", class(kind), text)
}

func class(kind Kind) string {
	switch {
	case rightAligned(kind):
		return ` class="n"`
	case kind == OID:
		return ` class="id"`
	}
	return ""
}

// most is the largest value, and 1 where none is larger than 0.
func (c *Chart) most() float64 {
	most := 0.0
	for _, v := range c.Values {
		most = max(most, v)
	}
	if most == 0 {
		return 1
	}
	return most
}

func shownValue(v float64) string {
	whole, rest, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	if rest == "" {
		return grouped(n)
	}
	return grouped(n) + "." + rest
}
