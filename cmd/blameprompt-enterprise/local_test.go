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
