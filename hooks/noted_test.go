package hooks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/push"
)

func noteBody(id, model string) string {
	return fmt.Sprintf(`{"blameprompt_version":"1.0.1","receipts":[{"id":%q,"provider":"claude","model":%q,
		"session_id":"s","prompt_number":3,"prompt_hash":"sha256:0","message_count":1,"prompt_summary":"use [REDACTED_API_KEY] please","cost_usd":0.25,
		"input_tokens":10,"output_tokens":20,"timestamp":"2026-01-02T03:04:05Z","user":"Ann <ann@example.com>",
		"files_changed":[{"path":"a.go","line_range":[1,4],"blob_hash":"%040d"}],
		"conversation":[{"role":"user","content":"password = \"hunter22\""}]}]}`, id, model, 7)
}

func TestCollectReceipts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.dev.Commit(gittest.Commit{Files: map[string]string{"a.go": "1\n"}})
	w.dev.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tip: noteBody("r1", "claude-opus-4")}})
	blob := gitcmd.OID(w.dev.Git("rev-parse", "refs/notes/blameprompt:"+string(tip)))
	got := w.push("main", "refs/notes/blameprompt")

	three, ten, twenty := int64(3), int64(10), int64(20)
	want := []Note{{
		Commit: tip, Ref: "refs/notes/blameprompt", Blob: blob, Size: int64(len(noteBody("r1", "claude-opus-4"))),
		Receipts: []Receipt{{
			ID: "r1", Provider: "claude", Model: "claude-opus-4", SessionID: "s", PromptNumber: &three,
			CostUSD: "0.25", Tokens: Tokens{Input: &ten, Output: &twenty},
			Timestamp: gittest.Epoch.Add(4*60e9 + 5e9), UserName: "Ann", UserEmail: "ann@example.com",
			Files:   []ReceiptFile{{Path: "a.go", Lines: Run{1, 4}, Blob: fmt.Sprintf("%040d", 7)}},
			Secrets: []push.SecretKind{push.RedactedAPIKey, push.Password},
		}},
	}}
	if diff := cmp.Diff(want, got.Notes); diff != "" {
		t.Error(diff)
	}
	if got.UnreadNotes {
		t.Error("notes were left unread")
	}
	in := got.Input()
	if !in.Commits[0].Noted || in.Refs[0].Kind != push.Create || in.Refs[1].Kind != push.Notes {
		t.Errorf("input is %+v", in)
	}
}

func receiptIDs(p Push) string {
	var list []string
	for _, note := range p.Notes {
		for _, receipt := range note.Receipts {
			list = append(list, receipt.ID)
		}
	}
	return strings.Join(list, " ")
}

// TestCollectNotesTips says in which tree notes are looked for.
func TestCollectNotesTips(t *testing.T) {
	t.Parallel()
	const ref = "refs/notes/blameprompt"
	w := newWorld(t)
	tips := w.dev.Commits("refs/heads/main", 5)
	note := func(i int, id string) map[gitcmd.OID]string { return map[gitcmd.OID]string{tips[i]: noteBody(id, "m")} }
	main := func(i int) string { return string(tips[i]) + ":refs/heads/main" }

	w.dev.Notes(gittest.Notes{Bodies: note(1, "early")})
	got := w.push(main(0), ref)
	if receiptIDs(got) != "" || got.Notes != nil {
		t.Errorf("notes of other commits: %+v", got.Notes)
	}
	if got = w.push(main(1)); receiptIDs(got) != "early" {
		t.Errorf("current tip: %+v", got.Notes)
	}
	w.dev.Notes(gittest.Notes{Bodies: note(2, "same")})
	got = w.push(main(2), ref)
	expectRefs(t, got, "update refs/heads/main", "notes "+ref)
	if receiptIDs(got) != "same" {
		t.Errorf("pushed tip: %+v", got.Notes)
	}
	w.dev.Notes(gittest.Notes{Bodies: note(3, "old")})
	w.push(ref)
	w.dev.Notes(gittest.Notes{Root: true, Replace: true, Bodies: note(4, "new")})
	got = w.push(main(3), "+"+ref)
	expectRefs(t, got, "update refs/heads/main", "notes "+ref+" forced")
	if receiptIDs(got) != "" {
		t.Errorf("notes that the push abandons: %+v", got.Notes)
	}
	got = w.push(main(4), ":"+ref)
	expectRefs(t, got, "update refs/heads/main", "notes "+ref)
	if receiptIDs(got) != "" {
		t.Errorf("notes that the push deletes: %+v", got.Notes)
	}
}

func TestCollectFanout(t *testing.T) {
	t.Parallel()
	for fanout := range 4 {
		t.Run(fmt.Sprint(fanout), func(t *testing.T) {
			t.Parallel()
			f := gittest.New(t)
			tips := f.Commits("refs/heads/main", 40)
			bodies := make(map[gitcmd.OID]string)
			for i, tip := range tips {
				bodies[tip] = noteBody(fmt.Sprint(i), "m")
			}
			for i := range 300 {
				bodies[gitcmd.OID(fmt.Sprintf("%040x", i*7919))] = noteBody("other", "m")
			}
			f.Notes(gittest.Notes{Fanout: fanout, Bodies: bodies, Files: map[string]string{
				"README": "x", "ab/README": "x", string(tips[0][:2]) + "/x/y": "z",
			}})
			f.Notes(gittest.Notes{Ref: "refs/notes/ai", Fanout: 3 - fanout, Bodies: map[gitcmd.OID]string{
				tips[39]: gitAINote(tips[39]),
			}})
			f.Delete("refs/heads/main")
			updates := []Update{{Old: gitcmd.ZeroOID, New: tips[39], Ref: "refs/heads/new"}}
			got, err := Collect(t.Context(), f.Repo, updates, Environment{}, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Notes) != 41 || got.UnreadNotes {
				t.Fatalf("%d notes, unread %v", len(got.Notes), got.UnreadNotes)
			}
			for i, note := range got.Notes {
				if note.Ref == "refs/notes/ai" {
					expectGitAI(t, note, tips[39])
				} else if note.Commit != tips[min(i, 39)] || note.Receipts[0].ID != fmt.Sprint(min(i, 39)) {
					t.Errorf("note %d is %+v", i, note)
				}
			}
		})
	}
}

func gitAINote(commit gitcmd.OID) string {
	return "a.go\n  0123456789abcdef 1-3,7\n---\n" + `{"schema_version":"authorship/3.0.0","git_ai_version":"1.0.0",` +
		`"base_commit_sha":"` + string(commit) + `","prompts":{"0123456789abcdef":{"agent_id":{"tool":"cursor","id":"i",` +
		`"model":"gpt-5"},"messages":[],"total_additions":4,"total_deletions":0,"accepted_lines":4,"overriden_lines":0}}}` + "\n"
}

func expectGitAI(t *testing.T, note Note, commit gitcmd.OID) {
	t.Helper()
	id := "git-ai:" + string(commit) + ":0123456789abcdef"
	want := []Attestation{{Path: "a.go", Class: notes.ClassAI, ReceiptID: id, Runs: []Run{{1, 3}, {7, 7}}}}
	if diff := cmp.Diff(want, note.Attestations); diff != "" {
		t.Error(diff)
	}
	if note.Commit != commit || len(note.Receipts) != 1 || note.Receipts[0].Model != "gpt-5" {
		t.Errorf("note is %+v", note)
	}
}

func TestCollectNoteLimits(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tips := f.Commits("refs/heads/main", 4)
	bodies := make(map[gitcmd.OID]string)
	for i, tip := range tips {
		bodies[tip] = noteBody(fmt.Sprint(i), "m")
	}
	f.Notes(gittest.Notes{Bodies: bodies})
	f.Delete("refs/heads/main")
	updates := []Update{{Old: gitcmd.ZeroOID, New: tips[3], Ref: "refs/heads/new"}}
	tests := map[string]struct {
		limits         Limits
		receipts       string
		unread         bool
		cut, unscanned int
	}{
		"none":       {Limits{}, "0 1 2 3", false, 0, 0},
		"notes":      {Limits{Notes: 2}, "2 3", true, 0, 0},
		"note bytes": {Limits{NoteBytes: 1}, "", true, 0, 0},
		"one body":   {Limits{NoteBytes: int64(len(noteBody("0", "m"))) + 400}, "3", true, 0, 0},
		"receipts":   {Limits{Receipts: 3}, "1 2 3", false, 1, 0},
		"text":       {Limits{Text: 250}, "1 2 3", false, 1, 0},
		"scan":       {Limits{Scan: 90}, "0 1 2 3", false, 0, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Collect(t.Context(), f.Repo, updates, Environment{}, tt.limits)
			if err != nil {
				t.Fatal(err)
			}
			cut, unscanned := 0, 0
			for _, note := range got.Notes {
				if note.Cut {
					cut++
				}
				for _, receipt := range note.Receipts {
					if receipt.Unscanned {
						unscanned++
					}
				}
			}
			if receiptIDs(got) != tt.receipts || got.UnreadNotes != tt.unread || cut != tt.cut || unscanned != tt.unscanned {
				t.Errorf("receipts %q, unread %v, cut %d, unscanned %d", receiptIDs(got), got.UnreadNotes, cut, unscanned)
			}
		})
	}
}

// TestCollectHostileNotes reads notes refs that hold anything but notes.
func TestCollectHostileNotes(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tip := f.Commits("refs/heads/main", 1)[0]
	f.Delete("refs/heads/main")
	blob, empty := f.Object("blob", "x"), f.Object("tree", "")
	f.SetRef("refs/tags/x", blob)
	binary := func(oid gitcmd.OID) string { return string(unhex(t, oid)) }
	loop := f.Object("tree", "40000 "+string(tip[:2])+"\x00"+binary(empty))
	submodule := f.Object("tree", "160000 "+string(tip)+"\x00"+binary(blob))
	trees := f.Object("tree", "40000 "+string(tip)+"\x00"+binary(empty))
	twice := f.Object("tree", "100644 "+string(tip)+"\x00"+binary(blob)+"100644 "+string(tip)+"\x00"+binary(blob))
	tests := map[string]struct {
		tip   gitcmd.OID
		notes int
	}{
		"blob": {blob, 0}, "tree": {loop, 0}, "submodule": {submodule, 1}, "tree as note": {trees, 0}, "twice": {twice, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			updates := []Update{
				{Old: gitcmd.ZeroOID, New: tip, Ref: "refs/heads/new"},
				{Old: gitcmd.ZeroOID, New: tt.tip, Ref: "refs/notes/blameprompt"},
			}
			got, err := Collect(t.Context(), f.Repo, updates, Environment{}, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Notes) != tt.notes || receiptIDs(got) != "" {
				t.Errorf("got %+v", got.Notes)
			}
		})
	}
}

func TestConversation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw, want string
		whole     bool
	}{
		{``, "", true},
		{`[]`, "", true},
		{`[{"content":"a \"b\""}, "c", 1, null]`, "content\na \"b\"\nc\n", true},
		{`["a`, "", false},
		{`["a", x]`, "a\n", false},
	}
	for _, tt := range tests {
		if got, whole := conversation([]byte(tt.raw)); got != tt.want || whole != tt.whole {
			t.Errorf("%s: got %q, %v", tt.raw, got, whole)
		}
	}
	if _, whole := conversation(make([]byte, maxConversation+1)); whole {
		t.Error("a conversation above the bound was read")
	}
}
