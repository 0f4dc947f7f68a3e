package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/daemontest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"blamepromptd": main})
}

// TestScripts runs testdata/script; daemontest has the commands beside those of
// testscript.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, daemontest.Params(t, "testdata/script"))
}
