package lines

import (
	"bytes"
	"errors"
	"io"
)

// errEnds is returned when the output ends inside of something.
var errEnds = errors.New("the output of git ends early")

// streamBytes is the size of the buffer, and the most that peek returns.
const streamBytes = 256 << 10

// stream is a buffered reader that passes over lines of any length without
// holding them. A slice that it returns is valid until the next call.
type stream struct {
	r    io.Reader
	buf  []byte
	from int
	to   int
	eof  bool
	// long holds a token or line that does not fit into the buffer.
	long []byte
}

func newStream(r io.Reader) *stream {
	return &stream{r: r, buf: make([]byte, streamBytes)}
}

// fill reads once; at the end of the output it sets eof.
func (s *stream) fill() error {
	if s.from > 0 {
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
	}
	n, err := s.r.Read(s.buf[s.to:])
	s.to += n
	if errors.Is(err, io.EOF) {
		s.eof = true
		return nil
	}
	return err
}

// peek returns the next n bytes, fewer at the end of the output.
func (s *stream) peek(n int) ([]byte, error) {
	n = min(n, len(s.buf))
	for s.to-s.from < n && !s.eof {
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
	return s.buf[s.from:min(s.to, s.from+n)], nil
}

func (s *stream) starts(prefix []byte) (bool, error) {
	next, err := s.peek(len(prefix))
	return bytes.Equal(next, prefix), err
}

// skip passes over bytes that peek has shown.
func (s *stream) skip(n int) { s.from += n }

// until returns the bytes up to the next end byte, cut at limit, and passes
// over the end. The error is io.EOF when there is nothing left.
func (s *stream) until(end byte, limit int) ([]byte, error) {
	s.long = s.long[:0]
	for {
		if i := bytes.IndexByte(s.buf[s.from:s.to], end); i >= 0 {
			part := s.buf[s.from : s.from+i]
			s.from += i + 1
			if len(s.long) == 0 {
				return part[:min(len(part), limit)], nil
			}
			return s.keep(part, limit), nil
		}
		if s.eof {
			return nil, s.atEnd()
		}
		if s.from == 0 && s.to == len(s.buf) {
			s.long = s.keep(s.buf, limit)
			s.to = 0
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

func (s *stream) keep(part []byte, limit int) []byte {
	return append(s.long, part[:min(len(part), limit-len(s.long))]...)
}

func (s *stream) atEnd() error {
	if s.from == s.to && len(s.long) == 0 {
		return io.EOF
	}
	return errEnds
}

// token reads up to a NUL; the error is io.EOF at the end of the output.
func (s *stream) token(limit int) ([]byte, error) { return s.until(0, limit) }

// innerToken is token where the output must not end.
func (s *stream) innerToken(limit int) ([]byte, error) { return inner(s.until(0, limit)) }

// line reads up to a newline where the output must not end.
func (s *stream) line(limit int) ([]byte, error) { return inner(s.until('\n', limit)) }

func inner(b []byte, err error) ([]byte, error) {
	if errors.Is(err, io.EOF) {
		err = errEnds
	}
	return b, err
}

// isLine reports whether a byte begins a line of a hunk.
func isLine(first byte) bool {
	return first == '+' || first == '-' || first == ' ' || first == '\\'
}

// hunkLines passes over the lines of a hunk and tells their first bytes.
func (s *stream) hunkLines(visit func(first byte)) error {
	for {
		if s.from == s.to {
			if next, err := s.peek(1); err != nil || len(next) == 0 {
				return err
			}
		}
		first := s.buf[s.from]
		if !isLine(first) {
			return nil
		}
		visit(first)
		if err := s.skipLine(); err != nil {
			return err
		}
	}
}

// skipLine passes over the rest of a line.
func (s *stream) skipLine() error {
	for {
		if i := bytes.IndexByte(s.buf[s.from:s.to], '\n'); i >= 0 {
			s.from += i + 1
			return nil
		}
		if s.from, s.to = 0, 0; s.eof {
			return errEnds
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}
