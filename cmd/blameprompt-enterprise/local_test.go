package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

func TestRepoOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"git@git.example.com:acme/api.git":             "acme/api",
		"git.example.com:acme/api":                     "acme/api",
		"ssh://git@git.example.com:2222/acme/api.git/": "acme/api",
		"https://token@git.example.com/acme/sub/api":   "acme/sub/api",
		"git@git.example.com:/srv/git/api.git":         "api",
		"/srv/git/acme/api.git":                        "api",
		"file:///srv/git/acme/api.git":                 "api",
		"../api.git":                                   "../api",
		"":                                             "",
	} {
		if got := repoOf(address); got != want {
			t.Errorf("%q is called %q, want %q", address, got, want)
		}
	}
}

func TestWithoutUser(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://ada:secret@git.example.com/a.git": "https://git.example.com/a.git",
		"git@git.example.com:a.git":                "git@git.example.com:a.git",
		"/srv/git/a.git":                           "/srv/git/a.git",
	} {
		if got := withoutUser(address); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}

func TestReadPrePush(t *testing.T) {
	t.Parallel()
	a, b, null := strings.Repeat("a", 40), strings.Repeat("b", 40), string(gitcmd.ZeroOID)
	got, err := readPrePush(strings.NewReader(
		"refs/heads/main " + a + " refs/heads/main " + b + "\n" +
			"HEAD@{1 day ago} " + a + " refs/heads/old " + null + "\n" +
			"(delete) " + null + " refs/heads/gone " + b + "\n"))
	want := []hooks.Update{
		{Old: gitcmd.OID(b), New: gitcmd.OID(a), Ref: "refs/heads/main"},
		{Old: gitcmd.ZeroOID, New: gitcmd.OID(a), Ref: "refs/heads/old"},
		{Old: gitcmd.OID(b), New: gitcmd.ZeroOID, Ref: "refs/heads/gone"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, text := range []string{
		"\n", "refs/heads/main\n", a + " " + b + " refs/heads/main\n", "refs/heads/main " + a + " refs/heads/main x\n",
		strings.Repeat("x", maxPrePushLine+1) + "\n",
	} {
		if _, err := readPrePush(strings.NewReader(text)); err == nil {
			t.Errorf("%.80q is taken", text)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "-", "a\x1b[31mb": "a?[31mb", "a\nb\tc": "a b c", "é–漢": "é–漢", "a\u202eb": "a?b",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestDollars(t *testing.T) {
	t.Parallel()
	for amount, want := range map[string]string{"": "", "0": "$0.00", "1.5": "$1.50", "0.0123": "$0.0123", "12345678901234567890.1": "$12345678901234567890.10"} {
		if got := dollars(json.Number(amount)); got != want {
			t.Errorf("%q is shown as %q, want %q", amount, got, want)
		}
	}
}

func TestWhereAPushGoes(t *testing.T) {
	t.Parallel()
	with := func(settings ...string) map[string][]string {
		all := map[string][]string{"remote.origin.url": {"o"}, "remote.fork.url": {"f"}, "remote.fork.pushurl": {"p"}}
		for _, s := range settings {
			key, value, _ := strings.Cut(s, "=")
			all[key] = append(all[key], value)
		}
		return all
	}
	tracked := []trackingRef{{name: "refs/remotes/origin/HEAD", symref: "refs/remotes/origin/trunk"}, {name: "refs/remotes/origin/trunk"}}
	for _, test := range []struct {
		name        string
		c           checkout
		f           checkFlags
		remote, ref string
	}{
		{"no upstream", checkout{branch: "refs/heads/a", settings: with()}, checkFlags{}, "origin", "refs/heads/a"},
		{"an upstream", checkout{branch: "refs/heads/a", settings: with(), upstream: upstream{"fork", "refs/heads/b"}}, checkFlags{},
			"fork", "refs/heads/b"},
		{"an upstream here", checkout{branch: "refs/heads/a", settings: with(), upstream: upstream{".", "refs/heads/b"}}, checkFlags{},
			"origin", "refs/heads/a"},
		{"pushed elsewhere", checkout{branch: "refs/heads/a", settings: with("branch.a.pushremote=fork"),
			upstream: upstream{"origin", "refs/heads/b"}}, checkFlags{}, "fork", "refs/heads/a"},
		{"all pushed elsewhere", checkout{branch: "refs/heads/a", settings: with("remote.pushdefault=fork")}, checkFlags{},
			"fork", "refs/heads/a"},
		{"one remote", checkout{branch: "refs/heads/a", settings: map[string][]string{"remote.up.url": {"u"}}}, checkFlags{},
			"up", "refs/heads/a"},
		{"detached", checkout{settings: with(), remotes: tracked}, checkFlags{}, "origin", "refs/heads/trunk"},
		{"a branch is named", checkout{settings: with(), remotes: tracked}, checkFlags{branch: "x"}, "origin", "refs/heads/x"},
		{"a ref is named", checkout{settings: with(), remotes: tracked}, checkFlags{branch: "refs/tags/x"}, "origin", "refs/tags/x"},
		{"detached, and nothing known", checkout{settings: with()}, checkFlags{}, "origin", ""},
	} {
		remote := test.c.remote()
		ref, err := test.c.target(remote, test.f)
		if remote != test.remote || ref != test.ref || (err == nil) != (test.ref != "") {
			t.Errorf("%s: %s at %s, %v, want %s at %s", test.name, ref, remote, err, test.ref, test.remote)
		}
	}
	c := checkout{settings: with()}
	if got := c.remoteURL("fork") + c.remoteURL("origin") + c.remoteURL("nobody"); got != "po" {
		t.Errorf("addresses %q", got)
	}
}
