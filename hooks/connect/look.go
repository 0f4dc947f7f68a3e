package connect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// What becomes of a listed repository beside the store's placements.
const (
	// Skipped: the selection does not want it.
	Skipped store.Placement = "skipped"
	// Refused: it cannot be registered; the reason says why.
	Refused store.Placement = "refused"
)

// RepoReport says what became of a repository that the forge listed.
type RepoReport struct {
	Path   string
	Fork   bool
	Action store.Placement
	// Name is the registered repository's; empty where there is none.
	Name string
	// Reason says why it was skipped or refused, or has no webhook.
	Reason string
}

// Where webhooks of a connection are.
const (
	HooksOff   = "off"
	HooksOwner = "owner"
	HooksRepos = "repositories"
)

// Report is what a look at a forge found and did.
type Report struct {
	Repos []RepoReport
	// Webhooks is HooksOff, HooksOwner for one that covers all, or HooksRepos for
	// one per repository; HooksReason says why there are none.
	Webhooks    string
	HooksReason string
	// Problem is what somebody should mend at the forge.
	Problem string
}

// Count counts the repositories of an action.
func (r Report) Count(action store.Placement) int {
	n := 0
	for _, repo := range r.Repos {
		if repo.Action == action {
			n++
		}
	}
	return n
}

// Registered counts the repositories that belong to the connection now.
func (r Report) Registered() int {
	return r.Count(store.RepoAdded) + r.Count(store.RepoAttached) + r.Count(store.RepoKnown)
}

// Progress takes what a look is doing; total is 0 while it is not known.
type Progress func(stage string, done, total int)

// LookOptions change a look.
type LookOptions struct {
	// Revive takes up repositories again that were removed.
	Revive bool
	// Anew makes sure of webhooks that were made before, too, and tries again at
	// once what could not be fetched: token or permissions may have changed.
	Anew bool
	// Progress may be nil.
	Progress Progress
}

func (o LookOptions) report(stage string, done, total int) {
	if o.Progress != nil {
		o.Progress(stage, done, total)
	}
}

// Preview says what Connect and a look would do, and changes nothing.
func (c *Connector) Preview(ctx context.Context, by access.Principal, in Request, progress Progress) (Report, error) {
	row, account, err := c.prepare(ctx, by.Org, in)
	if err != nil {
		return Report{}, err
	}
	row.Selection, row.Owner = in.Selection, in.Owner
	l := look{c: c, by: by, row: row, account: account, options: LookOptions{Progress: progress}}
	return l.run(ctx, l.foresee)
}

// lockStep is the pause between two tries to begin a look that somebody else
// is at.
const lockStep = 200 * time.Millisecond

// Look registers the repositories of a connection that are wanted and not
// registered yet, makes webhooks, demands fetches of what is new, and records
// how it went. One at a time looks at a connection, over all programs: it waits.
func (c *Connector) Look(ctx context.Context, by access.Principal, row store.Connection, o LookOptions) (Report, error) {
	for {
		lock, err := queue.TryLockConnection(ctx, c.cfg.DB, row.ID)
		if err != nil {
			return Report{}, err
		}
		if lock != nil {
			defer lock.Release()
			return c.lookLocked(ctx, lock, by, row.OrgID, row.ID, o)
		}
		o.report("waiting for another look", 0, 0)
		select {
		case <-ctx.Done():
			return Report{}, ctx.Err()
		case <-time.After(lockStep):
		}
	}
}

// lookLocked reads the connection under its lock: it may have changed or ended
// meanwhile.
func (c *Connector) lookLocked(ctx context.Context, lock *queue.Lock, by access.Principal, org, id uuid.UUID, o LookOptions) (Report, error) {
	row, err := c.cfg.DB.Connection(ctx, org, id)
	if err != nil {
		return Report{}, err
	}
	held, cancel := lock.Hold(ctx)
	report, err := c.look(held, by, row, o)
	cancel()
	if ctx.Err() != nil {
		return report, errors.Join(err, ctx.Err())
	}
	problem := report.Problem
	if err != nil {
		problem = err.Error()
	}
	return report, errors.Join(err, c.cfg.DB.ConnectionChecked(ctx, row.OrgID, row.ID, problem))
}

func (c *Connector) look(ctx context.Context, by access.Principal, row store.Connection, o LookOptions) (Report, error) {
	account, err := c.account(ctx, row)
	if err != nil {
		return Report{}, err
	}
	l := look{c: c, by: by, row: row, account: account, options: o}
	report, err := l.run(ctx, l.place)
	if err == nil {
		err = l.hook(ctx, &report)
	}
	return report, err
}

// LookAround looks at every connection, of all organisations, that was not
// looked at for a while, and at which nobody looks. It is the work of LookTask.
func (c *Connector) LookAround(ctx context.Context) error {
	rows, err := c.cfg.DB.ConnectionsDue(ctx, c.cfg.Every)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := c.lookAt(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// lookAt looks at one connection of many. Its error is what holds up the others
// too: the database's, or the end of ctx.
func (c *Connector) lookAt(ctx context.Context, row store.Connection) error {
	lock, err := queue.TryLockConnection(ctx, c.cfg.DB, row.ID)
	if lock == nil {
		return err
	}
	defer lock.Release()
	report, err := c.lookLocked(ctx, lock, access.Daemon(row.OrgID), row.OrgID, row.ID, LookOptions{})
	log := c.cfg.Log.With().Str("forge", row.Forge).Str("owner", row.Owner).Logger()
	switch {
	case errors.Is(err, store.ErrUnavailable), ctx.Err() != nil:
		return errors.Join(err, ctx.Err())
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		log.Warn().Err(err).Msg("looking at a connection failed")
	case report.Count(store.RepoAdded) > 0:
		log.Info().Int("repositories", report.Count(store.RepoAdded)).Msg("registered new repositories")
	}
	return nil
}

// look is one look at a connection.
type look struct {
	c       *Connector
	by      access.Principal
	row     store.Connection
	account forge.Account
	options LookOptions
	// placed are the registered repositories of the report's lines.
	placed map[int]store.Repo
}

// placer registers or foresees one repository.
type placer func(ctx context.Context, in store.ForgeRepo) (store.Repo, store.Placement, error)

func (l *look) run(ctx context.Context, place placer) (Report, error) {
	chosen, err := compile(l.row.Selection, l.row.Owner)
	if err != nil {
		return Report{}, err
	}
	l.options.report("listing repositories", 0, 0)
	listed, err := l.c.cfg.Forges.ListRepos(ctx, l.account)
	if err != nil {
		return Report{}, fmt.Errorf("listing the repositories of %s: %w", l.row.Owner, err)
	}
	report := Report{Repos: make([]RepoReport, len(listed)), Webhooks: HooksOff}
	l.placed = map[int]store.Repo{}
	for i, repo := range listed {
		l.options.report("registering repositories", i, len(listed))
		line := RepoReport{Path: repo.Path, Fork: repo.Fork, Action: Skipped, Reason: chosen.skip(repo)}
		if line.Reason == "" {
			if line, err = l.one(ctx, i, line, chosen.address(repo), place); err != nil {
				return report, err
			}
		}
		report.Repos[i] = line
	}
	return report, nil
}

// one places a repository. What is wrong with it alone is its line's reason.
func (l *look) one(ctx context.Context, i int, line RepoReport, address string, place placer) (RepoReport, error) {
	remote, err := l.c.cfg.Remotes.Check(ctx, address)
	if errors.Is(err, mirror.ErrRefused) || errors.Is(err, mirror.ErrUnreachable) {
		line.Action, line.Reason = Refused, err.Error()
		return line, nil
	}
	if err != nil {
		return line, err
	}
	repo, action, err := place(ctx, store.ForgeRepo{Path: line.Path, RemoteURL: remote.String(),
		URLKey: forge.NormalizeURL(remote.String())})
	var invalid *store.InvalidError
	if errors.As(err, &invalid) {
		line.Action, line.Reason = Refused, invalid.Error()
		return line, nil
	}
	line.Action, line.Name = action, repo.Name
	switch action {
	case store.RepoTaken:
		line.Reason = "another repository has its name, or another connection has it"
	case store.RepoRemoved:
		line.Reason = "it was removed here"
	}
	if repo.ID != uuid.Nil {
		l.placed[i] = repo
	}
	return line, err
}

func (l *look) foresee(ctx context.Context, in store.ForgeRepo) (store.Repo, store.Placement, error) {
	var action store.Placement
	err := l.c.cfg.DB.InTx(ctx, func(tx *store.Tx) (err error) {
		action, err = tx.FindPlace(ctx, l.row, in)
		return err
	})
	return store.Repo{}, action, err
}

// place also demands a fetch of what is new to the connection: what is there
// already may not have been fetched for want of a token.
func (l *look) place(ctx context.Context, in store.ForgeRepo) (store.Repo, store.Placement, error) {
	repo, action, err := l.placeOnce(ctx, in)
	if errors.Is(err, store.ErrConflict) {
		// Somebody else registered one of this name meanwhile.
		return l.placeOnce(ctx, in)
	}
	return repo, action, err
}

func (l *look) placeOnce(ctx context.Context, in store.ForgeRepo) (repo store.Repo, action store.Placement, err error) {
	err = l.c.cfg.DB.InTx(ctx, func(tx *store.Tx) (err error) {
		repo, action, err = tx.PlaceRepo(ctx, l.by, l.row, in, l.options.Revive)
		retry := action == store.RepoKnown && l.options.Anew && repo.FetchFailures > 0
		if err != nil || action != store.RepoAdded && action != store.RepoAttached && !retry {
			return err
		}
		return l.c.cfg.Jobs.DemandFetch(ctx, tx, repo.OrgID, repo.ID, queue.Asked)
	})
	return repo, action, err
}
