package secrets

// automaton finds all occurrences of many words in one pass over a text,
// whatever their case (Aho and Corasick, "Efficient string matching", 1975), as
// a table with one step per byte.
type automaton struct {
	// class maps bytes to columns; 0 is every byte that is in no word.
	class   [256]uint8
	columns int
	// next is the state behind each state and column, while the automaton is made.
	next []uint16
	// steps is the same for reading: the row of the next state in steps, with
	// ending set if a word ends there.
	steps []uint32
	// ends are the words that end in a state, by number; most states have none.
	ends [][]uint16
}

// ending marks a step at whose end a word ends.
const ending = 1 << 31

func newAutomaton(words []string) *automaton {
	a := &automaton{}
	for _, word := range words {
		for i := range len(word) {
			if b := lower(word[i]); a.class[b] == 0 {
				a.columns++
				a.class[b] = uint8(a.columns)
			}
		}
	}
	a.columns++
	for b := byte('A'); b <= 'Z'; b++ {
		a.class[b] = a.class[lower(b)]
	}
	a.addState()
	for n, word := range words {
		a.addWord(word, uint16(n))
	}
	a.link()
	a.steps = make([]uint32, len(a.next))
	for i, to := range a.next {
		a.steps[i] = uint32(to) * uint32(a.columns)
		if len(a.ends[to]) > 0 {
			a.steps[i] |= ending
		}
	}
	a.next = nil
	return a
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func (a *automaton) addState() uint16 {
	a.next = append(a.next, make([]uint16, a.columns)...)
	a.ends = append(a.ends, nil)
	return uint16(len(a.ends) - 1)
}

func (a *automaton) addWord(word string, n uint16) {
	state := uint16(0)
	for i := range len(word) {
		at := int(state)*a.columns + int(a.class[word[i]])
		if a.next[at] == 0 {
			to := a.addState()
			a.next[at] = to
		}
		state = a.next[at]
	}
	a.ends[state] = append(a.ends[state], n)
}

// link makes a step of every state and column: where a word does not go on,
// its longest end that begins a word does.
func (a *automaton) link() {
	fallback := make([]uint16, len(a.ends))
	var queue []uint16
	for c := range a.columns {
		if to := a.next[c]; to != 0 {
			queue = append(queue, to)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		back := int(fallback[state]) * a.columns
		for c := range a.columns {
			at := int(state)*a.columns + c
			to := a.next[at]
			if to == 0 {
				a.next[at] = a.next[back+c]
				continue
			}
			fallback[to] = a.next[back+c]
			a.ends[to] = append(a.ends[to], a.ends[fallback[to]]...)
			queue = append(queue, to)
		}
	}
}

// find calls found with every word in the text, by number, and where it ends.
func (a *automaton) find(text string, found func(word uint16, end int)) {
	row := uint32(0)
	for i := range len(text) {
		step := a.steps[row+uint32(a.class[text[i]])]
		row = step &^ ending
		if step == row {
			continue
		}
		for _, word := range a.ends[int(row)/a.columns] {
			found(word, i+1)
		}
	}
}
