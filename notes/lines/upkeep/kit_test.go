package upkeep_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// world is a mirror, and a store that is told of its branch.
type world struct {
	t      testing.TB
	db     *store.DB
	org    store.Org
	repo   store.Repo
	f      *gittest.Fixture
	keeper *upkeep.Keeper
}

func newWorld(t testing.TB, files live.Options, make func(...gittest.Option) *gittest.Fixture) *world {
	t.Helper()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	root := t.TempDir()
	w := &world{t: t, db: db, org: org, repo: storetest.MustRepo(t, db, org, "backend", "/remote"),
		keeper: upkeep.New(upkeep.Config{DB: db, MirrorRoot: root, Files: files})}
	w.f = make(gittest.In(filepath.Join(root, w.repo.ID.String()+".git")))
	w.exec(`UPDATE repos SET default_branch = 'refs/heads/main' WHERE id = $1`, w.repo.ID)
	return w
}

func fixture(t testing.TB) func(...gittest.Option) *gittest.Fixture {
	return func(o ...gittest.Option) *gittest.Fixture { return gittest.New(t, o...) }
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatalf("%v\n%s", err, sql)
	}
}

// take stores commits as ingest would, and that a branch is at tip; "" is none.
func (w *world) take(ref string, tip gitcmd.OID, commits ...gitcmd.OID) {
	w.t.Helper()
	tips := map[string]string{}
	if tip != "" {
		tips[ref] = string(tip)
	}
	err := w.db.TakeBranches(context.Background(), w.org.ID, w.repo.ID, tips, func(add func([]store.NewCommit) error) error {
		if len(commits) == 0 {
			return nil
		}
		var batch []store.NewCommit
		err := w.f.Repo.Commits(context.Background(), commits, nil, func(c *gitcmd.Commit) error {
			batch = append(batch, store.NewCommit{Commit: string(c.OID), AuthorEmail: c.AuthorEmail, AuthoredAt: c.AuthorTime,
				CommittedAt: c.CommitTime, Parents: []string{}})
			return nil
		})
		if err != nil {
			return err
		}
		return add(batch)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) keep() {
	w.t.Helper()
	if err := w.keeper.Keep(context.Background(), w.org.ID, w.repo.ID, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state() store.LiveMap {
	w.t.Helper()
	m, err := w.db.LiveMap(context.Background(), w.org.ID, w.repo.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// origin is where a line comes from.
type origin struct {
	commit, path string
	line         int
}

// owned is a line with its owner.
type owned struct {
	origin
	class, receipt string
}

// lines are the stored lines of each file.
func (w *world) lines() map[string][]owned {
	w.t.Helper()
	rows, err := w.db.Pool().Query(context.Background(), `
		SELECT path, n, commit_id, origin_path, origin_line + (n - first), class, receipt_id
		FROM live_runs, generate_series(first, last) n WHERE repo_id = $1 ORDER BY path, n`, w.repo.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string][]owned{}
	var path, from []byte
	var n int
	var o owned
	_, err = pgx.ForEachRow(rows, []any{&path, &n, &o.commit, &from, &o.line, &o.class, &o.receipt}, func() error {
		o := o
		o.path = string(from)
		out[string(path)] = append(out[string(path)], o)
		if len(out[string(path)]) != n {
			return fmt.Errorf("%q has no line %d", path, len(out[string(path)]))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// removed are the stored removed lines and the tips that lacked them.
func (w *world) removed() map[owned]string {
	w.t.Helper()
	rows, err := w.db.Pool().Query(context.Background(), `
		SELECT commit_id, origin_path, n, class, receipt_id, ended_tip FROM removed_runs, generate_series(first, last) n WHERE repo_id = $1`, w.repo.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[owned]string{}
	var from []byte
	var tip string
	var o owned
	_, err = pgx.ForEachRow(rows, []any{&o.commit, &from, &o.line, &o.class, &o.receipt, &tip}, func() error {
		o := o
		o.path = string(from)
		if out[o] != "" {
			return fmt.Errorf("%+v was removed twice", o)
		}
		out[o] = tip
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// class is a run of added lines.
type class struct {
	first, last    int
	class, receipt string
}

// classify stores the classes of a file of a commit, as the task for added lines
// would.
func (w *world) classify(commit gitcmd.OID, path string, classes ...class) {
	w.t.Helper()
	w.exec(`DELETE FROM added_runs WHERE repo_id = $1 AND commit = $2 AND path = $3`, w.repo.ID, commit, []byte(path))
	for _, c := range classes {
		source, confidence := "blameprompt", "exact"
		if c.receipt == "" {
			source, confidence = "git-ai", "attested"
		}
		w.exec(`INSERT INTO added_runs (org_id, repo_id, commit, path, first, last, class, source, confidence, receipt_id, author)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '')`,
			w.org.ID, w.repo.ID, commit, []byte(path), c.first, c.last, c.class, source, confidence, c.receipt)
	}
	w.exec(`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		VALUES ($1, $2, $3, true, false, now(), '2026-01-01', '', 0, 0, 0, 0, 0, 0, 0, false, '', false, 'classified', '')
		ON CONFLICT (org_id, repo_id, commit) DO UPDATE SET revision = nextval('line_revisions')`, w.org.ID, w.repo.ID, commit)
}

// receipt stores a receipt.
func (w *world) receipt(id, model, provider, session string) {
	w.t.Helper()
	w.exec(`INSERT INTO receipts (org_id, id, repo_id, repo, ref, commit_hash, blob, notes_commit, content_hash, current, source,
			format_version, provider, model, session_id, prompt_id, prompt_summary, response_summary, prompt_hash, cost_basis, user_name,
			user_email, file_path, line_start, line_end, files, timestamp, timestamp_basis, day, parent_receipt_id, conversation_turns, conversation_bytes)
		VALUES ($1, $2, $3, 'backend', 'refs/notes/blameprompt', '', '', '', '', true, 'blameprompt', '', $4, $5, $6, $7, '', '', '', 'none', '',
			'', '', 1, 1, 0, '2026-01-01', 'client', '2026-01-01', '', 0, 0)
		ON CONFLICT (org_id, id) DO UPDATE SET (model, provider, session_id) = (excluded.model, excluded.provider, excluded.session_id)`,
		w.org.ID, id, w.repo.ID, provider, model, session, uuid.New())
}

// checkSums holds everything that is summed up of live lines against the facts.
func (w *world) checkSums() {
	w.t.Helper()
	report, err := w.db.CheckNumbers(context.Background(), w.org.ID, 5, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range report.Differences {
		if strings.HasPrefix(d.Table, "live_") {
			w.t.Errorf("%+v", d)
		}
	}
}

func day(n int) time.Time { return gittest.Epoch.Add(time.Duration(n) * 24 * time.Hour) }

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
