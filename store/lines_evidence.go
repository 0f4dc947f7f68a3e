package store

import (
	"context"
	"path"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/lines"
)

// lineCommit is a commit and what speaks for its lines.
type lineCommit struct {
	lines.Evidence
	git *lines.Commit
	// known is false where the repository has not got it.
	known       bool
	authorEmail string
	committedAt time.Time
	day         time.Time
	bot, merge  bool
	// reattached says that a note of another commit was laid to it.
	reattached bool
	// owners are the provider and model of the receipts that are named.
	owners map[string]lineOwner
	// names are the last components of its paths: a claim on any other is idle.
	names map[string]bool
}

type lineOwner struct{ provider, model string }

// lineEvidence gathers what speaks for the lines of commits and hands each to
// fn, in order. Attestations are read one commit at a time: a single note may
// have a million ranges.
func (tx *Tx) lineEvidence(ctx context.Context, b *LineBatch, commits []*lines.Commit, fn func(*lineCommit) error) error {
	all := make([]lineCommit, len(commits))
	ids := make([]string, len(commits))
	for i, c := range commits {
		all[i] = lineCommit{git: c, owners: map[string]lineOwner{}, names: namesOf(c.Files)}
		ids[i] = string(c.OID)
	}
	if err := tx.lineHeaders(ctx, b, ids, all); err != nil {
		return err
	}
	if err := tx.lineClaims(ctx, b, ids, all); err != nil {
		return err
	}
	if err := tx.lineReattached(ctx, b, ids, all); err != nil {
		return err
	}
	return tx.lineAttestations(ctx, b, ids, all, fn)
}

func namesOf(files []lines.File) map[string]bool {
	names := make(map[string]bool, len(files))
	for i := range files {
		names[path.Base(files[i].Path)] = true
		if files[i].OldPath != "" {
			names[path.Base(files[i].OldPath)] = true
		}
	}
	return names
}

// noteRefsOf lists the refs that may have current notes of a repository: $1 and
// $2 are organisation and repository.
const noteRefsOf = `(SELECT ref FROM note_refs WHERE org_id = $1 AND repo_id = $2 UNION SELECT '` + UploadRef + `')`

// lineHeaders reads what commits say of themselves, and whether a note or a
// posted receipt speaks of them.
func (tx *Tx) lineHeaders(ctx context.Context, b *LineBatch, ids []string, all []lineCommit) error {
	rows, err := tx.Query(ctx, `
		SELECT w.n, lower(c.author_email), c.committed_at, (c.committed_at AT TIME ZONE o.time_zone)::date, c.bot,
		       cardinality(c.parents) > 1, coalesce(c.agents->0->>'Agent', ''),
		       EXISTS (SELECT FROM `+noteRefsOf+` r
		               JOIN note_versions v ON v.org_id = $1 AND v.repo_id = $2 AND v.ref = r.ref AND v.commit = w.commit AND v.current
		               JOIN note_bodies n ON n.org_id = $1 AND n.repo_id = $2 AND n.ref = v.ref AND n.commit = v.commit AND n.blob = v.blob)
		       OR EXISTS (SELECT FROM receipt_commits l
		                  WHERE l.org_id = $1 AND l.commit = w.commit AND l.repo_id = $2 AND l.ref = '`+APIRef+`' AND l.current)
		FROM unnest($3::text[]) WITH ORDINALITY w (commit, n)
		JOIN commits c ON c.org_id = $1 AND c.repo_id = $2 AND c.commit = w.commit
		JOIN orgs o ON o.id = $1`, b.OrgID, b.RepoID, ids)
	if err != nil {
		return translate(err, "reading commits")
	}
	var n int
	var read lineCommit
	_, err = pgx.ForEachRow(rows, []any{&n, &read.authorEmail, &read.committedAt, &read.day, &read.bot, &read.merge, &read.Agent,
		&read.Noted}, func() error {
		c := &all[n-1]
		c.known, c.authorEmail, c.committedAt, c.day = true, read.authorEmail, read.committedAt, read.day
		c.bot, c.merge = read.bot, read.merge
		c.Agent, c.Noted = read.Agent, read.Noted
		return nil
	})
	return translate(err, "reading commits")
}

// lineClaims reads what receipts claim: those in the notes of a commit of all
// their files, those anywhere in the repository, superseded ones too, of files
// whose content they recorded. Of equally sure claims the later receipt wins.
func (tx *Tx) lineClaims(ctx context.Context, b *LineBatch, ids []string, all []lineCommit) error {
	numbers, blobs := blobsOf(all)
	rows, err := tx.Query(ctx, `
		SELECT x.n, x.attached, r.id, r.provider, r.model, f.path, f.line_start, f.line_end, f.blob_hash, f.additions FROM (
			SELECT DISTINCT w.n, true AS attached, l.receipt_id, NULL::integer AS position
			FROM unnest($3::text[]) WITH ORDINALITY w (commit, n)
			JOIN receipt_commits l ON l.org_id = $1 AND l.commit = w.commit AND l.repo_id = $2 AND l.current
			UNION ALL
			SELECT w.n, false, f.receipt_id, f.position
			FROM unnest($4::integer[], $5::text[]) w (n, blob)
			JOIN receipt_files f ON f.org_id = $1 AND f.blob_hash = w.blob AND f.blob_hash <> ''
			WHERE EXISTS (SELECT FROM receipt_commits l
			              WHERE l.org_id = $1 AND l.receipt_id = f.receipt_id AND l.repo_id = $2)) x
		JOIN receipts r ON r.org_id = $1 AND r.id = x.receipt_id AND r.source <> 'git-ai'
		JOIN receipt_files f ON f.org_id = $1 AND f.receipt_id = x.receipt_id AND (x.attached OR f.position = x.position)
		ORDER BY x.n, r.timestamp, r.id, f.position`, b.OrgID, b.RepoID, ids, numbers, blobs)
	if err != nil {
		return translate(err, "reading claims")
	}
	var n int
	var attached bool
	var id string
	var owner lineOwner
	var f notes.FileChange
	_, err = pgx.ForEachRow(rows, []any{&n, &attached, &id, &owner.provider, &owner.model, &f.Path, &f.LineStart, &f.LineEnd,
		&f.BlobHash, &f.Additions}, func() error {
		c := &all[n-1]
		if c.names[path.Base(f.Path)] {
			c.Claims = append(c.Claims, lines.Claims(&notes.Receipt{ID: id, Files: []notes.FileChange{f}}, attached)...)
			c.owners[id] = owner
		}
		return nil
	})
	return translate(err, "reading claims")
}

// blobsOf lists what the commits have at paths with added lines.
func blobsOf(all []lineCommit) (numbers []int32, blobs []string) {
	for i := range all {
		for j := range all[i].git.Files {
			if f := &all[i].git.Files[j]; len(f.Added) > 0 && !f.Blob.IsZero() {
				numbers, blobs = append(numbers, int32(i+1)), append(blobs, string(f.Blob))
			}
		}
	}
	return numbers, blobs
}

// lineAttestations reads what current notes attest of the commits, and hands
// each commit to fn when it has all of its own.
func (tx *Tx) lineAttestations(ctx context.Context, b *LineBatch, ids []string, all []lineCommit, fn func(*lineCommit) error) error {
	rows, err := tx.Query(ctx, `
		SELECT w.n, a.path, a.class, a.receipt_id, a.author, a.lines, coalesce(t.provider, ''), coalesce(t.model, '')
		FROM unnest($3::text[]) WITH ORDINALITY w (commit, n)
		CROSS JOIN `+noteRefsOf+` r
		JOIN note_versions v ON v.org_id = $1 AND v.repo_id = $2 AND v.ref = r.ref AND v.commit = w.commit AND v.current
		JOIN attestations a ON a.org_id = $1 AND a.repo_id = $2 AND a.ref = v.ref AND a.commit = v.commit AND a.blob = v.blob
		LEFT JOIN receipts t ON t.org_id = $1 AND t.id = a.receipt_id AND a.receipt_id <> ''
		ORDER BY w.n, a.ref, a.position`, b.OrgID, b.RepoID, ids)
	if err != nil {
		return translate(err, "reading attested lines")
	}
	defer rows.Close()
	done := 0
	finish := func(before int) error {
		for ; done < before; done++ {
			if err := fn(&all[done]); err != nil {
				return err
			}
			all[done] = lineCommit{}
		}
		return nil
	}
	for rows.Next() {
		var n int
		var a notes.Attestation
		var owner lineOwner
		var runs pgtype.Multirange[pgtype.Range[pgtype.Int4]]
		if err := rows.Scan(&n, &a.Path, &a.Class, &a.ReceiptID, &a.Author, &runs, &owner.provider, &owner.model); err != nil {
			return translate(err, "reading attested lines")
		}
		if err := finish(n - 1); err != nil {
			return err
		}
		c := &all[n-1]
		if !c.names[path.Base(a.Path)] {
			continue
		}
		a.Lines = rangesOf(runs)
		c.Attestations = append(c.Attestations, a)
		if a.ReceiptID != "" {
			c.owners[a.ReceiptID] = owner
		}
	}
	if err := rows.Err(); err != nil {
		return translate(err, "reading attested lines")
	}
	return finish(len(all))
}

func rangesOf(runs pgtype.Multirange[pgtype.Range[pgtype.Int4]]) []notes.LineRange {
	out := make([]notes.LineRange, len(runs))
	for i, r := range runs {
		out[i] = notes.LineRange{First: uint32(r.Lower.Int32), Last: uint32(r.Upper.Int32 - 1)}
	}
	return out
}
