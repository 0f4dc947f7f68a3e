package hooks

import (
	"io"
	"sync"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// feed is the standard input of a child that is written while the child runs:
// one id per line. Writing never waits for the child, and Close lets a reader
// go that waits, whatever becomes of the writer.
type feed struct {
	mu     sync.Mutex
	ready  sync.Cond
	text   []byte
	closed bool
}

func newFeed() *feed {
	f := &feed{}
	f.ready.L = &f.mu
	return f
}

// add does nothing once the feed is closed.
func (f *feed) add(oid gitcmd.OID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.text = append(append(f.text, oid...), '\n')
		f.ready.Signal()
	}
}

// Close ends the feed behind what was added. It may be called again.
func (f *feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.ready.Broadcast()
}

// Read waits for the next ids. It implements io.Reader.
func (f *feed) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.text) == 0 {
		if f.closed {
			return 0, io.EOF
		}
		f.ready.Wait()
	}
	n := copy(p, f.text)
	f.text = f.text[n:]
	return n, nil
}
