package mirror

import (
	"fmt"
	"net/netip"
	"strings"
)

// special lists the address blocks of the IANA special-purpose registries that
// netip has no predicate for and that are no public destination, or that wrap
// an IPv4 address which would have to be judged in its stead.
var special = map[netip.Prefix]string{
	netip.MustParsePrefix("0.0.0.0/8"):       "this-network",
	netip.MustParsePrefix("100.64.0.0/10"):   "carrier-grade NAT",
	netip.MustParsePrefix("192.0.0.0/24"):    "protocol-assignment",
	netip.MustParsePrefix("192.0.2.0/24"):    "documentation",
	netip.MustParsePrefix("192.88.99.0/24"):  "6to4 relay",
	netip.MustParsePrefix("198.18.0.0/15"):   "benchmarking",
	netip.MustParsePrefix("198.51.100.0/24"): "documentation",
	netip.MustParsePrefix("203.0.113.0/24"):  "documentation",
	netip.MustParsePrefix("240.0.0.0/4"):     "reserved",
	netip.MustParsePrefix("::/96"):           "IPv4-compatible",
	netip.MustParsePrefix("64:ff9b::/96"):    "NAT64",
	netip.MustParsePrefix("64:ff9b:1::/48"):  "NAT64",
	netip.MustParsePrefix("100::/64"):        "discard-only",
	netip.MustParsePrefix("2001::/23"):       "protocol-assignment",
	netip.MustParsePrefix("2001:db8::/32"):   "documentation",
	netip.MustParsePrefix("2002::/16"):       "6to4",
	netip.MustParsePrefix("3fff::/20"):       "documentation",
	netip.MustParsePrefix("5f00::/16"):       "segment-routing",
	netip.MustParsePrefix("fec0::/10"):       "site-local",
}

// addressKind returns why addr is not public, or "". An IPv4 address in IPv6
// clothes counts as what it is.
func addressKind(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid():
		return "invalid"
	case addr.Zone() != "":
		return "zoned"
	case addr.IsUnspecified():
		return "unspecified"
	case addr.IsLoopback():
		return "loopback"
	case addr.IsPrivate():
		return "private"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast():
		return "multicast"
	}
	for block, kind := range special {
		if block.Contains(addr) {
			return kind
		}
	}
	return ""
}

// CheckAddress refuses the address of a host if the rules do not allow it, with
// an error that is ErrRefused. Check calls it; it is for whoever connects to a
// git server's API.
func (r Rules) CheckAddress(host string, addr netip.Addr) error {
	kind := addressKind(addr)
	switch {
	case kind == "":
		return nil
	case kind == "invalid", kind == "zoned", kind == "unspecified", kind == "multicast":
		return refuse("host %s is the %s address %s, which no server has", host, kind, addr)
	case r.AllowPrivate:
		return nil
	}
	return refuse("host %s has the %s address %s: allow private addresses in the configuration "+
		"if the server is in your own network", host, kind, addr)
}

// literalAddress reads a host that is an address. Forms that only some
// resolvers take for one (decimal, octal, hexadecimal, shortened) are refused,
// so that nobody reads them differently from us.
func literalAddress(host string) (addr netip.Addr, isAddress bool, err error) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || addr.Is4() || addr.Zone() != "" {
			return netip.Addr{}, true, refuse("host %.100q is not an IPv6 address", host)
		}
		return addr, true, nil
	}
	if !endsInNumber(host) {
		return netip.Addr{}, false, nil
	}
	addr, err = netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, true, refuse("host %.100q is a disguised address: "+
			"write it as four decimal numbers without leading zeros", host)
	}
	return addr, true, nil
}

// endsInNumber is the rule by which browsers tell addresses from names: the
// last label is all digits, or 0x and hexadecimal digits.
func endsInNumber(host string) bool {
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// pinned writes addr as curl's resolve option reads it.
func pinned(addr netip.Addr) string {
	if addr.Is6() {
		return fmt.Sprintf("[%s]", addr)
	}
	return addr.String()
}
