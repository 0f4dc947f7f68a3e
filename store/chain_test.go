package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// chained is an organisation whose chain holds a few rows of every kind.
func chained(t *testing.T) *fixture {
	f := newFixture(t)
	f.take("", "t1", false, store.Batch{
		Versions: []store.Version{step(0, "c1", "b1"), step(1, "c2", "b2"), step(2, "c1", "b3"), step(3, "c2", "")},
		Tip:      tip("c1", "b3"),
		Bodies:   []store.Body{body("c1", "b1", receipt("r1", 1, "0.1")), body("c2", "b2"), body("c1", "b3", receipt("r1", 1, "0.2"), receipt("r2", 2, "0.1"))},
	})
	by := access.CLI(f.src.Org.ID)
	_, err := f.db.PostNotes(context.Background(), by, "backend", []store.PostedNote{
		{Commit: "c9", Note: notes.Note{Receipts: []notes.Receipt{receipt("p1", 3, "0.1")}}},
		{Commit: "c8", Note: notes.Note{Receipts: []notes.Receipt{receipt("p2", 4, "0.1")}}}})
	if err != nil {
		t.Fatal(err)
	}
	f.act("one.first", "a", nil)
	f.act("two.second", "b", map[string]any{"x": 1})
	f.extend()
	f.act("three.third", "c", nil)
	f.extend()
	return f
}

func (f *fixture) act(action, target string, detail any) {
	f.t.Helper()
	err := f.db.InTx(context.Background(), func(tx *store.Tx) error {
		return tx.Audit(context.Background(), access.CLI(f.src.Org.ID), action, target, detail)
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) extend() store.ChainHead {
	f.t.Helper()
	head, err := f.db.ExtendChain(context.Background(), f.src.Org.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return head
}

func (f *fixture) verify(noted *store.ChainHead) store.ChainReport {
	f.t.Helper()
	report, err := f.db.VerifyChain(context.Background(), f.src.Org.ID, noted, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

func TestChainHoldsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	f := chained(t)
	report := f.verify(nil)
	if len(report.Problems) > 0 || report.Waiting != 0 || report.Rows < 14 {
		t.Fatalf("the untouched chain: %+v", report)
	}
	f.act("four.fourth", "d", nil)
	if report := f.verify(&report.Head); len(report.Problems) > 0 || report.Waiting != 1 {
		t.Errorf("with one act that waits: %+v", report)
	}
	before := report.Head
	if head := f.extend(); head.Position != before.Position+1 {
		t.Errorf("laying one act moved the head from %d to %d", before.Position, head.Position)
	}
	if head := f.extend(); head.Position != before.Position+1 {
		t.Error("laying nothing moved the head")
	}
	if report := f.verify(&before); len(report.Problems) > 0 {
		t.Errorf("a head that was noted before: %+v", report.Problems)
	}
}

// unproven are the columns that the chain leaves out, with what proves them
// instead or why they change.
var unproven = map[string]string{
	"note_versions.current":          "follows from the notes ref",
	"note_versions.author_name":      "the id of the notes commit",
	"note_versions.author_email":     "the id of the notes commit",
	"note_bodies.parser":             "says which program read the body",
	"receipt_commits.current":        "follows from the notes ref",
	"receipt_commits.notes_commit":   "follows from the versions",
	"receipt_commits.noted_at":       "follows from the versions",
	"receipt_commits.first_noted_at": "follows from the versions",
}

// TestChainCatchesEveryChange changes every column of every chained row, one
// after the other, and takes every row out.
func TestChainCatchesEveryChange(t *testing.T) {
	t.Parallel()
	f := chained(t)
	f.tampering(func(tamper func(name, seq string, statements ...string)) {
		for _, table := range []string{"audit_log", "note_versions", "note_bodies", "receipt_commits", "audit_links"} {
			for _, column := range f.rows(`SELECT column_name || ':' || data_type FROM information_schema.columns
				WHERE table_name = '` + table + `' AND table_schema = 'public' ORDER BY 1`) {
				name, kind, _ := strings.Cut(column, ":")
				if unproven[table+"."+name] != "" {
					continue
				}
				rows := `SELECT ctid::text FROM ` + table
				if name == "seq" {
					rows += ` WHERE seq IS NOT NULL`
				}
				for _, row := range f.rows(rows) {
					tamper(table+"."+name, "", fmt.Sprintf(`UPDATE %s SET %s = %s WHERE ctid = '%s'`, table, name, otherValue(name, kind), row))
				}
			}
			for _, row := range f.rows(`SELECT ctid::text FROM ` + table) {
				tamper(table+" without a row", "", fmt.Sprintf(`DELETE FROM %s WHERE ctid = '%s'`, table, row))
			}
		}
	})
}

// otherValue is an expression whose value the column has not.
func otherValue(column, kind string) string {
	switch {
	case column == "salt":
		return "gen_random_uuid()"
	case column == "commitment":
		return `'\x00'`
	case column == "kind":
		return "CASE kind WHEN 'acts' THEN 'versions' ELSE 'acts' END"
	case kind == "ARRAY":
		return column + " || 99::bigint"
	case kind == "jsonb":
		return `coalesce(detail, '{}') || '{"other": true}'`
	case kind == "bytea":
		return column + ` || '\x01'`
	case kind == "uuid":
		return "gen_random_uuid()"
	case kind == "text":
		return "coalesce(" + column + ", '') || 'x'"
	case strings.HasPrefix(kind, "timestamp"):
		return column + " + interval '1 microsecond'"
	default:
		return "coalesce(" + column + ", 0) + 1000"
	}
}

func TestChainCatchesInsertionsAndReorders(t *testing.T) {
	t.Parallel()
	f := chained(t)
	f.tampering(func(tamper func(name, seq string, statements ...string)) {
		tamper("an act past the chain", "-1", `INSERT INTO audit_log (org_id, seq, principal, action, target) OVERRIDING SYSTEM VALUE
			SELECT org_id, -1, principal, action, target FROM audit_log LIMIT 1`)
		tamper("a version past the chain", "-1", `INSERT INTO note_versions SELECT (jsonb_populate_record(v, '{"seq": -1, "notes_commit": "x", "current": false}')).*
			FROM note_versions v LIMIT 1`)
		tamper("a body past the chain", "-1", `INSERT INTO note_bodies SELECT (jsonb_populate_record(v, '{"seq": -1, "blob": "x"}')).* FROM note_bodies v LIMIT 1`)
		tamper("a receipt in a body", "", `INSERT INTO receipt_commits SELECT (jsonb_populate_record(v, '{"receipt_id": "p1"}')).*
			FROM receipt_commits v WHERE blob = 'b3' LIMIT 1`)
		tamper("a posted receipt past the chain", "-1", `INSERT INTO receipt_commits SELECT (jsonb_populate_record(v, '{"receipt_id": "r1", "seq": -1}')).*
			FROM receipt_commits v WHERE ref = 'api' LIMIT 1`)
		tamper("a receipt that is gone", "", `DELETE FROM receipts WHERE id = 'r1'`)
		tamper("a receipt with another hash", "", `UPDATE receipts SET content_hash = '\x00' WHERE id = 'r1'`)
		for _, table := range []string{"audit_log", "note_versions", "note_bodies", "receipt_commits"} {
			seqs := f.rows(`SELECT seq::text FROM ` + table + ` WHERE seq IS NOT NULL ORDER BY seq`)
			for i, a := range seqs {
				for _, b := range seqs[i+1:] {
					tamper(table+" in another order", a, `UPDATE `+table+` SET seq = -7 WHERE seq = `+a,
						`UPDATE `+table+` SET seq = `+a+` WHERE seq = `+b, `UPDATE `+table+` SET seq = `+b+` WHERE seq = -7`)
				}
			}
		}
		links := f.rows(`SELECT position::text FROM audit_links ORDER BY position`)
		for i, a := range links {
			for _, b := range links[i+1:] {
				tamper("links in another order", "", `UPDATE audit_links SET position = -7 WHERE position = `+a,
					`UPDATE audit_links SET position = `+a+` WHERE position = `+b, `UPDATE audit_links SET position = `+b+` WHERE position = -7`)
			}
		}
	})
}

// tampering hands fn a way to change the database that no trigger stops, to see
// that the chain tells, and to take the change back. seq is that of a row that
// must be named.
func (f *fixture) tampering(fn func(tamper func(name, seq string, statements ...string))) {
	ctx := context.Background()
	type forgery struct {
		name, seq  string
		statements []string
	}
	var forgeries []forgery
	fn(func(name, seq string, statements ...string) {
		forgeries = append(forgeries, forgery{name, seq, statements})
	})
	undo := errors.New("taken back")
	err := f.db.InTx(ctx, func(tx *store.Tx) error {
		for _, statement := range []string{
			`ALTER TABLE audit_log DISABLE TRIGGER USER`, `ALTER TABLE audit_links DISABLE TRIGGER USER`,
			`ALTER TABLE audit_log ALTER seq SET GENERATED BY DEFAULT, DROP CONSTRAINT audit_log_salt_check`,
			`ALTER TABLE note_versions ALTER seq SET GENERATED BY DEFAULT`, `ALTER TABLE note_bodies ALTER seq SET GENERATED BY DEFAULT`,
			`DROP INDEX note_versions_current`} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		for _, forged := range forgeries {
			f.tamper(tx, forged.name, forged.seq, forged.statements)
		}
		return undo
	})
	if !errors.Is(err, undo) {
		f.t.Fatal(err)
	}
}

func (f *fixture) tamper(tx *store.Tx, name, seq string, statements []string) {
	f.t.Helper()
	ctx := context.Background()
	save, err := tx.Begin(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, statement := range statements {
		tag, err := save.Exec(ctx, statement)
		if err != nil {
			f.t.Fatalf("%s: %s: %v", name, statement, err)
		}
		if tag.RowsAffected() != 1 {
			f.t.Fatalf("%s: %s changed %d rows", name, statement, tag.RowsAffected())
		}
	}
	report, err := (&store.Tx{Tx: save}).VerifyChain(ctx, f.src.Org.ID)
	if err != nil {
		f.t.Fatalf("%s: %v", name, err)
	}
	named := func(p store.ChainProblem) bool { return seq == "" || fmt.Sprint(p.Seq) == seq }
	if !slices.ContainsFunc(report.Problems, named) {
		f.t.Errorf("%s went unseen: %s: %+v", name, statements, report.Problems)
	}
	if err := save.Rollback(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// TestChainThatIsCutOrLaidAnewDiffersFromANotedHead is about those who may do
// everything with the database: only what was noted elsewhere convicts them.
func TestChainThatIsCutOrLaidAnewDiffersFromANotedHead(t *testing.T) {
	t.Parallel()
	f := chained(t)
	noted := f.verify(nil).Head
	f.exec(`ALTER TABLE audit_links DISABLE TRIGGER USER`)
	f.exec(`ALTER TABLE audit_log DISABLE TRIGGER USER`)
	f.exec(`UPDATE audit_log SET target = 'forged' WHERE target = 'c'`)
	f.exec(`INSERT INTO audit_pending SELECT org_id, unnest(seqs) FROM audit_links WHERE kind = 'acts'`)
	f.exec(`DELETE FROM audit_links`)
	f.extend()
	if report := f.verify(nil); len(report.Problems) > 0 {
		t.Errorf("a chain that was laid anew holds by itself: %+v", report.Problems)
	}
	report := f.verify(&noted)
	if len(report.Problems) != 1 || report.Problems[0].Problem != "head_differs" {
		t.Errorf("with a noted head: %+v", report.Problems)
	}
}

func (f *fixture) exec(sql string) {
	f.t.Helper()
	if _, err := f.db.Pool().Exec(context.Background(), sql); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

func TestActsCannotBeChanged(t *testing.T) {
	t.Parallel()
	f := chained(t)
	for _, sql := range []string{
		`UPDATE audit_log SET target = 'x'`, `DELETE FROM audit_log`, `TRUNCATE audit_log`,
		`UPDATE audit_log SET salt = NULL, commitment = '\x00', erasures = erasures || seq`,
		`UPDATE audit_links SET hash = '\x00'`, `DELETE FROM audit_links`, `TRUNCATE audit_links`,
	} {
		if _, err := f.db.Pool().Exec(context.Background(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestChainHasNoForks lets several lay while others act.
func TestChainHasNoForks(t *testing.T) {
	t.Parallel()
	f := chained(t)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 20 {
				f.act("storm.act", fmt.Sprint(n, " ", i), nil)
				f.extend()
			}
		})
	}
	wg.Wait()
	f.extend()
	if report := f.verify(nil); len(report.Problems) > 0 || report.Waiting != 0 {
		t.Errorf("after a storm: %+v", report)
	}
	f.want(`SELECT count(DISTINCT seq)::text FROM (SELECT unnest(seqs) AS seq FROM audit_links WHERE kind = 'acts') s
		JOIN audit_log USING (seq) WHERE action = 'storm.act'`, "80")
}

// TestLateActsAreLaid: a transaction may commit behind one with a higher number.
func TestLateActsAreLaid(t *testing.T) {
	t.Parallel()
	f := chained(t)
	ctx := context.Background()
	late, err := f.db.Pool().Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	err = (&store.Tx{Tx: late}).Audit(ctx, access.CLI(f.src.Org.ID), "late.act", "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	f.act("early.act", "y", nil)
	f.extend()
	if err := late.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if report := f.verify(nil); len(report.Problems) > 0 || report.Waiting != 1 {
		t.Errorf("before the late act is laid: %+v", report)
	}
	f.extend()
	if report := f.verify(nil); len(report.Problems) > 0 || report.Waiting != 0 {
		t.Errorf("after it: %+v", report)
	}
}

func TestUploadsComeIntoTheChainWithTheirRepository(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	by := access.CLI(f.src.Org.ID)
	commit := strings.Repeat("c", 40)
	upload := store.Upload{Commit: commit, Blob: "b1", Content: []byte("{}"), Note: notes.Note{Format: notes.FormatGitAI, Receipts: []notes.Receipt{receipt("r1", 1, "0.1")}}}
	if err := f.db.TakeUploads(ctx, by, []store.Upload{upload}); err != nil {
		t.Fatal(err)
	}
	f.extend()
	f.want(`SELECT count(*)::text FROM audit_links WHERE kind <> 'acts'`, "0")
	f.exec(`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email,
		committed_at, subject, bot) SELECT org_id, id, '` + commit + `', '{}', '', '', now(), '', '', now(), '', false FROM repos WHERE name = 'backend'`)
	_, err := f.db.AttachUploads(ctx, by, f.src.Repo.ID, func(string, []byte) notes.Note { return upload.Note })
	if err != nil {
		t.Fatal(err)
	}
	f.extend()
	f.want(`SELECT kind FROM audit_links WHERE kind <> 'acts' ORDER BY position`, "versions", "bodies")
	if report := f.verify(nil); len(report.Problems) > 0 {
		t.Errorf("%+v", report.Problems)
	}
}

func TestActsAreFound(t *testing.T) {
	t.Parallel()
	f := chained(t)
	for _, c := range []struct {
		filter store.AuditFilter
		want   []string
	}{
		{store.AuditFilter{Action: "two.second"}, []string{"two.second"}},
		{store.AuditFilter{Action: "t*"}, []string{"three.third", "two.second"}},
		{store.AuditFilter{Action: "%*"}, nil},
		{store.AuditFilter{Target: "a"}, []string{"one.first"}},
		{store.AuditFilter{Principal: "cli", Action: "o*"}, []string{"one.first", "org.create"}},
		{store.AuditFilter{Principal: "nobody"}, nil},
		{store.AuditFilter{To: start}, nil},
		{store.AuditFilter{From: start, Target: "c"}, []string{"three.third"}},
	} {
		rows, err := f.db.AuditRows(context.Background(), f.src.Org.ID, c.filter, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, r.Action)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.filter, diff)
		}
	}
}

// BenchmarkChain lays and compares acts, and tells how many a second.
func BenchmarkChain(b *testing.B) {
	ctx := context.Background()
	db := storetest.Open(b)
	org := storetest.MustOrg(b, db, "acme")
	const acts = 100_000
	for range b.N {
		if _, err := db.Pool().Exec(ctx, `INSERT INTO audit_log (org_id, principal, action, target, detail)
			SELECT $1, 'daemon', 'push.accept', 'repo', jsonb_build_object('decision', gen_random_uuid(), 'pusher', 'ada@example.com')
			FROM generate_series(1, $2)`, org.ID, acts); err != nil {
			b.Fatal(err)
		}
		began := b.Elapsed()
		if _, err := db.ExtendChain(ctx, org.ID); err != nil {
			b.Fatal(err)
		}
		laid := b.Elapsed()
		report, err := db.VerifyChain(ctx, org.ID, nil, nil)
		if err != nil || len(report.Problems) > 0 {
			b.Fatal(err, report.Problems)
		}
		b.ReportMetric(acts/(laid-began).Seconds(), "laid/s")
		b.ReportMetric(float64(report.Rows)/(b.Elapsed()-laid).Seconds(), "compared/s")
	}
}
