package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
)

// APIRef stands in the place of a notes ref for receipts that were posted.
const APIRef = "api"

// Parser is the generation of the parsers in package notes; note_bodies keeps
// which one read a body.
const Parser = 1

// Source is where an intake takes its notes from.
type Source struct {
	Org  Org
	Repo Repo
	// Ref is the notes ref, or a name of our own for notes that no git ref holds.
	Ref string
}

// Version is one change of one note in the history of a notes ref.
type Version struct {
	Commit, NotesCommit string
	// Blob is empty when this version removed the note.
	Blob                    string
	AuthorName, AuthorEmail string
	AuthoredAt, CommittedAt time.Time
}

// Pair names a note body: the annotated commit and the blob.
type Pair struct{ Commit, Blob string }

// Body is a note body that was read.
type Body struct {
	Pair
	Size int64
	Note notes.Note
}

// Fault is a finding about a note, or about the ref when Commit is empty.
type Fault struct {
	Pair
	notes.Finding
}

// TipNote is what the tip tree holds for a commit; an empty Blob: no note.
type TipNote struct {
	Pair
	// Depth is the length of its path: if a tree annotates a commit twice, the
	// shallower note counts, as git reads it.
	Depth int
}

// Batch is a part of what is to be taken in.
type Batch struct {
	Versions []Version
	Tip      []TipNote
	Bodies   []Body
	Faults   []Fault
}

// Intake is one transaction that takes notes of one source in. It is used by
// one goroutine: MoveTip, any number of Stage, Merge.
type Intake struct {
	tx     *Tx
	src    Source
	staged int // notes, in whatever shape
}

// Intake runs fn in a transaction that takes notes of src in. Reading and
// staging run beside other writers; Merge waits its turn among the writers of
// the organisation, so that what it derives (current, prompts) sees them all.
func (db *DB) Intake(ctx context.Context, src Source, fn func(*Intake) error) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.prepareStage(ctx); err != nil {
			return err
		}
		return fn(&Intake{tx: tx, src: src})
	})
}

// stageTables are made once per connection and emptied by every commit. The
// columns of stage_receipts are those of receipts without its constraints.
var stageTables = []string{
	`CREATE TEMP TABLE IF NOT EXISTS stage_versions (commit text, notes_commit text, blob text, author_name text,
		author_email text, authored_at timestamptz, committed_at timestamptz) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_tip (commit text, blob text, depth integer) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_bodies (commit text, blob text, format text, format_version text,
		tool_version text, size bigint, receipts integer) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_links (receipt_id text, commit text, blob text, position integer,
		content_hash bytea) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_receipts ON COMMIT DELETE ROWS AS
		SELECT id, ` + contentColumns + `, content_hash, timestamp AS client_time FROM receipts WITH NO DATA`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_files ON COMMIT DELETE ROWS AS
		SELECT f.receipt_id, r.content_hash, f.position, f.path, f.line_start, f.line_end, f.blob_hash, f.additions, f.deletions
		FROM receipt_files f, receipts r WITH NO DATA`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_attestations ON COMMIT DELETE ROWS AS
		SELECT commit, blob, position, path, key, class, receipt_id, author, lines, line_count FROM attestations WITH NO DATA`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_findings ON COMMIT DELETE ROWS AS
		SELECT id, repo_id, code, severity, ref, commit, blob, receipt_id, location, message FROM findings WITH NO DATA`,
	// What Merge derives: the state that commits shall have, the version that
	// is current for each, the receipts to look at and the body each is taken from.
	`CREATE TEMP TABLE IF NOT EXISTS stage_state (commit text PRIMARY KEY, blob text, pick text) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_touched (receipt_id text PRIMARY KEY) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_best (receipt_id text PRIMARY KEY, repo_id uuid, ref text, commit text, blob text,
		notes_commit text, content_hash bytea, current boolean, first_noted_at timestamptz, has_row boolean,
		same boolean) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_written (receipt_id text PRIMARY KEY) ON COMMIT DELETE ROWS`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_prompts (prompt_id uuid PRIMARY KEY) ON COMMIT DELETE ROWS`,
}

// contentColumns are the columns of receipts that come from the receipt itself.
const contentColumns = `provider, model, session_id, prompt_number, prompt_id, prompt_summary, response_summary,
	prompt_hash, message_count, cost_reported_usd, input_tokens, output_tokens, cache_read_tokens,
	cache_creation_tokens, user_name, user_email, file_path, line_start, line_end, files, path_keys, session_start,
	session_end, prompt_submitted_at, raw_timestamps, session_duration_secs, prompt_duration_secs,
	ai_response_time_secs, accepted_lines, overridden_lines, total_additions, total_deletions,
	parent_receipt_id, detail, conversation, conversation_turns, conversation_bytes`

func (tx *Tx) prepareStage(ctx context.Context) error {
	var ready bool
	err := tx.QueryRow(ctx, `SELECT to_regclass('pg_temp.stage_prompts') IS NOT NULL`).Scan(&ready)
	if err != nil {
		return translate(err, "looking for the staging tables")
	}
	if !ready {
		for _, create := range stageTables {
			if _, err := tx.Exec(ctx, create); err != nil {
				return translate(err, "making a staging table")
			}
		}
	}
	// The merge sorts and hashes whole batches; the setting ends with the transaction.
	_, err = tx.Exec(ctx, `SET LOCAL work_mem = '64MB'`)
	return translate(err, "setting the work memory of an intake")
}

// clearStage empties the staging tables between two merges of one transaction.
func (tx *Tx) clearStage(ctx context.Context) error {
	_, err := tx.Exec(ctx, `TRUNCATE pg_temp.stage_versions, pg_temp.stage_tip, pg_temp.stage_bodies, pg_temp.stage_links,
		pg_temp.stage_receipts, pg_temp.stage_files, pg_temp.stage_attestations, pg_temp.stage_findings,
		pg_temp.stage_state, pg_temp.stage_touched, pg_temp.stage_best, pg_temp.stage_written, pg_temp.stage_prompts`)
	return translate(err, "clearing the staging tables")
}

// MoveTip moves the ingested tip of the source's ref from old to tip, "" being
// no tip. ErrMoved means that somebody else moved it first: read again.
func (in *Intake) MoveTip(ctx context.Context, old, tip string) error {
	tag, err := in.tx.Exec(ctx, `
		INSERT INTO note_refs AS n (org_id, repo_id, ref, tip) VALUES ($1, $2, $3, $5)
		ON CONFLICT (org_id, repo_id, ref) DO UPDATE SET tip = excluded.tip, updated_at = now() WHERE n.tip = $4`,
		in.src.Org.ID, in.src.Repo.ID, in.src.Ref, old, tip)
	if err != nil {
		return translate(err, "moving the tip of %s", in.src.Ref)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("moving the tip of %s from %.12s: %w", in.src.Ref, old, ErrMoved)
	}
	return nil
}

// Archive records tips that the ref left behind and whose history was read.
func (in *Intake) Archive(ctx context.Context, tips []string) error {
	_, err := in.tx.Exec(ctx, `
		INSERT INTO note_archives (org_id, repo_id, ref, tip) SELECT $1, $2, $3, unnest($4::text[]) ON CONFLICT DO NOTHING`,
		in.src.Org.ID, in.src.Repo.ID, in.src.Ref, tips)
	return translate(err, "recording archived tips of %s", in.src.Ref)
}

// UnreadBodies returns those of pairs, in their order, whose bodies were never
// read for the source.
func (db *DB) UnreadBodies(ctx context.Context, src Source, pairs []Pair) ([]Pair, error) {
	commits, blobs := make([]string, len(pairs)), make([]string, len(pairs))
	for i, p := range pairs {
		commits[i], blobs[i] = p.Commit, p.Blob
	}
	return collect[Pair](ctx, db.pool, "looking for unread notes", `
		SELECT w.commit, w.blob FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS w (commit, blob, n)
		WHERE NOT EXISTS (SELECT FROM note_bodies b
			WHERE b.org_id = $1 AND b.repo_id = $2 AND b.ref = $3 AND b.commit = w.commit AND b.blob = w.blob)
		ORDER BY w.n`, src.Org.ID, src.Repo.ID, src.Ref, commits, blobs)
}

// CodeMissing is the finding about a note whose object the mirror lacks.
const CodeMissing = "note_missing"

// MissingBodies lists the bodies of the source that a mirror once lacked, so
// that a run can try again.
func (db *DB) MissingBodies(ctx context.Context, src Source) ([]Pair, error) {
	return collect[Pair](ctx, db.pool, "listing missing notes", `
		SELECT DISTINCT commit, blob FROM findings
		WHERE org_id = $1 AND repo_id = $2 AND ref = $3 AND code = $4 AND commit <> '' ORDER BY 1, 2`,
		src.Org.ID, src.Repo.ID, src.Ref, CodeMissing)
}

// Stage copies rows into temporary tables of the transaction; nothing is
// visible before Merge and the commit. The order of calls does not matter, and
// rows that stand in several of them count once.
func (in *Intake) Stage(ctx context.Context, rows *Rows) error {
	in.staged += len(rows.versions) + len(rows.tip) + len(rows.links)
	for _, table := range rows.tables() {
		if len(table.rows) == 0 {
			continue
		}
		_, err := in.tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", table.name}, table.columns, pgx.CopyFromRows(table.rows))
		if err != nil {
			return translate(err, "copying into %s", table.name)
		}
	}
	return nil
}

// RecordFaults records findings that no merge brings. Known ones count once.
func (db *DB) RecordFaults(ctx context.Context, src Source, faults ...Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return db.Intake(ctx, src, func(in *Intake) error {
		if err := in.Stage(ctx, NewRows(src, Batch{Faults: faults})); err != nil {
			return err
		}
		return in.addFindings(ctx)
	})
}

// Tip is the ingested tip of a notes ref.
type Tip struct {
	Ref       string
	Tip       string
	UpdatedAt time.Time
}

// Tips lists the ingested tips of a repository by ref.
func (db *DB) Tips(ctx context.Context, org, repo uuid.UUID) ([]Tip, error) {
	return collect[Tip](ctx, db.pool, "listing notes tips", `
		SELECT ref, tip, updated_at FROM note_refs WHERE org_id = $1 AND repo_id = $2 ORDER BY ref`, org, repo)
}

// ArchivedTips lists the archived tips of a ref whose history was read.
func (db *DB) ArchivedTips(ctx context.Context, org, repo uuid.UUID, ref string) ([]string, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT tip FROM note_archives WHERE org_id = $1 AND repo_id = $2 AND ref = $3 ORDER BY tip`, org, repo, ref)
	if err != nil {
		return nil, translate(err, "listing archived tips")
	}
	tips, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return tips, translate(err, "listing archived tips")
}
