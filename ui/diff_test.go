package ui

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/store"
)

func TestADiffTellsWhoseItsLinesAre(t *testing.T) {
	t.Parallel()
	const patch = `diff --git a/old.go b/new.go
similarity index 60%
rename from old.go
rename to new.go
--- a/old.go
+++ b/new.go
@@ -1,3 +1,4 @@ package x
 package x
-var a int
+var a string
+var b string
 // --- a/not a head
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
diff --git a/with blank.md b/with blank.md
--- a/with blank.md	
+++ b/with blank.md	
@@ -0,0 +1 @@
+blank
diff --git "a/tab\there" "b/tab\there"
--- /dev/null
+++ "b/tab\there"
@@ -0,0 +1 @@
+tab
`
	d := diffReader{classified: true, owners: ownersOf([]store.AddedRun{
		{Path: []byte("new.go"), First: 3, Last: 3, Class: "ai", ReceiptID: "r-1"},
		{Path: []byte("with blank.md"), First: 1, Last: 1, Class: "human"},
		{Path: []byte("tab\there"), First: 1, Last: 1, Class: "ai", ReceiptID: "r-2"},
	})}
	if err := d.read(strings.NewReader(patch)); err != nil {
		t.Fatal(err)
	}
	want := []DiffFile{
		{Path: "new.go", Lines: []DiffLine{
			{Kind: "head", Text: "@@ -1,3 +1,4 @@ package x"}, {Number: "1", Text: " package x"}, {Kind: "was", Text: "-var a int"},
			{Kind: "is", Number: "2", Text: "+var a string", Class: "unknown"},
			{Kind: "is", Number: "3", Text: "+var b string", Class: "ai", Receipt: "r-1"}, {Number: "4", Text: " // --- a/not a head"},
		}},
		{Path: "a/logo.png b/logo.png"},
		{Path: "with blank.md", Lines: []DiffLine{{Kind: "head", Text: "@@ -0,0 +1 @@"}, {Kind: "is", Number: "1", Text: "+blank", Class: "human"}}},
		{Path: "tab\there", Lines: []DiffLine{{Kind: "head", Text: "@@ -0,0 +1 @@"}, {Kind: "is", Number: "1", Text: "+tab", Class: "ai", Receipt: "r-2"}}},
	}
	if diff := cmp.Diff(want, d.files); diff != "" {
		t.Error(diff)
	}
}

func TestALongDiffIsCut(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"lines": strings.Repeat("+x\n", 10*maxDiffLines), "bytes": strings.Repeat("+"+strings.Repeat("<", 1000)+"\n", 200)} {
		d := diffReader{}
		err := d.read(strings.NewReader("diff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,9 @@\n" + body))
		if err != errEnough || len(d.files[0].Lines) > maxDiffLines {
			t.Errorf("%s: %v, %d lines", name, err, len(d.files[0].Lines))
		}
	}
}
