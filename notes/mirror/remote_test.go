package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/mirror"
)

// names is the DNS of the tests.
var names = map[string][]string{
	"git.example.com":    {"140.82.112.3"},
	"v6.example.com":     {"2606:4700::1111"},
	"both.example.com":   {"2606:4700::1111", "140.82.112.3"},
	"localhost":          {"127.0.0.1", "::1"},
	"intra.example.com":  {"10.1.2.3"},
	"meta.example.com":   {"169.254.169.254"},
	"mixed.example.com":  {"140.82.112.3", "192.168.1.1"},
	"mapped.example.com": {"::ffff:127.0.0.1"},
	"nat64.example.com":  {"64:ff9b::7f00:1"},
	"none.example.com":   {},
}

func lookup(_ context.Context, host string) ([]netip.Addr, error) {
	texts, ok := names[host]
	if !ok {
		return nil, fmt.Errorf("no such host")
	}
	var addrs []netip.Addr
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// keyFiles need not exist for Check.
func rules(r mirror.Rules) mirror.Rules {
	r.Lookup, r.SSHKeyFile, r.KnownHostsFile = lookup, "/keys/id", "/keys/known_hosts"
	return r
}

func TestHostileRemotesAreRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bundle"), []byte("# v2 git bundle\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ url, reason string }{
		// Options and transports that run commands.
		{"", "empty"},
		{"-u./payload", "like an option"},
		{"--upload-pack=touch /tmp/owned", "like an option"},
		{"ext::sh -c touch% /tmp/owned", "remote helper"},
		{"ext::https://git.example.com/a", "remote helper"},
		{"fd::17/foo", "remote helper"},
		{"::git.example.com/a", "remote helper"},
		{"ssh://-oProxyCommand=touch/x", "not a host name"},
		{"ssh://-oProxyCommand=touch@git.example.com/x", "user name may only"},
		{"ssh://git@-x.example.com/x", "not a host name"},
		{"-oProxyCommand=x:path", "like an option"},
		{"-git@git.example.com:path", "like an option"},
		{"git@-oProxyCommand=x:path", "not a host name"},
		{"git@git.example.com:-path", "like an option"},
		{"git@git.example.com:$(id)", "no place in an ssh remote"},
		{"git@git.example.com:a;id", "no place in an ssh remote"},
		{"ssh://git@git.example.com/`id`", "no place in an ssh remote"},
		{"ssh://git@git.example.com/a'b", "no place in an ssh remote"},
		{"ssh://a;b@git.example.com/x", "user name may only"},
		{"https://git.example.com;id/x", "not a host name"},
		{"https://$(id).example.com/x", "not a host name"},
		// Characters.
		{"https://git.example.com/a\nb", "control character"},
		{"https://git.example.com/a\x00b", "control character"},
		{"https://git.example.com/a b", "space"},
		{" https://git.example.com/a", "space"},
		{"https://git.example.com/ä", "outside of ASCII"},
		{"https://gіt.example.com/a", "outside of ASCII"},
		{`https:\\git.example.com\a`, "back-slash"},
		{`https://git.example.com\@intra.example.com/a`, "back-slash"},
		{"https://git.example.com/a%0ab", "encoded control character"},
		{"https://git.example.com/a%00b", "encoded control character"},
		{"https://git.example.com/%zz", "malformed"},
		{"https://u:p%0aq@git.example.com/a", "line break"},
		{"https://git.example.com/" + strings.Repeat("a", 3000), "characters, more than"},
		// Forms.
		{"git.example.com/a", "neither a URL"},
		{"a/b", "neither a URL"},
		{"./a", "neither a URL"},
		{"HEAD", "neither a URL"},
		{"https:git.example.com/a", "lacks //"},
		{"https:///a", "names no host"},
		{"https://git.example.com", "names no repository"},
		{"https://git.example.com//", "names no repository"},
		{"https://git.example.com/a/../../b", "'..'"},
		{"https://git.example.com/a/%2e%2e/b", "'..'"},
		{"https://git.example.com/a?service=x", "query"},
		{"https://git.example.com/a#b", "fragment"},
		{"https://git.example.com:0/a", "port"},
		{"https://git.example.com:99999/a", "port"},
		{"https://git.example.com:/a", "colon without a port"},
		{"https://git.example.com:-1/a", "malformed"},
		{"https://git_.-.example.com/a", "not a host name"},
		{"https://git.example.com./a", "not a host name"},
		{"https://git%2eexample.com/a", "malformed"},
		{"https://[git.example.com]/a", "malformed"},
		{"https://[fe80::1%25eth0]/a", "not an IPv6 address"},
		{"ssh://git:secret@git.example.com/a", "takes no password"},
		// Schemes.
		{"http://git.example.com/a", "http sends code"},
		{"git://git.example.com/a", "not allowed"},
		{"ftp://git.example.com/a", "not allowed"},
		{"javascript://git.example.com/a", "not allowed"},
		{"git+ssh://git.example.com/a", "not allowed"},
		{"file://intra.example.com/a", "names no host"},
		// Addresses.
		{"https://127.0.0.1/a", "loopback"},
		{"https://127.9.9.9/a", "loopback"},
		{"https://localhost/a", "loopback"},
		{"https://LOCALHOST/a", "loopback"},
		{"https://[::1]/a", "loopback"},
		{"https://10.0.0.1/a", "private"},
		{"https://172.31.0.1/a", "private"},
		{"https://192.168.0.1/a", "private"},
		{"https://[fd00::1]/a", "private"},
		{"https://169.254.169.254/latest/meta-data", "link-local"},
		{"https://[fe80::1]/a", "link-local"},
		{"https://0.0.0.0/a", "unspecified"},
		{"https://[::]/a", "unspecified"},
		{"https://224.0.0.1/a", "multicast"},
		{"https://100.64.0.1/a", "carrier-grade NAT"},
		{"https://0.1.2.3/a", "this-network"},
		{"https://255.255.255.255/a", "reserved"},
		{"https://[::ffff:127.0.0.1]/a", "loopback"},
		{"https://[::ffff:a9fe:a9fe]/a", "link-local"},
		{"https://[::127.0.0.1]/a", "IPv4-compatible"},
		{"https://[64:ff9b::10.0.0.1]/a", "NAT64"},
		{"https://[2002:7f00:1::]/a", "6to4"},
		{"https://2130706433/a", "disguised address"},
		{"https://0x7f000001/a", "disguised address"},
		{"https://0x7f.1/a", "disguised address"},
		{"https://017700000001/a", "disguised address"},
		{"https://0177.0.0.1/a", "disguised address"},
		{"https://127.1/a", "disguised address"},
		{"https://127.0.0.1.999/a", "disguised address"},
		{"https://intra.example.com/a", "private"},
		{"https://meta.example.com/a", "link-local"},
		{"https://mixed.example.com/a", "private"},
		{"https://mapped.example.com/a", "loopback"},
		{"https://nat64.example.com/a", "NAT64"},
		{"ssh://git@127.0.0.1:22/a", "loopback"},
		{"git@localhost:a", "loopback"},
		{"git@[::1]:a", "loopback"},
		{"git@0x7f.1:a", "disguised address"},
		// Files.
		{outside, "not below a configured file root"},
		{"file://" + outside, "not below a configured file root"},
		{"/etc", "not below a configured file root"},
		{root, "not below a configured file root"},
		{root + "/../" + filepath.Base(outside), "not below a configured file root"},
		{root + "/link", "not below a configured file root"},
		{root + "/absent", "not below a configured file root"},
		{root + "/bundle", "is not a directory"},
		{"file://" + root + "/link", "not below a configured file root"},
		{"file://u:p@/" + root, "names no host"},
		{"file:a", "lacks //"},
		{root + "/a\nb", "control character"},
	}
	for _, test := range tests {
		remote, err := rules(mirror.Rules{FileRoots: []string{root}}).Check(t.Context(), test.url)
		if !errors.Is(err, mirror.ErrRefused) || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("Check(%.80q) = %v, %v; want a refusal with %q", test.url, remote, err, test.reason)
		}
	}
}

func TestRulesDecide(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "team/repo.git"), 0o777); err != nil {
		t.Fatal(err)
	}
	private := mirror.Rules{AllowPrivate: true}
	tests := []struct {
		rules mirror.Rules
		url   string
		want  string // the remote, or a reason in parentheses
	}{
		{mirror.Rules{}, "https://git.example.com/team/repo.git", "https://git.example.com/team/repo.git"},
		{mirror.Rules{}, "HTTPS://Git.Example.COM:8443/Team/a%20b", "https://git.example.com:8443/Team/a%20b"},
		{mirror.Rules{}, "https://140.82.112.3/a", "https://140.82.112.3/a"},
		{mirror.Rules{}, "https://[2606:4700::1111]:8443/a", "https://[2606:4700::1111]:8443/a"},
		{mirror.Rules{}, "https://v6.example.com/a", "https://v6.example.com/a"},
		{mirror.Rules{}, "https://both.example.com/a", "https://both.example.com/a"},
		{mirror.Rules{}, "git@git.example.com:team/repo.git", "git@git.example.com:team/repo.git"},
		{mirror.Rules{}, "git.example.com:repo", "git.example.com:repo"},
		{mirror.Rules{}, "ssh://git@git.example.com:2222/~me/repo", "ssh://git@git.example.com:2222/~me/repo"},
		{mirror.Rules{}, "https://none.example.com/a", "(no addresses)"},
		{mirror.Rules{}, "https://unknown.example.com/a", "(no such host)"},
		{mirror.Rules{}, root + "/team/repo.git", "(configure the directories)"},
		{private, "http://git.example.com/a", "http://git.example.com/a"},
		{private, "http://127.0.0.1:3000/a", "http://127.0.0.1:3000/a"},
		{private, "https://intra.example.com/a", "https://intra.example.com/a"},
		{private, "git@localhost:a", "git@localhost:a"},
		{private, "https://0.0.0.0/a", "(unspecified)"},
		{private, "https://[ff02::1]/a", "(multicast)"},
		{private, "https://2130706433/a", "(disguised)"},
		{mirror.Rules{FileRoots: []string{"/nonexistent", root}}, root + "/team/repo.git", root + "/team/repo.git"},
		{mirror.Rules{FileRoots: []string{root}}, "file://" + root + "/team/repo.git", root + "/team/repo.git"},
		{mirror.Rules{FileRoots: []string{root + "/tea"}}, root + "/team/repo.git", "(not below)"},
	}
	for _, test := range tests {
		remote, err := rules(test.rules).Check(t.Context(), test.url)
		reason, isError := strings.CutPrefix(test.want, "(")
		switch {
		case isError && (err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(reason, ")"))):
			t.Errorf("Check(%q) = %v, %v; want an error with %q", test.url, remote, err, reason)
		case !isError && (err != nil || remote.String() != test.want):
			t.Errorf("Check(%q) = %v, %v; want %q", test.url, remote, err, test.want)
		}
	}
}

func TestSSHNeedsFiles(t *testing.T) {
	t.Parallel()
	for _, r := range []mirror.Rules{
		{}, {SSHKeyFile: "/k"}, {SSHKeyFile: "k", KnownHostsFile: "/h"}, {SSHKeyFile: "/k", KnownHostsFile: "/h h"},
		{SSHKeyFile: "/k'; id; '", KnownHostsFile: "/h"},
	} {
		r.Lookup = lookup
		if _, err := r.Check(t.Context(), "git@git.example.com:a"); !errors.Is(err, mirror.ErrRefused) {
			t.Errorf("Check with key %q and hosts %q: %v, want a refusal", r.SSHKeyFile, r.KnownHostsFile, err)
		}
	}
}

func TestCredentialsOfAURLAreNeverShown(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]mirror.Credential{
		"https://ada:hunter2@git.example.com/a":         {User: "ada", Secret: "hunter2"},
		"https://ghp_hunter2@git.example.com/a":         {User: "ghp_hunter2"},
		"https://ada:hunter2%40%3A%2F@git.example.com/": {},
		"https://x:hunter2@127.0.0.1/a":                 {},
		"https://x:hunter2@git.example.com:0/a":         {},
		"https://x:hunter2%zz@git.example.com/a":        {},
		"https://x:hunter2@unknown.example.com/a":       {},
		"git://x:hunter2@git.example.com/a":             {},
		"ssh://x:hunter2@git.example.com/a":             {},
		"https://x:hunter2@git.example.com/a b":         {},
		"https://x:hunter2 @git.example.com/a":          {},
		"https://x:hunter2@":                            {},
		"x:hunter2@git.example.com":                     {},
	} {
		remote, err := rules(mirror.Rules{}).Check(t.Context(), url)
		if want == (mirror.Credential{}) && err == nil {
			t.Errorf("Check(%q) is no error", url)
		}
		if want != (mirror.Credential{}) && (err != nil || *remote.Credential() != want) {
			t.Errorf("Check(%q): %v, credential %+v", url, err, remote.Credential())
		}
		encoded, jsonErr := json.Marshal(map[string]any{"remote": remote, "credential": remote.Credential()})
		shown := fmt.Sprintf("%v %+v %#v %s %v %#v %v %s %v", remote, remote, remote, remote, &remote, &remote,
			err, encoded, remote.Credential())
		if strings.Contains(shown, "hunter2") || jsonErr != nil {
			t.Errorf("Check(%q) shows %s", url, shown)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"https://u:p@git.example.com:443/a/b.git", "git@git.example.com:a", "ssh://git@[::1]:22/a", "ext::sh -c id",
		"file:///etc", "/etc/passwd", "https://0x7f.1/", "https://[::ffff:1.2.3.4]/a", "-x", "a:b:c@d:e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		remote, err := rules(mirror.Rules{}).Check(t.Context(), url)
		if err != nil {
			return
		}
		shown := remote.String()
		if strings.HasPrefix(shown, "-") || strings.ContainsAny(shown, " \n\r\x00'\"`\\") && strings.HasPrefix(shown, "ssh") {
			t.Errorf("Check(%q) = %q", url, shown)
		}
		again, err := rules(mirror.Rules{}).Check(t.Context(), shown)
		if err != nil || again.String() != shown || again.Credential() != nil {
			t.Errorf("Check(%q) = %q, and again %q, %v", url, shown, again, err)
		}
	})
}
