package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// app is the process as the commands see it.
type app struct {
	lookup         func(string) (string, bool)
	dir            string
	stdout, stderr io.Writer
	// terminal says that a person watches stderr.
	terminal bool

	configFile string
	org        string
	json       bool
	loader     *loader
}

// process is the app of this process.
func process() *app {
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	return &app{
		lookup: os.LookupEnv, dir: dir, stdout: os.Stdout, stderr: os.Stderr,
		terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
}

// errSilent ends a command that has said already what is wrong.
var errSilent = errors.New("failed")

// exitInterrupted is what shells make of SIGINT.
const exitInterrupted = 130

// run runs a command line and returns the exit code: 0, 1 for a failure, 2 for
// a command line that makes no sense, 130 when it was interrupted.
func run(ctx context.Context, a *app, args ...string) int {
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSilent):
		return 1
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "blamepromptd: interrupted")
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "blamepromptd: %v\nRun \"%s --help\" to see how it is used.\n", usage.err, usage.path)
		return 2
	}
	fmt.Fprintf(a.stderr, "blamepromptd: %v\n", err)
	return 1
}

// usageError is a command line that makes no sense.
type usageError struct {
	path string
	err  error
}

func (e *usageError) Error() string { return e.err.Error() }

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "blamepromptd",
		Short:         "The daemon of BlamePrompt Enterprise and its administration",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd.CommandPath(), err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "Configuration file (default: ./"+configName+", then "+systemFile+")")
	flags.StringVar(&a.org, "org", "default", "Organisation to work in")
	flags.BoolVar(&a.json, "json", false, "Print JSON")
	addFlags(flags)
	a.loader = &loader{lookup: a.lookup, dir: a.dir, flags: flags}
	root.AddCommand(newServe(a), newDemo(a), newMigrate(a), newConfig(a), newOrg(a), newRepo(a), newKey(a), newWebhook(a), newEndpoint(a), newHooks(a),
		newUser(a), newSSHKey(a), newGrant(a), newPrice(a), newIdentity(a), newBot(a),
		newBackup(a), newPolicy(a), newDecision(a), newHold(a), newWaiver(a), newReview(a), newAudit(a), newPerson(a), newPrivacy(a), newDoctor(a), newVersion(a))
	return root
}

// exactly wants n arguments, and says which are missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return &usageError{cmd.CommandPath(), fmt.Errorf("%s is missing", names[len(args)])}
		}
		if len(args) > len(names) {
			return &usageError{cmd.CommandPath(), fmt.Errorf("unexpected argument %q", args[len(names)])}
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return &usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0])}
		}
		return cmd.Help()
	}
	cmd.AddCommand(children...)
	return cmd
}

// config reads the configuration.
func (a *app) config() (*Config, error) {
	cfg, _, err := a.loader.load(a.configFile)
	return cfg, err
}

// logger writes to stderr in the format that cfg asks for.
func (a *app) logger(cfg *Config) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("reading log_level: %w", err)
	}
	out := a.stderr
	if cfg.LogFormat == "console" || cfg.LogFormat == "auto" && a.terminal {
		out = zerolog.ConsoleWriter{Out: a.stderr, TimeFormat: time.TimeOnly, NoColor: !a.terminal}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger(), nil
}

// session is what a command that works on the data has at hand.
type session struct {
	cfg *Config
	log zerolog.Logger
	db  *store.DB
	// daemon says that a daemon runs on the same data directory.
	daemon bool
}

// publicURL is where the daemon that runs says it is, else where it would be.
func (s *session) publicURL() string {
	if r, err := readRunning(s.cfg.runningFile()); s.daemon && err == nil {
		return r.URL
	}
	return s.cfg.publicURL()
}

// inSession runs fn with the database, which it starts if no daemon does.
func (a *app) inSession(ctx context.Context, fn func(ctx context.Context, s *session) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	// Routine reports of the database have no place between a command's lines.
	log = log.Level(max(log.GetLevel(), zerolog.WarnLevel))
	database, err := findDatabase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.close(ctx)) }()
	if database.cluster != nil {
		if err := store.Migrate(ctx, database.dsn, log); err != nil {
			return err
		}
	}
	db, err := openStore(ctx, cfg, database.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return fn(ctx, &session{cfg: cfg, log: log, db: db, daemon: database.daemon})
}

// inOrg is inSession within the organisation that --org names, as its
// administrator at the command line.
func (a *app) inOrg(ctx context.Context, fn func(ctx context.Context, s *session, by access.Principal) error) error {
	return a.inSession(ctx, func(ctx context.Context, s *session) error {
		org, err := s.db.OrgByName(ctx, a.org)
		if errors.Is(err, store.ErrNotFound) {
			return noOrg(a.org)
		}
		if err != nil {
			return err
		}
		return fn(ctx, s, access.CLI(org.ID))
	})
}

func noOrg(name string) error {
	if name == "default" {
		return errors.New("there is no organisation \"default\": the first start of the daemon (\"blamepromptd serve\") " +
			"makes it and shows its admin key; others need --org")
	}
	return fmt.Errorf("there is no organisation %q; see \"blamepromptd org list\"", name)
}
