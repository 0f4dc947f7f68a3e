package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/store/pglocal"
)

func newBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Write the database into a file, while the daemon runs or not",
		Long: "Write the database into a file that pg_restore reads; by default into backups in the data directory. The\n" +
			"daemon may go on working. Beside it, keep the key file (seal_key_file), without which credentials in the\n" +
			"database cannot be read, and the data directory's gateway, which has the repositories that the gateway hosts.\n" +
			"Mirrors need no backup: they are fetched again.\n\n" +
			"To restore, into an empty database, before a daemon starts on it:\n" +
			"  pg_restore --no-owner --exit-on-error --dbname=URL FILE",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &usageError{cmd.CommandPath(), fmt.Errorf("unexpected argument %q", args[1])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.backup(cmd.Context(), args) },
	}
}

func (a *app) backup(ctx context.Context, args []string) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	file, err := a.backupFile(cfg, args)
	if err != nil {
		return err
	}
	programs, err := pglocal.FindBinaries(ctx, cfg.PostgresBinDir)
	if err != nil {
		return err
	}
	database, err := findDatabase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.close(ctx)) }()
	bar := a.newProgress()
	bar.stage("writing the database")
	err = pglocal.Backup(ctx, programs, database.dsn, file)
	bar.end()
	if err != nil {
		return err
	}
	return a.tellBackup(file)
}

// backupFile is the file that was named, or one of this second in the data
// directory.
func (a *app) backupFile(cfg *Config, args []string) (string, error) {
	if len(args) == 1 {
		if filepath.IsAbs(args[0]) {
			return args[0], nil
		}
		return filepath.Join(a.dir, args[0]), nil
	}
	if err := makeDataDir(cfg.DataDir); err != nil {
		return "", err
	}
	dir := filepath.Join(cfg.DataDir, "backups")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(dir, "blameprompt-"+time.Now().UTC().Format("20060102T150405Z")+".dump"), nil
}

func (a *app) tellBackup(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"file": file, "bytes": info.Size()})
	}
	fmt.Fprintf(a.stdout, "%s holds the database (%d bytes).\n", file, info.Size())
	return nil
}
