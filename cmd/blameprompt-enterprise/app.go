package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// program is the name that messages begin with.
const program = "blameprompt-enterprise"

// app is the process as the commands see it.
type app struct {
	lookup         func(string) (string, bool)
	dir            string
	stdin          io.Reader
	stdout, stderr io.Writer
	// watched and shown say that a person sees stderr and stdout.
	watched, shown bool
	// readPassword reads a line from the terminal without showing it; nil when
	// stdin is none.
	readPassword func() ([]byte, error)

	configFile string
	apiURL     string
	caFile     string
	timeout    time.Duration
	json       bool
}

// process is the app of this process.
func process() *app {
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	a := &app{
		lookup: os.LookupEnv, dir: dir, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		watched: term.IsTerminal(int(os.Stderr.Fd())), shown: term.IsTerminal(int(os.Stdout.Fd())),
	}
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		a.readPassword = func() ([]byte, error) { return term.ReadPassword(fd) }
	}
	return a
}

// The exit codes. A command line that makes no sense is an error.
const (
	exitOK = iota
	// exitNo: the command did its work, and the answer is no.
	exitNo
	exitError
	// exitInterrupted is what shells make of SIGINT.
	exitInterrupted = 130
)

// errNo ends a command that has said already that the answer is no.
var errNo = errors.New("no")

// usageError is a command line that makes no sense.
type usageError struct {
	path string
	err  error
}

func (e *usageError) Error() string { return e.err.Error() }

// run runs a command line and returns the exit code.
func run(ctx context.Context, a *app, args ...string) int {
	// Some launchers of "blameprompt enterprise" hand the word on.
	if len(args) > 0 && args[0] == "enterprise" {
		args = args[1:]
	}
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNo):
		return exitNo
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, program+": interrupted")
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "%s: %v\nRun \"%s --help\" to see how it is used.\n", program, usage.err, usage.path)
		return exitError
	}
	fmt.Fprintf(a.stderr, "%s: %v\n", program, err)
	return exitError
}

const rootHelp = `Asks a BlamePrompt Enterprise server what people at a shell and CI jobs want to
know: whether the policies allow a push, what AI wrote and what it cost; and
brings it the receipts of a repository that it does not fetch itself.

The server and the key come from the environment (BLAMEPROMPT_API_URL and
BLAMEPROMPT_API_KEY), from the table [enterprise] of .blameprompt/config.toml in
the working directory or above it, and from "` + program + ` login".

Exit codes: 0 all is well; 1 the answer is no: a push would be refused, a check
of doctor fails, receipts were rejected; 2 the question could not be answered;
130 interrupted.`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           program,
		Short:         "BlamePrompt Enterprise at the command line",
		Long:          rootHelp,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: helpful,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd.CommandPath(), err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "Configuration file instead of the one that is found")
	flags.StringVar(&a.apiURL, "api-url", "", "Address of the server")
	flags.StringVar(&a.caFile, "ca-file", "", "PEM certificates to trust instead of the system's")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "How long the server may take for an answer")
	flags.BoolVar(&a.json, "json", false, "Print JSON")
	root.AddCommand(newCheck(a), newSync(a), newPolicies(a), newReceipts(a), newAnalytics(a), newReport(a), newLogin(a), newLogout(a), newDoctor(a), newVersion(a))
	return root
}

// helpful is the run of a command that only holds others.
func helpful(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0])}
	}
	return cmd.Help()
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: helpful}
	cmd.AddCommand(children...)
	return cmd
}

// exactly wants an argument for each name, and says which are missing.
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
