package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Bounds of a batch: so many notes, or so many bytes of bodies.
const (
	batchNotes = 256
	batchBytes = 1 << 20
)

// refRun takes one notes ref in, from the tip that the store has to the tip
// that the mirror has.
//
// Three goroutines work side by side: walk reads the history and finds what to
// read, read fetches and parses bodies, and the caller's stages batches in the
// transaction. The channels between them hold one batch each.
type refRun struct {
	g        *Ingester
	git      *gitcmd.Repo
	src      store.Source
	format   notes.Format
	tip      gitcmd.OID
	archived []gitcmd.OID
	progress Progress

	old     string
	newly   []string     // archived tips whose history was not walked yet
	late    []store.Pair // bodies that were missing once and are there now
	whole   bool         // the old tip is unknown here: compare with the whole tip tree
	fresh   bool         // nothing of this ref was ever read
	seen    map[[16]byte]struct{}
	tipNote store.Version
	report  Report
}

// chunk is what walk hands to read: versions, and bodies to read for them.
type chunk struct {
	batch store.Batch
	pairs []store.Pair
}

func (r *refRun) take(ctx context.Context) (Report, error) {
	include, exclude, err := r.plan(ctx)
	if err != nil || (r.old == string(r.tip) && len(r.newly) == 0 && len(r.late) == 0) {
		return Report{}, err
	}
	r.seen = map[[16]byte]struct{}{}
	err = r.g.cfg.DB.Intake(ctx, r.src, func(in *store.Intake) error {
		if err := in.MoveTip(ctx, r.old, string(r.tip)); err != nil {
			return err
		}
		if err := r.stageAll(ctx, in, include, exclude); err != nil {
			return err
		}
		if err := in.Archive(ctx, r.newly); err != nil {
			return err
		}
		r.progress(Writing, r.report.Bodies, r.report.Bodies)
		return in.Merge(ctx, store.MergeOptions{WholeTip: r.whole, TipVersion: r.tipNote}, r.reread(in))
	})
	if err != nil {
		return Report{}, fmt.Errorf("taking in %s: %w", r.src.Ref, err)
	}
	r.report.Changed = true
	if r.report.Bodies >= manyBodies {
		return r.report, r.g.cfg.DB.Analyze(ctx)
	}
	return r.report, nil
}

// manyBodies is how many bodies a run must bring to make the database's
// statistics worthless.
const manyBodies = 5000

// plan finds which history is to be walked: all of the tip and of archived
// tips that no earlier run walked.
func (r *refRun) plan(ctx context.Context) (include, exclude []gitcmd.OID, err error) {
	if err := r.loadOld(ctx); err != nil {
		return nil, nil, err
	}
	walked, err := r.g.cfg.DB.ArchivedTips(ctx, r.src.Org.ID, r.src.Repo.ID, r.src.Ref)
	if err != nil {
		return nil, nil, err
	}
	if r.old != "" {
		walked = append(walked, r.old)
	}
	r.fresh = len(walked) == 0
	r.whole = true
	done, err := oidsOf(walked)
	if err != nil {
		return nil, nil, err
	}
	for _, oid := range done {
		has, err := r.git.HasCommit(ctx, oid)
		if err != nil {
			return nil, nil, err
		}
		if has {
			exclude = append(exclude, oid)
			r.whole = r.whole && string(oid) != r.old
		}
	}
	if r.tip != "" {
		include = append(include, r.tip)
	}
	for _, oid := range r.archived {
		if !slices.Contains(walked, string(oid)) {
			include = append(include, oid)
			r.newly = append(r.newly, string(oid))
		} else if string(oid) == r.old {
			r.newly = append(r.newly, string(oid))
		}
	}
	return include, exclude, r.findLate(ctx)
}

// findLate looks whether bodies that the mirror lacked have come.
func (r *refRun) findLate(ctx context.Context) error {
	missing, err := r.g.cfg.DB.MissingBodies(ctx, r.src)
	if err != nil || len(missing) == 0 {
		return err
	}
	reader := r.git.NewBatchReader(ctx)
	defer reader.Close()
	next := 0
	return reader.ReadMany(ctx, oidsOfPairs(missing), 0, func(o gitcmd.Object) error {
		if o.Type != gitcmd.Missing {
			r.late = append(r.late, missing[next])
		}
		next++
		return nil
	})
}

func (r *refRun) loadOld(ctx context.Context) error {
	tips, err := r.g.cfg.DB.Tips(ctx, r.src.Org.ID, r.src.Repo.ID)
	if err != nil {
		return err
	}
	for _, t := range tips {
		if t.Ref == r.src.Ref {
			r.old = t.Tip
		}
	}
	return nil
}

// stageAll runs the three goroutines until everything is staged.
func (r *refRun) stageAll(ctx context.Context, in *store.Intake, include, exclude []gitcmd.OID) error {
	group, ctx := errgroup.WithContext(ctx)
	chunks := make(chan chunk, 1)
	batches := make(chan *store.Rows, 1)
	group.Go(func() error {
		defer close(chunks)
		return r.walk(ctx, include, exclude, chunks)
	})
	group.Go(func() error {
		defer close(batches)
		return r.read(ctx, chunks, batches)
	})
	group.Go(func() error {
		for rows := range batches {
			if err := in.Stage(ctx, rows); err != nil {
				return err
			}
			r.report.add(Report{Versions: rows.Versions, Bodies: rows.Bodies, Receipts: rows.Receipts})
			r.progress(Reading, r.report.Bodies, 0)
		}
		return nil
	})
	return group.Wait()
}

// walk sends the versions of the history and then the state of the tip.
func (r *refRun) walk(ctx context.Context, include, exclude []gitcmd.OID, out chan<- chunk) error {
	w := &walker{run: r, ctx: ctx, out: out}
	if r.old != "" && r.old != string(r.tip) && (r.whole || slices.Contains(r.archived, gitcmd.OID(r.old))) {
		w.next.batch.Faults = append(w.next.batch.Faults, r.rewritten())
	}
	err := r.git.Changes(ctx, include, exclude, w.commit)
	if errors.Is(err, gitcmd.ErrMissingObject) {
		// The tip tree below still tells what is current.
		w.next.batch.Faults = append(w.next.batch.Faults, r.damaged(err))
		err = nil
	}
	if err != nil {
		return err
	}
	if err := w.tip(); err != nil {
		return err
	}
	for _, pair := range r.late {
		w.want(pair)
	}
	return w.flush()
}

// walker collects chunks.
type walker struct {
	run  *refRun
	ctx  context.Context
	out  chan<- chunk
	next chunk
}

func (w *walker) commit(c *gitcmd.CommitChanges) error {
	if c.OID == w.run.tip {
		w.run.tipNote = version(&c.Commit, "", "")
	}
	for _, v := range versionsOf(c) {
		w.next.batch.Versions = append(w.next.batch.Versions, v)
		w.want(store.Pair{Commit: v.Commit, Blob: v.Blob})
		if len(w.next.batch.Versions) >= batchNotes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// want asks for a body once.
func (w *walker) want(p store.Pair) {
	if p.Blob == "" {
		return
	}
	var key [16]byte
	sum := sha256.Sum256([]byte(p.Commit + p.Blob))
	copy(key[:], sum[:])
	if _, ok := w.run.seen[key]; ok {
		return
	}
	w.run.seen[key] = struct{}{}
	w.next.pairs = append(w.next.pairs, p)
}

func (w *walker) flush() error {
	if len(w.next.pairs) > 0 && !w.run.fresh {
		unread, err := w.run.g.cfg.DB.UnreadBodies(w.ctx, w.run.src, w.next.pairs)
		if err != nil {
			return err
		}
		w.next.pairs = unread
	}
	select {
	case w.out <- w.next:
		w.next = chunk{}
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// tip adds what the tip tree holds: all of it, or, if the old tip is at hand,
// where it differs from the old one.
func (w *walker) tip() error {
	r := w.run
	if err := r.loadTipCommit(w.ctx); err != nil {
		return err
	}
	switch {
	case r.tip == "":
		// No tree: nothing is current.
		r.whole = true
		return nil
	case r.whole:
		return r.git.Tree(w.ctx, r.tip, w.addEntry)
	}
	return w.tipChanges()
}

func (w *walker) addEntry(e gitcmd.TreeEntry) error {
	commit, ok := annotated(e.Path)
	if !ok || e.Type != "blob" || !isFile(e.Mode) {
		return nil
	}
	return w.addTip(store.TipNote{Pair: store.Pair{Commit: commit, Blob: string(e.OID)}, Depth: len(e.Path)})
}

func (w *walker) addTip(n store.TipNote) error {
	w.next.batch.Tip = append(w.next.batch.Tip, n)
	w.want(n.Pair)
	if len(w.next.batch.Tip) >= batchNotes {
		return w.flush()
	}
	return nil
}

// tipChanges adds where the new tip tree differs from the old one. If a note
// left a path it may still stand at another, so that the whole tree is then
// looked at for the commits in question.
func (w *walker) tipChanges() error {
	r := w.run
	left := map[string]bool{}
	err := r.git.DiffTrees(w.ctx, gitcmd.OID(r.old), r.tip, func(c gitcmd.Change) error {
		commit, ok := annotated(c.Path)
		if !ok {
			return nil
		}
		if c.New.IsZero() || !isFile(c.Mode) {
			left[commit] = true
			return nil
		}
		return w.addTip(store.TipNote{Pair: store.Pair{Commit: commit, Blob: string(c.New)}, Depth: len(c.Path)})
	})
	if err != nil || len(left) == 0 {
		return err
	}
	err = r.git.Tree(w.ctx, r.tip, func(e gitcmd.TreeEntry) error {
		if commit, ok := annotated(e.Path); !ok || !left[commit] {
			return nil
		}
		return w.addEntry(e)
	})
	if err != nil {
		return err
	}
	for commit := range left {
		// Counts only if no entry above names the commit.
		gone := store.TipNote{Pair: store.Pair{Commit: commit}, Depth: gitcmd.MaxPath}
		if err := w.addTip(gone); err != nil {
			return err
		}
	}
	return nil
}

// loadTipCommit reads the tip's own header if the walk did not come by it.
func (r *refRun) loadTipCommit(ctx context.Context) error {
	if r.tip == "" || r.tipNote.NotesCommit != "" {
		return nil
	}
	stop := errors.New("enough")
	err := r.git.Commits(ctx, []gitcmd.OID{r.tip}, nil, func(c *gitcmd.Commit) error {
		if c.OID != r.tip {
			return nil
		}
		r.tipNote = version(c, "", "")
		return stop
	})
	if errors.Is(err, stop) || errors.Is(err, gitcmd.ErrMissingObject) {
		return nil
	}
	return err
}

// read reads and parses the bodies of chunks and sends them as rows.
func (r *refRun) read(ctx context.Context, in <-chan chunk, out chan<- *store.Rows) error {
	reader := r.git.NewBatchReader(ctx)
	defer reader.Close()
	for c := range in {
		if err := r.readChunk(ctx, reader, c, out); err != nil {
			return err
		}
	}
	return nil
}

// readChunk sends the rows of a chunk, in parts if its bodies are large.
func (r *refRun) readChunk(ctx context.Context, reader *gitcmd.BatchReader, c chunk, out chan<- *store.Rows) error {
	send := func(rows *store.Rows) error {
		select {
		case out <- rows:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	rows, size, next := store.NewRows(r.src, c.batch), int64(0), 0
	err := reader.ReadMany(ctx, oidsOfPairs(c.pairs), notes.MaxBody, func(o gitcmd.Object) error {
		pair := c.pairs[next]
		next++
		if fault, bad := unreadable(pair, o); bad {
			rows.AddFault(fault)
			return nil
		}
		rows.AddBody(&store.Body{Pair: pair, Size: o.Size, Note: notes.Parse(r.format, pair.Commit, o.Data)})
		if size += o.Size; size < batchBytes {
			return nil
		}
		full := rows
		rows, size = store.NewRows(r.src), 0
		return send(full)
	})
	if err != nil {
		return err
	}
	return send(rows)
}

func oidsOfPairs(pairs []store.Pair) func(yield func(gitcmd.OID) bool) {
	return func(yield func(gitcmd.OID) bool) {
		for _, p := range pairs {
			if !yield(gitcmd.OID(p.Blob)) {
				return
			}
		}
	}
}

// reread reads bodies of earlier runs again for Merge, from the mirror of
// whichever repository holds them.
func (r *refRun) reread(in *store.Intake) store.Reread {
	return func(ctx context.Context, refs []store.BodyRef) error {
		for len(refs) > 0 {
			n := 1
			for n < len(refs) && refs[n].RepoID == refs[0].RepoID && refs[n].Ref == refs[0].Ref {
				n++
			}
			if err := r.rereadFrom(ctx, in, refs[:n]); err != nil {
				return err
			}
			refs = refs[n:]
		}
		return nil
	}
}

func (r *refRun) rereadFrom(ctx context.Context, in *store.Intake, refs []store.BodyRef) error {
	if refs[0].Ref == store.APIRef || refs[0].Ref == store.UploadRef {
		return nil
	}
	git := r.git
	if refs[0].RepoID != r.src.Repo.ID {
		m, err := mirror.Open(r.g.cfg.MirrorRoot, refs[0].RepoID.String())
		if err != nil {
			return err
		}
		if git, err = m.Repo(); err != nil {
			// Another daemon holds that mirror; the receipt keeps its content.
			return nil
		}
	}
	reader := git.NewBatchReader(ctx)
	defer reader.Close()
	format := notes.RefFormats[refs[0].Ref]
	for _, ref := range refs {
		o, err := reader.Read(gitcmd.OID(ref.Blob), notes.MaxBody)
		if err != nil {
			return err
		}
		if _, bad := unreadable(ref.Pair, o); bad {
			continue
		}
		body := store.Body{Pair: ref.Pair, Size: o.Size, Note: notes.Parse(format, ref.Commit, o.Data)}
		if err := in.Stage(ctx, store.NewRows(r.src, store.Batch{Bodies: []store.Body{body}})); err != nil {
			return err
		}
	}
	return nil
}
