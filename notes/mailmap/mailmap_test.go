package mailmap_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/mailmap"
)

// check asks git for the identities of people by a mailmap.
func check(t *testing.T, text string, people [][2]string) [][2]string {
	t.Helper()
	dir := t.TempDir()
	git := func(stdin string, args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
		cmd.Stdin = strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, stderr.String())
		}
		return string(out)
	}
	git("", "init", "-q", "--bare")
	blob := strings.TrimSpace(git(text, "hash-object", "-w", "--stdin"))
	var ask strings.Builder
	for _, p := range people {
		fmt.Fprintf(&ask, "%s <%s>\n", p[0], p[1])
	}
	answer := git(ask.String(), "-c", "mailmap.blob="+blob, "check-mailmap", "--stdin")
	var out [][2]string
	for line := range strings.Lines(answer) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "<")
		out = append(out, [2]string{strings.TrimSuffix(name, " "), strings.TrimSuffix(rest, ">")})
	}
	return out
}

// TestLookupIsThatOfGit compares with git over random maps of words that collide,
// with all that may go wrong in a line.
func TestLookupIsThatOfGit(t *testing.T) {
	t.Parallel()
	names := []string{"Ada", "ada", "Ada L", "Bob", "bOB", "Ünal", "C. D."}
	emails := []string{"ada@x.org", "ADA@x.org", "bob@y.org", "root@localhost", "a", "Bob@Y.org", "ü@z.org"}
	parts := []string{"# Ada", " #", "<", ">", "<>", " ", "\t", "\r", "  ", "#", "Ada", "comment", "\n", "\n", "\x0b", "<<a>", "\xff"}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	for range 60 {
		var text strings.Builder
		for range r.IntN(25) {
			switch r.IntN(6) {
			case 0:
				fmt.Fprintf(&text, "%s <%s>\n", pick(names), pick(emails))
			case 1:
				fmt.Fprintf(&text, "<%s> <%s>\n", pick(emails), pick(emails))
			case 2:
				fmt.Fprintf(&text, "%s <%s> <%s>\n", pick(names), pick(emails), pick(emails))
			case 3:
				fmt.Fprintf(&text, "  %s\t<%s> %s <%s> # why\n", pick(names), pick(emails), pick(names), pick(emails))
			default:
				for range r.IntN(6) {
					text.WriteString(pick([]string{pick(parts), pick(names), "<" + pick(emails) + ">"}))
				}
			}
		}
		var people [][2]string
		for _, name := range names {
			for _, email := range emails {
				people = append(people, [2]string{name, email})
			}
		}
		m := mailmap.Parse([]byte(text.String()))
		var got [][2]string
		for _, p := range people {
			name, email := m.Lookup(p[0], p[1])
			got = append(got, [2]string{name, email})
		}
		if diff := cmp.Diff(check(t, text.String(), people), got); diff != "" {
			t.Fatalf("%q (-git +ours):\n%s", text.String(), diff)
		}
	}
}

func TestAddressesJoinWhateverTheName(t *testing.T) {
	t.Parallel()
	m := mailmap.Parse([]byte(`# people
Ada Lovelace <ada@work.org> <Ada@Home.org>
<ada@work.org> <ada@old.org>
Grace <grace@navy.mil>
Jane <jane@x.org> jane <build@ci.org>
Self <self@x.org> <SELF@x.org>
`))
	want := map[string]string{"ada@home.org": "ada@work.org", "ada@old.org": "ada@work.org"}
	if diff := cmp.Diff(want, m.Addresses()); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}
