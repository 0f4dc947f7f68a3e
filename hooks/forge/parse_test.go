package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// pushHeaders are the headers that Parse needs to read a push.
func pushHeaders(f Name, event string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	switch f {
	case GitHub:
		h.Set("X-GitHub-Event", event)
	case GitLab:
		h.Set("X-Gitlab-Event", event)
	case Gitea:
		h.Set("X-Gitea-Event", event)
	case Gogs:
		h.Set("X-Gogs-Event", event)
	case Bitbucket:
		h.Set("X-Event-Key", event)
	case Generic:
		h.Set("X-BlamePrompt-Timestamp", event)
	}
	return h
}

func TestParseNamesTheField(t *testing.T) {
	t.Parallel()
	ids := fmt.Sprintf(`"before": %q, "after": %q`, oidA, oidB)
	deep := strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1)
	now := fmt.Sprint(testNow.Unix())
	cases := []struct {
		forge       Name
		event, body string
		field       string
		problem     string
	}{
		{GitHub, "push", ``, "body", "not valid JSON at byte 0"},
		{GitHub, "push", `{"ref": "refs/hea`, "body", "not valid JSON at byte 17"},
		{GitHub, "push", `[]`, "body", "expected object, got array"},
		{GitHub, "push", `null`, "before", "missing"},
		{GitHub, "push", `{} {}`, "body", "not valid JSON at byte 4"},
		{GitHub, "push", deep, "body", "nested deeper than 64 levels"},
		{GitHub, "push", `{"ref": 7}`, "ref", "expected string, got number"},
		{GitHub, "push", `{"ref": "refs/heads/x", "after": "` + oidA + `"}`, "before", "missing"},
		{GitHub, "push", `{` + ids + `}`, "ref", "missing"},
		{GitHub, "push", `{"ref": "main", ` + ids + `}`, "ref", "not a full ref name"},
		{GitHub, "push", `{"ref": "refs/heads/../x", ` + ids + `}`, "ref", "not a full ref name"},
		{GitHub, "push", `{"ref": "--upload-pack=x/y", ` + ids + `}`, "ref", "not a full ref name"},
		{GitHub, "push", `{"ref": "refs/heads/x", "before": "xyz", "after": "` + oidA + `"}`,
			"before", "not an object id"},
		{GitHub, "push", `{"ref": "refs/heads/x", "before": "` + oidA + `", "after": "` + strings.Repeat("a", 64) + `"}`,
			"after", "an id of another hash function than before"},
		{GitHub, "push", `{"ref": "refs/heads/x", ` + ids + `}`, "repository", "missing"},
		{GitHub, "push", `{"ref": "refs/heads/x", ` + ids + `, "repository": {"id": 1}}`,
			"repository", "no name and no usable URL"},
		{GitHub, "push", `{"ref": "refs/heads/x", ` + ids + `,
			"repository": {"full_name": "` + strings.Repeat("x", 513) + `"}}`,
			"repository", "name is too long"},
		{GitHub, "push", `{"repository": {"clone_url": ["x"]}}`,
			"repository.clone_url", "expected string, got array"},
		{GitHub, "ping", `{"repository": 1}`, "repository", "expected object, got number"},
		{Gitea, "delete", `{"ref": "x", "ref_type": "wiki"}`, "ref_type", "neither branch nor tag"},
		{Gitea, "delete", `{"ref_type": "branch"}`, "ref", "missing"},
		{Gogs, "push", `{"ref": "refs/heads/x", "before": "", "after": ""}`, "before", "missing"},
		{GitLab, "Push Hook", `{"object_kind": "push"}`, "before", "missing"},
		{GitLab, "Push Hook", `{"ref": "refs/heads/x", ` + ids + `}`, "project", "missing"},
		{GitLab, "Push Hook", `{"ref": "refs/heads/x", ` + ids + `, "project": []}`,
			"project", "expected object, got array"},
		{GitLab, "System Hook", `{"event_name": "repository_update", "changes": {}}`, "changes", "expected array"},
		{GitLab, "System Hook", `{"event_name": "repository_update", "changes": [{"ref": "refs/heads/x", ` + ids + `}, 4]}`,
			"changes[1]", "expected object, got number"},
		{GitLab, "System Hook", `{"event_name": "repository_update", "changes": [{"ref": "x", ` + ids + `}]}`,
			"changes[0].ref", "not a full ref name"},
		{Bitbucket, "repo:push", `{"repository": {}}`, "push", "missing"},
		{Bitbucket, "repo:push", `{"push": {"changes": []}}`, "repository", "missing"},
		{Bitbucket, "repo:push", `{"push": {"changes": [{"old": null, "new": null}]}, "repository": {}}`,
			"push.changes[0].new", "missing, and so is old"},
		{Bitbucket, "repo:push", `{"push": {"changes": [{"new": {"type": "bookmark", "name": "x"}}]}, "repository": {}}`,
			"push.changes[0].new.type", "neither branch nor tag"},
		{Bitbucket, "repo:push", `{"push": {"changes": [{"new": {"type": "branch", "name": "x"}}]}, "repository": {}}`,
			"push.changes[0].new.target.hash", "missing"},
		{Bitbucket, "repo:push", `{"push": {"changes": [{"new": {"name": 1}}]}, "repository": {}}`,
			"push.changes[0].new.name", "expected string, got number"},
		{Bitbucket, "repo:refs_changed", `{"changes": []}`, "repository", "missing"},
		{Bitbucket, "repo:refs_changed", `{"changes": [{"refId": "refs/heads/x"}], "repository": {}}`,
			"changes[0].fromHash", "missing"},
		{Bitbucket, "repo:refs_changed", `{"repository": {"links": {"clone": [{"href": 1}]}}}`,
			"repository.links.clone[0].Href", "expected string, got number"},
		{Generic, now, `{}`, "repository", "missing"},
		{Generic, now, `{"repository": "https://token@host"}`,
			"repository", "neither a name nor the address of a repository"},
		{Generic, now, `{"repository": "\u0000\u202e"}`, "repository", "no name and no usable URL"},
		{Generic, now, `{"repository": "a/b", "updates": [{"ref": "refs/heads/x", "new": "12"}]}`,
			"updates[0].new", "not an object id"},
	}
	for _, c := range cases {
		_, err := Parse(c.forge, pushHeaders(c.forge, c.event), []byte(c.body))
		want := &FieldError{Err: ErrBody, Field: c.field, Problem: c.problem}
		var got *FieldError
		if !errors.As(err, &got) || !errors.Is(err, ErrBody) {
			t.Errorf("%s %.80s: got %v, want %v", c.forge, c.body, err, want)
			continue
		}
		if diff := cmp.Diff(want.Error(), got.Error()); diff != "" {
			t.Errorf("%s %.80s (-want +got):\n%s", c.forge, c.body, diff)
		}
	}
}

// Every recording, cut anywhere, is refused by name or was complete.
func TestParseTruncatedBodies(t *testing.T) {
	t.Parallel()
	for _, rec := range recordings {
		if rec.want.Kind != Push || strings.Contains(rec.name, "form") {
			continue
		}
		header, body := recorded(t, rec.name)
		body = []byte(strings.TrimSpace(string(body)))
		for cut := 0; cut < len(body); cut += 1 + len(body)/97 {
			if _, err := Parse(forgeOf(rec.name), header, body[:cut]); !errors.Is(err, ErrBody) {
				t.Errorf("%s cut at %d: got %v, want ErrBody", rec.name, cut, err)
			}
		}
	}
}

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(h http.Header)
		field  string
	}{
		{"github/push", func(h http.Header) { h.Del("X-GitHub-Event") }, "X-GitHub-Event"},
		{"github/push", func(h http.Header) { h.Add("X-GitHub-Event", "ping") }, "X-GitHub-Event"},
		{"github/push", func(h http.Header) { h.Set("X-GitHub-Delivery", "a b") }, "X-GitHub-Delivery"},
		{"github/push",
			func(h http.Header) { h.Set("X-GitHub-Delivery", strings.Repeat("a", 201)) }, "X-GitHub-Delivery"},
		{"github/push", func(h http.Header) { h.Set("X-GitHub-Delivery", "a\x00") }, "X-GitHub-Delivery"},
		{"github/push",
			func(h http.Header) { h.Set("X-GitHub-Event", strings.Repeat("a", maxHeader+1)) }, "X-GitHub-Event"},
		{"github/push", func(h http.Header) { h.Set("Content-Type", "text/plain") }, "Content-Type"},
		{"github/push", func(h http.Header) { h.Set("Content-Type", ";;;") }, "Content-Type"},
		{"github/push", func(h http.Header) { h.Add("Content-Type", "application/json") }, "Content-Type"},
		{"gitlab/push", func(h http.Header) { h.Del("X-Gitlab-Event") }, "X-Gitlab-Event"},
		{"gitlab/push",
			func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") }, "Content-Type"},
		{"gitea/push-forgejo", func(h http.Header) { h.Set("X-Forgejo-Event", "ping") }, "X-Forgejo-Event"},
		{"gitea/push", func(h http.Header) { h.Del("X-Gitea-Event") }, "X-Gitea-Event"},
		{"gogs/push", func(h http.Header) { h.Del("X-Gogs-Event") }, "X-Gogs-Event"},
		{"bitbucket/dc-push", func(h http.Header) { h.Del("X-Event-Key") }, "X-Event-Key"},
		{"bitbucket/cloud-push", func(h http.Header) { h.Set("X-Event-Key", "\x1b\u202e") }, "X-Event-Key"},
		{"generic/push", func(h http.Header) { h.Del("X-BlamePrompt-Timestamp") }, "X-BlamePrompt-Timestamp"},
		{"generic/push", func(h http.Header) { h.Add("X-BlamePrompt-Delivery", "2") }, "X-BlamePrompt-Delivery"},
	}
	for _, c := range cases {
		header, body := recorded(t, c.name)
		c.change(header)
		_, err := Parse(forgeOf(c.name), header, body)
		var got *FieldError
		if !errors.As(err, &got) || !errors.Is(err, ErrHeader) || got.Field != c.field {
			t.Errorf("%s: got %v, want ErrHeader for %s", c.name, err, c.field)
		}
	}
}

func TestParseForms(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"":                            "missing from the form",
		"a=b&c":                       "missing from the form",
		"payload=%7B%7D&payload=%7B":  "sent more than once",
		"payload=%zz":                 "not URL-encoded",
		strings.Repeat("&", 1<<20):    "missing from the form",
		"Payload=%7B%7D&payload%5B=1": "missing from the form",
	}
	header := pushHeaders(GitHub, "push")
	header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	for form, problem := range cases {
		_, err := Parse(GitHub, header, []byte(form))
		var got *FieldError
		if !errors.As(err, &got) || got.Field != "payload" || got.Problem != problem {
			t.Errorf("%.60q: got %v, want payload: %s", form, err, problem)
		}
	}
	header.Set("X-GitHub-Event", "ping")
	if _, err := Parse(GitHub, header, []byte("a=b&payload=%7B%7D&c=d")); err != nil {
		t.Errorf("payload among other fields: %v", err)
	}
}

func TestParseBoundsUpdates(t *testing.T) {
	t.Parallel()
	body := func(n int) []byte {
		update := `{"ref": "refs/heads/x"}`
		return []byte(`{"repository": "a/b", "updates": [` + strings.Repeat(update+",", n-1) + update + `]}`)
	}
	header := pushHeaders(Generic, fmt.Sprint(testNow.Unix()))
	if d, err := Parse(Generic, header, body(MaxUpdates)); err != nil || len(d.Updates) != MaxUpdates {
		t.Errorf("%d updates: got %d, %v", MaxUpdates, len(d.Updates), err)
	}
	_, err := Parse(Generic, header, body(MaxUpdates+1))
	var got *FieldError
	if !errors.As(err, &got) || got.Field != "updates[10000]" {
		t.Errorf("%d updates: got %v", MaxUpdates+1, err)
	}
}

func TestParseBoundsCloneURLs(t *testing.T) {
	t.Parallel()
	var links []string
	for i := range 2 * maxCloneURLs {
		links = append(links, fmt.Sprintf(`{"href": "https://h/%d"}, {"href": "https://h/%d"}`, i, i))
	}
	body := `{"repository": {"links": {"clone": [` + strings.Join(links, ",") + `]}}}`
	d, err := Parse(Bitbucket, pushHeaders(Bitbucket, "repo:refs_changed"), []byte(body))
	if err != nil || len(d.CloneURLs) != maxCloneURLs || d.CloneURLs[1] != "https://h/1" {
		t.Errorf("got %d clone URLs %q, %v", len(d.CloneURLs), d.CloneURLs, err)
	}
}

// A push whose refs are not told is still a push: Bitbucket Cloud leaves the
// list out of very large ones, and our own form makes it optional.
func TestParsePushWithoutUpdates(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"push": {"changes": null}, "repository": {"full_name": "a/b"}}`,
		`{"push": {}, "repository": {"full_name": "a/b"}}`,
	} {
		d, err := Parse(Bitbucket, pushHeaders(Bitbucket, "repo:push"), []byte(body))
		if err != nil || d.Kind != Push || d.Updates != nil {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
}

func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	id := func(f Name, event, body string) string {
		t.Helper()
		d, err := Parse(f, pushHeaders(f, event), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return d.ID
	}
	ids := []string{
		id(GitHub, "ping", "{}"), id(GitHub, "ping", "{ }"), id(Gitea, "fork", "{}"), id(Bitbucket, "diagnostics:ping", "{}"),
		id(Generic, "1763971934", `{"repository":"a"}`), id(Generic, "1763971935", `{"repository":"a"}`),
	}
	seen := map[string]bool{}
	for _, got := range ids {
		if !strings.HasPrefix(got, "sha256:") || len(got) != len("sha256:")+64 || seen[got] {
			t.Errorf("derived id %q is malformed or not unique among %q", got, ids)
		}
		seen[got] = true
	}
	if again := id(GitHub, "ping", "{}"); again != ids[0] {
		t.Errorf("derived id changed from %q to %q", ids[0], again)
	}
}

// A reverse proxy's request id must not pass for the id of a Cloud delivery.
func TestBitbucketCloudIgnoresProxyRequestID(t *testing.T) {
	t.Parallel()
	header, body := recorded(t, "bitbucket/cloud-push")
	header.Del("X-Request-UUID")
	header.Set("X-Request-Id", "from-nginx")
	d, err := Parse(Bitbucket, header, body)
	if err != nil || !strings.HasPrefix(d.ID, "sha256:") {
		t.Errorf("got id %q, %v, want a derived one", d.ID, err)
	}
}

func TestDeliveryKeepsNoSecret(t *testing.T) {
	t.Parallel()
	body := `{"secret": "s3cr3t", "ref": "refs/heads/main", "before": "` + oidA + `", "after": "` + oidB + `",
		"repository": {"full_name": "acme/payments",
		"clone_url": "https://user:s3cr3t@git.acme.example/acme/payments.git?private_token=s3cr3t#s3cr3t",
		"ssh_url": "ssh://git:s3cr3t@git.acme.example:2222/acme/payments.git",
		"html_url": "git:s3cr3t@git.acme.example:acme/payments",
		"git_url": "https://s3cr3t@git.acme.example/acme/payments"}}`
	header := pushHeaders(Gitea, "push")
	header.Set("Authorization", "Bearer s3cr3t")
	d, err := Parse(Gitea, header, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%+v", d); strings.Contains(shown, "s3cr3t") {
		t.Errorf("a secret was kept: %s", shown)
	}
	want := []string{"https://git.acme.example/acme/payments.git",
		"ssh://git@git.acme.example:2222/acme/payments.git", "https://git.acme.example/acme/payments"}
	if diff := cmp.Diff(want, d.CloneURLs); diff != "" {
		t.Errorf("CloneURLs (-want +got):\n%s", diff)
	}
}

func TestCleanText(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in    string
		limit int
		want  string
	}{
		{"acme/payments", 99, "acme/payments"},
		{"a\x00b\x1b[31mc\u202ed\u200be\u0085f", 99, "ab[31mcdef"},
		{"bad \xff\xfe utf8", 99, "bad  utf8"},
		{"日本語", 99, "日本語"},
		{"日本語", 4, "日"},
		{"", 0, ""},
	}
	for _, c := range cases {
		if got := cleanText(c.in, c.limit); got != c.want {
			t.Errorf("cleanText(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

// fuzzParse checks what holds for whatever a forge, or somebody else, sends.
func fuzzParse(f *testing.F, forge Name) {
	for _, rec := range recordings {
		if forgeOf(rec.name) == forge {
			header, body := recorded(f, rec.name)
			f.Add(rec.want.Event, header.Get("Content-Type"), body)
		}
	}
	f.Add("push", "", []byte(`{"repository":{"full_name":"\ud800","clone_url":"https://[::1]:443/a%2fb.git/"}}`))
	f.Fuzz(func(t *testing.T, event, contentType string, body []byte) {
		header := pushHeaders(forge, event)
		if forge == Generic {
			header.Set("X-BlamePrompt-Timestamp", "1763971934")
		}
		header.Set("Content-Type", contentType)
		d, err := Parse(forge, header, body)
		if err != nil {
			if !errors.Is(err, ErrBody) && !errors.Is(err, ErrHeader) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		checkDelivery(t, d)
	})
}

func checkDelivery(t *testing.T, d Delivery) {
	t.Helper()
	text := []string{d.Event, d.Reason, d.ID, d.FullName}
	text = append(text, d.CloneURLs...)
	for _, s := range text {
		if !utf8.ValidString(s) || hasControl(s) {
			t.Errorf("unclean text %q in %+v", s, d)
		}
	}
	for _, u := range d.Updates {
		if !validRefName(u.Ref) || !strings.HasPrefix(u.Ref, "refs/") || !objectID(u.Old) || !objectID(u.New) {
			t.Errorf("malformed update %+v", u)
		}
	}
	for _, address := range d.CloneURLs {
		if NormalizeURL(address) == "" {
			t.Errorf("clone URL %q has no key", address)
		}
	}
	if d.Kind == Push && d.FullName == "" && len(d.CloneURLs) == 0 {
		t.Errorf("push to nowhere: %+v", d)
	}
	if (d.Kind == Other) != (d.Reason != "") || d.ID == "" || d.Event == "" || len(d.Updates) > MaxUpdates {
		t.Errorf("incomplete delivery %+v", d)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Errorf("delivery cannot be stored: %v", err)
	}
}

func FuzzParseGitHub(f *testing.F)    { fuzzParse(f, GitHub) }
func FuzzParseGitLab(f *testing.F)    { fuzzParse(f, GitLab) }
func FuzzParseGitea(f *testing.F)     { fuzzParse(f, Gitea) }
func FuzzParseGogs(f *testing.F)      { fuzzParse(f, Gogs) }
func FuzzParseBitbucket(f *testing.F) { fuzzParse(f, Bitbucket) }
func FuzzParseGeneric(f *testing.F)   { fuzzParse(f, Generic) }
