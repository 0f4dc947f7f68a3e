package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// chainEntry is a row as the chain knows it.
type chainEntry struct {
	seq    int64
	digest [digestSize]byte
}

// chainKind is a table whose rows stand in the chain.
type chainKind struct {
	name string
	// fresh gives the numbers of up to chainBatch rows that no link has, ascending.
	fresh func(ctx context.Context, tx *Tx, org uuid.UUID) ([]int64, error)
	// digests gives the entries of those of the rows that are there.
	digests func(ctx context.Context, q querier, org uuid.UUID, seqs []int64) ([]chainEntry, error)
	// strays asks for the numbers of rows of the organisation $1 that are neither
	// in a link nor wait for one, describe for what the row $2 is.
	strays, describe string
}

// The kinds in the order in which they are laid. Redactions are laid by
// erasures, in their transaction.
var chainKinds = []chainKind{
	{"acts", freshActs, actDigests, `
		SELECT seq FROM audit_log WHERE org_id = $1
		EXCEPT SELECT unnest(seqs) FROM audit_links WHERE org_id = $1 AND kind = 'acts'
		EXCEPT SELECT seq FROM audit_pending WHERE org_id = $1`,
		`SELECT format('%s on %s by %s at %s', action, target, principal, to_char(at, 'YYYY-MM-DD HH24:MI:SS"Z"')) FROM audit_log WHERE org_id = $1 AND seq = $2`},
	{"versions", freshIn("versions", "note_versions"), versionDigests, straysIn("versions", "note_versions"),
		`SELECT format('note of %s in %s of %s, as notes commit %s left it', v.commit, v.ref, r.name, v.notes_commit)
		 FROM note_versions v JOIN repos r ON r.id = v.repo_id WHERE v.org_id = $1 AND v.seq = $2`},
	{"bodies", freshIn("bodies", "note_bodies"), bodyDigests, straysIn("bodies", "note_bodies"),
		`SELECT format('note body %s of %s in %s of %s, or its receipts', v.blob, v.commit, v.ref, r.name)
		 FROM note_bodies v JOIN repos r ON r.id = v.repo_id WHERE v.org_id = $1 AND v.seq = $2`},
	{"posted", freshIn("posted", "receipt_commits"), postedDigests, straysIn("posted", "receipt_commits"),
		`SELECT format('posted receipt %s of %s', v.receipt_id, r.name)
		 FROM receipt_commits v JOIN repos r ON r.id = v.repo_id WHERE v.org_id = $1 AND v.seq = $2`},
}

// chainWaits is true of an organisation o that has rows which no link holds.
var chainWaits = `(EXISTS (SELECT FROM audit_pending p WHERE p.org_id = o.id)
	OR EXISTS (` + freshRows("versions", "note_versions", "o.id") + `)
	OR EXISTS (` + freshRows("bodies", "note_bodies", "o.id") + `)
	OR EXISTS (` + freshRows("posted", "receipt_commits", "o.id") + `))`

// Rows of notes get their numbers under the lock of the organisation's writer
// of receipts, and so in the order in which they are committed: what is behind
// the last number in the chain is new. Uploaded notes that wait for their
// commits have not come to their repository yet, and will get new numbers there.
const (
	chainMark = `(SELECT coalesce(max(last_seq), 0) FROM audit_links l WHERE l.org_id = %ORG AND l.kind = '%KIND')`
	settled   = `v.repo_id NOT IN (SELECT w.id FROM repos w WHERE w.org_id = %ORG AND w.name = '` + unattachedRepo + `')`
)

// expand puts names into one of the texts above.
func expand(sql, kind, table, org string) string {
	return strings.NewReplacer("%KIND", kind, "%TABLE", table, "%ORG", org).Replace(sql)
}

func freshRows(kind, table, org string) string {
	return expand(`SELECT v.seq FROM %TABLE v WHERE v.org_id = %ORG AND v.seq > `+chainMark+` AND `+settled, kind, table, org)
}

func straysIn(kind, table string) string {
	return expand(`
		SELECT v.seq FROM %TABLE v WHERE v.org_id = %ORG AND v.seq <= `+chainMark+` AND `+settled+`
		EXCEPT SELECT unnest(seqs) FROM audit_links WHERE org_id = %ORG AND kind = '%KIND'`, kind, table, "$1")
}

func freshIn(kind, table string) func(context.Context, *Tx, uuid.UUID) ([]int64, error) {
	sql := freshRows(kind, table, "$1") + ` ORDER BY v.seq LIMIT ` + itoa(chainBatch)
	return func(ctx context.Context, tx *Tx, org uuid.UUID) ([]int64, error) {
		rows, err := tx.Query(ctx, sql, org)
		if err != nil {
			return nil, translate(err, "finding new rows for the audit chain")
		}
		seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		return seqs, translate(err, "finding new rows for the audit chain")
	}
}

// Acts wait by name: their transactions end in any order.
func freshActs(ctx context.Context, tx *Tx, org uuid.UUID) ([]int64, error) {
	rows, err := tx.Query(ctx, `
		DELETE FROM audit_pending WHERE org_id = $1 AND seq IN (
			SELECT seq FROM audit_pending WHERE org_id = $1 ORDER BY seq LIMIT `+itoa(chainBatch)+`)
		RETURNING seq`, org)
	if err != nil {
		return nil, translate(err, "finding new acts for the audit chain")
	}
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	slices.Sort(seqs)
	return seqs, translate(err, "finding new acts for the audit chain")
}

// chainedAct is an act as the chain takes it.
type chainedAct struct {
	Seq        int64
	At         time.Time
	Principal  string
	Action     string
	Target     string
	Detail     *string
	RequestID  string
	Salt       *uuid.UUID
	Commitment []byte
	Erasures   []int64
}

const chainedActColumns = `seq, at, principal, action, target, detail::text AS detail, request_id, salt, commitment, erasures`

// commit is the commitment over what may have to be erased one day; after that
// it is what the row keeps.
func (a *chainedAct) commit() []byte {
	if a.Salt == nil {
		return a.Commitment
	}
	h := newDigest("blameprompt audit words 1")
	h.id(*a.Salt)
	h.text(a.Principal)
	h.text(a.Target)
	h.optional(a.Detail)
	return h.Sum(nil)
}

func (a *chainedAct) entry(org uuid.UUID) chainEntry {
	h := newDigest("blameprompt audit act 1")
	h.id(org)
	h.number(a.Seq)
	h.time(a.At)
	h.text(a.Action)
	h.text(a.RequestID)
	h.Write(a.commit())
	return chainEntry{a.Seq, [digestSize]byte(h.Sum(nil))}
}

// redaction is the entry of what an erasure left of the act.
func (a *chainedAct) redaction(org uuid.UUID) chainEntry {
	h := newDigest("blameprompt audit redaction 1")
	h.id(org)
	h.number(a.Seq)
	h.text(a.Principal)
	h.text(a.Target)
	h.optional(a.Detail)
	for _, erasure := range a.Erasures {
		h.number(erasure)
	}
	return chainEntry{a.Seq, [digestSize]byte(h.Sum(nil))}
}

func actDigests(ctx context.Context, q querier, org uuid.UUID, seqs []int64) ([]chainEntry, error) {
	acts, err := collect[chainedAct](ctx, q, "reading acts for the audit chain", `
		SELECT `+chainedActColumns+` FROM audit_log WHERE org_id = $1 AND seq = ANY($2)`, org, seqs)
	entries := make([]chainEntry, len(acts))
	for i := range acts {
		entries[i] = acts[i].entry(org)
	}
	return entries, err
}

// Who wrote a notes commit stands in git, under the commit's own hash; what is
// current follows from the notes ref.
func versionDigests(ctx context.Context, q querier, org uuid.UUID, seqs []int64) ([]chainEntry, error) {
	versions, err := collect[struct {
		Seq                                 int64
		RepoID                              uuid.UUID
		Ref, Commit, NotesCommit            string
		Blob                                *string
		AuthoredAt, CommittedAt, ReceivedAt time.Time
	}](ctx, q, "reading note versions for the audit chain", `
		SELECT seq, repo_id, ref, commit, notes_commit, blob, authored_at, committed_at, received_at
		FROM note_versions WHERE org_id = $1 AND seq = ANY($2)`, org, seqs)
	entries := make([]chainEntry, len(versions))
	for i, v := range versions {
		h := newDigest("blameprompt audit version 1")
		h.id(org)
		h.number(v.Seq)
		h.id(v.RepoID)
		h.text(v.Ref)
		h.text(v.Commit)
		h.text(v.NotesCommit)
		h.optional(v.Blob)
		h.time(v.AuthoredAt)
		h.time(v.CommittedAt)
		h.time(v.ReceivedAt)
		entries[i] = chainEntry{v.Seq, [digestSize]byte(h.Sum(nil))}
	}
	return entries, err
}

// bodyReceipt is one receipt of a body, or the body itself where it has none.
type bodyReceipt struct {
	Seq                                               int64
	RepoID                                            uuid.UUID
	Ref, Commit, Blob, Format, FormatVersion, Version string
	Size                                              int64
	Receipts                                          int64
	ReceiptID                                         *string
	Position                                          *int64
	ContentHash                                       []byte
}

// A body's entry holds the receipts that stand in it, with the hash of what
// each says.
func bodyDigests(ctx context.Context, q querier, org uuid.UUID, seqs []int64) ([]chainEntry, error) {
	rows, err := q.Query(ctx, `
		SELECT b.seq, b.repo_id, b.ref, b.commit, b.blob, b.format, b.format_version, b.tool_version, b.size, b.receipts,
		       c.receipt_id, c.position, c.content_hash
		FROM note_bodies b
		LEFT JOIN receipt_commits c ON c.org_id = b.org_id AND c.commit = b.commit AND c.repo_id = b.repo_id AND c.ref = b.ref AND c.blob = b.blob
		WHERE b.org_id = $1 AND b.seq = ANY($2) ORDER BY b.seq, c.position, c.receipt_id COLLATE "C"`, org, seqs)
	if err != nil {
		return nil, translate(err, "reading note bodies for the audit chain")
	}
	var entries []chainEntry
	var h digest
	last := int64(-1)
	finish := func() {
		if last >= 0 {
			entries = append(entries, chainEntry{last, [digestSize]byte(h.Sum(nil))})
		}
	}
	var r bodyReceipt
	_, err = pgx.ForEachRow(rows, []any{&r.Seq, &r.RepoID, &r.Ref, &r.Commit, &r.Blob, &r.Format, &r.FormatVersion, &r.Version, &r.Size,
		&r.Receipts, &r.ReceiptID, &r.Position, &r.ContentHash}, func() error {
		if r.Seq != last {
			finish()
			last, h = r.Seq, r.begin(org)
		}
		if r.ReceiptID != nil {
			h.text(*r.ReceiptID)
			h.number(*r.Position)
			h.text(string(r.ContentHash))
		}
		return nil
	})
	finish()
	return entries, translate(err, "reading note bodies for the audit chain")
}

func (r *bodyReceipt) begin(org uuid.UUID) digest {
	h := newDigest("blameprompt audit body 1")
	h.id(org)
	h.number(r.Seq)
	h.id(r.RepoID)
	for _, s := range []string{r.Ref, r.Commit, r.Blob, r.Format, r.FormatVersion, r.Version} {
		h.text(s)
	}
	h.number(r.Size)
	h.number(r.Receipts)
	return h
}

func postedDigests(ctx context.Context, q querier, org uuid.UUID, seqs []int64) ([]chainEntry, error) {
	posted, err := collect[struct {
		Seq               int64
		ReceiptID         string
		RepoID            uuid.UUID
		Ref, Commit, Blob string
		Position          int64
		ContentHash       []byte
		FirstNotedAt      time.Time
	}](ctx, q, "reading posted receipts for the audit chain", `
		SELECT seq, receipt_id, repo_id, ref, commit, blob, position, content_hash, first_noted_at
		FROM receipt_commits WHERE org_id = $1 AND seq = ANY($2)`, org, seqs)
	entries := make([]chainEntry, len(posted))
	for i, p := range posted {
		h := newDigest("blameprompt audit posted 1")
		h.id(org)
		h.number(p.Seq)
		h.text(p.ReceiptID)
		h.id(p.RepoID)
		h.text(p.Ref)
		h.text(p.Commit)
		h.text(p.Blob)
		h.number(p.Position)
		h.text(string(p.ContentHash))
		h.time(p.FirstNotedAt)
		entries[i] = chainEntry{p.Seq, [digestSize]byte(h.Sum(nil))}
	}
	return entries, err
}
