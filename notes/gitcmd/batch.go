package gitcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Missing is the Type of an object that the repository does not have.
const Missing = "missing"

// Object is one git object.
type Object struct {
	OID OID
	// Type is "blob", "commit", "tree", "tag" or Missing.
	Type string
	// Size is in bytes, also when Data is nil.
	Size int64
	// Data is nil if Size is above the caller's limit. The next read overwrites
	// it: what shall stay must be copied.
	Data []byte
}

// BatchReader reads objects through one git cat-file --batch child, which is
// started at the first read and again after a read that failed. It is for one
// goroutine at a time.
type BatchReader struct {
	ctx    context.Context
	repo   *Repo
	child  *process
	out    *bufio.Reader
	buf    []byte
	closed bool
}

var errBatchClosed = errors.New("batch reader is closed")

// NewBatchReader returns a reader whose child lives until Close or the end of
// ctx.
func (r *Repo) NewBatchReader(ctx context.Context) *BatchReader {
	return &BatchReader{ctx: ctx, repo: r}
}

// Close ends the child. It may be called again; reads after it fail.
func (b *BatchReader) Close() error {
	b.closed = true
	b.drop()
	return nil
}

// Read returns one object, with its data if that has at most limit bytes. A
// missing object has the Type Missing and is no error; a corrupt one is
// ErrMissingObject.
func (b *BatchReader) Read(oid OID, limit int64) (Object, error) {
	if _, err := ParseOID(string(oid)); err != nil {
		return Object{}, fmt.Errorf("reading object: %w", err)
	}
	if err := b.start(); err != nil {
		return Object{}, fmt.Errorf("reading object %s: %w", oid, err)
	}
	// If the child is dead, receive tells why.
	_, _ = io.WriteString(b.child.stdin, string(oid)+"\n")
	return b.receive(oid, limit)
}

// ReadMany reads objects as Read does and hands each to fn, in the order of
// oids. Requests run ahead of the answers in another goroutine, which ranges
// over oids, must not be made to wait for fn, and has ended when ReadMany
// returns. An error of fn ends the reading and is returned as it is; the
// reader can be used again afterwards.
func (b *BatchReader) ReadMany(ctx context.Context, oids iter.Seq[OID], limit int64, fn func(Object) error) error {
	if b.repo.partial {
		return b.readInTurn(ctx, oids, limit, fn)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reading objects: %w", err)
	}
	if err := b.start(); err != nil {
		return fmt.Errorf("reading objects: %w", err)
	}
	release := context.AfterFunc(ctx, b.child.cancel)
	requests := b.request(oids)
	err := b.receiveAll(requests, limit, fn)
	if !release() || err != nil {
		b.drop()
	}
	requests.stop()
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("reading objects: %w", ctx.Err())
	}
	return err
}

// readInTurn is ReadMany for partial clones, where git before 2.45 dies of
// each object that it may not fetch, so that nothing can be asked ahead.
func (b *BatchReader) readInTurn(ctx context.Context, oids iter.Seq[OID], limit int64, fn func(Object) error) error {
	for oid := range oids {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("reading objects: %w", err)
		}
		object, err := b.Read(oid, limit)
		if err != nil {
			return err
		}
		if err := fn(object); err != nil {
			return err
		}
	}
	return nil
}

// requests sends ids to a child ahead of its answers.
type requests struct {
	// sent carries each batch before it is written, so that whoever waits for
	// an answer waits for the child and never for a batch held back here.
	sent chan []OID
	quit chan struct{}
	// err is set before sent is closed.
	err error
}

// requestBatch ids fit into any pipe, so that a write rarely blocks.
const requestBatch = 60

func (b *BatchReader) request(oids iter.Seq[OID]) *requests {
	q := &requests{sent: make(chan []OID, 8), quit: make(chan struct{})}
	go q.run(b.child.stdin, oids)
	return q
}

func (q *requests) run(stdin io.Writer, oids iter.Seq[OID]) {
	defer close(q.sent)
	var batch []OID
	for oid := range oids {
		if _, q.err = ParseOID(string(oid)); q.err != nil {
			break
		}
		batch = append(batch, oid)
		if len(batch) < requestBatch {
			continue
		}
		if !q.flush(stdin, batch) {
			return
		}
		batch = nil
	}
	q.flush(stdin, batch)
}

func (q *requests) flush(stdin io.Writer, batch []OID) bool {
	if len(batch) == 0 {
		return true
	}
	select {
	case q.sent <- batch:
	case <-q.quit:
		return false
	}
	var lines strings.Builder
	for _, oid := range batch {
		lines.WriteString(string(oid) + "\n")
	}
	_, err := io.WriteString(stdin, lines.String())
	return err == nil
}

// stop waits until the goroutine has ended. Where it may be writing, the child
// has been dropped before.
func (q *requests) stop() {
	close(q.quit)
	for range q.sent {
	}
}

func (b *BatchReader) receiveAll(q *requests, limit int64, fn func(Object) error) error {
	for batch := range q.sent {
		for _, oid := range batch {
			object, err := b.receive(oid, limit)
			if err != nil {
				return err
			}
			if err := fn(object); err != nil {
				return err
			}
		}
	}
	if q.err != nil {
		return fmt.Errorf("reading objects: %w", q.err)
	}
	return nil
}

func (b *BatchReader) start() error {
	switch {
	case b.closed:
		return errBatchClosed
	case b.child != nil:
		return nil
	}
	c := b.repo.Command(b.ctx, "cat-file", "--batch")
	// Above this size git streams a blob instead of holding it in memory.
	c.Config = []string{"core.bigFileThreshold=32m"}
	child, err := c.start(true)
	if err != nil {
		return err
	}
	b.child = child
	b.out = bufio.NewReaderSize(child.stdout, 64<<10)
	return nil
}

// drop ends the child, so that the next read starts a new one.
func (b *BatchReader) drop() {
	if b.child != nil {
		b.child.stop()
		b.child = nil
	}
}

// receive reads the answer to the request for oid.
func (b *BatchReader) receive(oid OID, limit int64) (Object, error) {
	object, err := b.parseAnswer(oid, limit)
	if err == nil {
		return object, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.Join(b.child.wait(), err)
		b.child = nil
	}
	b.drop()
	var missing *MissingObjectError
	if b.repo.partial && errors.As(err, &missing) && missing.OID == oid {
		return Object{OID: oid, Type: Missing}, nil
	}
	return Object{}, fmt.Errorf("reading object %s: %w", oid, err)
}

// parseAnswer reads "<oid> <type> <size> LF <data> LF" or "<oid> missing LF".
func (b *BatchReader) parseAnswer(oid OID, limit int64) (Object, error) {
	line, err := b.out.ReadSlice('\n')
	if err != nil {
		return Object{}, err
	}
	fields := strings.Fields(string(line))
	if len(fields) == 2 && fields[0] == string(oid) && fields[1] == Missing {
		return Object{OID: oid, Type: Missing}, nil
	}
	if len(fields) != 3 || fields[0] != string(oid) {
		return Object{}, fmt.Errorf("unexpected answer %.100q", line)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return Object{}, fmt.Errorf("unexpected size in answer %.100q", line)
	}
	object := Object{OID: oid, Type: fields[1], Size: size}
	if size > limit {
		return object, b.skip(size + 1)
	}
	b.buf = slices.Grow(b.buf[:0], int(size)+1)[:size+1]
	_, err = io.ReadFull(b.out, b.buf)
	object.Data = b.buf[:size]
	return object, err
}

func (b *BatchReader) skip(n int64) error {
	_, err := io.CopyN(io.Discard, b.out, n)
	return err
}
