package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// MergeOptions say how the staged tip is to be read.
type MergeOptions struct {
	// WholeTip: the staged tip is the whole tip tree, and a commit that is not
	// in it has no note. Otherwise it holds only commits whose note changed.
	WholeTip bool
	// TipVersion is the notes commit at the tip. Notes that the tip holds and no
	// walked commit brought (a shallow or damaged history) are laid to it.
	TipVersion Version
}

// BodyRef names a body of any repository of the organisation.
type BodyRef struct {
	RepoID uuid.UUID
	Ref    string
	Pair
}

// Reread is asked for bodies whose receipts are to be shown again and were not
// read in this intake: a tip went back to an older body. It stages them with
// Intake.Stage; those that can no longer be read keep the content they have.
type Reread func(context.Context, []BodyRef) error

// Merge moves everything staged into the tables and derives what is current.
// It takes the organisation's write lock until the transaction ends: whoever
// merges sees all that others merged before.
//
// The result depends only on the set of versions and on the tip tree, not on
// the order or number of intakes that brought them.
func (in *Intake) Merge(ctx context.Context, opt MergeOptions, reread Reread) error {
	if err := in.tx.lockOrg(ctx, in.src.Org.ID); err != nil {
		return err
	}
	if err := in.checkPrivacy(ctx); err != nil {
		return err
	}
	if err := in.planForSize(ctx); err != nil {
		return err
	}
	err := in.run(ctx,
		statement{"preparing the merge", sqlAnalyze, nil},
		statement{"finding the wanted notes", sqlState, []any{opt.WholeTip}},
		statement{"measuring the wanted notes", sqlAnalyzeState, nil},
		statement{"laying unexplained notes to the tip", sqlTipVersions, opt.TipVersion.args()},
		statement{"choosing current versions", sqlPick, nil},
		statement{"retiring versions", sqlRetire, nil},
		statement{"adding versions", sqlVersions, nil},
		statement{"reviving versions", sqlRevive, nil},
		statement{"adding bodies", sqlBodies, nil},
		statement{"finding touched receipts", sqlTouched, nil},
		statement{"updating links", sqlUpdateLinks, nil},
		statement{"adding links", sqlLinks, nil},
		statement{"adding attestations", sqlAttestations, nil},
	)
	if err != nil {
		return err
	}
	if err := in.addFindings(ctx); err != nil {
		return err
	}
	err = in.run(ctx,
		statement{"settling findings", sqlSettled, nil},
		statement{"demanding the lines of commits", sqlDemandLines, nil},
	)
	if err != nil {
		return err
	}
	return in.mergeReceipts(ctx, reread)
}

// checkPrivacy makes sure that what was staged may be stored: nobody was erased
// and nothing is to be dropped since the organisation was read.
func (in *Intake) checkPrivacy(ctx context.Context) error {
	var revision int64
	err := in.tx.QueryRow(ctx, `SELECT privacy_revision FROM orgs WHERE id = $1`, in.src.Org.ID).Scan(&revision)
	if err == nil && revision != in.src.Org.PrivacyRevision {
		return fmt.Errorf("taking in %s: what is kept has changed: %w", in.src.Ref, ErrMoved)
	}
	return translate(err, "reading what is kept of people")
}

// manyNotes is the number of staged notes from which whole tables are worth
// scanning; below it every step goes through indexes, whatever the statistics
// of the tables say, which after a first ingest are not there yet.
const manyNotes = 2000

func (in *Intake) planForSize(ctx context.Context) error {
	few := in.staged < manyNotes
	_, err := in.tx.Exec(ctx, `
		SELECT set_config(name, $1, true) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS name`,
		map[bool]string{true: "off", false: "on"}[few])
	return translate(err, "planning the merge")
}

// Analyze gathers the statistics of the tables that an intake fills. It is
// worth its time after one that brought many notes.
func (db *DB) Analyze(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `ANALYZE note_versions, note_bodies, receipt_commits, receipts, receipt_files, attestations, prompts, rollups, rollup_months`)
	return translate(err, "gathering statistics")
}

// mergeReceipts brings the touched receipts, their files and prompts in line
// with the bodies that they stand in.
func (in *Intake) mergeReceipts(ctx context.Context, reread Reread) error {
	err := in.run(ctx,
		statement{"measuring touched receipts", sqlAnalyzeTouched, nil},
		statement{"choosing the body of each receipt", sqlBest, nil},
		statement{"measuring the choice", sqlAnalyzeBest, nil})
	if err != nil {
		return err
	}
	missing, err := collect[BodyRef](ctx, in.tx, "finding bodies to read again", sqlMissing)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		if err := reread(ctx, missing); err != nil {
			return err
		}
	}
	if err := in.resolveStaged(ctx); err != nil {
		return err
	}
	return in.run(ctx,
		statement{"noting prompts before", sqlPrompts, nil},
		statement{"pointing receipts", sqlPoint, nil},
		statement{"writing receipts", sqlReceipts, nil},
		statement{"marking receipts whose body is gone", sqlUnread, nil},
		statement{"clearing files", sqlClearFiles, nil},
		statement{"writing files", sqlFiles, nil},
		statement{"noting prompts after", sqlPrompts, nil},
		statement{"measuring prompts", sqlAnalyzePrompts, nil},
		statement{"writing prompts", sqlWritePrompts, nil},
		statement{"removing empty prompts", sqlEmptyPrompts, nil},
		statement{"noting claims to check", sqlClaimsOfMerged, nil},
	)
}

// statement is one step of the merge. Every one gets org, repo and ref as $1
// to $3 as far as its text names them, and args behind.
type statement struct {
	op, sql string
	args    []any
}

func (in *Intake) run(ctx context.Context, steps ...statement) error {
	for _, s := range steps {
		args := pgx.NamedArgs{"org": in.src.Org.ID, "repo": in.src.Repo.ID, "ref": in.src.Ref,
			"tz": in.src.Org.TimeZone, "api": APIRef, "parser": Parser}
		for i, v := range s.args {
			args[positional[i]] = v
		}
		if _, err := in.tx.Exec(ctx, s.sql, args); err != nil {
			return translate(err, "%s of %s", s.op, in.src.Ref)
		}
	}
	return nil
}

var positional = []string{"a", "b", "c", "d", "e", "f"}

func (v Version) args() []any {
	return []any{v.NotesCommit, clean(v.AuthorName), clean(v.AuthorEmail), v.AuthoredAt, v.CommittedAt}
}

// updateColumns and excludedColumns are what a rewritten receipt takes over:
// everything but its key and the time it was first received.
var (
	updateColumns, excludedColumns = rewritten(`repo_id, repo, ref, commit_hash, blob, notes_commit, content_hash, current,
	source, format_version, cost_usd, cost_basis, price_id, timestamp, timestamp_basis, day, ` + contentColumns)
)

func rewritten(columns string) (set, from string) {
	names := strings.Split(strings.Join(strings.Fields(columns), " "), ", ")
	return strings.Join(names, ", ") + ", synced_at", "excluded." + strings.Join(names, ", excluded.") + ", now()"
}

// lockOrg makes the caller the one writer of receipts of the organisation
// until its transaction ends.
func (tx *Tx) lockOrg(ctx context.Context, org uuid.UUID) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('receipts:' || $1::text, 0))`, org)
	return translate(err, "waiting for other writers")
}

// A temporary table has no statistics of its own accord, and without them a
// plan for twenty notes reads the tables as a plan for thousands would. Only the
// columns of joins are looked at.
const (
	sqlAnalyze = `ANALYZE pg_temp.stage_versions (commit, blob), pg_temp.stage_tip (commit), pg_temp.stage_bodies (commit, blob),
		pg_temp.stage_links (receipt_id, commit, blob), pg_temp.stage_receipts (id, content_hash),
		pg_temp.stage_files (receipt_id, content_hash)`
	sqlAnalyzeState   = `ANALYZE pg_temp.stage_state (commit, blob)`
	sqlAnalyzeTouched = `ANALYZE pg_temp.stage_touched`
	sqlAnalyzeBest    = `ANALYZE pg_temp.stage_best (receipt_id, commit, content_hash, same)`
	sqlAnalyzePrompts = `ANALYZE pg_temp.stage_prompts`
)

// The wanted blob of every commit that was walked or whose note the tip changed.
const sqlState = `
	INSERT INTO stage_state (commit, blob)
	SELECT DISTINCT ON (commit) commit, blob FROM (
		SELECT commit, blob, 1 AS rank, depth FROM stage_tip
		UNION ALL
		-- Walked or read late, but the tip did not change for it: as it was.
		SELECT v.commit, v.blob, 2, 0
		FROM (SELECT commit FROM stage_versions UNION SELECT commit FROM stage_bodies) w
		JOIN note_versions v ON v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref AND v.commit = w.commit
		WHERE v.current AND NOT @a::boolean
		UNION ALL
		-- With the whole tip at hand, what it lacks has no note.
		SELECT v.commit, NULL, 3, 0 FROM note_versions v
		WHERE v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref AND v.current AND @a::boolean
		UNION ALL
		SELECT commit, NULL, 4, 0 FROM stage_versions
		UNION ALL
		SELECT commit, NULL, 4, 0 FROM stage_bodies
	) wanted ORDER BY commit, rank, depth, blob`

const sqlTipVersions = `
	INSERT INTO stage_versions (commit, notes_commit, blob, author_name, author_email, authored_at, committed_at)
	SELECT s.commit, @a::text, s.blob, @b::text, @c::text, @d::timestamptz, @e::timestamptz FROM stage_state s
	WHERE s.blob IS NOT NULL
	  AND NOT EXISTS (SELECT FROM stage_versions v WHERE v.commit = s.commit AND v.blob = s.blob)
	  AND NOT EXISTS (SELECT FROM note_versions v WHERE v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref
	                  AND v.commit = s.commit AND v.blob = s.blob)`

// Of all versions with the wanted blob the latest one is current.
const sqlPick = `
	UPDATE stage_state s SET pick = p.notes_commit FROM (
		SELECT DISTINCT ON (commit) commit, notes_commit FROM (
			SELECT v.commit, v.notes_commit, v.committed_at FROM stage_versions v
			JOIN stage_state s ON s.commit = v.commit AND s.blob = v.blob
			UNION ALL
			SELECT v.commit, v.notes_commit, v.committed_at FROM note_versions v
			JOIN stage_state s ON s.commit = v.commit AND s.blob = v.blob
			WHERE v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref
		) candidates ORDER BY commit, committed_at DESC, notes_commit DESC
	) p WHERE p.commit = s.commit`

const sqlRetire = `
	UPDATE note_versions v SET current = false FROM stage_state s
	WHERE v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref AND v.current
	  AND v.commit = s.commit AND v.notes_commit IS DISTINCT FROM s.pick`

const sqlVersions = `
	INSERT INTO note_versions (org_id, repo_id, ref, commit, notes_commit, blob, author_name, author_email,
	                           authored_at, committed_at, current)
	SELECT DISTINCT ON (v.commit, v.notes_commit)
	       @org::uuid, @repo::uuid, @ref::text, v.commit, v.notes_commit, v.blob, v.author_name, v.author_email, v.authored_at,
	       v.committed_at, v.notes_commit IS NOT DISTINCT FROM s.pick
	FROM stage_versions v JOIN stage_state s ON s.commit = v.commit
	ORDER BY v.commit, v.notes_commit
	ON CONFLICT (org_id, repo_id, ref, commit, notes_commit) DO NOTHING`

const sqlRevive = `
	UPDATE note_versions v SET current = true FROM stage_state s
	WHERE v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref AND NOT v.current
	  AND v.commit = s.commit AND v.notes_commit = s.pick`

const sqlBodies = `
	INSERT INTO note_bodies (org_id, repo_id, ref, commit, blob, format, format_version, tool_version, size, receipts, parser)
	SELECT DISTINCT ON (commit, blob) @org::uuid, @repo::uuid, @ref::text, commit, blob, format, format_version, tool_version, size, receipts, @parser::integer
	FROM stage_bodies ORDER BY commit, blob
	ON CONFLICT DO NOTHING`

const sqlTouched = `
	INSERT INTO stage_touched
	SELECT receipt_id FROM stage_links
	UNION
	SELECT l.receipt_id FROM receipt_commits l JOIN stage_state s ON s.commit = l.commit
	WHERE l.org_id = @org AND l.repo_id = @repo AND l.ref = @ref`

// When a body was noted first and last, and whether it is current, by the
// versions that carry it.
const bodyStates = `
	SELECT DISTINCT ON (v.commit, v.blob) v.commit, v.blob, v.notes_commit, v.committed_at AS noted_at,
	       min(v.committed_at) OVER w AS first_noted_at, bool_or(v.current) OVER w AS current
	FROM note_versions v JOIN stage_state s ON s.commit = v.commit
	WHERE v.org_id = @org AND v.repo_id = @repo AND v.ref = @ref AND v.blob IS NOT NULL
	WINDOW w AS (PARTITION BY v.commit, v.blob)
	ORDER BY v.commit, v.blob, v.committed_at DESC, v.notes_commit DESC`

const sqlUpdateLinks = `
	UPDATE receipt_commits l
	SET first_noted_at = b.first_noted_at, noted_at = b.noted_at, notes_commit = b.notes_commit, current = b.current
	FROM (` + bodyStates + `) b
	WHERE l.org_id = @org AND l.repo_id = @repo AND l.ref = @ref AND l.commit = b.commit AND l.blob = b.blob
	  AND (l.first_noted_at, l.noted_at, l.notes_commit, l.current)
	      IS DISTINCT FROM (b.first_noted_at, b.noted_at, b.notes_commit, b.current)`

const sqlLinks = `
	INSERT INTO receipt_commits (org_id, receipt_id, repo_id, ref, commit, blob, position, content_hash,
	                             first_noted_at, noted_at, notes_commit, current)
	SELECT DISTINCT ON (l.receipt_id, l.commit, l.blob)
	       @org::uuid, l.receipt_id, @repo::uuid, @ref::text, l.commit, l.blob, l.position, l.content_hash,
	       b.first_noted_at, b.noted_at, b.notes_commit, b.current
	FROM stage_links l JOIN (` + bodyStates + `) b ON b.commit = l.commit AND b.blob = l.blob
	ORDER BY l.receipt_id, l.commit, l.blob, l.position
	ON CONFLICT DO NOTHING`

const sqlAttestations = `
	INSERT INTO attestations (org_id, repo_id, ref, commit, blob, position, path, key, class, receipt_id, author, lines, line_count)
	SELECT DISTINCT ON (commit, blob, position)
	       @org::uuid, @repo::uuid, @ref::text, commit, blob, position, path, key, class, receipt_id, author, lines, line_count
	FROM stage_attestations ORDER BY commit, blob, position
	ON CONFLICT DO NOTHING`

// Those that are new are returned, as far as somebody is told of them.
const sqlFindings = `
	WITH added AS (
		INSERT INTO findings (org_id, id, repo_id, code, severity, ref, commit, blob, receipt_id, location, message)
		SELECT DISTINCT ON (id) @org::uuid, id, repo_id, code, severity, ref, commit, blob, receipt_id, location, message
		FROM stage_findings ORDER BY id
		ON CONFLICT DO NOTHING
		RETURNING id, repo_id, code, ref, commit, receipt_id, message)
	SELECT id, repo_id, code, ref, commit, receipt_id, message FROM added
	WHERE code = ANY(@codes) AND repo_id IS NOT NULL AND EXISTS (SELECT FROM endpoints WHERE org_id = @org AND disabled_at IS NULL)
	ORDER BY repo_id, ref, code, id`

// A note that was missing and has been read now is missing no more.
const sqlSettled = `
	DELETE FROM findings f USING stage_bodies b
	WHERE f.org_id = @org AND f.repo_id = @repo AND f.ref = @ref AND f.commit = b.commit AND f.blob = b.blob
	  AND f.code = '` + CodeMissing + `'`

// What notes say of a commit has changed; the receipts that changed with them are
// demanded by triggers.
const sqlDemandLines = `
	INSERT INTO line_demands (org_id, repo_id, commit) SELECT @org::uuid, @repo::uuid, commit FROM stage_state`

// The body that a receipt is taken from: git before API, current before
// superseded, later before earlier, and then any fixed order.
const sqlBest = `
	INSERT INTO stage_best
	SELECT DISTINCT ON (l.receipt_id)
	       l.receipt_id, l.repo_id, l.ref, l.commit, l.blob, l.notes_commit, l.content_hash,
	       coalesce(bool_or(l.current) FILTER (WHERE l.ref <> @api::text) OVER w, l.current),
	       min(l.first_noted_at) FILTER (WHERE l.ref <> @api::text) OVER w,
	       r.id IS NOT NULL, r.content_hash IS NOT DISTINCT FROM l.content_hash
	FROM stage_touched t
	JOIN receipt_commits l ON l.org_id = @org AND l.receipt_id = t.receipt_id
	LEFT JOIN receipts r ON r.org_id = @org AND r.id = t.receipt_id
	WINDOW w AS (PARTITION BY l.receipt_id)
	ORDER BY l.receipt_id, (l.ref <> @api::text) DESC, l.current DESC, l.noted_at DESC, l.notes_commit DESC,
	         l.repo_id, l.ref, l.commit, l.blob`

const sqlMissing = `
	SELECT DISTINCT b.repo_id, b.ref, b.commit, b.blob FROM stage_best b
	WHERE NOT b.same
	  AND NOT EXISTS (SELECT FROM stage_receipts c WHERE c.id = b.receipt_id AND c.content_hash = b.content_hash)
	ORDER BY 1, 2, 3, 4`

const sqlPrompts = `
	INSERT INTO stage_prompts
	SELECT DISTINCT r.prompt_id FROM receipts r JOIN stage_best b ON r.org_id = @org AND r.id = b.receipt_id
	ON CONFLICT DO NOTHING`

// Where a receipt's body moved and its content did not. Its time may have moved
// too, and with it what it cost.
var sqlPoint = `
	UPDATE receipts r
	SET repo_id = n.repo_id, repo = n.repo, ref = n.ref, commit_hash = n.commit, blob = n.blob, notes_commit = n.notes_commit,
	    current = n.current, source = n.source, format_version = n.format_version, timestamp = n.timestamp,
	    timestamp_basis = n.basis, day = (n.timestamp AT TIME ZONE @tz::text)::date,
	    cost_usd = n.cost_usd, cost_basis = n.cost_basis, price_id = n.price_id, synced_at = now()
	FROM (
		SELECT b.*, m.*, c.*, p.name AS repo, ` + bodySource + ` AS source, coalesce(n.format_version, r.format_version) AS format_version,
		       CASE WHEN r.timestamp_basis = 'received' AND b.first_noted_at IS NOT NULL THEN 'note' ELSE r.timestamp_basis END AS basis
		FROM stage_best b
		JOIN receipts r ON r.org_id = @org AND r.id = b.receipt_id
		JOIN repos p ON p.id = b.repo_id
		` + joinBody + `
		CROSS JOIN LATERAL (SELECT CASE WHEN r.timestamp_basis = 'client' THEN r.timestamp
		                                ELSE coalesce(b.first_noted_at, r.timestamp) END AS timestamp) m
		` + priced("r", "m.timestamp") + `
		CROSS JOIN LATERAL (SELECT ` + costOf("r") + `) c (cost_usd, cost_basis, price_id)
		WHERE b.same
	) n
	WHERE r.org_id = @org AND r.id = n.receipt_id
	  AND (r.repo_id, r.repo, r.ref, r.commit_hash, r.blob, r.notes_commit, r.current, r.source, r.format_version, r.timestamp)
	      IS DISTINCT FROM (n.repo_id, n.repo, n.ref, n.commit, n.blob, n.notes_commit, n.current, n.source,
	                        n.format_version, n.timestamp)`

const bodySource = `CASE WHEN b.ref = @api::text THEN 'api' ELSE coalesce(n.format, 'blameprompt') END`

const joinBody = `LEFT JOIN note_bodies n ON n.org_id = @org AND n.repo_id = b.repo_id AND n.ref = b.ref
			AND n.commit = b.commit AND n.blob = b.blob`

var sqlReceipts = `
	WITH written AS (
		INSERT INTO receipts AS r (org_id, id, repo_id, repo, ref, commit_hash, blob, notes_commit, content_hash, current,
			source, format_version, cost_usd, cost_basis, price_id, timestamp, timestamp_basis, day, ` + contentColumns + `)
		SELECT @org::uuid, b.receipt_id, b.repo_id, p.name, b.ref, b.commit, b.blob, b.notes_commit, b.content_hash, b.current,
			` + bodySource + `, coalesce(n.format_version, ''),
			` + costOf("c") + `,
			t.timestamp, CASE WHEN c.client_time IS NOT NULL THEN 'client' WHEN b.first_noted_at IS NOT NULL THEN 'note' ELSE 'received' END,
			(t.timestamp AT TIME ZONE @tz::text)::date, ` + contentColumns + `
		FROM stage_best b
		JOIN repos p ON p.id = b.repo_id
		JOIN (SELECT DISTINCT ON (id, content_hash) * FROM stage_receipts ORDER BY id, content_hash) c
			ON c.id = b.receipt_id AND c.content_hash = b.content_hash
		` + joinBody + `
		CROSS JOIN LATERAL (SELECT coalesce(c.client_time, b.first_noted_at, now()) AS timestamp) t
		` + priced("c", "t.timestamp") + `
		WHERE NOT b.same
		ORDER BY b.receipt_id
		ON CONFLICT (org_id, id) DO UPDATE SET (` + updateColumns + `) = (` + excludedColumns + `)
		RETURNING r.id
	) INSERT INTO stage_written SELECT id FROM written`

// A body that could not be read again leaves the content as it was.
const sqlUnread = `
	UPDATE receipts r SET current = b.current, synced_at = now()
	FROM stage_best b
	WHERE r.org_id = @org AND r.id = b.receipt_id AND r.current <> b.current
	  AND NOT EXISTS (SELECT FROM stage_written w WHERE w.receipt_id = b.receipt_id)`

const sqlClearFiles = `
	DELETE FROM receipt_files f USING stage_written w, stage_best b
	WHERE b.receipt_id = w.receipt_id AND b.has_row AND f.org_id = @org AND f.receipt_id = w.receipt_id`

const sqlFiles = `
	INSERT INTO receipt_files (org_id, receipt_id, position, path, line_start, line_end, blob_hash, additions, deletions)
	SELECT DISTINCT ON (f.receipt_id, f.position)
	       @org::uuid, f.receipt_id, f.position, f.path, f.line_start, f.line_end, f.blob_hash, f.additions, f.deletions
	FROM stage_files f
	JOIN stage_best b ON b.receipt_id = f.receipt_id AND b.content_hash = f.content_hash
	JOIN stage_written w ON w.receipt_id = f.receipt_id
	ORDER BY f.receipt_id, f.position`

// A prompt is its largest report: by cost, then tokens, then time.
const (
	promptOfReceipts = `
	       r.prompt_id, r.provider, r.session_id, r.prompt_number, count(*) OVER w AS receipts, r.id AS receipt_id, r.repo_id, r.model,
	       r.user_email, r.source, r.timestamp, r.day, bool_or(r.current) OVER w AS current, r.cost_usd, r.input_tokens, r.output_tokens,
	       r.cache_read_tokens, r.cache_creation_tokens, receipt_score(r.detail) AS score, receipt_category(r.detail) AS category,
	       receipt_seconds(r.prompt_duration_secs) AS seconds`
	largestReport = `
	WINDOW w AS (PARTITION BY r.prompt_id)
	ORDER BY r.prompt_id, r.cost_usd DESC NULLS LAST,
	         coalesce(r.input_tokens, 0)::numeric + coalesce(r.output_tokens, 0) + coalesce(r.cache_read_tokens, 0)
	         + coalesce(r.cache_creation_tokens, 0) DESC, r.timestamp DESC, r.id`
)

const sqlWritePrompts = `
	INSERT INTO prompts AS p (org_id, prompt_id, provider, session_id, prompt_number, receipts, receipt_id, repo_id, model,
		user_email, source, timestamp, day, current, cost_usd, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
		score, category, seconds)
	SELECT DISTINCT ON (r.prompt_id) @org::uuid, ` + promptOfReceipts + `
	FROM stage_prompts s JOIN receipts r ON r.org_id = @org AND r.prompt_id = s.prompt_id` + largestReport + `
	ON CONFLICT (org_id, prompt_id) DO UPDATE
	SET (provider, session_id, prompt_number, receipts, receipt_id, repo_id, model, user_email, source, timestamp, day, current,
	     cost_usd, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, score, category, seconds)
	  = (excluded.provider, excluded.session_id, excluded.prompt_number, excluded.receipts, excluded.receipt_id,
	     excluded.repo_id, excluded.model, excluded.user_email, excluded.source, excluded.timestamp, excluded.day,
	     excluded.current, excluded.cost_usd, excluded.input_tokens, excluded.output_tokens, excluded.cache_read_tokens,
	     excluded.cache_creation_tokens, excluded.score, excluded.category, excluded.seconds)
	WHERE p IS DISTINCT FROM excluded`

const sqlEmptyPrompts = `
	DELETE FROM prompts p USING stage_prompts s
	WHERE p.org_id = @org AND p.prompt_id = s.prompt_id
	  AND NOT EXISTS (SELECT FROM receipts r WHERE r.org_id = @org AND r.prompt_id = s.prompt_id)`
