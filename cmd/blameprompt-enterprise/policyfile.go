package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// policyDocument is one policy of a file. What it says is the server's to judge.
type policyDocument struct {
	Name string
	JSON json.RawMessage
}

// readPolicies reads a file of policies: one, or a list under "policy" (TOML:
// [[policy]]; JSON also as an array), as blamepromptd reads it.
func readPolicies(path string) ([]policyDocument, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading policies: %w", err)
	}
	var content any
	if trimmed := bytes.TrimSpace(text); strings.HasSuffix(path, ".json") || bytes.HasPrefix(trimmed, []byte("{")) {
		err = describeJSON(path, text, json.Unmarshal(text, &content))
	} else if err = describeTOML(path, toml.Unmarshal(text, &content)); err != nil && bytes.HasPrefix(trimmed, []byte("[")) {
		// An array of JSON begins as a table of TOML does.
		if json.Unmarshal(text, &content) == nil {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading policies: %w", err)
	}
	documents, err := splitPolicies(content)
	if err != nil {
		return nil, fmt.Errorf("reading policies: %s: %w", path, err)
	}
	return documents, nil
}

func splitPolicies(content any) ([]policyDocument, error) {
	list, ok := content.([]any)
	if object, is := content.(map[string]any); is {
		switch inner := object["policy"].(type) {
		case []any:
			list, ok = inner, true
		case nil:
			list, ok = []any{object}, true
		}
	}
	if !ok || len(list) == 0 {
		return nil, errors.New("it holds no policy and no list of them under \"policy\"")
	}
	documents := make([]policyDocument, len(list))
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("policy %d is no table", i+1)
		}
		name, _ := object["name"].(string)
		text, err := json.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("policy %d: %w", i+1, err)
		}
		documents[i] = policyDocument{Name: name, JSON: text}
	}
	return documents, nil
}

// describeJSON names file and line of what is wrong.
func describeJSON(path string, text []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		return fmt.Errorf("%s:%d: %w", path, line, syntax)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
