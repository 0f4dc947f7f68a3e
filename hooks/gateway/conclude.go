package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// A decision is on record before git is told of it, and much can happen behind
// it: the remote refuses, git does, the client goes, the daemon is killed. A push
// that was let through is therefore open until it is known to be in the
// repository, or not to be: then its decision is withdrawn. The session finds
// that out at its end; Settle does it for sessions that had none.

// fate is what became of a push at the remote.
type fate int

// The zero fate is that the remote was not asked. Unsure is a push that it may
// have taken, or may take yet.
const (
	refused fate = iota + 1
	taken
	unsure
)

const (
	// concludeTimeout bounds what a session does about its decision.
	concludeTimeout = 10 * time.Second
	// settleAge is how long a push is left alone whose session is not there: git
	// and the remote may still be at work on it.
	settleAge = 5 * time.Minute
)

// The reasons of a withdrawal, for the record.
const (
	whyRefused = "the remote refused it"
	whyMissing = "it did not reach the repository"
)

// letThrough notes the decision on the session's push, if it was let through.
func (r *receiving) letThrough(answer hooks.Answer, p *hooks.Push) {
	id, err := uuid.Parse(answer.Decision)
	if err != nil || answer.Refused() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decision, r.judged = id, make([]push.Ref, len(p.Refs))
	for i, ref := range p.Refs {
		r.judged[i] = push.Ref{Name: ref.Name, Old: string(ref.Old), New: string(ref.New)}
	}
}

// conclude ends what the session's decision has left open. What it cannot find
// out is left to Settle.
func (r *receiving) conclude() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.decision == uuid.Nil || r.closed {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), concludeTimeout)
	defer cancel()
	arrived, why, err := r.reported || r.remote == taken, whyMissing, error(nil)
	switch {
	case arrived:
	case r.remote == unsure:
		return
	case r.remote == refused:
		why = whyRefused
	default:
		arrived, err = shows(ctx, r.repo, r.judged)
	}
	if err == nil {
		err = r.server.settle(ctx, r.id.principal(r.request), r.decision, arrived, why)
	}
	if err != nil {
		r.log.Warn().Err(err).Stringer("decision", r.decision).Msg("it was not noted whether a push arrived; the regular look does it")
	}
}

// settle closes an open push: the decision stands if it arrived.
func (s *Server) settle(ctx context.Context, by access.Principal, decision uuid.UUID, arrived bool, why string) error {
	if arrived {
		return s.cfg.DB.PushArrived(ctx, by.Org, decision)
	}
	return s.cfg.Decider.Withdraw(ctx, by, decision, why)
}

// Settle finds out about pushes whose sessions ended without knowing what became
// of them, as when the daemon was killed. It is to be run when the server begins,
// and regularly.
func (s *Server) Settle(ctx context.Context) error { return s.settleOlder(ctx, settleAge) }

func (s *Server) settleOlder(ctx context.Context, age time.Duration) error {
	place, err := s.cfg.Repos.place()
	if err != nil {
		return err
	}
	open, err := s.cfg.DB.OpenPushes(ctx, place, time.Now().Add(-age))
	if err != nil {
		return err
	}
	var errs []error
	for len(open) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(open) && open[n].RepoID == open[0].RepoID {
			n++
		}
		errs = append(errs, s.settleRepo(ctx, open[:n]))
		open = open[n:]
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// settleRepo settles open pushes to one repository, behind a look at its remote.
func (s *Server) settleRepo(ctx context.Context, open []store.OpenPush) error {
	row, err := s.cfg.DB.Repo(ctx, open[0].OrgID, open[0].RepoID.String())
	if err != nil {
		return fmt.Errorf("settling pushes: %w", err)
	}
	repo, err := gitcmd.Open(s.cfg.Repos.dir(row.ID))
	// Where the repository itself is lost nobody can tell any more.
	lost := errors.Is(err, gitcmd.ErrNotRepository)
	if err == nil && row.Gateway == store.GatewayForwarding && row.RemoteURL != nil {
		err = s.cfg.Repos.reconcile(ctx, row, repo, 0)
	}
	if err != nil && !lost {
		return fmt.Errorf("settling pushes to %s: %w", row.Name, err)
	}
	for _, one := range open {
		if _, live := s.live.Load(one.Session); live {
			continue
		}
		arrived := one.Followed || lost
		if !arrived {
			if arrived, err = shows(ctx, repo, one.Refs); err != nil {
				return fmt.Errorf("settling a push to %s: %w", row.Name, err)
			}
		}
		if err := s.settle(ctx, access.Daemon(one.OrgID), one.DecisionID, arrived, whyMissing); err != nil {
			return err
		}
	}
	return nil
}

// shows reports whether a repository has what a push wanted of one of its refs.
func shows(ctx context.Context, repo *gitcmd.Repo, refs []push.Ref) (bool, error) {
	names := make([]string, len(refs))
	for i, ref := range refs {
		names[i] = ref.Name
	}
	tips, err := repo.Tips(ctx, names...)
	if err != nil {
		return false, err
	}
	for _, ref := range refs {
		at, before, wanted := orZero(tips[ref.Name]), gitcmd.OID(ref.Old), gitcmd.OID(ref.New)
		if at == wanted && at != before {
			return true, nil
		}
		if at == before || at.IsZero() || wanted.IsZero() {
			continue
		}
		// It has moved on, or notes were merged.
		behind, err := repo.IsAncestor(ctx, wanted, at)
		if err != nil && !errors.Is(err, gitcmd.ErrMissingObject) {
			return false, err
		}
		if behind {
			return true, nil
		}
	}
	return false, nil
}

// placeFile holds the name of a directory of repositories.
const placeFile = "place"

// place names the directory, so that a database that several daemons share tells
// theirs apart. The name is made once and kept.
func (r *Repos) place() (string, error) {
	path := filepath.Join(r.cfg.Root, placeFile)
	for {
		text, err := os.ReadFile(path)
		if name := strings.TrimSpace(string(text)); err == nil && name != "" {
			return name, nil
		}
		if err == nil {
			err = errors.New("it is empty")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("reading %s: %w", path, err)
		}
		if err := makePlace(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("naming the directory of repositories: %w", err)
		}
	}
}

// makePlace writes the file as a whole, unless somebody else does.
func makePlace(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".place-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(rand.Text() + "\n")
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), path)
}
