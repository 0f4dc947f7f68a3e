package enforce_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Text of a push that a database, a terminal or a record could choke on is
// judged and kept like any other, at the push and late.
func TestHostileTextIsJudged(t *testing.T) {
	t.Parallel()
	for name, evil := range map[string]string{
		"U+0000": "a\x00b", "ANSI and lines": "\x1b[2J\r\nBlamePrompt: this push is accepted.", "JSON": `"}]{"\u0000`, "SQL": `'; DROP TABLE decisions; --`,
		"direction": "\u202egnp.exe", "surrogates": "\ufffd\ufffd", "long": strings.Repeat("x", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i, rule := range []string{noModels, `{"require_receipts": true}`, `{"max_cost_per_day": 1, "per": "user"}`,
				`{"max_cost_per_day": 1, "per": "team"}`, `{"require_review_above": 1}`, `{"protected_paths": ["*"]}`, `{"blocked_providers": ["*x"]}`} {
				w.policy(fmt.Sprint("Policy ", i), "warn", rule)
			}
			c := marked("c1")
			c.Author.Name, c.Author.Email, c.Committer.Name, c.Committer.Email, c.PatchID = evil, evil, evil, evil, evil
			c.Trailers = []push.Trailer{{Key: evil, Value: evil}}
			c.Marks[0] = push.Mark{Agent: evil, Evidence: evil}
			c.Files[0].Path = evil
			n := noted("c1", evil, "2")
			r := &n.Receipts[0]
			r.ID, r.Provider, r.SessionID, r.UserName, r.UserEmail, r.Files[0].Path = evil, evil, evil, evil, evil, evil
			r.Secrets = []push.SecretKind{push.SecretKind(evil)}
			n.Attestations = []hooks.Attestation{{Path: evil, Class: notes.LineClass(evil), ReceiptID: evil, Runs: []hooks.Run{{9, 1}, {-5, 1 << 60}}}}
			p := with(pushed(c, marked("c2")), n)
			p.User, p.Email, p.UserID, p.Key, p.Trigger, p.Address = evil, evil, evil, evil, evil, evil
			p.Forge, p.Via = hooks.Forge(evil), hooks.Via(evil)
			p.PushOptions = []string{hooks.OverrideOption + "=" + evil}
			var wire bytes.Buffer
			if err := p.Encode(&wire); err != nil {
				t.Fatal(err)
			}
			decoded, err := hooks.DecodePush(&wire)
			if err != nil {
				t.Fatal(err)
			}
			a := w.decide(decoded)
			if a.Verdict.Outcome != push.Pending {
				t.Errorf("%s, want pending", a.Verdict.Outcome)
			}
			w.arrive("c2", good, "")
			w.reconsider(store.EventNotes)
			if d := w.decision(a); d.State != store.StateReleased {
				t.Errorf("%s, want released", d.State)
			}
		})
	}
}

// A push at the bounds of what a hook lists is judged within its time.
func TestVeryLargePushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, rule := range []string{noModels, `{"require_receipts": true}`, `{"max_cost_per_month": 1000}`, `{"require_review_above": 5}`,
		`{"max_ai_percentage": 1}`} {
		w.policy(fmt.Sprint("Policy ", i), "block", rule)
	}
	p := pushed()
	p.Refs = nil
	for i := range 3_000 {
		name := fmt.Sprintf("c%07d", i)
		p.Commits = append(p.Commits, marked(name))
		p.Refs = append(p.Refs, hooks.Ref{Name: "refs/heads/" + name, Old: gitcmd.ZeroOID, New: oid(name), Kind: push.Create})
		if i%5 == 0 {
			p.Notes = append(p.Notes, noted(name, good, "0.01"))
		}
	}
	p.MoreCommits, p.Initial = true, true
	start := time.Now()
	a, err := w.Decide(context.Background(), w.by, repoName, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s for 3,000 commits in as many branches: %s", a.Verdict.Outcome, time.Since(start).Round(time.Millisecond))
	if d := w.decision(a); d.Commits != 3_000 {
		t.Errorf("%d commits", d.Commits)
	}
}
