package notes

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseReceipts(t *testing.T) {
	t.Parallel()
	a, b := receiptJSON("a", ""), receiptJSON("b", "")
	accepted := []Item{{Receipt: 0}, {Receipt: 1}}
	tests := []struct {
		name         string
		body         string
		repo, commit string
		ids          []string
		items        []Item
	}{
		{"array", "[" + a + "," + b + "]", "", "", []string{"a", "b"}, accepted},
		{"envelope", `{"repo":"team/app","commit_hash":"ABC","receipts":[` + a + "," + b + `]}`, "team/app", "abc", []string{"a", "b"}, accepted},
		{"envelope, receipts first", `{"receipts":[` + a + "," + b + `],"repo":"r"}`, "r", "", []string{"a", "b"}, accepted},
		{"payload", payloadJSON(a, b), "", "", []string{"a", "b"}, accepted},
		{"one receipt", a, "", "", []string{"a"}, []Item{{Receipt: 0}}},
		{"empty array", "[]", "", "", nil, nil},
		{"empty payload", payloadJSON(), "", "", nil, nil},
		{"some rejected", "[1," + a + `,{},{"receipts":[]},"x"]`, "", "", []string{"a"}, []Item{
			{Receipt: -1, Err: "a number stands where a receipt was expected"}, {Receipt: 0},
			{Receipt: -1, Err: "an object has no field of a receipt"},
			{Receipt: -1, Err: "an object has no field of a receipt"},
			{Receipt: -1, Err: "a string stands where a receipt was expected"},
		}},
		{"duplicates", "[" + a + "," + b + "," + receiptJSON("a", `"prompt_number":2`) + "]", "", "", []string{"a", "b"},
			[]Item{{Receipt: 0}, {Receipt: 1}, {Receipt: 0, Duplicate: true}}},
	}
	for _, test := range tests {
		batch, err := ParseReceipts([]byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got := []any{batch.Repo, batch.Commit, idsOf(batch.Note), batch.Items}
		if diff := cmp.Diff([]any{test.repo, test.commit, test.ids, test.items}, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		checkNote(t, batch.Note)
	}
}

func TestParseReceiptsRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, want string }{
		{"empty", "", "line 1, column 1"},
		{"text", "hello", "line 1, column 1"},
		{"string", `"x"`, "neither an array nor an object"},
		{"cut off", "[\n" + receiptJSON("a", ""), "the text ends"},
		{"position", "[\n  oops]", "line 2, column 3"},
		{"two documents", "[]\n[]", "more text follows"},
		{"foreign object", `{"foo":1}`, "no field of a receipt"},
		{"receipts of a wrong kind", `{"repo":"r","receipts":"none"}`, `"receipts" is not an array`},
		{"too many", "[" + strings.Repeat("1,", maxReceipts) + "1]", "more than 32768 receipts"},
		{"too large", strings.Repeat(" ", MaxBody+1), "more than"},
	}
	for _, test := range tests {
		_, err := ParseReceipts([]byte(test.body))
		if !errors.Is(err, ErrNotReceipts) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
