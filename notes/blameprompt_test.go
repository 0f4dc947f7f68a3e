package notes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// required are the members of a receipt that every client writes, but its id.
const required = `"provider":"claude","model":"m","session_id":"s","prompt_summary":"p","prompt_hash":"h",` +
	`"message_count":1,"cost_usd":0.5,"timestamp":"2026-01-02T03:04:05Z","user":"U <u@example.com>"`

// receiptJSON is a whole receipt with more members.
func receiptJSON(id, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"id":%q,%s%s}`, id, required, more)
}

func payloadJSON(receipts ...string) string {
	return `{"blameprompt_version":"1.0.1","receipts":[` + strings.Join(receipts, ",") + `]}`
}

func codesOf(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Code)
	}
	return out
}

func idsOf(note Note) []string {
	var out []string
	for _, r := range note.Receipts {
		out = append(out, r.ID)
	}
	return out
}

// TestBlamePromptBodies is the table of hostile and odd bodies: what goes in,
// which receipts come out, which findings beside them.
func TestBlamePromptBodies(t *testing.T) {
	t.Parallel()
	a, b, c := receiptJSON("a", ""), receiptJSON("b", ""), receiptJSON("c", "")
	hashOfNoID := hashID([]byte(`{` + required + `}`))
	tests := []struct {
		name  string
		body  string
		ids   []string
		codes []string
	}{
		{"empty", "", nil, []string{"empty_note"}},
		{"white space", " \n\t\r\n", nil, []string{"empty_note"}},
		{"byte order mark", "\uFEFF" + payloadJSON(a), []string{"a"}, nil},
		{"payload", payloadJSON(a, b), []string{"a", "b"}, nil},
		{"no receipts", payloadJSON(), nil, nil},
		{"array", "[" + a + "," + b + "]", []string{"a", "b"}, nil},
		{"one receipt", a, []string{"a"}, nil},
		{"payload without array", `{"blameprompt_version":"1"}`, nil, []string{"receipts_missing"}},
		{"receipts of a wrong kind", `{"receipts":{"a":1}}`, nil, []string{"receipts_missing"}},
		{"null receipts", `{"receipts":null}`, nil, []string{"receipts_missing"}},
		{"empty object", `{}`, nil, []string{"not_a_receipt"}},
		{"foreign object", `{"foo":{"id":"x"}}`, nil, []string{"not_a_receipt"}},
		{"string", `"hello"`, nil, []string{"not_a_note"}},
		{"number", `42`, nil, []string{"not_a_note"}},
		{"binary", "\x00\x01\x02\xff\xfe", nil, []string{"syntax_error"}},
		{"text", "not json at all", nil, []string{"syntax_error"}},
		{"two documents", payloadJSON(a) + "\n\n" + payloadJSON(b) + "\n", []string{"a", "b"}, []string{"several_documents"}},
		{"three in a row", payloadJSON(a) + payloadJSON(b) + payloadJSON(c), []string{"a", "b", "c"}, []string{"several_documents"}},
		{"same receipt in both", payloadJSON(a) + "\n\n" + payloadJSON(" "+a, b), []string{"a", "b"},
			[]string{"duplicate_receipt", "several_documents"}},
		{"same id, other content", payloadJSON(a, b, receiptJSON("a", `"prompt_number":2`)), []string{"a", "b"},
			[]string{"receipt_conflict"}},
		{"broken, then whole", `{"receipts":[` + a + "\n\n" + payloadJSON(b), []string{"a", "b"},
			[]string{"syntax_error"}},
		{"cut after a comma, then whole", `{"receipts":[` + a + ",\n\n" + payloadJSON(b), []string{"a", "b"}, []string{"syntax_error"}},
		{"cut in a string, then whole", `{"receipts":[` + a + ",\n{\"id\":\"x\n\n" + payloadJSON(b), []string{"a", "b"},
			[]string{"syntax_error"}},
		{"cut in a nested array, then whole", `{"receipts":[` + a + ",\n{\"id\":\"x\",\"files_changed\":[\n" + payloadJSON(b),
			[]string{"a", "b"}, []string{"syntax_error"}},
		{"cut off", payloadJSON(a, b)[:len(payloadJSON(a, b))-9], []string{"a"}, []string{"syntax_error"}},
		{"a broken receipt between lines", "{\"receipts\":[\n" + a + ",\n{\"id\": oops},\n" + c + "\n]}", []string{"a", "c"},
			[]string{"syntax_error"}},
		{"a comma is missing", "{\"receipts\":[\n" + a + "\n" + b + "\n]}", []string{"a", "b"}, []string{"syntax_error"}},
		{"conflict markers", "{\"receipts\":[\n<<<<<<< ours\n  " + a + "\n=======\n  " + b + "\n>>>>>>> theirs\n]}", []string{"a", "b"},
			[]string{"syntax_error"}},
		{"sorted lines", "  \"id\": \"a\",\n  \"model\": \"m\",\n{\n}\n", nil, []string{"not_a_note", "syntax_error", "several_documents"}},
		{"nested objects are no receipts", "{\"receipts\":[\n{\"id\":\"a\",\"files_changed\":[\n{\"path\":\"x\"},\n!]}]}", nil,
			[]string{"syntax_error"}},
		{"elements that are none", payloadJSON(`1`, `null`, `[]`, `{}`, `"x"`, a), []string{"a"},
			[]string{"not_a_receipt", "not_a_receipt", "not_a_receipt", "not_a_receipt", "not_a_receipt"}},
		{"no id", payloadJSON(`{` + required + `}`), []string{hashOfNoID}, []string{"id_missing"}},
		{"null id", payloadJSON(`{"id":null,` + required + `}`), []string{hashID([]byte(`{"id":null,` + required + `}`))},
			[]string{"id_missing"}},
		{"numeric id", payloadJSON(`{"id":7,` + required + `}`), []string{"7"}, []string{"value_coerced"}},
		{"id of a wrong kind", payloadJSON(`{"id":[7],` + required + `}`), []string{hashID([]byte(`{"id":[7],` + required + `}`))},
			[]string{"field_mistyped", "id_missing"}},
		{"long id", payloadJSON(receiptJSON(strings.Repeat("x", 257), "")), []string{hashID(bytes.Repeat([]byte("x"), 257))},
			[]string{"id_shortened"}},
		{"longest id", payloadJSON(receiptJSON(strings.Repeat("x", 256), "")), []string{strings.Repeat("x", 256)}, nil},
		{"required fields missing", payloadJSON(`{"id":"a","model":null}`), []string{"a"}, []string{"field_missing"}},
		{"repeated member", payloadJSON(receiptJSON("a", `"id":"b"`)), []string{"b"}, []string{"duplicate_key"}},
		{"escaped member name", payloadJSON(`{"\u0069d":"a",` + required + `}`), []string{"a"}, nil},
		{"a deep array", strings.Repeat("[", MaxBody), nil, []string{"syntax_error"}},
		{"a deep object", strings.Repeat(`{"a":`, MaxBody/5), nil, []string{"syntax_error"}},
		{"empty objects in a row", strings.Repeat(`{}`, 1<<20), nil, append(slices.Repeat([]string{"not_a_receipt"}, 99), "findings_truncated")},
		{"deep lines", strings.Repeat("{\"receipts\":[\n", MaxBody/14), nil, []string{"syntax_error"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			note := checkInvariants(t, FormatBlamePrompt, "", []byte(test.body))
			if diff := cmp.Diff(test.ids, idsOf(note)); diff != "" {
				t.Errorf("ids: %s", diff)
			}
			if diff := cmp.Diff(test.codes, codesOf(note.Findings)); diff != "" {
				t.Errorf("codes: %s\n%v", diff, note.Findings)
			}
		})
	}
}

// TestReceiptFields is the table of odd values: the members that go into a
// receipt, how the receipt differs from a plain one, which findings it has.
func TestReceiptFields(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ö", 40<<10)
	tests := []struct {
		name  string
		json  string
		set   func(*Receipt)
		codes []string
	}{
		{"optional nulls", `"input_tokens":null,"files_changed":null,"conversation":null,"session_end":null,"line_range":null,
			"file_path":null,"response_summary":null,"ai_response_time_secs":null`, func(*Receipt) {}, nil},
		{"counters", `"input_tokens":0,"output_tokens":9223372036854775807,"total_additions":3.0,"total_deletions":12e2`, func(r *Receipt) {
			r.InputTokens, r.OutputTokens = ptr(int64(0)), ptr(int64(1<<63-1))
			r.TotalAdditions, r.TotalDeletions = ptr(int64(3)), ptr(int64(1200))
		}, nil},
		{"counter as string", `"input_tokens":"12"`, func(r *Receipt) { r.InputTokens = ptr(int64(12)) }, []string{"value_coerced"}},
		{"negative counter", `"input_tokens":-1`, detail(`{"input_tokens":-1}`), []string{"number_invalid"}},
		{"fractional counter", `"input_tokens":1.5`, detail(`{"input_tokens":1.5}`), []string{"number_invalid"}},
		{"huge counter", `"input_tokens":9223372036854775808`, detail(`{"input_tokens":9223372036854775808}`), []string{"number_invalid"}},
		{"huge exponent", `"input_tokens":1e999999999999`, detail(`{"input_tokens":"1e999999999999"}`), []string{"number_invalid"}},
		{"NaN counter", `"input_tokens":NaN`, detail(`{"input_tokens":null}`), []string{"number_invalid"}},
		{"leading zero", `"input_tokens":007`, detail(`{"input_tokens":null}`), []string{"number_invalid"}},
		{"words for a counter", `"input_tokens":"many"`, detail(`{"input_tokens":"many"}`), []string{"number_invalid"}},
		{"counter of a wrong kind", `"input_tokens":{"n":1}`, detail(`{"input_tokens":{"n":1}}`), []string{"field_mistyped"}},

		{"cost with exponent", `"cost_usd":1.25e-3`, func(r *Receipt) { r.CostUSD = "0.00125" }, []string{"duplicate_key"}},
		{"cost as string", `"cost_usd":"0.10"`, func(r *Receipt) { r.CostUSD = "0.1" }, []string{"duplicate_key", "value_coerced"}},
		{"negative cost", `"cost_usd":-0.01`, func(r *Receipt) { r.CostUSD = ""; detail(`{"cost_usd":-0.01}`)(r) },
			[]string{"duplicate_key", "cost_invalid"}},
		{"infinite cost", `"cost_usd":Infinity`, func(r *Receipt) { r.CostUSD = ""; detail(`{"cost_usd":null}`)(r) },
			[]string{"duplicate_key", "cost_invalid"}},
		{"cost of many digits", `"cost_usd":12345678901`, func(r *Receipt) { r.CostUSD = ""; detail(`{"cost_usd":12345678901}`)(r) },
			[]string{"duplicate_key", "cost_invalid"}},
		{"cost with float noise", `"cost_usd":0.30000000000000004`, func(r *Receipt) { r.CostUSD = "0.3" },
			[]string{"duplicate_key", "cost_rounded"}},

		{"time with offset", `"session_end":"2026-01-02T05:04:05.5+02:00"`, func(r *Receipt) {
			r.SessionEnd = time.Date(2026, 1, 2, 3, 4, 5, 500000000, time.UTC)
			r.RawTimestamps["session_end"] = "2026-01-02T05:04:05.5+02:00"
		}, nil},
		{"time in small letters", `"session_end":"2026-01-02 03:04:05z"`, func(r *Receipt) {
			r.SessionEnd = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			r.RawTimestamps["session_end"] = "2026-01-02 03:04:05z"
		}, nil},
		{"time without offset", `"session_end":"2026-01-02T03:04:05"`, rawTime("2026-01-02T03:04:05"), []string{"timestamp_invalid"}},
		{"time in seconds", `"session_end":1767323045`, rawTime("1767323045"), []string{"value_coerced", "timestamp_invalid"}},
		{"early time", `"session_end":"1969-12-31T23:59:59Z"`, rawTime("1969-12-31T23:59:59Z"), []string{"timestamp_out_of_range"}},
		{"late by its offset", `"session_end":"9999-12-31T23:59:59-01:00"`, rawTime("9999-12-31T23:59:59-01:00"),
			[]string{"timestamp_out_of_range"}},
		{"empty time", `"session_end":""`, func(*Receipt) {}, nil},

		{"float", `"ai_response_time_secs":2.5`, func(r *Receipt) { r.AIResponseTimeSecs = ptr(2.5) }, nil},
		{"negative float", `"ai_response_time_secs":-2.5`, detail(`{"ai_response_time_secs":-2.5}`), []string{"number_invalid"}},
		{"infinite float", `"ai_response_time_secs":1e999`, detail(`{"ai_response_time_secs":"1e999"}`), []string{"number_invalid"}},

		{"legacy file", `"file_path":"/home/dev/a.go","line_range":[2,5]`, files(FileChange{Path: "/home/dev/a.go", LineStart: 2, LineEnd: 5, Legacy: true}), nil},
		{"legacy file without range", `"file_path":"a.go"`, files(FileChange{Path: "a.go", LineStart: 1, LineEnd: 1, Legacy: true}), nil},
		{"legacy range alone", `"file_path":"","line_range":"odd"`, func(*Receipt) {}, nil},
		{"legacy file beside files", `"file_path":"a.go","line_range":[1,1],"files_changed":[{"path":"b.go","line_range":[0,0]}]`,
			files(FileChange{Path: "b.go"}), nil},
		{"back-slashes", `"files_changed":[{"path":"src\\a.go","line_range":[1,1],"blob_hash":"49333699C6330ED1F4AD1A5F34D6B8BFA4E7F1B6","additions":3,"deletions":0}]`,
			files(FileChange{Path: "src/a.go", LineStart: 1, LineEnd: 1, BlobHash: "49333699c6330ed1f4ad1a5f34d6b8bfa4e7f1b6",
				Additions: ptr(int64(3)), Deletions: ptr(int64(0))}), nil},
		{"reversed range", `"files_changed":[{"path":"a","line_range":[9,2]}]`, files(FileChange{Path: "a", LineStart: 2, LineEnd: 9}),
			[]string{"line_range_swapped"}},
		{"range from 0", `"files_changed":[{"path":"a","line_range":[0,2]}]`, files(FileChange{Path: "a", LineStart: 1, LineEnd: 2}),
			[]string{"line_range_clamped"}},
		{"endless range", `"files_changed":[{"path":"a","line_range":[1,4294967295]}]`,
			files(FileChange{Path: "a", LineStart: 1, LineEnd: MaxLine}), []string{"line_range_clamped"}},
		{"negative range", `"files_changed":[{"path":"a","line_range":[-1,2]}]`, filesAndDetail(FileChange{Path: "a"}),
			[]string{"number_invalid", "line_range_invalid"}},
		{"range of three", `"files_changed":[{"path":"a","line_range":[1,2,3]}]`, filesAndDetail(FileChange{Path: "a"}),
			[]string{"line_range_invalid"}},
		{"range of a wrong kind", `"files_changed":[{"path":"a","line_range":"1-2"}]`, filesAndDetail(FileChange{Path: "a"}),
			[]string{"line_range_invalid"}},
		{"odd blob hash", `"files_changed":[{"path":"a","blob_hash":"abc"}]`, filesAndDetail(FileChange{Path: "a"}),
			[]string{"blob_hash_invalid"}},
		{"file without path", `"files_changed":[{"path":""},{"path":"a"}]`, filesAndDetail(FileChange{Path: "a"}), []string{"path_missing"}},
		{"file of a wrong kind", `"files_changed":["x",{"path":"a"}]`, filesAndDetail(FileChange{Path: "a"}), []string{"field_mistyped"}},
		{"files of a wrong kind", `"files_changed":"a.go"`, detail(`{"files_changed":"a.go"}`), []string{"field_mistyped"}},

		{"NUL", `"response_summary":"a\u0000b"`, func(r *Receipt) { r.ResponseSummary = "a\uFFFDb" }, []string{"text_repaired"}},
		{"raw NUL", "\"response_summary\":\"a\x00b\"", func(r *Receipt) { r.ResponseSummary = "a\uFFFDb" }, []string{"text_repaired"}},
		{"bad UTF-8", "\"response_summary\":\"a\xffb\"", func(r *Receipt) { r.ResponseSummary = "a\uFFFDb" }, []string{"text_repaired"}},
		{"lone surrogate", `"response_summary":"a\ud83db"`, func(r *Receipt) { r.ResponseSummary = "a\uFFFDb" }, []string{"text_repaired"}},
		{"surrogate pair", `"response_summary":"\ud83d\ude00"`, func(r *Receipt) { r.ResponseSummary = "😀" }, nil},
		{"unknown escape", `"response_summary":"a\qb"`, func(r *Receipt) { r.ResponseSummary = "a\uFFFDb" }, []string{"text_repaired"}},
		{"escape sequences", "\"response_summary\":\"\\u001b[31m\t\"", func(r *Receipt) { r.ResponseSummary = "\x1b[31m\t" }, nil},
		{"markup", `"response_summary":"<script>=cmd|' /C calc'!A0"`, func(r *Receipt) { r.ResponseSummary = "<script>=cmd|' /C calc'!A0" }, nil},
		{"long text", `"response_summary":"` + long + `"`, func(r *Receipt) { r.ResponseSummary = long[:maxSummary] }, []string{"text_truncated"}},
		{"synthetic model", `"parent_receipt_id":"<synthetic>"`, func(r *Receipt) { r.ParentReceiptID = "<synthetic>" }, nil},

		{"other fields", `"z":[1, 2],"a":{"b":"\u0000"},"tools_used":["Edit"]`,
			detail(`{"a":{"b":"` + "\uFFFD" + `"},"tools_used":["Edit"],"z":[1,2]}`), nil},
		{"other field twice", `"z":1,"z":2`, detail(`{"z":2}`), []string{"duplicate_key"}},
		{"deep field", `"z":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"y":1`, detail(`{"y":1}`), []string{"detail_dropped"}},
		{"very deep field", `"z":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20), func(*Receipt) {}, []string{"detail_dropped"}},
		{"big field", `"z":"` + strings.Repeat("x", maxDetail) + `","y":1`, detail(`{"y":1}`), []string{"detail_dropped"}},

		{"conversation", `"conversation":[{"turn":0}, 1]`, func(r *Receipt) {
			r.Conversation, r.ConversationTurns = json.RawMessage(`[{"turn":0}, 1]`), 2
		}, nil},
		{"conversation with NUL", `"conversation":["\u0000", NaN]`, func(r *Receipt) {
			r.Conversation, r.ConversationTurns = json.RawMessage("[\"\uFFFD\",null]"), 2
		}, nil},
		{"conversation of a wrong kind", `"conversation":"hi"`, detail(`{"conversation":"hi"}`), []string{"field_mistyped"}},
		{"deep conversation", `"conversation":` + strings.Repeat("[", 65) + strings.Repeat("]", 65), func(r *Receipt) { r.ConversationTurns = 1 },
			[]string{"conversation_dropped"}},
	}
	plain := Parse(FormatBlamePrompt, "", []byte(receiptJSON("a", ""))).Receipts[0]
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			note := checkInvariants(t, FormatBlamePrompt, "", []byte(payloadJSON(receiptJSON("a", test.json), receiptJSON("next", ""))))
			if diff := cmp.Diff([]string{"a", "next"}, idsOf(note)); diff != "" {
				t.Fatalf("ids: %s", diff)
			}
			want := plain
			want.RawTimestamps = map[string]string{"timestamp": plain.RawTimestamps["timestamp"]}
			test.set(&want)
			got := note.Receipts[0]
			var skip cmp.Option = cmp.Options{}
			if strings.HasPrefix(string(want.Detail), "files_changed") {
				skip = cmpopts.IgnoreFields(Receipt{}, "Detail")
				if !bytes.HasPrefix(got.Detail, []byte(`{"files_changed":[`)) {
					t.Errorf("detail = %s", got.Detail)
				}
			}
			if diff := cmp.Diff(want, got, skip); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.codes, codesOf(note.Findings)); diff != "" {
				t.Errorf("codes: %s", diff)
			}
			for _, f := range note.Findings {
				if f.ReceiptID != "a" || !strings.HasPrefix(f.Where, "/receipts/0") {
					t.Errorf("finding points elsewhere: %+v", f)
				}
			}
		})
	}
}

func detail(text string) func(*Receipt) {
	return func(r *Receipt) { r.Detail = json.RawMessage(text) }
}

func rawTime(text string) func(*Receipt) {
	return func(r *Receipt) { r.RawTimestamps["session_end"] = text }
}

func files(f ...FileChange) func(*Receipt) {
	return func(r *Receipt) { r.Files = f }
}

// filesAndDetail expects the array of files in Detail as well.
func filesAndDetail(f ...FileChange) func(*Receipt) {
	return func(r *Receipt) { r.Files, r.Detail = f, json.RawMessage("files_changed") }
}

func TestLastContentWins(t *testing.T) {
	t.Parallel()
	note := Parse(FormatBlamePrompt, "", []byte(payloadJSON(receiptJSON("a", `"prompt_number":1`), receiptJSON("b", ""),
		receiptJSON("a", `"prompt_number":2`))))
	if len(note.Receipts) != 2 || note.Receipts[0].ID != "a" || *note.Receipts[0].PromptNumber != 2 || note.Receipts[0].Index != 0 {
		t.Errorf("receipts = %+v", note.Receipts)
	}
}

func TestFindingPlaces(t *testing.T) {
	t.Parallel()
	body := payloadJSON(receiptJSON("a", "")) + "\n\n" +
		payloadJSON(receiptJSON("b", ""), receiptJSON("c", `"files_changed":[{"path":"x","blob_hash":"y"}],"a/b~":1,"a/b~":2`)) +
		"\n{\"receipts\":[\n  !"
	note := Parse(FormatBlamePrompt, "", []byte(body))
	var got []string
	for _, f := range note.Findings {
		got = append(got, f.Code+" "+f.ReceiptID+" "+f.Where)
	}
	want := []string{
		"blob_hash_invalid c line 3 /receipts/1/files_changed/0/blob_hash",
		"duplicate_key c line 3 /receipts/1/a~1b~0",
		"syntax_error  line 5",
		"several_documents  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSplitUser(t *testing.T) {
	t.Parallel()
	tests := []struct{ user, name, email string }{
		{"Dev One <dev@example.com>", "Dev One", "dev@example.com"},
		{" <>", "", ""},
		{" <mail@example.com>", "", "mail@example.com"},
		{"<mail@example.com>", "", "mail@example.com"},
		{"u", "u", ""},
		{"", "", ""},
		{"dev@example.com", "", "dev@example.com"},
		{"Dev One", "Dev One", ""},
		{"a <b> <c@d>", "a <b>", "c@d"},
		{"a <b <c@d>", "a", "b <c@d"},
		{"a>", "a>", ""},
		{"a <b> c", "a <b> c", ""},
		{"unknown <unknown@unknown>", "unknown", "unknown@unknown"},
	}
	for _, test := range tests {
		if name, email := splitUser(test.user); name != test.name || email != test.email {
			t.Errorf("splitUser(%q) = %q, %q", test.user, name, email)
		}
	}
}

func TestPlainCost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw, cost   string
		rounded, ok bool
	}{
		{"0", "0", false, true},
		{"-0.0", "0", false, true},
		{"0.0", "0", false, true},
		{"0.10", "0.1", false, true},
		{"12.5", "12.5", false, true},
		{"1e2", "100", false, true},
		{"1.5E+1", "15", false, true},
		{"123e-2", "1.23", false, true},
		{"9999999999.999999999999", "9999999999.999999999999", false, true},
		{"9999999999.9999999999995", "", false, false},
		{"0.0000000000005", "0.000000000001", true, true},
		{"0.00000000000049", "0", true, true},
		{"0.0999999999999999", "0.1", true, true},
		{"1e-999999999999", "0", true, true},
		{"0e999999999999", "0", false, true},
		{"1e10", "", false, false},
		{"1e9", "1000000000", false, true},
		{"-1", "", false, false},
	}
	for _, test := range tests {
		cost, rounded, ok := plainCost([]byte(test.raw))
		if ok != test.ok || cost != test.cost || (ok && rounded != test.rounded) {
			t.Errorf("plainCost(%s) = %q, %v, %v", test.raw, cost, rounded, ok)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	elements := slices.Repeat([]string{receiptJSON("a", `"input_tokens":"1"`)}, 500)
	elements = append(elements, "1", receiptJSON("z", `"total_additions":-1`))
	note := checkInvariants(t, FormatBlamePrompt, "", []byte(payloadJSON(elements...)))
	counts := map[string]int{}
	for _, f := range note.Findings {
		counts[f.Code]++
	}
	if len(note.Findings) != MaxFindings || counts["not_a_receipt"] != 1 || counts["number_invalid"] != 1 {
		t.Errorf("%d findings: %v", len(note.Findings), counts)
	}
	last := note.Findings[MaxFindings-1]
	// 500 coerced values, 499 duplicates, and the two above, of which 99 are kept.
	if last.Code != "findings_truncated" || !strings.HasPrefix(last.Message, "902 more") {
		t.Errorf("last finding = %+v", last)
	}
}

func TestBoundsOfOneNote(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range maxReceipts + 5 {
		fmt.Fprintf(&many, `{"id":"%d"},`, i)
	}
	note := Parse(FormatBlamePrompt, "", []byte("["+many.String()+"1]"))
	if len(note.Receipts) != maxReceipts || !hasCode(note, tooManyReceipts) {
		t.Errorf("%d receipts", len(note.Receipts))
	}
	paths := strings.Repeat(`{"path":"a"},`, maxFiles+5)
	note = Parse(FormatBlamePrompt, "", []byte(receiptJSON("a", `"files_changed":[`+paths+`1]`)))
	if len(note.Receipts[0].Files) != maxFiles || !hasCode(note, tooManyFiles) {
		t.Errorf("%d files", len(note.Receipts[0].Files))
	}
	note = Parse(FormatBlamePrompt, "", make([]byte, MaxBody+1))
	if diff := cmp.Diff([]string{"note_too_large"}, codesOf(note.Findings)); diff != "" {
		t.Error(diff)
	}
	note = Parse("unheard-of", "", nil)
	if diff := cmp.Diff([]string{"format_unknown"}, codesOf(note.Findings)); diff != "" {
		t.Error(diff)
	}
}
