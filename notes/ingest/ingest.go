// Package ingest takes notes in: from the old tip of a notes ref to its new
// one, from the API and from the HTTP notes backend, all through one parser
// and one writer.
//
// Promises: every receipt that any walked version of a note carried is in the
// store; what is current is what the tip tree holds and nothing else; a run
// that dies leaves nothing behind and a repeated one changes nothing; what
// cannot be read becomes a finding and stops nobody. Memory is bounded by a
// few batches and the largest note (notes.MaxBody), not by the history.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Config says what an Ingester works with.
type Config struct {
	DB *store.DB
	// MirrorRoot is the directory that holds the mirrors.
	MirrorRoot string
	// Rules say which remotes may be fetched.
	Rules mirror.Rules
	// Gateway has the repositories that the SSH gateway serves; nil for none.
	Gateway Gateway
	// FetchTimeout bounds one fetch; 0 means 30 minutes.
	FetchTimeout time.Duration
	Log          zerolog.Logger
}

// Gateway has the repositories that the SSH gateway serves. *gateway.Repos does.
type Gateway interface {
	// Prepare brings a repository up to date with its remote, if it has one, and
	// returns its directory, which can be read behind an error too. It is empty
	// where there is none, and without an error when nobody pushed yet.
	Prepare(ctx context.Context, row store.Repo) (dir string, err error)
}

// Ingester takes notes in. It is safe for concurrent use; Sync of one
// repository must not run twice at a time (store.LockRepo).
type Ingester struct{ cfg Config }

// New returns an Ingester.
func New(cfg Config) *Ingester {
	if cfg.FetchTimeout == 0 {
		cfg.FetchTimeout = 30 * time.Minute
	}
	return &Ingester{cfg: cfg}
}

// Stage names what a run is doing, for progress bars.
type Stage string

// The stages of Sync in their order.
const (
	Fetching Stage = "fetching"
	Reading  Stage = "reading notes"
	Writing  Stage = "writing"
	Branches Stage = "reading commits"
)

// Progress is told how far a run is: done of total, which is 0 while unknown.
// It is called from one goroutine at a time and must return quickly.
type Progress func(stage Stage, done, total int)

// Report says what a run brought.
type Report struct {
	// Versions is the number of versions of notes that were walked, Bodies of
	// those that were read, Receipts of receipts in them.
	Versions, Bodies, Receipts int
	Commits                    int
	// Changed says whether anything was new.
	Changed bool
}

func (r *Report) add(o Report) {
	r.Versions += o.Versions
	r.Bodies += o.Bodies
	r.Receipts += o.Receipts
	r.Commits += o.Commits
	r.Changed = r.Changed || o.Changed
}

// Sync fetches a repository and takes in what is new: notes first, then the
// commits of its branches. The caller holds the lock of the repository. The
// outcome is recorded in the repository's row, failures too; they are also
// returned.
func (g *Ingester) Sync(ctx context.Context, org, repo uuid.UUID, progress Progress) (Report, error) {
	row, err := g.cfg.DB.FetchStarted(ctx, org, repo)
	if err != nil {
		return Report{}, err
	}
	if progress == nil {
		progress = func(Stage, int, int) {}
	}
	var out store.Fetched
	report, err := g.sync(ctx, row, progress, &out)
	out.Changed = report.Changed
	if err != nil {
		out.Problem = problem(err)
	}
	// The outcome is recorded also when the caller has gone.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(err, g.cfg.DB.FetchEnded(end, org, repo, out))
	// After a failure it may not be known yet what branches left behind.
	if report.Changed && err == nil {
		g.maintain(ctx, row)
	}
	return report, err
}

// maintain keeps the mirror small, after all that somebody may wait for. A
// failure costs disk space and no receipt.
func (g *Ingester) maintain(ctx context.Context, row store.Repo) {
	m, err := mirror.Open(g.cfg.MirrorRoot, row.ID.String())
	if err == nil {
		err = m.Maintain(ctx)
	}
	if err != nil && ctx.Err() == nil {
		g.cfg.Log.Warn().Err(err).Str("repo", row.Name).Msg("the mirror was not packed; its next change tries again")
	}
}

func (g *Ingester) sync(ctx context.Context, row store.Repo, progress Progress, out *store.Fetched) (Report, error) {
	org, err := g.cfg.DB.OrgByID(ctx, row.OrgID)
	if err != nil {
		return Report{}, err
	}
	m, err := mirror.Open(g.cfg.MirrorRoot, row.ID.String())
	if err != nil {
		return Report{}, err
	}
	progress(Fetching, 0, 0)
	source, behind, err := g.source(ctx, row)
	if err != nil || source == nil {
		return Report{}, err
	}
	fetched, err := m.Fetch(ctx, *source)
	if err != nil {
		return Report{}, errors.Join(behind, err)
	}
	out.DefaultBranch, out.ObjectFormat = fetched.DefaultBranch, fetched.Format
	row.DefaultBranch = cmp.Or(fetched.DefaultBranch, row.DefaultBranch)
	for _, ref := range fetched.NotCommits {
		src := store.Source{Org: org, Repo: row, Ref: ref.Name}
		if err := g.cfg.DB.RecordFaults(ctx, src, notACommit(ref)); err != nil {
			return Report{}, err
		}
	}
	report, err := g.takeMirror(ctx, m, org, row, progress)
	return report, errors.Join(behind, err)
}

// source says what to fetch; nil is nothing. behind is why what the gateway has
// may be older than what its remote has.
func (g *Ingester) source(ctx context.Context, row store.Repo) (source *mirror.FetchOptions, behind, err error) {
	options := mirror.FetchOptions{Heads: row.FetchHeads, NotesRefs: row.NotesRefs, Timeout: g.cfg.FetchTimeout}
	if row.Gateway != store.GatewayOff && g.cfg.Gateway != nil {
		dir, err := g.cfg.Gateway.Prepare(ctx, row)
		if dir == "" {
			return nil, nil, err
		}
		options.Remote = mirror.Own(dir)
		return &options, err, nil
	}
	if row.RemoteURL == nil {
		return nil, nil, errNoGateway
	}
	if options.Remote, err = g.cfg.Rules.Check(ctx, *row.RemoteURL); err != nil {
		return nil, nil, err
	}
	user, secret, err := g.cfg.DB.Credential(ctx, row.OrgID, row.ID)
	if err != nil {
		return nil, nil, err
	}
	if user != "" || secret != "" {
		options.Credential = &mirror.Credential{User: user, Secret: secret}
	}
	return &options, nil, nil
}

// errNoGateway: only a program with a gateway can fetch what it hosts.
var errNoGateway = errors.New("the repository is hosted by the gateway, which this program has not")

// takeMirror takes in what the mirror holds and the store does not.
func (g *Ingester) takeMirror(ctx context.Context, m *mirror.Mirror, org store.Org, row store.Repo, progress Progress) (Report, error) {
	progress(Reading, 0, 0)
	var report Report
	git, err := m.Repo()
	if err != nil {
		return report, err
	}
	tips, err := m.Tips(ctx)
	if err != nil {
		return report, err
	}
	for _, ref := range row.NotesRefs {
		format, ok := notes.RefFormats[ref]
		if !ok {
			format = notes.FormatBlamePrompt
		}
		archived, err := m.Archived(ctx, ref)
		if err != nil {
			return report, err
		}
		run := &refRun{g: g, git: git, format: format, progress: progress, tip: tips[ref], archived: archived,
			src: store.Source{Org: org, Repo: row, Ref: ref}}
		part, err := run.take(ctx)
		report.add(part)
		if err != nil {
			return report, err
		}
	}
	if row.FetchHeads {
		part, err := g.takeBranches(ctx, m, git, row, progress)
		report.add(part)
		if err != nil {
			return report, err
		}
		if err := g.takeMailmap(ctx, git, row); err != nil {
			return report, err
		}
	}
	return report, nil
}

// Rebuild takes a mirror in as it is, without fetching: it is how a database
// is filled again from mirrors and their archives.
func (g *Ingester) Rebuild(ctx context.Context, org, repo uuid.UUID, progress Progress) (Report, error) {
	row, err := g.cfg.DB.Repo(ctx, org, repo.String())
	if err != nil {
		return Report{}, err
	}
	o, err := g.cfg.DB.OrgByID(ctx, org)
	if err != nil {
		return Report{}, err
	}
	m, err := mirror.Open(g.cfg.MirrorRoot, repo.String())
	if err != nil {
		return Report{}, err
	}
	if progress == nil {
		progress = func(Stage, int, int) {}
	}
	return g.takeMirror(ctx, m, o, row, progress)
}

// problem is what administrators read of a failure: git's own words have their
// credentials masked already.
func problem(err error) string {
	const most = 2000
	text := err.Error()
	if len(text) > most {
		text = text[:most] + " …"
	}
	return text
}

// takeBranches takes in the commits of branches that are new since last time, and
// keeps those that branches left behind: their notes may speak of others.
func (g *Ingester) takeBranches(ctx context.Context, m *mirror.Mirror, git *gitcmd.Repo, row store.Repo, progress Progress) (Report, error) {
	var report Report
	refs, err := git.Refs(ctx, "refs/heads/")
	if err != nil {
		return report, err
	}
	before, err := g.cfg.DB.BranchTips(ctx, row.OrgID, row.ID)
	if err != nil {
		return report, err
	}
	tips := make(map[string]string, len(refs))
	var include, exclude, moved []gitcmd.OID
	for _, ref := range refs {
		tips[ref.Name] = string(ref.OID)
		if before[ref.Name] != string(ref.OID) {
			include = append(include, ref.OID)
		}
	}
	if len(include) == 0 && len(tips) == len(before) {
		return report, nil
	}
	for name, tip := range before {
		// A tip that was forced away may be gone from the mirror.
		if has, err := git.HasCommit(ctx, gitcmd.OID(tip)); err != nil {
			return report, err
		} else if has {
			exclude = append(exclude, gitcmd.OID(tip))
			if tips[name] != tip {
				moved = append(moved, gitcmd.OID(tip))
			}
		}
	}
	if err := m.KeepLeft(ctx, moved); err != nil {
		return report, err
	}
	err = g.cfg.DB.TakeBranches(ctx, row.OrgID, row.ID, tips, func(add func([]store.NewCommit) error) error {
		return walkCommits(ctx, git, include, exclude, func(batch []store.NewCommit) error {
			report.Commits += len(batch)
			progress(Branches, report.Commits, 0)
			return add(batch)
		})
	})
	if err != nil {
		return report, err
	}
	report.Changed = true
	_, err = g.cfg.DB.AttachUploads(ctx, access.Daemon(row.OrgID), row.ID, func(commit string, body []byte) notes.Note {
		return notes.Parse(notes.FormatGitAI, commit, body)
	})
	return report, err
}

// walkCommits hands the commits to add in batches.
func walkCommits(ctx context.Context, git *gitcmd.Repo, include, exclude []gitcmd.OID, add func([]store.NewCommit) error) error {
	const batchSize = 1000
	if len(include) == 0 {
		return nil
	}
	batch := make([]store.NewCommit, 0, batchSize)
	err := git.Commits(ctx, include, exclude, func(c *gitcmd.Commit) error {
		batch = append(batch, newCommit(c))
		if len(batch) < batchSize {
			return nil
		}
		err := add(batch)
		batch = batch[:0]
		return err
	})
	// A damaged or partial history still tells of the commits that it has.
	if err != nil && !errors.Is(err, gitcmd.ErrMissingObject) {
		return err
	}
	return add(slices.Clone(batch))
}

// oidsOf turns texts of the database into object ids.
func oidsOf(texts []string) ([]gitcmd.OID, error) {
	oids := make([]gitcmd.OID, len(texts))
	for i, text := range texts {
		oid, err := gitcmd.ParseOID(text)
		if err != nil {
			return nil, fmt.Errorf("reading a stored tip: %w", err)
		}
		oids[i] = oid
	}
	return oids, nil
}
