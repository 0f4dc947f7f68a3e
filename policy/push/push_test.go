package push

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustDecimal(t testing.TB, text string) Decimal {
	t.Helper()
	d, err := ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "50.0": "50", "0.30": "0.3", "1e2": "100", "1.5e-3": "0.0015", "12.5E1": "125",
		"-0.05": "-0.05",
		"100":   "100", "0.000000000000000000000000000001": "0.000000000000000000000000000001",
		"1e48":  "1" + strings.Repeat("0", 48),
		"0.1e1": "1", "007": "7",
	} {
		d, err := ParseDecimal(text)
		if err != nil || d.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, d, err, want)
		}
	}
	for _, text := range []string{
		"", "-", ".5", "5.", "1..2", "abc", "1e", "1e99", "1e-99", "NaN", "Inf", "+1", "1_0", "0x1", " 1",
		strings.Repeat("1", 65), "1e1.5", "--1",
	} {
		if d, err := ParseDecimal(text); err == nil {
			t.Errorf("%q was read as %s", text, d)
		}
	}
}

// TestDecimalIsExact compares arithmetic with rational numbers.
func TestDecimalIsExact(t *testing.T) {
	t.Parallel()
	texts := []string{"0", "0.1", "0.2", "0.3", "-0.3", "3.75e-9", "47.5", "1e18",
		"123456789.123456789123456789", "-2.5"}
	rat := func(d Decimal) *big.Rat {
		r, ok := new(big.Rat).SetString(d.String())
		if !ok {
			t.Fatalf("%s is no number", d)
		}
		return r
	}
	for _, a := range texts {
		for _, b := range texts {
			x, y := mustDecimal(t, a), mustDecimal(t, b)
			for name, got := range map[string]struct {
				d    Decimal
				want *big.Rat
			}{
				"+": {x.Add(y), new(big.Rat).Add(rat(x), rat(y))},
				"-": {x.Sub(y), new(big.Rat).Sub(rat(x), rat(y))},
				"*": {x.Mul(y), new(big.Rat).Mul(rat(x), rat(y))},
			} {
				if rat(got.d).Cmp(got.want) != 0 {
					t.Errorf("%s %s %s = %s, want %s", a, name, b, got.d, got.want)
				}
			}
			if got, want := x.Cmp(y), rat(x).Cmp(rat(y)); got != want {
				t.Errorf("%s compared with %s: %d, want %d", a, b, got, want)
			}
		}
		x := mustDecimal(t, a)
		if want, _ := rat(x).Float64(); x.Float64() != want {
			t.Errorf("%s as a float: %v, want %v", a, x.Float64(), want)
		}
	}
}

func TestDecimalTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"50": "$50.00", "0.5": "$0.50", "0.0123": "$0.0123", "-3": "-$3.00", "0": "$0.00", "1.239": "$1.239",
	} {
		if got := mustDecimal(t, text).Dollars(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if n := mustDecimal(t, "600.1").CeilDiv(1); n != 601 {
		t.Errorf("rounded up: %d", n)
	}
	if n := mustDecimal(t, "1000").CeilDiv(3); n != 334 {
		t.Errorf("rounded up: %d", n)
	}
	if _, whole := mustDecimal(t, "1.5").Int64(); whole {
		t.Error("1.5 is called whole")
	}
	if _, fits := mustDecimal(t, "1e30").Int64(); fits {
		t.Error("1e30 is said to fit")
	}
}

// TestDecimalJSON: numbers and strings are read, digits survive, other values
// are refused.
func TestDecimalJSON(t *testing.T) {
	t.Parallel()
	var got struct{ A, B, C Decimal }
	if err := json.Unmarshal([]byte(`{"A":0.1234567890123456789,"B":"2.50","C":null}`), &got); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"A":0.1234567890123456789,"B":2.5,"C":0}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	for _, bad := range []string{`true`, `"x"`, `[1]`, `1e400`} {
		var d Decimal
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s was read as %s", bad, d)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"0", "1.5", "-0.001", "1e10", "1E-10", "9e48", "0.0e0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDecimal(text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		got, _ := new(big.Rat).SetString(d.String())
		if !ok || got.Cmp(want) != 0 {
			t.Errorf("%q was read as %s", text, d)
		}
	})
}

func TestFindSecrets(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a1B2c3D4e5", 8)
	for text, want := range map[string][]SecretKind{
		"nothing to see":                          nil,
		"use [REDACTED_API_KEY] here":             {RedactedAPIKey},
		"Authorization: Bearer [REDACTED]":        {RedactedBearer},
		"[SHA256:0123456789ab...]":                {RedactedHash},
		"[SHA256:xyz]":                            nil,
		"mail [REDACTED_HOST] in [REDACTED_HOME]": nil,
		"[REDACTED_CUSTOMER_ID]":                  {RedactedOther},
		"[REDACTED_TOKEN] [REDACTED_SECRET]":      {RedactedSecret, RedactedToken},
		"AKIAIOSFODNN7EXAMPLE":                    {AWSKey},
		"an AKIA word":                            nil,
		"sk-ant-api03-" + long:                    {AnthropicKey},
		"sk-proj-" + long:                         {OpenAIKey},
		"sk-learn-is-a-library-for-python":        nil,
		"ghp_" + long[:36]:                        {GitHubToken},
		"github_pat_" + long:                      {GitHubToken},
		"glpat-" + long[:20]:                      {GitLabToken},
		"AIza" + long[:35]:                        {GoogleKey},
		"xoxb-123456789012-abc":                   {SlackToken},
		"sk_live_" + long[:24]:                    {StripeKey},
		"npm_" + long[:36]:                        {NPMToken},
		"pypi-" + long[:60]:                       {PyPIToken},
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijklmnop": {JWT},
		"-----BEGIN RSA PRIVATE KEY-----":                                   {PrivateKey},
		"-----BEGIN PUBLIC KEY-----":                                        nil,
		"postgres://app:hunter22@db.internal/x":                             {URLPassword},
		"postgres://app:${PASSWORD}@db.internal/x":                          nil,
		"https://example.com:8080/a@b":                                      nil,
		`password = "correct horse"`:                                        nil,
		`password = 'hunter22'`:                                             {Password},
		`"api_key": "abcdef123456"`:                                         {Password},
		`password: "[REDACTED_X]"`:                                          {RedactedOther},
	} {
		if diff := cmp.Diff(want, FindSecrets("before", text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if kinds := SecretKinds(); len(kinds) != len(slices.Compact(slices.Sorted(slices.Values(kinds)))) {
		t.Errorf("kinds are named twice: %v", kinds)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	ann := Person{User: "ann@example.com", Name: "Ann"}
	for _, c := range []struct {
		other Person
		want  bool
	}{
		{Person{User: "ANN@example.com"}, true}, {Person{Email: " ann@Example.com "}, true},
		{Person{Name: "Ann"}, false},
		{Person{}, false}, {Person{User: "bob@example.com"}, false},
	} {
		if got := ann.Same(c.other); got != c.want {
			t.Errorf("%+v: %v, want %v", c.other, got, c.want)
		}
	}
	if (Person{}).Same(Person{}) {
		t.Error("two unknown persons are called the same")
	}
}

func TestJudged(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 40)
	for _, c := range []struct {
		ref  Ref
		want bool
	}{
		{Ref{Kind: Update, New: "1f"}, true}, {Ref{Kind: Create}, true}, {Ref{Kind: Tag, New: "1f"}, true},
		{Ref{Kind: Tag, New: zeros}, false}, {Ref{Kind: Delete}, false}, {Ref{Kind: Notes, New: "1f"}, false},
	} {
		if got := c.ref.Judged(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.ref, got, c.want)
		}
	}
}

// TestInputTravels: an Input is the same after it went through JSON.
func TestInputTravels(t *testing.T) {
	t.Parallel()
	cost := mustDecimal(t, "0.123456789012345678")
	in := Input{
		Today: "2026-11-23", Pusher: Person{User: "u", Teams: []string{"a"}}, Repo: Repo{Name: "r"},
		Refs: []Ref{{Name: "refs/heads/x", Kind: Force, Origin: Web}}, Await: true,
		Commits: []Commit{{OID: "1", Files: []File{{Path: "p", Added: 3, AI: 1, Excluded: true}},
			Reviews: []Review{{Reviewer: Person{Email: "e"}, PatchID: "q", Approved: true}},
			Marks:   []Mark{{Agent: "claude"}}}},
		Receipts: []Receipt{{ID: "1", Commit: "1", CostUSD: &cost, Secrets: []SecretKind{JWT}}},
		Totals: Totals{Spent: []Spent{{Account: Account{Per: PerTeam, Key: "k", Period: "2026-11"}, USD: cost}},
			Windows: []Window{{Days: 7, Lines: Lines{Added: 1}}}},
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var back Input
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, back); diff != "" {
		t.Error(diff)
	}
}
