package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// Reattachment is a note of a commit that was left behind and speaks of another.
type Reattachment struct {
	NoteMove
	// How is ByNotesHistory, ByPatchID or ByBlob.
	How string
	// Squash says that To has the changes of several commits.
	Squash bool
	// Lines are those that To has of Commit, where that is known by patch id.
	Lines []MovedLines
}

// KnownReattachments returns what was found so far, also what is no longer in
// force, without lines.
func (db *DB) KnownReattachments(ctx context.Context, org, repo uuid.UUID) ([]Reattachment, error) {
	rows, err := collect[struct {
		Ref, Commit, Blob, To, How string
		Squash                     bool
	}](ctx, db.pool, "reading reattachments", `
		SELECT ref, from_commit AS commit, blob, to_commit AS to, how, squash FROM reattachments WHERE org_id = $1 AND repo_id = $2
		ORDER BY ref, from_commit, to_commit`, org, repo)
	known := make([]Reattachment, len(rows))
	for i, r := range rows {
		known[i] = Reattachment{NoteMove: NoteMove{r.Ref, r.Commit, r.Blob, r.To}, How: r.How, Squash: r.Squash}
	}
	return known, err
}

// ReattachChange says what a write of reattachments changed.
type ReattachChange struct{ Found, Ended int }

// WriteReattachments makes found the reattachments that are in force: others end,
// and none is forgotten. Whose lines may differ by it is demanded. It writes
// nothing where nothing changed, but that state was dealt with.
func (db *DB) WriteReattachments(ctx context.Context, state ReattachState, found []Reattachment,
	poke func(context.Context, *Tx) error) (ReattachChange, error) {
	var change ReattachChange
	err := db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('reattach:' || $1::text, 0))`, state.RepoID)
		if err != nil {
			return translate(err, "waiting for other writers of reattachments")
		}
		if err := tx.stageReattachments(ctx, found); err != nil {
			return err
		}
		if change, err = tx.mergeReattachments(ctx, state); err != nil {
			return err
		}
		if err := tx.writeMovedLines(ctx, state, found); err != nil {
			return err
		}
		if change == (ReattachChange{}) {
			return nil
		}
		err = tx.Audit(ctx, access.Daemon(state.OrgID), "notes.reattach", state.Name, map[string]any{
			"found": change.Found, "ended": change.Ended, "enabled": state.Enabled})
		if err != nil || poke == nil {
			return err
		}
		return poke(ctx, tx)
	})
	return change, err
}

func (tx *Tx) stageReattachments(ctx context.Context, found []Reattachment) error {
	_, err := tx.Exec(ctx, `CREATE TEMP TABLE stage_reattached (ref text, from_commit text, blob text, to_commit text, how text,
		squash boolean, id uuid) ON COMMIT DROP`)
	if err != nil {
		return translate(err, "making a staging table")
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", "stage_reattached"},
		[]string{"ref", "from_commit", "blob", "to_commit", "how", "squash", "id"},
		pgx.CopyFromSlice(len(found), func(i int) ([]any, error) {
			id, err := uuid.NewV7()
			r := &found[i]
			return []any{r.Ref, r.Commit, r.Blob, r.To, r.How, r.Squash, id}, err
		}))
	return translate(err, "copying reattachments")
}

func (tx *Tx) mergeReattachments(ctx context.Context, state ReattachState) (change ReattachChange, err error) {
	err = tx.QueryRow(ctx, sqlMergeReattachments, pgx.NamedArgs{"org": state.OrgID, "repo": state.RepoID}).
		Scan(&change.Found, &change.Ended)
	if err != nil {
		return change, translate(err, "writing reattachments")
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO reattach_states (org_id, repo_id, state) VALUES ($1, $2, $3)
		ON CONFLICT (org_id, repo_id) DO UPDATE SET state = excluded.state, done_at = now()`, state.OrgID, state.RepoID, state.State)
	return change, translate(err, "noting what reattachments are of")
}

const sqlMergeReattachments = `
	WITH ended AS (
		UPDATE reattachments r SET active = false, ended_at = now()
		WHERE r.org_id = @org AND r.repo_id = @repo AND r.active
		  AND NOT EXISTS (SELECT FROM stage_reattached s WHERE (s.ref, s.from_commit, s.to_commit) = (r.ref, r.from_commit, r.to_commit))
		RETURNING r.to_commit
	), found AS (
		INSERT INTO reattachments AS r (org_id, repo_id, ref, from_commit, blob, to_commit, how, squash, id)
		SELECT @org::uuid, @repo::uuid, ref, from_commit, blob, to_commit, how, squash, id FROM stage_reattached
		ON CONFLICT (org_id, repo_id, ref, from_commit, to_commit) DO UPDATE
		SET blob = excluded.blob, how = excluded.how, squash = excluded.squash, active = true, ended_at = NULL
		WHERE NOT r.active OR (r.blob, r.how, r.squash) <> (excluded.blob, excluded.how, excluded.squash)
		RETURNING r.to_commit
	), demanded AS (
		INSERT INTO line_demands (org_id, repo_id, commit)
		SELECT @org::uuid, @repo::uuid, to_commit FROM (SELECT to_commit FROM ended UNION SELECT to_commit FROM found) c
	)
	SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM ended)`

// writeMovedLines replaces the lines of pairs of commits whose lines were looked at.
func (tx *Tx) writeMovedLines(ctx context.Context, state ReattachState, found []Reattachment) error {
	var rows [][]any
	seen := map[[2]string]bool{}
	for _, r := range found {
		// Notes on several refs speak of the same lines.
		if len(r.Lines) == 0 || seen[[2]string{r.Commit, r.To}] {
			continue
		}
		seen[[2]string{r.Commit, r.To}] = true
		_, err := tx.Exec(ctx, `DELETE FROM reattached_lines WHERE org_id = $1 AND repo_id = $2 AND to_commit = $3 AND from_commit = $4`,
			state.OrgID, state.RepoID, r.To, r.Commit)
		if err != nil {
			return translate(err, "clearing lines of reattachments")
		}
		for _, l := range r.Lines {
			if len(l.Path) > maxMovedPath || len(l.FromPath) > maxMovedPath {
				continue
			}
			rows = append(rows, []any{state.OrgID, state.RepoID, r.To, r.Commit, []byte(l.Path), int32(l.First), int32(l.Last),
				[]byte(l.FromPath), int32(l.FromFirst)})
		}
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"reattached_lines"}, []string{"org_id", "repo_id", "to_commit", "from_commit", "path",
		"first", "last", "from_path", "from_first"}, pgx.CopyFromRows(rows))
	return translate(err, "copying lines of reattachments")
}

// maxMovedPath is the longest path in bytes whose lines are stored: one more
// would not fit into an index.
const maxMovedPath = 2000
