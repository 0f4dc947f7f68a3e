package ui

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Trial is what came of trying a policy that is not in force.
type Trial struct {
	// Days and Result are of a backtest, which Verdict is nil for.
	Days   int
	Result backtest.Result
	// Verdict is of a dry run on the push of a decision.
	Verdict  *push.Verdict
	Decision uuid.UUID
}

// Bounds of a backtest.
const (
	backtestTime    = 2 * time.Minute
	maxBacktestDays = 366
	backtestTimeout = 5 * time.Minute
)

var errNoEnforcement = &respond.Problem{Status: http.StatusConflict, Code: "no_enforcement", Detail: "This server judges no pushes."}

// trialSet compiles a policy as if it alone were in force.
func trialSet(doc policy.Policy) (*policy.Set, error) {
	if doc.ID == "" {
		doc.ID = "tried"
	}
	doc.Enabled = true
	return policy.Compile([]policy.Policy{doc})
}

// backtest judges the recorded pushes of the last days. One runs at a time: it
// must not take the processors from pushes that are judged.
func (p *pages) backtest(r *http.Request, doc policy.Policy) (*Trial, error) {
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	switch {
	case p.cfg.Enforcer == nil:
		return nil, errNoEnforcement
	case err != nil || days < 1 || days > maxBacktestDays:
		return nil, respond.InvalidField("days", "must be a number from 1 to "+strconv.Itoa(maxBacktestDays))
	}
	set, err := trialSet(doc)
	if err != nil {
		return nil, err
	}
	select {
	case p.trials <- struct{}{}:
		defer func() { <-p.trials }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	ctx, cancel := context.WithTimeout(r.Context(), backtestTime)
	defer cancel()
	now := p.cfg.Now()
	result, err := p.cfg.Enforcer.Backtest(ctx, whoOf(r).Org, set, now.AddDate(0, 0, -days), now)
	return &Trial{Days: days, Result: result}, err
}

// dryRun judges one recorded push as it would be judged now.
func (p *pages) dryRun(r *http.Request, doc policy.Policy) (*Trial, error) {
	if p.cfg.Enforcer == nil {
		return nil, errNoEnforcement
	}
	f := postOf(r)
	trial := &Trial{Decision: f.id("decision")}
	if err := f.err(); err != nil {
		return nil, err
	}
	by := whoOf(r)
	decision, err := p.dryRunOn(r, by.Org, trial.Decision)
	if err != nil {
		return nil, err
	}
	trial.Decision = decision.ID
	pushed, err := p.recordedPush(r.Context(), by.Org, decision.ID)
	if err != nil {
		return nil, err
	}
	set, err := trialSet(doc)
	if err != nil {
		return nil, err
	}
	verdict, err := p.cfg.Enforcer.Evaluate(r.Context(), by, enforce.EvaluateInput{Repo: decision.Repo, Push: pushed, Policies: set})
	trial.Verdict = &verdict
	return trial, err
}

// dryRunOn is the decision that is named, or the newest.
func (p *pages) dryRunOn(r *http.Request, org, id uuid.UUID) (store.Decision, error) {
	if id != uuid.Nil {
		d, err := p.cfg.DB.Decision(r.Context(), org, id)
		if errors.Is(err, store.ErrNotFound) {
			err = respond.InvalidField("decision", "must be the id of a decision of your organisation")
		}
		return d.Decision, err
	}
	rows, err := p.cfg.DB.Decisions(r.Context(), org, store.DecisionFilter{}, uuid.Nil, 1)
	if err == nil && len(rows) == 0 {
		err = respond.InvalidField("decision", "must be given: no push was judged yet")
	}
	if err != nil {
		return store.Decision{}, err
	}
	return rows[0], nil
}

func (p *pages) recordedPush(ctx context.Context, org, decision uuid.UUID) (hooks.Push, error) {
	var raw json.RawMessage
	err := p.cfg.DB.InTx(ctx, func(tx *store.Tx) (err error) {
		raw, err = tx.RecordedPush(ctx, org, decision)
		return err
	})
	var pushed hooks.Push
	if err == nil {
		err = json.Unmarshal(raw, &pushed)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = respond.InvalidField("decision", "is too old: its push is not kept any more")
	}
	return pushed, err
}
