package notes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFindingsAreDocumented holds docs/findings.md to the codes of this package
// and every use of a code to the table of severities.
func TestFindingsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (info|warning|error) \\| [^|]+ \\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		if documented[m[1]] != "" {
			t.Errorf("%s is documented twice", m[1])
		}
		documented[m[1]] = m[2]
	}
	for c, severity := range severities {
		if documented[string(c)] != string(severity) {
			t.Errorf("docs/findings.md has %q for %s, want %q", documented[string(c)], c, severity)
		}
	}
	for _, c := range declaredCodes(t) {
		if severities[c] == "" {
			t.Errorf("%s has no severity", c)
		}
	}
}

// declaredCodes are the constants of type code in findings.go.
func declaredCodes(t *testing.T) []code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "findings.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, code(text))
		}
		return true
	})
	if len(out) != len(severities) {
		t.Errorf("%d codes are declared, %d have a severity", len(out), len(severities))
	}
	return out
}

func TestReportKeepsTheSevere(t *testing.T) {
	t.Parallel()
	var r report
	for range 150 {
		r.add(valueCoerced, place{index: -1}, "", "trifle")
	}
	for range 3 {
		r.add(syntaxBroken, place{index: -1}, "", "grave")
	}
	r.name("some receipt")
	findings := r.close()
	grave := 0
	for _, f := range findings {
		if f.Severity == Error {
			grave++
		}
	}
	if len(findings) != MaxFindings || grave != 3 || !strings.HasPrefix(findings[MaxFindings-1].Message, "54 more") {
		t.Errorf("%d findings, %d errors, last %+v", len(findings), grave, findings[len(findings)-1])
	}
}
