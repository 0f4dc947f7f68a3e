package store

import (
	"context"
	"path"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// reattachedNotes are the notes of one commit that were laid to another, at
// position n of the batch.
type reattachedNotes struct {
	n    int
	from string
}

// reattachedEvidence is what such notes say, and how it is carried over: by
// lines, as it is where the history of the notes says so, or not at all, which
// leaves the receipts whose very content the commit has.
type reattachedEvidence struct {
	lines.Reattached
	mover *lines.Mover
	asIs  bool
	// names are the last components of the paths that count.
	names map[string]bool
}

// lineReattached gathers what notes say that were reattached to the commits.
func (tx *Tx) lineReattached(ctx context.Context, b *LineBatch, ids []string, all []lineCommit) error {
	found, order, err := tx.reattachedTo(ctx, b, ids, all)
	if err != nil || len(order) == 0 {
		return err
	}
	if err := tx.reattachedMovers(ctx, b, ids, found); err != nil {
		return err
	}
	if err := tx.reattachedClaims(ctx, b, ids, all, found); err != nil {
		return err
	}
	if err := tx.reattachedAttestations(ctx, b, ids, all, found); err != nil {
		return err
	}
	for _, key := range order {
		all[key.n-1].Reattached = append(all[key.n-1].Reattached, found[key].Reattached)
	}
	return nil
}

// reattachedTo finds the notes, those of older commits first. $3 of all
// statements here are the commits of the batch.
func (tx *Tx) reattachedTo(ctx context.Context, b *LineBatch, ids []string, all []lineCommit) (map[reattachedNotes]*reattachedEvidence, []reattachedNotes, error) {
	rows, err := collect[struct {
		N         int
		From, How string
	}](ctx, tx, "reading reattachments", `
		SELECT w.n, a.from_commit AS from, a.how
		FROM unnest($3::text[]) WITH ORDINALITY w (commit, n)
		JOIN reattachments a ON a.org_id = $1 AND a.repo_id = $2 AND a.to_commit = w.commit AND a.active
		LEFT JOIN commits k ON k.org_id = $1 AND k.repo_id = $2 AND k.commit = a.from_commit
		ORDER BY w.n, k.committed_at NULLS FIRST, a.from_commit, a.ref`, b.OrgID, b.RepoID, ids)
	found := map[reattachedNotes]*reattachedEvidence{}
	var order []reattachedNotes
	for _, r := range rows {
		c, key := &all[r.N-1], reattachedNotes{r.N, r.From}
		c.reattached = true
		if r.How != ByBlob {
			c.Noted = true
		}
		if found[key] == nil {
			found[key] = &reattachedEvidence{Reattached: lines.Reattached{From: gitcmd.OID(r.From)}, names: c.names}
			order = append(order, key)
		}
		found[key].asIs = found[key].asIs || r.How == ByNotesHistory
	}
	return found, order, err
}

// reattachedMovers reads which lines moved where.
func (tx *Tx) reattachedMovers(ctx context.Context, b *LineBatch, ids []string, found map[reattachedNotes]*reattachedEvidence) error {
	rows, err := tx.Query(ctx, `
		SELECT w.n, l.from_commit, l.path, l.first, l.last, l.from_path, l.from_first
		FROM unnest($3::text[]) WITH ORDINALITY w (commit, n)
		JOIN reattached_lines l ON l.org_id = $1 AND l.repo_id = $2 AND l.to_commit = w.commit`, b.OrgID, b.RepoID, ids)
	if err != nil {
		return translate(err, "reading lines of reattachments")
	}
	moved := map[reattachedNotes][]lines.Moved{}
	var key reattachedNotes
	var to, from []byte
	var first, last, fromFirst int32
	_, err = pgx.ForEachRow(rows, []any{&key.n, &key.from, &to, &first, &last, &from, &fromFirst}, func() error {
		if found[key] != nil {
			moved[key] = append(moved[key], lines.Moved{Path: string(to), LineRange: notes.LineRange{First: uint32(first), Last: uint32(last)},
				FromPath: string(from), FromFirst: uint32(fromFirst)})
		}
		return nil
	})
	for key, runs := range moved {
		e := found[key]
		e.mover, e.names = lines.NewMover(runs), map[string]bool{}
		for _, r := range runs {
			e.names[path.Base(r.FromPath)] = true
		}
	}
	return translate(err, "reading lines of reattachments")
}

// bodiesOf joins the bodies that were reattached, as a, to the commits.
const bodiesOf = `
	FROM unnest($3::text[]) WITH ORDINALITY w (commit, n)
	JOIN reattachments a ON a.org_id = $1 AND a.repo_id = $2 AND a.to_commit = w.commit AND a.active AND a.how <> '` + ByBlob + `'`

func (tx *Tx) reattachedClaims(ctx context.Context, b *LineBatch, ids []string, all []lineCommit, found map[reattachedNotes]*reattachedEvidence) error {
	rows, err := tx.Query(ctx, `
		SELECT w.n, a.from_commit, r.id, r.provider, r.model, f.path, f.line_start, f.line_end, f.blob_hash, f.additions`+bodiesOf+`
		JOIN receipt_commits l ON l.org_id = $1 AND l.commit = a.from_commit AND l.repo_id = $2 AND l.ref = a.ref AND l.blob = a.blob
		JOIN receipts r ON r.org_id = $1 AND r.id = l.receipt_id AND r.source <> 'git-ai'
		JOIN receipt_files f ON f.org_id = $1 AND f.receipt_id = r.id
		ORDER BY w.n, a.from_commit, r.timestamp, r.id, f.position`, b.OrgID, b.RepoID, ids)
	if err != nil {
		return translate(err, "reading reattached claims")
	}
	var key reattachedNotes
	var id string
	var owner lineOwner
	var f notes.FileChange
	_, err = pgx.ForEachRow(rows, []any{&key.n, &key.from, &id, &owner.provider, &owner.model, &f.Path, &f.LineStart, &f.LineEnd,
		&f.BlobHash, &f.Additions}, func() error {
		e := found[key]
		if e == nil || !e.names[path.Base(f.Path)] {
			return nil
		}
		for _, claim := range lines.Claims(&notes.Receipt{ID: id, Files: []notes.FileChange{f}}, true) {
			switch {
			case e.mover != nil:
				e.Claims = append(e.Claims, e.mover.Claim(claim)...)
			case e.asIs:
				e.Claims = append(e.Claims, claim)
			}
		}
		all[key.n-1].owners[id] = owner
		return nil
	})
	return translate(err, "reading reattached claims")
}

func (tx *Tx) reattachedAttestations(ctx context.Context, b *LineBatch, ids []string, all []lineCommit, found map[reattachedNotes]*reattachedEvidence) error {
	rows, err := tx.Query(ctx, `
		SELECT w.n, a.from_commit, t.path, t.class, t.receipt_id, t.author, t.lines, coalesce(r.provider, ''), coalesce(r.model, '')`+bodiesOf+`
		JOIN attestations t ON t.org_id = $1 AND t.repo_id = $2 AND t.ref = a.ref AND t.commit = a.from_commit AND t.blob = a.blob
		LEFT JOIN receipts r ON r.org_id = $1 AND r.id = t.receipt_id AND t.receipt_id <> ''
		ORDER BY w.n, a.from_commit, a.ref, t.position`, b.OrgID, b.RepoID, ids)
	if err != nil {
		return translate(err, "reading reattached lines")
	}
	var key reattachedNotes
	var a notes.Attestation
	var owner lineOwner
	var runs pgtype.Multirange[pgtype.Range[pgtype.Int4]]
	_, err = pgx.ForEachRow(rows, []any{&key.n, &key.from, &a.Path, &a.Class, &a.ReceiptID, &a.Author, &runs, &owner.provider, &owner.model}, func() error {
		e := found[key]
		if e == nil || !e.names[path.Base(a.Path)] {
			return nil
		}
		a.Lines = rangesOf(runs)
		switch {
		case e.mover != nil:
			e.Attestations = append(e.Attestations, e.mover.Attestation(a)...)
		case e.asIs:
			e.Attestations = append(e.Attestations, a)
		}
		if a.ReceiptID != "" {
			all[key.n-1].owners[a.ReceiptID] = owner
		}
		return nil
	})
	return translate(err, "reading reattached lines")
}
