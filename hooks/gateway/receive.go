package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// receiving is a session in which a client pushes.
type receiving struct {
	*session
	merged []string
	// place is where the repository is kept.
	place string
	// asked counts the conversations with hooks that go on.
	asked sync.WaitGroup

	mu sync.Mutex
	// options are the push options, sent the updates that went to the remote, and
	// remote is what became of them there.
	options []string
	sent    []hooks.Update
	remote  fate
	// decision let the push through and judged are its refs; reported says that
	// post-receive told of it, and closed that this is on record.
	decision         uuid.UUID
	judged           []push.Ref
	reported, closed bool
	// notes says that notes were merged, ended that no more may be asked.
	notes, ended bool
}

// receive serves a push.
func (se *session) receive(ctx context.Context) (int, error) {
	r := &receiving{session: se, merged: mergedRefs(se.row)}
	var err error
	if r.place, err = se.server.cfg.Repos.place(); err != nil {
		return exitRefused, err
	}
	se.server.live.Store(se.request, true)
	defer se.server.live.Delete(se.request)
	// What hooks ask ends with git.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	socket, stop, err := r.listen(ctx)
	if err != nil {
		return exitRefused, err
	}
	receiving := &se.server.cfg.Repos.state(se.row.ID).receiving
	receiving.RLock()
	code, err := r.serve(ctx, r.command(ctx, socket), func(out io.Reader) error {
		a := advertisement{hide: r.merged, haves: func(_ string, tip gitcmd.OID) ([]gitcmd.OID, error) {
			return recentCommits(ctx, se.repo, tip)
		}}
		return a.copy(se.ssh, out)
	})
	receiving.RUnlock()
	cancel()
	stop()
	r.end()
	r.after(code == exitGood && err == nil)
	return code, err
}

// maxHaves is how many commits of hidden notes a client hears of. It finds the
// newest one that it has, and sends what came behind it.
const maxHaves = 256

func recentCommits(ctx context.Context, repo *gitcmd.Repo, tip gitcmd.OID) ([]gitcmd.OID, error) {
	out, err := repo.Command(ctx, "rev-list", "--max-count="+strconv.Itoa(maxHaves), string(tip), "--").Output(1 << 20)
	if err != nil {
		return nil, fmt.Errorf("listing the newest notes: %w", err)
	}
	var oids []gitcmd.OID
	for line := range strings.FieldsSeq(string(out)) {
		oid, err := gitcmd.ParseOID(line)
		if err != nil {
			return nil, fmt.Errorf("listing the newest notes: %w", err)
		}
		oids = append(oids, oid)
	}
	return oids, nil
}

// receiveConfig is how receive-pack receives. The findings of fsck that are let
// pass are old and harmless, and would shut out whole histories.
var receiveConfig = []string{
	"receive.advertisePushOptions=true", "receive.advertiseAtomic=true", "receive.fsckObjects=true",
	"receive.fsck.badTimezone=ignore", "receive.fsck.missingSpaceBeforeDate=ignore", "receive.fsck.zeroPaddedFilemode=ignore",
	"receive.shallowUpdate=false", "receive.autogc=false", "receive.updateServerInfo=false", "receive.denyNonFastForwards=false",
	"receive.denyDeletes=false", "receive.denyDeleteCurrent=refuse", "core.fsync=committed", "core.logAllRefUpdates=false",
}

// command is receive-pack with the hooks of the gateway.
func (r *receiving) command(ctx context.Context, socket string) *gitcmd.Command {
	c := gitcmd.New(ctx, "/", "receive-pack", r.repo.Dir())
	c.Config = append([]string{
		"core.hooksPath=" + hooksOf(r.server.cfg.HooksDir, r.row),
		"transfer.hideRefs=" + strings.TrimSuffix(upstreamPrefix, "/"),
		"receive.maxInputSize=" + strconv.FormatInt(r.server.cfg.Limits.MaxPush, 10),
	}, receiveConfig...)
	if r.row.Gateway == store.GatewayForwarding {
		// The remote has decided about that when it comes to this.
		c.Config = append(c.Config, "receive.denyDeleteCurrent=ignore")
	}
	for _, ref := range r.merged {
		c.Config = append(c.Config, "receive.procReceiveRefs="+ref)
	}
	c.Env = []string{
		hooks.SocketVariable + "=" + socket,
		"BLAMEPROMPT_GATEWAY_REPO=" + r.row.Name, "BLAMEPROMPT_GATEWAY_USER=" + r.id.Email, "BLAMEPROMPT_GATEWAY_EMAIL=" + r.id.Email,
		"BLAMEPROMPT_GATEWAY_KEY=" + r.id.fingerprint, "BLAMEPROMPT_GATEWAY_ADDRESS=" + r.id.address,
	}
	return c
}

// listen opens the session's own socket, on which its hooks ask. Who can
// connect to it is this process's own account.
func (r *receiving) listen(ctx context.Context) (path string, stop func(), err error) {
	path = r.server.socketPath(r.request)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return "", nil, fmt.Errorf("opening the session's socket: %w", err)
	}
	server := &http.Server{
		Handler: r.handler(ctx), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error().Err(err).Msg("the socket of a session failed")
		}
	}()
	return path, func() {
		// The hooks have ended with git; nobody is left to hear of an error.
		_ = server.Close()
		<-served
	}, nil
}

// after does what follows a push: what is forwarded from here, or was forwarded
// and got lost, and packing.
func (r *receiving) after(accepted bool) {
	repos := r.server.cfg.Repos
	repos.state(r.row.ID).land(refsOf(r.sent))
	if r.remote == taken || r.remote == unsure {
		repos.background(r.recover)
	}
	r.conclude()
	if r.notes && r.row.Gateway == store.GatewayForwarding && r.row.ForwardNotes {
		repos.forwardNotesLater(r.row, r.repo)
	}
	if accepted {
		repos.pack(r.row, r.repo)
	} else {
		repos.clean(r.row)
	}
}

// recover fetches what the remote may have taken and what did not arrive here.
func (r *receiving) recover(ctx context.Context) {
	refs, err := refMap(ctx, r.repo, "refs/")
	arrived := err == nil && !slices.ContainsFunc(r.sent, func(u hooks.Update) bool { return orZero(refs[u.Ref]) != u.New })
	if arrived || ctx.Err() != nil {
		return
	}
	if err := r.server.cfg.Repos.reconcile(ctx, r.row, r.repo, 0); err != nil && ctx.Err() == nil {
		r.log.Warn().Err(err).Msg("what the remote may have taken of a push could not be fetched; the next push tries again")
	}
}

func refsOf(updates []hooks.Update) []string {
	refs := make([]string, len(updates))
	for i, u := range updates {
		refs[i] = u.Ref
	}
	return refs
}
