package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ChainProblem is one thing that the chain proves wrong.
type ChainProblem struct {
	// Position is that of the link, 0 for a row that no link has.
	Position int64
	// Kind and Seq name a row, an empty Kind the link itself.
	Kind string
	Seq  int64
	// Problem is what is wrong: link_missing, link_changed, row_missing,
	// row_changed, row_inserted, receipt_missing, receipt_changed,
	// redaction_unproven or head_differs.
	Problem string
	// What says it in words.
	What string
}

// ChainReport is what was found of a chain.
type ChainReport struct {
	Head ChainHead
	// Rows counts those that were compared, Redacted the acts whose words an
	// erasure changed, Waiting the acts that no link has yet.
	Rows, Redacted, Waiting int64
	Problems                []ChainProblem
	// More says that there are more problems than are listed.
	More bool
}

// maxChainProblems bounds the list of problems.
const maxChainProblems = 1000

// VerifyChain compares everything that the organisation's chain holds with the
// tables, in one snapshot. noted is a head from former times that must be in
// the chain, nil for none; progress hears how many links were read.
func (db *DB) VerifyChain(ctx context.Context, org uuid.UUID, noted *ChainHead, progress func(read, all int64)) (ChainReport, error) {
	var report ChainReport
	err := db.snapshot(ctx, func(q querier) (err error) {
		report, err = verifyChain(ctx, q, org, noted, progress)
		return err
	})
	return report, err
}

func verifyChain(ctx context.Context, q querier, org uuid.UUID, noted *ChainHead, progress func(read, all int64)) (ChainReport, error) {
	v := &chainVerifier{q: q, org: org, noted: noted, redactions: map[int64][digestSize]byte{}}
	err := v.links(ctx, progress)
	if err == nil {
		err = v.strays(ctx)
	}
	if err == nil {
		err = v.redacted(ctx)
	}
	if err == nil {
		err = v.receipts(ctx)
	}
	if err == nil && noted != nil && noted.Position > v.report.Head.Position {
		v.add(ChainProblem{Position: noted.Position, Problem: "head_differs",
			What: fmt.Sprintf("the noted head has position %d, the chain ends at %d", noted.Position, v.report.Head.Position)})
	}
	return v.report, err
}

type chainVerifier struct {
	q      querier
	org    uuid.UUID
	noted  *ChainHead
	report ChainReport
	// redactions are the last ones of each act that the chain tells of.
	redactions map[int64][digestSize]byte
}

func (v *chainVerifier) add(p ChainProblem) {
	if len(v.report.Problems) == maxChainProblems {
		v.report.More = true
		return
	}
	v.report.Problems = append(v.report.Problems, p)
}

// linkPage is how many links are read at once.
const linkPage = 50

func (v *chainVerifier) links(ctx context.Context, progress func(read, all int64)) error {
	head, err := chainHead(ctx, v.q, v.org)
	if err != nil {
		return err
	}
	for after := int64(-1); ; {
		page, err := collect[chainLink](ctx, v.q, "reading the audit chain", `
			SELECT position, kind, seqs, digests, last_seq, laid_at, hash FROM audit_links
			WHERE org_id = $1 AND position > $2 ORDER BY position LIMIT `+itoa(linkPage), v.org, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := v.link(ctx, &page[i]); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Position
		if progress != nil {
			progress(after, head.Position)
		}
	}
}

func (v *chainVerifier) link(ctx context.Context, l *chainLink) error {
	before := v.report.Head
	v.report.Head = ChainHead{Position: l.Position, Hash: l.Hash, LaidAt: l.LaidAt}
	if l.Position != before.Position+1 {
		v.add(ChainProblem{Position: before.Position + 1, Problem: "link_missing",
			What: fmt.Sprintf("the chain has no links from %d to %d", before.Position+1, l.Position-1)})
	}
	if len(l.Seqs) == 0 || len(l.Digests) != len(l.Seqs)*digestSize || l.LastSeq != l.Seqs[len(l.Seqs)-1] {
		v.add(ChainProblem{Position: l.Position, Problem: "link_changed", What: "the link has not one digest per row"})
		return nil
	}
	if !bytes.Equal(l.sum(v.org, before.Hash), l.Hash) {
		v.add(ChainProblem{Position: l.Position, Problem: "link_changed",
			What: "the link does not follow from the one before it: one of them was changed, or its place was"})
	}
	if v.noted != nil && v.noted.Position == l.Position && !bytes.Equal(v.noted.Hash, l.Hash) {
		v.add(ChainProblem{Position: l.Position, Problem: "head_differs", What: "the noted head has another hash: the chain was laid anew"})
	}
	if l.Kind == redactionKind {
		for i, seq := range l.Seqs {
			v.redactions[seq] = [digestSize]byte(l.digestOf(i))
		}
		return nil
	}
	return v.rows(ctx, l)
}

// redactionKind is the kind of links about what erasures left of acts.
const redactionKind = "redactions"

func (v *chainVerifier) rows(ctx context.Context, l *chainLink) error {
	at := slices.IndexFunc(chainKinds, func(k chainKind) bool { return k.name == l.Kind })
	if at < 0 {
		v.add(ChainProblem{Position: l.Position, Problem: "link_changed", What: "the link is of a kind that there is not"})
		return nil
	}
	kind := &chainKinds[at]
	entries, err := kind.digests(ctx, v.q, v.org, l.Seqs)
	if err != nil {
		return err
	}
	found := digestsBySeq(entries)
	v.report.Rows += int64(len(l.Seqs))
	for i, seq := range l.Seqs {
		sum, ok := found[seq]
		switch {
		case !ok:
			v.add(ChainProblem{l.Position, kind.name, seq, "row_missing", "the row is gone"})
		case !bytes.Equal(sum[:], l.digestOf(i)):
			what, err := v.describe(ctx, kind, seq)
			if err != nil {
				return err
			}
			v.add(ChainProblem{l.Position, kind.name, seq, "row_changed", what})
		}
	}
	return nil
}

// describe says what a row is now.
func (v *chainVerifier) describe(ctx context.Context, kind *chainKind, seq int64) (string, error) {
	rows, err := v.q.Query(ctx, kind.describe, v.org, seq)
	if err != nil {
		return "", translate(err, "describing a row of the audit chain")
	}
	what, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(what) == 0 {
		return "", translate(err, "describing a row of the audit chain")
	}
	return what[0], nil
}

// strays finds rows that came into the tables past the chain, and acts that
// wait and are gone.
func (v *chainVerifier) strays(ctx context.Context) error {
	for i := range chainKinds {
		kind := &chainKinds[i]
		seqs, err := v.numbers(ctx, kind.strays)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			what, err := v.describe(ctx, kind, seq)
			if err != nil {
				return err
			}
			v.add(ChainProblem{0, kind.name, seq, "row_inserted", what})
		}
	}
	gone, err := v.numbers(ctx, `SELECT seq FROM audit_pending WHERE org_id = $1 EXCEPT SELECT seq FROM audit_log WHERE org_id = $1`)
	if err != nil {
		return err
	}
	for _, seq := range gone {
		v.add(ChainProblem{0, "acts", seq, "row_missing", "the act is gone, and was not in the chain yet"})
	}
	err = v.q.QueryRow(ctx, `SELECT count(*) FROM audit_pending WHERE org_id = $1`, v.org).Scan(&v.report.Waiting)
	return translate(err, "counting acts that wait for the chain")
}

func (v *chainVerifier) numbers(ctx context.Context, sql string) ([]int64, error) {
	rows, err := v.q.Query(ctx, `SELECT seq FROM (`+sql+`) s ORDER BY seq LIMIT `+itoa(maxChainProblems), v.org)
	if err != nil {
		return nil, translate(err, "looking for rows that no link has")
	}
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	return seqs, translate(err, "looking for rows that no link has")
}

// redacted compares the acts whose words were changed with what the chain says
// that erasures left of them.
func (v *chainVerifier) redacted(ctx context.Context) error {
	acts, err := collect[chainedAct](ctx, v.q, "reading redacted acts", `
		SELECT `+chainedActColumns+` FROM audit_log
		WHERE org_id = $1 AND (commitment IS NOT NULL OR erasures <> '{}') ORDER BY seq`, v.org)
	if err != nil {
		return err
	}
	v.report.Redacted = int64(len(acts))
	for i := range acts {
		said, ok := v.redactions[acts[i].Seq]
		if entry := acts[i].redaction(v.org); ok && entry.digest == said {
			delete(v.redactions, acts[i].Seq)
			continue
		}
		v.add(ChainProblem{0, "acts", acts[i].Seq, "redaction_unproven", "the act's words were changed by no erasure that the chain tells of"})
		delete(v.redactions, acts[i].Seq)
	}
	left := make([]int64, 0, len(v.redactions))
	for seq := range v.redactions {
		left = append(left, seq)
	}
	slices.SortFunc(left, cmp.Compare[int64])
	for _, seq := range left {
		v.add(ChainProblem{0, "acts", seq, "redaction_unproven", "the chain tells of an erasure from the act, which shows none"})
	}
	return nil
}

// receipts finds receipts that are gone, and those that are said to be of a
// body in which they do not stand like that.
func (v *chainVerifier) receipts(ctx context.Context) error {
	for _, ask := range []struct{ problem, sql string }{
		{"receipt_missing", `
			SELECT DISTINCT c.receipt_id FROM receipt_commits c WHERE c.org_id = $1
			  AND NOT EXISTS (SELECT FROM receipts r WHERE r.org_id = $1 AND r.id = c.receipt_id)
			ORDER BY 1 LIMIT ` + itoa(maxChainProblems)},
		{"receipt_changed", `
			SELECT r.id FROM receipts r WHERE r.org_id = $1
			  AND NOT EXISTS (SELECT FROM receipt_commits c WHERE c.org_id = $1 AND c.receipt_id = r.id AND c.repo_id = r.repo_id
			                  AND c.ref = r.ref AND c.commit = r.commit_hash AND c.blob = r.blob AND c.content_hash = r.content_hash)
			ORDER BY 1 LIMIT ` + itoa(maxChainProblems)},
	} {
		rows, err := v.q.Query(ctx, ask.sql, v.org)
		if err != nil {
			return translate(err, "comparing receipts with their bodies")
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return translate(err, "comparing receipts with their bodies")
		}
		for _, id := range ids {
			v.add(ChainProblem{Kind: "receipts", Problem: ask.problem, What: "receipt " + id})
		}
	}
	return nil
}
