package live

import (
	"os"
	"strings"
	"testing"
)

func TestFindingsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{codeTooLarge, codeMissing, codeSlow, codeFailed} {
		if !strings.Contains(string(page), "| `"+code+"` |") {
			t.Errorf("docs/findings.md does not know %s", code)
		}
	}
}
