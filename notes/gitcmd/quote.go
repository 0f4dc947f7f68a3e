package gitcmd

import "strings"

// Unquote reads a path as git writes it on a line of its own: in double quotes
// and with C's escapes if it holds control characters, quotes or back-slashes.
func Unquote(quoted []byte) string {
	if len(quoted) < 2 || quoted[0] != '"' {
		return string(quoted)
	}
	var b strings.Builder
	in := quoted[1 : len(quoted)-1]
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' || i+1 == len(in) {
			b.WriteByte(in[i])
			continue
		}
		i++
		if letter := strings.IndexByte(`abtnvfr`, in[i]); letter >= 0 {
			b.WriteByte("\a\b\t\n\v\f\r"[letter])
		} else if i+2 < len(in) && '0' <= in[i] && in[i] <= '3' {
			b.WriteByte((in[i]-'0')<<6 | (in[i+1]-'0')<<3 | (in[i+2] - '0'))
			i += 2
		} else {
			b.WriteByte(in[i])
		}
	}
	return b.String()
}
