package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Enforcer judges pushes. *enforce.Enforcer is one.
type Enforcer interface {
	// Decide judges a push before it is accepted, and has recorded the decision
	// when it returns. repo is the name that the hook was installed with; empty
	// means p.Repo. A dry run (p.DryRun) is judged and not recorded.
	Decide(ctx context.Context, by access.Principal, repo string, p hooks.Push) (hooks.Answer, error)
	// Received takes note that a push reached the repository.
	Received(ctx context.Context, by access.Principal, repo string, p hooks.Push) error
	// Evaluate judges as Decide would, and records nothing.
	Evaluate(ctx context.Context, by access.Principal, in enforce.EvaluateInput) (push.Verdict, error)
	// Reconsider judges again what waits in a repository, or for the nil UUID in the
	// whole organisation, because of an event.
	Reconsider(ctx context.Context, org, repo uuid.UUID, event string) error
	// Backtest tells what policies would have done to the pushes of a period.
	Backtest(ctx context.Context, org uuid.UUID, set *policy.Set, from, to time.Time) (backtest.Result, error)
}

// CheckHook implements the operation.
func (s *server) CheckHook(ctx context.Context, in CheckHookRequestObject) (CheckHookResponseObject, error) {
	org, err := s.hookOrg(ctx, in.Params.Org)
	if err != nil {
		return nil, err
	}
	out := CheckHook200JSONResponse{Version: s.cfg.Version, Org: org.Name, Repo: in.Params.Repo,
		Mode: store.ModeAdvisory, ReceiptMode: store.ReceiptsDeferred}
	if in.Params.Repo == "" {
		return out, nil
	}
	repo, err := s.cfg.DB.Repo(ctx, org.ID, in.Params.Repo)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return out, nil
	case err != nil:
		return nil, err
	}
	out.Repo, out.Known, out.Mode, out.ReceiptMode = repo.Name, true, RepoMode(repo.Mode), ReceiptMode(repo.ReceiptMode)
	return out, nil
}

// hookOrg is the principal's organisation, which the hook may have named.
func (s *server) hookOrg(ctx context.Context, named string) (store.Org, error) {
	org, err := s.cfg.DB.OrgByID(ctx, principal(ctx).Org)
	if err == nil && named != "" && named != org.Name {
		return store.Org{}, respond.InvalidField("org", "must be the name of the key's organisation")
	}
	return org, err
}

// JudgePush implements the operation.
func (s *server) JudgePush(ctx context.Context, in JudgePushRequestObject) (JudgePushResponseObject, error) {
	push, err := s.readPush(ctx, in.Params.Org, in.Body)
	if err != nil {
		return nil, err
	}
	answer, err := s.cfg.Enforcer.Decide(ctx, principal(ctx), in.Params.Repo, push)
	return JudgePush200JSONResponse(answer), err
}

// ReportPush implements the operation. The pusher waits for the hook and the
// hook for the answer, so that it is given first; what fails afterwards is in
// the log, and found by the sweeps.
func (s *server) ReportPush(ctx context.Context, in ReportPushRequestObject) (ReportPushResponseObject, error) {
	push, err := s.readPush(ctx, in.Params.Org, in.Body)
	if err != nil {
		return nil, err
	}
	return answerFunc(func(w http.ResponseWriter) error {
		w.WriteHeader(http.StatusNoContent)
		// A hook that does not wait for it loses nothing.
		_ = http.NewResponseController(w).Flush()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usualTimeout)
		defer cancel()
		if err := s.cfg.Enforcer.Received(ctx, principal(ctx), in.Params.Repo, push); err != nil {
			respond.ExchangeOf(ctx).Err = err
		}
		return nil
	}), nil
}

// errNoEnforcement says that there is no Enforcer.
var errNoEnforcement = &respond.Problem{Status: http.StatusServiceUnavailable, Code: "no_enforcement",
	Detail: "This server judges no pushes."}

// readPush reads the document of a hook.
func (s *server) readPush(ctx context.Context, org string, body io.Reader) (hooks.Push, error) {
	if s.cfg.Enforcer == nil {
		return hooks.Push{}, errNoEnforcement
	}
	if org != "" {
		if _, err := s.hookOrg(ctx, org); err != nil {
			return hooks.Push{}, err
		}
	}
	return decodePush("body", body)
}

// decodePush reads the document of a hook, which stands in a field.
func decodePush(field string, body io.Reader) (hooks.Push, error) {
	push, err := hooks.DecodePush(body)
	switch {
	case errors.Is(err, hooks.ErrPush):
		return hooks.Push{}, fmt.Errorf("%w (%w)", respond.InvalidField(field,
			fmt.Sprintf("must be a push as blameprompt-hook writes it, version %d", hooks.PushVersion)), err)
	case err != nil:
		return hooks.Push{}, readError(err)
	}
	return push, nil
}
