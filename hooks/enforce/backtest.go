package enforce

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Backtest tells what a set of policies would have done to the pushes that were
// recorded from a time (inclusive) to another (exclusive), with the receipts
// that have come since. It works for as long as ctx lets it, and records
// nothing.
func (e *Enforcer) Backtest(ctx context.Context, org uuid.UUID, set *policy.Set, from, to time.Time) (backtest.Result, error) {
	row, err := e.cfg.DB.OrgByID(ctx, org)
	if err != nil {
		return backtest.Result{}, err
	}
	r := &replayer{e: e, org: org}
	if r.zone, err = zone(row.TimeZone); err != nil {
		return backtest.Result{}, err
	}
	return backtest.Run(ctx, set, e.cfg.DB.Books(org), r.pushes(ctx, from, to))
}

// Bounds of what a replayer has in memory at a time.
const (
	replayPushes = 100
	replayBytes  = 32 << 20
)

// replayer brings recorded pushes up to date, some at a time: the notes of a
// repository are read for all of them at once.
type replayer struct {
	e    *Enforcer
	org  uuid.UUID
	zone *time.Location
	// batch are pushes that were read and not brought up to date yet.
	batch []*replay
	size  int
}

// replay is one recorded push.
type replay struct {
	row store.RecordedPush
	in  *push.Input
	// missing says why there is no input.
	missing string
	// lacking are commits whose notes had not come.
	lacking []string
}

// pushes reads the recorded pushes of a period.
func (r *replayer) pushes(ctx context.Context, from, to time.Time) iter.Seq2[backtest.Recorded, error] {
	return func(yield func(backtest.Recorded, error) bool) {
		for row, err := range r.e.cfg.DB.RecordedPushes(ctx, r.org, from, to) {
			if err != nil {
				yield(backtest.Recorded{}, err)
				return
			}
			r.batch, r.size = append(r.batch, readReplay(row)), r.size+len(row.Input)
			full := len(r.batch) >= replayPushes || r.size >= replayBytes
			if full && !r.flush(ctx, yield) {
				return
			}
		}
		r.flush(ctx, yield)
	}
}

func readReplay(row store.RecordedPush) *replay {
	one := &replay{row: row, in: &push.Input{}}
	switch {
	case row.Oversized:
		one.in, one.missing = nil, "the record of the push is too large"
	case row.Input == nil:
		one.in, one.missing = nil, "the record of the push is not kept any more"
	case json.Unmarshal(row.Input, one.in) != nil:
		one.in, one.missing = nil, "the record of the push cannot be read"
	default:
		one.lacking = lacking(one.in)
	}
	one.row.Input = nil
	return one
}

// lacking are the commits of an input for which notes may have come later.
func lacking(in *push.Input) []string {
	receipts := map[string]bool{}
	for i := range in.Receipts {
		receipts[in.Receipts[i].Commit] = true
	}
	var oids []string
	for i := range in.Commits {
		if c := &in.Commits[i]; !c.Noted && !receipts[c.OID] {
			oids = append(oids, c.OID)
		}
	}
	return oids
}

// flush hands the batch on, up to date; it reports false when nobody wants more.
func (r *replayer) flush(ctx context.Context, yield func(backtest.Recorded, error) bool) bool {
	found, unread := r.notes(ctx)
	for _, one := range r.batch {
		if one.in != nil && len(one.lacking) > 0 {
			if unread[one.row.RepoID] {
				one.in, one.missing = nil, "the notes of the repository cannot be read"
			} else if err := r.refresh(ctx, one, found[one.row.RepoID]); err != nil {
				yield(backtest.Recorded{}, err)
				return false
			}
		}
		if !yield(one.recorded(), nil) {
			return false
		}
	}
	r.batch, r.size = nil, 0
	return true
}

func (one *replay) recorded() backtest.Recorded {
	return backtest.Recorded{Decision: one.row.ID.String(), At: one.row.At, Repo: one.row.Repo, Pusher: one.row.Pusher,
		Told: one.row.Outcome, Input: one.in, Missing: one.missing}
}

// notesOf are notes by their commits.
type notesOf map[string][]hooks.Note

// notes reads what the commits of the batch lacked, by repository, and names
// the repositories whose notes cannot be read.
func (r *replayer) notes(ctx context.Context) (found map[uuid.UUID]notesOf, unread map[uuid.UUID]bool) {
	found, unread = map[uuid.UUID]notesOf{}, map[uuid.UUID]bool{}
	if r.e.cfg.Notes == nil {
		return found, unread
	}
	lacking := map[uuid.UUID][]string{}
	for _, one := range r.batch {
		lacking[one.row.RepoID] = append(lacking[one.row.RepoID], one.lacking...)
	}
	for repo, commits := range lacking {
		if len(commits) == 0 {
			continue
		}
		list, err := r.e.cfg.Notes.Notes(ctx, r.org, repo, commits)
		if err != nil {
			r.e.cfg.Log.Warn().Err(err).Stringer("repo", repo).Msg("notes for a backtest were not read")
			unread[repo] = true
			continue
		}
		found[repo] = notesOf{}
		for _, note := range list {
			found[repo][string(note.Commit)] = append(found[repo][string(note.Commit)], note)
		}
	}
	return found, unread
}

// refresh fills the input of a push anew where notes came later, or do not come
// any more, as a late judgement does.
func (r *replayer) refresh(ctx context.Context, one *replay, notes notesOf) error {
	var came []hooks.Note
	for _, oid := range one.lacking {
		came = append(came, notes[oid]...)
	}
	await := one.in.Await && r.e.now(time.Now()).Before(one.row.AwaitedUntil)
	if len(came) == 0 && await == one.in.Await {
		return nil
	}
	return r.e.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		text, err := tx.RecordedPush(ctx, r.org, one.row.ID)
		if err != nil {
			return err
		}
		var p hooks.Push
		if err := json.Unmarshal(text, &p); err != nil {
			return fmt.Errorf("reading the push of decision %s: %w", one.row.ID, err)
		}
		p.Notes = newer(p.Notes, came)
		j := &judgement{tx: tx, push: &p, org: r.org, repo: one.row.RepoID, zone: r.zone, at: one.in.Now, rules: &rulebook{}, in: p.Input()}
		j.in.Pusher, j.in.Repo = one.in.Pusher, one.in.Repo
		if err := j.fill(ctx, await); err != nil {
			return err
		}
		one.in = one.reviewed(&j.in)
		return nil
	})
}

// reviewed takes over the reviews that were known at the push.
func (one *replay) reviewed(in *push.Input) *push.Input {
	reviews := map[string][]push.Review{}
	for i := range one.in.Commits {
		reviews[one.in.Commits[i].OID] = one.in.Commits[i].Reviews
	}
	for i := range in.Commits {
		in.Commits[i].Reviews = reviews[in.Commits[i].OID]
	}
	return in
}
