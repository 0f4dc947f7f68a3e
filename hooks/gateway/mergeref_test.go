package gateway

import (
	"os"
	"strings"
	"testing"
)

func TestFindingsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, severity := range map[string]string{codeTampered: "warning", codeKept: "info"} {
		if !strings.Contains(string(page), "| `"+code+"` | "+severity+" |") {
			t.Errorf("docs/findings.md does not know %s as %s", code, severity)
		}
	}
}
