package notes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTrailers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message string
		want    []Trailer
	}{
		"none":            {"title\n\nbody\n", nil},
		"title only":      {"Reviewed-by: Ann <ann@example.com>\n", nil},
		"one":             {"title\n\nReviewed-by: Ann <ann@example.com>\n", []Trailer{{"Reviewed-by", "Ann <ann@example.com>"}}},
		"continued":       {"title\n\nNote: one\n  two\n", []Trailer{{"Note", "one two"}}},
		"order kept":      {"title\n\nb: 2\na: 1\n", []Trailer{{"b", "2"}, {"a", "1"}}},
		"not in the body": {"title\n\na: 1\n\nthe end\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Trailers(tt.message)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
