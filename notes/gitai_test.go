package notes

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// annotated is the commit that the tables' notes stand on.
var annotated = strings.Repeat("ab", 20)

// attestationTexts writes attestations as "path key class receipt author 1-4 6-6".
func attestationTexts(note Note) []string {
	var out []string
	for _, a := range note.Attestations {
		text := fmt.Sprintf("%s %s %s", a.Path, a.Key, a.Class)
		if a.ReceiptID != "" {
			text += " <" + strings.TrimPrefix(a.ReceiptID, "git-ai:"+annotated+":") + ">"
		}
		if a.Author != "" {
			text += " (" + a.Author + ")"
		}
		for _, r := range a.Lines {
			text += fmt.Sprintf(" %d-%d", r.First, r.Last)
		}
		out = append(out, text)
	}
	return out
}

// TestGitAIBodies is the table of shapes and of hostile and odd logs.
func TestGitAIBodies(t *testing.T) {
	t.Parallel()
	meta := `{"schema_version":"authorship/3.0.0","base_commit_sha":"` + annotated + `"`
	session := meta + `,"prompts":{},"sessions":{"s_1":{"agent_id":{"tool":"claude","id":"u","model":"m"},"human_author":"D <d@x>"}}}`
	bare := meta + `,"prompts":{}}`
	tests := []struct {
		name  string
		body  string
		ids   []string
		lines []string
		codes []string
	}{
		{"A sessions", "a.rs\n  s_1::t_2 1-4,6-16\n---\n" + session, []string{"s_1"}, []string{"a.rs s_1::t_2 ai <s_1> 1-4 6-16"}, nil},
		{"B humans", "a.md\n  h_1 5\n  s_1::t_2 1-4\n---\n" + session[:len(session)-1] + `,"humans":{"h_1":{"author":"D <d@x>"}}}`,
			[]string{"s_1"}, []string{"a.md h_1 human (D <d@x>) 5-5", "a.md s_1::t_2 ai <s_1> 1-4"}, nil},
		{"F mixed", "c.rs\n  0a 4-6,92\nd.rs\n  s_1::t_2 168-200\n  0a 58-59\n---\n" +
			strings.Replace(session, `"prompts":{}`, `"prompts":{"0a":{"agent_id":{"tool":"codex"},"accepted_lines":2}}`, 1),
			[]string{"0a", "s_1"},
			[]string{"c.rs 0a ai <0a> 4-6 92-92", "d.rs s_1::t_2 ai <s_1> 168-200", "d.rs 0a ai <0a> 58-59"}, nil},
		{"G empty", "---\n" + bare, nil, nil, nil},
		{"H dangling", "u.rs\n  349771e 282\n---\n" + bare, []string{"349771e"}, []string{"u.rs 349771e ai <349771e> 282-282"},
			[]string{"record_missing"}},
		{"I human without record", "a\n  h_1 230\n---\n" + bare, nil, []string{"a h_1 human 230-230"}, []string{"record_missing"}},
		{"literal human", "a\n  human 230\n---\n" + bare, nil, []string{"a human human 230-230"}, nil},
		{"J no code", "---\n" + session, []string{"s_1"}, nil, nil},
		{"K before 1.0", `{"files":{"p":{"file":"p"}},"schema_version":"authorship/0.0.1"}`, nil, nil,
			[]string{"divider_missing", "schema_unknown"}},

		{"empty", "", nil, nil, []string{"empty_note"}},
		{"white space", "\n \n", nil, nil, []string{"empty_note"}},
		{"CRLF", "a.rs\r\n  s_1::t_2 1-4\r\n---\r\n" + session + "\r\n", []string{"s_1"}, []string{"a.rs s_1::t_2 ai <s_1> 1-4"}, nil},
		{"byte order mark", "\uFEFFa.rs\n  s_1::t_2 1-4\n---\n" + session, []string{"s_1"}, []string{"a.rs s_1::t_2 ai <s_1> 1-4"}, nil},
		{"quoted path", "\"a b.rs\"\n  s_1 1\n---\n" + session, []string{"s_1"}, []string{"a b.rs s_1 ai <s_1> 1-1"}, nil},
		{"path with a brace", "{{name}}.rs\n  s_1 1\n---\n" + session, []string{"s_1"}, []string{"{{name}}.rs s_1 ai <s_1> 1-1"}, nil},
		{"two traces of a session", "a\n  s_1::t_1 1-4\n  s_1::t_2 4-5\n---\n" + session, []string{"s_1"},
			[]string{"a s_1::t_1 ai <s_1> 1-3", "a s_1::t_2 ai <s_1> 4-5"}, nil},
		{"last entry wins", "a\n  s_1 1-10\n  human 3-4,8\n  s_1 4\n---\n" + session, []string{"s_1"},
			[]string{"a s_1 ai <s_1> 1-2 4-7 9-10", "a human human 3-3 8-8"}, nil},
		{"wholly covered", "a\n  k 2-3\n  s_1 1-10\n---\n" + session, []string{"s_1", "k"}, []string{"a s_1 ai <s_1> 1-10"},
			[]string{"record_missing"}},
		{"unordered and double", "a\n  s_1 9,3-5,4,9,1\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 1-1 3-5 9-9"}, nil},
		{"path again", "a\n  s_1 1-4\nb\n  s_1 1\na\n  human 4-6\n---\n" + session, []string{"s_1"},
			[]string{"a s_1 ai <s_1> 1-3", "a human human 4-6", "b s_1 ai <s_1> 1-1"}, []string{"path_repeated"}},
		{"blank lines", "\na\n\n  s_1 1\n\n\n---\n\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 1-1"}, nil},
		{"file without entries", "a\nb\n  s_1 1\nc\n---\n" + session, []string{"s_1"}, []string{"b s_1 ai <s_1> 1-1"},
			[]string{"file_without_entries", "file_without_entries"}},
		{"entry before a file", "  s_1 1\na\n  s_1 2\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 2-2"}, []string{"entry_invalid"}},
		{"entry without lines", "a\n  s_1\n  s_1 2\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 2-2"}, []string{"entry_invalid"}},
		{"empty items", "a\n  s_1 1,,3,\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 1-1 3-3"}, nil},
		{"bad items", "a\n  s_1 x,1-,5-4,-3,1-2-3,2\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 2-2"},
			[]string{"line_range_invalid", "line_range_invalid", "line_range_invalid", "line_range_invalid", "line_range_invalid"}},
		{"all lines", "a\n  s_1 1-4294967295\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 1-2147483646"}, []string{"line_range_clamped"}},
		{"absurd numbers", "a\n  s_1 0-2,7-99999999999999999999999\n---\n" + session, []string{"s_1"}, []string{"a s_1 ai <s_1> 1-2 7-2147483646"},
			[]string{"line_range_clamped", "line_range_clamped"}},
		{"beyond every file", "a\n  s_1 0,2147483647\n---\n" + session, []string{"s_1"}, nil, []string{"line_range_invalid", "line_range_invalid"}},

		{"no divider", "a\n  k 1\n" + bare, []string{"k"}, []string{"a k ai <k> 1-1"}, []string{"divider_missing", "record_missing"}},
		{"no divider, no metadata", "a\n  k 1", []string{"k"}, []string{"a k ai <k> 1-1"}, []string{"divider_missing", "record_missing"}},
		{"no metadata", "a\n  k 1\n---\n", []string{"k"}, []string{"a k ai <k> 1-1"}, []string{"metadata_missing", "record_missing"}},
		{"metadata cut off", "a\n  s_1 1\n---\n" + session[:len(session)-3], []string{"s_1"}, []string{"a s_1 ai <s_1> 1-1"},
			[]string{"syntax_error", "record_missing"}},
		{"metadata cut off later", "a\n  s_1 1\n---\n" + session[:len(session)-1], []string{"s_1"}, []string{"a s_1 ai <s_1> 1-1"},
			[]string{"syntax_error"}},
		{"metadata of a wrong kind", "a\n  k 1\n---\n[]", []string{"k"}, []string{"a k ai <k> 1-1"}, []string{"syntax_error", "record_missing"}},
		{"joined logs", "a\n  s_1 1-4\n---\n" + session + "\n\na\n  human 2\n---\n" + session, []string{"s_1"},
			[]string{"a s_1 ai <s_1> 1-1 3-4", "a human human 2-2"}, []string{"path_repeated", "several_documents", "duplicate_receipt"}},
		{"other commit", "---\n" + strings.Replace(bare, annotated, strings.Repeat("c", 40), 1), nil, nil, []string{"base_commit_differs"}},
		{"unknown schema", "---\n" + strings.Replace(bare, "3.0.0", "4.0.0", 1), nil, nil, []string{"schema_unknown"}},
		{"records of wrong kinds", "---\n" + meta + `,"prompts":[1],"sessions":{"s_1":4},"humans":null}`, nil, nil,
			[]string{"field_mistyped", "not_a_receipt"}},
		{"NUL and bad UTF-8", "a\x00\xff\n  k\x00 1\n---\n" + bare, []string{"k\uFFFD"}, []string{"a\uFFFD\uFFFD k\uFFFD ai <k\uFFFD> 1-1"},
			[]string{"text_repaired", "text_repaired", "record_missing"}},
		{"long key", "a\n  " + strings.Repeat("k", 200) + " 1\n---\n" + bare, []string{hashID([]byte(strings.Repeat("k", 200)))},
			[]string{"a " + hashID([]byte(strings.Repeat("k", 200))) + " ai <" + hashID([]byte(strings.Repeat("k", 200))) + "> 1-1"},
			[]string{"id_shortened", "record_missing"}},
		{"deep metadata", "---\n" + strings.Repeat(`{"a":`, MaxBody/6), nil, nil, []string{"syntax_error"}},
		{"only dividers", strings.Repeat("---\n", 1000), nil, nil, []string{"syntax_error"}},
		{"many objects", strings.Repeat("{}\n", 1000), nil, nil, []string{"divider_missing", "several_documents"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			note := checkInvariants(t, FormatGitAI, annotated, []byte(test.body))
			var ids []string
			for _, id := range idsOf(note) {
				ids = append(ids, strings.TrimPrefix(id, "git-ai:"+annotated+":"))
			}
			if diff := cmp.Diff(test.ids, ids); diff != "" {
				t.Errorf("ids: %s", diff)
			}
			if diff := cmp.Diff(test.lines, attestationTexts(note)); diff != "" {
				t.Errorf("lines: %s", diff)
			}
			if diff := cmp.Diff(test.codes, codesOf(note.Findings)); diff != "" {
				t.Errorf("codes: %s\n%v", diff, note.Findings)
			}
		})
	}
}

func TestGitAIRecord(t *testing.T) {
	t.Parallel()
	body := "---\n" + `{"schema_version":"authorship/3.0.0","git_ai_version":"1.6.7","base_commit_sha":"` + strings.ToUpper(annotated) +
		`","logical_commit_id":"x","prompts":{"0a":{"agent_id":{"tool":"cursor","id":"u","model":"\"m\""},"human_author":"Dev One",
		"total_additions":16,"total_deletions":45,"accepted_lines":243,"overriden_lines":-1,
		"messages":[{"type":"user","text":"hi"},{"type":"assistant"}],"messages_url":"http://localhost/cas/1",
		"custom_attributes":{"b":true,"n":1}}}}`
	note := checkInvariants(t, FormatGitAI, annotated, []byte(body))
	want := Note{
		Format: FormatGitAI, FormatVersion: gitAISchema, ToolVersion: "1.6.7", BaseCommit: annotated,
		Detail: []byte(`{"logical_commit_id":"x"}`),
		Receipts: []Receipt{{
			ID: "git-ai:" + annotated + ":0a", Provider: "cursor", SessionID: "u", Model: `"m"`,
			User: "Dev One", UserName: "Dev One",
			TotalAdditions: ptr(int64(16)), TotalDeletions: ptr(int64(45)), AcceptedLines: ptr(int64(243)),
			Conversation: []byte(`[{"type":"user","text":"hi"},{"type":"assistant"}]`), ConversationTurns: 2,
			Detail: []byte(`{"custom_attributes":{"b":true,"n":1},"messages_url":"http://localhost/cas/1","overriden_lines":-1}`),
		}},
		Findings: []Finding{{
			Code: "number_invalid", Severity: Warning, ReceiptID: "git-ai:" + annotated + ":0a",
			Where:   "line 2 /prompts/0a/overriden_lines",
			Message: "overriden_lines is negative, has a fraction or is too large; kept in detail only.",
		}},
	}
	if diff := cmp.Diff(want, note); diff != "" {
		t.Error(diff)
	}
}

// TestOwners compares interval arithmetic with painting line by line.
func TestOwners(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		claims := make([]claim, 1+random.IntN(8))
		painted := map[uint32]int{}
		for i := range claims {
			first := uint32(1 + random.IntN(30))
			claims[i] = claim{LineRange{first, first + uint32(random.IntN(12))}, random.IntN(3)}
			for line := claims[i].First; line <= claims[i].Last; line++ {
				painted[line] = claims[i].key
			}
		}
		got, end := map[uint32]int{}, uint32(0)
		for _, c := range owners(claims) {
			if c.First <= end {
				t.Fatalf("%v: not ascending: %v", claims, owners(claims))
			}
			end = c.Last
			for line := c.First; line <= c.Last; line++ {
				got[line] = c.key
			}
		}
		if diff := cmp.Diff(painted, got); diff != "" {
			t.Fatalf("%v: %s", claims, diff)
		}
	}
}

func TestBoundsOfOneLog(t *testing.T) {
	t.Parallel()
	note := Parse(FormatGitAI, annotated, []byte("a\n"+strings.Repeat("  k 1\n", maxEntries+5)+"  last 7\n---\n{}"))
	if !hasCode(note, tooManyAttestations) || len(note.Attestations) != 1 {
		t.Errorf("entries: %v", codesOf(note.Findings))
	}
	note = Parse(FormatGitAI, annotated, []byte("a\n  k "+strings.Repeat("1,3,", maxRanges/2)+"5\n---\n{}"))
	if diff := cmp.Diff([]LineRange{{1, 1}, {3, 3}}, note.Attestations[0].Lines); diff != "" || !hasCode(note, tooManyAttestations) {
		t.Errorf("ranges: %s %v", diff, codesOf(note.Findings))
	}
}
