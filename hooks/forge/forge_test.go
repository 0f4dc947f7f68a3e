package forge

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The recorded requests are signed with testSecret or, for the Standard
// Webhooks form, with testKey, at testNow.
const (
	testSecret = Secret("correct-horse-battery-staple")
	testKey    = Secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")

	oidA  = "c00dbbc9dadfbe1e232e93a729dd4752fade0abf"
	oidB  = "c2a6b03f190dfb2b4aa91f8af8d477a9bc3401dc"
	null1 = "0000000000000000000000000000000000000000"
)

var testNow = time.Unix(1763971934, 0).UTC()

// recorded reads headers, an empty line, and the body to the last byte.
func recorded(t testing.TB, name string) (http.Header, []byte) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(bytes.NewReader(raw))
	header, err := textproto.NewReader(reader).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header(header), body
}

func forgeOf(name string) Name {
	dir, _, _ := strings.Cut(name, "/")
	return Name(dir)
}

func moved(ref, old, new string) []Update { return []Update{{Ref: ref, Old: old, New: new}} }

var (
	githubURLs = []string{"https://github.com/acme/payments.git", "git@github.com:acme/payments.git",
		"git://github.com/acme/payments.git", "https://github.com/acme/payments"}
	ghesURLs = []string{"https://git.acme.example/acme/payments.git", "git@git.acme.example:acme/payments.git",
		"git://git.acme.example/acme/payments.git", "https://git.acme.example/acme/payments"}
	gitlabURLs = []string{"https://gitlab.acme.example/platform/cards/payments.git",
		"git@gitlab.acme.example:platform/cards/payments.git", "https://gitlab.acme.example/platform/cards/payments"}
	giteaURLs = []string{"https://gitea.acme.example/acme/payments.git", "git@gitea.acme.example:acme/payments.git",
		"https://gitea.acme.example/acme/payments"}
	forgejoURLs = []string{"https://forgejo.acme.example/acme/payments.git",
		"ssh://git@forgejo.acme.example:2222/acme/payments.git", "https://forgejo.acme.example/acme/payments"}
	gogsURLs = []string{"https://gogs.acme.example/acme/payments.git",
		"ssh://git@gogs.acme.example:2222/acme/payments.git", "https://gogs.acme.example/acme/payments"}
	cloudURLs = []string{"https://bitbucket.org/acme/payments"}
	dcURLs    = []string{"ssh://git@bitbucket.acme.example:7999/pay/payments.git",
		"https://bitbucket.acme.example/scm/pay/payments.git"}
)

// recordings says what each file of testdata means. ID is filled in from the
// header that idHeader names.
var recordings = []struct {
	name     string
	idHeader string
	want     Delivery
}{
	{"github/push", "X-GitHub-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: githubURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB), SentAt: testNow}},
	{"github/push-form", "X-GitHub-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: githubURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB), SentAt: testNow}},
	{"github/branch-create", "X-GitHub-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: githubURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/feature/retry", null1, oidB), SentAt: testNow}},
	{"github/branch-delete", "X-GitHub-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: githubURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/feature/retry", oidB, null1), SentAt: testNow}},
	{"github/tag", "X-GitHub-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: githubURLs,
		FullName: "acme/payments", Updates: moved("refs/tags/v1.4.0", null1, oidB), SentAt: testNow}},
	{"github/ghes-push", "X-GitHub-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: ghesURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB), SentAt: testNow}},
	{"github/ping", "X-GitHub-Delivery", Delivery{Event: "ping", Kind: Ping}},
	{"github/ping-repo", "X-GitHub-Delivery", Delivery{Event: "ping", Kind: Ping, CloneURLs: githubURLs,
		FullName: "acme/payments"}},
	{"github/pull-request-merged", "X-GitHub-Delivery", Delivery{Event: "pull_request", Kind: Other,
		Reason: "event pull_request: no ref moved by it that a push event does not tell"}},
	{"github/delete", "X-GitHub-Delivery", Delivery{Event: "delete", Kind: Other,
		Reason: "event delete: the push event tells the same with object ids"}},

	{"gitlab/push", "Idempotency-Key", Delivery{Event: "Push Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gitlab/push-signed", "webhook-id", Delivery{Event: "Push Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/heads/main", oidA, oidB), SentAt: testNow}},
	{"gitlab/push-token-and-signed", "webhook-id", Delivery{Event: "Push Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/heads/main", oidA, oidB), SentAt: testNow}},
	{"gitlab/branch-create", "Idempotency-Key", Delivery{Event: "Push Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/heads/feature/retry", null1, oidB)}},
	{"gitlab/branch-delete", "Idempotency-Key", Delivery{Event: "Push Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/heads/feature/retry", oidB, null1)}},
	{"gitlab/tag", "Idempotency-Key", Delivery{Event: "Tag Push Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/tags/v1.4.0", null1, oidB)}},
	{"gitlab/system-push", "Idempotency-Key", Delivery{Event: "System Hook", Kind: Push, CloneURLs: gitlabURLs,
		FullName: "platform/cards/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gitlab/system-repository-update", "Idempotency-Key", Delivery{Event: "System Hook", Kind: Push,
		CloneURLs: gitlabURLs, FullName: "platform/cards/payments",
		Updates: []Update{{"refs/heads/main", oidA, oidB}, {"refs/tags/v1.4.0", null1, oidB}}}},
	{"gitlab/system-project-create", "Idempotency-Key", Delivery{Event: "System Hook", Kind: Other,
		Reason: "event System Hook: event_name project_create moves no ref"}},
	{"gitlab/merge-request", "Idempotency-Key", Delivery{Event: "Merge Request Hook", Kind: Other,
		Reason: "event Merge Request Hook: no ref moved by it that a push event does not tell"}},

	{"gitea/push", "X-Gitea-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: giteaURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gitea/push-form", "X-Gitea-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: giteaURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gitea/push-forgejo", "X-Forgejo-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: forgejoURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gitea/branch-create", "X-Gitea-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: giteaURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/feature/retry", null1, oidB)}},
	{"gitea/branch-delete", "X-Gitea-Delivery", Delivery{Event: "delete", Kind: Push, CloneURLs: giteaURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/feature/retry", "", null1)}},
	{"gitea/tag", "X-Gitea-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: giteaURLs,
		FullName: "acme/payments", Updates: moved("refs/tags/v1.4.0", null1, oidB)}},
	{"gitea/create", "X-Gitea-Delivery", Delivery{Event: "create", Kind: Other,
		Reason: "event create: a push event with object ids follows"}},
	{"gitea/pull-request-merged", "X-Gitea-Delivery", Delivery{Event: "pull_request", Kind: Other,
		Reason: "event pull_request: no ref moved by it that a push event does not tell"}},

	{"gogs/push", "X-Gogs-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gogs/push-form", "X-Gogs-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"gogs/notes", "X-Gogs-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/notes/blameprompt", oidA, oidB)}},
	{"gogs/notes-delete", "X-Gogs-Delivery", Delivery{Event: "delete", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/notes/blameprompt", "", null1)}},
	{"gogs/branch-create", "X-Gogs-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/feature/retry", null1, oidB)}},
	{"gogs/branch-delete", "X-Gogs-Delivery", Delivery{Event: "delete", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/feature/retry", "", null1)}},
	{"gogs/tag", "X-Gogs-Delivery", Delivery{Event: "push", Kind: Push, CloneURLs: gogsURLs,
		FullName: "acme/payments", Updates: moved("refs/tags/v1.4.0", null1, oidB)}},
	{"gogs/pull-request", "X-Gogs-Delivery", Delivery{Event: "pull_request", Kind: Other,
		Reason: "event pull_request: no ref moved by it that a push event does not tell"}},

	{"bitbucket/cloud-push", "X-Request-UUID", Delivery{Event: "repo:push", Kind: Push, CloneURLs: cloudURLs,
		FullName: "acme/payments", Updates: moved("refs/heads/main", oidA, oidB)}},
	{"bitbucket/cloud-many", "X-Request-UUID", Delivery{Event: "repo:push", Kind: Push, CloneURLs: cloudURLs,
		FullName: "acme/payments", Updates: []Update{{"refs/heads/feature/retry", null1, oidB},
			{"refs/tags/v1.4.0", null1, oidB}, {"refs/heads/feature/old", oidA, null1}}}},
	{"bitbucket/cloud-pullrequest", "X-Request-UUID", Delivery{Event: "pullrequest:fulfilled", Kind: Other,
		Reason: "event pullrequest:fulfilled: no ref moved by it that a push event does not tell"}},
	{"bitbucket/dc-push", "X-Request-Id", Delivery{Event: "repo:refs_changed", Kind: Push, CloneURLs: dcURLs,
		FullName: "PAY/payments", Updates: moved("refs/heads/main", oidA, oidB), SentAt: testNow}},
	{"bitbucket/dc-many", "X-Request-Id", Delivery{Event: "repo:refs_changed", Kind: Push, CloneURLs: dcURLs,
		FullName: "PAY/payments", SentAt: testNow, Updates: []Update{{"refs/heads/feature/retry", null1, oidB},
			{"refs/tags/v1.4.0", null1, oidB}, {"refs/heads/feature/wip", oidA, null1}}}},
	{"bitbucket/dc-ping", "X-Request-Id", Delivery{Event: "diagnostics:ping", Kind: Ping}},
	{"bitbucket/dc-pr-merged", "X-Request-Id", Delivery{Event: "pr:merged", Kind: Other,
		Reason: "event pr:merged: no ref moved by it that a push event does not tell"}},

	{"generic/push", "X-BlamePrompt-Delivery", Delivery{Event: "push", Kind: Push,
		CloneURLs: []string{"https://git.acme.example/acme/payments.git"}, SentAt: testNow,
		Updates: []Update{{"refs/heads/main", oidA, oidB}, {"refs/notes/blameprompt", null1, oidB},
			{"refs/tags/v1.4.0", oidA, null1}}}},
	{"generic/name-only", "", Delivery{Event: "push", Kind: Push, FullName: "acme/payments", SentAt: testNow,
		ID: "sha256:809807b7bfc4d9a0bc386cb03eb41018a048968f37ac831308dbc734509aee9c"}},
	{"generic/sha256", "X-BlamePrompt-Delivery", Delivery{Event: "push", Kind: Push,
		CloneURLs: []string{"/srv/git/payments.git"}, SentAt: testNow,
		Updates: moved("refs/heads/main", strings.Repeat("0", 64),
			"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")}},
}

func TestRecordedDeliveries(t *testing.T) {
	t.Parallel()
	for _, rec := range recordings {
		t.Run(rec.name, func(t *testing.T) {
			t.Parallel()
			header, body := recorded(t, rec.name)
			secrets := []Secret{"an older one", testSecret, testKey}
			if err := Verify(forgeOf(rec.name), header, body, secrets, testNow); err != nil {
				t.Errorf("Verify: %v", err)
			}
			got, err := Parse(forgeOf(rec.name), header, body)
			if err != nil {
				t.Fatal(err)
			}
			want := rec.want
			want.Forge = forgeOf(rec.name)
			if rec.idHeader != "" {
				want.ID = header.Get(rec.idHeader)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("delivery (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryRecordingIsListed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.http")
	if err != nil {
		t.Fatal(err)
	}
	var names, listed []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".http"))
	}
	for _, rec := range recordings {
		listed = append(listed, rec.name)
	}
	sorted := cmp.Transformer("set", func(list []string) map[string]bool {
		set := map[string]bool{}
		for _, s := range list {
			set[s] = true
		}
		return set
	})
	if diff := cmp.Diff(listed, names, sorted); diff != "" {
		t.Errorf("recordings (-listed +files):\n%s", diff)
	}
}
