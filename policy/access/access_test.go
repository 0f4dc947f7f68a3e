package access

import (
	"strings"
	"testing"
)

func TestScopesIncludeOthers(t *testing.T) {
	t.Parallel()
	allowed := map[Scope]string{
		Ingest: "ingest",
		Hook:   "hook",
		Read:   "read",
		Write:  "read write",
		Admin:  "ingest hook read write admin",
	}
	for have, needs := range allowed {
		for _, need := range Scopes {
			want := strings.Contains(needs, string(need))
			if got := (Principal{Scopes: []Scope{have}}).Has(need); got != want {
				t.Errorf("a key with %s asking for %s: allowed = %v, want %v", have, need, got, want)
			}
		}
	}
	if (Principal{}).Has(Read) {
		t.Error("a principal without scopes may read")
	}
}

func TestParseScopesNamesTheUnknownOne(t *testing.T) {
	t.Parallel()
	if _, err := ParseScopes([]string{"read", "root"}); err == nil || !strings.Contains(err.Error(), `"root"`) {
		t.Errorf("ParseScopes(read, root) = %v, want an error that names root", err)
	}
	if _, err := ParseScopes(nil); err == nil {
		t.Error("ParseScopes of nothing succeeded")
	}
	got, err := ParseScopes([]string{"read", " ingest", "read"})
	if err != nil || len(got) != 2 {
		t.Errorf("ParseScopes = %v, %v, want read and ingest once each", got, err)
	}
}
