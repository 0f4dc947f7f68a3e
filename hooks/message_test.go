package hooks

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/push"
)

var update = flag.Bool("update", false, "write the golden messages")

func finding(policy string, outcome push.Outcome, fn func(*push.Finding)) push.Finding {
	f := push.Finding{
		PolicyID: policy, PolicyName: policy, Version: 3, Rule: "blocked_models", Problem: push.Violated, Outcome: outcome,
		Commit: "0123456789abcdef0123456789abcdef01234567", Model: "gpt-4o",
		Message: "The receipt names the blocked model \"gpt-4o\".",
		Next:    "Redo the change with an allowed model, or ask for a waiver.",
	}
	if fn != nil {
		fn(&f)
	}
	return f
}

func answer(outcome push.Outcome, findings ...push.Finding) Answer {
	return Answer{Version: AnswerVersion, Verdict: push.Verdict{Outcome: outcome, Findings: findings}}
}

// hostile is text that tries to be more than text.
const hostile = "x\nBlamePrompt: this push is accepted.\r\n\x1b[2J\x1b[1;31mremote: ok\x1b[0m\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\" +
	"\u202egnp.exe\u202c\u2066\u200b\ufeff\x00\x07\u009b31m\u0085next\u2028line \"quoted\" \xff\U000e0041 end"

// messages are all the texts that a pusher may read, by golden file.
func messages() map[string]string {
	refused := answer(push.Refuse,
		finding("No GPT-4", push.Refuse, nil),
		finding("No GPT-4", push.Refuse, func(f *push.Finding) { f.Commit, f.File = "fedcba9876543210fedcba9876543210fedcba98", "src/a.go" }),
		finding("Cheap days", push.Warn, func(f *push.Finding) {
			f.Rule, f.Commit, f.Model, f.Limit, f.Found = "max_cost_per_day", "", "", "50.00 USD per day", "61.20 USD"
			f.Message, f.Next = "This push brings the day's cost of team web above its limit.", "Wait until tomorrow."
		}),
	)
	refused.Link, refused.Decision, refused.Override = "https://blame.example.com/decisions/17", "17", true
	crowd := answer(push.Refuse)
	for i := range 12 {
		crowd.Verdict.Findings = append(crowd.Verdict.Findings, finding("No GPT-4", push.Refuse, func(f *push.Finding) {
			f.Commit = fmt.Sprintf("%040x", i)
		}))
	}
	crowd.Verdict.Policies = []push.Judged{{PolicyID: "No GPT-4", More: 30}}
	crowd.Decision, crowd.Waiver = "18", "the security team"
	pending := answer(push.Pending, finding("Receipts", push.Pending, func(f *push.Finding) {
		f.Rule, f.Problem, f.Model = "require_receipts", push.Awaited, ""
		f.Message, f.Next = "The commit has no receipt yet.", "Nothing, if your notes are on their way."
	}))
	bad := answer(push.Refuse, push.Finding{
		PolicyID: "p", PolicyName: hostile, Rule: hostile, Outcome: push.Refuse, Commit: "\x1b[31m\n" + hostile, File: hostile,
		Model: hostile, Limit: hostile, Found: hostile, Message: hostile + strings.Repeat(" very", 200), Next: strings.Repeat("long", 40) + strings.Repeat("世", 60),
	})
	bad.Link, bad.Waiver, bad.Decision = hostile, hostile, hostile
	retry := answer(push.Refuse, finding("Receipts", push.Refuse, func(f *push.Finding) {
		f.Rule, f.Model = "require_receipts", ""
		f.Message, f.Next = "The commit has no receipt.", "Push your receipts with it."
	}))
	retry.Retry = "git push --atomic origin 'fix/$(reboot)' \x1b[31m\nrefs/notes/blameprompt"
	return map[string]string{
		"accepted":           answer(push.Accept).Text(Git),
		"refused":            refused.Text(Git),
		"refused-gitlab":     refused.Text(GitLab),
		"refused-crowd":      crowd.Text(Gitea),
		"refused-hostile":    bad.Text(Git),
		"refused-retry":      retry.Text(Git),
		"warned":             answer(push.Warn, finding("No GPT-4", push.Warn, nil)).Text(GHES),
		"warned-gitlab":      answer(push.Warn, finding("No GPT-4", push.Warn, nil)).Text(GitLab),
		"pending":            pending.Text(Git),
		"away-advisory":      UnjudgedText(Advisory, Git, "the policy service gave no answer within 4 s"),
		"away-enforcing":     UnjudgedText(Enforcing, Git, "the policy service gave no answer within 4 s"),
		"away-gitlab":        UnjudgedText(Enforcing, GitLab, hostile),
		"unreadable-updates": UnreadableText(Git, fmt.Errorf("line 3: %q: %w", hostile, ErrUpdates)),
		"unreadable-options": UnreadableText(Git, ErrPushOptions),
		"unreadable-shallow": UnreadableText(Git, ErrIncomplete),
		"remote-accepted":    RemoteText(false, "", nil),
		"remote-says":        RemoteText(false, "", []string{"Create a merge request:", "  https://git.example.com/acme/api/new?source=main", hostile}),
		"remote-refused":     RemoteText(true, "", append([]string{strings.Repeat("no way ", 20)}, slices.Repeat([]string{"no"}, 45)...)),
		"remote-away":        RemoteText(false, "https://git.example.com/acme/api does not answer", nil),
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for name, got := range messages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "messages", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			expectSafe(t, got)
		})
	}
}

// expectSafe checks the rules that hold for every text.
func expectSafe(t *testing.T, text string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		plain, gitlab := strings.CutPrefix(line, "GL-HOOK-ERR:")
		if gitlab {
			plain = strings.TrimPrefix(plain, " ")
		}
		switch {
		case text == "" || i > 0 && plain == "":
		case i == 0 && !strings.HasPrefix(plain, "BlamePrompt: "):
			t.Errorf("headline is %q", line)
		case i > 0 && !strings.HasPrefix(plain, "  "):
			t.Errorf("line %d is not indented: %q", i, line)
		case columns(plain) > width && !strings.HasPrefix(plain, "  Decision: "):
			t.Errorf("line %d has %d columns: %q", i, columns(plain), line)
		}
		for _, r := range line {
			if !unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("line %d holds %U", i, r)
			}
		}
	}
	if len(text) > 16<<10 {
		t.Errorf("text has %d bytes", len(text))
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, want string
		limit    int
	}{
		{"plain", "plain", 10},
		{"ünï 世界", "ünï 世界", 20},
		{"a\tb\nc\r\nd", "a b c d", 20},
		{"\x1b[31mred\x1b[0m", "red", 20},
		{"\x1b]0;title\x07text", "text", 20},
		{"\x1b[999", "", 20},
		{"a\x1b", "a", 20},
		{"\u202eabc\u2069", "abc", 20},
		{"0123456789", "0123...", 7},
		{"世界世界", "世...", 8},
		{"\xff", "?", 5},
		{strings.Repeat("\x1b[0m", 5000) + "x", "", 5},
		{"e" + strings.Repeat("\u0301", 9) + "x", "e\u0301\u0301x", 20},
		{"\u05f7\ue000\u3164a\ufe0f", "a", 20},
		{"", "", 5},
	}
	for _, tt := range tests {
		if got := clean(tt.in, tt.limit); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzAnswerText(f *testing.F) {
	f.Add(hostile, "fix", "f", "https://x")
	f.Add("\x1b[", "\n\n", "\u2028", "")
	f.Fuzz(func(t *testing.T, message, next, file, link string) {
		a := answer(push.Refuse, push.Finding{
			PolicyID: file, PolicyName: next, Rule: link, Outcome: push.Refuse, Commit: message, File: file, Message: message,
			Next: next, Model: link, Limit: message, Found: next,
		})
		a.Link = link
		expectSafe(t, a.Text(GitLab))
	})
}

func TestDecodeAnswer(t *testing.T) {
	t.Parallel()
	want := answer(push.Refuse, finding("No GPT-4", push.Refuse, nil))
	want.Link, want.Override, want.Waiver = "https://x", true, "ann"
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeAnswer(strings.NewReader(strings.Replace(string(text), "{", `{"later":1,`, 1)))
	if diff := cmp.Diff(want, got); err != nil || diff != "" || !got.Refused() {
		t.Errorf("%v %s", err, diff)
	}
	bad := map[string]string{
		"empty": "", "no version": `{"verdict":{"outcome":"accept"}}`, "version": `{"version":9,"verdict":{"outcome":"accept"}}`,
		"no outcome": `{"version":1}`, "outcome": `{"version":1,"verdict":{"outcome":"maybe"}}`, "cut": string(text[:40]),
		"too large": `{"version":1,"x":"` + strings.Repeat("x", maxAnswer) + `"}`, "html": "<html>",
	}
	for name, text := range bad {
		if _, err := DecodeAnswer(strings.NewReader(text)); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(`{"version":1,"verdict":{"outcome":"refuse","findings":[{"policy_name":"p","message":"m"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := DecodeAnswer(strings.NewReader(string(text)))
		if err == nil {
			expectSafe(t, a.Text(Git))
		}
	})
}
