package gitcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultGrace is how long a cancelled child may take to end by itself.
const DefaultGrace = 3 * time.Second

// Command is one git child that has not run yet. Fields are set before Run,
// Output or Stream, one of which is called once. Its context ends the child
// and everything the child started.
type Command struct {
	// Stdin is read to its end or until the child exits; nil is empty.
	Stdin io.Reader
	// Config holds further key=value settings. They show in the process list.
	Config []string
	// Env holds further NAME=value pairs; they win over the fixed ones.
	Env []string
	// Protocols are the transports that git may use, none by default.
	Protocols []string
	// Secrets are replaced by *** wherever errors and OnStderr repeat text.
	Secrets []string
	// OnStderr, if set, gets each line of standard error (progress lines end in
	// a carriage return) as it comes, masked, cut at 4 KiB, from one goroutine.
	OnStderr func(line string)
	// Grace is the time between SIGTERM and SIGKILL; zero is DefaultGrace.
	Grace time.Duration

	ctx  context.Context
	dir  string
	repo *Repo
	args []string
}

// New returns a git command that runs in dir outside of any repository, with
// the environment that every child of this package gets: nothing of the
// system's or a user's configuration, no prompts, no hooks, no replace
// objects, no transport, C locale.
func New(ctx context.Context, dir string, args ...string) *Command {
	return &Command{ctx: ctx, dir: dir, args: args}
}

// fixedConfig is given to every child and cannot be changed by a repository.
var fixedConfig = []string{
	"core.hooksPath=/dev/null",
	"safe.directory=*",
	"gc.auto=0",
	"maintenance.auto=false",
	"core.askPass=",
	"credential.helper=",
	"core.quotePath=false",
}

func (c *Command) arguments() []string {
	var args []string
	for _, setting := range slices.Concat(fixedConfig, c.Config) {
		args = append(args, "-c", setting)
	}
	return append(args, c.args...)
}

// environment is complete: nothing is inherited but PATH and the directory for
// temporary files.
func (c *Command) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"TMPDIR=" + os.TempDir(),
		"HOME=/nonexistent",
		"LC_ALL=C",
		"TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_NO_REPLACE_OBJECTS=1",
		// Read since git 2.45; before that the empty protocol list does the same.
		"GIT_NO_LAZY_FETCH=1",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_ALLOW_PROTOCOL=" + strings.Join(c.Protocols, ":"),
	}
	if c.repo != nil {
		env = append(env, "GIT_DIR="+c.repo.dir)
		env = append(env, c.repo.env...)
	}
	return append(env, c.Env...)
}

// Run runs the command and throws its output away.
func (c *Command) Run() error {
	return c.Stream(func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// Output runs the command and returns its output, or ErrOutputTooLarge when
// that has more than limit bytes.
func (c *Command) Output(limit int64) ([]byte, error) {
	var out bytes.Buffer
	err := c.Stream(func(r io.Reader) error {
		n, err := io.Copy(&out, io.LimitReader(r, limit+1))
		if err == nil && n > limit {
			return fmt.Errorf("reading git %s: %w (limit %d bytes)", c.name(), ErrOutputTooLarge, limit)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// errTruncated is what a reader of Stream returns when the output ends early;
// the child's own error then says why.
var errTruncated = errors.New("output of git ends early")

// Stream runs the command and hands its output to read while it runs. An error
// of read ends the child and is returned, unless the child failed first; what
// read leaves unread is thrown away.
func (c *Command) Stream(read func(io.Reader) error) error {
	p, err := c.start(false)
	if err != nil {
		return err
	}
	return p.deliver(read)
}

// deliver hands the output to read and waits for the end of the child.
func (p *process) deliver(read func(io.Reader) error) error {
	readErr := read(p.stdout)
	if readErr != nil && !errors.Is(readErr, errTruncated) {
		p.stop()
		return readErr
	}
	_, drainErr := io.Copy(io.Discard, p.stdout)
	if err := p.wait(); err != nil {
		return err
	}
	return errors.Join(readErr, drainErr)
}

// Serve is Stream for a child that talks with somebody: what comes from in goes
// to the child as it comes, and when the child has ended nobody waits for more
// of it. in may be read once more after that.
func (c *Command) Serve(in io.Reader, read func(io.Reader) error) error {
	p, err := c.start(true)
	if err != nil {
		return err
	}
	go func() {
		// A child that has heard enough ends or closes its side, which is no fault.
		_, _ = io.Copy(p.stdin, in)
		_ = p.stdin.Close()
	}()
	return p.deliver(read)
}

func (c *Command) name() string {
	if len(c.args) == 0 {
		return ""
	}
	return c.args[0]
}

func (c *Command) mask(s string) string {
	for _, secret := range c.Secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return Mask(s)
}

// process is a running child in a process group of its own.
type process struct {
	c      *Command
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr *stderrTail
}

// start starts the child, with a pipe to its standard input if asked to.
func (c *Command) start(pipeStdin bool) (*process, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	cmd := exec.CommandContext(ctx, "git", c.arguments()...)
	p := &process{c: c, cmd: cmd, cancel: cancel, stderr: &stderrTail{mask: c.mask, onLine: c.OnStderr}}
	cmd.Dir = c.dir
	cmd.Env = c.environment()
	cmd.Stdin = c.Stdin
	cmd.Stderr = p.stderr
	if c.repo != nil {
		cmd.ExtraFiles = c.repo.files
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = c.Grace
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = DefaultGrace
	}
	cmd.Cancel = func() error { return p.signal(syscall.SIGTERM) }

	if err := p.connect(pipeStdin); err != nil {
		cancel()
		return nil, p.fail(err)
	}
	return p, nil
}

func (p *process) connect(pipeStdin bool) (err error) {
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return err
	}
	if pipeStdin {
		if p.stdin, err = p.cmd.StdinPipe(); err != nil {
			return err
		}
	}
	return p.cmd.Start()
}

// signal reaches the whole group; a group that is gone already is no error.
func (p *process) signal(sig syscall.Signal) error {
	err := syscall.Kill(-p.cmd.Process.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// wait returns when the child has ended, and ends what it left behind if it
// was cancelled or its descendants hold its output open.
func (p *process) wait() error {
	err := p.cmd.Wait()
	if p.c.ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay) {
		_ = p.signal(syscall.SIGKILL)
	}
	p.cancel()
	if err == nil {
		return nil
	}
	if ctxErr := p.c.ctx.Err(); ctxErr != nil {
		err = ctxErr
	}
	return classify(p.fail(err))
}

// stop ends the child whatever it is doing.
func (p *process) stop() {
	p.cancel()
	_ = p.cmd.Wait()
	_ = p.signal(syscall.SIGKILL)
}

func (p *process) fail(err error) *Error {
	code := -1
	if p.cmd.ProcessState != nil {
		code = p.cmd.ProcessState.ExitCode()
	}
	args := make([]string, len(p.c.args))
	for i, arg := range p.c.args {
		args[i] = p.c.mask(arg)
	}
	return &Error{Args: args, ExitCode: code, Stderr: p.stderr.text(), Err: err}
}
