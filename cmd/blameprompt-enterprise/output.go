package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printJSON prints v for programs.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// printAnswer prints an answer of the server as it came, indented.
func (a *app) printAnswer(raw json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	out.WriteByte('\n')
	if _, err := out.WriteTo(a.stdout); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// table prints rows below a header, or nothing when there are none.
func (a *app) table(header []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if header != nil {
		fmt.Fprintln(w, strings.Join(header, "\t"))
	}
	for _, row := range rows {
		for i := range row {
			row[i] = plain(row[i])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// plain takes out of foreign text what a terminal would act upon, and puts a
// dash where there is none.
func plain(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '?'
	}, text)
}

// shorten cuts text to a number of characters for a column.
func shorten(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-3]) + "..."
}

// count says how many there are of something.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "sh"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// when shows a moment in a table.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// colour is a terminal's.
type colour string

// The colours, by what they mean (ECMA-48, select graphic rendition).
const (
	green  colour = "32"
	yellow colour = "33"
	red    colour = "31"
)

// paint colours text for a person who sees it and did not forbid it
// (no-color.org).
func (a *app) paint(text string, c colour, seen bool) string {
	if forbidden, _ := a.lookup("NO_COLOR"); !seen || forbidden != "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
