// Package file reads files of policies.
//
// It owns the two formats of such files, TOML and JSON, and where in a file a
// mistake is. What a policy may say is package policy's.
//
// Promises: a file is read whole or not at all, with all mistakes of all
// policies at once, each with its line; a member that is unknown or given twice
// is a mistake; reading never panics, and takes time and memory linear in the
// file.
package file

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/policy"
)

// Max is the size in bytes of the largest file that is read.
const Max = 4 << 20

// Entry is a policy and the line on which it begins.
type Entry struct {
	policy.Policy
	Line int
}

// Mistake is one thing that is wrong with a file.
type Mistake struct {
	Line int
	// Policy is the name of the policy that it is in, where there is one.
	Policy string
	Text   string
}

// Error is everything that is wrong with a file, by line.
type Error struct {
	File     string
	Mistakes []Mistake
}

// Error has a line for each mistake: "policies.toml:12: policy "Budget":
// rule.per: has a value that is not known (allowed: org, team)".
func (e *Error) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = fmt.Sprintf("%s:%d: ", e.File, m.Line)
		if m.Policy != "" {
			lines[i] += fmt.Sprintf("policy %q: ", m.Policy)
		}
		lines[i] += m.Text
	}
	return strings.Join(lines, "\n")
}

// Read reads the policies in a file: one policy, or a list of them under
// "policy" (TOML: [[policy]]; JSON also as an array). The name's ending says
// which format it is; under another name, JSON begins with "{" or is an array.
// The error is an *Error.
func Read(name string, text []byte) ([]Entry, error) {
	var docs []document
	var mistakes []Mistake
	switch {
	case len(text) > Max:
		mistakes = []Mistake{{Line: 1, Text: fmt.Sprintf("the file has %d bytes: at most %d are read", len(text), Max)}}
	case isJSON(name, text):
		docs, mistakes = splitJSON(text)
	default:
		docs, mistakes = splitTOML(text)
	}
	entries, more := parse(docs)
	if mistakes = append(mistakes, more...); len(mistakes) > 0 {
		slices.SortStableFunc(mistakes, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &Error{File: name, Mistakes: mistakes}
	}
	return entries, nil
}

func isJSON(name string, text []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return true
	case ".toml":
		return false
	}
	text = bytes.TrimSpace(text)
	return bytes.HasPrefix(text, []byte("{")) || json.Valid(text)
}

// document is one policy of a file as JSON.
type document struct {
	line int
	text []byte
	// at is the path of the policy within lines, empty if they are of it alone.
	at    string
	lines lineIndex
}

func parse(docs []document) (entries []Entry, mistakes []Mistake) {
	names := map[string]int{}
	for _, doc := range docs {
		p, err := policy.Parse(doc.text)
		var invalid *policy.Invalid
		switch first := names[p.Name]; {
		case errors.As(err, &invalid):
			mistakes = append(mistakes, doc.mistakes(invalid)...)
		case err != nil:
			mistakes = append(mistakes, Mistake{Line: doc.line, Text: err.Error()})
		case first > 0:
			text := fmt.Sprintf("name: is that of the policy on line %d, too", first)
			mistakes = append(mistakes, Mistake{Line: doc.lineOf("name"), Policy: p.Name, Text: text})
		default:
			names[p.Name] = doc.line
			entries = append(entries, Entry{Policy: p, Line: doc.line})
		}
	}
	return entries, mistakes
}

func (d *document) mistakes(invalid *policy.Invalid) []Mistake {
	var named struct {
		Name string `json:"name"`
	}
	// The name may be what is wrong; without it the line says enough.
	_ = json.Unmarshal(d.text, &named)
	mistakes := make([]Mistake, len(invalid.Problems))
	for i, problem := range invalid.Problems {
		mistakes[i] = Mistake{Line: d.lineOf(problem.Field), Policy: named.Name, Text: problem.String()}
	}
	return mistakes
}

// lineOf is the line of a field, or of what it would be in.
func (d *document) lineOf(field string) int {
	for field != "" {
		whole := field
		if d.at != "" {
			whole = d.at + "." + field
		}
		if line, ok := d.lines[whole]; ok {
			return line
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return d.line
}
