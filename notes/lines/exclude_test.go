package lines

import (
	"strings"
	"testing"
)

func TestReasonsByName(t *testing.T) {
	t.Parallel()
	var e Excluder
	for name, want := range map[string]Reason{
		"main.go": "", "src/vendors/a.go": "", "vendor": "", "lock.go": "", "admin.js": "", "docs/node_modules.md": "",
		"string.go": "", "pb.go": "", "generated/a.go": "", "min.js": "", "go.summary": "", "a.map": "", "\xff\n": "", "": "",
		"go.sum": ReasonLockfile, "web/package-lock.json": ReasonLockfile, "Cargo.lock": ReasonLockfile,
		"vendor/x/y.go": ReasonVendored, "a/node_modules/b/c.js": ReasonVendored, "third_party/z.c": ReasonVendored,
		"vendor/go.sum": ReasonVendored, "app.min.js": ReasonMinified, "css/site.min.css": ReasonMinified,
		"app.js.map": ReasonMinified, "a.min.b/c": "",
		"api/x.pb.go": ReasonGenerated, "x_pb2.py": ReasonGenerated, "x_pb2_grpc.pyi": ReasonGenerated,
		"zz_generated.deepcopy.go": ReasonGenerated, "a_generated.go": ReasonGenerated, "a.generated.ts": ReasonGenerated,
		"m.g.dart": ReasonGenerated, "Form.Designer.cs": ReasonGenerated, "__generated__/q.ts": ReasonGenerated,
	} {
		if got := e.Reason(name, false, Attributes{}); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := e.Reason("main.go", true, Attributes{}); got != ReasonGenerated {
		t.Errorf("a header: %q", got)
	}
}

func TestAttributesDecideOverNames(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	var e Excluder
	for _, c := range []struct {
		name       string
		header     bool
		attributes Attributes
		want       Reason
	}{
		{"main.go", false, Attributes{Generated: &yes}, ReasonGenerated},
		{"main.go", false, Attributes{Vendored: &yes}, ReasonVendored},
		{"vendor/a.go", false, Attributes{Vendored: &no}, ""},
		{"vendor/a.pb.go", false, Attributes{Vendored: &no}, ReasonGenerated},
		{"a.pb.go", true, Attributes{Generated: &no}, ""},
		{"go.sum", false, Attributes{Generated: &no}, ""},
		{"a.min.js", false, Attributes{Generated: &no}, ""},
		{"a.min.js", false, Attributes{Vendored: &no}, ReasonMinified},
	} {
		if got := e.Reason(c.name, c.header, c.attributes); got != c.want {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		globs    string
		in, outs string
	}{
		{"docs", "docs a/docs docs/x/y a/docs/x", "mydocs docs.md"},
		{"docs/", "docs/x a/docs/x", "docsx"},
		{"/docs", "docs docs/x", "a/docs"},
		{"a/docs", "a/docs a/docs/x", "b/a/docs docs"},
		{"**/docs/*.md", "docs/a.md x/y/docs/a.md", "docs/x/a.md"},
		{"a/**/b", "a/b a/x/b a/x/y/b a/b/c", "ab a/xb"},
		{"a/**", "a/b a/b/c", "a b/a/c"},
		{"*.snap", "x.snap a/b.snap", "x.snapx"},
		{"?.go", "a.go x/b.go", "ab.go .go"},
		{"[a-c]x.go", "ax.go cx.go", "dx.go -x.go"},
		{"[!a-c]x.go", "dx.go", "ax.go"},
		{"[]]x", "]x", "x"},
		{"[x", "[x", "x"},
		{`\*.go`, "*.go", "a.go"},
		{`a\`, `a\`, "a"},
		{"a.b+(c", "a.b+(c", "axb+(c"},
		{"*.go !keep.go", "a.go", "keep.go x/keep.go"},
		{"!keep.go *.go", "a.go keep.go", ""},
		{"!vendor", "", "vendor/a.go"},
		{"ü*", "über", "uber"},
	} {
		e, err := NewExcluder(strings.Fields(c.globs))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(c.in) {
			if got := e.Reason(name, false, Attributes{}); got != ReasonSetting {
				t.Errorf("%s: %q is %q", c.globs, name, got)
			}
		}
		for _, name := range strings.Fields(c.outs) {
			if got := e.Reason(name, false, Attributes{}); got != "" {
				t.Errorf("%s: %q is %q", c.globs, name, got)
			}
		}
	}
	for glob, want := range map[string]string{
		"": "names nothing", "/": "names nothing", "!": "names nothing",
		strings.Repeat("a", maxGlob+1): "more than", "[z-a]": "range",
	} {
		_, err := NewExcluder([]string{"fine", glob})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "glob") {
			t.Errorf("%.20q: %v", glob, err)
		}
	}
	if _, err := NewExcluder(make([]string, maxGlobs+1)); err == nil {
		t.Error("too many globs are taken")
	}
}

func FuzzGlob(f *testing.F) {
	for _, glob := range []string{"a/**/b", "[!a-]", `\`, "*?[", "[]", "[^]]", "**/", "***"} {
		f.Add(glob, "a/b")
	}
	f.Fuzz(func(t *testing.T, glob, name string) {
		if e, err := NewExcluder([]string{glob}); err == nil {
			e.Reason(name, false, Attributes{})
		} else if !strings.Contains(err.Error(), "glob") {
			t.Error(err)
		}
	})
}
