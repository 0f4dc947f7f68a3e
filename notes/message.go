package notes

import (
	"slices"
	"strings"
)

// Trailer is one "Key: value" of a commit message, both as written.
type Trailer struct{ Key, Value string }

// Trailers returns the trailers of a commit message by the rules of
// git-interpret-trailers(1), in their order; continued lines are joined by one
// blank. The text may be any bytes, and so may the result.
func Trailers(message string) []Trailer {
	var out []Trailer
	for _, t := range trailers(strings.Split(message, "\n"), true) {
		out = append(out, Trailer{Key: t.key, Value: t.value})
	}
	return out
}

// maxCoAuthors bounds CoAuthors.
const maxCoAuthors = 64

// CoAuthors returns the addresses of those whom a message names beside its author:
// Co-authored-by, Co-developed-by and Signed-off-by, on any line, since forges and
// people put them where git would not call them trailers. Each is returned once, in
// lower case, at most 64 in all.
func CoAuthors(message string) []string {
	if len(message) > maxMessage {
		message = message[len(message)-maxMessage:]
	}
	var out []string
	for line := range strings.Lines(message) {
		key, value, ok := strings.Cut(line, ":")
		if !ok || !namesPerson[strings.ToLower(strings.TrimSpace(key))] || len(out) == maxCoAuthors {
			continue
		}
		_, email := splitUser(strings.TrimSpace(value))
		if email = strings.ToLower(email); email != "" && len(email) <= maxValue && !slices.Contains(out, email) {
			out = append(out, email)
		}
	}
	return out
}

var namesPerson = map[string]bool{"co-authored-by": true, "co-developed-by": true, "signed-off-by": true}
