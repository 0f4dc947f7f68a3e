package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/policy"
)

// A form of a rule is made from the rule's JSON Schema, and what it is filled in
// with becomes the JSON that the API takes: both ways of editing meet in the one
// reader that policy.Parse is.

// Widget is how a member of a rule is asked for.
type Widget string

// The widgets.
const (
	NumberWidget Widget = "number"
	ChoiceWidget Widget = "choice"
	BoxesWidget  Widget = "boxes"
	LinesWidget  Widget = "lines"
	PairsWidget  Widget = "pairs"
	BoolWidget   Widget = "bool"
	TextWidget   Widget = "text"
	ConstWidget  Widget = "const"
)

// RuleField is a member of a rule in a form.
type RuleField struct {
	Name, Label, Hint, Value, Default, Problem string
	Widget                                     Widget
	Options                                    []string
	Required, Long                             bool
	// chosen are the boxes that are ticked.
	chosen []string
}

// ID is the field's place in the page, Ticked whether one of its boxes is.
func (f RuleField) ID() string                { return "rule-" + f.Name }
func (f RuleField) Ticked(option string) bool { return slices.Contains(f.chosen, option) }

// ruleSchema is as much of a rule's schema as a form needs.
type ruleSchema struct {
	Description string              `json:"description"`
	Required    []string            `json:"required"`
	Properties  map[string]property `json:"properties"`
}

type property struct {
	Description string          `json:"description"`
	Type        string          `json:"type"`
	Enum        []string        `json:"enum"`
	Const       json.RawMessage `json:"const"`
	Default     json.RawMessage `json:"default"`
	MaxLength   int             `json:"maxLength"`
	Items       struct {
		Enum []string `json:"enum"`
	} `json:"items"`
}

// longText is from which length on text is asked for in several lines.
const longText = 1000

func (p property) widget() Widget {
	switch {
	case p.Const != nil:
		return ConstWidget
	case len(p.Enum) > 0:
		return ChoiceWidget
	case p.Type == "array" && len(p.Items.Enum) > 0:
		return BoxesWidget
	case p.Type == "array":
		return LinesWidget
	case p.Type == "object":
		return PairsWidget
	case p.Type == "boolean":
		return BoolWidget
	case p.Type == "number" || p.Type == "integer":
		return NumberWidget
	}
	return TextWidget
}

func readRuleSchema(kind policy.Kind) (ruleSchema, error) {
	var out ruleSchema
	text, err := policy.Schema(kind)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("reading the schema of %s: %w", kind, err)
	}
	return out, nil
}

// names are the members in the order of the form: the rule's own first.
func (s ruleSchema) names(kind policy.Kind) []string {
	names := slices.Sorted(maps.Keys(s.Properties))
	names = slices.DeleteFunc(names, func(name string) bool { return name == string(kind) })
	return append([]string{string(kind)}, names...)
}

// ruleFields are the fields of a rule's form, filled in with a rule.
func ruleFields(kind policy.Kind, rule json.RawMessage) ([]RuleField, string, error) {
	schema, err := readRuleSchema(kind)
	if err != nil {
		return nil, "", err
	}
	var have map[string]json.RawMessage
	if len(rule) > 0 {
		_ = json.Unmarshal(rule, &have)
	}
	var fields []RuleField
	for _, name := range schema.names(kind) {
		p := schema.Properties[name]
		f := RuleField{Name: "rule." + name, Label: words(name), Hint: p.Description, Widget: p.widget(), Options: p.Enum,
			Required: slices.Contains(schema.Required, name), Long: p.MaxLength >= longText, Default: strings.Trim(string(p.Default), `"`)}
		if f.Widget == BoxesWidget {
			f.Options = p.Items.Enum
		}
		f.fill(have[name])
		fields = append(fields, f)
	}
	return fields, schema.Description, nil
}

// fill shows the value of a member.
func (f *RuleField) fill(raw json.RawMessage) {
	if raw == nil {
		if f.Widget == ChoiceWidget || f.Widget == NumberWidget || f.Widget == TextWidget {
			f.Value = f.Default
		}
		return
	}
	switch f.Widget {
	case LinesWidget, BoxesWidget:
		_ = json.Unmarshal(raw, &f.chosen)
		f.Value = strings.Join(f.chosen, "\n")
	case PairsWidget:
		var pairs map[string]string
		_ = json.Unmarshal(raw, &pairs)
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(pairs)) {
			lines = append(lines, key+" = "+pairs[key])
		}
		f.Value = strings.Join(lines, "\n")
	case NumberWidget, BoolWidget, ConstWidget:
		f.Value = string(raw)
	default:
		_ = json.Unmarshal(raw, &f.Value)
	}
}

// maxRule bounds the text of a field of a rule.
const maxRule = 128 << 10

// ruleFrom is the rule that a form says, as JSON, the rule's own member first.
func ruleFrom(kind policy.Kind, f *form) (json.RawMessage, error) {
	schema, err := readRuleSchema(kind)
	if err != nil {
		return nil, err
	}
	var members []member
	for _, name := range schema.names(kind) {
		p := schema.Properties[name]
		if value, ok := p.value(f, "rule."+name); ok {
			members = append(members, member{name, value})
		}
	}
	return object(members)
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// value is what a form says of a member; ok is false where it says nothing.
func (p property) value(f *form, name string) (value any, ok bool) {
	text := f.text(name, maxRule)
	switch p.widget() {
	case ConstWidget:
		return p.Const, true
	case BoxesWidget:
		chosen := f.values[name]
		return chosen, len(chosen) > 0
	case LinesWidget:
		lines := f.lines(name, maxRule)
		return lines, len(lines) > 0
	case PairsWidget:
		pairs := pairsOf(f.lines(name, maxRule))
		return pairs, len(pairs) > 0
	case BoolWidget:
		return text == "true", text != ""
	case NumberWidget:
		if jsonNumber.MatchString(text) {
			return json.RawMessage(text), true
		}
	}
	// What is no number goes on as text, so that the rule's own reader refuses it.
	return text, text != ""
}

// pairsOf reads lines of "name = meaning".
func pairsOf(lines []string) map[string]string {
	out := map[string]string{}
	for _, line := range lines {
		name, meaning, _ := strings.Cut(line, "=")
		out[strings.TrimSpace(name)] = strings.TrimSpace(meaning)
	}
	return out
}

// member is a member of a JSON object whose order matters.
type member struct {
	name  string
	value any
}

func object(members []member) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	var compact bytes.Buffer
	err := json.Compact(&compact, b.Bytes())
	return compact.Bytes(), err
}

// ruleOrder are the names of a rule's members, that of its kind first.
func ruleOrder(members map[string]json.RawMessage) []string {
	names := slices.Sorted(maps.Keys(members))
	for _, kind := range policy.Kinds() {
		if _, ok := members[string(kind)]; ok {
			names = slices.DeleteFunc(names, func(name string) bool { return name == string(kind) })
			return append([]string{string(kind)}, names...)
		}
	}
	return names
}

// kindOf is the kind of a rule, empty if it has none that is known.
func kindOf(rule json.RawMessage) policy.Kind {
	var members map[string]json.RawMessage
	if json.Unmarshal(rule, &members) != nil {
		return ""
	}
	for _, kind := range policy.Kinds() {
		if _, ok := members[string(kind)]; ok {
			return kind
		}
	}
	return ""
}
