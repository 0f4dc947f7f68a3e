package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

const (
	// chainEvery is how long what was recorded may stand outside of the audit
	// chain; headEvery is the pause between two log lines with its head.
	chainEvery   = 5 * time.Second
	chainTimeout = time.Hour
	headEvery    = time.Hour
)

// recordTasks look after what is kept: that nobody can change it unseen.
func recordTasks(db *store.DB, log zerolog.Logger) []queue.Task {
	return []queue.Task{
		{Name: "audit", Every: chainEvery, Timeout: chainTimeout, Work: db.Chain},
		{Name: "audit_head", Every: headEvery, Work: func(ctx context.Context) error { return logHeads(ctx, db, log) }},
	}
}

// logHeads writes the heads of the audit chains to the log, which may be kept
// where nobody who can write to the database can write.
func logHeads(ctx context.Context, db *store.DB, log zerolog.Logger) error {
	orgs, err := db.Orgs(ctx)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		head, err := db.ExtendChain(ctx, org.ID)
		if err != nil {
			return err
		}
		log.Info().Str("org", org.Name).Stringer("head", head).Msg("the head of the audit chain")
	}
	return nil
}
