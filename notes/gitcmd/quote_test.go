package gitcmd

import "testing"

func TestUnquote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`plain "x`: `plain "x`, `"a\tb\n\"\\"`: "a\tb\n\"\\", `"\303\274\001\377"`: "ü\x01\xff", `"\a\v\f\r\b"`: "\a\v\f\r\b",
		`"\3"`: "3", `"`: `"`, ``: ``,
	} {
		if got := Unquote([]byte(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
