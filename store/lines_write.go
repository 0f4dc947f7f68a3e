package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// LineBatch is commits of a repository as git shows them, to be classified by
// what is known of them.
type LineBatch struct {
	OrgID, RepoID uuid.UUID
	// Plan is what the caller took the commits of: if another one is in force, the
	// batch has no effect and is ErrMoved.
	Plan    LineTip
	Commits []*lines.Commit
	// Exclude says which files do not count.
	Exclude func(*lines.File) lines.Reason
}

// MaxLinePath is the longest path in bytes whose lines are stored: one more
// would not fit into an index. The lines of others do not count.
const MaxLinePath = 2000

const reasonLongPath lines.Reason = "path"

// WriteLines classifies the commits of a batch that are still demanded, and
// writes what differs from what is there. It returns how many commits those were.
func (db *DB) WriteLines(ctx context.Context, b LineBatch) (written int, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		if err := tx.lockLines(ctx, b.RepoID); err != nil {
			return err
		}
		planned, err := tx.plannedLines(ctx, b.OrgID, b.RepoID)
		if err != nil {
			return err
		}
		if !planned.same(b.Plan) {
			return fmt.Errorf("writing lines: %w", ErrMoved)
		}
		demands, err := tx.demandedLines(ctx, &b)
		if err != nil {
			return err
		}
		rows := &lineRows{b: &b, stored: demands.stored, onDefault: demands.onDefault}
		if err := tx.lineEvidence(ctx, &b, demands.commits, rows.add); err != nil {
			return err
		}
		written = len(rows.commits)
		if err := tx.writeLineRows(ctx, rows); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM line_demands WHERE org_id = $1 AND repo_id = $2 AND seq = ANY($3)`,
			b.OrgID, b.RepoID, demands.seqs)
		return translate(err, "meeting demands")
	})
	return written, err
}

// demandedLines are the commits of a batch that are to be classified, and the
// demands that are met by it. They are read before any evidence is.
type demandedLines struct {
	commits []*lines.Commit
	seqs    []int64
	// onDefault are those that the default branch reaches, of commits without a row.
	onDefault map[string]bool
	// stored are the digests of the commits that have a row.
	stored map[string]storedLines
}

type storedLines struct {
	Commit    string
	Digest    []byte
	OnDefault bool
}

func (tx *Tx) demandedLines(ctx context.Context, b *LineBatch) (demandedLines, error) {
	ids := make([]string, len(b.Commits))
	for i, c := range b.Commits {
		ids[i] = string(c.OID)
	}
	out := demandedLines{stored: map[string]storedLines{}, onDefault: map[string]bool{}}
	stored, err := collect[storedLines](ctx, tx, "reading classified commits", `
		SELECT commit, digest, on_default FROM commit_lines WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)`,
		b.OrgID, b.RepoID, ids)
	if err != nil {
		return out, err
	}
	for _, s := range stored {
		out.stored[s.Commit] = s
	}
	demands, err := collect[struct {
		Seq        int64
		Commit     string
		Planned    bool
		OffDefault bool
	}](ctx, tx, "reading demands", `
		SELECT seq, commit, planned, off_default FROM line_demands WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)`,
		b.OrgID, b.RepoID, ids)
	wanted := map[string]bool{}
	for _, d := range demands {
		out.seqs = append(out.seqs, d.Seq)
		_, has := out.stored[d.Commit]
		wanted[d.Commit] = wanted[d.Commit] || has || d.Planned
		out.onDefault[d.Commit] = out.onDefault[d.Commit] || d.Planned && !d.OffDefault
	}
	for _, c := range b.Commits {
		if wanted[string(c.OID)] {
			out.commits = append(out.commits, c)
		}
	}
	return out, err
}

// lineRows are the commits whose classes differ from what is stored.
type lineRows struct {
	b         *LineBatch
	stored    map[string]storedLines
	onDefault map[string]bool
	// ids are the commits that were looked at, gone those whose rows are to go.
	ids, gone []string
	commits   []*commitRows
	found     [][]any
}

// add classifies a commit.
func (r *lineRows) add(c *lineCommit) error {
	id := string(c.git.OID)
	if !c.known {
		return nil
	}
	r.ids = append(r.ids, id)
	rows := &commitRows{key: [3]any{r.b.OrgID, r.b.RepoID, id}, lineCommit: *c, onDefault: true, state: c.state()}
	rows.files, rows.counts = lines.Classify(c.git.Files, c.Evidence, r.exclude)
	// What spoke for the lines is not needed any more, and may be large.
	rows.Attestations, rows.Claims = nil, nil
	rows.ownerLines = rows.sumOwners()
	r.addFindings(c, rows.files)
	rows.digest = rows.sum()
	stored, has := r.stored[id]
	if has && bytes.Equal(stored.Digest, rows.digest) {
		return nil
	}
	// Where the commit is reached from is no part of what was found.
	if rows.onDefault = r.onDefault[id]; has {
		rows.onDefault = stored.OnDefault
		r.gone = append(r.gone, id)
	}
	r.commits = append(r.commits, rows)
	return nil
}

func (r *lineRows) exclude(f *lines.File) lines.Reason {
	if len(f.Path) > MaxLinePath {
		return reasonLongPath
	}
	return r.b.Exclude(f)
}

// The states of a commit's classes.
const (
	LinesClassified = "classified"
	// LinesUnreadable: git cannot compare the commit; it has no lines.
	LinesUnreadable = "unreadable"
	// LinesCut: the commit has more files or hunks than are read.
	LinesCut = "cut"
)

func (c *lineCommit) state() string {
	switch {
	case c.git.Unreadable != nil:
		return LinesUnreadable
	case c.git.Cut:
		return LinesCut
	}
	return LinesClassified
}

// Codes of findings about the lines of commits, documented in docs/findings.md.
const (
	codeCommitUnreadable = "commit_unreadable"
	codeCommitCut        = "commit_cut"
	codeCommitPath       = "commit_path_too_long"
)

var lineCodes = []string{codeCommitUnreadable, codeCommitCut, codeCommitPath}

func (r *lineRows) addFindings(c *lineCommit, files []lines.FileLines) {
	if err := c.git.Unreadable; err != nil {
		message := "git cannot compare this commit with its parent: " + err.Error()
		if errors.Is(err, gitcmd.ErrMissingObject) {
			message = "The mirror lacks objects of this commit or its parent. Its lines are read when a later fetch brings them."
		}
		r.addFinding(c, codeCommitUnreadable, notes.Error, message)
	}
	if c.git.Cut {
		r.addFinding(c, codeCommitCut, notes.Warning, fmt.Sprintf(
			"The commit changes more than %d files or has more than %d runs of added lines; those beyond are left out.",
			lines.MaxFiles, lines.MaxRanges))
	}
	for i := range files {
		if files[i].Excluded == reasonLongPath {
			r.addFinding(c, codeCommitPath, notes.Warning, fmt.Sprintf(
				"A path has more than %d bytes. The lines of such files do not count.", MaxLinePath))
			return
		}
	}
}

func (r *lineRows) addFinding(c *lineCommit, code string, severity notes.Severity, message string) {
	sum := sha256.New()
	for _, part := range []string{r.b.RepoID.String(), "lines", string(c.git.OID), code} {
		hashText(sum, part)
	}
	r.found = append(r.found, []any{r.b.OrgID, hashID(sum), r.b.RepoID, code, string(severity), string(c.git.OID), clean(message)})
}

// commitRows is a classified commit. Its rows are made when they are copied: a
// commit may have millions of runs.
type commitRows struct {
	lineCommit
	key        [3]any
	onDefault  bool
	state      string
	files      []lines.FileLines
	counts     lines.Counts
	ownerLines []ownerLines
	digest     []byte
}

type ownerLines struct {
	lineOwner
	ai, trailer int64
}

// sumOwners sums the AI lines up by who wrote them, in the order of their first.
func (r *commitRows) sumOwners() []ownerLines {
	var out []ownerLines
	at := map[lineOwner]int{}
	for i := range r.files {
		for _, run := range r.files[i].Runs {
			if run.Class != notes.ClassAI {
				continue
			}
			owner := r.owners[run.ReceiptID]
			if run.Confidence == lines.Trailer {
				owner = lineOwner{provider: run.Author}
			}
			n, ok := at[owner]
			if !ok {
				n = len(out)
				at[owner] = n
				out = append(out, ownerLines{lineOwner: owner})
			}
			size := int64(run.Last) - int64(run.First) + 1
			out[n].ai += size
			if run.Confidence == lines.Trailer {
				out[n].trailer += size
			}
		}
	}
	return out
}

func (r *commitRows) row(values ...any) []any {
	return append(r.key[:len(r.key):len(r.key)], values...)
}

// sum is equal for two readings of a commit exactly when all their rows are.
func (r *commitRows) sum() []byte {
	sum := sha256.New()
	for _, t := range lineTables {
		for row := range t.rows(r) {
			for _, v := range row[len(r.key):] {
				hashValue(sum, v)
			}
		}
		hashText(sum, t.name)
	}
	return sum.Sum(nil)
}

func hashValue(sum hash.Hash, v any) {
	switch v := v.(type) {
	case string:
		hashText(sum, v)
	case []byte:
		hashText(sum, string(v))
	case int32:
		n := int64(v)
		hashInt(sum, &n)
	case int64:
		hashInt(sum, &v)
	default:
		hashText(sum, fmt.Sprint(v))
	}
}

// lineTable is a table that the classes of commits are copied into. Of a commit
// the row of commit_lines goes first and comes last: with it, the lines of its
// files begin and cease to count.
type lineTable struct {
	name    string
	columns string
	rows    func(*commitRows) iter.Seq[[]any]
}

var lineTables = []lineTable{
	{"commit_lines", "on_default, merge, committed_at, day, author_email, added, ai, human, unknown, trailer, excluded, deleted, noted, " +
		"agent, bot, state, digest", (*commitRows).commitRow},
	{"commit_owners", "provider, model, on_default, day, author_email, ai, trailer", (*commitRows).ownerRows},
	{"added_files", "path, old_path, blob, excluded, added, ai, human, unknown, trailer", (*commitRows).fileRows},
	{"added_runs", "path, first, last, class, source, confidence, receipt_id, author, from_commit", (*commitRows).runRows},
}

func (r *commitRows) commitRow() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		var deleted int64
		for i := range r.git.Files {
			deleted += r.git.Files[i].Deleted
		}
		n := r.counts
		yield(r.row(r.onDefault, r.merge, r.committedAt, r.day, r.authorEmail, n.Added, n.AI, n.Human, n.Unknown, n.Trailer,
			n.Excluded, deleted, r.Noted || r.reattached, r.Agent, r.bot, r.state, r.digest))
	}
}

func (r *commitRows) ownerRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, o := range r.ownerLines {
			if !yield(r.row(o.provider, o.model, r.onDefault, r.day, r.authorEmail, o.ai, o.trailer)) {
				return
			}
		}
	}
}

func (r *commitRows) fileRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for i := range r.files {
			f := &r.files[i]
			if f.Excluded == reasonLongPath {
				continue
			}
			old := f.File.OldPath
			if len(old) > MaxLinePath {
				old = ""
			}
			n := f.Counts
			if !yield(r.row([]byte(f.File.Path), []byte(old), string(f.File.Blob), string(f.Excluded), n.Added+n.Excluded, n.AI,
				n.Human, n.Unknown, n.Trailer)) {
				return
			}
		}
	}
}

func (r *commitRows) runRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for i := range r.files {
			path := []byte(r.files[i].File.Path)
			for _, run := range r.files[i].Runs {
				if run.Class != lines.ClassUnknown && !yield(r.row(path, int32(run.First), int32(run.Last), string(run.Class),
					string(run.Source), string(run.Confidence), run.ReceiptID, clean(run.Author), string(run.From))) {
					return
				}
			}
		}
	}
}

func (tx *Tx) writeLineRows(ctx context.Context, r *lineRows) error {
	if len(r.gone) > 0 {
		for _, t := range lineTables {
			_, err := tx.Exec(ctx, `DELETE FROM `+t.name+` WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)`,
				r.b.OrgID, r.b.RepoID, r.gone)
			if err != nil {
				return translate(err, "clearing %s", t.name)
			}
		}
	}
	for _, t := range slices.Backward(lineTables) {
		if err := tx.copyLineRows(ctx, t, r.commits); err != nil {
			return err
		}
	}
	return tx.writeLineFindings(ctx, r)
}

func (tx *Tx) copyLineRows(ctx context.Context, t lineTable, commits []*commitRows) error {
	if len(commits) == 0 {
		return nil
	}
	next, stop := iter.Pull(func(yield func([]any) bool) {
		for _, c := range commits {
			for row := range t.rows(c) {
				if !yield(row) {
					return
				}
			}
		}
	})
	defer stop()
	columns := append([]string{"org_id", "repo_id", "commit"}, strings.Split(t.columns, ", ")...)
	_, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, _ := next()
		return row, nil
	}))
	return translate(err, "copying into %s", t.name)
}

// writeLineFindings replaces the findings about the lines of the commits that
// were looked at.
func (tx *Tx) writeLineFindings(ctx context.Context, r *lineRows) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM findings WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3) AND id <> ALL($4)
		  AND code = ANY($5)`, r.b.OrgID, r.b.RepoID, r.ids, findingIDs(r.found), lineCodes)
	if err != nil {
		return translate(err, "settling findings about lines")
	}
	for _, f := range r.found {
		_, err := tx.Exec(ctx, `
			INSERT INTO findings (org_id, id, repo_id, code, severity, commit, message) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT DO NOTHING`, f...)
		if err != nil {
			return translate(err, "recording a finding about lines")
		}
	}
	return nil
}

func findingIDs(rows [][]any) []uuid.UUID {
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row[1].(uuid.UUID)
	}
	return ids
}
