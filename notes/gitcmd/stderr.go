package gitcmd

import "bytes"

const (
	maxStderr     = 16 << 10
	maxStderrLine = 4 << 10
)

// stderrTail keeps the end of a child's standard error and tells its lines on
// the way. It is written by one goroutine and read after the child has ended.
type stderrTail struct {
	mask   func(string) string
	onLine func(string)
	tail   []byte
	line   []byte
}

func (t *stderrTail) Write(p []byte) (int, error) {
	t.tail = append(t.tail, p...)
	if extra := len(t.tail) - maxStderr; extra > 0 {
		t.tail = append(t.tail[:0], t.tail[extra:]...)
	}
	if t.onLine != nil {
		t.splitLines(p)
	}
	return len(p), nil
}

func (t *stderrTail) splitLines(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			t.extendLine(p)
			return
		}
		t.extendLine(p[:end])
		if len(t.line) > 0 {
			t.onLine(t.mask(string(t.line)))
		}
		t.line = t.line[:0]
		p = p[end+1:]
	}
}

func (t *stderrTail) extendLine(p []byte) {
	room := maxStderrLine - len(t.line)
	t.line = append(t.line, p[:min(room, len(p))]...)
}

func (t *stderrTail) text() string {
	return t.mask(string(t.tail))
}
