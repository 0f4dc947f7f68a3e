package ingest

import (
	"os"
	"strings"
	"testing"
)

func TestFindingsOfIngestAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{codeMissing, codeTooLarge, codeNotABlob, codeRewritten, codeDeleted, codeNotACommit, codeIncomplete} {
		if !strings.Contains(string(page), "| `"+code+"` |") {
			t.Errorf("docs/findings.md does not know %s", code)
		}
	}
}
