package ingest_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

const notesRef = "refs/notes/blameprompt"

// world is a remote repository, and a daemon's view of it.
type world struct {
	t      *testing.T
	remote *gittest.Fixture
	daemon
}

// daemon is a database and mirrors.
type daemon struct {
	db      *store.DB
	ing     *ingest.Ingester
	org     store.Org
	repo    store.Repo
	mirrors string
}

func newWorld(t *testing.T, opts ...gittest.Option) *world {
	t.Helper()
	dir := t.TempDir()
	remote := gittest.New(t, append(opts, gittest.In(filepath.Join(dir, "remote.git")))...)
	return &world{t: t, remote: remote, daemon: newDaemon(t, remote.Dir, t.TempDir())}
}

// newDaemon makes a daemon on an empty database that mirrors remote below mirrors.
func newDaemon(t testing.TB, remote, mirrors string) daemon {
	t.Helper()
	return newDaemonOn(t, storetest.Open(t), remote, mirrors)
}

func newDaemonOn(t testing.TB, db *store.DB, remote, mirrors string) daemon {
	t.Helper()
	org := storetest.MustOrg(t, db, "acme")
	d := daemon{db: db, org: org, mirrors: mirrors, repo: storetest.MustRepo(t, db, org, "backend", remote)}
	d.ing = ingest.New(ingest.Config{DB: db, MirrorRoot: mirrors, Rules: mirror.Rules{FileRoots: []string{filepath.Dir(remote)}}})
	return d
}

// sync fetches and takes in.
func (w *world) sync() ingest.Report {
	w.t.Helper()
	report, err := w.ing.Sync(w.t.Context(), w.org.ID, w.repo.ID, nil)
	if err != nil {
		w.t.Fatalf("Sync: %v", err)
	}
	return report
}

// mustEqualFreshIngest compares the store with one that is filled anew from
// the mirror and its archive.
func (w *world) mustEqualFreshIngest() {
	w.t.Helper()
	fresh := newDaemon(w.t, w.remote.Dir, w.t.TempDir())
	from := filepath.Join(w.mirrors, mirrorName(w.repo))
	clone := filepath.Join(fresh.mirrors, mirrorName(fresh.repo))
	w.remote.Git("clone", "--quiet", "--mirror", "--", from, clone)
	if _, err := fresh.ing.Rebuild(w.t.Context(), fresh.org.ID, fresh.repo.ID, nil); err != nil {
		w.t.Fatalf("Rebuild: %v", err)
	}
	if diff := cmp.Diff(storetest.Dump(w.t, fresh.db), storetest.Dump(w.t, w.db)); diff != "" {
		w.t.Errorf("the store differs from a fresh ingest (-fresh +here):\n%s", diff)
	}
}

func mirrorName(repo store.Repo) string { return repo.ID.String() + ".git" }

// note is a BlamePrompt payload with a receipt per id.
func note(ids ...string) string {
	receipts := make([]string, len(ids))
	for i, id := range ids {
		receipts[i] = receiptJSON(id, "")
	}
	return payload(receipts...)
}

func payload(receipts ...string) string {
	return fmt.Sprintf("{\n  \"blameprompt_version\": \"1.0.1\",\n  \"receipts\": [%s]\n}\n", strings.Join(receipts, ", "))
}

// receiptJSON is a receipt in a session of its own; extra are further fields
// that overwrite, each followed by a comma.
func receiptJSON(id, extra string) string {
	return fmt.Sprintf(`{"id": %q, "provider": "claude", "model": "claude-opus-4-6", "session_id": "session of %s",
		"prompt_summary": "prompt of %s", "prompt_hash": "sha256:00", "message_count": 3, "cost_usd": 0.25, "prompt_number": 1,
		"input_tokens": 1000, "output_tokens": 50, "timestamp": "2026-02-03T04:05:06.789Z", "user": "Dev <dev@example.com>", %s
		"files_changed": [{"path": "main.go", "line_range": [1, 10], "additions": 10}], "file_path": "main.go", "line_range": [1, 10]}`,
		id, id, id, extra)
}

// receipts lists "id current" of every stored receipt.
func (w *world) receipts() []string {
	w.t.Helper()
	return storetest.Column(w.t, w.db, `SELECT id || CASE WHEN current THEN '' ELSE ' (superseded)' END FROM receipts ORDER BY id`)
}

func (w *world) wantReceipts(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.receipts(), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

func (w *world) wantFindings(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `SELECT DISTINCT code FROM findings ORDER BY 1`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func mustUUID(t testing.TB, s string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// oid is the made-up id of a commit that no repository has.
func oid(n int) gitcmd.OID { return gitcmd.OID(fmt.Sprintf("%040x", n+0xabc000)) }
