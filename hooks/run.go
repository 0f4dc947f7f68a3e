package hooks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// MaxTime is how long a hook takes at most, from reading to answering: GitHub
// Enterprise Server ends hooks after 5 s.
const MaxTime = 4 * time.Second

const (
	// stopMargin is kept of the time for children of git to end.
	stopMargin = 150 * time.Millisecond
	// askMargin is kept of the time for asking again behind a wait.
	askMargin = 700 * time.Millisecond
	// reportTime bounds what a pusher waits for post-receive.
	reportTime = time.Second
)

// The exit codes of a hook. git refuses the push for every code but 0.
const (
	exitAccept = 0
	exitRefuse = 1
)

// RunConfig is one run of a hook.
type RunConfig struct {
	// Hook is "pre-receive" or "post-receive".
	Hook string
	// Client says whom to ask; Patient is for RunHook to say.
	Client ClientConfig
	// Mode decides when nobody answers; all but Advisory is Enforcing.
	Mode Mode
	// Time is how long the hook may take; zero is MaxTime, and so is more.
	Time   time.Duration
	Limits Limits
	// Dir is the directory that git runs the hook in, and Environ the variables
	// ("NAME=value").
	Dir     string
	Environ []string
	Stdin   io.Reader
	// Out is what the pusher reads.
	Out io.Writer
}

// RunHook is the whole of a hook: it reads the updates and the environment,
// collects what they bring, asks the daemon, prints what the pusher is to read,
// and returns the exit code.
//
// A push that the daemon judged ends as the daemon said. One that nobody judged
// ends by Mode. One that cannot be read (ErrUpdates, ErrPushOptions,
// ErrIncomplete) is refused, and so is one whose hook was told to stop, which
// is the end of ctx. Nothing that happens to Out changes the exit code. In
// post-receive there is nothing left to decide: the code is 0 and nothing is
// said.
//
// RunHook returns within Time, whatever git or the daemon do; what they still do
// then ends with the process.
func RunHook(ctx context.Context, cfg RunConfig) int {
	if cfg.Time <= 0 || cfg.Time > MaxTime {
		cfg.Time = MaxTime
	}
	margin := min(stopMargin, cfg.Time/4)
	timed, cancel := context.WithTimeout(ctx, cfg.Time-margin)
	defer cancel()
	r := &run{cfg: cfg, stopped: ctx, dir: gitDir(cfg.Environ, cfg.Dir)}
	r.env, r.envErr = ReadEnvironment(cfg.Environ, r.dir)
	ended := make(chan ending, 1)
	go func() { ended <- r.work(timed) }()
	var end ending
	select {
	case end = <-ended:
	case <-timed.Done():
		select {
		case end = <-ended:
		case <-time.After(margin / 2):
			end = r.unjudged(timed.Err())
		}
	}
	// The text is for people and the code for git.
	_, _ = io.WriteString(cfg.Out, end.text)
	return end.code
}

// ending is what a hook says and how it exits.
type ending struct {
	text string
	code int
}

// run is a hook at work. Its fields are not changed while it is.
type run struct {
	cfg RunConfig
	// stopped ends when the hook is told to stop.
	stopped context.Context
	dir     string
	env     Environment
	envErr  error
	client  *Client
}

func (r *run) work(ctx context.Context) (end ending) {
	defer func() {
		if err := faultOf(recover()); err != nil {
			end = r.unjudged(err)
		}
	}()
	behind := r.cfg.Hook == "post-receive"
	cfg := r.cfg.Client
	cfg.Patient = r.cfg.Mode != Advisory && !behind
	var err error
	r.client, err = NewClient(cfg)
	switch {
	case behind:
		if err == nil {
			r.report(ctx)
		}
		return ending{code: exitAccept}
	case err != nil:
		return r.unjudged(err)
	}
	return r.judge(ctx)
}

// errFault says that this program is wrong, not the push.
var errFault = errors.New("the hook has a fault")

// faultOf makes an error of what was recovered; nil is none.
func faultOf(recovered any) error {
	if recovered == nil {
		return nil
	}
	return fmt.Errorf("%w: %v", errFault, recovered)
}

// judge is pre-receive.
func (r *run) judge(ctx context.Context) ending {
	updates, err := r.updates(ctx)
	if err == nil {
		err = r.envErr
	}
	switch {
	case errors.Is(err, errFault):
		return r.unjudged(err)
	case err != nil:
		return r.unreadable(err)
	case len(updates) == 0:
		return ending{code: exitAccept}
	}
	repo, err := gitcmd.Open(r.dir)
	if err != nil {
		return r.unjudged(err)
	}
	push, err := Collect(ctx, repo, updates, r.env, r.limits())
	switch {
	case errors.Is(err, ErrIncomplete) && ctx.Err() == nil:
		return r.unreadable(err)
	case err != nil:
		return r.unjudged(err)
	}
	answer, err := r.ask(ctx, repo, updates, &push)
	if err != nil {
		return r.unjudged(err)
	}
	end := ending{text: answer.Text(r.env.Forge), code: exitAccept}
	if answer.Refused() {
		end.code = exitRefuse
	}
	return end
}

// limits leave time for asking.
func (r *run) limits() Limits {
	limits := r.cfg.Limits.orDefaults()
	limits.DiffTime = min(limits.DiffTime, r.cfg.Time/2)
	return limits
}

// updates reads the standard input, which git writes at once.
func (r *run) updates(ctx context.Context) ([]Update, error) {
	type input struct {
		updates []Update
		err     error
	}
	read := make(chan input, 1)
	go func() {
		var in input
		defer func() {
			if fault := faultOf(recover()); fault != nil {
				in.err = fault
			}
			read <- in
		}()
		in.updates, in.err = ReadUpdates(r.cfg.Stdin)
	}()
	select {
	case in := <-read:
		return in.updates, in.err
	case <-ctx.Done():
		return nil, fmt.Errorf("reading ref updates: the input does not end: %w", ErrUpdates)
	}
}

// ask asks for the verdict, and once more behind a wait for notes if the
// daemon wants one.
func (r *run) ask(ctx context.Context, repo *gitcmd.Repo, updates []Update, p *Push) (Answer, error) {
	answer, err := r.client.Judge(ctx, p)
	if err != nil || answer.WaitMS <= 0 {
		return answer, err
	}
	wait := time.Duration(answer.WaitMS) * time.Millisecond
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-askMargin)
	}
	awaitNotes(ctx, repo, updates, p, answer, wait, r.limits())
	p.Waited = true
	if answer, err = r.client.Judge(ctx, p); err == nil && answer.WaitMS > 0 {
		err = fmt.Errorf("asked to wait twice: %w", ErrAnswer)
	}
	return answer, err
}

// report is post-receive. The daemon finds by itself what it is not told, so
// that an error is nobody's business.
func (r *run) report(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	updates, err := r.updates(ctx)
	if err != nil || r.envErr != nil || len(updates) == 0 {
		return
	}
	p := Push{Version: PushVersion, Environment: r.env, ObjectFormat: objectFormat(updates)}
	for _, u := range updates {
		p.Refs = append(p.Refs, refOf(u))
	}
	_ = r.client.Report(ctx, &p)
}

func (r *run) unreadable(err error) ending {
	return ending{UnreadableText(r.env.Forge, err), exitRefuse}
}

// unjudged ends by the mode, or with a refusal if the hook was told to stop.
func (r *run) unjudged(err error) ending {
	mode := r.cfg.Mode
	if mode != Advisory || r.stopped.Err() != nil {
		mode = Enforcing
	}
	end := ending{UnjudgedText(mode, r.env.Forge, r.why(err)), exitAccept}
	if mode == Enforcing {
		end.code = exitRefuse
	}
	return end
}

// why says to a pusher in one clause why nobody judged. Paths and addresses
// are for administrators, who have "blameprompt-hook check".
func (r *run) why(err error) string {
	var status *StatusError
	var code syscall.Errno
	var untrusted *tls.CertificateVerificationError
	switch {
	case r.stopped.Err() != nil:
		return "the hook was told to stop"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the policy service gave no answer within %s", r.cfg.Time)
	case errors.As(err, &status):
		return status.Error()
	case errors.Is(err, ErrAway) && errors.As(err, &code):
		return ErrAway.Error() + " (" + code.Error() + ")"
	case errors.Is(err, ErrAway):
		return ErrAway.Error()
	case errors.Is(err, ErrAnswer):
		return "the policy service gave an answer that cannot be read"
	case errors.As(err, &untrusted):
		return "the policy service shows a certificate that is not trusted here"
	}
	return err.Error()
}
