package notes

// layout writes JSON as the clients do: two spaces for each level.
type layout struct {
	out   []byte
	depth int
	// filled is set when the open object or array has something in it.
	filled bool
}

func (w *layout) open(bracket byte) {
	w.out = append(w.out, bracket)
	w.depth++
	w.filled = false
}

func (w *layout) close(bracket byte) {
	w.depth--
	if w.filled {
		w.line()
	}
	w.out = append(w.out, bracket)
	w.filled = true
}

// item begins the next element on a line of its own.
func (w *layout) item() {
	if w.filled {
		w.out = append(w.out, ',')
	}
	w.filled = true
	w.line()
}

func (w *layout) member(name string) {
	w.item()
	clean, _ := cleanText([]byte(name))
	w.out = append(appendQuoted(w.out, clean), ": "...)
}

func (w *layout) line() {
	w.out = append(w.out, '\n')
	for range w.depth {
		w.out = append(w.out, "  "...)
	}
}
