package ingest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/store/storetest"
)

// realNote is a git-ai note of a public repository, with the distinct lines
// that it attests.
type realNote struct {
	Commit   gitcmd.OID                `json:"commit"`
	Note     string                    `json:"note"`
	Attested struct{ AI, Human int64 } `json:"attested"`
}

func realNotes(t *testing.T) []realNote {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "testdata", "git-ai-notes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []realNote
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var n realNote
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	if len(all) != 363 || lines.Err() != nil {
		t.Fatalf("read %d notes, %v; want 363", len(all), lines.Err())
	}
	return all
}

func TestRealNotesAttestWhatTheyShould(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bodies := map[gitcmd.OID]string{}
	var want []string
	for _, n := range realNotes(t) {
		bodies[n.Commit] = n.Note
		want = append(want, fmt.Sprintf("%s ai=%d human=%d", n.Commit, n.Attested.AI, n.Attested.Human))
	}
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: bodies, Fanout: 1})
	blameprompt, err := os.ReadFile(filepath.Join("..", "testdata", "blameprompt-note-0.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	w.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{oid(1): string(blameprompt)}})
	w.sync()

	got := storetest.Column(t, w.db, `
		SELECT format('%s ai=%s human=%s', b.commit, coalesce(sum(a.line_count) FILTER (WHERE a.class = 'ai'), 0),
		              coalesce(sum(a.line_count) FILTER (WHERE a.class = 'human'), 0))
		FROM note_bodies b LEFT JOIN attestations a USING (org_id, repo_id, ref, commit, blob)
		WHERE b.ref = 'refs/notes/ai' GROUP BY b.commit ORDER BY array_position($1::text[], b.commit)`, commitsOf(w.t))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attested lines (-want +got):\n%s", diff)
	}
	got = storetest.Column(t, w.db, `SELECT format('%s %s %s %s', id, model, message_count, timestamp) FROM receipts WHERE source = 'blameprompt'`)
	if diff := cmp.Diff([]string{"9943646b-717d-4498-9f5a-d5eff1401485 claude-sonnet-4-6 1179 2026-02-25 11:42:36.00247+00"}, got); diff != "" {
		t.Errorf("the BlamePrompt receipt (-want +got):\n%s", diff)
	}
	w.mustEqualFreshIngest()
}

func commitsOf(t *testing.T) []string {
	var commits []string
	for _, n := range realNotes(t) {
		commits = append(commits, string(n.Commit))
	}
	return commits
}
