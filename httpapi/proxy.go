package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// behind tells requests that come through a trusted proxy by the address that
// it names: of X-Forwarded-For, to which each proxy appends whom it heard, the
// last that is no trusted proxy itself. What a client wrote there stands before
// that and is not believed.
func behind(proxies []netip.Prefix, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && trusted(proxies, peer.Addr()) {
			if client := forwardedFor(proxies, r.Header.Values("X-Forwarded-For")); client.IsValid() {
				r = r.Clone(r.Context())
				r.RemoteAddr = net.JoinHostPort(client.String(), "0")
			}
		}
		next.ServeHTTP(w, r)
	})
}

func trusted(proxies []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr.Unmap().WithZone("")) })
}

// forwardedFor is the zero address if a proxy named none.
func forwardedFor(proxies []netip.Prefix, headers []string) netip.Addr {
	hops := strings.Split(strings.Join(headers, ","), ",")
	var client netip.Addr
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		addr, err := netip.ParseAddr(hop)
		if err != nil {
			withPort, portErr := netip.ParseAddrPort(hop)
			if portErr != nil {
				return client
			}
			addr = withPort.Addr()
		}
		if client = addr; !trusted(proxies, addr) {
			break
		}
	}
	return client
}
