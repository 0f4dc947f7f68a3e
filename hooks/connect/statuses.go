package connect

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/store"
)

const (
	// statusBatch is the number of statuses that are claimed at once, statusWorkers
	// of which are posted at a time.
	statusBatch   = 32
	statusWorkers = 4
	// statusClaim is for how long: all of a batch must be able to end in it.
	statusClaim = 3 * time.Minute
	// claimMargin lies between the last moment of a post and the end of its claim.
	claimMargin = 15 * time.Second
	// maxPause bounds the pause before the next try, and restPause is for a host
	// that is left alone.
	maxPause  = 10 * time.Minute
	restPause = 30 * time.Second
	// giveUpAfter is the number of tries after which a refusal is taken for good:
	// three quarters of an hour. The first ones come early: the forge may not have
	// the commit yet, whose push is only being decided.
	giveUpAfter = 12
	// statusAge is the age after which nobody waits for a status any more.
	statusAge = 7 * 24 * time.Hour
)

// PostStatuses tells forges what they are to show at commits, until there is
// nothing left that may be tried now. It is the work of StatusTask.
func (c *Connector) PostStatuses(ctx context.Context) error {
	p := poster{c: c, accounts: map[uuid.UUID]forge.Account{}}
	for ctx.Err() == nil {
		n, err := p.batch(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
	return ctx.Err()
}

// poster posts statuses in one run; tokens are opened once in it.
type poster struct {
	c        *Connector
	accounts map[uuid.UUID]forge.Account
}

func (p *poster) batch(ctx context.Context) (int, error) {
	// By the local clock, and begun before the claim: so it ends before it.
	end := time.Now().Add(statusClaim - claimMargin)
	claimed, err := p.c.cfg.DB.ClaimStatuses(ctx, statusBatch, statusClaim)
	if err != nil {
		return 0, err
	}
	for _, s := range claimed {
		if err := p.open(ctx, s); err != nil {
			return 0, err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(statusWorkers)
	for _, s := range claimed {
		group.Go(func() error { return p.post(ctx, s, end) })
	}
	return len(claimed), group.Wait()
}

func (p *poster) open(ctx context.Context, s store.ClaimedStatus) error {
	if _, ok := p.accounts[s.ConnectionID]; ok {
		return nil
	}
	row, err := p.c.cfg.DB.Connection(ctx, s.OrgID, s.ConnectionID)
	if errors.Is(err, store.ErrNotFound) {
		// It ended a moment ago; what it was to be told is given up with it.
		return nil
	}
	if err != nil {
		return err
	}
	account, err := p.c.account(ctx, row)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	p.accounts[s.ConnectionID] = account
	return err
}

// post posts one status and records the outcome. Its error is the database's.
func (p *poster) post(ctx context.Context, s store.ClaimedStatus, end time.Time) error {
	account, ok := p.accounts[s.ConnectionID]
	if !ok {
		return nil
	}
	call, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	err := p.c.cfg.Forges.SetStatus(call, account, s.ForgePath, s.Commit, forge.Status{State: forge.State(s.State),
		Description: s.Description, URL: p.c.cfg.PublicURL + "/decisions/" + s.DecisionID.String()})
	record := context.WithoutCancel(ctx)
	switch {
	case err == nil:
		return p.c.cfg.DB.StatusPosted(record, s)
	case ctx.Err() != nil:
		// Stopped on the way: the claim stays to its end, in case the forge took it.
		return ctx.Err()
	}
	failure := judge(s, err, time.Now())
	log := p.c.cfg.Log.Warn().Err(err).Str("forge", string(account.Forge)).Str("repo", s.ForgePath).Str("commit", s.Commit)
	log.Int("attempt", s.Attempts).Bool("given_up", failure.GiveUp).Msg("posting a status failed")
	return p.c.cfg.DB.StatusFailed(record, s, failure)
}

// judge decides when a status is tried again.
func judge(s store.ClaimedStatus, err error, now time.Time) store.PostFailure {
	out := store.PostFailure{Problem: err.Error(), Pause: pauseAfter(s.Attempts), Unsure: errors.Is(err, forge.ErrUnreachable)}
	var call *forge.CallError
	switch {
	case errors.Is(err, forge.ErrResting):
		out.Pause = max(out.Pause, restPause)
	case errors.As(err, &call) && !call.RetryAt.IsZero():
		out.Pause = max(call.RetryAt.Sub(now), time.Second)
	}
	refused := forge.IsOwnersFault(err) || !errors.As(err, &call)
	out.GiveUp = refused && s.Attempts >= giveUpAfter || now.Sub(s.ChangedAt) > statusAge
	return out
}

// pauseAfter doubles from two seconds on.
func pauseAfter(attempts int) time.Duration {
	if attempts >= 10 {
		return maxPause
	}
	return min(time.Second<<max(attempts, 1), maxPause)
}
