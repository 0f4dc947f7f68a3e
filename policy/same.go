package policy

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/blameprompt/enterprise/policy/push"
)

// Same reports whether both policies say the same, whatever their ids and
// versions and however their rules are written: 50 and 50.0 are one limit, and
// the order of members does not matter.
func (p Policy) Same(q Policy) bool {
	return p.Name == q.Name && p.Action == q.Action && p.Enabled == q.Enabled &&
		slices.Equal(p.Scope.Repos, q.Scope.Repos) && slices.Equal(p.Scope.Branches, q.Scope.Branches) &&
		slices.Equal(p.Scope.Teams, q.Scope.Teams) && sameValue(readValue(p.Rule.text), readValue(q.Rule.text))
}

// readValue reads the JSON of a rule, which was read before, with numbers as
// they are written.
func readValue(text []byte) any {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if dec.Decode(&value) != nil {
		return nil
	}
	return value
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValue)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(a, b)
	}
	return a == b
}

func sameNumber(a, b json.Number) bool {
	x, errX := push.ParseDecimal(a.String())
	y, errY := push.ParseDecimal(b.String())
	return errX == nil && errY == nil && x.Cmp(y) == 0
}
