package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// globs is a list of patterns of which the last that matches decides; one that
// begins with "!" takes back what those before it matched. They are compiled
// to regular expressions, which take time linear in the name, whatever the
// pattern.
type globs []glob

type glob struct {
	negated bool
	// part is in every name that is matched; most names are told apart by it.
	part string
	expr *regexp.Regexp
}

// match reports whether the name is matched.
func (g globs) match(name string) bool {
	for _, one := range slices.Backward(g) {
		if strings.Contains(name, one.part) && one.expr.MatchString(name) {
			return !one.negated
		}
	}
	return false
}

// errOnlyNegated stands for a list that can match nothing.
var errOnlyNegated = errors.New("takes back with ! what no pattern before it matches")

// nameGlobs compiles patterns for whole names of repositories, branches and
// teams: "*" and "?" stop at slashes, "**" does not.
func nameGlobs(patterns []string) (globs, []error) {
	return compileGlobs(patterns, pathExpr)
}

// pathGlobs compiles patterns as .gitignore reads them: without a slash they
// match at any depth, and what matches a directory matches everything below it.
func pathGlobs(patterns []string) (globs, []error) {
	return compileGlobs(patterns, ignoreExpr)
}

// compileGlobs returns one error per pattern, nil for those that are right.
func compileGlobs(patterns []string, expr func(string) (string, error)) (globs, []error) {
	list, errs, positive := make(globs, 0, len(patterns)), make([]error, len(patterns)), false
	for i, pattern := range patterns {
		rest, negated := strings.CutPrefix(pattern, "!")
		positive = positive || !negated
		text, err := expr(rest)
		if err == nil && !positive {
			err = errOnlyNegated
		}
		if err != nil {
			errs[i] = err
			continue
		}
		compiled, err := regexp.Compile(`(?s)\A(?:` + text + `)\z`)
		if err != nil {
			errs[i] = fmt.Errorf("is no usable pattern: %w", err)
			continue
		}
		list = append(list, glob{negated: negated, part: literalPart(rest), expr: compiled})
	}
	return list, errs
}

// literalPart is the longest run of a pattern without wildcards and slashes, ""
// where classes and escapes make that hard to see.
func literalPart(pattern string) string {
	if strings.ContainsAny(pattern, `[\`) {
		return ""
	}
	longest := ""
	special := func(r rune) bool { return strings.ContainsRune("/*?", r) }
	for _, run := range strings.FieldsFunc(pattern, special) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// ignoreExpr translates one pattern of .gitignore.
func ignoreExpr(pattern string) (string, error) {
	body, dirOnly := strings.CutSuffix(pattern, "/")
	anchored := strings.Contains(body, "/")
	expr, err := pathExpr(strings.TrimPrefix(body, "/"))
	if err != nil {
		return "", err
	}
	if !anchored {
		expr = "(?:.*/)?" + expr
	}
	if dirOnly {
		return expr + "/.+", nil
	}
	return expr + "(?:/.*)?", nil
}

// pathExpr translates wildcards; "**" has its meaning only as a whole component.
func pathExpr(pattern string) (string, error) {
	if pattern == "" {
		return "", errors.New("is an empty pattern")
	}
	var b strings.Builder
	for i := 0; i < len(pattern); {
		text, n, err := nextExpr(pattern, i)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		i += n
	}
	return b.String(), nil
}

// nextExpr translates what stands at pattern[i:] and says how long it is.
func nextExpr(pattern string, i int) (expr string, n int, err error) {
	rest := pattern[i:]
	starts := i == 0 || pattern[i-1] == '/'
	switch {
	case starts && strings.HasPrefix(rest, "**/"):
		return "(?:.*/)?", 3, nil
	case starts && rest == "**" && i > 0:
		return ".+", 2, nil
	case rest == "**" && starts:
		return ".*", 2, nil
	case rest[0] == '*':
		return "[^/]*", len(rest) - len(strings.TrimLeft(rest, "*")), nil
	case rest[0] == '?':
		return "[^/]", 1, nil
	case rest[0] == '[':
		return classExpr(rest)
	case rest[0] == '\\' && len(rest) == 1:
		return "", 0, errors.New(`ends in a single \`)
	case rest[0] == '\\':
		return literal(rest[1:], 1)
	}
	return literal(rest, 0)
}

// literal translates the first character of rest; skipped bytes stand before it.
func literal(rest string, skipped int) (string, int, error) {
	_, size := utf8.DecodeRuneInString(rest)
	return regexp.QuoteMeta(rest[:size]), skipped + size, nil
}

// classExpr translates "[a-z]" and "[!a-z]"; a class never matches a slash.
func classExpr(rest string) (expr string, n int, err error) {
	body, negated := rest[1:], false
	if body != "" && (body[0] == '!' || body[0] == '^') {
		body, negated = body[1:], true
	}
	end := -1
	if len(body) > 1 {
		end = strings.IndexByte(body[1:], ']') + 1
	}
	if end < 1 {
		return "", 0, errors.New(`has a [ without its ]; write \[ for the character`)
	}
	set := body[:end]
	if strings.ContainsAny(set, `/\[`) {
		return "", 0, errors.New(`has a class with one of / \ [ in it`)
	}
	set = strings.NewReplacer("^", `\^`, "&", `\&`, "~", `\~`, "]", `\]`).Replace(set)
	if set[0] == '-' {
		set = `\` + set
	}
	expr = "[" + set + "]"
	if negated {
		expr = "[^/" + set + "]"
	}
	if re, err := regexp.Compile(expr); err != nil || (!negated && re.MatchString("/")) {
		return "", 0, fmt.Errorf("has the class [%s], which has no meaning or matches a slash", quote(set))
	}
	return expr, len(rest) - len(body) + end + 1, nil
}
