package httpapi

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// ListDecisions implements the operation.
func (s *server) ListDecisions(ctx context.Context, in ListDecisionsRequestObject) (ListDecisionsResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.DecisionFilter{Pusher: pusherKey(p.Pusher), Outcome: push.Outcome(p.Outcome), State: store.DecisionState(p.State)}
	var err error
	if filter.Repo, err = s.repoNamed(ctx, org, p.Repo); err != nil {
		return nil, err
	}
	if filter.Policy, err = s.policyNamed(ctx, org, p.Policy); err != nil {
		return nil, err
	}
	if filter.From, filter.To, err = s.period(ctx, org, p.From, p.To); err != nil {
		return nil, err
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listDecisions", p)
	after, err := afterOf(cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Decisions(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := pageOf(rows, limit, seal, func(d *store.Decision) uuid.UUID { return d.ID })
	return ListDecisions200JSONResponse{Items: each(rows, decisionOf), NextCursor: next}, nil
}

// pusherKey is a pusher as decisions name one: addresses are in lower case.
func pusherKey(name string) string {
	if strings.Contains(name, "@") {
		return strings.ToLower(name)
	}
	return name
}

// repoNamed finds the repository that a parameter names; empty is none.
func (s *server) repoNamed(ctx context.Context, org uuid.UUID, name string) (uuid.UUID, error) {
	if name == "" {
		return uuid.Nil, nil
	}
	ids, err := s.reposNamed(ctx, org, []string{name})
	if err != nil {
		return uuid.Nil, err
	}
	return ids[0], nil
}

// GetDecision implements the operation.
func (s *server) GetDecision(ctx context.Context, in GetDecisionRequestObject) (GetDecisionResponseObject, error) {
	d, err := s.cfg.DB.Decision(ctx, principal(ctx).Org, in.Id)
	if err != nil {
		return nil, err
	}
	return GetDecision200JSONResponse{
		Decision: decisionOf(d.Decision), Verdict: d.Verdict, LateVerdict: d.LateVerdict, Text: s.textOf(&d),
		Events: each(d.Events, func(e store.DecisionEvent) DecisionEvent {
			return DecisionEvent{Seq: e.Seq, At: e.At, Event: e.Event, State: DecisionEventState(e.State), Principal: e.Principal,
				Detail: rawJSON(e.Detail)}
		}),
		Violations: each(d.Violations, violationOf),
		Holds: each(d.Holds, func(h store.Hold) Hold {
			return holdOf(store.RepoHold{Hold: h, Repo: d.Repo})
		}),
	}, nil
}

// textOf is what the pusher read.
func (s *server) textOf(d *store.DecisionDetail) string {
	answer := hooks.Answer{Version: hooks.AnswerVersion, Verdict: d.Verdict, Decision: d.ID.String()}
	if s.cfg.PublicURL != "" {
		answer.Link = s.cfg.PublicURL + "/decisions/" + answer.Decision
	}
	return answer.Text(hooks.Forge(d.Forge))
}

func decisionOf(d store.Decision) Decision {
	return Decision{
		Id: d.ID, At: d.At, Repo: d.Repo, RepoId: d.RepoID, Pusher: d.Pusher, PusherName: d.PusherName, Forge: d.Forge, Via: d.Via,
		Refs: append([]PushedRef{}, d.Refs...), Outcome: d.Outcome, State: DecisionState(d.State), ReceiptMode: d.ReceiptMode,
		DueAt: d.DueAt, Override: d.Override, Commits: d.Commits, Lines: push.Lines{Added: d.Added, AI: d.AI, Human: d.Human},
		JudgedAt: d.JudgedAt, TookUs: d.TookUS, RequestId: d.RequestID,
	}
}

// ListViolations implements the operation.
func (s *server) ListViolations(ctx context.Context, in ListViolationsRequestObject) (ListViolationsResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.ViolationFilter{Pusher: p.Pusher, Rule: p.Rule, Outcome: push.Outcome(p.Outcome), Commit: strings.ToLower(p.Commit),
		Late: p.Late, Waived: p.Waived}
	if p.Decision != nil {
		filter.Decision = *p.Decision
	}
	var err error
	if filter.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return nil, err
	}
	if filter.Policy, err = s.policyNamed(ctx, org, p.Policy); err != nil {
		return nil, err
	}
	if filter.From, filter.To, err = s.period(ctx, org, p.From, p.To); err != nil {
		return nil, err
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listViolations", p)
	after, err := afterOf(cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Violations(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := pageOf(rows, limit, seal, func(v *store.Violation) uuid.UUID { return v.ID })
	return ListViolations200JSONResponse{Items: each(rows, violationOf), NextCursor: next}, nil
}

func violationOf(v store.Violation) Violation {
	return Violation{Id: v.ID, DecisionId: v.DecisionID, At: v.At, Late: v.Late, Repo: v.Repo, RepoId: v.RepoID, Pusher: v.Pusher,
		PolicyId: v.PolicyID, PolicyName: v.PolicyName, Version: v.Version, Rule: v.Rule, Outcome: v.Outcome, Commit: v.Commit,
		WaiverId: v.WaiverID, Finding: v.Finding}
}
