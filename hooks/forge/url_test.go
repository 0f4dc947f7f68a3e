package forge

import (
	"strings"
	"testing"
)

func TestNormalizeURL(t *testing.T) {
	t.Parallel()
	cases := []struct {
		want string
		raws []string
	}{
		{"github.com/acme/payments", []string{
			"https://github.com/acme/payments", "https://github.com/acme/payments.git", "https://github.com/acme/payments/",
			"https://github.com/acme/payments.git/", "https://github.com//acme//payments", "HTTPS://GitHub.com/acme/payments",
			"http://github.com:80/acme/payments", "https://github.com:443/acme/payments.git",
			"https://user:token@github.com/acme/payments.git", "https://github.com/acme/payments.git?x=y#z",
			"git://github.com:9418/acme/payments.git", "git@github.com:acme/payments.git", "github.com:acme/payments",
			"git@GitHub.com:/acme/payments.git", "ssh://git@github.com/acme/payments.git",
			"ssh://git@github.com:22/acme/payments", "git+ssh://git@github.com/acme/payments",
			"ssh+git://git@github.com/acme/payments", " https://github.com/acme/payments\n",
		}},
		{"github.com/Acme/Payments", []string{"https://github.com/Acme/Payments.git", "git@github.com:Acme/Payments"}},
		{"gitlab.acme.example/platform/cards/payments", []string{
			"https://gitlab.acme.example/platform/cards/payments.git", "git@gitlab.acme.example:platform/cards/payments.git"}},
		{"git.acme.example:8443/a/b", []string{
			"https://git.acme.example:8443/a/b.git", "ssh://git@git.acme.example:8443/a/b"}},
		{"git.acme.example:443/a/b", []string{"http://git.acme.example:443/a/b", "ssh://git.acme.example:443/a/b"}},
		{"git.acme.example:22/a/b", []string{"https://git.acme.example:22/a/b"}},
		{"bitbucket.acme.example/scm/~dokafor/x", []string{
			"https://bitbucket.acme.example/scm/~dokafor/x.git", "https://bitbucket.acme.example/scm/%7Edokafor/x.git"}},
		{"[2001:db8::1]/a/b", []string{"https://[2001:db8::1]/a/b.git", "ssh://git@[2001:DB8::1]:22/a/b",
			"git@[2001:db8::1]:a/b.git", "https://[2001:db8:0:0::1]/a/b", "[2001:db8::1]:a/b"}},
		{"[::1]:2222/a", []string{"ssh://[::1]:2222/a.git"}},
		{"h/a%20b", []string{"https://h/a%20b.git", "ssh://h/a%20b", "h:a b"}},
		{"h/a%2520b", []string{"h:a%20b"}},
		{"/srv/git/payments", []string{"/srv/git/payments.git",
			"file:///srv/git/payments.git/", "file://localhost/srv/git/payments",
			"/srv/git/payments/.git", "/srv/git/../git/payments"}},
		{"", []string{
			"", " ", "payments", "acme/payments", "../payments", "./a:b",
			"https://github.com", "https://github.com/",
			"https:///a/b",
			"git@github.com:", "git@github.com:.git", "/", "file:///", "file://server/share", "ftp://h/a",
			"ext::sh -c 'touch x'",
			"fd::7", "javascript://h/a", "https://h/a\x00b", "https://h/a%00b", "https://h/a\u202eb",
			"https://bücher.example/a",
			"https://h:port/a", "https://%zz/a", "https://h/%zz", ":a/b", "@:a", "ssh://0::/0", "ssh://[fe80::1%25eth0]/a", "[::1]", "[::1",
			"https://" + strings.Repeat("h", maxURL),
		}},
	}
	for _, c := range cases {
		for _, raw := range c.raws {
			if got := NormalizeURL(raw); got != c.want {
				t.Errorf("NormalizeURL(%q) = %q, want %q", raw, got, c.want)
			}
		}
	}
}

func FuzzNormalizeURL(f *testing.F) {
	for _, raw := range []string{
		"https://u:p@GitHub.com:443/a/b.git/", "git@h:a/b", "/srv/a.git", "ssh://[::1]:22/~a/%2e%2e/b", "ext::x",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		key := NormalizeURL(raw)
		address := withoutSecrets(raw)
		if address != "" && NormalizeURL(address) != key {
			t.Errorf("%q without secrets is %q with key %q, not %q", raw, address, NormalizeURL(address), key)
		}
		host, _, _ := strings.Cut(key, "/")
		if key == "" || strings.HasSuffix(host, ":22") || len(key) > maxURL-len("ssh://") {
			return
		}
		again := "ssh://" + key
		if host == "" {
			again = "file://" + key
		}
		if got := NormalizeURL(again); got != key {
			t.Errorf("key %q of %q has the key %q", key, raw, got)
		}
	})
}
