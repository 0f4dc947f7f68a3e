// Package compliance makes the documents of compliance reports: soc2, gdpr and
// audit.
//
// It owns what each report says: which control is asserted, over which
// population, how it was tested and what did not hold. API, pages and command
// line get the same document; how it looks is package report's.
//
// Promises: tests are made on all rows of the period, never on a sample; a
// sample is there for people to follow with git, and chosen by a hash, so that
// nobody can choose it; what the data cannot say is a gap that the report names;
// totals are those that the API answers for the same question, of the same moment
// as everything else in the report.
package compliance

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// Type is a kind of report.
type Type string

// The types.
const (
	SOC2  Type = "soc2"
	GDPR  Type = "gdpr"
	Audit Type = "audit"
)

// Types are all of them.
var Types = []Type{SOC2, GDPR, Audit}

// ClientJSON is the form in which the client's own audit writes JSON; of audit
// alone.
const ClientJSON report.Format = "client-json"

// Formats are those of package report, and ClientJSON.
var Formats = append(slices.Clone(report.Formats), ClientJSON)

// Extension is how files of a format end.
func Extension(f report.Format) string {
	if f == ClientJSON {
		return string(report.JSON)
	}
	return string(f)
}

// MediaType is what a browser is told of a format.
func MediaType(f report.Format) string {
	if f == ClientJSON {
		return report.JSON.MediaType()
	}
	return f.MediaType()
}

// Request is what somebody asked for, as the report repeats it.
type Request struct {
	Type         Type
	Repos, Teams []string
	By           string
	Made         time.Time
}

// Write writes the report of a request. Wrote, if set, is told after each row.
func Write(ctx context.Context, w io.Writer, data *store.ReportData, r Request, format report.Format, o report.Options, wrote func()) error {
	if format == ClientJSON {
		return writeClientJSON(ctx, w, data, wrote)
	}
	doc, err := Document(ctx, data, r, wrote)
	if err != nil {
		return err
	}
	return report.Write(ctx, w, doc, format, o)
}

// Document makes the document of a request out of data that is open for as long
// as the document is written. Wrote, if set, is told after each row.
func Document(ctx context.Context, data *store.ReportData, r Request, wrote func()) (*report.Document, error) {
	b := &builder{data: data, request: r, wrote: wrote}
	if wrote == nil {
		b.wrote = func() {}
	}
	makers := map[Type]func(context.Context) (*report.Document, error){SOC2: b.soc2, GDPR: b.gdpr, Audit: b.audit}
	build := makers[r.Type]
	if build == nil {
		return nil, fmt.Errorf("making a report: there is no type %q; there are %v", r.Type, Types)
	}
	return build(ctx)
}

type builder struct {
	data    *store.ReportData
	request Request
	wrote   func()
}

func (b *builder) document(title string, sections ...*report.Section) *report.Document {
	scope := b.data.Scope()
	return &report.Document{
		Type: string(b.request.Type), Title: title, Organisation: scope.Org.Name, Made: b.request.Made,
		Parameters: []report.Fact{
			{Name: "Period", Value: period(scope), Note: "days in " + scope.Org.TimeZone + ", both inclusive"},
			{Name: "Repositories", Value: listed(b.request.Repos)},
			{Name: "Teams", Value: listed(b.request.Teams)},
			{Name: "Asked for by", Value: b.request.By},
			{Name: "The same again", Value: b.again()},
		},
		Sections: sections,
	}
}

func period(scope store.ReportScope) string {
	return scope.FirstDay.Format(time.DateOnly) + " to " + scope.LastDay.Format(time.DateOnly)
}

func listed(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ", ")
}

// again is the command that asks for the same report.
func (b *builder) again() string {
	scope := b.data.Scope()
	args := []string{"blameprompt-enterprise report --type", string(b.request.Type),
		"--from", scope.FirstDay.Format(time.DateOnly), "--to", scope.LastDay.Format(time.DateOnly)}
	for _, repo := range b.request.Repos {
		args = append(args, "--repo", repo)
	}
	for _, team := range b.request.Teams {
		args = append(args, "--team", team)
	}
	return strings.Join(args, " ")
}

// table is the rows of a query under columns, which are as many.
func (b *builder) table(query store.ReportQuery, caption, empty string, columns ...report.Column) *report.Table {
	return &report.Table{
		Name: strings.ReplaceAll(string(query), "_", "-"), Caption: caption, Empty: empty, Columns: columns,
		Rows: func(ctx context.Context) iter.Seq2[report.Row, error] {
			return func(yield func(report.Row, error) bool) {
				for cells, err := range b.data.Rows(ctx, query) {
					if err != nil {
						yield(nil, err)
						return
					}
					b.wrote()
					if !yield(row(columns, cells), nil) {
						return
					}
				}
			}
		},
	}
}

// row gives cells the types of their columns.
func row(columns []report.Column, cells []any) report.Row {
	for i, cell := range cells {
		text, ok := cell.(string)
		if ok && i < len(columns) && (columns[i].Kind == report.Money || columns[i].Kind == report.Share) {
			cells[i] = report.Decimal(text)
		}
	}
	return cells
}

// read gathers the rows of a query that has few.
func (b *builder) read(ctx context.Context, query store.ReportQuery) ([][]any, error) {
	var rows [][]any
	for cells, err := range b.data.Rows(ctx, query) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, cells)
	}
	return rows, nil
}

// sum adds up a column of whole numbers of rows for which where holds.
func sum(rows [][]any, column int, where func([]any) bool) int64 {
	var total int64
	for _, cells := range rows {
		if n, ok := cells[column].(int64); ok && (where == nil || where(cells)) {
			total += n
		}
	}
	return total
}

// share is part of whole in percent, to a tenth; "none" of nothing.
func share(part, whole int64) string {
	if whole == 0 {
		return "none"
	}
	tenths := (part*1000 + whole/2) / whole
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}

func count(n int64) string { return fmt.Sprint(n) }

func text(key, title string) report.Column {
	return report.Column{Key: key, Title: title, Kind: report.Text}
}
func oid(key, title string) report.Column {
	return report.Column{Key: key, Title: title, Kind: report.OID}
}
func number(key, title string) report.Column {
	return report.Column{Key: key, Title: title, Kind: report.Number}
}
func money(key, title string) report.Column {
	return report.Column{Key: key, Title: title, Kind: report.Money}
}
func at(key, title string) report.Column {
	return report.Column{Key: key, Title: title + " (UTC)", Kind: report.Time}
}
func truth(key, title string) report.Column {
	return report.Column{Key: key, Title: title, Kind: report.Truth}
}
