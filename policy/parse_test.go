package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// parseCase is a policy document with what is wrong with it. The number of
// problems is written by hand; -update writes their texts.
type parseCase struct {
	Name     string          `json:"name"`
	Document json.RawMessage `json:"document"`
	Problems []string        `json:"problems"`
	// BeyondSchema marks documents that only the parser can tell to be wrong.
	BeyondSchema bool `json:"beyond_schema,omitempty"`
}

const parseFile = "testdata/parse.json"

func readParseCases(t testing.TB) []parseCase {
	t.Helper()
	text, err := os.ReadFile(parseFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases []parseCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestParse(t *testing.T) {
	t.Parallel()
	cases := readParseCases(t)
	for i, c := range cases {
		_, err := Parse(c.Document)
		texts := problemTexts(t, err)
		if len(texts) != len(c.Problems) {
			t.Errorf("%s: %d problems, want %d:\n%s", c.Name, len(texts), len(c.Problems),
				strings.Join(texts, "\n"))
			continue
		}
		if *update {
			cases[i].Problems = texts
			continue
		}
		if diff := cmp.Diff(c.Problems, texts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Name, diff)
		}
	}
	if *update {
		writeParseCases(t, cases)
	}
}

func problemTexts(t *testing.T, err error) []string {
	t.Helper()
	texts := []string{}
	if err == nil {
		return texts
	}
	var invalid *Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v is no *Invalid", err)
	}
	for _, p := range invalid.Problems {
		texts = append(texts, p.String())
	}
	return texts
}

func writeParseCases(t *testing.T, cases []parseCase) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(cases); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(parseFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSchemasAgree holds the schemas equal to the parser: what one takes the
// other takes, except for what is marked as beyond a schema.
func TestSchemasAgree(t *testing.T) {
	t.Parallel()
	documents, rules := compileSchemas(t)
	check := func(name string, document json.RawMessage, beyond bool) {
		_, err := Parse(document)
		valid := documents.Validate(instance(t, document)) == nil
		if want := err == nil || beyond; valid != want {
			t.Errorf("%s: schema says %v, want %v (parser: %v)", name, valid, want, err)
		}
		checkRuleSchema(t, name, document, rules, beyond)
	}
	for _, c := range readParseCases(t) {
		check(c.Name, c.Document, c.BeyondSchema)
	}
	for _, file := range caseFiles(t) {
		for _, c := range readCases(t, file) {
			for _, document := range c.Policies {
				check(file+" "+c.Name, document, false)
			}
		}
	}
}

// checkRuleSchema compares a rule's own schema with ParseRule.
func checkRuleSchema(
	t *testing.T, name string, document json.RawMessage, rules map[Kind]*jsonschema.Schema, beyond bool,
) {
	t.Helper()
	var outer struct{ Rule json.RawMessage }
	if json.Unmarshal(document, &outer) != nil || len(outer.Rule) == 0 {
		return
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(outer.Rule, &members)
	for kind, schema := range rules {
		if _, given := members[string(kind)]; !given {
			continue
		}
		_, err := ParseRule(outer.Rule)
		if valid := schema.Validate(instance(t, outer.Rule)) == nil; valid != (err == nil || beyond) {
			t.Errorf("%s: schema of %s says %v, parser %v", name, kind, valid, err)
		}
	}
}

func instance(t *testing.T, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func compileSchemas(t *testing.T) (*jsonschema.Schema, map[Kind]*jsonschema.Schema) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	add := func(id string, text json.RawMessage, err error) {
		if err == nil {
			err = compiler.AddResource(id, instance(t, text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := DocumentSchema()
	add("urn:blameprompt:policy", text, err)
	for _, kind := range Kinds() {
		text, err := Schema(kind)
		add("urn:blameprompt:policy:"+string(kind), text, err)
	}
	rules := map[Kind]*jsonschema.Schema{}
	for _, kind := range Kinds() {
		rules[kind] = compiler.MustCompile("urn:blameprompt:policy:" + string(kind))
	}
	return compiler.MustCompile("urn:blameprompt:policy"), rules
}

func TestSchemaOfUnknownRule(t *testing.T) {
	t.Parallel()
	if text, err := Schema("no_such_rule"); err == nil {
		t.Errorf("got %s, want an error", text)
	}
}

// TestParseTwice holds that what Parse reads is written so that it reads the
// same again.
func TestParseTwice(t *testing.T) {
	t.Parallel()
	for _, c := range readParseCases(t) {
		p, err := Parse(c.Document)
		if err != nil {
			continue
		}
		first, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("%s: %s: %v", c.Name, first, err)
		}
		second, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			t.Errorf("%s: %s", c.Name, diff)
		}
	}
}

func TestParseDefaults(t *testing.T) {
	t.Parallel()
	p, err := Parse([]byte(`{"name":"p","rule":{"max_cost_per_day":50.0}}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Action != Advise || !p.Enabled || p.Rule.Kind() != MaxCostPerDay {
		t.Errorf("got %+v", p)
	}
	if got, want := string(p.Rule.JSON()), `{"max_cost_per_day":50.0}`; got != want {
		t.Errorf("rule %s, want %s", got, want)
	}
}

// TestParseHostile: texts that are no documents of the schema at all.
func TestParseHostile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":        ``,
		"half":           `{"name":"p","rule":{"max_cost_per_day":`,
		"two documents":  `{"name":"p","rule":{"require_receipts":true}} {}`,
		"member twice":   `{"name":"p","rule":{"require_receipts":true},"name":"q"}`,
		"rule twice":     `{"name":"p","rule":{"max_cost_per_day":5,"max_cost_per_day":500}}`,
		"alias twice":    `{"name":"p","rule":{"blocked_models":["x"],"aliases":{"a":"b","a":"c"}}}`,
		"huge exponent":  `{"name":"p","rule":{"max_cost_per_day":1e999999999}}`,
		"tiny exponent":  `{"name":"p","rule":{"max_cost_per_day":1e-999999999}}`,
		"long number":    `{"name":"p","rule":{"max_cost_per_day":1` + strings.Repeat("0", 100) + `}}`,
		"long document":  `{"name":"` + strings.Repeat("x", maxDocument) + `"}`,
		"deep":           strings.Repeat(`{"rule":`, 20000),
		"hostile member": `{"name":"p","rule":{"require_receipts":true},"\u001b[2J\n":1}`,
	} {
		_, err := Parse([]byte(text))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: control characters in %q", name, err)
		}
	}
	if _, err := ParseRule(make([]byte, maxDocument+1)); err == nil {
		t.Error("ParseRule took a document that is too long")
	}
	if _, err := ParseScope([]byte(`{"repos":[]}`)); err == nil {
		t.Error("ParseScope took an empty list")
	}
}
