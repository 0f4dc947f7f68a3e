package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
)

// UploadRef stands in the place of a notes ref for the HTTP notes backend.
const UploadRef = "upload/ai"

// unattachedRepo holds uploaded notes of commits that no repository has yet.
const unattachedRepo = "unattached notes"

// PostedNote is the receipts that were posted for one commit, which may be
// empty.
type PostedNote struct {
	Commit string
	Note   notes.Note
}

// PostNotes stores receipts that were posted for a repository, which is
// registered as API-only when it is unknown, and returns how many ids were new.
// The others are there already and stay as they are; a git note that carries
// the id later takes the receipt over. All notes are stored, or none.
func (db *DB) PostNotes(ctx context.Context, by access.Principal, repo string, posted []PostedNote) (int, error) {
	accepted := 0
	err := db.InTx(ctx, func(tx *Tx) error {
		if err := tx.prepareStage(ctx); err != nil {
			return err
		}
		if err := tx.lockOrg(ctx, by.Org); err != nil {
			return err
		}
		src, err := tx.apiSource(ctx, by, repo, APIRef)
		if err != nil {
			return err
		}
		fresh, err := tx.unknownReceipts(ctx, by.Org, posted)
		if err != nil || len(fresh) == 0 {
			return err
		}
		var bodies []Body
		for _, n := range fresh {
			accepted += len(n.Note.Receipts)
			bodies = append(bodies, Body{Pair: Pair{Commit: n.Commit}, Note: n.Note})
		}
		return (&Intake{tx: tx, src: src}).post(ctx, bodies)
	})
	return accepted, err
}

func (tx *Tx) apiSource(ctx context.Context, by access.Principal, name, ref string) (Source, error) {
	org, err := orgOf(ctx, tx, tx.sealer, by.Org)
	if err != nil {
		return Source{}, err
	}
	repo, err := tx.EnsureRepo(ctx, by, name)
	return Source{Org: org, Repo: repo, Ref: ref}, err
}

// unknownReceipts drops receipts whose id is stored, repeats of those before
// them, and notes that have no others.
func (tx *Tx) unknownReceipts(ctx context.Context, org uuid.UUID, posted []PostedNote) ([]PostedNote, error) {
	var ids []string
	for _, n := range posted {
		for i := range n.Note.Receipts {
			ids = append(ids, n.Note.Receipts[i].ID)
		}
	}
	rows, err := tx.Query(ctx, `SELECT id FROM receipts WHERE org_id = $1 AND id = ANY($2)`, org, ids)
	if err != nil {
		return nil, translate(err, "looking for known receipts")
	}
	known := map[string]bool{}
	var id string
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { known[id] = true; return nil }); err != nil {
		return nil, translate(err, "looking for known receipts")
	}
	var fresh []PostedNote
	for _, n := range posted {
		var receipts []notes.Receipt
		for _, r := range n.Note.Receipts {
			if !known[r.ID] {
				known[r.ID] = true
				receipts = append(receipts, r)
			}
		}
		if n.Note.Receipts = receipts; len(receipts) > 0 {
			fresh = append(fresh, n)
		}
	}
	return fresh, nil
}

func (in *Intake) post(ctx context.Context, bodies []Body) error {
	if err := in.Stage(ctx, NewRows(in.src, Batch{Bodies: bodies})); err != nil {
		return err
	}
	err := in.run(ctx,
		statement{"adding links", sqlPostLinks, nil},
		statement{"finding touched receipts", sqlTouched, nil},
		statement{"demanding the lines of commits", sqlDemandPostedLines, nil})
	if err != nil {
		return err
	}
	if err := in.addFindings(ctx); err != nil {
		return err
	}
	return in.mergeReceipts(ctx, func(context.Context, []BodyRef) error { return nil })
}

const sqlPostLinks = `
	INSERT INTO receipt_commits (org_id, receipt_id, repo_id, ref, commit, blob, position, content_hash,
	                             first_noted_at, noted_at, notes_commit, current, seq)
	SELECT @org::uuid, l.receipt_id, @repo::uuid, @ref::text, l.commit, l.blob, l.position, l.content_hash, now(), now(), '', true,
	       nextval('posted_seq')
	FROM stage_links l ORDER BY l.receipt_id
	ON CONFLICT DO NOTHING`

const sqlDemandPostedLines = `
	INSERT INTO line_demands (org_id, repo_id, commit) SELECT DISTINCT @org::uuid, @repo::uuid, commit FROM stage_links`

// Upload is one note that came through the HTTP notes backend.
type Upload struct {
	Commit string
	// Blob is the git object id of Content as a blob.
	Blob    string
	Content []byte
	Note    notes.Note
}

// TakeUploads stores uploaded notes byte for byte and takes in what they say.
// The last upload for a commit is its current note. Notes of commits that no
// repository of the organisation has wait in a repository of their own until
// AttachUploads finds them one.
func (db *DB) TakeUploads(ctx context.Context, by access.Principal, uploads []Upload) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.prepareStage(ctx); err != nil {
			return err
		}
		// Before the uploads get their numbers: the last number is to be the last merge.
		if err := tx.lockOrg(ctx, by.Org); err != nil {
			return err
		}
		versions, err := tx.storeUploads(ctx, by, uploads)
		if err != nil {
			return err
		}
		homes, err := tx.homesOf(ctx, by.Org, uploads)
		if err != nil {
			return err
		}
		for _, group := range groupUploads(uploads, versions, homes) {
			if err := tx.mergeUploads(ctx, by, group); err != nil {
				return err
			}
		}
		return nil
	})
}

// uploadGroup are the uploads of one repository; repo is the zero uuid while
// no repository has their commits.
type uploadGroup struct {
	repo  uuid.UUID
	batch Batch
}

func (tx *Tx) storeUploads(ctx context.Context, by access.Principal, uploads []Upload) ([]Version, error) {
	versions := make([]Version, len(uploads))
	for i, u := range uploads {
		var seq int64
		var at time.Time
		err := tx.QueryRow(ctx, `
			INSERT INTO note_uploads (org_id, commit, blob, content, uploaded_by, received_at)
			VALUES ($1, $2, $3, $4, $5, clock_timestamp()) RETURNING seq, received_at`,
			by.Org, u.Commit, u.Blob, u.Content, by.Name).Scan(&seq, &at)
		if err != nil {
			return nil, translate(err, "storing an uploaded note")
		}
		versions[i] = Version{Commit: u.Commit, NotesCommit: fmt.Sprintf("upload:%019d", seq), Blob: u.Blob,
			AuthorName: by.Name, AuthoredAt: at, CommittedAt: at}
	}
	return versions, nil
}

// homesOf finds for each uploaded commit the repository that had it first.
func (tx *Tx) homesOf(ctx context.Context, org uuid.UUID, uploads []Upload) (map[string]uuid.UUID, error) {
	commits := make([]string, len(uploads))
	for i, u := range uploads {
		commits[i] = u.Commit
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (c.commit) c.commit, c.repo_id FROM commits c JOIN repos r ON r.id = c.repo_id
		WHERE c.org_id = $1 AND c.commit = ANY($2) ORDER BY c.commit, r.created_at, r.id`, org, commits)
	if err != nil {
		return nil, translate(err, "finding the repositories of uploaded notes")
	}
	homes := map[string]uuid.UUID{}
	var commit string
	var repo uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&commit, &repo}, func() error { homes[commit] = repo; return nil })
	return homes, translate(err, "finding the repositories of uploaded notes")
}

func groupUploads(uploads []Upload, versions []Version, homes map[string]uuid.UUID) []uploadGroup {
	var groups []uploadGroup
	at := map[uuid.UUID]int{}
	last := map[string]string{}
	for _, u := range uploads {
		last[u.Commit] = u.Blob
	}
	for i, u := range uploads {
		repo := homes[u.Commit]
		n, ok := at[repo]
		if !ok {
			n = len(groups)
			at[repo] = n
			groups = append(groups, uploadGroup{repo: repo})
		}
		pair := Pair{Commit: u.Commit, Blob: u.Blob}
		b := &groups[n].batch
		b.Versions = append(b.Versions, versions[i])
		b.Bodies = append(b.Bodies, Body{Pair: pair, Size: int64(len(u.Content)), Note: u.Note})
		if blob, ok := last[u.Commit]; ok {
			b.Tip = append(b.Tip, TipNote{Pair: Pair{Commit: u.Commit, Blob: blob}})
			delete(last, u.Commit)
		}
	}
	return groups
}

func (tx *Tx) mergeUploads(ctx context.Context, by access.Principal, group uploadGroup) error {
	src, err := tx.uploadSource(ctx, by, group.repo)
	if err != nil {
		return err
	}
	// A second group of one transaction finds the staging tables of the first.
	if err := tx.clearStage(ctx); err != nil {
		return err
	}
	in := &Intake{tx: tx, src: src}
	if err := in.Stage(ctx, NewRows(src, group.batch)); err != nil {
		return err
	}
	return in.Merge(ctx, MergeOptions{TipVersion: Version{AuthoredAt: time.Unix(0, 0), CommittedAt: time.Unix(0, 0)}},
		func(context.Context, []BodyRef) error { return nil })
}

func (tx *Tx) uploadSource(ctx context.Context, by access.Principal, repo uuid.UUID) (Source, error) {
	if repo == uuid.Nil {
		return tx.apiSource(ctx, by, unattachedRepo, UploadRef)
	}
	org, err := orgOf(ctx, tx, tx.sealer, by.Org)
	if err != nil {
		return Source{}, err
	}
	home, err := collectOne[Repo](ctx, tx, "finding the repository of an upload",
		`SELECT `+repoColumns+` FROM repos WHERE org_id = $1 AND id = $2`, by.Org, repo)
	return Source{Org: org, Repo: home, Ref: UploadRef}, err
}

// AttachUploads moves uploaded notes that waited for their commits to repo,
// which now has them, and returns their number. parse reads a note again for
// its new home.
func (db *DB) AttachUploads(ctx context.Context, by access.Principal, repo uuid.UUID, parse func(commit string, body []byte) notes.Note) (int, error) {
	moved := 0
	err := db.InTx(ctx, func(tx *Tx) error {
		uploads, versions, err := tx.waitingUploads(ctx, by.Org, repo)
		if err != nil || len(uploads) == 0 {
			return err
		}
		if err := tx.prepareStage(ctx); err != nil {
			return err
		}
		if err := tx.lockOrg(ctx, by.Org); err != nil {
			return err
		}
		homes := map[string]uuid.UUID{}
		for i := range uploads {
			uploads[i].Note = parse(uploads[i].Commit, uploads[i].Content)
			homes[uploads[i].Commit] = repo
		}
		moved = len(homes)
		if err := tx.detachUploads(ctx, by.Org, uploads); err != nil {
			return err
		}
		return tx.mergeUploads(ctx, by, groupUploads(uploads, versions, homes)[0])
	})
	return moved, err
}

func (tx *Tx) waitingUploads(ctx context.Context, org, repo uuid.UUID) ([]Upload, []Version, error) {
	rows, err := collect[struct {
		Commit      string
		NotesCommit string
		Blob        string
		AuthorName  string
		CommittedAt time.Time
		Content     []byte
	}](ctx, tx, "finding waiting uploads", `
		SELECT v.commit, v.notes_commit, v.blob, v.author_name, v.committed_at, u.content
		FROM repos w
		JOIN note_versions v ON v.org_id = w.org_id AND v.repo_id = w.id AND v.ref = $3
		JOIN commits c ON c.org_id = v.org_id AND c.repo_id = $2 AND c.commit = v.commit
		JOIN note_uploads u ON u.org_id = v.org_id AND u.commit = v.commit AND u.seq = substr(v.notes_commit, 8)::bigint
		WHERE w.org_id = $1 AND w.name = $4 ORDER BY u.seq`, org, repo, UploadRef, unattachedRepo)
	if err != nil {
		return nil, nil, err
	}
	uploads, versions := make([]Upload, len(rows)), make([]Version, len(rows))
	for i, r := range rows {
		uploads[i] = Upload{Commit: r.Commit, Blob: r.Blob, Content: r.Content}
		versions[i] = Version{Commit: r.Commit, NotesCommit: r.NotesCommit, Blob: r.Blob, AuthorName: r.AuthorName,
			AuthoredAt: r.CommittedAt, CommittedAt: r.CommittedAt}
	}
	return uploads, versions, nil
}

// detachUploads takes what uploads left in the waiting repository away; their
// bytes stay in note_uploads.
func (tx *Tx) detachUploads(ctx context.Context, org uuid.UUID, uploads []Upload) error {
	commits := make([]string, len(uploads))
	for i, u := range uploads {
		commits[i] = u.Commit
	}
	for _, table := range []string{"attestations", "note_bodies", "note_versions", "receipt_commits", "findings"} {
		_, err := tx.Exec(ctx, `DELETE FROM `+table+` t USING repos w
			WHERE w.org_id = $1 AND w.name = $2 AND t.org_id = $1 AND t.repo_id = w.id AND t.ref = $3 AND t.commit = ANY($4)`,
			org, unattachedRepo, UploadRef, commits)
		if err != nil {
			return translate(err, "detaching uploads from %s", table)
		}
	}
	return nil
}

// UploadedNotes returns the current uploaded note of each of commits that has one.
func (db *DB) UploadedNotes(ctx context.Context, org uuid.UUID, commits []string) (map[string][]byte, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT DISTINCT ON (commit) commit, content FROM note_uploads
		WHERE org_id = $1 AND commit = ANY($2) AND content <> '' ORDER BY commit, seq DESC`, org, commits)
	if err != nil {
		return nil, translate(err, "reading uploaded notes")
	}
	found := map[string][]byte{}
	var commit string
	var content []byte
	_, err = pgx.ForEachRow(rows, []any{&commit, &content}, func() error {
		found[commit] = append([]byte(nil), content...)
		return nil
	})
	return found, translate(err, "reading uploaded notes")
}
