package policy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPathGlobsAgainstGit compares protected paths with git's own reading of
// .gitignore, pattern by pattern.
func TestPathGlobsAgainstGit(t *testing.T) {
	t.Parallel()
	patterns := []string{
		"*.pem", "/infra/**", "infra/", "/infra", "a/b", "**/secret", "a/**/b", "a/**", "*", "?", "a*b",
		"[ab].go", "[!a].go",
		"[a-c]/x", "doc/*.md", "/doc/*", `\*.go`, `\!x`, "a?c", "**", "a/*/c", "***", "a**b", "x/", "/x/",
		"src/**/test/**",
		"[-a]x", "[^a]b", "é*",
	}
	paths := []string{
		"a", "b", "x", "ab", "abc", "a.go", "b.go", "c.go", "*.go", "!x", "secret", "d/secret", "a/b",
		"a/c/b", "a/c/d/b", "z/a/b",
		"key.pem", "d/key.pem", "infra", "infra/x", "infra/x/y.tf", "src/infra/x", "doc/r.md", "doc/s/r.md",
		"d/doc/r.md",
		"a/x", "b/x", "d/x", "a/b/c", "src/test/x", "src/q/test/y/z", "x/y", "d/x/y", "-x", "axb", "cb",
		"été", "d/é",
	}
	for i, pattern := range patterns {
		t.Run(fmt.Sprintf("%d %s", i, pattern), func(t *testing.T) {
			t.Parallel()
			list, errs := pathGlobs([]string{pattern})
			if errs[0] != nil {
				t.Fatal(errs[0])
			}
			ignored := gitIgnored(t, pattern, paths)
			for _, path := range paths {
				if got := list.match(path); got != ignored[path] {
					t.Errorf("%s: got %v, git says %v", path, got, ignored[path])
				}
			}
		})
	}
}

// gitIgnored asks git which of the paths a .gitignore with one pattern ignores.
func gitIgnored(t *testing.T, pattern string, paths []string) map[string]bool {
	t.Helper()
	dir := t.TempDir()
	git := func(stdin string, args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "core.quotePath=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil && cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("git %v: %v", args, err)
		}
		return string(out)
	}
	git("", "init", "-q")
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(pattern+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ignored := map[string]bool{}
	out := git(strings.Join(paths, "\x00"), "check-ignore", "--no-index", "-z", "--stdin")
	for _, path := range strings.Split(out, "\x00") {
		ignored[path] = true
	}
	return ignored
}

func TestNameGlobs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns string
		name     string
		want     bool
	}{
		{"main", "main", true}, {"main", "Main", false}, {"main", "x/main", false}, {"main", "main/x", false},
		{"*", "a", true}, {"*", "a/b", false}, {"**", "a/b", true}, {"a/*", "a/b", true}, {"a/*", "a/b/c",
			false},
		{"a/**", "a/b/c", true}, {"a/**", "a", false}, {"**/c", "a/b/c", true}, {"**/c", "c", true},
		{"* !b", "a", true}, {"* !b", "b", false}, {"* !b b", "b", true}, {"a?c", "a/c", false}, {"[a-b]x",
			"bx", true},
		{"a.c", "abc", false}, {"a+", "a+", true}, {"a", "a\n", false}, {"a*", "a\n", true},
	} {
		list, errs := nameGlobs(strings.Fields(c.patterns))
		for _, err := range errs {
			if err != nil {
				t.Fatalf("%s: %v", c.patterns, err)
			}
		}
		if got := list.match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.patterns, c.name, got, c.want)
		}
	}
}

// FuzzGlob holds the compiled patterns equal to a plain matcher that tries
// everything.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"a/**/b", "a/x/b"}, {"**", "a/b"}, {"*.go", "x.go"}, {"[!a]", "b"}, {`\*`, "*"}, {"a**b", "axb"},
		{"**/", "a/"},
		{"[a-", "a"}, {"é?", "éa"}, {"/a/", "a"}, {"[]a]", "]"}, {"\xff", "\xff"}, {"[\xff]", "a"},
		{"***/x", "y/x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 20 || len(name) > 20 {
			return
		}
		_, _ = pathGlobs([]string{pattern})
		list, errs := nameGlobs([]string{pattern})
		if errs[0] != nil || strings.HasPrefix(pattern, "!") || strings.ContainsAny(pattern, `[\`) {
			return
		}
		if got, want := list.match(name), plainMatch([]rune(pattern), []rune(name), true); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// plainMatch matches wildcards by trying every length. starts says that a
// component starts here.
func plainMatch(pattern, name []rune, starts bool) bool {
	text := string(pattern)
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case starts && strings.HasPrefix(text, "**/"):
		return anySuffix(pattern[3:], name, true)
	case starts && text == "**":
		return true
	case pattern[0] == '*':
		rest := []rune(strings.TrimLeft(text, "*"))
		for i := 0; ; i++ {
			if plainMatch(rest, name[i:], false) {
				return true
			}
			if i == len(name) || name[i] == '/' {
				return false
			}
		}
	case len(name) == 0:
		return false
	case pattern[0] == '?' && name[0] != '/', pattern[0] == name[0]:
		return plainMatch(pattern[1:], name[1:], pattern[0] == '/')
	}
	return false
}

// anySuffix tries the name and everything behind one of its slashes.
func anySuffix(pattern, name []rune, starts bool) bool {
	if plainMatch(pattern, name, starts) {
		return true
	}
	for i, r := range name {
		if r == '/' && plainMatch(pattern, name[i+1:], starts) {
			return true
		}
	}
	return false
}

func TestModelNames(t *testing.T) {
	t.Parallel()
	for reported, want := range map[string]modelName{
		"claude-sonnet-4-5-20250929": {name: "claude-sonnet-4-5-20250929",
			bare: "claude-sonnet-4-5", date: "20250929"},
		"us.anthropic.claude-opus-4-1-20250805-v1:0": {vendor: "anthropic",
			name: "claude-opus-4-1-20250805", bare: "claude-opus-4-1", date: "20250805"},
		"claude-opus-4-6[1m]": {name: "claude-opus-4-6", bare: "claude-opus-4-6"},
		"ollama:llama3:8b":    {vendor: "ollama", name: "llama3:8b", bare: "llama3:8b"},
		"ollama_chat/llama3":  {vendor: "ollama-chat", name: "llama3", bare: "llama3"},
		"gpt-4o-2024-08-06": {name: "gpt-4o-2024-08-06", bare: "gpt-4o",
			date: "20240806"},
		"gpt-4-0613":       {name: "gpt-4-0613", bare: "gpt-4-0613"},
		"“Gemini 2.5 Pro”": {name: "gemini-2-5-pro", bare: "gemini-2-5-pro"},
		"accounts/fireworks/models/deepseek-v3": {vendor: "models", name: "deepseek-v3",
			bare: "deepseek-v3"},
		"  ":                {unknown: true},
		"<synthetic>":       {name: "<synthetic>", bare: "<synthetic>", unknown: true},
		"Claude Code":       {name: "claude-code", bare: "claude-code", unknown: true},
		"qwen2.5-coder:32b": {name: "qwen2-5-coder:32b", bare: "qwen2-5-coder:32b"},
		"claude-sonnet-4@20250514": {name: "claude-sonnet-4-20250514",
			bare: "claude-sonnet-4", date: "20250514"},
		"gpt-5-2025-0807": {name: "gpt-5-2025-0807", bare: "gpt-5-2025-0807"},
	} {
		if got := readModel(reported); got != want {
			t.Errorf("%q: %+v, want %+v", reported, got, want)
		}
	}
}

// FuzzReadModel: a name that was read stays what it is when it is read again,
// and a pattern made of a known name matches the name.
func FuzzReadModel(f *testing.F) {
	for _, seed := range []string{
		"claude-sonnet-4.5-20250929", "us.anthropic.x-v1:0", "a/b:c@20250101", "::", "ollama:", "x[1m]", "-latest",
	} {
		f.Add(seed)
	}
	wild := regexp.MustCompile(`[*?]`)
	f.Fuzz(func(t *testing.T, reported string) {
		m := readModel(reported)
		p, err := readModelPattern(reported)
		if err == nil && !wild.MatchString(reported) && !p.match(m) {
			t.Errorf("%q: its own pattern does not match %+v", reported, m)
		}
		if err != nil && !m.unknown && m.bare != "" && !strings.HasPrefix(reported, "!") {
			t.Errorf("%q: %v", reported, err)
		}
	})
}
