package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// receipt is a small receipt of one session whose prompt is the number.
func receipt(id string, prompt int64, cost string) notes.Receipt {
	tokens := int64(100)
	return notes.Receipt{ID: id, Provider: "claude", Model: "claude-opus-4-6", SessionID: "s1", PromptNumber: &prompt,
		CostUSD: cost, InputTokens: &tokens, Timestamp: start, UserEmail: "Dev@Example.com", UserName: "Dev",
		Files: []notes.FileChange{{Path: "a.go", LineStart: 1, LineEnd: 9}}}
}

func body(commit, blob string, receipts ...notes.Receipt) store.Body {
	for i := range receipts {
		receipts[i].Index = i
	}
	return store.Body{Pair: store.Pair{Commit: commit, Blob: blob}, Size: 10,
		Note: notes.Note{Format: notes.FormatBlamePrompt, FormatVersion: "1.0.1", Receipts: receipts}}
}

// step is one notes commit after start: what it did to which commit.
func step(n int, commit, blob string) store.Version {
	at := start.Add(time.Duration(n) * time.Minute)
	return store.Version{Commit: commit, NotesCommit: string(rune('a'+n)) + "-notes", Blob: blob, AuthorName: "Dev",
		AuthoredAt: at, CommittedAt: at}
}

// fixture is a repository in an organisation of its own.
type fixture struct {
	t   *testing.T
	db  *store.DB
	src store.Source
	dsn string
}

func newFixture(t *testing.T) *fixture {
	dsn := storetest.DSN(t)
	db := storetest.OpenDSN(t, dsn)
	org := storetest.MustOrg(t, db, "acme")
	repo := storetest.MustRepo(t, db, org, "backend", "https://git.example.com/backend.git")
	return &fixture{t: t, db: db, dsn: dsn, src: store.Source{Org: org, Repo: repo, Ref: "refs/notes/blameprompt"}}
}

// take runs one intake from the tip old to tip.
func (f *fixture) take(old, tip string, whole bool, batches ...store.Batch) {
	f.t.Helper()
	ctx := context.Background()
	err := f.db.Intake(ctx, f.src, func(in *store.Intake) error {
		if err := in.MoveTip(ctx, old, tip); err != nil {
			return err
		}
		for _, b := range batches {
			if err := in.Stage(ctx, store.NewRows(f.src, b)); err != nil {
				return err
			}
		}
		return in.Merge(ctx, store.MergeOptions{WholeTip: whole, TipVersion: step(25, "", "")},
			func(_ context.Context, refs []store.BodyRef) error {
				f.t.Errorf("asked to read %v again", refs)
				return nil
			})
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// rows returns a query's rows as text, one string each.
func (f *fixture) rows(sql string) []string {
	f.t.Helper()
	rows, err := f.db.Pool().Query(context.Background(), sql)
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fixture) want(sql string, want ...string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.rows(sql), cmpopts.EquateEmpty()); diff != "" {
		f.t.Errorf("%s (-want +got):\n%s", sql, diff)
	}
}

func tip(pairs ...string) []store.TipNote {
	var notes []store.TipNote
	for i := 0; i < len(pairs); i += 2 {
		notes = append(notes, store.TipNote{Pair: store.Pair{Commit: pairs[i], Blob: pairs[i+1]}})
	}
	return notes
}

const (
	receiptState = `SELECT id || ' ' || commit_hash || ' ' || blob || ' ' || current FROM receipts ORDER BY id`
	versionState = `SELECT commit || ' ' || coalesce(blob, '-') || ' ' || current FROM note_versions ORDER BY commit, notes_commit`
	totalState   = `SELECT receipts || ' ' || receipts_current || ' ' || prompts || ' ' || cost_usd::float FROM rollups
		WHERE dimension = 'all' AND repo_id = '00000000-0000-0000-0000-000000000000' AND receipts <> 0`
	promptState = `SELECT receipt_id || ' ' || receipts || ' ' || cost_usd FROM prompts ORDER BY receipt_id`
)

func TestAReceiptThatLeavesTheTipIsKeptAsSuperseded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := body("c1", "b1", receipt("r1", 1, "0.5"), receipt("r2", 2, "0.25"))
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Bodies: []store.Body{first}, Tip: tip("c1", "b1")})
	f.want(receiptState, "r1 c1 b1 true", "r2 c1 b1 true")
	f.want(totalState, "2 2 2 0.75")

	// An amend: the note moves to c2 and loses r2.
	second := body("c2", "b2", receipt("r1", 1, "0.5"))
	f.take("t1", "t2", false, store.Batch{
		Versions: []store.Version{step(2, "c2", "b2"), step(3, "c1", "")},
		Bodies:   []store.Body{second}, Tip: tip("c2", "b2", "c1", "")})
	f.want(versionState, "c1 b1 false", "c1 - false", "c2 b2 true")
	f.want(receiptState, "r1 c2 b2 true", "r2 c1 b1 false")
	f.want(totalState, "2 1 2 0.75")
}

func TestAPromptCountsItsLargestReportOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", receipt("r1", 7, "0.5"), receipt("r2", 7, "0.75"))}})
	f.want(promptState, "r2 2 0.75")
	f.want(totalState, "2 2 1 0.75")

	// The same receipt with other content: the version at the tip counts.
	f.take("t1", "t2", false, store.Batch{Versions: []store.Version{step(2, "c1", "b2")}, Tip: tip("c1", "b2"),
		Bodies: []store.Body{body("c1", "b2", receipt("r1", 7, "0.5"), receipt("r2", 8, "0.125"))}})
	f.want(promptState, "r1 1 0.5", "r2 1 0.125")
	f.want(totalState, "2 2 2 0.625")
}

func TestIntakeTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	batch := store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", receipt("r1", 1, "0.5"))}}
	f.take("", "t1", true, batch, batch)
	before := f.rows(`SELECT to_jsonb(r)::text FROM receipts r`)
	f.take("t1", "t2", true, batch)
	if diff := cmp.Diff(before, f.rows(`SELECT to_jsonb(r)::text FROM receipts r`)); diff != "" {
		t.Errorf("a repeated intake changed the receipt (-before +after):\n%s", diff)
	}
	f.want(totalState, "1 1 1 0.5")
}

func TestOneOfTwoIntakesFromOneTipFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{})
	err := f.db.Intake(context.Background(), f.src, func(in *store.Intake) error {
		return in.MoveTip(context.Background(), "", "t2")
	})
	if !errors.Is(err, store.ErrMoved) {
		t.Errorf("moving the tip from a stale one = %v, want ErrMoved", err)
	}
}

func TestAGitNoteTakesAPostedReceiptOver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	by := access.CLI(f.src.Org.ID)
	post := func() int {
		note := notes.Note{Format: notes.FormatBlamePrompt, Receipts: []notes.Receipt{receipt("r1", 1, "9")}}
		n, err := f.db.PostNotes(context.Background(), by, "backend", []store.PostedNote{{Commit: "c1", Note: note}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if a, b := post(), post(); a != 1 || b != 0 {
		t.Errorf("posting a receipt twice accepted %d and %d, want 1 and 0", a, b)
	}
	const sources = `SELECT id || ' ' || source || ' ' || current || ' ' || cost_usd FROM receipts`
	f.want(sources, "r1 api true 9")
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", receipt("r1", 1, "0.5"))}})
	f.want(sources, "r1 blameprompt true 0.5")
	f.want(totalState, "1 1 1 0.5")
}

func TestUploadedNotesWaitForTheirCommit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t)
	by := access.CLI(f.src.Org.ID)
	parse := func(commit string, _ []byte) notes.Note {
		r := receipt("git-ai:"+commit, 1, "")
		return notes.Note{Format: notes.FormatGitAI, Receipts: []notes.Receipt{r},
			Attestations: []notes.Attestation{{Path: "a.go", Class: notes.ClassAI, ReceiptID: r.ID, Lines: []notes.LineRange{{First: 1, Last: 4}}}}}
	}
	for _, content := range []string{"one", "two"} {
		up := store.Upload{Commit: "c9", Blob: "blob-" + content, Content: []byte(content), Note: parse("c9", nil)}
		if err := f.db.TakeUploads(ctx, by, []store.Upload{up}); err != nil {
			t.Fatal(err)
		}
	}
	const homes = `SELECT repo || ' ' || blob || ' ' || current FROM receipts`
	f.want(homes, "unattached notes blob-two true")

	err := f.db.TakeBranches(ctx, f.src.Org.ID, f.src.Repo.ID, map[string]string{"refs/heads/main": "c9"},
		func(add func([]store.NewCommit) error) error {
			return add([]store.NewCommit{{Commit: "c9", Parents: []string{}, AuthoredAt: start, CommittedAt: start}})
		})
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.db.AttachUploads(ctx, by, f.src.Repo.ID, parse)
	if err != nil || n != 1 {
		t.Fatalf("AttachUploads = %d, %v, want 1", n, err)
	}
	f.want(homes, "backend blob-two true")
	f.want(`SELECT p.name || ' ' || v.blob || ' ' || v.current FROM note_versions v JOIN repos p ON p.id = v.repo_id ORDER BY v.notes_commit`,
		"backend blob-one false", "backend blob-two true")
	f.want(totalState, "1 1 1 0")
	got, err := f.db.UploadedNotes(ctx, f.src.Org.ID, []string{"c9", "c8"})
	if diff := cmp.Diff(map[string][]byte{"c9": []byte("two")}, got); diff != "" || err != nil {
		t.Errorf("UploadedNotes (-want +got), %v:\n%s", err, diff)
	}
}

func TestOfUploadsAtOnceTheLastNumberIsCurrent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t)
	by := access.CLI(f.src.Org.ID)
	var writers sync.WaitGroup
	for n := range 12 {
		writers.Go(func() {
			up := store.Upload{Commit: "c1", Blob: fmt.Sprintf("blob-%d", n), Content: []byte(fmt.Sprint(n)), Note: notes.Note{Format: notes.FormatGitAI}}
			if err := f.db.TakeUploads(ctx, by, []store.Upload{up}); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	current := f.rows(`SELECT v.blob FROM note_versions v WHERE v.current`)
	last := f.rows(`SELECT blob FROM note_uploads ORDER BY seq DESC LIMIT 1`)
	if diff := cmp.Diff(last, current); diff != "" {
		t.Errorf("current notes (-last upload +current):\n%s", diff)
	}
}

// The receipt's best body is one that cannot be read again: its content stays
// what it was, and it is current no more.
func TestAReceiptWhoseBodyIsGoneKeepsItsContentAndIsSuperseded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1"), step(2, "c1", "b2")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", receipt("r1", 1, "1")), body("c1", "b2", receipt("r1", 1, "2"))}})
	f.want(`SELECT id || ' ' || current || ' ' || cost_usd FROM receipts`, "r1 true 1")
	err := f.db.Intake(ctx, f.src, func(in *store.Intake) error {
		rows := store.NewRows(f.src, store.Batch{Versions: []store.Version{step(3, "c1", "")}, Tip: tip("c1", "")})
		if err := in.Stage(ctx, rows); err != nil {
			return err
		}
		return in.Merge(ctx, store.MergeOptions{TipVersion: step(25, "", "")}, func(context.Context, []store.BodyRef) error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	f.want(`SELECT id || ' ' || current || ' ' || cost_usd FROM receipts`, "r1 false 1")
	f.want(totalState, "1 0 1 1")
}
