package policy

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed schemas/*.json
var schemas embed.FS

// Schema returns the JSON Schema (draft 2020-12) of a rule. Parse is stricter
// where a schema cannot be: it also reads patterns, models and expressions, and
// refuses members that are given twice.
func Schema(kind Kind) (json.RawMessage, error) { return readSchema(string(kind)) }

// DocumentSchema returns the JSON Schema of a policy document; it refers to the
// schemas of the rules by their ids, urn:blameprompt:policy:RULE.
func DocumentSchema() (json.RawMessage, error) { return readSchema("policy") }

func readSchema(name string) (json.RawMessage, error) {
	text, err := schemas.ReadFile("schemas/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", quote(name), err)
	}
	return text, nil
}
