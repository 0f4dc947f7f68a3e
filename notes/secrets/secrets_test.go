package secrets

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Made up here, so that no scanner takes this file for a leak.
var (
	awsKey    = "AKIA" + "QYLPMN5HHHFPZAM2"
	githubPAT = "ghp" + "_" + "9aB3dE7fG2hJ5kL8mN1pQ4rS6tU0vW3xY7zA"
	password  = "t0p" + "S3cr3tV4lue9"
	jwt       = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ" + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
	key       = "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat("MIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aozN3tihPmljnnudb9G3HECdnH\n", 20) + "-----END RSA PRIVATE KEY-----"
)

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {"please refactor the token parser; the key idea is access by name", "please refactor the token parser; the key idea is access by name"},
		"AWS":               {"use " + awsKey + " here", "use [masked:aws-access-token] here"},
		"GitHub":            {"export X=" + githubPAT, "export X=[masked:github-pat]"},
		"an assignment":     {"db_password = \"" + password + "\"\nnext", "db_password = \"[masked:generic-api-key]\"\nnext"},
		"JWT":               {"Bearer " + jwt + " ", "Bearer [masked:jwt] "},
		"private key":       {"see\n" + key + "\nend", "see\n[masked:private-key]\nend"},
		"two":               {awsKey + " and " + githubPAT, "[masked:aws-access-token] and [masked:github-pat]"},
		"upper-case name":   {"API_KEY: " + password, "API_KEY: [masked:generic-api-key]"},
		"an example":        {"AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"},
		"a hash is none":    {"commit 3f786850e387550fdab836ed7e6dc881de23001b", "commit 3f786850e387550fdab836ed7e6dc881de23001b"},
		"far behind a word": {"key " + strings.Repeat("x ", 40000) + awsKey, "key " + strings.Repeat("x ", 40000) + "[masked:aws-access-token]"},
	} {
		got, _ := Default().Mask(c.text)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%.2000s", name, diff)
		}
		if twice, rules := Default().Mask(got); twice != got {
			t.Errorf("%s: masked again it is %q %v", name, twice, rules)
		}
	}
}

func TestDocumentsStayDocuments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ doc, want string }{
		"a value":                 {`{"a": "` + awsKey + `"}`, `{"a": "[masked:aws-access-token]"}`},
		"a member's name counts":  {`{"password": "` + password + `", "n": 1}`, `{"password": "[masked:generic-api-key]", "n": 1}`},
		"behind escapes":          {`["x\n` + awsKey + `\n"]`, `["x\n[masked:aws-access-token]\n"]`},
		"written with escapes":    {`["\u0041` + awsKey[1:] + `"]`, `["[masked:aws-access-token]"]`},
		"an assignment in a text": {`["db_password = \"` + password + `\"\nx"]`, `["db_password = \"[masked:generic-api-key]\"\nx"]`},
		"a key with line breaks":  {`["` + strings.ReplaceAll(key, "\n", `\n`) + `"]`, `["[masked:private-key]"]`},
		"nothing":                 {`{"b":[1,2,{"c":"d\te"}]}`, `{"b":[1,2,{"c":"d\te"}]}`},
		"from one text to others": {`["-----BEGIN RSA PRIVATE KEY-----` + strings.Repeat("A1b2", 20) + `", "-----END RSA PRIVATE KEY-----"]`, `["[masked:private-key]"]`},
	} {
		got, _ := Default().MaskJSON([]byte(c.doc))
		if string(got) != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if !json.Valid(got) {
			t.Errorf("%s is no document any more: %s", name, got)
		}
	}
}

// TestEngineFindsWhatExpressionsFind compares the engine with every expression on all
// of the text: what the keywords and the reach leave out is nothing.
func TestEngineFindsWhatExpressionsFind(t *testing.T) {
	t.Parallel()
	s := Default()
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{awsKey, githubPAT, "password = '" + password + "'", jwt, "the", "key", "token:", "access", "\n", "\"", "=", "api_key=" + password + password, "{", "AKIA", "é", "secret => " + password + ";"}
	for range 300 {
		var b strings.Builder
		for range 3 + rng.IntN(120) {
			b.WriteString(words[rng.IntN(len(words))])
			b.WriteByte(" \n,"[rng.IntN(3)])
		}
		text := b.String()
		var want []Hit
		for n := range s.rules {
			if s.called(n, text) {
				want = append(want, s.try(&s.rules[n], text, span{0, len(text)})...)
			}
		}
		if diff := cmp.Diff(tidy(want), s.Find(text)); diff != "" {
			t.Fatalf("%q (-all of the text +engine):\n%s", text, diff)
		}
	}
}

func TestEveryRuleCompiles(t *testing.T) {
	t.Parallel()
	for i := range Default().rules {
		Default().rules[i].expr()
	}
	if n := len(Default().rules); n < 200 {
		t.Errorf("there are %d rules", n)
	}
}

// called reports whether the text holds a keyword of the rule.
func (s *Scanner) called(n int, text string) (found bool) {
	s.words.find(text, func(word uint16, _ int) { found = found || slices.Contains(s.byWord[word], n) })
	return found
}

// TestHostileTextTakesLinearTime: every keyword over and over.
func TestHostileTextTakesLinearTime(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"key=", "eyJ", "secret secret ", "-----BEGIN ", "curl -u ", "AKIA", "a"} {
		text := strings.Repeat(word, (256<<10)/len(word))
		began := time.Now()
		Default().Mask(text)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%d bytes of %q took %v", len(text), word, took)
		}
	}
}

func FuzzMaskJSON(f *testing.F) {
	f.Add(`{"password": "` + password + `\n"}`)
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := json.Marshal(map[string]string{"k": text, text: "v"})
		if err != nil {
			t.Skip()
		}
		if got, _ := Default().MaskJSON(doc); !json.Valid(got) {
			t.Errorf("%s became %s", doc, got)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	prose, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		b.Fatal(err)
	}
	code, err := os.ReadFile("../../store/erase.go")
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{"prose": string(prose), "code": string(code)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for range b.N {
				Default().Mask(text)
			}
		})
	}
	b.Run("start", func(b *testing.B) {
		for range b.N {
			if _, err := newScanner(rulesFile); err != nil {
				b.Fatal(err)
			}
		}
	})
}
