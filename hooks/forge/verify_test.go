package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func mac(secret Secret, signed string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(signed))
	return hex.EncodeToString(sum.Sum(nil))
}

// Vectors that others published: GitHub docs, "Validating webhook deliveries";
// the reference libraries of Standard Webhooks.
func TestVerifyPublishedVectors(t *testing.T) {
	t.Parallel()
	hello := http.Header{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}}
	secrets := []Secret{"It's a Secret to Everybody"}
	if err := Verify(GitHub, hello, []byte("Hello, World!"), secrets, testNow); err != nil {
		t.Errorf("GitHub: %v", err)
	}
	standard := http.Header{}
	standard.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	standard.Set("webhook-timestamp", "1614265330")
	standard.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	secrets = []Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	if err := Verify(GitLab, standard, []byte(`{"test": 2432232314}`), secrets, time.Unix(1614265330, 0)); err != nil {
		t.Errorf("Standard Webhooks: %v", err)
	}
}

// credentials names, for each push recording, the headers without which it is
// unsigned.
var credentials = []struct {
	name     string
	headers  []string
	bodyless bool // the credential does not cover the body
}{
	{name: "github/push", headers: []string{"X-Hub-Signature-256"}},
	{name: "github/push-form", headers: []string{"X-Hub-Signature-256"}},
	{name: "gitlab/push", headers: []string{"X-Gitlab-Token"}, bodyless: true},
	{name: "gitlab/push-signed", headers: []string{"webhook-signature"}},
	{name: "gitlab/push-token-and-signed", headers: []string{"webhook-signature", "X-Gitlab-Token"}},
	{name: "gitea/push", headers: []string{"X-Gitea-Signature", "X-Hub-Signature-256"}},
	{name: "gitea/push-form", headers: []string{"X-Gitea-Signature", "X-Hub-Signature-256"}},
	{name: "gitea/push-forgejo", headers: []string{"X-Gitea-Signature", "X-Forgejo-Signature", "X-Hub-Signature-256"}},
	{name: "gogs/push", headers: []string{"X-Gogs-Signature"}},
	{name: "gogs/push-form", headers: []string{"X-Gogs-Signature"}},
	{name: "gogs/notes", headers: []string{"X-Gogs-Signature"}},
	{name: "bitbucket/cloud-push", headers: []string{"X-Hub-Signature"}},
	{name: "bitbucket/dc-push", headers: []string{"X-Hub-Signature"}},
	{name: "bitbucket/dc-ping", headers: []string{"X-Hub-Signature"}},
	{name: "generic/push", headers: []string{"X-BlamePrompt-Signature-256"}},
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range credentials {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, body := recorded(t, c.name)
			check := func(what string, want error, change func(h http.Header), body []byte, secrets ...Secret) {
				t.Helper()
				h, _ := recorded(t, c.name)
				change(h)
				if err := Verify(forgeOf(c.name), h, body, secrets, testNow); !errors.Is(err, want) {
					t.Errorf("%s: got %v, want %v", what, err, want)
				}
			}
			same := func(http.Header) {}
			check("other secret", ErrBadSignature, same, body, "other", "whsec_b3RoZXI=")
			check("no secret", ErrNoSecret, same, body)
			check("empty secret", ErrNoSecret, same, body, "")
			if !c.bodyless {
				changed := []byte(strings.Replace(string(body), "e", "f", 1))
				check("changed body", ErrBadSignature, same, changed, testSecret, testKey)
				longer := []byte(string(body) + " ")
				check("longer body", ErrBadSignature, same, longer, testSecret, testKey)
			}
			check("unsigned", ErrUnsigned, func(h http.Header) {
				for _, name := range c.headers {
					h.Del(name)
				}
			}, body, testSecret, testKey)
			check("empty headers", ErrUnsigned, func(h http.Header) {
				for _, name := range c.headers {
					h.Set(name, "")
				}
			}, body, testSecret, testKey)
			check("garbage", ErrBadSignature, func(h http.Header) {
				for _, name := range c.headers {
					h.Set(name, "sha256=zz")
				}
			}, body, testSecret, testKey)
			for _, name := range c.headers {
				double := func(h http.Header) { h.Add(name, h.Get(name)) }
				check("doubled "+name, ErrHeader, double, body, testSecret, testKey)
			}
		})
	}
}

func TestVerifyRefusesContradictingSignatures(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-Gitea-Signature", "X-Forgejo-Signature", "X-Hub-Signature-256"} {
		header, body := recorded(t, "gitea/push-forgejo")
		header.Set(name, strings.Repeat("ab", 32))
		err := Verify(Gitea, header, body, []Secret{testSecret}, testNow)
		if !errors.Is(err, ErrHeader) {
			t.Errorf("%s: got %v, want ErrHeader", name, err)
		}
	}
}

// Gitea without a secret sends its signature headers all the same.
func TestVerifyGiteaWithoutSecretIsUnsigned(t *testing.T) {
	t.Parallel()
	header := http.Header{}
	header.Set("X-Gitea-Signature", "")
	header.Set("X-Hub-Signature", "sha1=")
	header.Set("X-Hub-Signature-256", "sha256=")
	if err := Verify(Gitea, header, []byte("{}"), []Secret{testSecret}, testNow); !errors.Is(err, ErrUnsigned) {
		t.Errorf("got %v, want ErrUnsigned", err)
	}
}

// What cannot be decoded has no signed part to compare.
func TestVerifyBrokenForm(t *testing.T) {
	t.Parallel()
	header, _ := recorded(t, "gitea/push-form")
	for _, form := range []string{"", "payload=%zz", "payload=a&payload=a"} {
		if err := Verify(Gitea, header, []byte(form), []Secret{testSecret}, testNow); !errors.Is(err, ErrBody) {
			t.Errorf("%q: got %v, want ErrBody", form, err)
		}
	}
}

// GitHub signs the form, Gitea and Gogs the JSON within.
func TestVerifyFormsBySignedPart(t *testing.T) {
	t.Parallel()
	payload := `{"ref": "refs/heads/a b"}`
	form := "payload=" + url.QueryEscape(payload)
	cases := []struct {
		forge          Name
		header, signed string
	}{
		{GitHub, "X-Hub-Signature-256", form},
		{Gitea, "X-Gitea-Signature", payload},
		{Gogs, "X-Gogs-Signature", payload},
	}
	for _, c := range cases {
		h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		h.Set(c.header, mac(testSecret, c.signed))
		if err := Verify(c.forge, h, []byte(form), []Secret{testSecret}, testNow); err != nil {
			t.Errorf("%s: %v", c.forge, err)
		}
	}
}

func TestVerifyTimestamps(t *testing.T) {
	t.Parallel()
	cases := []struct {
		late time.Duration
		want error
	}{
		{0, nil}, {Tolerance, nil}, {-Tolerance, nil},
		{Tolerance + time.Second, ErrStale}, {-Tolerance - time.Second, ErrStale},
		{24 * time.Hour, ErrStale}, {-100 * 365 * 24 * time.Hour, ErrStale},
	}
	for _, name := range []string{"gitlab/push-signed", "generic/push"} {
		header, body := recorded(t, name)
		for _, c := range cases {
			err := Verify(forgeOf(name), header, body, []Secret{testSecret, testKey}, testNow.Add(c.late))
			if !errors.Is(err, c.want) {
				t.Errorf("%s %v late: got %v, want %v", name, c.late, err, c.want)
			}
		}
	}
}

// A replayed request with a fresh timestamp must fail on its signature, and so
// must one with another id.
func TestVerifySignatureCoversTimestampAndID(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"generic/push": "X-BlamePrompt-Timestamp", "gitlab/push-signed": "webhook-timestamp",
	} {
		later := testNow.Add(time.Hour)
		h, body := recorded(t, name)
		h.Set(header, fmt.Sprint(later.Unix()))
		err := Verify(forgeOf(name), h, body, []Secret{testSecret, testKey}, later)
		if !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: got %v, want ErrBadSignature", name, err)
		}
		for _, bad := range []string{"", "now", "-1", "1e9", "99999999999999999999", "1763971934.5"} {
			h.Set(header, bad)
			if err := Verify(forgeOf(name), h, body, []Secret{testSecret, testKey}, testNow); !errors.Is(err, ErrHeader) {
				t.Errorf("%s timestamp %q: got %v, want ErrHeader", name, bad, err)
			}
		}
	}
	h, body := recorded(t, "gitlab/push-signed")
	h.Set("webhook-id", "another")
	if err := Verify(GitLab, h, body, []Secret{testKey}, testNow); !errors.Is(err, ErrBadSignature) {
		t.Errorf("other id: got %v, want ErrBadSignature", err)
	}
	h.Del("webhook-id")
	if err := Verify(GitLab, h, body, []Secret{testKey}, testNow); !errors.Is(err, ErrHeader) {
		t.Errorf("no id: got %v, want ErrHeader", err)
	}
}

func TestVerifyGitLabChoosesTheCredential(t *testing.T) {
	t.Parallel()
	good, body := recorded(t, "gitlab/push-token-and-signed")
	with := func(name, value string) http.Header {
		h := good.Clone()
		h.Set(name, value)
		return h
	}
	signature := good.Get("webhook-signature")
	var tooMany []string
	for range maxSignatures + 1 {
		tooMany = append(tooMany, signature)
	}
	cases := []struct {
		what    string
		header  http.Header
		secrets []Secret
		want    error
	}{
		{"both, both known", good, []Secret{testSecret, testKey}, nil},
		{"both, token known", good, []Secret{testSecret}, nil},
		{"both, key known", good, []Secret{testKey}, nil},
		{"bad signature is not saved by the token", with("webhook-signature", "v1,AAAA"),
			[]Secret{testSecret, testKey}, ErrBadSignature},
		{"bad token does not matter beside a good signature", with("X-Gitlab-Token", "x"),
			[]Secret{testKey}, nil},
		{"second signature matches", with("webhook-signature", "v1a,xyz v1,AAAA "+signature), []Secret{testKey}, nil},
		{"other versions alone", with("webhook-signature", "v1a,AAAA v2,AAAA"), []Secret{testKey}, ErrBadSignature},
		{"too many signatures", with("webhook-signature", strings.Join(tooMany, " ")),
			[]Secret{testKey}, ErrHeader},
		{"signing key never serves as token", with("X-Gitlab-Token", string(testKey)),
			[]Secret{testSecret}, ErrBadSignature},
		{"broken signing key", good, []Secret{"whsec_%%%", "whsec_"}, ErrNoSecret},
	}
	for _, c := range cases {
		if err := Verify(GitLab, c.header, body, c.secrets, testNow); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
	}
	leaked := http.Header{}
	leaked.Set("X-Gitlab-Token", string(testKey))
	if err := Verify(GitLab, leaked, body, []Secret{testKey}, testNow); !errors.Is(err, ErrNoSecret) {
		t.Errorf("signing key sent as token: got %v, want ErrNoSecret", err)
	}
}

func TestVerifyAndParseBoundTheBody(t *testing.T) {
	t.Parallel()
	head, tail := `{"repository": "acme/payments", "padding": "`, `"}`
	full := []byte(head + strings.Repeat("x", MaxBody-len(head)-len(tail)) + tail)
	header := http.Header{}
	header.Set("X-BlamePrompt-Timestamp", fmt.Sprint(testNow.Unix()))
	header.Set("X-BlamePrompt-Signature-256", mac(testSecret, fmt.Sprint(testNow.Unix())+"."+string(full)))
	if err := Verify(Generic, header, full, []Secret{testSecret}, testNow); err != nil {
		t.Errorf("Verify of %d bytes: %v", len(full), err)
	}
	if d, err := Parse(Generic, header, full); err != nil || d.FullName != "acme/payments" {
		t.Errorf("Parse of %d bytes: %q, %v", len(full), d.FullName, err)
	}
	above := append(full, '\n')
	for _, f := range Names() {
		if err := Verify(f, header, above, []Secret{testSecret}, testNow); !errors.Is(err, ErrTooLarge) {
			t.Errorf("Verify %s: got %v, want ErrTooLarge", f, err)
		}
		if _, err := Parse(f, header, above); !errors.Is(err, ErrTooLarge) {
			t.Errorf("Parse %s: got %v, want ErrTooLarge", f, err)
		}
	}
}

func TestUnknownForge(t *testing.T) {
	t.Parallel()
	if err := Verify("svn", nil, nil, nil, testNow); !errors.Is(err, ErrForge) {
		t.Errorf("Verify: got %v, want ErrForge", err)
	}
	if _, err := Parse("svn", nil, nil); !errors.Is(err, ErrForge) {
		t.Errorf("Parse: got %v, want ErrForge", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(map[string]any{"secret": testSecret, "list": []Secret{testKey}})
	if err != nil {
		t.Fatal(err)
	}
	one, list := testSecret, []Secret{testKey}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %v %s", one, one, one, one, one, one, list, encoded)
	for _, secret := range []Secret{testSecret, testKey} {
		hexed := hex.EncodeToString([]byte(secret))
		if strings.Contains(shown, string(secret)) || strings.Contains(shown, hexed) {
			t.Errorf("a secret shows in %s", shown)
		}
	}
}
