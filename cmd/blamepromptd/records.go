package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

const (
	// chainEvery is how long what was recorded may stand outside of the audit
	// chain; headEvery is the pause between two log lines with its head.
	chainEvery   = 5 * time.Second
	chainTimeout = time.Hour
	headEvery    = time.Hour
	// promptsEvery is how long a changed setting of prompts may wait to be applied
	// to what is stored; dailyEvery is the pause between two looks for what is too
	// old, and for traces of people who were erased.
	promptsEvery = time.Minute
	dailyEvery   = 24 * time.Hour
	// vacuumEvery is how soon dead rows that an erasure left are removed.
	vacuumEvery   = time.Minute
	vacuumTimeout = 2 * time.Hour
	// Reports are poked when they are asked for; the regular look finds those whose
	// daemon died.
	reportsEvery   = time.Minute
	reportsTimeout = 2 * time.Hour
)

// recordTasks look after what is kept: that nobody can change it
// unseen, and that no more is kept than the organisation wants;
// and make reports of it.
func recordTasks(cfg *Config, db *store.DB, log zerolog.Logger) []queue.Task {
	reports := &compliance.Writer{DB: db, Dir: cfg.reportDir(), Log: log.With().Str("part", "reports").Logger()}
	return []queue.Task{
		{Name: compliance.Task, Every: reportsEvery, Timeout: reportsTimeout, Work: reports.Work},
		{Name: "audit", Every: chainEvery, Timeout: chainTimeout, Work: db.Chain},
		{Name: "prompts", Every: promptsEvery, Timeout: chainTimeout, Work: db.ApplyPrompts},
		{Name: "prompt_reads", Every: headEvery, Work: db.RecordPromptsListed},
		{Name: "retention", Every: dailyEvery, Timeout: chainTimeout, Work: db.ApplyRetention},
		{Name: "erasures", Every: dailyEvery, Timeout: chainTimeout, Work: db.EraseAgain},
		{Name: "vacuum_erased", Every: vacuumEvery, Timeout: vacuumTimeout, Work: db.VacuumErased},
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
