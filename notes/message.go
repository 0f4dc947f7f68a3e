package notes

import "strings"

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
