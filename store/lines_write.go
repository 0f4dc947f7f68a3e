package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

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
		rows := &lineRows{b: &b, stored: demands.stored}
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
	out := demandedLines{stored: map[string]storedLines{}}
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
		Seq     int64
		Commit  string
		Planned bool
	}](ctx, tx, "reading demands", `
		SELECT seq, commit, planned FROM line_demands WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)`,
		b.OrgID, b.RepoID, ids)
	wanted := map[string]bool{}
	for _, d := range demands {
		out.seqs = append(out.seqs, d.Seq)
		_, has := out.stored[d.Commit]
		wanted[d.Commit] = wanted[d.Commit] || has || d.Planned
	}
	for _, c := range b.Commits {
		if wanted[string(c.OID)] {
			out.commits = append(out.commits, c)
		}
	}
	return out, err
}

// lineRows are the rows of commits whose classes differ from what is stored.
type lineRows struct {
	b      *LineBatch
	stored map[string]storedLines
	// ids are the commits that are looked at, changed those with a row that goes.
	ids, changed                        []string
	commits, files, runs, owners, found [][]any
}

// add classifies a commit.
func (r *lineRows) add(c *lineCommit) error {
	id := string(c.git.OID)
	if !c.known {
		return nil
	}
	r.ids = append(r.ids, id)
	files, counts := lines.Classify(c.git.Files, c.Evidence, r.exclude)
	r.addFindings(c, files)
	var deleted int64
	for i := range c.git.Files {
		deleted += c.git.Files[i].Deleted
	}
	rows := commitRows{r.b, c, files, counts, deleted, c.state()}
	digest := rows.digest()
	stored, has := r.stored[id]
	if has && bytes.Equal(stored.Digest, digest) {
		return nil
	}
	onDefault := true
	if has {
		onDefault = stored.OnDefault
		r.changed = append(r.changed, id)
	}
	r.commits = append(r.commits, append(rows.commit(onDefault), digest))
	r.files = append(r.files, rows.fileRows()...)
	r.runs = append(r.runs, rows.runRows()...)
	r.owners = append(r.owners, rows.ownerRows(onDefault)...)
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

// commitRows are the rows of one commit.
type commitRows struct {
	b       *LineBatch
	c       *lineCommit
	files   []lines.FileLines
	counts  lines.Counts
	deleted int64
	state   string
}

func (r *commitRows) key() []any { return []any{r.b.OrgID, r.b.RepoID, string(r.c.git.OID)} }

var commitLineColumns = []string{"org_id", "repo_id", "commit", "on_default", "merge", "committed_at", "day", "author_email",
	"added", "ai", "human", "unknown", "trailer", "excluded", "deleted", "noted", "agent", "bot", "state", "digest"}

func (r *commitRows) commit(onDefault bool) []any {
	c, n := r.c, r.counts
	return append(r.key(), onDefault, c.merge, c.committedAt, c.day, c.authorEmail, n.Added, n.AI, n.Human, n.Unknown,
		n.Trailer, n.Excluded, r.deleted, c.Noted, c.Agent, c.bot, r.state)
}

var addedFileColumns = []string{"org_id", "repo_id", "commit", "path", "old_path", "blob", "excluded",
	"added", "ai", "human", "unknown", "trailer"}

func (r *commitRows) fileRows() (rows [][]any) {
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
		rows = append(rows, append(r.key(), []byte(f.File.Path), []byte(old), string(f.File.Blob), string(f.Excluded),
			n.Added+n.Excluded, n.AI, n.Human, n.Unknown, n.Trailer))
	}
	return rows
}

var addedRunColumns = []string{"org_id", "repo_id", "commit", "path", "first", "last", "class", "source", "confidence",
	"receipt_id", "author"}

func (r *commitRows) runRows() (rows [][]any) {
	for i := range r.files {
		for _, run := range r.files[i].Runs {
			if run.Class == lines.ClassUnknown {
				continue
			}
			rows = append(rows, append(r.key(), []byte(r.files[i].File.Path), int32(run.First), int32(run.Last),
				string(run.Class), string(run.Source), string(run.Confidence), run.ReceiptID, clean(run.Author)))
		}
	}
	return rows
}

var commitOwnerColumns = []string{"org_id", "repo_id", "commit", "provider", "model", "on_default", "day", "author_email",
	"ai", "trailer"}

func (r *commitRows) ownerRows(onDefault bool) (rows [][]any) {
	for _, o := range r.owners() {
		rows = append(rows, append(r.key(), o.provider, o.model, onDefault, r.c.day, r.c.authorEmail, o.ai, o.trailer))
	}
	return rows
}

type ownerLines struct {
	lineOwner
	ai, trailer int64
}

// owners sums the AI lines up by who wrote them, in the order of their first.
func (r *commitRows) owners() []ownerLines {
	var out []ownerLines
	at := map[lineOwner]int{}
	for i := range r.files {
		for _, run := range r.files[i].Runs {
			if run.Class != notes.ClassAI {
				continue
			}
			owner := r.c.owners[run.ReceiptID]
			if run.Confidence == lines.Trailer {
				owner = lineOwner{provider: run.Author}
			}
			n, ok := at[owner]
			if !ok {
				n = len(out)
				at[owner] = n
				out = append(out, ownerLines{lineOwner: owner})
			}
			size := lines.Count([]notes.LineRange{run.LineRange})
			out[n].ai += size
			if run.Confidence == lines.Trailer {
				out[n].trailer += size
			}
		}
	}
	return out
}

// digest is equal for two readings of a commit exactly when all their rows are.
func (r *commitRows) digest() []byte {
	sum := sha256.New()
	for _, rows := range [][][]any{{r.commit(true)}, r.fileRows(), r.runRows(), r.ownerRows(true)} {
		hashRows(sum, rows)
	}
	return sum.Sum(nil)
}

func hashRows(sum hash.Hash, rows [][]any) {
	for _, row := range rows {
		// Behind the key.
		for _, v := range row[3:] {
			hashValue(sum, v)
		}
	}
	hashText(sum, "end")
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

func (tx *Tx) writeLineRows(ctx context.Context, r *lineRows) error {
	if len(r.changed) > 0 {
		for _, table := range []string{"commit_lines", "commit_owners", "added_files", "added_runs"} {
			_, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3)`,
				r.b.OrgID, r.b.RepoID, r.changed)
			if err != nil {
				return translate(err, "clearing %s", table)
			}
		}
	}
	for _, t := range []stageTable{
		{"commit_lines", commitLineColumns, r.commits}, {"commit_owners", commitOwnerColumns, r.owners},
		{"added_files", addedFileColumns, r.files}, {"added_runs", addedRunColumns, r.runs},
	} {
		if len(t.rows) == 0 {
			continue
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
			return translate(err, "copying into %s", t.name)
		}
	}
	return tx.writeLineFindings(ctx, r)
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
