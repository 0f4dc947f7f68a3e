package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// defaultOrg is the organisation of hooks that name none.
const defaultOrg = "default"

// NewHookServer returns the server for the Unix socket of the hooks on this
// machine. It serves the operations of hooks and no other. Who may connect is
// the business of the socket's permissions: whoever does needs no key, is
// known by the number of its account, and names its organisation.
func NewHookServer(api *API) *http.Server {
	server := NewServer("", api.hooks)
	// Hooks are quick or have given up.
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, peerKey{}, peerOf(conn))
	}
	return server
}

type peerKey struct{}

// peer is a process at the other end of a Unix socket.
type peer struct {
	uid uint32
	err error
}

// peerOf asks the kernel who connected.
func peerOf(conn net.Conn) peer {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{err: fmt.Errorf("connection is a %T", conn)}
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return peer{err: err}
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, credErr); err != nil {
		return peer{err: err}
	}
	return peer{uid: cred.Uid}
}

// onlyHooks hides everything but the operations of hooks.
func (s *server) onlyHooks(next http.Handler) http.Handler {
	const path = "/api/v1/hook"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.EscapedPath(); p != path && !strings.HasPrefix(p, path+"/") {
			s.notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// identifyPeer is identify for a request through the socket.
func (s *server) identifyPeer(p peer, op *operation, r *http.Request) (*http.Request, error) {
	if p.err != nil {
		return r, fmt.Errorf("asking who connected to the socket of hooks: %w", p.err)
	}
	name := r.URL.Query().Get("org")
	if name == "" {
		name = defaultOrg
	}
	org, err := s.orgNamed(r.Context(), name)
	if errors.Is(err, store.ErrNotFound) {
		return r, respond.InvalidField("org", "must be the name of an organisation")
	}
	if err != nil {
		return r, err
	}
	exchange := respond.ExchangeOf(r.Context())
	by := access.Principal{Org: org, Name: fmt.Sprintf("hook:uid=%d", p.uid), Scopes: []access.Scope{access.Hook},
		RequestID: exchange.RequestID}
	exchange.Principal = by.Name
	return r.WithContext(auth.With(r.Context(), by)), op.need.check(by)
}

// orgNamed finds an organisation. Names are for ever: what was found once is
// not looked up again, since every push asks.
func (s *server) orgNamed(ctx context.Context, name string) (uuid.UUID, error) {
	if id, ok := s.orgIDs.Load(name); ok {
		return id.(uuid.UUID), nil
	}
	if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return uuid.Nil, store.ErrNotFound
	}
	org, err := s.cfg.DB.OrgByName(ctx, name)
	if err == nil {
		s.orgIDs.Store(name, org.ID)
	}
	return org.ID, err
}
