package forge

import "strings"

// maxRefName bounds a ref's name. git has no bound of its own; the file
// systems that hold loose refs end far below.
const maxRefName = 1024

// validRefName follows the rules of git-check-ref-format(1), without
// --allow-onelevel, and maxRefName.
func validRefName(name string) bool {
	if len(name) > maxRefName || !strings.Contains(name, "/") {
		return false
	}
	if strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	if strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.ContainsFunc(name, isC0) {
		return false
	}
	for component := range strings.SplitSeq(name, "/") {
		if component == "" || component[0] == '.' || strings.HasSuffix(component, ".lock") {
			return false
		}
	}
	return true
}

func isC0(r rune) bool { return r < ' ' }
