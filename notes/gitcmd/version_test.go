package gitcmd

import (
	"strings"
	"testing"
)

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"2.35": "", "2.35.0": "", "2.39.5": "", "2.51.GIT": "", "3.0.0": "", "2.47.1.windows.1": "",
		"2.34.1": "install git 2.35", "1.9.1": "install git 2.35", "two": "cannot be compared",
		"x.y": "reading git version", "": "cannot be compared",
	} {
		err := checkVersion(version)
		if want == "" && err != nil {
			t.Errorf("version %q: %v", version, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("version %q: %v, want an error with %q", version, err, want)
		}
	}
}
