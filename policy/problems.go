package policy

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a policy document.
type Problem struct {
	// Field is where: "rule.max_cost_per_day", "scope.repos[2]".
	Field string `json:"field"`
	// Problem says what is wrong.
	Problem string `json:"problem"`
	// Allowed are the values that would be right, where they can be listed.
	Allowed []string `json:"allowed,omitempty"`
}

// Invalid is the error of Parse and ParseRule: everything that is wrong with the
// document, in the order of its fields.
type Invalid struct {
	Problems []Problem
}

// Error names every field, what is wrong with it and what is allowed.
func (e *Invalid) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "; ")
}

// String is the problem in one line.
func (p Problem) String() string {
	line := fmt.Sprintf("%s: %s", p.Field, p.Problem)
	if len(p.Allowed) > 0 {
		line += " (allowed: " + strings.Join(p.Allowed, ", ") + ")"
	}
	return line
}
