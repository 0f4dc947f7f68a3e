package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The audit chain makes changes of recorded rows provable: docs/audit.md
// defines every byte that is hashed here. Rows are written by whoever acts and
// laid into the chain behind that, so that nobody who acts waits for the chain.

// chainBatch is how many rows one link holds at most.
const chainBatch = 1000

// digestSize is the size of a digest and of a hash in the chain.
const digestSize = sha256.Size

// ChainHead is the end of an organisation's chain: who has noted it can prove
// later that nothing up to it was changed.
type ChainHead struct {
	// Position is the number of links, 0 for an empty chain.
	Position int64
	Hash     []byte
	LaidAt   time.Time
}

// String is the head as it is noted down: the position and the hash in hex.
func (h ChainHead) String() string {
	return fmt.Sprintf("%d:%s", h.Position, hex.EncodeToString(h.Hash))
}

// chainLink is one link: the digests of rows of one kind, in the order of their
// numbers, and the hash that ties it to the link before.
type chainLink struct {
	Position int64
	Kind     string
	Seqs     []int64
	// Digests are those of the rows, one behind the other.
	Digests []byte
	LastSeq int64
	LaidAt  time.Time
	Hash    []byte
}

// digestOf is the digest of the row at index i.
func (l *chainLink) digestOf(i int) []byte { return l.Digests[i*digestSize : (i+1)*digestSize] }

// sum computes the hash of the link behind previous, which is empty for the first.
func (l *chainLink) sum(org uuid.UUID, previous []byte) []byte {
	h := newDigest("blameprompt audit link 1")
	var before [digestSize]byte
	copy(before[:], previous)
	h.Write(before[:])
	h.id(org)
	h.number(l.Position)
	h.text(l.Kind)
	h.time(l.LaidAt)
	h.number(int64(len(l.Seqs)))
	for i, seq := range l.Seqs {
		h.number(seq)
		h.Write(l.digestOf(i))
	}
	return h.Sum(nil)
}

// digest writes values so that no two lists of values have the same bytes.
type digest struct{ hash.Hash }

func newDigest(what string) digest {
	h := digest{sha256.New()}
	h.text(what)
	return h
}

func (h digest) text(s string) { hashText(h, s) }

func (h digest) id(id uuid.UUID) { h.Write(id[:]) }

func (h digest) number(n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

// time writes microseconds, which is what PostgreSQL keeps.
func (h digest) time(t time.Time) { h.number(t.UnixMicro()) }

// optional writes a text that may be absent, which is not the empty one.
func (h digest) optional(s *string) {
	if s == nil {
		h.number(-1)
		return
	}
	h.text(*s)
}

// Chain lays what every organisation has recorded and its chain has not.
func (db *DB) Chain(ctx context.Context) error {
	rows, err := db.pool.Query(ctx, `SELECT o.id FROM orgs o WHERE `+chainWaits+` ORDER BY o.id`)
	if err != nil {
		return translate(err, "looking for rows that no chain has")
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return translate(err, "looking for rows that no chain has")
	}
	for _, org := range orgs {
		if _, err := db.ExtendChain(ctx, org); err != nil {
			return err
		}
	}
	return nil
}

// ExtendChain lays what an organisation has recorded into its chain, and
// returns the head behind it: it proves all that was committed before the call.
func (db *DB) ExtendChain(ctx context.Context, org uuid.UUID) (ChainHead, error) {
	for {
		var head ChainHead
		full := false
		err := db.InTx(ctx, func(tx *Tx) (err error) {
			head, full, err = tx.extendChain(ctx, org)
			return err
		})
		if err != nil || !full {
			return head, err
		}
	}
}

// extendChain lays at most one link of each kind; full says that there may be more.
func (tx *Tx) extendChain(ctx context.Context, org uuid.UUID) (head ChainHead, full bool, err error) {
	if head, err = tx.lockChain(ctx, org); err != nil {
		return head, false, err
	}
	for i := range chainKinds {
		kind := &chainKinds[i]
		seqs, err := kind.fresh(ctx, tx, org)
		if err != nil {
			return head, false, err
		}
		if len(seqs) == 0 {
			continue
		}
		full = full || len(seqs) == chainBatch
		entries, err := kind.digests(ctx, tx, org, seqs)
		if err != nil {
			return head, false, err
		}
		if head, err = tx.layLink(ctx, org, head, kind.name, seqs, entries); err != nil {
			return head, false, err
		}
	}
	return head, full, nil
}

// lockChain makes the caller the one who extends the chain of the organisation
// until its transaction ends.
func (tx *Tx) lockChain(ctx context.Context, org uuid.UUID) (ChainHead, error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('audit:' || $1::text, 0))`, org); err != nil {
		return ChainHead{}, translate(err, "waiting for another writer of the audit chain")
	}
	return chainHead(ctx, tx, org)
}

func chainHead(ctx context.Context, q querier, org uuid.UUID) (ChainHead, error) {
	heads, err := collect[ChainHead](ctx, q, "reading the head of the audit chain", `
		SELECT position, hash, laid_at FROM audit_links WHERE org_id = $1 ORDER BY position DESC LIMIT 1`, org)
	if err != nil || len(heads) == 0 {
		return ChainHead{Hash: make([]byte, digestSize)}, err
	}
	return heads[0], nil
}

// layLink adds a link about the rows seqs. A row that waited and is not there
// stands in the link as zeros, which are no row's digest.
func (tx *Tx) layLink(ctx context.Context, org uuid.UUID, head ChainHead, kind string, seqs []int64, entries []chainEntry) (ChainHead, error) {
	link := chainLink{Position: head.Position + 1, Kind: kind, Seqs: seqs, Digests: make([]byte, 0, len(seqs)*digestSize),
		LastSeq: seqs[len(seqs)-1], LaidAt: time.Now().UTC().Truncate(time.Microsecond)}
	found := digestsBySeq(entries)
	for _, seq := range seqs {
		sum := found[seq]
		link.Digests = append(link.Digests, sum[:]...)
	}
	link.Hash = link.sum(org, head.Hash)
	_, err := tx.Exec(ctx, `
		INSERT INTO audit_links (org_id, position, kind, seqs, digests, last_seq, laid_at, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		org, link.Position, kind, seqs, link.Digests, link.LastSeq, link.LaidAt, link.Hash)
	return ChainHead{Position: link.Position, Hash: link.Hash, LaidAt: link.LaidAt}, translate(err, "extending the audit chain")
}

func digestsBySeq(entries []chainEntry) map[int64][digestSize]byte {
	found := make(map[int64][digestSize]byte, len(entries))
	for _, e := range entries {
		found[e.seq] = e.digest
	}
	return found
}
