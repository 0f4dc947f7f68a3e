package policy_test

import (
	"testing"

	"github.com/blameprompt/enterprise/policy"
)

func TestSame(t *testing.T) {
	t.Parallel()
	const base = `{"name":"a","rule":{"max_cost_per_day":50,"per":"repo"},"scope":{"repos":["x","y"]}}`
	for other, want := range map[string]bool{
		base: true,
		`{"id":"7","version":3,"rule":{"per":"repo","max_cost_per_day":5e1},"scope":{"repos":["x","y"]},"name":"a","action":"warn","enabled":true}`: true,
		`{"name":"b","rule":{"max_cost_per_day":50,"per":"repo"},"scope":{"repos":["x","y"]}}`:                                                      false,
		`{"name":"a","rule":{"max_cost_per_day":50.000001,"per":"repo"},"scope":{"repos":["x","y"]}}`:                                               false,
		`{"name":"a","rule":{"max_cost_per_month":50,"per":"repo"},"scope":{"repos":["x","y"]}}`:                                                    false,
		`{"name":"a","rule":{"max_cost_per_day":50},"scope":{"repos":["x","y"]}}`:                                                                   false,
		`{"name":"a","rule":{"max_cost_per_day":50,"per":"repo"},"scope":{"repos":["y","x"]}}`:                                                      false,
		`{"name":"a","rule":{"max_cost_per_day":50,"per":"repo"}}`:                                                                                  false,
		`{"name":"a","rule":{"max_cost_per_day":50,"per":"repo"},"scope":{"repos":["x","y"]},"action":"block"}`:                                     false,
		`{"name":"a","rule":{"max_cost_per_day":50,"per":"repo"},"scope":{"repos":["x","y"]},"enabled":false}`:                                      false,
		`{"name":"a","rule":{"blocked_models":["gpt-4"]},"scope":{"repos":["x","y"]}}`:                                                              false,
	} {
		if got := parsed(t, base).Same(parsed(t, other)); got != want {
			t.Errorf("Same(%s) = %v, want %v", other, got, want)
		}
	}
}

func parsed(t *testing.T, document string) policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
