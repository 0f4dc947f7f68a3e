package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Commit is a commit as git has it.
type Commit struct {
	Parents        []string
	AuthorName     string
	AuthorEmail    string
	AuthoredAt     time.Time
	CommitterName  string
	CommitterEmail string
	CommittedAt    time.Time
	Subject        string
	// Agents are signs of an AI tool, as JSON; nil where there are none.
	Agents json.RawMessage
	Bot    bool
}

// NoteVersion is a change of a note in the history of its ref.
type NoteVersion struct {
	RepoID      uuid.UUID
	Ref         string
	Commit      string
	NotesCommit string
	// Blob is nil where the note was removed.
	Blob        *string
	AuthorName  string
	AuthorEmail string
	AuthoredAt  time.Time
	CommittedAt time.Time
	Current     bool
}

// AttestedPath is what notes attest of one path: distinct lines of one class.
type AttestedPath struct {
	Path      string
	Class     string
	LineCount int64
	// Lines are runs of lines as [first, last] in a JSON array.
	Lines json.RawMessage
}

// CommitNotes is what the notes of a repository say of one commit.
type CommitNotes struct {
	// Commit is nil for a commit that no fetch brought.
	Commit   *Commit
	Versions []NoteVersion
	Receipts []Receipt
	// Attested is by the current notes.
	Attested []AttestedPath
	Findings []StoredFinding
	// Lines is nil for a commit that is not classified.
	Lines *CommitLines
	// Reattachments are those in force from the commit or to it.
	Reattachments []StoredReattachment
}

// maxRelated bounds each list that hangs on one commit or receipt.
const maxRelated = 1000

// CommitNotes reads everything about a full commit id. ErrNotFound if neither
// git nor a note nor a receipt of the repository names it.
func (db *DB) CommitNotes(ctx context.Context, org, repo uuid.UUID, commit string) (CommitNotes, error) {
	var out CommitNotes
	err := db.snapshot(ctx, func(q querier) (err error) {
		if out.Commit, err = commitOf(ctx, q, org, repo, commit); err != nil {
			return err
		}
		if out.Versions, err = versionsOf(ctx, q, org, repo, commit); err != nil {
			return err
		}
		if out.Receipts, err = receiptsOf(ctx, q, org, repo, commit); err != nil {
			return err
		}
		if out.Reattachments, err = reattachmentsAt(ctx, q, org, repo, commit); err != nil {
			return err
		}
		if out.Commit == nil && len(out.Versions) == 0 && len(out.Receipts) == 0 {
			return translate(pgx.ErrNoRows, "finding commit %s", commit)
		}
		if out.Attested, err = attestedBy(ctx, q, org, out.Versions, nil); err != nil {
			return err
		}
		if out.Lines, err = commitLines(ctx, q, org, repo, commit); err != nil {
			return err
		}
		out.Findings, err = collect[StoredFinding](ctx, q, "listing findings of a commit", `SELECT `+findingColumns+`
			FROM findings f WHERE f.org_id = $1 AND f.repo_id = $2 AND f.commit = $3
			ORDER BY f.found_at DESC, f.id LIMIT `+itoa(maxRelated), org, repo, commit)
		return err
	})
	return out, err
}

func commitOf(ctx context.Context, q querier, org, repo uuid.UUID, commit string) (*Commit, error) {
	rows, err := collect[Commit](ctx, q, "reading a commit", `
		SELECT parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at, subject,
		       agents, bot
		FROM commits WHERE org_id = $1 AND repo_id = $2 AND commit = $3`, org, repo, commit)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// versionsOf lists the versions of a commit's notes on every ref of the
// repository. The key has the ref before the commit: the few refs are found
// one index probe each.
func versionsOf(ctx context.Context, q querier, org, repo uuid.UUID, commit string) ([]NoteVersion, error) {
	return collect[NoteVersion](ctx, q, "listing versions of a note", `
		WITH RECURSIVE refs AS (
			(SELECT ref FROM note_versions WHERE org_id = $1 AND repo_id = $2 ORDER BY ref LIMIT 1)
			UNION ALL
			SELECT (SELECT n.ref FROM note_versions n WHERE n.org_id = $1 AND n.repo_id = $2 AND n.ref > refs.ref
			        ORDER BY n.ref LIMIT 1)
			FROM refs WHERE refs.ref IS NOT NULL)
		SELECT `+versionColumns+` FROM refs
		JOIN note_versions v ON v.org_id = $1 AND v.repo_id = $2 AND v.ref = refs.ref AND v.commit = $3
		ORDER BY v.committed_at DESC, v.notes_commit DESC LIMIT `+itoa(maxRelated), org, repo, commit)
}

const versionColumns = `v.repo_id, v.ref, v.commit, v.notes_commit, v.blob, v.author_name, v.author_email,
	v.authored_at, v.committed_at, v.current`

func receiptsOf(ctx context.Context, q querier, org, repo uuid.UUID, commit string) ([]Receipt, error) {
	return collect[Receipt](ctx, q, "listing the receipts of a commit", `SELECT `+receiptColumns+` FROM receipts r
		WHERE r.org_id = $1 AND r.id IN (SELECT c.receipt_id FROM receipt_commits c
		                                 WHERE c.org_id = $1 AND c.commit = $3 AND c.repo_id = $2)
		ORDER BY r.timestamp DESC, r.id DESC LIMIT `+itoa(maxRelated), org, repo, commit)
}

// attestedBy unites the lines that the bodies of the current ones among
// versions attest, by path and class; of one receipt if it is given.
func attestedBy(ctx context.Context, q querier, org uuid.UUID, versions []NoteVersion, receipt *string) ([]AttestedPath, error) {
	var repos []uuid.UUID
	var refs, commits, blobs []string
	for _, v := range versions {
		if v.Current && v.Blob != nil {
			repos, refs = append(repos, v.RepoID), append(refs, v.Ref)
			commits, blobs = append(commits, v.Commit), append(blobs, *v.Blob)
		}
	}
	if len(blobs) == 0 {
		return nil, nil
	}
	return collect[AttestedPath](ctx, q, "reading attested lines", `
		SELECT u.path, u.class, n.line_count, n.lines FROM (
			SELECT a.path, a.class, range_agg(a.lines) AS lines
			FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) b (repo_id, ref, commit, blob)
			JOIN attestations a ON a.org_id = $1 AND a.repo_id = b.repo_id AND a.ref = b.ref
			                   AND a.commit = b.commit AND a.blob = b.blob
			WHERE $6::text IS NULL OR a.receipt_id = $6
			GROUP BY a.path, a.class) u,
		LATERAL (SELECT coalesce(sum(upper(l) - lower(l)), 0)::bigint AS line_count,
		                coalesce(json_agg(json_build_array(lower(l), upper(l) - 1) ORDER BY l), '[]') AS lines
		         FROM unnest(u.lines) l) n
		ORDER BY u.path, u.class`, org, repos, refs, commits, blobs, receipt)
}
