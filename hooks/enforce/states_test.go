package enforce_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// stateTable reads the table of docs/enforcement.md: for each event, the state
// that it leads to from each state.
func stateTable(t *testing.T) map[string]map[store.DecisionState]store.DecisionState {
	t.Helper()
	text, err := os.ReadFile("../../docs/enforcement.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]map[store.DecisionState]store.DecisionState{}
	var from []store.DecisionState
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "event":
			for _, cell := range cells[1:] {
				from = append(from, store.DecisionState(cell))
			}
		case strings.HasPrefix(line, "|") && from != nil && !strings.HasPrefix(cells[0], "---"):
			table[cells[0]] = map[store.DecisionState]store.DecisionState{}
			for i, cell := range cells[1:] {
				table[cells[0]][from[i]] = store.DecisionState(cell)
			}
		case len(table) > 0 && !strings.HasPrefix(line, "|"):
			return table
		}
	}
	t.Fatal("docs/enforcement.md has no table of events")
	return nil
}

// scene is a push of two commits that name an agent, and its decision.
type scene struct {
	*world
	answer hooks.Answer
	push   hooks.Push
	// policy is the one that refuses.
	policy uuid.UUID
}

const (
	good = "claude-opus-4-6"
	bad  = "gpt-4o"
	poor = "haiku-3"
)

// upload brings a git-ai note of a commit through the HTTP notes backend.
func (w *world) upload(name, model string) {
	w.t.Helper()
	note := fmt.Sprintf("%s.go\n  k1 1-10\n---\n{\"schema_version\": \"authorship/3.0.0\", \"base_commit_sha\": %q, \"prompts\": {\"k1\": "+
		"{\"agent_id\": {\"tool\": \"claude\", \"id\": \"s-%s\", \"model\": %q}, \"human_author\": \"Ada <%s>\", \"messages\": []}}}",
		name, oid(name), name, model, ada)
	taker := ingest.New(ingest.Config{DB: w.db})
	if _, err := taker.UploadNotes(context.Background(), access.CLI(w.org.ID), []ingest.Upload{{Commit: string(oid(name)), Content: []byte(note)}}); err != nil {
		w.t.Fatal(err)
	}
}

// come brings notes and tells of it.
func (s *scene) come(models map[string]string) {
	s.t.Helper()
	for name, model := range models {
		s.upload(name, model)
	}
	s.reconsider(store.EventNotes)
}

// event is a row of the table: what it does, and how its scene differs.
type event struct {
	// reviews makes the policy one that reviews settle.
	reviews bool
	// missing leaves the second commit without receipts while the first is held.
	missing bool
	// warns adds a policy that warns.
	warns bool
	do    func(s *scene)
}

var events = map[string]event{
	"receipts come, nothing refuses":     {do: func(s *scene) { s.come(map[string]string{"c1": good, "c2": good}) }},
	"receipts come, a policy refuses":    {do: func(s *scene) { s.come(map[string]string{"c1": bad, "c2": good}) }},
	"receipts come, others are missing":  {missing: true, do: func(s *scene) { s.come(map[string]string{"c1": s.first()}) }},
	"receipts come, a policy warns":      {warns: true, do: func(s *scene) { s.come(map[string]string{"c1": poor, "c2": good}) }},
	"the time is over, nothing refuses":  {do: (*scene).timeOver},
	"the time is over, a policy refuses": {reviews: true, do: (*scene).timeOver},
	"a waiver covers what refuses":       {do: (*scene).waived},
	"a waiver covers the commit that refuses, receipts of others are missing": {missing: true, do: func(s *scene) {
		s.waive(store.NewWaiver{Policy: s.policy, Commit: string(oid("c1"))})
		s.reconsider(store.EventWaiver)
	}},
	"a waiver is revoked": {do: func(s *scene) {
		waiver := s.waive(store.NewWaiver{Policy: s.policy, Pusher: bob})
		if _, err := s.db.RevokeWaiver(context.Background(), access.CLI(s.org.ID), waiver.ID); err != nil {
			s.t.Fatal(err)
		}
		s.reconsider(store.EventWaiver)
	}},
	"a review approves what may refuse": {reviews: true, do: func(s *scene) { s.reviewed(true) }},
	"a review rejects":                  {reviews: true, do: func(s *scene) { s.reviewed(false) }},
	"the policy is switched off": {do: func(s *scene) {
		if _, err := s.db.EnablePolicy(context.Background(), access.CLI(s.org.ID), s.policy, 0, false); err != nil {
			s.t.Fatal(err)
		}
		s.reconsider(store.EventPolicy)
	}},
	"another policy is switched on": {do: func(s *scene) {
		s.world.policy("Providers", "block", `{"blocked_providers": ["claude"]}`)
		s.reconsider(store.EventPolicy)
	}},
	"all commits leave the repository": {do: func(s *scene) { s.forced("c1", "c2") }},
	"some commits at fault stay":       {reviews: true, do: func(s *scene) { s.forced("c2") }},
	"the branch is deleted": {do: func(s *scene) {
		p := pushed()
		p.Refs[0] = hooks.Ref{Name: "refs/heads/main", Old: oid("c2"), New: gitcmd.ZeroOID, Kind: push.Delete}
		s.arrives(p)
	}},
	"the repository did not take the push": {do: (*scene).withdrawn},
	"the hold is released by hand": {do: func(s *scene) {
		for _, hold := range s.decision(s.answer).Holds {
			if _, err := s.db.ReleaseHold(context.Background(), access.CLI(s.org.ID), hold.ID, "talked about it"); err != nil {
				s.t.Fatal(err)
			}
		}
	}},
}

func (s *scene) withdrawn() {
	s.t.Helper()
	if err := s.Withdraw(context.Background(), s.by, uuid.MustParse(s.answer.Decision), "the remote refused it"); err != nil {
		s.t.Fatal(err)
	}
}

// first is a model that leaves the first commit as it is held, or passes.
func (s *scene) first() string {
	if s.decision(s.answer).State == store.StateHeld {
		return bad
	}
	return good
}

func (s *scene) timeOver() {
	s.clock.forward(15 * time.Minute)
	s.due()
}

func (s *scene) waived() {
	s.waive(store.NewWaiver{Policy: s.policy, Pusher: ada})
	s.reconsider(store.EventWaiver)
}

func (s *scene) reviewed(approved bool) {
	s.review(bob, string(oid("c1")), approved)
	s.review(bob, string(oid("c2")), approved)
	s.reconsider(store.EventReview)
}

// forced moves the branch so that some commits are left behind.
func (s *scene) forced(names ...string) {
	p := pushed()
	p.Refs[0] = hooks.Ref{Name: "refs/heads/main", Old: oid("c2"), New: oid("root"), Kind: push.Force, Forced: true}
	for _, name := range names {
		p.Refs[0].Abandoned = append(p.Refs[0].Abandoned, oid(name))
	}
	s.arrives(p)
}

// arrives decides on a push that nothing but holds could refuse, and reports it.
func (s *scene) arrives(p hooks.Push) {
	s.t.Helper()
	s.clock.forward(time.Second)
	if a := s.decide(as(bob, p)); a.Refused() {
		s.t.Fatalf("refused:\n%s", a.Text(hooks.Git))
	}
	if err := s.Received(context.Background(), s.by, repoName, reported(p)); err != nil {
		s.t.Fatal(err)
	}
}

// reported is what post-receive tells of a push: where its refs were and are.
func reported(p hooks.Push) hooks.Push {
	p.Commits, p.Notes, p.Refs = nil, nil, slices.Clone(p.Refs)
	for i, ref := range p.Refs {
		p.Refs[i] = hooks.Ref{Name: ref.Name, Old: ref.Old, New: ref.New, Kind: ref.Kind}
		if ref.Kind == push.Force {
			p.Refs[i].Kind = push.Update
		}
	}
	return p
}

// in brings a scene into a state.
func (e event) in(t *testing.T, state store.DecisionState) *scene {
	return e.inWorld(newWorld(t), state)
}

func (e event) inWorld(w *world, state store.DecisionState) *scene {
	t := w.t
	t.Helper()
	s := &scene{world: w}
	s.user(bob)
	if e.reviews {
		s.policy = s.world.policy("Reviews", "block", `{"require_review_above": 5}`)
	} else {
		s.policy = s.world.policy("Models", "block", `{"blocked_models": ["gpt-4*"]}`)
	}
	if e.warns {
		s.world.policy("Old models", "warn", `{"blocked_models": ["haiku*"]}`)
	}
	first, second := marked("c1"), marked("c2")
	second.Parents = []gitcmd.OID{first.OID}
	s.push = pushed(first, second)
	if state == store.StateFinal {
		s.push = with(s.push, hooks.Note{Commit: first.OID, Ref: "refs/notes/ai"}, hooks.Note{Commit: second.OID, Ref: "refs/notes/ai"})
	}
	s.answer = s.decide(s.push)
	switch {
	case state == store.StateHeld && e.missing:
		s.come(map[string]string{"c1": bad})
	case state == store.StateHeld:
		s.come(map[string]string{"c1": bad, "c2": good})
	case state == store.StateReleased && e.reviews:
		s.reviewed(true)
		s.come(map[string]string{"c1": good, "c2": good})
	case state == store.StateReleased:
		s.come(map[string]string{"c1": good, "c2": good})
	case state == store.StateWithdrawn:
		s.withdrawn()
	}
	if got := s.decision(s.answer).State; got != state {
		t.Fatalf("the decision is %s, want %s before the event", got, state)
	}
	return s
}

func TestEveryEventInEveryState(t *testing.T) {
	t.Parallel()
	table := stateTable(t)
	for name := range table {
		if _, ok := events[name]; !ok {
			t.Errorf("the test does not know the event %q", name)
		}
	}
	for name, e := range events {
		if len(table[name]) != 5 {
			t.Errorf("%q has %d states in docs/enforcement.md", name, len(table[name]))
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := storetest.DSN(t)
			db := storetest.OpenDSN(t, dsn)
			for state, want := range table[name] {
				t.Run(string(state), func(t *testing.T) {
					s := e.inWorld(newWorldIn(t, dsn, db, string(state)), state)
					e.do(s)
					s.check(state, want)
					// Nothing more happens by itself.
					s.due()
					s.check(state, want)
				})
			}
		})
	}
}

// check holds a decision to its state, and all that must go with it.
func (s *scene) check(before, want store.DecisionState) {
	s.t.Helper()
	d := s.decision(s.answer)
	if d.State != want {
		s.t.Errorf("%s, want %s: %+v", d.State, want, d.LateVerdict)
	}
	active := slices.ContainsFunc(d.Holds, func(h store.Hold) bool { return h.ReleasedAt == nil })
	if active != (d.State == store.StateHeld) {
		s.t.Errorf("the decision is %s and active holds: %t", d.State, active)
	}
	if n := len(d.Events); before != want && (n == 0 || d.Events[n-1].State != want) {
		s.t.Errorf("events %+v do not end in %s", d.Events, want)
	}
	for i, e := range d.Events {
		if e.Seq != i+1 {
			s.t.Errorf("event %d has the number %d", i+1, e.Seq)
		}
	}
	refused := s.decide(as(ada, pushed(commit("next"))))
	if refused.Refused() != active {
		s.t.Errorf("a push of the same person is refused: %t, held: %t", refused.Refused(), active)
	}
	if other := s.decide(as(bob, pushed(commit("other")))); other.Refused() {
		s.t.Error("somebody else's push is refused")
	}
}
