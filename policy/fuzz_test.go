package policy

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/push"
)

// FuzzParse: any text is a policy or an *Invalid that says why; a policy is
// written so that it can be read again, and judges without failing the caller.
func FuzzParse(f *testing.F) {
	for _, c := range readParseCases(f) {
		f.Add([]byte(c.Document))
	}
	in := readCases(f, "testdata/cases/several.json")[1]
	input := in.input(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			var invalid *Invalid
			if !errors.As(err, &invalid) || len(invalid.Problems) == 0 || err.Error() == "" {
				t.Fatalf("error %v does not say what is wrong", err)
			}
			return
		}
		written, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(written); err != nil {
			t.Fatalf("%s was read but not %s: %v", text, written, err)
		}
		set, err := Compile([]Policy{p})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		verdict := set.Evaluate(ctx, input)
		if ctx.Err() != nil {
			t.Fatalf("%s takes longer than 5 s", text)
		}
		if verdict.Outcome == push.Refuse && p.Action != Block {
			t.Fatalf("%s: a warning refused", text)
		}
	})
}
