package policy

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/push"
)

var update = flag.Bool("update", false, "write the texts of findings into testdata/cases")

// goldenCase is one push with the verdict that is expected. Outcome and count
// are written by hand; -update writes the findings' texts alone.
type goldenCase struct {
	Name     string            `json:"name"`
	Policies []json.RawMessage `json:"policies"`
	Input    json.RawMessage   `json:"input"`
	Outcome  push.Outcome      `json:"outcome"`
	Count    int               `json:"count"`
	Findings []string          `json:"findings"`
}

// minCases is how many golden cases there are at least.
const minCases = 150

func TestCases(t *testing.T) {
	t.Parallel()
	total := 0
	for _, file := range caseFiles(t) {
		cases := readCases(t, file)
		total += len(cases)
		for i := range cases {
			t.Run(filepath.Base(file)+"/"+cases[i].Name, func(t *testing.T) { checkCase(t, &cases[i]) })
		}
		if *update {
			writeCases(t, file, cases)
		}
	}
	if total < minCases {
		t.Errorf("%d cases, want at least %d", total, minCases)
	}
}

func checkCase(t *testing.T, c *goldenCase) {
	set, in := c.set(t), c.input(t)
	verdict := set.Evaluate(context.Background(), in)
	texts := findingTexts(verdict)
	if *update {
		c.Findings = texts
	}
	if verdict.Outcome != c.Outcome || len(verdict.Findings) != c.Count {
		t.Errorf("outcome %s with %d findings, want %s with %d", verdict.Outcome, len(verdict.Findings),
			c.Outcome, c.Count)
	}
	if diff := cmp.Diff(c.Findings, texts); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// findingTexts writes findings as the lines that golden files hold.
func findingTexts(v push.Verdict) []string {
	texts := []string{}
	for _, f := range v.Findings {
		account := ""
		if f.Account != nil {
			account = strings.Join([]string{string(f.Account.Per), f.Account.Key, f.Account.Period}, " ")
		}
		commit := f.Commit[:min(len(f.Commit), 4)]
		texts = append(texts, strings.Join([]string{
			string(f.Outcome), string(f.Problem), f.PolicyName, f.Rule, commit, f.File, f.Receipt, f.Model,
			account,
			f.Limit, f.Found, f.Message, f.Next,
		}, " | "))
	}
	return texts
}

func (c *goldenCase) set(t testing.TB) *Set {
	t.Helper()
	policies := make([]Policy, 0, len(c.Policies))
	for _, document := range c.Policies {
		p, err := Parse(document)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		policies = append(policies, p)
	}
	set, err := Compile(policies)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (c *goldenCase) input(t testing.TB) push.Input {
	t.Helper()
	var in push.Input
	dec := json.NewDecoder(strings.NewReader(string(c.Input)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return in
}

func caseFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return files
}

func readCases(t testing.TB, file string) []goldenCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return cases
}

func writeCases(t *testing.T, file string, cases []goldenCase) {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(cases); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
