package notes

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// checkInvariants parses body and holds what must be true of every result.
func checkInvariants(t testing.TB, format Format, commit string, body []byte) Note {
	t.Helper()
	note := Parse(format, commit, body)
	if again := Parse(format, commit, body); !reflect.DeepEqual(note, again) {
		t.Fatalf("two readings differ:\n%s", cmp.Diff(note, again))
	}
	checkNote(t, note)
	return note
}

func checkNote(t testing.TB, note Note) {
	t.Helper()
	checkStrings(t, reflect.ValueOf(note), "note")
	checkFindings(t, note)
	checkDetail(t, note.Detail)
	ids := map[string]bool{}
	for i, r := range note.Receipts {
		if r.ID == "" || ids[r.ID] || r.Index != i {
			t.Fatalf("receipt %d has id %q (seen %v) and index %d", i, r.ID, ids[r.ID], r.Index)
		}
		ids[r.ID] = true
		checkReceipt(t, r)
	}
	type pathAndKey struct{ path, key string }
	seen := map[pathAndKey]bool{}
	byPath := map[string][]claim{}
	for i, a := range note.Attestations {
		if seen[pathAndKey{a.Path, a.Key}] {
			t.Fatalf("attestation of %q by %q stands twice", a.Path, a.Key)
		}
		seen[pathAndKey{a.Path, a.Key}] = true
		if (a.Class == ClassAI) != ids[a.ReceiptID] {
			t.Fatalf("attestation %+v does not fit the receipts", a)
		}
		checkLines(t, a)
		for _, r := range a.Lines {
			byPath[a.Path] = append(byPath[a.Path], claim{r, i})
		}
	}
	checkOneOwner(t, byPath)
}

// checkStrings walks v and holds every string in it valid UTF-8 without NUL.
func checkStrings(t testing.TB, v reflect.Value, where string) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			t.Fatalf("%s = %q", where, s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				checkStrings(t, v.Field(i), where+"."+v.Type().Field(i).Name)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			checkStrings(t, v.Index(i), where)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			checkStrings(t, it.Key(), where)
			checkStrings(t, it.Value(), where)
		}
	}
}

func checkFindings(t testing.TB, note Note) {
	t.Helper()
	if len(note.Findings) > MaxFindings {
		t.Fatalf("%d findings", len(note.Findings))
	}
	for _, f := range note.Findings {
		if f.Severity == "" || f.Severity != severities[code(f.Code)] || f.Message == "" {
			t.Fatalf("finding %+v", f)
		}
	}
}

func checkDetail(t testing.TB, detail json.RawMessage) {
	t.Helper()
	if detail == nil {
		return
	}
	var members map[string]any
	if err := json.Unmarshal(detail, &members); err != nil || len(members) == 0 {
		t.Fatalf("detail %q: %v", detail, err)
	}
	if len(detail) > maxDetail {
		t.Fatalf("detail has %d bytes", len(detail))
	}
	checkStorable(t, detail)
}

// checkStorable holds JSON text against what PostgreSQL's jsonb refuses.
func checkStorable(t testing.TB, raw json.RawMessage) {
	t.Helper()
	if !utf8.Valid(raw) || !json.Valid(raw) {
		t.Fatalf("not storable: %q", raw)
	}
	lower := strings.ToLower(strings.ReplaceAll(string(raw), `\\`, ""))
	for _, bad := range []string{`\u0000`, `\ud8`, `\ud9`, `\uda`, `\udb`, `\udc`, `\udd`, `\ude`, `\udf`} {
		if strings.Contains(lower, bad) {
			t.Fatalf("not storable (%s): %q", bad, raw)
		}
	}
}

func checkReceipt(t testing.TB, r Receipt) {
	t.Helper()
	checkDetail(t, r.Detail)
	if r.Conversation != nil {
		checkStorable(t, r.Conversation)
		var turns []json.RawMessage
		if err := json.Unmarshal(r.Conversation, &turns); err != nil || len(turns) != r.ConversationTurns {
			t.Fatalf("conversation of %d turns, counted %d: %v", len(turns), r.ConversationTurns, err)
		}
	}
	if r.CostUSD != "" && !isPlainDecimal(r.CostUSD) {
		t.Fatalf("cost %q", r.CostUSD)
	}
	for _, n := range []*int64{r.PromptNumber, r.MessageCount, r.InputTokens, r.OutputTokens, r.CacheReadTokens,
		r.CacheCreationTokens, r.SessionDurationSecs, r.PromptDurationSecs, r.AcceptedLines, r.OverriddenLines,
		r.TotalAdditions, r.TotalDeletions} {
		if n != nil && *n < 0 {
			t.Fatalf("negative counter in %+v", r)
		}
	}
	for _, f := range r.Files {
		known := f.LineStart >= 1 && f.LineStart <= f.LineEnd && f.LineEnd <= MaxLine
		unknown := f.LineStart == 0 && f.LineEnd == 0
		if f.Path == "" || strings.Contains(f.Path, `\`) || (!known && !unknown) {
			t.Fatalf("file %+v", f)
		}
	}
	if len(r.ID) > maxID || len(r.Model) > maxName || len(r.PromptSummary) > maxSummary || len(r.User) > maxUser {
		t.Fatalf("a string is too long in receipt %q", r.ID)
	}
}

func isPlainDecimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" && s != "" }
	return digits(whole) && len(whole) <= costWholeDigits && len(fraction) <= costFractionDigits &&
		(!point || digits(fraction))
}

func checkLines(t testing.TB, a Attestation) {
	t.Helper()
	if len(a.Lines) == 0 {
		t.Fatalf("attestation without lines: %+v", a)
	}
	end := uint32(0)
	for _, r := range a.Lines {
		if r.First <= end || r.Last < r.First || r.Last > MaxLine {
			t.Fatalf("lines of %q by %q: %v", a.Path, a.Key, a.Lines)
		}
		end = r.Last
	}
}

func checkOneOwner(t testing.TB, byPath map[string][]claim) {
	t.Helper()
	for path, claims := range byPath {
		total, union := uint64(0), uint64(0)
		for _, c := range claims {
			total += uint64(c.Last-c.First) + 1
		}
		for _, c := range owners(claims) {
			union += uint64(c.Last-c.First) + 1
		}
		if total != union {
			t.Fatalf("%s: %d owned lines of %d", path, total, union)
		}
	}
}
