package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/gliderlabs/ssh"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/store"
)

// protocolVariable is the one variable that a client may set: which version of
// git's protocol it speaks.
const protocolVariable = "GIT_PROTOCOL"

var protocolVersion = regexp.MustCompile(`^version=[012]$`)

// The exit codes of a session.
const (
	exitGood    = 0
	exitRefused = 1
)

// refusal is why a session ends before git runs; its text is for the client.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

const (
	textDatabase = "the service cannot reach its database. Try again in a minute."
	textSlow     = "this took too long and was ended."
	textFault    = "the service has failed. Try again, and tell your administrator if it goes on."
)

// session is one command of a client that is in.
type session struct {
	server *Server
	ssh    ssh.Session
	log    zerolog.Logger
	id     identity
	// request names the session in records.
	request string
	service service
	row     store.Repo
	repo    *gitcmd.Repo
}

// handle is a session from its beginning to its end.
func (s *Server) handle(sess ssh.Session) {
	if !s.doors.begin() {
		return
	}
	defer s.doors.sessions.Done()
	began := time.Now()
	se := &session{server: s, ssh: sess, request: newRequestID()}
	se.log = s.cfg.Log.With().Str("request_id", se.request).Stringer("address", sess.RemoteAddr()).Logger()
	defer func() {
		if fault := recover(); fault != nil {
			se.log.Error().Interface("panic", fault).Msg("a session of the gateway failed")
			se.exit(exitRefused)
		}
	}()
	code, err := se.run()
	var why refusal
	switch {
	case errors.As(err, &why):
		se.say("%s", why)
	case errors.Is(err, store.ErrUnavailable):
		se.say(textDatabase)
	case errors.Is(err, context.DeadlineExceeded):
		se.say(textSlow)
	case err != nil && sess.Context().Err() == nil:
		se.say(textFault)
		se.log.Error().Err(err).Msg("a session of the gateway failed")
	}
	se.exit(code)
	se.log.Info().Str("user", se.id.Email).Str("repo", se.row.Name).Str("service", string(se.service)).Int("code", code).
		Dur("took", time.Since(began)).Msg("session of the gateway")
}

// exit ends the session. A client that has gone does not hear of it.
func (se *session) exit(code int) { _ = se.ssh.Exit(code) }

// say tells the client something, in a line that begins with our name.
func (se *session) say(format string, args ...any) {
	_, _ = fmt.Fprintf(se.ssh.Stderr(), "BlamePrompt: "+format+"\n", args...)
}

// run finds out who wants what, whether they may, and does it.
func (se *session) run() (int, error) {
	ctx, cancel := context.WithTimeout(se.ssh.Context(), se.server.cfg.Limits.Total)
	defer cancel()
	id, err := se.server.identify(se.ssh.Context())
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, errNobody) {
		return exitRefused, refuse("your key is not known here any more. Ask an administrator to add it: blamepromptd ssh-key add.")
	}
	if err != nil {
		return exitRefused, err
	}
	se.id = id
	if se.ssh.RawCommand() == "" {
		se.greet()
		return exitGood, nil
	}
	leave, ok := se.server.doors.admit(id.UserID)
	if !ok {
		return exitRefused, refuse("you have %d sessions open, which is the most. Try again when one has ended.",
			se.server.cfg.Limits.PerUser)
	}
	defer leave()
	if err := se.prepare(ctx); err != nil {
		return exitRefused, err
	}
	if se.service == receivePack {
		return se.receive(ctx)
	}
	return se.serve(ctx, se.upload(ctx), func(out io.Reader) error {
		_, err := io.Copy(se.ssh, out)
		return err
	})
}

// greet is for people who try whether they get in.
func (se *session) greet() {
	_, _ = fmt.Fprintf(se.ssh, "Hi %s, your key works. This server speaks git and opens no shell; give git its address:\n"+
		"  git clone ssh://git@HOST:PORT/REPOSITORY.git\n", se.id.Email)
}

// prepare reads the command, finds the repository and asks whether the user
// may.
func (se *session) prepare(ctx context.Context) error {
	if _, _, terminal := se.ssh.Pty(); terminal {
		return refuse("git talks without a terminal: leave out ssh -t.")
	}
	var path string
	var err error
	if se.service, path, err = parseCommand(se.ssh.RawCommand()); err != nil {
		return refuse("%v.", err)
	}
	db := se.server.cfg.DB
	se.row, err = db.GatewayRepo(ctx, se.id.OrgID, path)
	if errors.Is(err, store.ErrNotFound) {
		return se.absent(path)
	}
	if err != nil {
		return err
	}
	may, err := db.Permission(ctx, se.id.OrgID, se.id.UserID, se.row.ID)
	switch {
	case err != nil:
		return err
	case !may.Read:
		return se.absent(path)
	case se.service == receivePack && !may.Write:
		return refuse("you may read %q and not write to it. Ask an administrator: blamepromptd grant add %s %s --write.",
			se.row.Name, se.id.Email, shellWord(se.row.Name))
	}
	if se.row.Gateway == store.GatewayForwarding && se.row.RemoteURL == nil {
		return refuse("%q has no remote to forward to. Tell your administrator.", se.row.Name)
	}
	if se.repo, err = se.server.cfg.Repos.open(ctx, se.row); err != nil {
		return err
	}
	return se.refresh(ctx)
}

// absent is the same for repositories that are not there and those that the
// user may not see.
func (se *session) absent(path string) error {
	return refuse("there is no repository %q, or you have no access to it. You are %s of organisation %s.",
		path, se.id.Email, se.id.OrgName)
}

// shellWord is a name as a person can type it.
func shellWord(name string) string {
	if strings.ContainsAny(name, " '\"\\$`!*?[](){}<>|&;#~") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

const (
	// readAge is how old what a client fetches from a forwarding repository may
	// be; pushes begin with what the remote has now.
	readAge = 10 * time.Second
	// waitNotice is the pause between two lines to a client that waits for the
	// remote, so that neither it nor the connection gives up.
	waitNotice = 15 * time.Second
)

// refresh brings a forwarding repository up to date with its remote.
func (se *session) refresh(ctx context.Context) error {
	if se.row.Gateway != store.GatewayForwarding {
		return nil
	}
	age := readAge
	if se.service == receivePack {
		age = 0
	}
	done := make(chan error, 1)
	go func() { done <- se.server.cfg.Repos.reconcile(ctx, se.row, se.repo, age) }()
	notice := time.NewTicker(waitNotice)
	defer notice.Stop()
	for {
		select {
		case err := <-done:
			return se.judgeRefresh(ctx, err)
		case <-notice.C:
			se.say("waiting for %s ...", *se.row.RemoteURL)
		}
	}
}

// judgeRefresh lets clients read what is here when the remote is away; nobody
// pushes to what may be out of date.
func (se *session) judgeRefresh(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	se.log.Warn().Err(err).Msg("the remote of a forwarding repository does not answer")
	if se.service == receivePack {
		return refuse("%q is forwarded to %s, which %s. Push again in a minute.", se.row.Name, *se.row.RemoteURL, remoteProblem(err))
	}
	se.say("%s %s; this is what it had before.", *se.row.RemoteURL, remoteProblem(err))
	return nil
}

// upload is the command of a client that reads.
func (se *session) upload(ctx context.Context) *gitcmd.Command {
	args := []string{se.service.subcommand(), se.repo.Dir()}
	if se.service == uploadPack {
		args = []string{"upload-pack", "--strict", se.repo.Dir()}
	}
	c := gitcmd.New(ctx, "/", args...)
	c.Config = []string{"transfer.hideRefs=" + strings.TrimSuffix(upstreamPrefix, "/"), "uploadpack.allowFilter=true"}
	return c
}

// serve runs git between the client and read, which gets git's output.
func (se *session) serve(ctx context.Context, c *gitcmd.Command, read func(io.Reader) error) (int, error) {
	for _, variable := range se.ssh.Environ() {
		if name, value, _ := strings.Cut(variable, "="); name == protocolVariable && protocolVersion.MatchString(value) {
			c.Env = append(c.Env, variable)
		}
	}
	c.OnStderr = func(line string) { _, _ = fmt.Fprintln(se.ssh.Stderr(), line) }
	err := c.Serve(se.ssh, read)
	var failed *gitcmd.Error
	switch {
	case err == nil:
		return exitGood, nil
	case ctx.Err() != nil:
		return exitRefused, ctx.Err()
	case errors.As(err, &failed) && failed.ExitCode > 0:
		// git has told the client why.
		se.log.Debug().Err(err).Msg("git failed")
		return failed.ExitCode, nil
	case failed == nil && !errors.Is(err, errAdvertisement):
		se.log.Debug().Err(err).Msg("the client went away")
		return exitRefused, nil
	}
	return exitRefused, err
}
