package enforce

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// That a hook lets a push through does not move a ref: another hook or git
// itself may still refuse it. What a push leaves behind is therefore believed
// when it is seen: the repository reports the push (Received), or a later push
// finds the ref where that push set it.

// leaving is what an accepted push, known to have reached the repository, took
// away.
type leaving struct {
	decision uuid.UUID
	repo     uuid.UUID
	// commits are in no ref any more; deleted are refs.
	commits []gitcmd.OID
	deleted []string
}

// takes reports whether the hold has lost what it is about.
func (l leaving) takes(h store.Hold) bool {
	return slices.Contains(l.deleted, h.Ref) || contains(l.commits, h.Commits)
}

// How far back the push of a report, and pushes that nobody reported, are looked
// for.
const (
	reported      = time.Hour
	reportedLimit = 50
	leftLimit     = 200
)

// Received takes note that a push reached the repository: what it brought is
// fetched, and decisions on what it took away wait no longer.
func (e *Enforcer) Received(ctx context.Context, by access.Principal, repo string, p hooks.Push) error {
	name, err := repoName(repo, &p)
	if err != nil {
		return err
	}
	var left []leaving
	err = e.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		to, err := tx.PushTarget(ctx, by.Org, name)
		if err != nil || to.RepoID == uuid.Nil {
			return err
		}
		if p.Place != "" {
			if err := tx.SessionArrived(ctx, by.Org, p.Place, by.RequestID); err != nil {
				return err
			}
		}
		to.Now = e.now(to.Now)
		if left, err = leftNow(ctx, tx, by.Org, to, p.Refs); err != nil || e.cfg.Fetches == nil {
			return err
		}
		return e.cfg.Fetches.DemandFetch(ctx, tx, by.Org, to.RepoID, demand(&p))
	})
	if err != nil {
		return fmt.Errorf("noting a push to %s: %w", name, err)
	}
	return e.leave(ctx, by, left)
}

// demand is what a push wants fetched: notes follow a branch within a minute.
func demand(p *hooks.Push) queue.Demand {
	if slices.ContainsFunc(p.Refs, func(r hooks.Ref) bool { return r.Kind != push.Notes }) {
		return queue.Event
	}
	return queue.Once
}

// leftNow finds the decisions on the push that a repository reports, as far as
// it took something away. A report says of a ref where it was and is, and not
// whether that was by force.
func leftNow(ctx context.Context, tx *store.Tx, org uuid.UUID, to store.PushTarget, refs []hooks.Ref) ([]leaving, error) {
	if !slices.ContainsFunc(refs, func(r hooks.Ref) bool { return r.Kind != push.Notes && !r.Old.IsZero() }) {
		return nil, nil
	}
	pushes, err := tx.AcceptedPushes(ctx, org, to.RepoID, uuid.Nil, reportedLimit)
	if err != nil {
		return nil, err
	}
	var left []leaving
	for _, p := range pushes {
		if p.At.Before(to.Now.Add(-reported)) {
			break
		}
		l, err := leavingOf(ctx, tx, org, to.RepoID, p, func(r push.Ref) bool {
			return slices.ContainsFunc(refs, func(now hooks.Ref) bool {
				return now.Name == r.Name && sameID(string(now.Old), r.Old) && sameID(string(now.New), r.New)
			})
		})
		if err != nil {
			return nil, err
		}
		left = append(left, l...)
	}
	return left, nil
}

// leftBefore finds earlier pushes of which the refs of this one show that they
// took away what holds are about, though nobody reported them.
func leftBefore(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, holds []store.ActiveHold, refs []hooks.Ref) ([]leaving, error) {
	pushes, err := tx.AcceptedPushes(ctx, org, repo, holds[0].DecisionID, leftLimit)
	if err != nil {
		return nil, err
	}
	// seen are the ids at which refs were found, by this push and by later ones.
	type place struct{ ref, id string }
	seen := map[place]bool{}
	for _, r := range refs {
		seen[place{r.Name, zeroed(string(r.Old))}] = true
	}
	var left []leaving
	for _, p := range pushes {
		l, err := leavingOf(ctx, tx, org, repo, p, func(r push.Ref) bool { return seen[place{r.Name, zeroed(r.New)}] })
		if err != nil {
			return nil, err
		}
		left = append(left, l...)
		for _, r := range p.Refs {
			seen[place{r.Name, zeroed(r.Old)}] = true
		}
	}
	return left, nil
}

// leavingOf reads what those refs of a push took away that are known to have
// been moved.
func leavingOf(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, p store.AcceptedPush, moved func(push.Ref) bool) ([]leaving, error) {
	names := map[string]bool{}
	for _, r := range p.Refs {
		takes := r.Kind == push.Force || r.Kind == push.Tag || zeroed(r.New) == ""
		if takes && moved(r) {
			names[r.Name] = true
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	text, err := tx.RecordedPush(ctx, org, p.ID)
	if err != nil {
		return nil, err
	}
	var recorded hooks.Push
	if err := json.Unmarshal(text, &recorded); err != nil {
		return nil, fmt.Errorf("reading the push of decision %s: %w", p.ID, err)
	}
	l := leaving{decision: p.ID, repo: repo}
	for _, r := range recorded.Refs {
		if !names[r.Name] {
			continue
		}
		l.commits = append(l.commits, r.Abandoned...)
		if r.New.IsZero() {
			l.deleted = append(l.deleted, r.Name)
		}
	}
	return []leaving{l}, nil
}

// sameID compares object ids, of which all zeros and none are one.
func sameID(a, b string) bool { return zeroed(a) == zeroed(b) }

func zeroed(id string) string {
	if gitcmd.OID(id).IsZero() {
		return ""
	}
	return id
}

// leave notes what is gone and judges again what waited for it.
func (e *Enforcer) leave(ctx context.Context, by access.Principal, left []leaving) error {
	for _, l := range left {
		commits := make([]string, len(l.commits))
		for i, oid := range l.commits {
			commits[i] = string(oid)
		}
		var waiting []store.WaitingRef
		err := e.cfg.DB.Judge(ctx, func(tx *store.Tx) (err error) {
			waiting, err = tx.Leave(ctx, by, l.repo, l.decision, commits, l.deleted)
			return err
		})
		if err != nil {
			return err
		}
		if err := e.rejudgeAll(ctx, waiting); err != nil {
			return err
		}
	}
	return nil
}

// settleLeft is leave for what came to light while another push was judged,
// whose answer does not depend on it.
func (e *Enforcer) settleLeft(by access.Principal, left []leaving) {
	if len(left) == 0 {
		return
	}
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.leave(ctx, by, left); err != nil {
		e.cfg.Log.Warn().Err(err).Msg("a hold whose commits are gone was not released; the next push tries again")
	}
}
