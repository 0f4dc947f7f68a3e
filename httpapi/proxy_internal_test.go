package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestTheAddressBehindATrustedProxyIsBelieved(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		remote string
		header []string
		want   string
	}{
		{"192.0.2.7:5", []string{"198.51.100.1"}, "192.0.2.7:5"},
		{"10.1.2.3:5", nil, "10.1.2.3:5"},
		{"10.1.2.3:5", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"[::ffff:10.1.2.3]:5", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"[::1]:5", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		{"10.1.2.3:5", []string{"203.0.113.9, 198.51.100.1, 10.9.9.9"}, "198.51.100.1:0"},
		{"10.1.2.3:5", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1:0"},
		{"10.1.2.3:5", []string{"198.51.100.1:4711"}, "198.51.100.1:0"},
		{"10.1.2.3:5", []string{"198.51.100.1, nonsense"}, "10.1.2.3:5"},
		{"10.1.2.3:5", []string{"nonsense, 198.51.100.1"}, "198.51.100.1:0"},
		{"10.1.2.3:5", []string{"10.7.7.7"}, "10.7.7.7:0"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.remote, c.header
		got := ""
		behind(proxies, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(nil, r)
		if got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.remote, c.header, got, c.want)
		}
	}
}
