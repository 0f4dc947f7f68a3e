package report

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"time"
)

// Schema is the JSON Schema (draft 2020-12) of reports as JSON.
//
//go:embed schema.json
var Schema []byte

// writeJSON writes the report by Schema, row by row.
func writeJSON(ctx context.Context, w io.Writer, doc *Document, _ Options) error {
	j := &jsonWriter{w: bufio.NewWriter(w)}
	j.raw("{")
	j.member("version", 1)
	j.raw(",")
	j.member("type", doc.Type)
	j.raw(",")
	j.member("title", doc.Title)
	j.raw(",")
	j.member("organisation", doc.Organisation)
	j.raw(",")
	j.member("made_at", doc.Made.UTC().Format(time.RFC3339Nano))
	j.raw(",")
	j.member("parameters", facts(doc.Parameters))
	j.raw(`,"sections":`)
	j.sections(ctx, doc.Sections)
	j.raw("}\n")
	if j.err != nil {
		return j.err
	}
	return j.w.Flush()
}

// jsonWriter keeps the first error; after it everything is passed over.
type jsonWriter struct {
	w   *bufio.Writer
	err error
}

func (j *jsonWriter) raw(text string) {
	if j.err == nil {
		_, j.err = j.w.WriteString(text)
	}
}

func (j *jsonWriter) value(v any) {
	if j.err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		j.err = err
		return
	}
	_, j.err = j.w.Write(text)
}

func (j *jsonWriter) member(name string, v any) {
	j.value(name)
	j.raw(":")
	j.value(v)
}

type jsonFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
}

func facts(list []Fact) []jsonFact {
	out := make([]jsonFact, len(list))
	for i, f := range list {
		out[i] = jsonFact(f)
	}
	return out
}

func (j *jsonWriter) sections(ctx context.Context, sections []*Section) {
	j.raw("[")
	for i, s := range sections {
		if i > 0 {
			j.raw(",")
		}
		j.section(ctx, s)
	}
	j.raw("]")
}

func (j *jsonWriter) section(ctx context.Context, s *Section) {
	j.raw("{")
	j.member("id", s.ID)
	j.raw(",")
	j.member("title", s.Title)
	if len(s.Paragraphs) > 0 {
		j.raw(",")
		j.member("text", s.Paragraphs)
	}
	if len(s.Facts) > 0 {
		j.raw(",")
		j.member("facts", facts(s.Facts))
	}
	if s.Chart != nil {
		j.raw(",")
		j.member("chart", chartJSON(s.Chart))
	}
	if s.Table != nil {
		j.raw(`,"table":`)
		j.table(ctx, s.Table)
	}
	if len(s.Sections) > 0 {
		j.raw(`,"sections":`)
		j.sections(ctx, s.Sections)
	}
	j.raw("}")
}

func chartJSON(c *Chart) any {
	type point struct {
		Label string  `json:"label"`
		Value float64 `json:"value"`
	}
	points := make([]point, len(c.Labels))
	for i, label := range c.Labels {
		points[i] = point{label, c.Values[i]}
	}
	return map[string]any{"title": c.Title, "unit": c.Unit, "points": points}
}

func (j *jsonWriter) table(ctx context.Context, t *Table) {
	type column struct {
		Key   string `json:"key"`
		Title string `json:"title"`
		Kind  Kind   `json:"kind"`
	}
	columns := make([]column, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = column(c)
	}
	j.raw("{")
	j.member("name", t.Name)
	j.raw(",")
	j.member("caption", t.Caption)
	j.raw(",")
	j.member("columns", columns)
	j.raw(`,"rows":[`)
	first := true
	err := t.each(ctx, func(row Row) error {
		if !first {
			j.raw(",")
		}
		first = false
		j.row(t, row)
		return j.err
	})
	if j.err == nil {
		j.err = err
	}
	j.raw("]}")
}

func (j *jsonWriter) row(t *Table, row Row) {
	j.raw("{")
	for i, cell := range row {
		if i > 0 {
			j.raw(",")
		}
		j.value(t.Columns[i].Key)
		j.raw(":")
		switch v := cell.(type) {
		// Decimals are text, so that no reader rounds them.
		case Decimal:
			j.value(string(v))
		case time.Time:
			j.value(plain(v))
		default:
			j.value(cell)
		}
	}
	j.raw("}")
}
