package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// A forwarding repository has the refs of its remote. Pushes go to the remote
// before they change anything here, so that the two differ only by what others
// did at the remote, and by pushes that it took and that were lost on the way
// back: a client that died, a daemon that was killed. Reconciling sets the refs
// here to what the remote has. It leaves alone what changed here meanwhile and
// what is on its way there: the next time decides about these.

// reconcile fetches from the remote, unless that was done within maxAge.
func (r *Repos) reconcile(ctx context.Context, row store.Repo, repo *gitcmd.Repo, maxAge time.Duration) error {
	state := r.state(row.ID)
	select {
	case <-state.fetching:
		defer func() { state.fetching <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for another fetch: %w", ctx.Err())
	}
	began := time.Now()
	if maxAge > 0 && began.Sub(state.fetched) < maxAge {
		return nil
	}
	if err := r.fetch(ctx, row, repo, state); err != nil {
		return fmt.Errorf("fetching from the remote of %s: %w", row.Name, err)
	}
	state.fetched = began
	return nil
}

// fetchedRefs are the kinds of refs that a remote and the repository have in
// common, notes among them.
var fetchedRefs = []string{"heads/", "tags/", "notes/"}

func (r *Repos) fetch(ctx context.Context, row store.Repo, repo *gitcmd.Repo, state *repoState) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.FetchTimeout)
	defer cancel()
	before, err := refMap(ctx, repo, "refs/")
	if err != nil {
		return err
	}
	err = r.linked(ctx, row, func(link *mirror.Link, url string) error {
		// protocol.version 2 asks for these refs alone.
		args := []string{"fetch", "--no-tags", "--prune", "--no-write-fetch-head", "--no-recurse-submodules",
			"--no-show-forced-updates", "--", url}
		for _, kind := range fetchedRefs {
			args = append(args, "+refs/"+kind+"*:"+upstreamPrefix+kind+"*")
		}
		if err := link.Judge(ctx, repo, link.Command(ctx, repo, args...).Run()); err != nil {
			return err
		}
		return state.adoptRemoteHead(ctx, repo, link, url)
	})
	if err != nil {
		return err
	}
	if err := state.follow(ctx, repo, before, mergedRefs(row)); err != nil {
		return err
	}
	return r.mergeUpstream(ctx, row, repo)
}

// linked runs work with a link to the remote.
func (r *Repos) linked(ctx context.Context, row store.Repo, work func(link *mirror.Link, url string) error) error {
	remote, err := r.cfg.Remotes.Check(ctx, *row.RemoteURL)
	if err != nil {
		return err
	}
	user, secret, err := r.cfg.DB.Credential(ctx, row.OrgID, row.ID)
	if err != nil {
		return err
	}
	var credential *mirror.Credential
	if user != "" || secret != "" {
		credential = &mirror.Credential{User: user, Secret: secret}
	}
	dir, err := os.MkdirTemp(r.cfg.Root, ".link-*")
	if err != nil {
		return fmt.Errorf("making room for temporary files: %w", err)
	}
	defer os.RemoveAll(dir)
	link, err := remote.Link(dir, credential)
	if err != nil {
		return err
	}
	return work(link, remote.String())
}

// lookEvery is the pause between two questions for the default branch.
const lookEvery = 10 * time.Minute

// adoptRemoteHead makes HEAD here that of the remote.
func (s *repoState) adoptRemoteHead(ctx context.Context, repo *gitcmd.Repo, link *mirror.Link, url string) error {
	if time.Since(s.looked) < lookEvery {
		return nil
	}
	out, err := link.Command(ctx, repo, "ls-remote", "--quiet", "--symref", "--", url, "HEAD").Output(1 << 20)
	if err := link.Judge(ctx, repo, err); err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		value, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if branch, ok := strings.CutPrefix(value, "ref: refs/heads/"); ok && name == "HEAD" {
			s.looked = time.Now()
			return repo.Command(ctx, "symbolic-ref", "HEAD", "refs/heads/"+branch).Run()
		}
	}
	return nil
}

func refMap(ctx context.Context, repo *gitcmd.Repo, prefix string) (map[string]gitcmd.OID, error) {
	refs, err := repo.Refs(ctx, prefix)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]gitcmd.OID, len(refs))
	for _, ref := range refs {
		byName[ref.Name] = ref.OID
	}
	return byName, nil
}

// follow sets the refs to those of the remote, but for merged notes, for refs
// that changed since before and for refs that are on their way there.
func (s *repoState) follow(ctx context.Context, repo *gitcmd.Repo, before map[string]gitcmd.OID, merged []string) error {
	s.refs.Lock()
	defer s.refs.Unlock()
	now, err := refMap(ctx, repo, "refs/")
	if err != nil {
		return err
	}
	var deletions, moves []gitcmd.RefUpdate
	for _, kind := range fetchedRefs {
		for name := range namesOf(now, kind) {
			have, want := now[name], now[upstreamPrefix+strings.TrimPrefix(name, "refs/")]
			switch {
			case have == want, have != before[name], s.flying[name] > 0, slices.Contains(merged, name):
			case want == "":
				deletions = append(deletions, gitcmd.RefUpdate{Name: name, Old: have, New: gitcmd.ZeroOID})
			default:
				moves = append(moves, gitcmd.RefUpdate{Name: name, Old: orZero(have), New: want})
			}
		}
	}
	// Deletions go first, so that a ref a/b can take the place of a ref a.
	for _, updates := range [][]gitcmd.RefUpdate{deletions, moves} {
		if err := repo.UpdateRefs(ctx, updates); err != nil {
			return err
		}
	}
	return nil
}

// namesOf are the refs of a kind, here and at the remote, as they are called
// here.
func namesOf(refs map[string]gitcmd.OID, kind string) map[string]bool {
	names := map[string]bool{}
	for ref := range refs {
		if name, ok := strings.CutPrefix(ref, upstreamPrefix+kind); ok {
			names["refs/"+kind+name] = true
		} else if strings.HasPrefix(ref, "refs/"+kind) {
			names[ref] = true
		}
	}
	return names
}

func orZero(oid gitcmd.OID) gitcmd.OID {
	if oid == "" {
		return gitcmd.ZeroOID
	}
	return oid
}

// fly marks refs as being on their way to the remote, until land.
func (s *repoState) fly(refs []string) {
	s.refs.Lock()
	defer s.refs.Unlock()
	for _, ref := range refs {
		s.flying[ref]++
	}
}

func (s *repoState) land(refs []string) {
	s.refs.Lock()
	defer s.refs.Unlock()
	for _, ref := range refs {
		if s.flying[ref]--; s.flying[ref] <= 0 {
			delete(s.flying, ref)
		}
	}
}

// mergeUpstream joins the notes of the remote into those that are here.
func (r *Repos) mergeUpstream(ctx context.Context, row store.Repo, repo *gitcmd.Repo) error {
	for _, ref := range mergedRefs(row) {
		tip, err := tipOf(ctx, repo, upstreamRef(ref))
		if err != nil {
			return err
		}
		if tip == "" {
			continue
		}
		merged, err := r.mergeNotes(ctx, row, repo, ref, tip, "")
		if errors.Is(err, errNotNotes) {
			r.cfg.Log.Warn().Err(err).Str("repo", row.Name).Msg("the remote's notes were not merged")
			continue
		}
		if err != nil {
			return err
		}
		if err := r.record(ctx, access.Daemon(row.OrgID), row, ref, merged.events); err != nil {
			r.cfg.Log.Error().Err(err).Str("repo", row.Name).Msg("findings about notes of the remote were not recorded")
		}
	}
	return nil
}

func upstreamRef(ref string) string { return upstreamPrefix + strings.TrimPrefix(ref, "refs/") }

// maxNotesTries bounds the tries to forward notes that others push there too.
const maxNotesTries = 5

// forwardNotes brings merged notes to the remote, without force: what it
// refuses because others were faster is fetched, merged and pushed again.
func (r *Repos) forwardNotes(ctx context.Context, row store.Repo, repo *gitcmd.Repo) error {
	var err error
	for try := range maxNotesTries {
		var refspecs []string
		if refspecs, err = r.unforwarded(ctx, row, repo); err != nil || len(refspecs) == 0 {
			return err
		}
		if err = r.pushNotes(ctx, row, repo, refspecs); err == nil {
			return nil
		}
		if try == maxNotesTries-1 || ctx.Err() != nil {
			break
		}
		if err := r.reconcile(ctx, row, repo, 0); err != nil {
			return err
		}
	}
	return fmt.Errorf("forwarding the notes of %s: %w", row.Name, err)
}

// unforwarded returns the refspecs of the notes that the remote has not.
func (r *Repos) unforwarded(ctx context.Context, row store.Repo, repo *gitcmd.Repo) ([]string, error) {
	refs, err := refMap(ctx, repo, "refs/")
	if err != nil {
		return nil, err
	}
	var refspecs []string
	for _, ref := range mergedRefs(row) {
		if tip := refs[ref]; tip != "" && tip != refs[upstreamRef(ref)] {
			refspecs = append(refspecs, string(tip)+":"+ref)
		}
	}
	return refspecs, nil
}

func (r *Repos) pushNotes(ctx context.Context, row store.Repo, repo *gitcmd.Repo, refspecs []string) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.PushTimeout)
	defer cancel()
	err := r.linked(ctx, row, func(link *mirror.Link, url string) error {
		args := append([]string{"push", "--porcelain", "--no-verify", "--", url}, refspecs...)
		return link.Judge(ctx, repo, link.Command(ctx, repo, args...).Run())
	})
	if err != nil {
		return err
	}
	var updates []gitcmd.RefUpdate
	for _, refspec := range refspecs {
		tip, ref, _ := strings.Cut(refspec, ":")
		updates = append(updates, gitcmd.RefUpdate{Name: upstreamRef(ref), New: gitcmd.OID(tip)})
	}
	return repo.UpdateRefs(ctx, updates)
}

// forwardNotesLater is forwardNotes behind a session. Who fails leaves it to
// the next push of notes, or the next look at the remote.
func (r *Repos) forwardNotesLater(row store.Repo, repo *gitcmd.Repo) {
	state := r.state(row.ID)
	if state.forwarding.Swap(true) {
		return
	}
	r.background(func(ctx context.Context) {
		// What is pushed from now on asks anew.
		state.forwarding.Store(false)
		if err := r.forwardNotes(ctx, row, repo); err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn().Err(err).Str("repo", row.Name).Msg("notes were not forwarded; the next look at the remote tries again")
		}
	})
}
