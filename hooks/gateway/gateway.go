// Package gateway is the SSH server that developers push to where no hook can
// run, or where there is no git server at all.
//
// It owns the server, the repositories that it keeps (Repos), the merge of
// notes that are pushed to them, and the way of a push to the remote of a
// forwarding repository. Policies are judged by a Decider.
//
// Promises: only keys that are registered get in, and who acts is who has
// proven to hold the key, whatever was offered; a client chooses a service, a
// repository by name and a version of git's protocol, and nothing else; no
// shell runs, and no path that a client sends reaches the disk. A session has
// bounds of time and number, and its children end with it. Notes pushes never
// collide and change or remove no receipt of somebody else. A push that is
// forwarded is accepted here only when the remote has accepted it; what the
// remote has that was lost here comes back before the next push. The decision on
// a push that was let through and did not arrive is withdrawn, whatever died.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	gossh "golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Decider judges pushes. *enforce.Enforcer is one.
type Decider interface {
	// Decide judges a push before it is accepted, and has recorded the decision
	// when it returns.
	Decide(ctx context.Context, by access.Principal, repo string, p hooks.Push) (hooks.Answer, error)
	// Received takes note that a push reached the repository.
	Received(ctx context.Context, by access.Principal, repo string, p hooks.Push) error
	// Withdraw takes back a decision on a push that the repository did not take.
	Withdraw(ctx context.Context, by access.Principal, decision uuid.UUID, why string) error
}

// Config is what a Server needs. Zero values have the stated meanings.
type Config struct {
	DB      *store.DB
	Repos   *Repos
	Decider Decider
	// HostKey proves to clients which server this is; see HostKey.
	HostKey gossh.Signer
	// HookProgram is the path of blameprompt-hook.
	HookProgram string
	// HooksDir is a directory of the server's own for the hooks that git runs.
	HooksDir string
	Limits   Limits
	Log      zerolog.Logger
}

// Limits bound what clients can take.
type Limits struct {
	// Handshake is how long a client may take to prove who it is and to ask for
	// something, 0 for 30 seconds. AuthTries is how many keys it may offer, 0 for 6.
	Handshake time.Duration
	AuthTries int
	// Idle ends a connection on which nothing moves, 0 for 10 minutes; Total ends
	// any, 0 for 2 hours.
	Idle, Total time.Duration
	// PerUser bounds the sessions of a user and PerAddress the connections of an
	// address, 0 for 50 and 100; Connections bounds all, 0 for 1000.
	PerUser, PerAddress, Connections int
	// MaxPush bounds the bytes of one push, 0 for 4 GiB.
	MaxPush int64
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Handshake, 30*time.Second)
	orDefault(&l.AuthTries, 6)
	orDefault(&l.Idle, 10*time.Minute)
	orDefault(&l.Total, 2*time.Hour)
	orDefault(&l.PerUser, 50)
	orDefault(&l.PerAddress, 100)
	orDefault(&l.Connections, 1000)
	orDefault(&l.MaxPush, 4<<30)
	return l
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is the SSH server.
type Server struct {
	cfg   Config
	ssh   *ssh.Server
	doors *doors
	// sockets is the private directory of the sessions' sockets.
	sockets string
	// live are the sessions in which clients push, by their names.
	live sync.Map
}

// maxSocketPath is what the kernel takes (unix(7)).
const maxSocketPath = 107

// New prepares a server. It writes the hooks that git will run, and makes a
// directory for sockets, which Shutdown removes.
func New(cfg Config) (*Server, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	if err := writeHooks(cfg.HooksDir, cfg.HookProgram); err != nil {
		return nil, fmt.Errorf("writing the gateway's hooks: %w", err)
	}
	sockets, err := os.MkdirTemp("", "blameprompt-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for sockets: %w", err)
	}
	if path := filepath.Join(sockets, newRequestID()); len(path) > maxSocketPath {
		return nil, errors.Join(fmt.Errorf("%s is too long a path for a socket: set TMPDIR to a shorter one", path), os.Remove(sockets))
	}
	s := &Server{cfg: cfg, doors: newDoors(cfg.Limits), sockets: sockets}
	s.ssh = &ssh.Server{
		Version: "BlamePrompt", HostSigners: []ssh.Signer{cfg.HostKey},
		IdleTimeout: cfg.Limits.Idle, MaxTimeout: cfg.Limits.Total,
		ConnCallback:     s.enter,
		PublicKeyHandler: s.offered,
		Handler:          s.handle,
		ChannelHandlers:  map[string]ssh.ChannelHandler{"session": s.open},
		// Neither forwarding of ports nor subsystems.
		RequestHandlers:          map[string]ssh.RequestHandler{},
		SubsystemHandlers:        map[string]ssh.SubsystemHandler{},
		ServerConfigCallback:     func(ssh.Context) *gossh.ServerConfig { return &gossh.ServerConfig{MaxAuthTries: cfg.Limits.AuthTries} },
		ConnectionFailedCallback: s.failed,
	}
	return s, nil
}

// guestKey is where a connection's context holds its guest.
type guestKey struct{}

// enter takes a connection in; nil closes it.
func (s *Server) enter(ctx ssh.Context, conn net.Conn) net.Conn {
	g := s.doors.enter(conn)
	if g == nil {
		s.cfg.Log.Warn().Stringer("address", conn.RemoteAddr()).Msg("an SSH connection was refused: there are too many")
		return nil
	}
	ctx.SetValue(guestKey{}, g)
	return g
}

func (s *Server) failed(conn net.Conn, err error) {
	s.cfg.Log.Debug().Err(err).Stringer("address", conn.RemoteAddr()).Msg("an SSH connection failed")
}

// Serve accepts connections until Shutdown.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.ssh.Serve(listener); !errors.Is(err, ssh.ErrServerClosed) {
		return fmt.Errorf("serving SSH: %w", err)
	}
	return nil
}

// Shutdown takes no more connections, waits for those that are there until ctx
// ends, and then ends them with all their children.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.ssh.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = s.ssh.Close()
	}
	s.doors.close()
	return errors.Join(err, os.RemoveAll(s.sockets))
}

// socketPath names a new socket.
func (s *Server) socketPath(id string) string { return filepath.Join(s.sockets, id) }
