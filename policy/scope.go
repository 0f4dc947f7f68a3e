package policy

import (
	"fmt"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// Scope says which pushes a policy is for. An empty list means all; a push has
// to be in every list that is given. Names match as a whole: "*" and "?" stop
// at slashes, "**" does not, "!" in front takes back.
type Scope struct {
	// Repos match names of repositories.
	Repos []string `json:"repos,omitempty"`
	// Branches match names of branches without refs/heads/, or full ref names
	// where a pattern begins with refs/.
	Branches []string `json:"branches,omitempty"`
	// Teams match the teams of the pusher, one of which is enough.
	Teams []string `json:"teams,omitempty"`

	repos, branches, teams globs
}

func readScope(raw []byte, problems *[]Problem) Scope {
	o := readObject("scope", raw, problems)
	var s Scope
	s.Repos, s.repos = o.nameList("repos", nil)
	s.Branches, s.branches = o.nameList("branches", fullRefName)
	s.Teams, s.teams = o.nameList("teams", nil)
	o.finish()
	return s
}

// nameList reads a list of patterns and compiles them, each through change.
func (o *object) nameList(name string, change func(string) string) ([]string, globs) {
	texts := o.list(name)
	patterns := make([]string, 0, len(texts))
	for _, text := range texts {
		if change != nil {
			text = change(text)
		}
		patterns = append(patterns, text)
	}
	list, errs := nameGlobs(patterns)
	o.patternProblems(name, errs)
	return texts, list
}

func (o *object) patternProblems(name string, errs []error) {
	for i, err := range errs {
		if err != nil {
			o.once(fmt.Sprintf("%s[%d]", o.at(name), i), err.Error())
		}
	}
}

// fullRefName turns a pattern of branches into one of ref names.
func fullRefName(pattern string) string {
	rest, negated := strings.CutPrefix(pattern, "!")
	if !strings.HasPrefix(rest, "refs/") && rest != "" {
		rest = "refs/heads/" + rest
	}
	if negated {
		return "!" + rest
	}
	return rest
}

// refs returns the updates of the push that the scope holds, none when the
// repository or the pusher is outside.
func (s *Scope) refs(in *push.Input) []int {
	if !s.repo(in.Repo.Name) || !s.anyTeam(in.Pusher.Teams) {
		return nil
	}
	var held []int
	for i, ref := range in.Refs {
		if ref.Judged() && (len(s.Branches) == 0 || s.branches.match(ref.Name)) {
			held = append(held, i)
		}
	}
	return held
}

func (s *Scope) repo(name string) bool { return len(s.Repos) == 0 || s.repos.match(name) }

// HoldsTeam reports whether the scope can hold pushes of a team.
func (s *Scope) HoldsTeam(name string) bool { return len(s.Teams) == 0 || s.teams.match(name) }

func (s *Scope) anyTeam(names []string) bool {
	if len(s.Teams) == 0 {
		return true
	}
	for _, name := range names {
		if s.teams.match(name) {
			return true
		}
	}
	return false
}

// orNil is nil for a scope without limits.
func (s *Scope) orNil() *Scope {
	if len(s.Repos)+len(s.Branches)+len(s.Teams) == 0 {
		return nil
	}
	return s
}

// UnmarshalJSON reads what ParseScope reads.
func (s *Scope) UnmarshalJSON(raw []byte) error {
	scope, err := ParseScope(raw)
	if err != nil {
		return fmt.Errorf("reading a scope: %w", err)
	}
	*s = scope
	return nil
}
