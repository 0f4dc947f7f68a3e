package hooks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// ForwardHook names the last step of pre-receive in a repository that the
// gateway forwards: the push goes on to the remote before it is accepted here.
// It is a relay in which the hook says in a line where the objects of the push
// are in quarantine, and then what it read. The answer is text for the pusher as it comes, and at
// its very end forwardAccepted. Anything else there, or nothing, is a refusal.
const ForwardHook = "forward"

const forwardAccepted = "\x00accepted\n"

// Forward runs the step by the gateway's session at socket. It hands on what
// the session says, and reports whether the remote took the push.
func Forward(ctx context.Context, socket string, environ []string, stdin io.Reader, out io.Writer) (bool, error) {
	env, err := ReadEnvironment(environ, "/")
	if err != nil {
		return false, err
	}
	head := env.Quarantine.Objects + "\n"
	answer := &forwardAnswer{out: out}
	err = Relay(ctx, socket, ForwardHook, io.MultiReader(strings.NewReader(head), stdin), answer)
	return err == nil && answer.accepted(), err
}

// forwardAnswer hands text on and keeps what may be the end of the answer.
type forwardAnswer struct {
	out  io.Writer
	tail []byte
}

// Write implements io.Writer.
func (a *forwardAnswer) Write(p []byte) (int, error) {
	a.tail = append(a.tail, p...)
	text := a.tail
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	// Nothing that happens to the pusher's terminal changes the answer.
	_, _ = a.out.Write(text)
	a.tail = append([]byte(nil), a.tail[len(text):]...)
	if len(a.tail) > len(forwardAccepted) {
		return 0, fmt.Errorf("unexpected end %.40q of the answer", a.tail)
	}
	return len(p), nil
}

func (a *forwardAnswer) accepted() bool { return string(a.tail) == forwardAccepted }

// ReadForward reads what Forward sends: the directory of objects, which is the
// hook's word, and the updates.
func ReadForward(r io.Reader) (objects string, updates []Update, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", nil, fmt.Errorf("reading where the push is: %w", err)
	}
	objects = strings.TrimSuffix(string(line), "\n")
	updates, err = ReadUpdates(in)
	return objects, updates, err
}

// AcceptForward ends the answer to Forward with the remote's consent.
func AcceptForward(w io.Writer) error {
	_, err := io.WriteString(w, forwardAccepted)
	return err
}
