package hooks

import (
	"flag"
	"fmt"
	"io"
	"time"
)

// Options are what stands on the command line of blameprompt-hook before the
// name of the hook.
type Options struct {
	Client ClientConfig
	Mode   Mode
	// Time is RunConfig.Time; zero is not said.
	Time time.Duration
}

// Flags returns the flags that set o; what they say of themselves goes to out.
func (o *Options) Flags(name string, out io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.Client.Socket, "socket", "", "the daemon's Unix socket `path`")
	f.StringVar(&o.Client.URL, "url", "", "the daemon's `address`, such as https://blameprompt.example.com")
	f.StringVar(&o.Client.KeyFile, "key-file", "", "the `file` with the API key of scope hook, with --url")
	f.StringVar(&o.Client.CAFile, "ca-file", "", "the `file` of certificates in PEM to trust, with --url")
	f.StringVar(&o.Client.Org, "org", "", "the `organisation`, with --socket")
	f.StringVar(&o.Client.Repo, "repo", "", "the repository's `name`; without it the one that the git server gives")
	f.DurationVar(&o.Time, "timeout", 0, "how long a hook may take, at most and by default 4s")
	o.Mode = Advisory
	f.Func("mode", "what becomes of pushes that nobody could judge: `advisory` (accepted, the default) or enforcing (refused)",
		func(text string) error {
			o.Mode = Mode(text)
			if o.Mode != Advisory && o.Mode != Enforcing {
				return fmt.Errorf("it is neither %s nor %s", Advisory, Enforcing)
			}
			return nil
		})
	return f
}

// Args are the flags that set o.
func (o *Options) Args() []string {
	var args []string
	add := func(name, value string) {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	add("socket", o.Client.Socket)
	add("url", o.Client.URL)
	add("key-file", o.Client.KeyFile)
	add("ca-file", o.Client.CAFile)
	add("org", o.Client.Org)
	add("repo", o.Client.Repo)
	add("mode", string(o.Mode))
	if o.Time != 0 {
		add("timeout", o.Time.String())
	}
	return args
}

// ParseOptions reads flags as Args writes them.
func ParseOptions(args []string) (Options, error) {
	var o Options
	flags := o.Flags("options", io.Discard)
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("reading the hook's options: %w", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("reading the hook's options: unexpected %q", flags.Arg(0))
	}
	return o, nil
}
