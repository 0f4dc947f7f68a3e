package store

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// CommitKind says how a commit counts.
type CommitKind string

// Counted commits are those whose coverage is asked for.
const (
	KindCounted CommitKind = "counted"
	KindBot     CommitKind = "bot"
	// KindMerge is a merge without lines of its own.
	KindMerge CommitKind = "merge"
)

// CommitFilter selects commits of default branches; zero values select all.
type CommitFilter struct {
	Repos []uuid.UUID
	// Emails, unless nil, holds the authors in lower case.
	Emails []string
	// From and To are days of the organisation's time zone as midnight UTC.
	From, To time.Time
	Kind     CommitKind
	// Class selects commits with lines of it: a column of LineSums.
	Class string
	// Folder selects commits with lines in files below it; it ends in a slash.
	Folder string
	// Ref selects, of the one repository that is named, the commits of a branch that
	// was asked for and that the default branch does not reach.
	Ref   string
	Noted *bool
	// Marked selects commits that name an agent and that no note speaks of; Agent
	// those that name this one.
	Marked bool
	Agent  string
	State  string
}

// CommitClasses are the classes that CommitFilter takes.
var CommitClasses = []string{"ai", "human", "unknown", "trailer", "excluded"}

// LineCommit is a commit of a default branch and whose its lines are.
type LineCommit struct {
	RepoID      uuid.UUID
	Repo        string
	Commit      string
	Subject     string
	AuthorName  string
	AuthorEmail string
	CommittedAt time.Time
	Day         time.Time
	Merge       bool
	Bot         bool
	Noted       bool
	Agent       string
	State       string

	Added, AI, Human, Unknown, Trailer, Excluded, Deleted int64
}

// CommitPosition is a place in the list of commits.
type CommitPosition struct {
	At     time.Time
	RepoID uuid.UUID
	Commit string
}

const lineCommitColumns = `c.repo_id, r.name AS repo, c.commit, k.subject, k.author_name, c.author_email, c.committed_at, c.day, c.merge,
	c.bot, c.noted, c.agent, c.state, c.added, c.ai, c.human, c.unknown, c.trailer, c.excluded, c.deleted`

const joinLineCommit = ` JOIN repos r ON r.org_id = c.org_id AND r.id = c.repo_id
	JOIN commits k ON k.org_id = c.org_id AND k.repo_id = c.repo_id AND k.commit = c.commit`

// LineCommits lists up to limit commits of default branches, newest first, after
// the position (nil: from the start).
func (db *DB) LineCommits(ctx context.Context, org uuid.UUID, f CommitFilter, after *CommitPosition, limit int) ([]LineCommit, error) {
	c := &conditions{}
	c.add("c.org_id = ?", org)
	if f.Ref == "" {
		c.add("c.on_default")
	} else {
		c.add("(c.repo_id, c.commit) IN (SELECT b.repo_id, b.commit FROM branch_commits b WHERE b.org_id = ? AND b.repo_id = ? AND b.ref = ?)",
			org, f.Repos[0], f.Ref)
	}
	if err := f.addDays(ctx, db.pool, c, org); err != nil {
		return nil, err
	}
	f.add(c)
	if after != nil {
		c.add("c.committed_at <= ? AND (c.committed_at < ? OR (c.repo_id, c.commit) > (?, ?))", after.At, after.At, after.RepoID, after.Commit)
	}
	return collect[LineCommit](ctx, db.pool, "listing commits", `
		SELECT `+lineCommitColumns+`
		FROM (SELECT * FROM commit_lines c WHERE `+c.where()+` ORDER BY c.committed_at DESC, c.repo_id, c.commit LIMIT `+itoa(limit)+`) c`+
		joinLineCommit+` ORDER BY c.committed_at DESC, c.repo_id, c.commit`, append([]any{planned}, c.args...)...)
}

// addDays restricts commits to the days of the filter. The index goes by moments: by
// those that the days begin and end at where the organisation is, and a little more,
// since clocks that go back say some of them twice.
func (f CommitFilter) addDays(ctx context.Context, q querier, c *conditions, org uuid.UUID) error {
	if f.From.IsZero() && f.To.IsZero() {
		return nil
	}
	const goneBack = 3 * time.Hour
	at, err := collectOne[struct{ From, To time.Time }](ctx, q, "finding the midnights of days", `
		SELECT $2::date::timestamp AT TIME ZONE time_zone AS from, ($3::date + 1)::timestamp AT TIME ZONE time_zone AS to FROM orgs WHERE id = $1`,
		org, f.From, f.To)
	if err != nil {
		return err
	}
	if !f.From.IsZero() {
		c.add("c.day >= ? AND c.committed_at >= ?", f.From, at.From.Add(-goneBack))
	}
	if !f.To.IsZero() {
		c.add("c.day <= ? AND c.committed_at < ?", f.To, at.To.Add(goneBack))
	}
	return nil
}

func (f CommitFilter) add(c *conditions) {
	if len(f.Repos) > 0 {
		c.add(oneOf("c.repo_id", f.Repos, c))
	}
	if f.Emails != nil {
		c.add(oneOf("c.author_email", f.Emails, c))
	}
	switch f.Kind {
	case KindCounted:
		c.add("NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0)")
	case KindBot:
		c.add("c.bot")
	case KindMerge:
		c.add("NOT c.bot AND c.merge AND c.added + c.excluded = 0")
	}
	if slices.Contains(CommitClasses, f.Class) {
		c.add("c." + f.Class + " > 0")
	}
	if f.Folder != "" {
		// What follows a slash in the alphabet ends the paths that begin with it.
		past := append([]byte(f.Folder[:len(f.Folder)-1]), '/'+1)
		c.add("EXISTS (SELECT FROM added_files a WHERE a.org_id = c.org_id AND a.repo_id = c.repo_id AND a.commit = c.commit AND a.path >= ? AND a.path < ?)",
			[]byte(f.Folder), past)
	}
	if f.Noted != nil {
		c.add("c.noted = ?", *f.Noted)
	}
	if f.Marked {
		c.add("c.agent <> '' AND NOT c.noted AND NOT c.bot")
	}
	if f.Agent != "" {
		c.add("c.agent = ?", f.Agent)
	}
	if f.State != "" {
		c.add("c.state = ?", f.State)
	}
}

// AddedFile is a file of a commit with added lines; of an excluded one Added is
// their number and the classes are zero.
type AddedFile struct {
	Path, OldPath                      []byte
	Blob, Excluded                     string
	Added, AI, Human, Unknown, Trailer int64
}

// AddedRun is a run of added lines of one owner.
type AddedRun struct {
	Path                      []byte
	First, Last               int32
	Class, Source, Confidence string
	ReceiptID, Author         string
	// FromCommit is the commit whose note speaks for the lines, where it was left
	// behind.
	FromCommit string
}

// CommitLines is whose the lines of one commit are.
type CommitLines struct {
	LineCommit
	OnDefault bool
	Files     []AddedFile
	Runs      []AddedRun
	// Cut says that there are more files or runs.
	Cut bool
}

// maxRuns bounds the runs that are shown of one commit.
const maxRuns = 10_000

// commitLines reads the lines of a commit; nil if it was never on the default
// branch, or is not classified yet.
func commitLines(ctx context.Context, q querier, org, repo uuid.UUID, commit string) (*CommitLines, error) {
	rows, err := collect[struct {
		LineCommit
		OnDefault bool
	}](ctx, q, "reading the lines of a commit", `SELECT `+lineCommitColumns+`, c.on_default FROM commit_lines c`+joinLineCommit+`
		WHERE c.org_id = $1 AND c.repo_id = $2 AND c.commit = $3`, org, repo, commit)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	out := &CommitLines{LineCommit: rows[0].LineCommit, OnDefault: rows[0].OnDefault}
	out.Files, err = collect[AddedFile](ctx, q, "reading the files of a commit", `
		SELECT path, old_path, blob, excluded, added, ai, human, unknown, trailer FROM added_files
		WHERE org_id = $1 AND repo_id = $2 AND commit = $3 ORDER BY path LIMIT `+itoa(maxRelated+1), org, repo, commit)
	if err != nil {
		return nil, err
	}
	if len(out.Files) > maxRelated {
		out.Files, out.Cut = out.Files[:maxRelated], true
	}
	out.Runs, err = collect[AddedRun](ctx, q, "reading the runs of a commit", `
		SELECT path, first, last, class, source, confidence, receipt_id, author, from_commit FROM added_runs
		WHERE org_id = $1 AND repo_id = $2 AND commit = $3 ORDER BY path, first LIMIT `+itoa(maxRuns+1), org, repo, commit)
	if len(out.Runs) > maxRuns {
		out.Runs, out.Cut = out.Runs[:maxRuns], true
	}
	return out, err
}
