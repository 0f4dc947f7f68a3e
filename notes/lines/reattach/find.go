package reattach

import (
	"context"
	"time"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// clockSkew is by how much the clocks of those who make commits may differ: a
// commit that is older than another by more is not made of it.
const clockSkew = 10 * time.Minute

// run looks for the notes of one repository that were left behind.
type run struct {
	db     *store.DB
	state  store.ReattachState
	mirror *mirror.Mirror
	git    *gitcmd.Repo

	heads []gitcmd.OID
	// graph is what branches left behind, as far as notes speak of it.
	graph *graph
	// notes are those of commits that no branch reaches, by commit.
	notes map[gitcmd.OID][]store.LastNote
	// gone are their commits that the mirror has not got.
	gone  map[gitcmd.OID]bool
	known map[key]*store.Reattachment
	found *findings
}

// key names a reattachment.
type key struct{ ref, from, to string }

func keyOf(m store.NoteMove) key { return key{m.Ref, m.Commit, m.To} }

// findings are what was found, in the order in which it was.
type findings struct {
	at  map[key]*store.Reattachment
	all []*store.Reattachment
}

// add adds what is not found yet and returns it: the first way in which a note
// was found says how.
func (f *findings) add(r store.Reattachment) *store.Reattachment {
	k := keyOf(r.NoteMove)
	if f.at[k] == nil {
		f.at[k] = &r
		f.all = append(f.all, &r)
	}
	return f.at[k]
}

// find returns all reattachments of the repository as it is now.
func (r *run) find(ctx context.Context) ([]store.Reattachment, error) {
	r.found = &findings{at: map[key]*store.Reattachment{}}
	if err := r.readSources(ctx); err != nil || len(r.notes) == 0 {
		return nil, err
	}
	if err := r.readKnown(ctx); err != nil {
		return nil, err
	}
	if err := r.findMoved(ctx); err != nil {
		return nil, err
	}
	if err := r.findPatches(ctx); err != nil {
		return nil, err
	}
	if err := r.findBlobs(ctx); err != nil {
		return nil, err
	}
	r.keepGone()
	if err := r.reportGone(ctx); err != nil {
		return nil, err
	}
	return r.onBranches(ctx)
}

// readSources reads which commits with notes no branch reaches.
func (r *run) readSources(ctx context.Context) error {
	refs, err := r.git.Refs(ctx, "refs/heads/")
	if err != nil || len(refs) == 0 {
		return err
	}
	for _, ref := range refs {
		r.heads = append(r.heads, ref.OID)
	}
	last, err := r.db.LastNotes(ctx, r.state.OrgID, r.state.RepoID)
	if err != nil {
		return err
	}
	byCommit := map[gitcmd.OID][]store.LastNote{}
	var noted []gitcmd.OID
	for _, n := range last {
		oid := gitcmd.OID(n.Commit)
		if byCommit[oid] == nil {
			noted = append(noted, oid)
		}
		byCommit[oid] = append(byCommit[oid], n)
	}
	there, err := r.there(ctx, noted)
	if err != nil {
		return err
	}
	tips, err := r.mirror.Left(ctx)
	if err != nil {
		return err
	}
	has := setOf(there)
	broken := func(oid gitcmd.OID) { delete(has, oid) }
	if r.graph, err = readGraph(ctx, r.git, there, tips, r.heads, broken); err != nil {
		return err
	}
	r.notes, r.gone = map[gitcmd.OID][]store.LastNote{}, map[gitcmd.OID]bool{}
	for _, oid := range noted {
		if r.gone[oid] = !has[oid]; r.gone[oid] || r.graph.has(oid) {
			r.notes[oid] = byCommit[oid]
		}
	}
	return nil
}

func setOf(oids []gitcmd.OID) map[gitcmd.OID]bool {
	set := make(map[gitcmd.OID]bool, len(oids))
	for _, oid := range oids {
		set[oid] = true
	}
	return set
}

// there returns those of the commits that the mirror has.
func (r *run) there(ctx context.Context, oids []gitcmd.OID) ([]gitcmd.OID, error) {
	reader := r.git.NewBatchReader(ctx)
	defer reader.Close()
	var there []gitcmd.OID
	err := reader.ReadMany(ctx, func(yield func(gitcmd.OID) bool) {
		for _, oid := range oids {
			if !yield(oid) {
				return
			}
		}
	}, 0, func(o gitcmd.Object) error {
		if o.Type == "commit" {
			there = append(there, o.OID)
		}
		return nil
	})
	return there, err
}

// sources lists the notes that were left behind, in a fixed order.
func (r *run) sources() []store.LastNote {
	var all []store.LastNote
	for _, oid := range sorted(r.notes) {
		all = append(all, r.notes[oid]...)
	}
	return all
}

func (r *run) readKnown(ctx context.Context) error {
	known, err := r.db.KnownReattachments(ctx, r.state.OrgID, r.state.RepoID)
	r.known = make(map[key]*store.Reattachment, len(known))
	for i := range known {
		r.known[keyOf(known[i].NoteMove)] = &known[i]
	}
	return err
}

// findMoved finds what the history of the notes refs says.
func (r *run) findMoved(ctx context.Context) error {
	moves, err := r.db.MovedNotes(ctx, r.state.OrgID, r.state.RepoID, r.sources())
	for _, m := range moves {
		r.found.add(store.Reattachment{NoteMove: m, How: store.ByNotesHistory})
	}
	return err
}

// findBlobs finds the commits that brought content which receipts recorded.
func (r *run) findBlobs(ctx context.Context) error {
	moves, err := r.db.NotesByBlob(ctx, r.state.OrgID, r.state.RepoID, r.sources(), clockSkew)
	for _, m := range moves {
		r.found.add(store.Reattachment{NoteMove: m, How: store.ByBlob})
	}
	return err
}

// keepGone keeps what was found of commits that the mirror has lost since: their
// changes can be compared no more.
func (r *run) keepGone() {
	for _, k := range r.known {
		from := gitcmd.OID(k.Commit)
		if k.How != store.ByPatchID || !r.gone[from] {
			continue
		}
		for _, n := range r.notes[from] {
			if n.Ref == k.Ref {
				r.found.add(store.Reattachment{NoteMove: store.NoteMove{Ref: k.Ref, Commit: k.Commit, Blob: n.Blob, To: k.To},
					How: k.How, Squash: k.Squash})
			}
		}
	}
}

// onBranches returns what was found of commits that branches reach and whose
// own note nobody took away.
func (r *run) onBranches(ctx context.Context) ([]store.Reattachment, error) {
	targets := map[gitcmd.OID]bool{}
	for _, f := range r.found.all {
		targets[gitcmd.OID(f.To)] = true
	}
	on, err := r.reached(ctx, sorted(targets))
	if err != nil {
		return nil, err
	}
	withdrawn, err := r.db.WithdrawnNotes(ctx, r.state.OrgID, r.state.RepoID, texts(sorted(on)))
	if err != nil {
		return nil, err
	}
	var kept []store.Reattachment
	for _, f := range r.found.all {
		if on[gitcmd.OID(f.To)] && !withdrawn[[2]string{f.Ref, f.To}] {
			kept = append(kept, *f)
		}
	}
	return kept, nil
}

// reached returns those of the commits that branches reach.
func (r *run) reached(ctx context.Context, oids []gitcmd.OID) (map[gitcmd.OID]bool, error) {
	there, err := r.there(ctx, oids)
	if err != nil {
		return nil, err
	}
	on := setOf(there)
	err = r.git.RevList(ctx, gitcmd.Walk{Include: there, Exclude: r.heads}, func(oid gitcmd.OID, _ []gitcmd.OID) error {
		delete(on, oid)
		return nil
	})
	return on, err
}

// The findings of this package, documented in docs/findings.md.
const (
	codeGone      = "left_commit_gone"
	codeUnread    = "left_commit_unreadable"
	codeAmbiguous = "left_note_ambiguous"
)

// maxFaults bounds the findings of one run: after the loss of a mirror all
// commits that were left behind are gone.
const maxFaults = 1000

// reportGone tells of commits that were on a branch and are in the mirror no
// more, unless it is known what became of them.
func (r *run) reportGone(ctx context.Context) error {
	explained := map[string]bool{}
	for _, f := range r.found.all {
		explained[f.Commit] = true
	}
	var faults []store.Fault
	for _, n := range r.sources() {
		if r.gone[gitcmd.OID(n.Commit)] && n.Known && !explained[n.Commit] && len(faults) < maxFaults {
			faults = append(faults, fault(n, codeGone, "The mirror has lost this commit, which no branch reaches any more. "+
				"What became of it can only be told by the history of the notes and by content that receipts recorded."))
		}
	}
	return r.record(ctx, faults)
}

func fault(n store.LastNote, code, message string) store.Fault {
	return store.Fault{Pair: store.Pair{Commit: n.Commit, Blob: n.Blob},
		Finding: notes.Finding{Code: code, Severity: notes.Info, Message: message, Where: n.Ref}}
}

func (r *run) record(ctx context.Context, faults []store.Fault) error {
	src := store.Source{Org: store.Org{ID: r.state.OrgID}, Repo: store.Repo{ID: r.state.RepoID}}
	return r.db.RecordFaults(ctx, src, faults...)
}
