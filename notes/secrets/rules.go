package secrets

import (
	_ "embed"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// rulesFile is config/gitleaks.toml of gitleaks v8.30.1 as it is (MIT licence,
// see LICENSE-gitleaks). A newer one may be put in its place.
//
//go:embed gitleaks.toml
var rulesFile string

// fileRules is what is read of the file.
type fileRules struct {
	Allowlist allowlist
	Rules     []struct {
		ID          string
		Description string
		Regex       string
		SecretGroup int `toml:"secretGroup"`
		Entropy     float64
		Keywords    []string
		Path        string
		Allowlists  []allowlist
	}
}

// allowlist says what is no secret though a rule matches.
type allowlist struct {
	Condition   string
	RegexTarget string `toml:"regexTarget"`
	Regexes     []string
	Stopwords   []string
	Paths       []string

	compiled []*regexp.Regexp
}

// rule is a rule of the file, ready to be used.
type rule struct {
	id, description string
	// expr is compiled when it is used first: few of them ever are.
	expr    func() *regexp.Regexp
	group   int
	entropy float64
	allowed []allowlist
	// before and behind a keyword a match may reach so far.
	reach int
	// assigns says that a match is a name with a keyword in it, a sign as in an
	// assignment, and a value.
	assigns bool
}

// Scanner finds secrets. It is safe for concurrent use.
type Scanner struct {
	rules   []rule
	allowed allowlist
	words   *automaton
	// byWord are the rules that a keyword calls for, by the keyword's number.
	byWord [][]int
}

// keywords replaces those of the file where they are so short that every
// English sentence has them. A JSON Web Token begins with the base64 of {".
var keywords = map[string][]string{"jwt": {"eyj"}}

// assignment is how the expressions of rules that look for assignments begin.
const assignment = `(?i)[\w.-]{0,50}?(?:`

// Default is the scanner with the rules of the program.
var Default = sync.OnceValue(func() *Scanner {
	s, err := newScanner(rulesFile)
	if err != nil {
		// A test reads the same file.
		panic(err)
	}
	return s
})

func newScanner(text string) (*Scanner, error) {
	var file fileRules
	if err := toml.Unmarshal([]byte(text), &file); err != nil {
		return nil, fmt.Errorf("reading the rules for secrets: %w", err)
	}
	s := &Scanner{allowed: file.Allowlist}
	if err := s.allowed.compile(); err != nil {
		return nil, err
	}
	numbers := map[string]int{}
	var words []string
	for _, r := range file.Rules {
		// What a rule says of files has no meaning for texts.
		if r.Regex == "" || r.Path != "" {
			continue
		}
		made := rule{id: r.ID, description: r.Description, expr: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(r.Regex) }), group: r.SecretGroup,
			entropy: r.Entropy, reach: reachOf(r.Regex), assigns: strings.HasPrefix(r.Regex, assignment)}
		for _, a := range r.Allowlists {
			// What must be true of a path as well is true of no text.
			if a.Condition == "AND" && len(a.Paths) > 0 {
				continue
			}
			if err := a.compile(); err != nil {
				return nil, err
			}
			made.allowed = append(made.allowed, a)
		}
		if own := keywords[r.ID]; own != nil {
			r.Keywords = own
		}
		for _, word := range r.Keywords {
			n, ok := numbers[word]
			if !ok {
				n = len(words)
				numbers[word] = n
				words, s.byWord = append(words, word), append(s.byWord, nil)
			}
			s.byWord[n] = append(s.byWord[n], len(s.rules))
		}
		s.rules = append(s.rules, made)
	}
	s.words = newAutomaton(words)
	return s, nil
}

func (a *allowlist) compile() error {
	for _, text := range a.Regexes {
		expr, err := regexp.Compile(text)
		if err != nil {
			return fmt.Errorf("reading an allowlist for secrets: %w", err)
		}
		a.compiled = append(a.compiled, expr)
	}
	return nil
}

// Bounds of what a repetition without an end may take: of characters of a word,
// and of any characters at all.
const (
	longWord = 1 << 10
	longText = 16 << 10
)

// reachOf is how long a match of the expression is at most.
func reachOf(expr string) int {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return longText
	}
	return min(longest(parsed), longText)
}

func longest(re *syntax.Regexp) int {
	n := 0
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return widest(re)
	case syntax.OpStar, syntax.OpPlus:
		return endless(re)
	case syntax.OpRepeat:
		if re.Max < 0 {
			return re.Min*longest(re.Sub[0]) + endless(re)
		}
		return re.Max * longest(re.Sub[0])
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			n = max(n, longest(sub))
		}
	default:
		for _, sub := range re.Sub {
			n += longest(sub)
		}
	}
	return n
}

// widest is the number of bytes of a character that the expression takes.
func widest(re *syntax.Regexp) int {
	if len(re.Rune) > 0 && re.Rune[len(re.Rune)-1] < 0x80 {
		return 1
	}
	return 4
}

func endless(re *syntax.Regexp) int {
	if sub := re.Sub[0]; sub.Op == syntax.OpCharClass && widest(sub) == 1 {
		return longWord
	}
	return longText
}
