package notes

import (
	"cmp"
	"strings"
)

// newerVersion is the later of two versions in a total order.
func newerVersion(a, b string) string {
	if compareVersions(a, b) < 0 {
		return b
	}
	return a
}

// compareVersions orders versions as semantic versioning does, with any count
// of numbers. A build name before a colon ("development:1.2.3") does not count
// but between equal numbers; text that is no version stands before all that are.
func compareVersions(a, b string) int {
	coreA, preA, okA := splitVersion(a)
	coreB, preB, okB := splitVersion(b)
	if okA != okB {
		if okA {
			return 1
		}
		return -1
	}
	if !okA {
		return strings.Compare(a, b)
	}
	pre := compareDotted(preA, preB)
	if (preA == "") != (preB == "") {
		pre = -pre
	}
	return cmp.Or(compareDotted(coreA, coreB), pre, strings.Compare(a, b))
}

// splitVersion takes a version apart into its numbers and its pre-release.
func splitVersion(version string) (core, pre string, ok bool) {
	version, _, _ = strings.Cut(version[strings.LastIndexByte(version, ':')+1:], "+")
	core, pre, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for number := range strings.SplitSeq(core, ".") {
		if number == "" || digitRun([]byte(number)) != len(number) {
			return "", "", false
		}
	}
	return core, pre, true
}

// compareDotted compares identifiers between dots: numbers by value and before
// text, fewer identifiers before more.
func compareDotted(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareIdentifiers(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareIdentifiers(a, b string) int {
	numberA, numberB := digitRun([]byte(a)) == len(a), digitRun([]byte(b)) == len(b)
	switch {
	case numberA && numberB:
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case numberA:
		return -1
	case numberB:
		return 1
	}
	return strings.Compare(a, b)
}
