package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/store"
)

func newMigrate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to the schema of this version",
		Long: "Bring the database to the schema of this version. \"serve\" does so by itself; this is for those who\n" +
			"migrate before they start a new version. Several may run at once: one works, the others wait.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.migrate(cmd.Context()) },
	}
}

func (a *app) migrate(ctx context.Context) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	database, err := findDatabase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.close(ctx)) }()
	if err := store.Migrate(ctx, database.dsn, log); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]bool{"migrated": true})
	}
	fmt.Fprintln(a.stdout, "The database is up to date.")
	return nil
}
