package file

import (
	"slices"
	"strconv"
	"strings"
)

// path names a part of a policy as package policy does: "scope.repos[2]". A part
// that it names otherwise, or not at all, is strange: its mistakes are laid to
// what it is in. The index of lines so takes no more than the file does.
type path struct {
	text    string
	depth   int
	strange bool
}

const (
	// deepest is how far down package policy names parts.
	deepest = 6
	longest = 200
)

func (p path) member(name string) path {
	plain := name != "" && len(name) <= longest && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
	if p.strange || !plain || p.depth == deepest {
		return path{strange: true}
	}
	if p.text != "" {
		name = p.text + "." + name
	}
	return path{text: name, depth: p.depth + 1}
}

func (p path) element(n int) path {
	if p.strange || p.depth == deepest {
		return path{strange: true}
	}
	return path{text: p.text + "[" + strconv.Itoa(n) + "]", depth: p.depth + 1}
}

// lineIndex holds the lines of parts by their path.
type lineIndex map[string]int

// add notes where a part begins; of a part that is given twice the first counts.
func (x lineIndex) add(at path, line int) {
	if _, twice := x[at.text]; !twice && !at.strange {
		x[at.text] = line
	}
}

// lineBreaks are the offsets behind the line breaks of a text.
type lineBreaks []int

func breaksOf(text []byte) lineBreaks {
	var breaks lineBreaks
	for i, c := range text {
		if c == '\n' {
			breaks = append(breaks, i+1)
		}
	}
	return breaks
}

// line is the 1-based line of an offset.
func (b lineBreaks) line(offset int) int {
	n, found := slices.BinarySearch(b, offset)
	if found {
		n++
	}
	return n + 1
}
