package forge

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

func gitAccepts(t *testing.T, name string) bool {
	t.Helper()
	err := exec.Command("git", "check-ref-format", name).Run()
	if _, refused := err.(*exec.ExitError); err != nil && !refused {
		t.Fatal(err)
	}
	return err == nil
}

func TestValidRefNameAgreesWithGit(t *testing.T) {
	t.Parallel()
	names := []string{
		"refs/heads/main", "refs/notes/blameprompt", "refs/tags/v1.4.0", "refs/heads/feature/retry-2",
		"refs/heads/日本語",
		"main", "HEAD", "@", "refs/heads/@", "refs/heads/@{", "refs/heads/a@{b", "refs/heads/a@b", "refs/@/a",
		"refs/heads/a..b", "refs/heads/.a", "refs/.heads/a", "refs/heads/a.", "refs/heads/a./b",
		"refs/heads/a.lock",
		"refs/heads.lock/a", "refs/heads/lock", "refs/heads/.lock", "refs//heads/a", "/refs/heads/a",
		"refs/heads/a/", "refs/heads/",
		"refs/heads/a b", "refs/heads/a~b", "refs/heads/a^b", "refs/heads/a:b", "refs/heads/a?b",
		"refs/heads/a*b", "refs/heads/a[b",
		"refs/heads/a]b", "refs/heads/a\\b", "refs/heads/a\tb", "refs/heads/a\x7fb",
		"refs/heads/a\x01", "refs/heads/\x80\xff",
		"refs/heads/-a", "refs/-a/b", "refs/heads/a{b}", "refs/heads/a\u0085b", "refs/heads/a\nb", "a/b", "refs/heads/a...b",
	}
	for _, name := range names {
		if got, want := validRefName(name), gitAccepts(t, name); got != want {
			t.Errorf("validRefName(%q) = %v, git says %v", name, got, want)
		}
	}
}

// Random names are made of the pieces that git's rules are about.
func TestValidRefNameAgreesWithGitOnRandomNames(t *testing.T) {
	t.Parallel()
	pieces := []string{"refs", "heads", "a", "b", "c", "d", "/", "/", "/a", "/b",
		".", "..", ".lock", "@", "{", "@{", "~", "^", ":", "?", "*", "[",
		"\\", " ", "\x1f", "\x7f", "é", "-", "_", "lock", "]", "\xff"}
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 600 {
		var b strings.Builder
		b.WriteString([]string{"refs/", "refs/heads/a", ""}[random.IntN(3)])
		for range 1 + random.IntN(4) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		name := b.String()
		if strings.HasPrefix(name, "-") {
			name = "x" + name // git takes it for an option
		}
		want := gitAccepts(t, name)
		if got := validRefName(name); got != want {
			t.Errorf("validRefName(%q) = %v, git says %v", name, got, want)
		}
		if want {
			accepted++
		}
	}
	if accepted < 20 {
		t.Errorf("only %d of the names were valid: the test shows too little", accepted)
	}
}

func TestValidRefNameBoundsLength(t *testing.T) {
	t.Parallel()
	longest := "refs/heads/" + strings.Repeat("a", maxRefName-len("refs/heads/"))
	if !validRefName(longest) || validRefName(longest+"a") {
		t.Errorf("the bound is not at %d bytes", maxRefName)
	}
}
