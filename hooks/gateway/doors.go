package gateway

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
)

// doors count who is in.
type doors struct {
	limits Limits

	// sessions counts those that run.
	sessions sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	conns     map[*guest]bool
	addresses map[netip.Addr]int
	users     map[uuid.UUID]int
}

func newDoors(limits Limits) *doors {
	return &doors{limits: limits, conns: map[*guest]bool{}, addresses: map[netip.Addr]int{}, users: map[uuid.UUID]int{}}
}

// enter takes a connection in, or returns nil when there are too many, of its
// address or in all.
func (d *doors) enter(conn net.Conn) *guest {
	address := addressOf(conn.RemoteAddr())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.conns) >= d.limits.Connections || d.addresses[address] >= d.limits.PerAddress {
		return nil
	}
	g := &guest{Conn: conn, doors: d, address: address, handshake: time.Now().Add(d.limits.Handshake)}
	d.conns[g] = true
	d.addresses[address]++
	return g
}

// addressOf is the client's address without its port. Clients that share an
// IPv6 network of a subscriber count as one.
func addressOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap()
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return address
}

func (d *doors) leave(g *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.conns[g] {
		return
	}
	delete(d.conns, g)
	if d.addresses[g.address]--; d.addresses[g.address] == 0 {
		delete(d.addresses, g.address)
	}
}

// admit takes a session of a user in; false when there are too many. out is to
// be called at its end.
func (d *doors) admit(user uuid.UUID) (out func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users[user] >= d.limits.PerUser {
		return nil, false
	}
	d.users[user]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.users[user]--; d.users[user] == 0 {
			delete(d.users, user)
		}
	}, true
}

// begin counts a session until its end, unless the doors are closed.
func (d *doors) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.sessions.Add(1)
	}
	return !d.closed
}

// close ends all connections, also those of which nobody knows yet who they
// are, and waits for the sessions on them.
func (d *doors) close() {
	d.mu.Lock()
	d.closed = true
	var left []*guest
	for g := range d.conns {
		left = append(left, g)
	}
	d.mu.Unlock()
	for _, g := range left {
		_ = g.Close()
	}
	d.sessions.Wait()
}

// guest is a connection that must have proven who it is by a moment.
type guest struct {
	net.Conn
	doors   *doors
	address netip.Addr

	mu sync.Mutex
	// handshake is that moment; zero behind the proof.
	handshake time.Time
	channels  int
}

// SetDeadline implements net.Conn for the SSH server, which moves the deadline
// with every read and write.
func (g *guest) SetDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.handshake.IsZero() && (t.IsZero() || t.After(g.handshake)) {
		t = g.handshake
	}
	return g.Conn.SetDeadline(t)
}

// maxChannels bounds the sessions on one connection.
const maxChannels = 10

// openChannel counts a session of a client that has proven who it is, which
// ends the handshake. The deadline that was set for that is moved, for a read
// may wait under it.
func (g *guest) openChannel() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.channels >= maxChannels {
		return false
	}
	g.channels++
	if !g.handshake.IsZero() {
		g.handshake = time.Time{}
		// A connection that is closed already says so to its readers.
		_ = g.Conn.SetDeadline(time.Now().Add(g.doors.limits.Idle))
	}
	return true
}

func (g *guest) closeChannel() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.channels--
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.doors.leave(g)
	return g.Conn.Close()
}
