package respond

import (
	"errors"
	"runtime"
)

var errPanicked = errors.New("a handler panicked")

// stack is the beginning of the goroutine's stack.
func stack() []byte {
	b := make([]byte, 16<<10)
	return b[:runtime.Stack(b, false)]
}
