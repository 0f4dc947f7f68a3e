package report

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// writeCSV writes the main table by RFC 4180; a report without one as lines of
// section, table, row, column and value.
func writeCSV(ctx context.Context, w io.Writer, doc *Document, _ Options) error {
	out := csv.NewWriter(w)
	write := writeCells
	if doc.Main != nil {
		write = writeMain
	}
	if err := write(ctx, out, doc); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func writeMain(ctx context.Context, out *csv.Writer, doc *Document) error {
	if err := out.Write(doc.Main.keys()); err != nil {
		return err
	}
	record := make([]string, len(doc.Main.Columns))
	return doc.Main.each(ctx, func(row Row) error {
		for i, cell := range row {
			record[i] = SafeCell(plain(cell))
		}
		return out.Write(record)
	})
}

func writeCells(ctx context.Context, out *csv.Writer, doc *Document) error {
	if err := out.Write([]string{"section", "table", "row", "column", "value"}); err != nil {
		return err
	}
	line := func(section, table string, row int, column, value string) error {
		return out.Write([]string{section, table, strconv.Itoa(row), column, SafeCell(value)})
	}
	for i, fact := range doc.facts() {
		if err := line("report", "parameters", i+1, fact.Name, fact.Value); err != nil {
			return err
		}
	}
	for _, s := range doc.all() {
		if err := writeSectionCells(ctx, s, line); err != nil {
			return err
		}
	}
	return nil
}

func writeSectionCells(ctx context.Context, s *Section, line func(section, table string, row int, column, value string) error) error {
	for i, fact := range s.Facts {
		if err := line(s.ID, "facts", i+1, fact.Name, fact.Value); err != nil {
			return err
		}
	}
	if s.Chart != nil {
		for i, label := range s.Chart.Labels {
			if err := line(s.ID, "chart", i+1, label, strconv.FormatFloat(s.Chart.Values[i], 'f', -1, 64)); err != nil {
				return err
			}
		}
	}
	if s.Table == nil {
		return nil
	}
	n := 0
	return s.Table.each(ctx, func(row Row) error {
		n++
		for i, cell := range row {
			if err := line(s.ID, s.Table.Name, n, s.Table.Columns[i].Key, plain(cell)); err != nil {
				return err
			}
		}
		return nil
	})
}

// SafeCell keeps a spreadsheet from running text as a formula (OWASP, "CSV
// Injection"): an apostrophe in front makes it text. Numbers stay numbers.
func SafeCell(text string) string {
	if text == "" {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil && text[0] == '-' {
		return text
	}
	if strings.ContainsAny(text[:1], "=+-@\t\r\n") || strings.HasPrefix(text, "＝") || strings.HasPrefix(text, "＋") ||
		strings.HasPrefix(text, "－") || strings.HasPrefix(text, "＠") {
		return "'" + text
	}
	return text
}
