// Package policy judges pushes by an organisation's rules.
//
// It owns the policies (Policy, Rule, Scope), their JSON form with a JSON
// Schema per rule, and their evaluation. It does no I/O, reads no clock and
// knows no store: what a verdict depends on comes in as a push.Input.
//
// Promises: equal inputs give equal verdicts, whatever the order of policies
// and receipts; more receipts never make a cost rule milder; a narrower scope
// never finds more; evaluation never panics, and what goes wrong inside one
// policy becomes a finding of that policy alone.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/blameprompt/enterprise/policy/push"
)

// Action says what a violation leads to.
type Action string

// The actions. Advise is written "warn".
const (
	Advise Action = "warn"
	Block  Action = "block"
)

// Policy is one rule with the pushes that it is for. Policies come from Parse
// and are immutable; copies share what was compiled and may be used from
// several goroutines.
type Policy struct {
	ID      string
	Name    string
	Version int
	Rule    Rule
	Scope   Scope
	Action  Action
	Enabled bool
}

// Rule is a compiled rule with its options. The zero Rule judges nothing and is
// refused by Compile.
type Rule struct {
	kind Kind
	text json.RawMessage
	judge
}

// Kind is the rule's name, the first member of its JSON object.
func (r Rule) Kind() Kind { return r.kind }

// JSON is the rule as it was given, without blanks.
func (r Rule) JSON() json.RawMessage { return bytes.Clone(r.text) }

// Parse reads a policy document:
//
//	{"id": "…", "name": "…", "version": 1, "rule": {…}, "scope": {…}, "action": "warn", "enabled": true}
//
// Name and rule are required; action is "warn" and enabled true where they are
// left out. The error is an *Invalid that holds everything that is wrong.
func Parse(document []byte) (Policy, error) {
	var problems []Problem
	if len(document) > maxDocument {
		return Policy{}, tooLong("policy", len(document))
	}
	o := readObject("", document, &problems)
	if o.broken {
		return Policy{}, &Invalid{Problems: problems}
	}
	p := Policy{
		ID:      o.text("id", maxText),
		Name:    o.required("name"),
		Version: int(whole(o.decimal("version", 1_000_000_000, 0))),
		Action:  Action(o.choice("action", string(Advise), string(Block))),
		Enabled: o.truth("enabled", true),
	}
	if raw, ok := o.take("rule"); ok {
		p.Rule = readRule(raw, &problems)
	} else {
		o.problem("rule", "is missing", kindNames()...)
	}
	if raw, ok := o.take("scope"); ok {
		p.Scope = readScope(raw, &problems)
	}
	o.finish()
	if len(problems) > 0 {
		return Policy{}, &Invalid{Problems: problems}
	}
	return p, nil
}

// ParseRule reads a rule alone: {"max_cost_per_day": 50.0, "per": "repo"}. The
// error is an *Invalid.
func ParseRule(raw []byte) (Rule, error) {
	if len(raw) > maxDocument {
		return Rule{}, tooLong("rule", len(raw))
	}
	var problems []Problem
	rule := readRule(raw, &problems)
	if len(problems) > 0 {
		return Rule{}, &Invalid{Problems: problems}
	}
	return rule, nil
}

// ParseScope reads a scope alone: {"repos": ["web-*"]}. The error is an *Invalid.
func ParseScope(raw []byte) (Scope, error) {
	if len(raw) > maxDocument {
		return Scope{}, tooLong("scope", len(raw))
	}
	var problems []Problem
	scope := readScope(raw, &problems)
	if len(problems) > 0 {
		return Scope{}, &Invalid{Problems: problems}
	}
	return scope, nil
}

func tooLong(field string, size int) error {
	text := fmt.Sprintf("has %d bytes: at most %d are read", size, maxDocument)
	return &Invalid{Problems: []Problem{{Field: field, Problem: text}}}
}

func (o *object) required(name string) string {
	if _, ok := o.members[name]; !ok {
		o.problem(o.at(name), "is missing")
	}
	return o.text(name, maxText)
}

// whole is the value of a decimal that was read without places.
func whole(d push.Decimal) int64 {
	n, _ := d.Int64()
	return n
}

// MarshalJSON writes the document that Parse reads.
func (p Policy) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	// It is no page, and people read it: "<" in an expression stays what it is.
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		ID      string          `json:"id,omitempty"`
		Name    string          `json:"name"`
		Version int             `json:"version,omitempty"`
		Rule    json.RawMessage `json:"rule"`
		Scope   *Scope          `json:"scope,omitempty"`
		Action  Action          `json:"action"`
		Enabled bool            `json:"enabled"`
	}{p.ID, p.Name, p.Version, p.Rule.text, p.Scope.orNil(), p.Action, p.Enabled})
	if err != nil {
		return nil, fmt.Errorf("writing policy %s: %w", quote(p.Name), err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
