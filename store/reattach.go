package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
)

// How notes of a commit that was left behind were found to speak of another.
const (
	// ByNotesHistory: the history of the notes ref has the note at both.
	ByNotesHistory = "notes-history"
	// ByPatchID: both commits make the same change, or one makes that of several.
	ByPatchID = "patch-id"
	// ByBlob: a receipt recorded content that the other commit brought.
	ByBlob = "blob"
)

// ReattachState is what the reattachments of a repository depend on.
type ReattachState struct {
	OrgID, RepoID uuid.UUID
	Name          string
	// Enabled is the repository's setting.
	Enabled bool
	// State is a fingerprint of all that was read, Done the one that was dealt
	// with last.
	State, Done string
}

const reattachStates = `
	SELECT r.org_id, r.id AS repo_id, r.name, r.reattach AS enabled, f.state, coalesce(d.state, '') AS done
	FROM repos r
	CROSS JOIN LATERAL (SELECT md5(concat_ws('|', r.reattach,
		(SELECT string_agg(b.ref || ' ' || b.tip, ',' ORDER BY b.ref) FROM branch_refs b WHERE b.org_id = r.org_id AND b.repo_id = r.id),
		(SELECT string_agg(n.ref || ' ' || n.tip, ',' ORDER BY n.ref) FROM note_refs n WHERE n.org_id = r.org_id AND n.repo_id = r.id),
		(SELECT t.tip FROM line_tips t WHERE t.org_id = r.org_id AND t.repo_id = r.id),
		EXISTS (SELECT FROM line_demands d WHERE d.org_id = r.org_id AND d.repo_id = r.id AND d.planned),
		(SELECT count(*) FROM note_versions v WHERE v.org_id = r.org_id AND v.repo_id = r.id AND v.ref = '` + UploadRef + `')
	)) AS state) f
	LEFT JOIN reattach_states d ON d.org_id = r.org_id AND d.repo_id = r.id
	WHERE `

// ReattachDue lists, over all organisations, the repositories whose branches,
// notes, added lines or setting changed since their reattachments were last computed.
func (db *DB) ReattachDue(ctx context.Context) ([]ReattachState, error) {
	return collect[ReattachState](ctx, db.pool, "looking for notes that were left behind", reattachStates+`
		r.removed_at IS NULL AND f.state IS DISTINCT FROM d.state
		  AND (d.state IS NOT NULL OR EXISTS (SELECT FROM branch_refs b WHERE b.org_id = r.org_id AND b.repo_id = r.id))
		ORDER BY d.done_at NULLS FIRST, r.id`)
}

// ReattachState reads the state of one repository.
func (db *DB) ReattachState(ctx context.Context, org, repo uuid.UUID) (ReattachState, error) {
	return collectOne[ReattachState](ctx, db.pool, "reading what was left behind", reattachStates+`r.org_id = $1 AND r.id = $2`, org, repo)
}

// LastNote is the note that a commit had last on a ref, also when the ref's tip
// has it no longer.
type LastNote struct {
	Ref, Commit, Blob string
	// Known says that the commit was on a branch once, At when it was made, else
	// when the note was.
	Known bool
	At    time.Time
}

// LastNotes reads the last notes of a repository that could be read.
func (db *DB) LastNotes(ctx context.Context, org, repo uuid.UUID) ([]LastNote, error) {
	return collect[LastNote](ctx, db.pool, "reading the last notes of commits", `
		SELECT DISTINCT ON (v.ref, v.commit) v.ref, v.commit, v.blob, k.commit IS NOT NULL AS known,
		       coalesce(k.committed_at, v.committed_at) AS at
		FROM note_versions v
		JOIN note_bodies b ON b.org_id = v.org_id AND b.repo_id = v.repo_id AND b.ref = v.ref AND b.commit = v.commit AND b.blob = v.blob
		LEFT JOIN commits k ON k.org_id = v.org_id AND k.repo_id = v.repo_id AND k.commit = v.commit
		WHERE v.org_id = $1 AND v.repo_id = $2
		ORDER BY v.ref, v.commit, v.current DESC, v.committed_at DESC, v.notes_commit DESC`, org, repo)
}

// Patch is the patch id of the change from a base to a commit. An empty base is
// the commit's parent; an empty id is that of no change.
type Patch struct{ Commit, Base, PatchID string }

// CommitsWithoutPatch lists the commits since a moment, and of others those that
// are named, whose patch id is not stored. Merges have none.
func (db *DB) CommitsWithoutPatch(ctx context.Context, org, repo uuid.UUID, since time.Time, named []string) ([]string, error) {
	rows, err := collect[struct{ Commit string }](ctx, db.pool, "listing commits without a patch id", `
		SELECT w.commit FROM (
			SELECT commit FROM commits WHERE org_id = $1 AND repo_id = $2 AND committed_at >= $3 AND cardinality(parents) < 2
			UNION SELECT unnest($4::text[])) w
		WHERE NOT EXISTS (SELECT FROM commit_patches p WHERE p.org_id = $1 AND p.repo_id = $2 AND p.commit = w.commit AND p.base = '')
		ORDER BY w.commit`, org, repo, since, named)
	return commitsOf(rows), err
}

func commitsOf(rows []struct{ Commit string }) []string {
	commits := make([]string, len(rows))
	for i, r := range rows {
		commits[i] = r.Commit
	}
	return commits
}

// AddPatches stores patch ids. Those that are there stay.
func (db *DB) AddPatches(ctx context.Context, org, repo uuid.UUID, patches []Patch) error {
	var commits, bases, ids []string
	for _, p := range patches {
		commits, bases, ids = append(commits, p.Commit), append(bases, p.Base), append(ids, p.PatchID)
	}
	_, err := db.pool.Exec(ctx, `
		INSERT INTO commit_patches (org_id, repo_id, commit, base, patch_id)
		SELECT $1, $2, commit, base, id FROM unnest($3::text[], $4::text[], $5::text[]) p (commit, base, id)
		ORDER BY commit, base ON CONFLICT DO NOTHING`, org, repo, commits, bases, ids)
	return translate(err, "storing patch ids")
}

// Bases returns the bases with which patch ids of the commits are stored, beside
// their parents.
func (db *DB) Bases(ctx context.Context, org, repo uuid.UUID, commits []string) (map[string]string, error) {
	rows, err := collect[struct{ Commit, Base string }](ctx, db.pool, "reading the bases of patch ids", `
		SELECT commit, base FROM commit_patches WHERE org_id = $1 AND repo_id = $2 AND commit = ANY($3) AND base <> ''`,
		org, repo, commits)
	bases := make(map[string]string, len(rows))
	for _, r := range rows {
		bases[r.Commit] = r.Base
	}
	return bases, err
}

// MaxSamePatch is how many commits with one patch id are looked at: what more
// make the same change are no copies of one.
const MaxSamePatch = 20

// SamePatch is a commit that makes the same change as another, or as the whole
// chain from a base to it.
type SamePatch struct {
	Commit, Base, To string
	At               time.Time
}

// SamePatches finds the commits that make the same change as those that are
// given with their bases and were made since then, oldest first and at most
// one more than MaxSamePatch of each.
func (db *DB) SamePatches(ctx context.Context, org, repo uuid.UUID, commits, bases []string, since []time.Time) ([]SamePatch, error) {
	return collect[SamePatch](ctx, db.pool, "finding equal changes", `
		SELECT s.commit, s.base, q.commit AS to, q.committed_at AS at
		FROM unnest($3::text[], $4::text[], $5::timestamptz[]) s (commit, base, since)
		JOIN commit_patches p ON p.org_id = $1 AND p.repo_id = $2 AND p.commit = s.commit AND p.base = s.base AND p.patch_id <> ''
		CROSS JOIN LATERAL (
			SELECT o.commit, k.committed_at
			FROM commit_patches o
			JOIN commits k ON k.org_id = $1 AND k.repo_id = $2 AND k.commit = o.commit
			WHERE o.org_id = $1 AND o.repo_id = $2 AND o.patch_id = p.patch_id AND o.patch_id <> '' AND o.base = ''
			  AND o.commit <> s.commit AND k.committed_at >= s.since
			ORDER BY k.committed_at, o.commit LIMIT `+itoa(MaxSamePatch+1)+`) q
		ORDER BY s.commit, s.base, q.committed_at, q.commit`, org, repo, commits, bases, since)
}

// NoteMove is a note body of one commit that speaks of another.
type NoteMove struct{ Ref, Commit, Blob, To string }

// lastNotes turns notes into the arrays that statements take.
func lastNotes(all []LastNote) (refs, commits, blobs []string, at []time.Time) {
	for _, n := range all {
		refs, commits, blobs, at = append(refs, n.Ref), append(commits, n.Commit), append(blobs, n.Blob), append(at, n.At)
	}
	return refs, commits, blobs, at
}

// maxMoves bounds what one statement answers: a note that somebody copied to
// every commit is no reason to hold them all.
const maxMoves = 500_000

// MovedNotes finds the commits to which the history of the notes ref has moved
// or copied notes: it had the same body there, or bodies with every receipt of
// it, and not before it had it where it is. Notes without receipts say nothing.
func (db *DB) MovedNotes(ctx context.Context, org, repo uuid.UUID, from []LastNote) ([]NoteMove, error) {
	refs, commits, blobs, _ := lastNotes(from)
	return collect[NoteMove](ctx, db.pool, "finding moved notes", `
		WITH s AS (
			SELECT n.ref, n.commit, n.blob, min(v.committed_at) AS noted_at
			FROM unnest($3::text[], $4::text[], $5::text[]) n (ref, commit, blob)
			JOIN note_bodies b ON b.org_id = $1 AND b.repo_id = $2 AND b.ref = n.ref AND b.commit = n.commit AND b.blob = n.blob AND b.receipts > 0
			JOIN note_versions v ON v.org_id = $1 AND v.repo_id = $2 AND v.ref = n.ref AND v.commit = n.commit AND v.blob = n.blob
			GROUP BY n.ref, n.commit, n.blob)
		SELECT s.ref, s.commit, s.blob, v.commit AS to
		FROM s JOIN note_versions v ON v.org_id = $1 AND v.repo_id = $2 AND v.blob = s.blob AND v.ref = s.ref
			AND v.commit <> s.commit AND v.committed_at >= s.noted_at
		UNION
		SELECT s.ref, s.commit, s.blob, o.commit
		FROM s
		JOIN receipt_commits l ON l.org_id = $1 AND l.commit = s.commit AND l.repo_id = $2 AND l.ref = s.ref AND l.blob = s.blob
		JOIN receipt_commits o ON o.org_id = $1 AND o.receipt_id = l.receipt_id AND o.repo_id = $2 AND o.ref = s.ref
			AND o.commit <> s.commit AND o.noted_at >= s.noted_at
		GROUP BY s.ref, s.commit, s.blob, o.commit
		HAVING count(DISTINCT l.receipt_id) = (
			SELECT count(*) FROM receipt_commits a
			WHERE a.org_id = $1 AND a.commit = s.commit AND a.repo_id = $2 AND a.ref = s.ref AND a.blob = s.blob)
		LIMIT `+itoa(maxMoves), org, repo, refs, commits, blobs)
}

// WithdrawnNotes lists those of the commits whose note was taken away and not
// put back: what others have said of them is not said again.
func (db *DB) WithdrawnNotes(ctx context.Context, org, repo uuid.UUID, commits []string) (map[[2]string]bool, error) {
	rows, err := collect[struct{ Ref, Commit string }](ctx, db.pool, "finding withdrawn notes", `
		SELECT ref, commit FROM (
			SELECT DISTINCT ON (v.ref, v.commit) v.ref, v.commit, v.blob
			FROM (SELECT DISTINCT ref FROM note_refs WHERE org_id = $1 AND repo_id = $2 UNION SELECT '`+UploadRef+`') r
			JOIN note_versions v ON v.org_id = $1 AND v.repo_id = $2 AND v.ref = r.ref AND v.commit = ANY($3)
			ORDER BY v.ref, v.commit, v.current DESC, v.committed_at DESC, v.blob NULLS FIRST) last
		WHERE blob IS NULL`, org, repo, commits)
	withdrawn := make(map[[2]string]bool, len(rows))
	for _, r := range rows {
		withdrawn[[2]string{r.Ref, r.Commit}] = true
	}
	return withdrawn, err
}

// MovedLines is a run of lines that one commit added and another has too.
type MovedLines struct {
	// From is the commit that was left behind, FromFirst the number there of the
	// first line.
	From, FromPath string
	FromFirst      uint32
	// Path and LineRange are those of the other commit.
	Path string
	notes.LineRange
}

// NotesByBlob finds the commits of the default branch that brought the very
// content which receipts of the notes recorded, at a path that ends alike, and
// were not made earlier than by the skew before the noted commit: of each content
// the first one, for what comes later brings it again.
func (db *DB) NotesByBlob(ctx context.Context, org, repo uuid.UUID, from []LastNote, skew time.Duration) ([]NoteMove, error) {
	refs, commits, blobs, at := lastNotes(from)
	return collect[NoteMove](ctx, db.pool, "finding content that receipts recorded", `
		SELECT DISTINCT ref, commit, blob, "to" FROM (
			SELECT DISTINCT ON (s.ref, s.commit, f.path, f.blob_hash) s.ref, s.commit, s.blob, a.commit AS "to"
			FROM unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[]) s (ref, commit, blob, at)
			JOIN receipt_commits l ON l.org_id = $1 AND l.commit = s.commit AND l.repo_id = $2 AND l.ref = s.ref AND l.blob = s.blob
			JOIN receipt_files f ON f.org_id = $1 AND f.receipt_id = l.receipt_id AND f.blob_hash <> ''
			JOIN added_files a ON a.org_id = $1 AND a.repo_id = $2 AND a.blob = f.blob_hash AND a.commit <> s.commit
			JOIN commit_lines c ON c.org_id = $1 AND c.repo_id = $2 AND c.commit = a.commit AND c.on_default
			CROSS JOIN LATERAL (SELECT convert_to('/' || regexp_replace(f.path, '^(\./|/)+', ''), 'UTF8') AS claimed,
			                           convert_to('/', 'UTF8') || a.path AS path) p
			WHERE c.committed_at >= s.at - $7::interval
			  AND (substring(p.claimed FROM greatest(length(p.claimed) - length(p.path) + 1, 1)) = p.path
			    OR substring(p.path FROM greatest(length(p.path) - length(p.claimed) + 1, 1)) = p.claimed)
			ORDER BY s.ref, s.commit, f.path, f.blob_hash, c.committed_at, a.commit) first
		ORDER BY ref, commit, "to" LIMIT `+itoa(maxMoves), org, repo, refs, commits, blobs, at, skew)
}
