package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestLandedMigrationsStay holds those that have run on databases to their
// bytes: what is changed in one of them would never reach those. testdata has
// their hashes, as sha256sum writes them; a release adds its own.
func TestLandedMigrationsStay(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("testdata/landed.sha256")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		want, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("testdata/landed.sha256 has the line %q", line)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s was changed after it ran on databases: put the change into a migration of its own", name)
		}
	}
}
