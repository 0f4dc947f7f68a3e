package forge

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

func contextEndingSoon(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	return ctx, cancel
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func TestNormalizeAPIURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		forge     Name
		raw, want string
	}{
		{GitHub, "", "https://api.github.com"},
		{GitLab, "", "https://gitlab.com/api/v4"},
		{Bitbucket, "", "https://api.bitbucket.org/2.0"},
		{GitHub, "https://API.GitHub.com/", "https://api.github.com"},
		{GitHub, "https://api.acme.ghe.com", "https://api.acme.ghe.com"},
		{GitHub, "https://ghe.example.com", "https://ghe.example.com/api/v3"},
		{GitHub, "https://ghe.example.com:443/api/v3/", "https://ghe.example.com/api/v3"},
		{GitLab, "https://git.example.com/gitlab", "https://git.example.com/gitlab/api/v4"},
		{GitLab, "https://git.example.com/gitlab//api/v4", "https://git.example.com/gitlab/api/v4"},
		{Gitea, "http://[::1]:3000", "http://[::1]:3000/api/v1"},
		{Bitbucket, "https://bb.example.com", "https://bb.example.com/rest/api/latest"},
		{Bitbucket, "https://bb.example.com/rest/api/1.0", "https://bb.example.com/rest/api/1.0"},
		{Bitbucket, "https://api.bitbucket.org/2.0/", "https://api.bitbucket.org/2.0"},
	} {
		got, err := NormalizeAPIURL(c.forge, c.raw)
		if err != nil || got != c.want {
			t.Errorf("%s %q: %q, %v, want %q", c.forge, c.raw, got, err, c.want)
		}
		if again, err := NormalizeAPIURL(c.forge, got); err != nil || again != got {
			t.Errorf("%s %q: %q the second time, %v", c.forge, got, again, err)
		}
	}
	for _, raw := range []string{"ftp://x.example", "x.example", "https://", "https://user:hunter2@x.example", "https://x.example?token=hunter2",
		"https://x.example/#hunter2", "https://x.example/\x00hunter2", "https://x y.example", strings.Repeat("https://x.example/", 500)} {
		if got, err := NormalizeAPIURL(GitHub, raw); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %q, %v", raw, got, err)
		}
	}
	if _, err := NormalizeAPIURL(Gitea, ""); err == nil {
		t.Error("gitea without an address is taken")
	}
	if _, err := NormalizeAPIURL(Gogs, ""); !errors.Is(err, ErrNoAPI) {
		t.Errorf("gogs: %v", err)
	}
	if _, err := NormalizeAPIURL("svn", ""); !errors.Is(err, ErrForge) {
		t.Errorf("svn: %v", err)
	}
}

func TestGitCredential(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		forge          Name
		url, token     string
		user, password string
	}{
		{GitHub, "https://api.github.com", "ghp_x", "x-access-token", "ghp_x"},
		{GitHub, "https://api.github.com", "a:b", "x-access-token", "a:b"},
		{GitLab, "https://gitlab.com/api/v4", "glpat-x", "oauth2", "glpat-x"},
		{Gitea, "https://git.example.com/api/v1", "x", "x-access-token", "x"},
		{Bitbucket, "https://api.bitbucket.org/2.0", "ATCTT", "x-token-auth", "ATCTT"},
		{Bitbucket, "https://api.bitbucket.org/2.0", "me@example.com:ATATT", "x-bitbucket-api-token-auth", "ATATT"},
		{Bitbucket, "https://bb.example.com/rest/api/latest", "BBDC-x", "x-token-auth", "BBDC-x"},
		{Bitbucket, "https://bb.example.com/rest/api/latest", "me:BBDC-x", "me", "BBDC-x"},
	} {
		user, password := Account{Forge: c.forge, APIURL: c.url, Token: Secret(c.token)}.GitCredential()
		if user != c.user || string(password) != c.password {
			t.Errorf("%s %s: %s %s", c.forge, c.token, user, string(password))
		}
	}
}

func TestBitbucketTokensWithAUser(t *testing.T) {
	t.Parallel()
	f := newForge(t, map[string]reply{"*": {body: `{}`}})
	a := account(f, 3)
	a.Token = "me@example.com:ATATT"
	if err := newClient(t, ClientConfig{}).Check(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if auth := f.take()[0].Auth; auth != "Basic bWVAZXhhbXBsZS5jb206QVRBVFQ=" {
		t.Errorf("authenticated by %q", auth)
	}
}
