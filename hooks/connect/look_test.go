package connect

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/store"
)

func TestLookRegistersWhatIsWanted(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, "acme/payments", "acme/web", "acme/secret-plans")
	g.add(listed{FullName: "acme/old", Archived: true})
	g.add(listed{FullName: "acme/linux", Fork: true})
	g.add(listed{FullName: "acme/inside", CloneURL: "https://127.0.0.1/acme/inside.git"})
	g.add(listed{FullName: "acme/" + strings.Repeat("x", 201)})
	g.add(listed{FullName: "acme/mine", CloneURL: "https://git.example/mine"})
	k := newKit(t, g)
	_, err := k.db.CreateRepo(t.Context(), k.by, store.NewRepo{Name: "mine", RemoteURL: "https://git.example/mine.git", URLKey: "git.example/mine"})
	if err != nil {
		t.Fatal(err)
	}
	in := k.request()
	in.Exclude, in.Forks = []string{"secret*"}, false
	foreseen, err := k.Preview(t.Context(), k.by, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := k.db.Connections(t.Context(), k.org.ID); err != nil || len(rows) != 0 {
		t.Errorf("a preview made %d connections, %v", len(rows), err)
	}
	row := k.connect(t, in)
	report := k.look(t, row, LookOptions{})
	long := "acme/" + strings.Repeat("x", 201)
	want := []string{"acme/payments added", "acme/web added", "acme/secret-plans skipped excluded", "acme/old skipped archived",
		"acme/linux skipped a fork",
		"acme/inside refused remote refused: host 127.0.0.1 has the loopback address 127.0.0.1: allow private addresses in the configuration if the server is in your own network",
		long + " refused name: give 1 to 200 characters", "acme/mine attached"}
	if diff := cmp.Diff(want, actions(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want[6] = long + " added"
	if diff := cmp.Diff(want, actions(foreseen)); diff != "" {
		t.Errorf("foreseen (-want +got):\n%s", diff)
	}
	for _, name := range []string{"acme/payments", "mine"} {
		repo, err := k.db.Repo(t.Context(), k.org.ID, name)
		if err != nil || *repo.ConnectionID != row.ID || k.demands(t, repo.ID) != 1 {
			t.Errorf("%s: %+v, %d demands, %v", name, repo, k.demands(t, repo.ID), err)
		}
		if _, secret, err := k.db.Credential(t.Context(), k.org.ID, repo.ID); err != nil || secret != token {
			t.Errorf("%s is fetched with %q, %v", name, secret, err)
		}
	}
	if report.Repos[7].Name != "mine" || report.Count(store.RepoAdded) != 2 || report.Webhooks != HooksOwner {
		t.Errorf("report %+v", report)
	}
	if rows, err := k.db.Connections(t.Context(), k.org.ID); err != nil || rows[0].CheckedAt == nil || rows[0].Problem != "" {
		t.Errorf("recorded %+v, %v", rows, err)
	}
}

func TestConnectingAgainChangesOnlyWhatHasToChange(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, "acme/a", "acme/b")
	k := newKit(t, g)
	row := k.connect(t, k.request())
	k.look(t, row, LookOptions{})
	a, err := k.db.Repo(t.Context(), k.org.ID, "acme/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.db.RemoveRepo(t.Context(), k.by, a.ID); err != nil {
		t.Fatal(err)
	}
	g.add(listed{FullName: "acme/new"})
	again := k.request()
	again.Token = ""
	row, created, err := k.Connect(t.Context(), k.by, again)
	if err != nil || created {
		t.Fatal(created, err)
	}
	if diff := cmp.Diff([]string{"acme/a removed it was removed here", "acme/b known", "acme/new added"}, actions(k.look(t, row, LookOptions{}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"acme/a added", "acme/b known", "acme/new known"}, actions(k.look(t, row, LookOptions{Revive: true}))); diff != "" {
		t.Errorf("revived (-want +got):\n%s", diff)
	}
	if secrets, err := k.db.WebhookSecrets(t.Context(), k.org.ID); err != nil || len(secrets) != 1 || len(g.hooks) != 1 {
		t.Errorf("%d secrets, webhooks %v, %v", len(secrets), g.hooks, err)
	}
}

func TestNewRepositoriesAreFound(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, "acme/a")
	k := newKit(t, g)
	k.connect(t, k.request())
	broken := k.connectNowhere(t)
	if err := k.LookAround(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := g.calls
	if err := k.LookAround(t.Context()); err != nil || g.calls != calls {
		t.Errorf("looked again at once: %v", err)
	}
	g.add(listed{FullName: "acme/new"})
	k.cfg.Every = -1
	if err := k.LookAround(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.db.Repo(t.Context(), k.org.ID, "acme/new"); err != nil {
		t.Error(err)
	}
	row, err := k.db.Connection(t.Context(), k.org.ID, broken)
	if err != nil || !strings.Contains(row.Problem, "cannot be reached") || strings.Contains(row.Problem, token) {
		t.Errorf("the broken connection: %+v, %v", row, err)
	}
	// What a person did is done by that person, what a daemon did by the daemon.
	rows, err := k.db.AuditRows(t.Context(), k.org.ID, store.AuditFilter{}, 0, 1)
	if err != nil || rows[0].Action != "repo.add" || rows[0].Principal != "daemon" {
		t.Errorf("audited %+v, %v", rows, err)
	}
}

// connectNowhere stores a connection to a server that is not there.
func (k kit) connectNowhere(t *testing.T) uuid.UUID {
	t.Helper()
	row, _, err := k.db.SaveConnection(t.Context(), k.by,
		store.NewConnection{Forge: "github", APIURL: "http://127.0.0.1:1", Owner: "away", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return row.ID
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	const url = "https://bp.example/hooks/github/acme"
	for name, c := range map[string]struct {
		owner, repos bool
		where        string
		hooks        []string
		reason       string
	}{
		"owner":        {true, true, HooksOwner, []string{"owner " + url}, ""},
		"repositories": {false, true, HooksRepos, []string{"acme/a " + url, "acme/b " + url}, ""},
		"none":         {false, false, HooksRepos, nil, "the token may not do this at the forge (HTTP 403): Must have admin rights."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGitHub(t, "acme/a", "acme/b")
			g.ownerHooks, g.repoHooks = c.owner, c.repos
			k := newKit(t, g)
			row := k.connect(t, k.request())
			report := k.look(t, row, LookOptions{})
			if report.Webhooks != c.where || report.HooksReason != c.reason {
				t.Errorf("webhooks %s, %q", report.Webhooks, report.HooksReason)
			}
			_, secrets, err := k.db.OpenWebhookSecrets(t.Context(), "acme", "github")
			if err != nil || len(secrets) != 1 {
				t.Fatalf("secrets %v, %v", secrets, err)
			}
			if len(g.hooks) != len(c.hooks) {
				t.Errorf("webhooks %v", g.hooks)
			}
			for _, at := range c.hooks {
				if g.hooks[at] != secrets[0] {
					t.Errorf("webhook %s has another secret", at)
				}
			}
			if row, err := k.db.Connection(t.Context(), k.org.ID, row.ID); err != nil || strings.TrimPrefix(row.Problem, "webhooks: ") != c.reason {
				t.Errorf("recorded %q, %v", row.Problem, err)
			}
			// A later look leaves those alone that were made, unless it is to make sure.
			g.hooks = map[string]string{}
			k.look(t, row, LookOptions{})
			if c.where == HooksRepos && len(g.hooks) != 0 {
				t.Errorf("made again: %v", g.hooks)
			}
			k.look(t, row, LookOptions{Anew: true})
			if len(g.hooks) != len(c.hooks) {
				t.Errorf("made sure of: %v", g.hooks)
			}
		})
	}
}

func TestWithoutWebhooks(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, "acme/a")
	k := newKit(t, g)
	in := k.request()
	in.Webhooks = false
	if report := k.look(t, k.connect(t, in), LookOptions{}); report.Webhooks != HooksOff || report.HooksReason != "" || len(g.hooks) != 0 {
		t.Errorf("unwanted: %+v", report)
	}
	k.cfg.WebhookURL = ""
	if report := k.look(t, k.connect(t, k.request()), LookOptions{}); !strings.Contains(report.HooksReason, "public_url") || len(g.hooks) != 0 {
		t.Errorf("nowhere to send them: %+v", report)
	}
}

func TestLooksAtOnceDoNothingTwice(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, "acme/a", "acme/b", "acme/c")
	k := newKit(t, g)
	row := k.connect(t, k.request())
	g.posts = 0
	var looks sync.WaitGroup
	for range 4 {
		looks.Go(func() {
			if _, err := k.Look(t.Context(), k.by, row, LookOptions{}); err != nil {
				t.Error(err)
			}
		})
		looks.Go(func() {
			if err := k.LookAround(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	looks.Wait()
	if repos, err := k.db.Repos(t.Context(), k.org.ID); err != nil || len(repos) != 3 || k.demands(t, repos[0].ID) != 1 {
		t.Errorf("%d repositories, %v", len(repos), err)
	}
	if secrets, err := k.db.WebhookSecrets(t.Context(), k.org.ID); err != nil || len(secrets) != 1 || g.posts != 1 {
		t.Errorf("%d secrets, %d webhooks made, %v", len(secrets), g.posts, err)
	}
}

func TestConnectingAgainFetchesWhatFailed(t *testing.T) {
	t.Parallel()
	k := newKit(t, newGitHub(t, "acme/a"))
	row := k.connect(t, k.request())
	k.look(t, row, LookOptions{})
	repo, err := k.db.Repo(t.Context(), k.org.ID, "acme/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.db.Pool().Exec(t.Context(), `DELETE FROM river_job`); err != nil {
		t.Fatal(err)
	}
	k.look(t, row, LookOptions{Anew: true})
	if n := k.demands(t, repo.ID); n != 0 {
		t.Errorf("%d demands of what is well", n)
	}
	if err := k.db.FetchEnded(t.Context(), k.org.ID, repo.ID, store.Fetched{Problem: "no access"}); err != nil {
		t.Fatal(err)
	}
	k.look(t, row, LookOptions{})
	if n := k.demands(t, repo.ID); n != 0 {
		t.Errorf("%d demands by a regular look", n)
	}
	k.look(t, row, LookOptions{Anew: true})
	if n := k.demands(t, repo.ID); n != 1 {
		t.Errorf("%d demands, want 1", n)
	}
}

func TestWebhookSecretOfGitLabIsAToken(t *testing.T) {
	t.Parallel()
	k := newKit(t, newGitHub(t))
	if _, _, err := k.db.CreateWebhookSecret(t.Context(), k.by, "gitlab", "whsec_AAECAwQFBgcICQoLDA0ODw=="); err != nil {
		t.Fatal(err)
	}
	hook, err := k.webhook(t.Context(), k.by, store.Connection{OrgID: k.org.ID, Forge: "gitlab"})
	if err != nil || strings.HasPrefix(string(hook.Secret), "whsec_") || len(hook.Secret) < 32 {
		t.Errorf("%q, %v", string(hook.Secret), err)
	}
}

func TestConnectRefuses(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	k := newKit(t, g)
	for name, c := range map[string]struct {
		change func(*Request)
		field  string
		kind   error
	}{
		"unknown forge": {func(r *Request) { r.Forge = "svn" }, "forge", nil},
		"no API":        {func(r *Request) { r.Forge = forge.Gogs }, "forge", nil},
		"bad address":   {func(r *Request) { r.APIURL = "https://user:hunter2@x.example" }, "api_url", nil},
		"no owner":      {func(r *Request) { r.Owner = "" }, "owner", nil},
		"slashes":       {func(r *Request) { r.Owner = "acme/" }, "owner", nil},
		"control":       {func(r *Request) { r.Owner = "a\x1bcme" }, "owner", nil},
		"no token":      {func(r *Request) { r.Token = "" }, "token", nil},
		"line break":    {func(r *Request) { r.Token = "hunter2\nX-Evil: 1" }, "token", nil},
		"include":       {func(r *Request) { r.Include = []string{"["} }, "include", nil},
		"exclude":       {func(r *Request) { r.Exclude = []string{"["} }, "exclude", nil},
		"wrong token":   {func(r *Request) { r.Token = "hunter2" }, "", forge.ErrToken},
		"no such owner": {func(r *Request) { r.Owner = "nobody" }, "", forge.ErrMissing},
	} {
		in := k.request()
		c.change(&in)
		_, _, err := k.Connect(t.Context(), k.by, in)
		var invalid *store.InvalidError
		switch {
		case c.field != "" && (!errors.As(err, &invalid) || invalid.Field != c.field):
			t.Errorf("%s: %v, want field %s", name, err, c.field)
		case c.kind != nil && !errors.Is(err, c.kind):
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
	if rows, err := k.db.Connections(t.Context(), k.org.ID); err != nil || len(rows) != 0 {
		t.Errorf("%d connections, %v", len(rows), err)
	}
}

func TestTokenThatIsTakenBackIsSaid(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, "acme/a")
	k := newKit(t, g)
	row := k.connect(t, k.request())
	g.token = "another"
	if _, err := k.Look(t.Context(), k.by, row, LookOptions{}); !errors.Is(err, forge.ErrToken) {
		t.Errorf("%v", err)
	}
	if err := k.Check(t.Context(), row); !errors.Is(err, forge.ErrToken) {
		t.Errorf("%v", err)
	}
	row, err := k.db.Connection(t.Context(), k.org.ID, row.ID)
	if err != nil || !strings.Contains(row.Problem, "does not accept the token") {
		t.Errorf("recorded %q, %v", row.Problem, err)
	}
}

func TestSelectionOverSSH(t *testing.T) {
	t.Parallel()
	k := newKit(t, newGitHub(t, "acme/a"))
	in := k.request()
	in.SSH = true
	report := k.look(t, k.connect(t, in), LookOptions{})
	// Without a key the rules refuse it.
	if got := report.Repos[0]; got.Action != Refused || !strings.Contains(got.Reason, "ssh remotes need") {
		t.Errorf("%+v", got)
	}
}
