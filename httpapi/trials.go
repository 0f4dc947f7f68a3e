package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// EvaluatePush implements the operation.
func (s *server) EvaluatePush(ctx context.Context, in EvaluatePushRequestObject) (EvaluatePushResponseObject, error) {
	if s.cfg.Enforcer == nil {
		return nil, errNoEnforcement
	}
	pushed, err := decodePush("push", bytes.NewReader(in.Body.Push))
	if err != nil {
		return nil, err
	}
	wanted := enforce.EvaluateInput{Repo: in.Body.Repo, Push: pushed}
	if in.Body.Policies != nil {
		if wanted.Policies, err = trialSet(in.Body.Policies); err != nil {
			return nil, err
		}
	}
	verdict, err := s.cfg.Enforcer.Evaluate(ctx, principal(ctx), wanted)
	return EvaluatePush200JSONResponse(verdict), err
}

// trialSet compiles documents that are tried, as if all of them were in force.
// Those without an id are told apart by their place.
func trialSet(documents []json.RawMessage) (*policy.Set, error) {
	var tried []policy.Policy
	var bad []respond.Field
	for i, document := range documents {
		at := fmt.Sprintf("policies[%d]", i)
		doc, fields := checkPolicy(document, at)
		bad = append(bad, fields...)
		if doc.ID == "" {
			doc.ID = at
		}
		doc.Enabled = true
		tried = append(tried, doc)
	}
	if len(bad) > 0 {
		return nil, respond.Invalid(bad...)
	}
	set, err := policy.Compile(tried)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", respond.InvalidField("policies", "must not have one id twice"), err)
	}
	return set, nil
}

// Bounds of a backtest.
const (
	backtestDays    = 30
	maxBacktestDays = 366
	backtestTime    = 2 * time.Minute
)

// BacktestPolicy implements the operation. One backtest runs at a time: it
// must not take the processors from pushes that are judged.
func (s *server) BacktestPolicy(ctx context.Context, in BacktestPolicyRequestObject) (BacktestPolicyResponseObject, error) {
	if s.cfg.Enforcer == nil {
		return nil, errNoEnforcement
	}
	org := principal(ctx).Org
	doc, err := s.triedPolicy(ctx, org, in.Body)
	if err != nil {
		return nil, err
	}
	first, last, err := s.backtestPeriod(ctx, org, in.Body)
	if err != nil {
		return nil, err
	}
	set, err := policy.Compile([]policy.Policy{doc})
	if err != nil {
		return nil, err
	}
	if err := s.backtests.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.backtests.Release(1)
	limited, cancel := context.WithTimeout(ctx, backtestTime)
	defer cancel()
	got, err := s.cfg.Enforcer.Backtest(limited, org, set, first, last.AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	return BacktestPolicy200JSONResponse(backtestOf(got, first, last)), ctx.Err()
}

// triedPolicy is the one policy that a backtest is of.
func (s *server) triedPolicy(ctx context.Context, org uuid.UUID, body *BacktestPolicyJSONRequestBody) (policy.Policy, error) {
	if (body.Policy == "") == (body.Document == nil) {
		return policy.Policy{}, respond.InvalidField("policy", "or document must be given, and not both")
	}
	var doc policy.Policy
	var err error
	if body.Document != nil {
		doc, err = readPolicy(body.Document, "document")
	} else {
		var row store.Policy
		if row, err = s.findPolicy(ctx, org, body.Policy); err == nil {
			doc, err = row.Parse()
		}
	}
	doc.Enabled = true
	return doc, err
}

// backtestPeriod is the first and the last day, as moments of the
// organisation's time zone: the last 30 days if nothing else is said.
func (s *server) backtestPeriod(ctx context.Context, org uuid.UUID, body *BacktestPolicyJSONRequestBody) (first, last time.Time, err error) {
	row, err := s.cfg.DB.OrgByID(ctx, org)
	if err != nil {
		return first, last, err
	}
	zone, err := time.LoadLocation(row.TimeZone)
	if err != nil {
		return first, last, err
	}
	if first, _, err = readTime("from", body.From, zone); err != nil {
		return first, last, err
	}
	if last, _, err = readTime("to", body.To, zone); err != nil {
		return first, last, err
	}
	if last.IsZero() {
		now := time.Now().In(zone)
		last = time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	}
	if first.IsZero() {
		first = last.AddDate(0, 0, 1-backtestDays)
	}
	switch {
	case last.Before(first):
		err = respond.InvalidField("to", "must not be before from")
	case last.AddDate(0, 0, -maxBacktestDays).After(first):
		err = respond.InvalidField("from", fmt.Sprintf("must be at most %d days before to", maxBacktestDays))
	}
	return first, last, err
}

func backtestOf(r backtest.Result, first, last time.Time) Backtest {
	out := Backtest{From: first.Format(time.DateOnly), To: last.Format(time.DateOnly), Pushes: r.Pushes, InScope: r.InScope,
		WouldAccept: r.WouldAccept, WouldWarn: r.WouldWarn, WouldRefuse: r.WouldRefuse, WouldWait: r.WouldWait,
		Complete: r.Stopped == "", Stopped: r.Stopped}
	out.Examples = make([]BacktestExample, len(r.Examples))
	for i, e := range r.Examples {
		id, _ := uuid.Parse(e.Decision)
		out.Examples[i] = BacktestExample{Decision: id, At: e.At, Repo: e.Repo, Pusher: e.Pusher, Told: e.Told, Outcome: e.Outcome,
			Findings: append([]push.Finding{}, e.Findings...)}
	}
	out.NotJudged = each(r.NotJudged, func(n backtest.NotJudged) BacktestNotJudged {
		return BacktestNotJudged{Reason: n.Reason, Pushes: n.Pushes}
	})
	return out
}
