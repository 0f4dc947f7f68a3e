package gateway

import (
	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// open takes a channel of a client that is in, and lets the SSH library see
// only what the gateway knows: a client could fill the memory with variables.
func (s *Server) open(srv *ssh.Server, conn *gossh.ServerConn, channel gossh.NewChannel, ctx ssh.Context) {
	g, ok := ctx.Value(guestKey{}).(*guest)
	if !ok || !g.openChannel() {
		// A client that has gone hears no answer.
		_ = channel.Reject(gossh.ResourceShortage, "too many sessions on this connection")
		return
	}
	defer g.closeChannel()
	ssh.DefaultSessionHandler(srv, conn, plainChannel{channel}, ctx)
}

// plainChannel is a channel on which a client can run one command.
type plainChannel struct{ gossh.NewChannel }

// Accept implements gossh.NewChannel.
func (c plainChannel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	channel, requests, err := c.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	passed := make(chan *gossh.Request)
	go func() {
		defer close(passed)
		variables := 0
		for request := range requests {
			if request.Type == "env" {
				variables++
			}
			if !passes(request, variables) {
				// A client that has gone hears no answer.
				_ = request.Reply(false, nil)
				continue
			}
			passed <- request
		}
	}()
	return channel, passed, nil
}

const (
	// maxVariables is how often a client may set one.
	maxVariables = 10
	// maxRequest bounds the payload of a request; the names of terminals, and all
	// commands that run, are shorter.
	maxRequest = 2 << 10
)

func passes(request *gossh.Request, variables int) bool {
	switch request.Type {
	case "shell", "exec", "pty-req":
		return len(request.Payload) <= maxRequest
	case "env":
		var variable struct{ Name, Value string }
		return variables <= maxVariables && gossh.Unmarshal(request.Payload, &variable) == nil &&
			variable.Name == protocolVariable && protocolVersion.MatchString(variable.Value)
	}
	return false
}
