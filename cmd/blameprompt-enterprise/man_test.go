package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra/doc"
)

//go:generate go test -run TestManPages -count 1 . -update

var update = flag.Bool("update", false, "write docs/man anew")

// manDir holds the pages that install.sh installs.
const manDir = "../../docs/man"

// TestManPages keeps the pages as the commands' own help says. They are
// written by a test, so that the program does not carry the writer.
func TestManPages(t *testing.T) {
	t.Parallel()
	made := t.TempDir()
	root := newRoot(testApp(t, nil))
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "BlamePrompt Enterprise", Manual: "BlamePrompt Enterprise", Date: &time.Time{}}
	if err := doc.GenManTree(root, header, made); err != nil {
		t.Fatal(err)
	}
	for name, text := range readDir(t, made) {
		// A date would change the pages every day.
		writeFile(t, filepath.Join(made, name), strings.Replace(text, `"Jan 0001"`, `""`, 1))
	}
	if *update {
		if err := os.RemoveAll(manDir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(manDir, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readDir(t, made), readDir(t, manDir)); diff != "" {
		t.Errorf("docs/man is not up to date, run \"make generate\":\n%s", diff)
	}
}

func readDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(text)
	}
	return files
}
