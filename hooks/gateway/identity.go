package gateway

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// extFingerprint is where a connection's permissions hold the key that was
// offered or, once the client is in, proven.
const extFingerprint = "blameprompt-fingerprint"

// lookupTimeout bounds the questions of a handshake to the database.
const lookupTimeout = 10 * time.Second

// offered says whether a client that holds the key could get in. It decides
// nothing: clients offer what they like, and only the last word of the
// handshake, in the connection's permissions, is what they have proven. So
// every key gets permissions of its own. Who could not be looked up gets in as
// far as the session, which says why it refuses.
func (s *Server) offered(ctx ssh.Context, key ssh.PublicKey) bool {
	fingerprint := gossh.FingerprintSHA256(key)
	ctx.Permissions().Permissions = &gossh.Permissions{Extensions: map[string]string{extFingerprint: fingerprint}}
	timed, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	_, err := s.cfg.DB.SSHKeyOwner(timed, fingerprint)
	return !errors.Is(err, store.ErrNotFound)
}

// identity is who acts in a session.
type identity struct {
	store.KeyOwner
	fingerprint, address string
}

// errNobody: the connection does not say who it is.
var errNobody = errors.New("connection has no identity")

// identify finds out who has proven to hold which key on the connection of ctx.
// It is asked for every session, so that a revoked key ends with the next one.
func (s *Server) identify(ctx ssh.Context) (identity, error) {
	conn, ok := ctx.Value(ssh.ContextKeyConn).(*gossh.ServerConn)
	if !ok || conn.Permissions == nil || conn.Permissions.Extensions[extFingerprint] == "" {
		return identity{}, errNobody
	}
	fingerprint := conn.Permissions.Extensions[extFingerprint]
	timed, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	owner, err := s.cfg.DB.UseSSHKey(timed, fingerprint)
	if err != nil {
		return identity{}, err
	}
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		host = conn.RemoteAddr().String()
	}
	return identity{KeyOwner: owner, fingerprint: fingerprint, address: host}, nil
}

// principal is the identity as the rest of the program knows it.
func (id identity) principal(session string) access.Principal {
	return access.Principal{
		Org: id.OrgID, Name: "ssh-key:" + id.KeyID.String(), User: id.Email,
		Scopes: []access.Scope{access.Hook}, RequestID: session,
	}
}
