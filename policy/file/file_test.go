package file_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/file"
)

// read is what a file holds: name, line and rule of each policy.
func read(t *testing.T, name, text string) (out []string) {
	t.Helper()
	entries, err := file.Read(name, []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%d %s %s", e.Line, e.Name, e.Rule.JSON()))
	}
	return out
}

const tomlList = `# Budgets
[[policy]]
name = "Budget"
action = "block"
rule = { max_cost_per_day = 50.10, per = "repo" }

[[policy]]
name = "Models"
enabled = false
[policy.rule]
allowed_models = ["claude-*",
  "gpt-5-codex"]
[policy.rule.aliases]
codex = "gpt-5-codex"
[policy.scope]
repos = ["shop/*"]

[[policy]]
name = "Expression"
[policy.rule]
expression = """
push.ai < 100 ||
'issue' in commits[0].trailers"""
`

func TestReadsPolicies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"a TOML list": {"p.toml", tomlList, []string{
			`2 Budget {"max_cost_per_day":50.1,"per":"repo"}`,
			`7 Models {"aliases":{"codex":"gpt-5-codex"},"allowed_models":["claude-*","gpt-5-codex"]}`,
			`18 Expression {"expression":"push.ai < 100 ||\n'issue' in commits[0].trailers"}`}},
		"one in TOML":        {"p.toml", "\nname = 'x'\nrule.max_cost_per_prompt = 2\n", []string{`1 x {"max_cost_per_prompt":2}`}},
		"a TOML array":       {"p.toml", "policy = [\n {name='x', rule={require_receipts=true}}]", []string{`2 x {"require_receipts":true}`}},
		"one in JSON":        {"p.json", "\n\n{\"name\":\"x\",\n\"rule\":{\"max_ai_percentage\":60.50}}", []string{`3 x {"max_ai_percentage":60.50}`}},
		"a JSON array":       {"p.json", "[{\"name\":\"x\",\"rule\":{\"require_receipts\":true}},\n {\"name\":\"y\",\"rule\":{\"require_receipts\":true}}]", []string{`1 x {"require_receipts":true}`, `2 y {"require_receipts":true}`}},
		"a JSON list":        {"p.json", "{\"policy\":[\n{\"name\":\"x\",\"rule\":{\"require_receipts\":true}}]}", []string{`2 x {"require_receipts":true}`}},
		"an empty array":     {"p.json", "[]", nil},
		"JSON from standard": {"-", ` [{"name":"x","rule":{"require_receipts":true}}]`, []string{`1 x {"require_receipts":true}`}},
		"TOML from standard": {"-", "[[policy]]\nname='x'\nrule={require_receipts=true}", []string{`1 x {"require_receipts":true}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, read(t, c.file, c.text)); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMistakesHaveTheirLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"an unknown key in TOML": {"p.toml", "[[policy]]\nname='a'\nrule={require_receipts=true}\n[[policy]]\nname='b'\nenable=true\n[policy.rule]\nmax_cost_per_day=1\nper='day'\nextra=1\n", []string{
			`6: policy "b": enable: is unknown`, `9: policy "b": rule.per: has a value`, `10: policy "b": rule.extra: is unknown`}},
		"an element in TOML":     {"p.toml", "name='a'\nrule={require_receipts=true}\n[scope]\nrepos=[\n'x',\n'[',\n'y']\n", []string{`6: policy "a": scope.repos[1]: `}},
		"an inline array":        {"p.toml", "policy=[\n{name='a', rule={require_receipts=true}},\n{name='b',\nrule={require_receipts=false}}]", []string{`4: policy "b": rule.require_receipts: must be true`}},
		"keys beside the list":   {"p.toml", "enabled=true\n[[policy]]\nname='a'\nrule={require_receipts=true}\n", []string{`1: "enabled" stands outside`}},
		"a twin in TOML":         {"p.toml", "name='a'\nname='b'\n", []string{`2: the file is not readable TOML: column 1: `}},
		"broken TOML":            {"p.toml", "name='a'\nrule=[\n", []string{`the file is not readable TOML`}},
		"a strange key":          {"p.toml", "name='a'\n[rule]\nrequire_receipts=true\n\"odd key\"=1\n", []string{`2: policy "a": rule."odd key": is unknown`}},
		"infinity":               {"p.toml", "name='a'\nrule.max_cost_per_day=inf\n", []string{`2: policy "a": rule.max_cost_per_day: must be a number`}},
		"a date":                 {"p.toml", "name='a'\nrule.max_cost_per_day=2024-01-01\n", []string{`2: policy "a": rule.max_cost_per_day: must be a number`}},
		"nothing in TOML":        {"p.toml", " \n", []string{`1: the file is empty`}},
		"a missing rule":         {"p.toml", "\n[[policy]]\nname='a'\n", []string{`2: policy "a": rule: is missing`}},
		"one name twice":         {"p.toml", "[[policy]]\nname='a'\nrule={require_receipts=true}\n[[policy]]\nname='a'\nrule={require_receipts=true}\n", []string{`5: policy "a": name: is that of the policy on line 1`}},
		"an unknown key in JSON": {"p.json", "[{\"name\":\"a\",\n\"rule\":{\"require_receipts\":true},\n\"scope\":{\n\"repo\":[]}}]", []string{`4: policy "a": scope.repo: is unknown`}},
		"an element in JSON":     {"p.json", "{\"name\":\"a\",\n\"rule\":{\n\"allowed_models\":[\"x\",\n\"y\",\n7]}}", []string{`5: policy "a": rule.allowed_models[2]: must be a text`}},
		"a twin in JSON":         {"p.json", "{\"name\":\"a\",\n\"name\":\"b\",\n\"rule\":{\"require_receipts\":true}}", []string{`1: policy "b": name: is given twice`}},
		"broken JSON":            {"p.json", "{\"name\":\"a\",\n\"rule\":{\n}},", []string{`the file has text behind`}},
		"worse JSON":             {"p.json", "{\"name\":\"a\",\n\"rule\":}", []string{`2: the file is not readable JSON`}},
		"JSON that is cut off":   {"p.json", "{\"name\":\"a\",\n\"rule\":\n", []string{`3: the file is not readable JSON`}},
		"nothing in JSON":        {"p.json", "", []string{`1: the file is empty`}},
		"a number":               {"p.json", "7", []string{`1: the file holds neither`}},
		"a list of numbers":      {"p.json", "[\n7]", []string{`2: policy: must be a JSON object`}},
		"members beside a list":  {"p.json", `{"policy":[],"x":1}`, []string{`1: the file has other members`}},
		"a large file":           {"p.json", strings.Repeat(" ", file.Max+1), []string{`1: the file has`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, err := file.Read(c.file, []byte(c.text))
			if err == nil || entries != nil {
				t.Fatalf("read %v, %v", entries, err)
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(c.want) {
				t.Fatalf("mistakes:\n%s\nwant %d", err, len(c.want))
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) || !strings.HasPrefix(got[i], c.file+":") {
					t.Errorf("mistake %q, want %q", got[i], want)
				}
			}
		})
	}
}

func TestDeepFilesAreRefused(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for name, text := range map[string]string{
		"p.toml": "a=" + strings.Repeat("[", n), "q.toml": strings.Repeat("a.", n) + "a=1", "r.toml": "a=" + strings.Repeat("{a=", n),
		"p.json": strings.Repeat("[", n), "q.json": strings.Repeat(`{"a":`, n),
	} {
		if _, err := file.Read(name, []byte(text)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// rewritten holds that a policy is written as it is read.
func rewritten(t *testing.T, p policy.Policy) {
	t.Helper()
	text, err := file.Write(p)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := file.Read("written.toml", text)
	if err != nil || len(entries) != 1 || !entries[0].Same(p) {
		t.Errorf("written as another policy, %v:\n%s", err, text)
	}
}

func TestPoliciesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`{"name":"a \"b\" ü","rule":{"max_cost_per_day":1000000000,"per":"repo"},"action":"block","enabled":false}`,
		`{"name":"a","rule":{"max_cost_per_day":999999999.123456},"scope":{"repos":["shop/*","!shop/x"],"branches":["refs/tags/*"],"teams":["core"]}}`,
		`{"name":"a","rule":{"max_cost_per_prompt":0.000001}}`, `{"name":"a","rule":{"max_ai_percentage":5e1}}`,
		`{"name":"a","rule":{"expression":"commits.all(c, c.ai < 7) &&\n\t'''x''' in push.files","message":"it's \"\"\" <odd>\\"}}`,
		`{"name":"a","rule":{"allowed_models":["claude-*"],"aliases":{"my model":"claude-x"}}}`,
	} {
		p, err := policy.Parse([]byte(document))
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		rewritten(t, p)
	}
}

// FuzzRead holds what the package promises: no panic, lines within the file,
// and what is read can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add("p.toml", tomlList)
	f.Add("p.json", `{"policy":[{"name":"x","rule":{"max_cost_per_day":1e2,"per":"team"},"scope":{"teams":["a"]}}]}`)
	f.Add("-", "policy = [{name='x', rule={a=[[1],{b=2}]}}]\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		entries, err := file.Read(name, []byte(text))
		last := 1 + strings.Count(text, "\n")
		var wrong *file.Error
		if errors.As(err, &wrong) {
			if len(wrong.Mistakes) == 0 {
				t.Error("an error without mistakes")
			}
			for _, m := range wrong.Mistakes {
				if m.Line < 1 || m.Line > last {
					t.Errorf("line %d of %d: %s", m.Line, last, m.Text)
				}
			}
			return
		}
		if err != nil {
			t.Fatalf("an error of another kind: %v", err)
		}
		for _, e := range entries {
			document, err := json.Marshal(e.Policy)
			if err != nil {
				t.Fatal(err)
			}
			again, err := policy.Parse(document)
			if err != nil || !again.Same(e.Policy) {
				t.Errorf("%s is read as another policy: %v", document, err)
			}
			if e.Line < 1 || e.Line > last {
				t.Errorf("line %d of %d", e.Line, last)
			}
			rewritten(t, e.Policy)
		}
	})
}
