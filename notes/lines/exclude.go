package lines

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Reason says why the lines of a path do not count; empty is that they do.
type Reason string

// The reasons, the first that applies is given.
const (
	ReasonSetting   Reason = "setting"
	ReasonGenerated Reason = "generated"
	ReasonVendored  Reason = "vendored"
	ReasonLockfile  Reason = "lockfile"
	ReasonMinified  Reason = "minified"
)

// Attributes are what .gitattributes says about a path: linguist-generated and
// linguist-vendored, nil where it says nothing. False makes a path count that
// its name alone would exclude.
type Attributes struct {
	Generated, Vendored *bool
}

// Excluder tells which paths do not count: by the repository's setting, else by
// attributes, else by name. Its zero value has no setting.
type Excluder struct {
	rules []rule
}

type rule struct {
	expr    *regexp.Regexp
	include bool
}

// The bounds of a setting.
const (
	maxGlobs = 1000
	maxGlob  = 1000
)

// NewExcluder compiles the globs of a repository's setting. They read as in
// gitignore(5): "*" and "?" do not cross a slash, "**/" does; a glob with a slash
// before its end begins at the root, any other matches a name at any depth; what
// lies below a match is matched too; "!" in front makes paths count again, and
// the last glob that matches decides. The error names the glob.
func NewExcluder(globs []string) (*Excluder, error) {
	if len(globs) > maxGlobs {
		return nil, fmt.Errorf("reading excluded paths: %d globs are more than %d", len(globs), maxGlobs)
	}
	e := &Excluder{}
	for _, glob := range globs {
		text, include := strings.CutPrefix(glob, "!")
		expr, err := compileGlob(text)
		if err != nil {
			return nil, fmt.Errorf("reading excluded paths: glob %.100q: %w", glob, err)
		}
		e.rules = append(e.rules, rule{expr, include})
	}
	return e, nil
}

func compileGlob(glob string) (*regexp.Regexp, error) {
	if len(glob) > maxGlob {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(glob), maxGlob)
	}
	glob = strings.TrimSuffix(glob, "/")
	anchored := strings.Contains(glob, "/")
	glob = strings.TrimPrefix(glob, "/")
	if strings.Trim(glob, "/") == "" {
		return nil, fmt.Errorf("it names nothing")
	}
	var b strings.Builder
	b.WriteString(`\A`)
	if !anchored {
		b.WriteString(`(?:.*/)?`)
	}
	for len(glob) > 0 {
		token, expr := globToken(glob)
		b.WriteString(expr)
		glob = glob[token:]
	}
	b.WriteString(`(?:/.*)?\z`)
	return regexp.Compile(`(?s)` + b.String())
}

var globClass = regexp.MustCompile(`\A\[[!^]?(?:\][^]/]*|[^]/]+)\]`)

// globToken returns the length of the first token and its regular expression.
func globToken(glob string) (int, string) {
	switch {
	case strings.HasPrefix(glob, "**/"):
		return 3, `(?:.*/)?`
	case strings.HasPrefix(glob, "**"):
		return 2, `.*`
	case glob[0] == '*':
		return 1, `[^/]*`
	case glob[0] == '?':
		return 1, `[^/]`
	case glob[0] == '\\' && len(glob) > 1:
		return 2, regexp.QuoteMeta(glob[1:2])
	case glob[0] == '[':
		if class := globClass.FindString(glob); class != "" {
			return len(class), classExpr(class)
		}
	}
	end := strings.IndexAny(glob[1:], `*?[\`)
	if end < 0 {
		end = len(glob) - 1
	}
	return end + 1, regexp.QuoteMeta(glob[:end+1])
}

func classExpr(class string) string {
	in := class[1 : len(class)-1]
	not := ""
	if len(in) > 1 && (in[0] == '!' || in[0] == '^') {
		not, in = "^", in[1:]
	}
	return "[" + not + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(in) + "]"
}

// Reason returns why the lines of a path do not count, or "". The header is
// what File.Generated says.
func (e *Excluder) Reason(name string, header bool, attributes Attributes) Reason {
	for _, r := range slices.Backward(e.rules) {
		if r.expr.MatchString(name) {
			return map[bool]Reason{false: ReasonSetting}[r.include]
		}
	}
	switch {
	case said(attributes.Generated, header || generatedName(name)):
		return ReasonGenerated
	case said(attributes.Vendored, vendoredName(name)):
		return ReasonVendored
	case said(attributes.Generated, lockfiles[path.Base(name)]):
		return ReasonLockfile
	case said(attributes.Generated, minifiedName(name)):
		return ReasonMinified
	}
	return ""
}

// said is what an attribute says, or else the name.
func said(attribute *bool, byName bool) bool {
	if attribute != nil {
		return *attribute
	}
	return byName
}

var lockfiles = map[string]bool{
	"package-lock.json": true, "npm-shrinkwrap.json": true, "yarn.lock": true, "pnpm-lock.yaml": true,
	"bun.lock":  true,
	"bun.lockb": true, "deno.lock": true, "go.sum": true, "go.work.sum": true, "Cargo.lock": true, "Gemfile.lock": true,
	"composer.lock": true, "poetry.lock": true, "Pipfile.lock": true, "pdm.lock": true, "uv.lock": true, "pixi.lock": true,
	"conda-lock.yml": true, "mix.lock": true, "pubspec.lock": true, "Podfile.lock": true, "Package.resolved": true,
	"Cartfile.resolved": true, "packages.lock.json": true, "paket.lock": true, "gradle.lockfile": true,
	"buildscript-gradle.lockfile": true, "flake.lock": true, "Chart.lock": true, ".terraform.lock.hcl": true,
	"MODULE.bazel.lock": true, "stack.yaml.lock": true, "cabal.project.freeze": true, "rebar.lock": true,
	"renv.lock": true, "shard.lock": true,
}

var vendorFolders = map[string]bool{
	"vendor": true, "node_modules": true, "third_party": true, "third-party": true, "bower_components": true,
	"jspm_packages": true, "Pods": true, "Carthage": true, ".yarn": true, "site-packages": true,
}

// vendoredName looks at every folder of a path, not at the file's own name.
func vendoredName(name string) bool {
	for {
		folder, rest, more := strings.Cut(name, "/")
		if !more {
			return false
		}
		if vendorFolders[folder] {
			return true
		}
		name = rest
	}
}

var (
	minified  = regexp.MustCompile(`\.min\.[^./]+$|[.-](?:js|css|mjs|cjs)\.map$`)
	generated = regexp.MustCompile(`(?i)\.pb(?:\.gw)?\.go$|\.pb\.(?:cc|h|dart|swift)$|_pb2(?:_grpc)?\.pyi?$|` +
		`_pb\.(?:js|d\.ts|rb)$|_grpc_pb\.(?:js|d\.ts)$|(?:^|/)zz_generated[^/]*$|[._-]generated\.[^/]+$|` +
		`\.g\.(?:dart|cs|i\.cs)$|\.freezed\.dart$|\.designer\.(?:cs|vb)$|(?:^|/)__generated__/`)
)

func minifiedName(name string) bool {
	return (strings.Contains(name, ".min.") || strings.HasSuffix(name, ".map")) && minified.MatchString(name)
}

// generatedHints are what every name holds that generated matches. Hardly any
// other does, and to look for them takes a tenth of the time.
var generatedHints = []string{"pb", "generated", ".g.", ".freezed.", ".designer."}

func generatedName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(generatedHints, func(hint string) bool { return strings.Contains(name, hint) }) &&
		generated.MatchString(name)
}
