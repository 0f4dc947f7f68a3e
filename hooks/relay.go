package hooks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// SocketVariable is the variable that leads the hooks of a gateway's session
// to the session's socket. Who may connect to that socket is the session's user:
// no secret goes through the environment.
const SocketVariable = "BLAMEPROMPT_SOCKET"

// A relay is a hook whose dialogue with git (gitprotocol-pack(5) calls its
// lines pkt-lines) another process leads: RelayPath and the hook's name are asked
// for, and from the answer on both directions carry the bytes of the hook's
// standard input and output.
const (
	RelayPath     = "/relay/"
	relayProtocol = "blameprompt-relay"
)

// ErrNoRelay says that a request does not want a relay, or an answer gives none.
var ErrNoRelay = errors.New("no relay")

// Relay runs the hook by the process that listens on the Unix socket, until
// that ends the dialogue.
func Relay(ctx context.Context, socket, hook string, stdin io.Reader, stdout io.Writer) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("relaying %s: %w: %w", hook, ErrAway, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	answers, err := requestRelay(ctx, conn, hook)
	if err != nil {
		return fmt.Errorf("relaying %s: %w", hook, err)
	}
	go func() {
		// The other side sees the end of what git says; an error it sees as that too.
		_, _ = io.Copy(conn, stdin)
		if unix, ok := conn.(*net.UnixConn); ok {
			_ = unix.CloseWrite()
		}
	}()
	if _, err := io.Copy(stdout, answers); err != nil {
		return fmt.Errorf("relaying %s: %w", hook, err)
	}
	return nil
}

func requestRelay(ctx context.Context, conn net.Conn, hook string) (io.Reader, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://socket"+RelayPath+hook, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", relayProtocol)
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, fmt.Errorf("%w: status %d", ErrNoRelay, resp.StatusCode)
	}
	return in, nil
}

// RelayConn is the other end of a Relay: what it reads is the hook's standard
// input, and what is written to it the hook's standard output. Close ends the
// hook.
type RelayConn struct {
	// Hook is the name of the hook.
	Hook string
	in   *bufio.Reader
	net.Conn
}

// Read implements io.Reader.
func (c *RelayConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// AcceptRelay answers a request of Relay and takes the connection over from the
// server. The error is ErrNoRelay when the request is another one, which is
// not answered then.
func AcceptRelay(w http.ResponseWriter, r *http.Request) (*RelayConn, error) {
	hook, ok := strings.CutPrefix(r.URL.Path, RelayPath)
	if !ok || r.Header.Get("Upgrade") != relayProtocol {
		return nil, ErrNoRelay
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("accepting a relay: %w", err)
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", relayProtocol)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("accepting a relay: %w", err), conn.Close())
	}
	return &RelayConn{Hook: hook, in: buffered.Reader, Conn: conn}, nil
}
