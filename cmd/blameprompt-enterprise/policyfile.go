package main

import (
	"encoding/json"
	"fmt"

	"github.com/blameprompt/enterprise/policy/file"
)

// policyDocument is one policy of a file.
type policyDocument struct {
	Name string
	JSON json.RawMessage
}

// readPolicies reads a file of policies. Every mistake is named by its line.
func readPolicies(path string) ([]policyDocument, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading policies: %w", err)
	}
	entries, err := file.Read(path, text)
	if err != nil {
		return nil, err
	}
	documents := make([]policyDocument, len(entries))
	for i, entry := range entries {
		document, err := entry.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("reading policies: %w", err)
		}
		documents[i] = policyDocument{Name: entry.Name, JSON: document}
	}
	return documents, nil
}
