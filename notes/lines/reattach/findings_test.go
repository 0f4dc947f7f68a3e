package reattach

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
	for _, code := range []string{codeGone, codeUnread, codeAmbiguous} {
		if !strings.Contains(string(page), "\n| `"+code+"` | info |") {
			t.Errorf("docs/findings.md does not know %s as info", code)
		}
	}
}
