package file

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/pelletier/go-toml/v2"

	"github.com/blameprompt/enterprise/policy"
)

// written is a policy as Write lays it out.
type written struct {
	Name    string         `toml:"name"`
	Action  policy.Action  `toml:"action"`
	Enabled bool           `toml:"enabled"`
	Rule    map[string]any `toml:"rule"`
	Scope   *writtenScope  `toml:"scope,omitempty"`
}

type writtenScope struct {
	Repos    []string `toml:"repos,omitempty"`
	Branches []string `toml:"branches,omitempty"`
	Teams    []string `toml:"teams,omitempty"`
}

// Write writes policies as a TOML file that Read reads as the same, without ids
// and versions: they are of one daemon.
func Write(policies ...policy.Policy) ([]byte, error) {
	var out struct {
		Policy []written `toml:"policy"`
	}
	for _, p := range policies {
		rule, err := readRule(p.Rule.JSON())
		if err != nil {
			return nil, fmt.Errorf("writing policy %q: %w", p.Name, err)
		}
		one := written{Name: p.Name, Action: p.Action, Enabled: p.Enabled, Rule: rule}
		if len(p.Scope.Repos)+len(p.Scope.Branches)+len(p.Scope.Teams) > 0 {
			one.Scope = &writtenScope{p.Scope.Repos, p.Scope.Branches, p.Scope.Teams}
		}
		out.Policy = append(out.Policy, one)
	}
	text, err := toml.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing policies: %w", err)
	}
	return text, nil
}

// readRule reads a rule for TOML, which tells whole numbers from others.
func readRule(text []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var rule map[string]any
	if err := dec.Decode(&rule); err != nil {
		return nil, err
	}
	for name, value := range rule {
		number, ok := value.(json.Number)
		if !ok {
			continue
		}
		if whole, err := number.Int64(); err == nil {
			rule[name] = whole
		} else if rule[name], err = number.Float64(); err != nil {
			return nil, err
		}
	}
	return rule, nil
}
