package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestStaysSmall keeps the database and the web server out: the program
// starts for every push and every commit.
func TestStaysSmall(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		for _, heavy := range []string{"github.com/jackc/", "github.com/blameprompt/enterprise/store",
			"github.com/blameprompt/enterprise/httpapi", "github.com/gliderlabs/"} {
			if strings.HasPrefix(path, heavy) {
				t.Errorf("the program depends on %s", path)
			}
		}
	}
}
