package enforce_test

import (
	"testing"

	"github.com/blameprompt/enterprise/policy/push"
)

func TestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", `{"blocked_models": ["gpt-4*"]}`)
	a := w.decide(with(pushed(commit("c1")), noted("c1", "gpt-4o", "1.5")))
	if a.Verdict.Outcome != push.Refuse {
		t.Errorf("got %+v", a)
	}
	t.Log(a.Text("git"))
	a = w.decide(with(pushed(commit("c1")), noted("c1", "claude-opus-4-6", "1.5")))
	t.Logf("%+v", a)
	a = w.decide(pushed(marked("c2")))
	t.Logf("%+v\n%s", a, a.Text("git"))
	w.arrive("c2", "gpt-4o", "2")
	w.reconsider("notes")
	t.Logf("%+v", w.decision(a))
	a = w.decide(pushed(marked("c3")))
	t.Logf("%+v\n%s", a, a.Text("git"))
	w.due()
}
