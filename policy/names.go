package policy

import "fmt"

// Names is a compiled list of patterns over whole names, such as a scope holds:
// the last that matches decides, "!" in front takes back, "*" and "?" stop at
// slashes, "**" does not.
type Names struct{ globs globs }

// CompileNames compiles patterns; the error names the first that is none.
func CompileNames(patterns []string) (Names, error) {
	list, errs := nameGlobs(patterns)
	for i, err := range errs {
		if err != nil {
			return Names{}, fmt.Errorf("pattern %q %w", patterns[i], err)
		}
	}
	return Names{list}, nil
}

// Match reports whether the name is matched; an empty list matches nothing.
func (n Names) Match(name string) bool { return n.globs.match(name) }
