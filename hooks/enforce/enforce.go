// Package enforce is the push boundary inside of the daemon: it judges what
// server hooks tell of a push by the organisation's policies, answers, and
// judges again when receipts, reviews or waivers come later.
//
// It owns decisions: how they are made (Decide), what becomes of those that
// wait (Reconsider, Due) and of what a push leaves behind (Received). The
// states that a decision goes through are drawn in docs/enforcement.md.
//
// Promises: an answer was recorded before it is given, with the audit row and
// all that counts from then on, in one transaction; pushes that are judged at
// once cannot pass below one limit together; what cannot be judged is an error
// and never a verdict; a decision that waits is settled once, whoever works on
// it; nothing of a decision depends on which daemon makes it. An Enforcer is
// safe for concurrent use.
package enforce

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Config says what an Enforcer works with.
type Config struct {
	DB *store.DB
	// PublicURL is where people find the daemon's pages; empty leaves links out.
	PublicURL string
	Log       zerolog.Logger
	// Now is the clock; nil is that of the database, which all daemons share.
	Now func() time.Time
	// Notes reads notes that came after their push; nil reads none.
	Notes NotesReader
	// Fetches is told that a repository was pushed to; nil demands nothing.
	Fetches Fetches
	// Statuses is told, in the transaction that wants them, that forges are to be
	// told of verdicts; nil tells nobody, and the statuses wait.
	Statuses func(ctx context.Context, tx *store.Tx) error
}

// NotesReader reads the notes of commits as they are now: those of the
// mirror, and what came by other ways.
type NotesReader interface {
	Notes(ctx context.Context, org, repo uuid.UUID, commits []string) ([]hooks.Note, error)
}

// Fetches takes demands. *queue.Queue does.
type Fetches interface {
	DemandFetch(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, d queue.Demand) error
}

// Enforcer judges pushes.
type Enforcer struct {
	cfg   Config
	rules *rulebooks
}

// New returns an Enforcer.
func New(cfg Config) *Enforcer {
	cfg.PublicURL = strings.TrimSuffix(cfg.PublicURL, "/")
	cfg.Log = cfg.Log.With().Str("part", "enforce").Logger()
	return &Enforcer{cfg: cfg, rules: &rulebooks{byOrg: map[uuid.UUID]*rulebook{}}}
}

// Times that a judgement may take. A hook waits for four seconds.
const (
	decideTimeout = 3500 * time.Millisecond
	rulesTimeout  = 2 * time.Second
	lateTimeout   = 30 * time.Second
)

// waitMS is how long a hook looks for notes in receipt mode wait.
const waitMS = 3000

// now is the moment of a judgement that began at the database's time.
func (e *Enforcer) now(database time.Time) time.Time {
	if e.cfg.Now != nil {
		return e.cfg.Now()
	}
	return database
}

// clock is the moment that the configuration sets, nil for the database's.
func (e *Enforcer) clock() *time.Time {
	if e.cfg.Now == nil {
		return nil
	}
	now := e.cfg.Now()
	return &now
}

// want notes what a forge is to show at commits.
func (e *Enforcer) want(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, statuses []store.Status) error {
	if len(statuses) == 0 {
		return nil
	}
	wanted, err := tx.WantStatuses(ctx, org, repo, statuses)
	if err != nil || !wanted || e.cfg.Statuses == nil {
		return err
	}
	return e.cfg.Statuses(ctx, tx)
}

// errNoRepo says that a hook named no repository.
var errNoRepo = &store.InvalidError{Field: "repo", Problem: "is neither named by the hook nor known to it"}

// repoName is the name of the repository that is pushed to. A wiki is a
// repository beside the one whose wiki it is.
func repoName(installed string, p *hooks.Push) (string, error) {
	name := installed
	if name == "" {
		name = p.Repo
	}
	if name == "" {
		return "", errNoRepo
	}
	if p.Wiki && !strings.HasSuffix(name, ".wiki") {
		name += ".wiki"
	}
	return name, nil
}
