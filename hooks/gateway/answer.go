package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

func newRequestID() string {
	var raw [12]byte
	rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// handler answers the hooks of the session. Who pushes to what is known from
// the session: what the hook says about these is not read. ctx is the session's.
func (r *receiving) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/hook/push", r.judge)
	mux.HandleFunc("POST /api/v1/hook/received", r.received)
	mux.HandleFunc("POST "+hooks.RelayPath+"{hook}", func(w http.ResponseWriter, request *http.Request) { r.relay(ctx, w, request) })
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.ask() {
			defer r.asked.Done()
			mux.ServeHTTP(w, request)
		}
	})
}

// ask counts a conversation, unless the session has ended.
func (r *receiving) ask() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.asked.Add(1)
	}
	return !r.ended
}

// end waits for the conversations that go on.
func (r *receiving) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.asked.Wait()
}

// push reads a hook's push and puts the session's identity in.
func (r *receiving) push(body io.Reader) (hooks.Push, error) {
	p, err := hooks.DecodePush(body)
	if err != nil {
		return hooks.Push{}, err
	}
	p.Forge, p.Via, p.Protocol = hooks.Gateway, hooks.Pushed, "ssh"
	p.User, p.Email, p.UserID = r.id.Email, r.id.Email, r.id.UserID.String()
	p.Key, p.Address = r.id.fingerprint, r.id.address
	p.Repo, p.RepoID, p.Dir = r.row.Name, r.row.ID.String(), r.repo.Dir()
	p.Trigger, p.PullRequest, p.Wiki, p.DryRun = "", "", false, false
	p.Place = r.place
	return p, nil
}

// judge is pre-receive.
func (r *receiving) judge(w http.ResponseWriter, request *http.Request) {
	p, err := r.push(request.Body)
	if err != nil {
		r.fail(w, http.StatusBadRequest, "the push cannot be read", err)
		return
	}
	r.mu.Lock()
	r.options = p.PushOptions
	r.mu.Unlock()
	answer, err := r.server.cfg.Decider.Decide(request.Context(), r.id.principal(r.request), r.row.Name, p)
	if err != nil {
		r.failed(w, err)
		return
	}
	r.letThrough(answer, &p)
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		r.log.Debug().Err(err).Msg("the hook went away")
	}
}

// receivedTimeout bounds what follows an accepted push. The hook does not wait
// for so long, and that it leaves must not undo it.
const receivedTimeout = 10 * time.Second

// received is post-receive.
func (r *receiving) received(w http.ResponseWriter, request *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(request.Context()), receivedTimeout)
	defer cancel()
	p, err := r.push(request.Body)
	if err == nil {
		err = r.server.cfg.Decider.Received(ctx, r.id.principal(r.request), r.row.Name, p)
		r.mu.Lock()
		r.reported, r.closed = true, err == nil
		r.mu.Unlock()
	}
	if err == nil && r.row.Gateway == store.GatewayHosted && slices.ContainsFunc(p.Refs, isNewBranch) {
		err = adoptHead(ctx, r.repo)
	}
	if err != nil {
		r.failed(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func isNewBranch(ref hooks.Ref) bool {
	return ref.Old.IsZero() && strings.HasPrefix(ref.Name, "refs/heads/")
}

func (r *receiving) failed(w http.ResponseWriter, err error) {
	if errors.Is(err, store.ErrUnavailable) {
		r.fail(w, http.StatusServiceUnavailable, "the database is away", err)
		return
	}
	r.fail(w, http.StatusInternalServerError, "the service has failed", err)
}

// fail answers with a problem document (RFC 9457).
func (r *receiving) fail(w http.ResponseWriter, status int, detail string, err error) {
	level := zerolog.ErrorLevel
	if errors.Is(err, context.Canceled) {
		// The client or the hook has gone.
		level = zerolog.DebugLevel
	}
	r.log.WithLevel(level).Err(err).Int("status", status).Msg("a hook of the gateway got no answer")
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	// A hook that has gone hears no answer.
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "detail": detail})
}

// relay leads the dialogue of a hook that only passes it on. It goes on when the
// hook has said all that it has to say, which ends the context of the request.
func (r *receiving) relay(ctx context.Context, w http.ResponseWriter, request *http.Request) {
	conn, err := hooks.AcceptRelay(w, request)
	if err != nil {
		r.fail(w, http.StatusBadRequest, "this is no relay", err)
		return
	}
	defer conn.Close()
	// The end of the session ends it, also while it waits for the hook.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	switch conn.Hook {
	case "proc-receive":
		err = r.mergePushed(ctx, conn)
	case hooks.ForwardHook:
		err = r.forward(ctx, conn)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		r.log.Error().Err(err).Str("hook", conn.Hook).Msg("a hook of the gateway failed")
	}
}

// mergePushed is proc-receive.
func (r *receiving) mergePushed(ctx context.Context, conn io.ReadWriter) error {
	request, err := readProcRequest(conn, conn)
	if err != nil {
		return err
	}
	reports := make([]procReport, len(request.commands))
	for i, command := range request.commands {
		reports[i] = r.mergeOne(ctx, command)
	}
	return writeProcReports(conn, reports)
}

func (r *receiving) mergeOne(ctx context.Context, command procCommand) procReport {
	report := procReport{ref: command.ref}
	switch {
	case !slices.Contains(r.merged, command.ref):
		report.refusal = "not a ref that is merged here"
		return report
	case command.new.IsZero():
		report.refusal = "deletion of notes is not allowed here"
		return report
	}
	merged, err := r.server.cfg.Repos.mergeNotes(ctx, r.row, r.repo, command.ref, command.new, r.id.Email)
	switch {
	case errors.Is(err, errNotNotes):
		report.refusal = errNotNotes.Error()
		return report
	case err != nil:
		r.log.Error().Err(err).Msg("pushed notes were not merged")
		report.refusal = "the notes could not be merged, push again"
		return report
	}
	err = r.server.cfg.Repos.record(ctx, r.id.principal(r.request), r.row, command.ref, merged.events)
	if err != nil {
		r.log.Error().Err(err).Int("events", len(merged.events)).Msg("findings about pushed notes were not recorded")
	}
	r.mu.Lock()
	r.notes = true
	r.mu.Unlock()
	report.old, report.new = merged.old, merged.new
	return report
}

// forward is the end of pre-receive in a forwarding repository.
func (r *receiving) forward(ctx context.Context, conn io.ReadWriter) error {
	objects, updates, err := hooks.ReadForward(conn)
	if err == nil {
		err = checkQuarantine(r.repo, objects)
	}
	if err != nil {
		_, writeErr := io.WriteString(conn, hooks.RemoteText(false, "the service has failed", nil))
		return errors.Join(err, writeErr)
	}
	if err := checkForwarded(updates, r.merged); err != nil {
		_, err = io.WriteString(conn, hooks.RemoteText(true, err.Error(), nil))
		return err
	}
	updates = slices.DeleteFunc(updates, func(u hooks.Update) bool { return slices.Contains(r.merged, u.Ref) })
	if len(updates) == 0 {
		return hooks.AcceptForward(conn)
	}
	answer, err := r.send(ctx, objects, updates)
	problem := ""
	if err != nil {
		r.log.Warn().Err(err).Msg("a push was not forwarded")
		problem = *r.row.RemoteURL + " " + remoteProblem(err)
	}
	if _, err := io.WriteString(conn, hooks.RemoteText(answer.refused, problem, answer.lines)); err != nil {
		return err
	}
	if answer.refused || problem != "" {
		return nil
	}
	return hooks.AcceptForward(conn)
}

// send marks the refs as being on their way, until the session has ended, and
// sends them. A remote that was cut off may have taken them.
func (r *receiving) send(ctx context.Context, objects string, updates []hooks.Update) (remoteAnswer, error) {
	r.server.cfg.Repos.state(r.row.ID).fly(refsOf(updates))
	r.mu.Lock()
	r.sent, r.remote = updates, unsure
	options := r.options
	r.mu.Unlock()
	answer, err := r.server.cfg.Repos.forward(ctx, r.row, r.repo, objects, updates, options)
	became := taken
	switch {
	case answer.refused:
		became = refused
	case err != nil:
		became = unsure
	}
	r.mu.Lock()
	r.remote = became
	r.mu.Unlock()
	return answer, err
}

// remoteProblem says to a pusher what is wrong with a remote, without words
// that are for administrators.
func remoteProblem(err error) string {
	var failed *gitcmd.Error
	if errors.As(err, &failed) {
		switch {
		case strings.Contains(failed.Stderr, "does not support --atomic"):
			return "does not take several refs at once; push them one by one"
		case strings.Contains(failed.Stderr, "does not support push options"):
			return "takes no push options; push without -o"
		}
	}
	switch {
	case errors.Is(err, mirror.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return "does not answer"
	case errors.Is(err, mirror.ErrAccess):
		return "does not let this service in; an administrator must renew its credential"
	case errors.Is(err, mirror.ErrRefused):
		return "is not allowed by this service's rules; ask an administrator"
	case errors.Is(err, mirror.ErrFormat):
		return "has another object format than this service keeps"
	}
	return "cannot be used now; the log of this service says why"
}
