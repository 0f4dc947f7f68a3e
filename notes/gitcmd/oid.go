package gitcmd

import (
	"fmt"
	"strings"
)

// OID is the id of a git object: 40 (SHA-1) or 64 (SHA-256) lower-case
// hexadecimal digits. The empty OID means "not given".
type OID string

// ZeroOID is git's null id, in its short form. It names no object.
const ZeroOID OID = "0000000000000000000000000000000000000000"

// ParseOID returns s as an OID, or an error that quotes at most the start of s.
func ParseOID(s string) (OID, error) {
	if len(s) != 40 && len(s) != 64 {
		return "", fmt.Errorf("object id %.70q has %d characters instead of 40 or 64", s, len(s))
	}
	for i := range len(s) {
		if !isLowerHex(s[i]) {
			return "", fmt.Errorf("object id %q is not lower-case hexadecimal", s)
		}
	}
	return OID(s), nil
}

// IsZero reports whether o names no object: it is empty or null, in the short
// or the long form.
func (o OID) IsZero() bool {
	return strings.Trim(string(o), "0") == ""
}

func isLowerHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// writeRevisions lists revisions as the --stdin option of git log reads them.
func writeRevisions(include, exclude []OID) (string, error) {
	var b strings.Builder
	for _, oid := range include {
		if _, err := ParseOID(string(oid)); err != nil {
			return "", err
		}
		b.WriteString(string(oid) + "\n")
	}
	for _, oid := range exclude {
		if _, err := ParseOID(string(oid)); err != nil {
			return "", err
		}
		b.WriteString("^" + string(oid) + "\n")
	}
	return b.String(), nil
}
