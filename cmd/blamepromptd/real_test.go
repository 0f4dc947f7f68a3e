package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store/storetest"
)

// attested are the distinct lines that a note attests.
type attested struct{ AI, Human int64 }

// Notes of a public repository, and one that a real client wrote, go the whole
// way: git, fetch, ingest, PostgreSQL, HTTP. What comes out are the totals that
// were counted from the notes themselves.
func TestRealNotesComeOutOfTheAPIAsTheyWentIn(t *testing.T) {
	t.Parallel()
	remote := gittest.New(t)
	want, bodies := map[string]attested{}, map[gitcmd.OID]string{}
	readRealNotes(t, func(commit, body string, lines attested) {
		want[commit], bodies[gitcmd.OID(commit)] = lines, body
	})
	if len(want) != 363 {
		t.Fatalf("%d real notes, want 363", len(want))
	}
	remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: bodies, Fanout: 1})
	note, err := os.ReadFile("../../notes/testdata/blameprompt-note-0.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	annotated := remote.Commits("refs/heads/main", 1)[0]
	remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{annotated: string(note)}})

	dsn := storetest.DSN(t)
	db := storetest.OpenDSN(t, dsn)
	org := storetest.MustOrg(t, db, "acme")
	p := begin(t, t.TempDir(), dsn, filepath.Dir(remote.Dir)).ready()
	key := storetest.MustKey(t, db, org, access.Admin)
	p.call(key, http.MethodPost, "/api/v1/repos", fmt.Sprintf(`{"name": "backend", "url": %q}`, remote.Dir), &struct{}{})
	eventually(t, "both notes refs are taken in", func() bool {
		tips := storetest.Column(t, db, `SELECT count(*)::text FROM note_refs`)[0]
		return tips == "2"
	})

	got := map[string]attested{}
	for commit := range want {
		var answer struct{ Attested attested }
		p.call(key, http.MethodGet, "/api/v1/repos/backend/commits/"+commit, "", &answer)
		got[commit] = answer.Attested
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attested lines (-counted +answered):\n%s", diff)
	}
	var receipt struct {
		Model      string `json:"model"`
		Commit     string `json:"commit_hash"`
		Summary    string `json:"prompt_summary"`
		Provenance struct {
			Blob string `json:"note_blob"`
		} `json:"provenance"`
	}
	p.call(key, http.MethodGet, "/api/v1/receipts/9943646b-717d-4498-9f5a-d5eff1401485", "", &receipt)
	blob := remote.Git("rev-parse", "refs/notes/blameprompt:"+string(annotated))
	if receipt.Model != "claude-sonnet-4-6" || receipt.Commit != string(annotated) || receipt.Provenance.Blob != blob || receipt.Summary == "" {
		t.Errorf("the BlamePrompt receipt = %+v, want that of blob %s on commit %s", receipt, blob, annotated)
	}
	var totals struct {
		Receipts int64 `json:"total_receipts"`
	}
	p.call(key, http.MethodGet, "/api/v1/analytics", "", &totals)
	if n := storetest.Column(t, db, `SELECT count(*)::text FROM receipts`)[0]; fmt.Sprint(totals.Receipts) != n {
		t.Errorf("analytics counts %d receipts, the table has %s", totals.Receipts, n)
	}
}

func readRealNotes(t *testing.T, add func(commit, body string, lines attested)) {
	t.Helper()
	file, err := os.Open("../../notes/testdata/git-ai-notes.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var n struct {
			Commit, Note string
			Attested     attested
		}
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			t.Fatal(err)
		}
		add(n.Commit, n.Note, n.Attested)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
