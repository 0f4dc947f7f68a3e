package policy

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/policy/push"
)

func readDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocsExamples reads every JSON example of the documentation and wants one
// of each rule.
func TestDocsExamples(t *testing.T) {
	t.Parallel()
	seen := map[Kind]bool{}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(readDocs(t), -1) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(block[1]), &members); err != nil {
			t.Fatalf("%s: %v", block[1], err)
		}
		if _, document := members["rule"]; document {
			if _, err := Parse([]byte(block[1])); err != nil {
				t.Errorf("%s: %v", block[1], err)
			}
			continue
		}
		rule, err := ParseRule([]byte(block[1]))
		if err != nil {
			t.Errorf("%s: %v", block[1], err)
			continue
		}
		seen[rule.Kind()] = true
	}
	for _, kind := range Kinds() {
		if !seen[kind] {
			t.Errorf("no example of %s", kind)
		}
	}
}

// TestDocsNames: every option, kind of secret, variable and field is named.
func TestDocsNames(t *testing.T) {
	t.Parallel()
	docs := readDocs(t)
	names := []string{}
	for _, kind := range Kinds() {
		names = append(names, optionNames(t, kind)...)
	}
	for _, kind := range push.SecretKinds() {
		names = append(names, string(kind))
	}
	for _, v := range variables {
		names = append(names, v.name)
	}
	for _, name := range names {
		if !strings.Contains(docs, "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, typ := range recordTypes {
		row := regexp.MustCompile(`(?m)^\| ` + typ.name + ` \|.*$`).FindString(docs)
		if got, want := len(typ.fields), typ.documented(row); got != want {
			t.Errorf("%s: %d of %d fields are documented", typ.name, want, got)
		}
	}
}

// documented counts the fields that a row of the documentation names.
func (t *recordType) documented(row string) int {
	count := 0
	for _, f := range t.fields {
		if strings.Contains(row, fmt.Sprintf("`%s`", f.name)) {
			count++
		}
	}
	return count
}

// optionNames are the members of a rule's schema but the rule itself.
func optionNames(t *testing.T, kind Kind) []string {
	t.Helper()
	text, err := Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]json.RawMessage }
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range schema.Properties {
		if name != string(kind) {
			names = append(names, name)
		}
	}
	return names
}
