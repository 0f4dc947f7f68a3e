package notes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is one line of testdata/git-ai-notes.jsonl: a real note, and the
// numbers of distinct lines that another reader counted in it.
type sample struct {
	Commit   string
	Shape    string
	Note     string
	Attested struct{ AI, Human int64 }
}

func readSamples(t testing.TB) []sample {
	t.Helper()
	f, err := os.Open("testdata/git-ai-notes.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []sample
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if len(out) != 363 {
		t.Fatalf("read %d samples, want 363", len(out))
	}
	return out
}

func TestGitAISamples(t *testing.T) {
	t.Parallel()
	for _, s := range readSamples(t) {
		note := Parse(FormatGitAI, s.Commit, []byte(s.Note))
		lines := map[LineClass]int64{}
		for _, a := range note.Attestations {
			for _, r := range a.Lines {
				lines[a.Class] += int64(r.Last) - int64(r.First) + 1
			}
		}
		if lines[ClassAI] != s.Attested.AI || lines[ClassHuman] != s.Attested.Human {
			t.Errorf("%s (%s): attested %v, want %+v", s.Commit, s.Shape, lines, s.Attested)
		}
		checkShape(t, s, note)
		checkInvariants(t, FormatGitAI, s.Commit, []byte(s.Note))
	}
}

// checkShape holds the receipts of a real note against a plain reading of its
// metadata.
func checkShape(t *testing.T, s sample, note Note) {
	t.Helper()
	_, meta, _ := strings.Cut("\n"+s.Note, "\n---\n")
	var want struct {
		Version  string         `json:"git_ai_version"`
		Base     string         `json:"base_commit_sha"`
		Prompts  map[string]any `json:"prompts"`
		Sessions map[string]any `json:"sessions"`
	}
	if err := json.Unmarshal([]byte(meta), &want); err != nil {
		t.Fatalf("%s: %v", s.Commit, err)
	}
	recorded := 0
	for _, r := range note.Receipts {
		if !r.Dangling {
			recorded++
		}
		if r.Dangling != (r.Provider == "") {
			t.Errorf("%s: receipt %s: dangling %v with provider %q", s.Commit, r.ID, r.Dangling, r.Provider)
		}
	}
	if recorded != len(want.Prompts)+len(want.Sessions) {
		t.Errorf("%s: %d recorded receipts, want %d", s.Commit, recorded, len(want.Prompts)+len(want.Sessions))
	}
	if note.ToolVersion != want.Version || note.BaseCommit != want.Base || note.FormatVersion != gitAISchema {
		t.Errorf("%s: versions %q %q base %q", s.Commit, note.FormatVersion, note.ToolVersion, note.BaseCommit)
	}
	for _, f := range note.Findings {
		switch code(f.Code) {
		case recordMissing, baseCommitDiffers:
		default:
			t.Errorf("%s: unexpected finding %+v", s.Commit, f)
		}
	}
	// One dangling sample has but the literal key "human", which needs no record.
	if s.Shape == "dangling" && s.Attested.AI > 0 && !hasCode(note, recordMissing) {
		t.Errorf("%s: no finding for its dangling keys", s.Commit)
	}
}

func hasCode(note Note, c code) bool {
	for _, f := range note.Findings {
		if f.Code == string(c) {
			return true
		}
	}
	return false
}

func TestBlamePromptSample(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/blameprompt-note-0.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	note := Parse(FormatBlamePrompt, strings.Repeat("0", 40), body)
	if len(note.Receipts) != 1 {
		t.Fatalf("receipts = %d, want 1", len(note.Receipts))
	}
	summary := note.Receipts[0].PromptSummary
	if !strings.HasPrefix(summary, "(base) [REDACTED_HOST]") || !strings.HasSuffix(summary, "why is that?") {
		t.Errorf("summary = %q", summary)
	}
	note.Receipts[0].PromptSummary = ""
	submitted := time.Date(2026, 2, 25, 11, 42, 36, 2470000, time.UTC)
	want := Note{
		Format:        FormatBlamePrompt,
		FormatVersion: "0.1.0",
		Receipts: []Receipt{{
			ID:                "9943646b-717d-4498-9f5a-d5eff1401485",
			Provider:          "claude",
			Model:             "claude-sonnet-4-6",
			SessionID:         "633dd148-8b7a-494b-8ce0-d4fea3b49ded",
			PromptNumber:      ptr(int64(24)),
			PromptHash:        "sha256:f8f226966e486edb9eec6e39f4c9d5273518e347ae04aa455abb71d192f919aa",
			MessageCount:      ptr(int64(1179)),
			CostUSD:           "0",
			Timestamp:         submitted,
			SessionStart:      time.Date(2026, 2, 25, 6, 28, 17, 467000000, time.UTC),
			PromptSubmittedAt: submitted,
			RawTimestamps: map[string]string{
				"timestamp":           "2026-02-25T11:42:36.002470Z",
				"session_start":       "2026-02-25T06:28:17.467Z",
				"prompt_submitted_at": "2026-02-25T11:42:36.002470Z",
			},
			User:      "Dev One <dev.one@example.com>",
			UserName:  "Dev One",
			UserEmail: "dev.one@example.com",
		}},
	}
	if diff := cmp.Diff(want, note); diff != "" {
		t.Error(diff)
	}
	checkInvariants(t, FormatBlamePrompt, "", body)
	checkInvariants(t, FormatBlamePrompt, "", bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n")))
}

func ptr[T any](v T) *T { return &v }
