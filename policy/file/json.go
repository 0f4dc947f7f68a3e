package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// splitJSON finds the policies of a JSON file.
func splitJSON(text []byte) ([]document, []Mistake) {
	at := &places{text: text, breaks: breaksOf(text)}
	values, err := at.policies()
	if err != nil {
		return nil, []Mistake{{Line: at.failedOn(err), Text: err.Error()}}
	}
	docs := make([]document, len(values))
	for i, value := range values {
		docs[i] = document{line: at.line(value.start), text: text[value.start:value.end]}
		docs[i].lines = at.linesOf(value)
	}
	return docs, nil
}

// places knows where in a JSON text something is.
type places struct {
	text   []byte
	breaks lineBreaks
}

// span is a value's place in the text.
type span struct{ start, end int64 }

func (p *places) line(offset int64) int { return p.breaks.line(int(offset)) }

func (p *places) failedOn(err error) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return p.line(max(syntax.Offset-1, 0))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return p.line(int64(len(p.text)))
	}
	return 1
}

// policies are the places of the policies in the text.
func (p *places) policies() ([]span, error) {
	whole, err := p.value()
	if err != nil {
		return nil, err
	}
	switch p.text[whole.start] {
	case '[':
		return p.elements(whole)
	case '{':
		list, err := p.list(whole)
		if err != nil || list == nil {
			return []span{whole}, err
		}
		return p.elements(*list)
	}
	return nil, errors.New("the file holds neither a policy nor a list of policies")
}

// value is the place of the one value that the text holds.
func (p *places) value() (span, error) {
	dec := json.NewDecoder(bytes.NewReader(p.text))
	var whole json.RawMessage
	err := dec.Decode(&whole)
	if errors.Is(err, io.EOF) {
		return span{}, errors.New("the file is empty")
	}
	if err != nil {
		return span{}, fmt.Errorf("the file is not readable JSON: %w", err)
	}
	end := dec.InputOffset()
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return span{}, errors.New("the file has text behind the JSON value")
	}
	return span{end - int64(len(whole)), end}, nil
}

// list is the place of the array under "policy", the only member of an object
// that is no policy itself; nil if the object is a policy.
func (p *places) list(whole span) (*span, error) {
	dec := json.NewDecoder(bytes.NewReader(p.text[whole.start:whole.end]))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var found *span
	others := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		end := whole.start + dec.InputOffset()
		if name == "policy" && value[0] == '[' && found == nil {
			found = &span{end - int64(len(value)), end}
			continue
		}
		others = true
	}
	if found != nil && others {
		return nil, errors.New("the file has other members beside the list \"policy\"")
	}
	return found, nil
}

func (p *places) elements(list span) ([]span, error) {
	dec := json.NewDecoder(bytes.NewReader(p.text[list.start:list.end]))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var out []span
	for dec.More() {
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		end := list.start + dec.InputOffset()
		out = append(out, span{end - int64(len(value)), end})
	}
	return out, nil
}

// linesOf are the lines of the members and elements of a policy by their path;
// of members given twice the first.
func (p *places) linesOf(value span) map[string]int {
	lines := lineIndex{}
	dec := json.NewDecoder(bytes.NewReader(p.text[value.start:value.end]))
	var stack []frame
	for {
		token, err := dec.Token()
		if err != nil {
			return lines
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		at, isName := path{}, false
		if len(stack) > 0 {
			if at, isName = stack[len(stack)-1].step(token); isName || stack[len(stack)-1].array {
				lines.add(at, p.line(value.start+dec.InputOffset()))
			}
		}
		if open, ok := token.(json.Delim); ok && !isName {
			stack = append(stack, frame{base: at, array: open == '['})
		}
	}
}

// frame is an object or array that a walk is in.
type frame struct {
	base  path
	array bool
	// member is the path of the member whose value comes next, if named.
	member path
	named  bool
	// n counts elements.
	n int
}

// step moves on by a token. It returns the path of what the token begins, and
// whether the token is a member's name.
func (f *frame) step(token json.Token) (at path, isName bool) {
	if f.array {
		f.n++
		return f.base.element(f.n - 1), false
	}
	if f.named = !f.named; !f.named {
		return f.member, false
	}
	name, _ := token.(string)
	f.member = f.base.member(name)
	return f.member, true
}
