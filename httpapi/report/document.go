// Package report gives reports their formats.
//
// It owns the Document, which is a report before it has a format, and its
// writers: JSON by a published schema, CSV, Markdown, HTML and PDF. What a report
// says is decided by who makes the Document; every format says the same.
//
// Promises: rows are read as they are written, so that memory does not grow with
// them; a format that cannot hold all rows (PDF, HTML and Markdown are for
// people) says how many it leaves out and which format has them; everything in a
// cell is data, never markup, formula or control character of the format; and
// the same Document gives the same bytes, but for PDF, whose embedded fonts may
// have their characters in another order.
package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"
)

// Format is how a report is written.
type Format string

// The formats.
const (
	JSON     Format = "json"
	CSV      Format = "csv"
	Markdown Format = "md"
	HTML     Format = "html"
	PDF      Format = "pdf"
)

// Formats are all of them.
var Formats = []Format{JSON, CSV, Markdown, HTML, PDF}

// MediaType is what a browser is told.
func (f Format) MediaType() string {
	switch f {
	case JSON:
		return "application/json"
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case Markdown:
		return "text/markdown; charset=utf-8"
	case HTML:
		return "text/html; charset=utf-8"
	case PDF:
		return "application/pdf"
	}
	return "application/octet-stream"
}

// Document is a report before it has a format.
type Document struct {
	// Type is the kind of report, as in the API: soc2, gdpr or audit.
	Type         string
	Title        string
	Organisation string
	// Made is when its data was read.
	Made time.Time
	// Parameters are what it was asked for, so that it can be asked for again.
	Parameters []Fact
	Sections   []*Section
	// Main, unless nil, is the table that CSV has; else CSV has every table, fact
	// and chart, one cell to a line.
	Main *Table
}

// Section is a part of a report with a heading.
type Section struct {
	// ID names it for links and programs: lower case, digits and hyphens.
	ID, Title  string
	Paragraphs []string
	Facts      []Fact
	Chart      *Chart
	Table      *Table
	Sections   []*Section
}

// Fact is a figure or a word with its name.
type Fact struct {
	Name, Value string
	// Note says where it comes from, or what it means; may be empty.
	Note string
}

// Kind says what a column holds.
type Kind string

// The kinds, and what the cells of each may be beside nil.
const (
	Text   Kind = "text"   // string
	OID    Kind = "oid"    // string: the id of a git object
	Number Kind = "number" // int64
	Money  Kind = "money"  // Decimal, in dollars
	Share  Kind = "share"  // Decimal, in percent
	Time   Kind = "time"   // time.Time
	Truth  Kind = "bool"   // bool
)

// Decimal is an exact number as text, "12.5".
type Decimal string

// Column is a column of a table.
type Column struct {
	Key, Title string
	Kind       Kind
}

// Row has a cell for each column.
type Row []any

// Table is rows under columns.
type Table struct {
	// Name names it for programs, like a Section's ID.
	Name    string
	Caption string
	Columns []Column
	// People are the keys of the columns that PDF, HTML and Markdown have; none is
	// all. CSV and JSON have all of them.
	People []string
	// Rows reads the rows anew each time; nil has none. The first error ends them.
	Rows func(context.Context) iter.Seq2[Row, error]
	// Empty is what stands where there are no rows.
	Empty string
}

// Chart is bars, one for each value. The same figures stand beside it.
type Chart struct {
	Title string
	// Unit is what the values are counted in: "receipts", "USD".
	Unit   string
	Labels []string
	Values []float64
}

// Fixed are rows that are there already.
func Fixed(rows ...Row) func(context.Context) iter.Seq2[Row, error] {
	return func(context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// Options say how people's formats are laid out.
type Options struct {
	// Paper is A4 or Letter; empty is A4.
	Paper string
	// MaxRows bounds each table of PDF, HTML and Markdown; 0 is DefaultMaxRows.
	MaxRows int
}

// DefaultMaxRows keeps a PDF below a hundred pages for each table.
const DefaultMaxRows = 2000

// Write writes the report. Errors are those of rows and of w.
func Write(ctx context.Context, w io.Writer, doc *Document, format Format, o Options) error {
	if o.MaxRows == 0 {
		o.MaxRows = DefaultMaxRows
	}
	writers := map[Format]func(context.Context, io.Writer, *Document, Options) error{
		JSON: writeJSON, CSV: writeCSV, Markdown: writeMarkdown, HTML: writeHTML, PDF: writePDF,
	}
	write := writers[format]
	if write == nil {
		return fmt.Errorf("writing a report: there is no format %q; there are %v", format, Formats)
	}
	if err := write(ctx, w, doc, o); err != nil {
		return fmt.Errorf("writing the %s report as %s: %w", doc.Type, format, err)
	}
	return nil
}

// all are the sections in the order of reading, each with its depth from 0.
func (d *Document) all() iter.Seq2[int, *Section] {
	return func(yield func(int, *Section) bool) { walk(d.Sections, 0, yield) }
}

func walk(sections []*Section, depth int, yield func(int, *Section) bool) bool {
	for _, s := range sections {
		if !yield(depth, s) || !walk(s.Sections, depth+1, yield) {
			return false
		}
	}
	return true
}

// each hands the rows to fn.
func (t *Table) each(ctx context.Context, fn func(Row) error) error {
	if t.Rows == nil {
		return nil
	}
	for row, err := range t.Rows(ctx) {
		if err != nil {
			return err
		}
		if len(row) != len(t.Columns) {
			return fmt.Errorf("table %s: a row of %d cells under %d columns", t.Name, len(row), len(t.Columns))
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

// bounded hands at most limit rows to fn and returns how many more there are.
func (t *Table) bounded(ctx context.Context, limit int, fn func(Row) error) (more int, err error) {
	n := 0
	err = t.each(ctx, func(row Row) error {
		if n++; n > limit {
			return nil
		}
		return fn(row)
	})
	return max(0, n-limit), err
}

// leftOut is said under a table that is not whole.
func leftOut(more int) string {
	return fmt.Sprintf("%s more rows are not shown here; the same report as CSV or JSON has all of them.", grouped(int64(more)))
}

// forPeople is the table with the columns that people's formats have.
func (t *Table) forPeople() *Table {
	if len(t.People) == 0 {
		return t
	}
	out := *t
	out.Columns = nil
	var kept []int
	for i, c := range t.Columns {
		if slices.Contains(t.People, c.Key) {
			out.Columns, kept = append(out.Columns, c), append(kept, i)
		}
	}
	out.Rows = func(ctx context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			err := t.each(ctx, func(row Row) error {
				part := make(Row, len(kept))
				for i, from := range kept {
					part[i] = row[from]
				}
				if !yield(part, nil) {
					return errEnough
				}
				return nil
			})
			if err != nil && !errors.Is(err, errEnough) {
				yield(nil, err)
			}
		}
	}
	return &out
}

// errEnough ends rows that nobody wants any more.
var errEnough = errors.New("no more rows are wanted")

func (t *Table) keys() []string {
	keys := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		keys[i] = c.Key
	}
	return keys
}

func rightAligned(k Kind) bool { return slices.Contains([]Kind{Number, Money, Share}, k) }
