package pglocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	logName  = "postgresql.log"
	logLimit = 10 << 20
	logKeep  = 4
	tailSize = 4 << 10
)

// logFile is PostgreSQL's log: at most limit bytes in the current file, and
// keep older ones beside it. It remembers the end of what the latest server
// process wrote. Safe for concurrent use.
type logFile struct {
	path  string
	limit int64
	keep  int

	mu   sync.Mutex
	file *os.File
	size int64
	tail []byte
}

func openLogFile(dir string, limit int64, keep int) (*logFile, error) {
	l := &logFile{path: filepath.Join(dir, logName), limit: limit, keep: keep}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening PostgreSQL's log: %w", err)
	}
	return l, nil
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write never fails: a full disk must not break the pipe that PostgreSQL
// writes to. What cannot be written is lost to the file, not to the tail.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if over := len(l.tail) - tailSize; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	if l.size+int64(len(p)) > l.limit {
		l.rotate()
	}
	if l.file != nil {
		n, _ := l.file.Write(p)
		l.size += int64(n)
	}
	return len(p), nil
}

// rotate shifts the older files by one. Where that fails the current file is
// begun anew, so that the bound holds.
func (l *logFile) rotate() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	for i := l.keep; i > 0; i-- {
		from := l.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", l.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", l.path, i)); err != nil && i == 1 {
			os.Truncate(l.path, 0)
		}
	}
	if err := l.open(); err != nil {
		l.file, l.size = nil, 0
	}
}

// forget empties the tail, for the next server process.
func (l *logFile) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = l.tail[:0]
}

// lastLines is the end of what the latest server process wrote.
func (l *logFile) lastLines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.tail))
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
