package ingest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestAnEmptyRepositoryAndOneWithoutNotesBringNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if report := w.sync(); report.Changed {
		t.Errorf("an empty repository brought %+v", report)
	}
	w.remote.Commits("refs/heads/main", 3)
	if report := w.sync(); report.Commits != 3 || report.Versions != 0 {
		t.Errorf("a repository without notes brought %+v, want 3 commits", report)
	}
	w.wantReceipts()
	if report := w.sync(); report.Changed {
		t.Errorf("a second sync brought %+v", report)
	}
}

func TestASHA256RepositoryIsTakenIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gittest.SHA256())
	commit := w.remote.Commits("refs/heads/main", 1)[0]
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{commit: note("r")}})
	w.sync()
	w.wantReceipts("r")
	if got := storetest.Column(t, w.db, `SELECT object_format FROM repos`)[0]; got != "sha256" {
		t.Errorf("object format = %s, want sha256", got)
	}
	w.mustEqualFreshIngest()
}

func TestAShallowRemoteGivesWhatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Commits("refs/heads/main", 3)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("old"), oid(2): note("kept")}})
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("new")}})
	shallow := filepath.Join(t.TempDir(), "shallow.git")
	w.remote.Git("init", "--quiet", "--bare", shallow)
	w.remote.Git("--git-dir", shallow, "fetch", "--quiet", "--depth=1", "file://"+w.remote.Dir, "+refs/heads/*:refs/heads/*", "+"+notesRef+":"+notesRef)
	w.daemon = newDaemon(t, shallow, t.TempDir())
	w.sync()
	w.wantReceipts("kept", "new")
}

// The mirror, not the remote, loses an object: its neighbours are read, and
// the note itself when the object comes back.
func TestAMissingNoteIsAFindingUntilItComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("first")}})
	w.sync()
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(2): note("second"), oid(3): note("lost")}})
	if _, err := w.ing.Sync(t.Context(), w.org.ID, w.repo.ID, nil); err != nil {
		t.Fatal(err)
	}
	// A new database meets the damaged mirror.
	mirror := filepath.Join(w.mirrors, mirrorName(w.repo))
	blob := gitcmd.OID(w.remote.Git("rev-parse", notesRef+":"+string(oid(3))))
	fresh := newDaemon(t, w.remote.Dir, t.TempDir())
	clone := filepath.Join(fresh.mirrors, mirrorName(fresh.repo))
	w.remote.Git("clone", "--quiet", "--mirror", "--", mirror, clone)
	damaged := gittest.Clone(t, clone, "--mirror")
	damaged.Lose(blob)
	if err := os.Rename(clone, clone+".whole"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(damaged.Repo.Dir(), clone); err != nil {
		t.Fatal(err)
	}
	v := &world{t: t, remote: w.remote, daemon: fresh}
	v.rebuild()
	v.wantReceipts("first", "second")
	v.wantFindings("note_missing")

	if err := os.Remove(clone); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(clone+".whole", clone); err != nil {
		t.Fatal(err)
	}
	v.rebuild()
	v.wantReceipts("first", "lost", "second")
	v.wantFindings()
}

func (w *world) rebuild() {
	w.t.Helper()
	if _, err := w.ing.Rebuild(w.t.Context(), w.org.ID, w.repo.ID, nil); err != nil {
		w.t.Fatalf("Rebuild: %v", err)
	}
}

// Each hostile note stands beside a good one, which must be read.
func TestAHostileNoteNeverCostsItsNeighbour(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body string
		want string // a finding code
	}{
		"too large":        {note("big") + strings.Repeat(" ", notes.MaxBody), "note_too_large"},
		"not JSON":         {"<html>", ""},
		"empty":            {"", ""},
		"NUL and ANSI":     {payload(receiptJSON("nul", `"model": "a\u0000b\u001b[31m",`)), ""},
		"invalid UTF-8":    {payload(receiptJSON("utf", "\"provider\": \"\xff\xfe\",")), ""},
		"huge numbers":     {payload(receiptJSON("num", `"input_tokens": 1e400, "cost_usd": 99999999999999999999,`)), ""},
		"odd times":        {payload(receiptJSON("time", `"timestamp": "99999-01-01T00:00:00Z", "session_start": "yesterday",`)), ""},
		"no id":            {payload(`{"provider": "claude"}`), ""},
		"two documents":    {note("one") + "\n" + note("two"), ""},
		"deep nesting":     {strings.Repeat("[", 100_000), ""},
		"jsonb surrogates": {payload(receiptJSON("sur", `"tools_used": ["\ud800", "\u0000"],`)), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): tc.body, oid(2): note("neighbour")}})
			w.sync()
			if got := strings.Join(w.receipts(), ","); !strings.Contains(got, "neighbour") {
				t.Errorf("receipts = %s, the neighbour is lost", got)
			}
			if tc.want != "" {
				w.wantFindings(tc.want)
			}
			w.mustEqualFreshIngest()
		})
	}
}

func TestANoteThatIsNoFileIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("r")},
		Files: map[string]string{"README": "no note", "ab/notahash": "no note", string(oid(2)) + "/x": "a tree"}})
	w.sync()
	w.wantReceipts("r")
	w.mustEqualFreshIngest()
}

func TestANotesRefThatIsNoCommitIsAFinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): note("r")}})
	w.sync()
	w.remote.Git("update-ref", notesRef, w.remote.Git("rev-parse", notesRef+"^{tree}"))
	w.sync()
	w.wantReceipts("r")
	w.wantFindings("notes_ref_not_a_commit")
}

func TestStoredConversationsFollowTheSetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := payload(receiptJSON("r", `"conversation": [{"turn": 0, "role": "user", "content": "a\u0000b"}],`))
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): body}})
	w.sync()
	const kept = `SELECT format('%s turns, %s, kept: %s', conversation_turns, conversation_bytes > 0, conversation IS NOT NULL) FROM receipts ORDER BY id`
	if got := storetest.Column(t, w.db, kept); got[0] != "1 turns, t, kept: f" {
		t.Errorf("by default: %v", got)
	}
	if _, err := w.db.Pool().Exec(t.Context(), `UPDATE orgs SET store_conversations = true`); err != nil {
		t.Fatal(err)
	}
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(2): strings.Replace(body, `"r"`, `"s"`, 1)}})
	w.sync()
	if got := storetest.Column(t, w.db, kept); got[1] != "1 turns, t, kept: t" {
		t.Errorf("after switching it on: %v", got)
	}
}
