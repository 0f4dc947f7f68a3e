package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/blameprompt/enterprise/hooks"
)

// version is stamped by the Makefile's -ldflags.
var version = ""

func main() { os.Exit(runMain()) }

// runMain is main without the exit.
func runMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A pusher who has gone away reads nothing; the exit code counts all the same.
	signal.Ignore(syscall.SIGPIPE)
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	return run(ctx, process{
		args: os.Args[1:], environ: os.Environ(), dir: dir, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	})
}

// process is what the program has of its process.
type process struct {
	args, environ  []string
	dir            string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// The exit codes beside those of hooks. git refuses a push for each of them.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
)

const usage = `usage: blameprompt-hook [flags] pre-receive|post-receive|proc-receive
       blameprompt-hook [flags] check
       blameprompt-hook version

git runs the hooks; "blamepromptd hooks install" writes the files that name
this program. check asks the daemon and says whether it answers.

`

// options are the flags.
type options struct {
	client hooks.ClientConfig
	mode   string
	time   time.Duration
}

func (o *options) flags(out io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("blameprompt-hook", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.client.Socket, "socket", "", "the daemon's Unix socket `path`")
	f.StringVar(&o.client.URL, "url", "", "the daemon's `address`, such as https://blameprompt.example.com")
	f.StringVar(&o.client.KeyFile, "key-file", "", "the `file` with the API key of scope hook, with --url")
	f.StringVar(&o.client.CAFile, "ca-file", "", "the `file` of certificates in PEM to trust, with --url")
	f.StringVar(&o.client.Org, "org", "", "the `organisation`, with --socket")
	f.StringVar(&o.client.Repo, "repo", "", "the repository's `name`; without it the one that the git server gives")
	f.StringVar(&o.mode, "mode", string(hooks.Advisory), "what becomes of pushes that nobody could judge: advisory or enforcing")
	f.DurationVar(&o.time, "timeout", hooks.MaxTime, "how long a hook may take, at most 4s")
	f.Usage = func() {
		fmt.Fprint(out, usage)
		f.PrintDefaults()
	}
	return f
}

// run runs one command line. What it cannot make sense of it fails: a gate that
// is set up wrongly must not stand open.
func run(ctx context.Context, p process) int {
	var o options
	flags := o.flags(p.stderr)
	switch err := flags.Parse(p.args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() != 1:
		flags.Usage()
		return exitUsage
	}
	command := flags.Arg(0)
	if o.mode != string(hooks.Advisory) && o.mode != string(hooks.Enforcing) {
		return p.fail(fmt.Errorf("--mode %q is neither advisory nor enforcing", o.mode))
	}
	if o.client.Socket == "" && o.client.URL == "" {
		o.client.Socket = lookup(p.environ, hooks.SocketVariable)
	}
	switch command {
	case "pre-receive", "post-receive":
		return p.hook(ctx, command, o)
	case "proc-receive":
		return p.relay(ctx, command, o)
	case "check":
		return p.check(ctx, o)
	case "version":
		fmt.Fprintf(p.stdout, "blameprompt-hook %s (%s)\n", buildVersion(), runtime.Version())
		return exitOK
	}
	return p.fail(fmt.Errorf("%q is neither a hook nor a command", command))
}

func (p process) fail(err error) int {
	fmt.Fprintf(p.stderr, "blameprompt-hook: %v\n", err)
	return exitFail
}

func (p process) hook(ctx context.Context, name string, o options) int {
	o.client.Patient = o.mode == string(hooks.Enforcing) && name == "pre-receive"
	client, err := hooks.NewClient(o.client)
	if err != nil {
		return p.fail(err)
	}
	return hooks.RunHook(ctx, hooks.RunConfig{
		Hook: name, Client: client, Mode: hooks.Mode(o.mode), Time: o.time,
		Dir: p.dir, Environ: p.environ, Stdin: p.stdin, Out: p.stderr,
	})
}

func (p process) relay(ctx context.Context, name string, o options) int {
	if o.client.Socket == "" {
		return p.fail(errors.New(name + " is for the sessions of the gateway"))
	}
	if err := hooks.Relay(ctx, o.client.Socket, name, p.stdin, p.stdout); err != nil {
		return p.fail(err)
	}
	return exitOK
}

// check says to an administrator what a hook with these flags would find.
func (p process) check(ctx context.Context, o options) int {
	client, err := hooks.NewClient(o.client)
	if err != nil {
		return p.fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, min(o.time, hooks.MaxTime))
	defer cancel()
	began := time.Now()
	heard, err := client.Check(ctx)
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprintf(p.stdout, "The daemon %s answers after %s, for organisation %s.\n", heard.Version,
		time.Since(began).Round(10*time.Microsecond), heard.Org)
	switch {
	case heard.Repo == "":
	case !heard.Known:
		fmt.Fprintf(p.stdout, "It does not know repository %q yet; the first push registers it.\n", heard.Repo)
	case string(heard.Mode) != o.mode:
		fmt.Fprintf(p.stdout, "Repository %q is %s there and %s here; \"blamepromptd hooks install\" writes it anew.\n", heard.Repo, heard.Mode, o.mode)
	default:
		fmt.Fprintf(p.stdout, "Repository %q is %s.\n", heard.Repo, heard.Mode)
	}
	return exitOK
}

// lookup finds a variable among those of a process.
func lookup(environ []string, name string) string {
	for _, entry := range environ {
		if len(entry) > len(name) && entry[:len(name)] == name && entry[len(name)] == '=' {
			return entry[len(name)+1:]
		}
	}
	return ""
}

// buildVersion is the stamped version, else the module's.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
