package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// listKey is the name of the tables that hold policies.
const listKey = "policy"

// splitTOML finds the policies of a TOML file.
func splitTOML(text []byte) ([]document, []Mistake) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, []Mistake{{Line: 1, Text: "the file is empty"}}
	}
	var whole map[string]any
	if err := toml.Unmarshal(text, &whole); err != nil {
		return nil, []Mistake{unreadable(err)}
	}
	outline := outlineOf(text)
	list, ok := whole[listKey].([]any)
	if !ok {
		return []document{outline.document(path{}, whole)}, nil
	}
	var mistakes []Mistake
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		if name != listKey {
			mistakes = append(mistakes, Mistake{Line: max(outline.lines[path{}.member(name).text], 1),
				Text: fmt.Sprintf("%.50q stands outside of the [[policy]] tables", name)})
		}
	}
	docs := make([]document, len(list))
	for i, one := range list {
		docs[i] = outline.document(path{}.member(listKey).element(i), one)
	}
	return docs, mistakes
}

func unreadable(err error) Mistake {
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		text := strings.TrimPrefix(decode.Error(), "toml: ")
		return Mistake{Line: max(line, 1), Text: fmt.Sprintf("the file is not readable TOML: column %d: %s", column, text)}
	}
	return Mistake{Line: 1, Text: "the file is not readable TOML: " + err.Error()}
}

// outline knows the lines of the parts of a TOML text.
type outline struct {
	breaks lineBreaks
	lines  lineIndex
	// tables counts the tables of each array of tables.
	tables map[string]int
}

// outlineOf reads where the keys and elements of a valid TOML text stand.
func outlineOf(text []byte) *outline {
	o := &outline{breaks: breaksOf(text), lines: lineIndex{}, tables: map[string]int{}}
	var parser unstable.Parser
	parser.Reset(text)
	table := path{}
	for parser.NextExpression() {
		switch e := parser.Expression(); e.Kind {
		case unstable.Table:
			table = o.last(o.walkKey(path{}, e.Key()))
		case unstable.ArrayTable:
			list := o.walkKey(path{}, e.Key())
			table = list.element(o.tables[list.text])
			o.lines.add(table, o.lines[list.text])
			o.tables[list.text]++
		case unstable.KeyValue:
			o.walkValue(o.walkKey(table, e.Key()), e.Value())
		}
	}
	return o
}

// walkKey goes down a dotted key and notes the line of what it names; of a list
// of tables, the line of the newest.
func (o *outline) walkKey(at path, key unstable.Iterator) path {
	for key.Next() {
		at = o.last(at).member(string(key.Node().Data))
		line := o.breaks.line(int(key.Node().Raw.Offset))
		o.lines.add(at, line)
		if key.IsLast() && !at.strange && o.tables[at.text] > 0 {
			o.lines[at.text] = line
		}
	}
	return at
}

// last is the newest table of a list of tables; other parts stay what they are.
func (o *outline) last(at path) path {
	if n := o.tables[at.text]; n > 0 && !at.strange {
		return at.element(n - 1)
	}
	return at
}

func (o *outline) walkValue(at path, value *unstable.Node) {
	n := 0
	for it := value.Children(); it.Next(); n++ {
		child := it.Node()
		switch value.Kind {
		case unstable.InlineTable:
			o.walkValue(o.walkKey(at, child.Key()), child.Value())
		case unstable.Array:
			if child.Raw.Length > 0 {
				o.lines.add(at.element(n), o.breaks.line(int(child.Raw.Offset)))
			}
			o.walkValue(at.element(n), child)
		}
	}
}

// document makes a policy of a value that stands at a path.
func (o *outline) document(at path, value any) document {
	doc := document{line: max(o.lines[at.text], 1), at: at.text, lines: o.lines}
	var b bytes.Buffer
	writeJSON(&b, value, 0)
	doc.text = b.Bytes()
	return doc
}

// writeJSON writes a value of TOML as package policy reads it: numbers with
// their digits, members by name. What no policy has, it writes as what no policy
// takes: times as texts, and null below the deepest part, so that a dotted key
// of a million parts costs no stack.
func writeJSON(b *bytes.Buffer, value any, depth int) {
	if depth > deepest {
		value = nil
	}
	switch v := value.(type) {
	case map[string]any:
		open := byte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b.WriteByte(open)
			writeJSON(b, name, depth)
			b.WriteByte(':')
			writeJSON(b, v[name], depth+1)
			open = ','
		}
		closeJSON(b, open == '{', "{}")
	case []any:
		open := byte('[')
		for _, element := range v {
			b.WriteByte(open)
			writeJSON(b, element, depth+1)
			open = ','
		}
		closeJSON(b, open == '[', "[]")
	case float64:
		b.WriteString(floatJSON(v))
	default:
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			// No value of TOML does that.
			b.WriteString("null\n")
		}
		b.Truncate(b.Len() - 1)
	}
}

func closeJSON(b *bytes.Buffer, empty bool, brackets string) {
	if empty {
		b.WriteByte(brackets[0])
	}
	b.WriteByte(brackets[1])
}

// floatJSON is a number with the digits that it was written with, as far as
// they count; infinities and NaN are texts.
func floatJSON(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return strconv.Quote(strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
