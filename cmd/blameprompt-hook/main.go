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

const usage = `usage: blameprompt-hook [flags] pre-receive|post-receive|proc-receive|forward
       blameprompt-hook [flags] check
       blameprompt-hook version

git runs the hooks; "blamepromptd hooks install" writes the files that name
this program. check asks the daemon and says whether it answers.

`

// run runs one command line. One that makes no sense fails, whatever hook it is
// of: a gate that is set up wrongly must not stand open.
func run(ctx context.Context, p process) int {
	var o hooks.Options
	flags := o.Flags("blameprompt-hook", p.stderr)
	flags.Usage = func() {
		fmt.Fprint(p.stderr, usage)
		flags.PrintDefaults()
	}
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
	if o.Client.Socket == "" && o.Client.URL == "" {
		o.Client.Socket = lookup(p.environ, hooks.SocketVariable)
	}
	switch command {
	case "pre-receive", "post-receive":
		return p.hook(ctx, command, o)
	case "proc-receive":
		return p.relay(ctx, command, o)
	case hooks.ForwardHook:
		return p.forward(ctx, o)
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

func (p process) hook(ctx context.Context, name string, o hooks.Options) int {
	return hooks.RunHook(ctx, hooks.RunConfig{
		Hook: name, Client: o.Client, Mode: o.Mode, Time: o.Time,
		Dir: p.dir, Environ: p.environ, Stdin: p.stdin, Out: p.stderr,
	})
}

func (p process) relay(ctx context.Context, name string, o hooks.Options) int {
	if o.Client.Socket == "" {
		return p.fail(errors.New(name + " is for the sessions of the gateway"))
	}
	if err := hooks.Relay(ctx, o.Client.Socket, name, p.stdin, p.stdout); err != nil {
		return p.fail(err)
	}
	return exitOK
}

// forward is the end of pre-receive in a repository that the gateway forwards.
func (p process) forward(ctx context.Context, o hooks.Options) int {
	if o.Client.Socket == "" {
		return p.fail(errors.New(hooks.ForwardHook + " is for the sessions of the gateway"))
	}
	accepted, err := hooks.Forward(ctx, o.Client.Socket, p.environ, p.stdin, p.stderr)
	switch {
	case err != nil:
		return p.fail(err)
	case !accepted:
		return exitFail
	}
	return exitOK
}

// check says to an administrator what a hook with these flags would find.
func (p process) check(ctx context.Context, o hooks.Options) int {
	client, err := hooks.NewClient(o.Client)
	if err != nil {
		return p.fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, hooks.MaxTime)
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
	case heard.Mode != o.Mode:
		fmt.Fprintf(p.stdout, "Repository %q is %s there and %s here; \"blamepromptd hooks install\" writes it anew.\n", heard.Repo, heard.Mode, o.Mode)
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
