package notes

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzBlamePrompt(f *testing.F) {
	sample, err := os.ReadFile("testdata/blameprompt-note-0.1.0.json")
	if err != nil {
		f.Fatal(err)
	}
	a := receiptJSON("a", `"files_changed":[{"path":"x\\y","line_range":[3,1],"blob_hash":"ab"}],"file_path":"z"`)
	for _, seed := range []string{
		string(sample), string(benchPayload(2)), payloadJSON(a), "[" + a + "]", a,
		payloadJSON(a) + "\n\n" + payloadJSON(receiptJSON("b", `"conversation":[{"x":"\u0000\ud83d"}],"q":[NaN,1e999]`)),
		`{"receipts":[` + a + ",\n{\"id\":\"x\n\n" + payloadJSON(a), "{\"receipts\":[\n<<<<<<<\n" + a + "\n=======\n",
		`{"id":"x","cost_usd":"-1e-9","input_tokens":1e2,"timestamp":"2026-01-01t00:00:00z","user":"a <b> <c>"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		note := checkInvariants(t, FormatBlamePrompt, "", body)
		// Strict JSON with a payload in it must not be called broken.
		var strict struct {
			Receipts []json.RawMessage `json:"receipts"`
		}
		if json.Unmarshal(body, &strict) == nil && hasCode(note, syntaxBroken) {
			t.Fatalf("valid JSON is called broken: %+v", note.Findings)
		}
	})
}

func FuzzGitAI(f *testing.F) {
	samples, err := os.ReadFile("testdata/git-ai-notes.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(samples)) {
		var s sample
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			f.Fatal(err)
		}
		if n++; n%20 == 0 && len(s.Note) < 4000 {
			f.Add([]byte(s.Note))
		}
	}
	f.Add([]byte("a\n  s_1::t_2 1-4,0,4294967295,3-1\n  human 2\n\"b c\"\n  h_1 1\na\n  k 3\n---\n" +
		`{"sessions":{"s_1":{"agent_id":{"tool":"x","y":1},"messages":[1]}},"humans":{"h_1":{"author":"A"}}}`))
	f.Add([]byte("a\n  k 1\n{}\n\nb\n  k 2\n---\n{\"prompts\":{\"k\":{},\"k\":{\"z\":1}}}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		checkInvariants(t, FormatGitAI, annotated, body)
	})
}

func FuzzReceipts(f *testing.F) {
	a := receiptJSON("a", `"files_changed":[{"path":"x"}]`)
	for _, seed := range []string{
		"[" + a + ",1]", payloadJSON(a, a), a, `{"repo":"r","commit_hash":"AB","receipts":[` + a + `]}`,
		`{"receipts":{}}`, "[]", "", "[" + a + "] x", `[{"receipts":[` + a + `]}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		batch, err := ParseReceipts(body)
		if err != nil {
			if batch.Items != nil || batch.Note.Receipts != nil {
				t.Fatalf("a refused body left %+v", batch)
			}
			return
		}
		again, _ := ParseReceipts(body)
		if !reflect.DeepEqual(batch, again) {
			t.Fatal(cmp.Diff(batch, again))
		}
		checkNote(t, batch.Note)
		used := map[int]bool{}
		for i, item := range batch.Items {
			rejected := item.Receipt < 0
			if rejected != (item.Err != "") || item.Duplicate != (used[item.Receipt] && !rejected) {
				t.Fatalf("item %d: %+v", i, item)
			}
			if !rejected {
				used[item.Receipt] = true
			}
		}
		if len(used) != len(batch.Note.Receipts) {
			t.Fatalf("%d items stand for %d receipts", len(used), len(batch.Note.Receipts))
		}
	})
}
