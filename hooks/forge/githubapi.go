package forge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// githubAPI speaks to github.com and GitHub Enterprise Server (GitHub docs,
// "REST API endpoints for commit statuses", "… for repositories", "… for
// organization webhooks", "… for repository webhooks").
type githubAPI struct{ session }

// pageSize is the most that GitHub, GitLab and Bitbucket give on one page.
const pageSize = "100"

func (g githubAPI) check(ctx context.Context) error {
	_, err := g.get(ctx, g.at(nil, "orgs", g.account.Owner), nil)
	if errors.Is(err, ErrMissing) {
		_, err = g.get(ctx, g.at(nil, "users", g.account.Owner), nil)
	}
	return err
}

// hubStatus is the status of GitHub, which Gitea took over.
type hubStatus struct {
	State       State  `json:"state"`
	TargetURL   string `json:"target_url,omitempty"`
	Description string `json:"description"`
	Context     string `json:"context"`
}

func (g githubAPI) setStatus(ctx context.Context, repo, commit string, st Status) error {
	return setHubStatus(ctx, g.session, repo, commit, st)
}

func setHubStatus(ctx context.Context, s session, repo, commit string, st Status) error {
	if err := checkPath(repo, 2); err != nil {
		return &CallError{Err: ErrRejected, Detail: err.Error()}
	}
	owner, name, _ := strings.Cut(repo, "/")
	_, err := s.do(ctx, call{method: http.MethodPost, url: s.at(nil, "repos", owner, name, "statuses", commit),
		body: hubStatus{st.State, st.URL, st.Description, StatusContext}})
	return err
}

// hubRepo is the repository of GitHub, which Gitea took over.
type hubRepo struct {
	FullName      string `json:"full_name"`
	CloneURL      string `json:"clone_url"`
	SSHURL        string `json:"ssh_url"`
	DefaultBranch string `json:"default_branch"`
	Archived      bool   `json:"archived"`
	Fork          bool   `json:"fork"`
	Private       bool   `json:"private"`
}

func (r hubRepo) repo() Repo {
	return Repo{Path: r.FullName, HTTPURL: r.CloneURL, SSHURL: r.SSHURL, DefaultBranch: r.DefaultBranch,
		Archived: r.Archived, Fork: r.Fork, Private: r.Private}
}

// listRepos asks for an organisation's repositories, and for a user's if there
// is no organisation. Private ones of a user are shown only as the token's own.
func (g githubAPI) listRepos(ctx context.Context, add func(Repo) error) error {
	each := func(r hubRepo) error { return add(r.repo()) }
	query := url.Values{"per_page": {pageSize}, "sort": {"full_name"}, "type": {"all"}}
	err := numbered(ctx, g.session, query, []string{"orgs", g.account.Owner, "repos"}, each)
	if !errors.Is(err, ErrMissing) {
		return err
	}
	var me struct {
		Login string `json:"login"`
	}
	if _, err := g.get(ctx, g.at(nil, "user"), &me); err != nil && !IsOwnersFault(err) {
		return err
	}
	query = url.Values{"per_page": {pageSize}, "sort": {"full_name"}}
	if strings.EqualFold(me.Login, g.account.Owner) {
		query.Set("affiliation", "owner")
		return numbered(ctx, g.session, query, []string{"user", "repos"}, each)
	}
	return numbered(ctx, g.session, query, []string{"users", g.account.Owner, "repos"}, each)
}

// hubHook is the webhook of GitHub, which Gitea took over.
type hubHook struct {
	ID     int64         `json:"id,omitempty"`
	Name   string        `json:"name,omitempty"`
	Type   string        `json:"type,omitempty"`
	Active bool          `json:"active"`
	Events []string      `json:"events"`
	Config hubHookConfig `json:"config"`
}

type hubHookConfig struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type"`
	Secret      string `json:"secret,omitempty"`
	InsecureSSL string `json:"insecure_ssl,omitempty"`
}

func (g githubAPI) hooks(repo string) (hookPlace, error) {
	return hubHooks(g.session, repo, pageSizeOf("per_page", pageSize), func(h Webhook) any {
		return hubHook{Name: "web", Active: true, Events: []string{"push"},
			Config: hubHookConfig{URL: h.URL, ContentType: "json", Secret: string(h.Secret), InsecureSSL: "0"}}
	})
}

func pageSizeOf(name, size string) url.Values { return url.Values{name: {size}} }

// hubHooks is where GitHub and Gitea keep webhooks.
func hubHooks(s session, repo string, query url.Values, body func(Webhook) any) (hookPlace, error) {
	path := []string{"orgs", s.account.Owner, "hooks"}
	if repo != "" {
		if err := checkPath(repo, 2); err != nil {
			return hookPlace{}, &CallError{Err: ErrRejected, Detail: err.Error()}
		}
		owner, name, _ := strings.Cut(repo, "/")
		path = []string{"repos", owner, name, "hooks"}
	}
	list := func(ctx context.Context, add func(id, url string) error) error {
		return numbered(ctx, s, query, path, func(h hubHook) error { return add(strconv.FormatInt(h.ID, 10), h.Config.URL) })
	}
	return hookPlace{session: s, path: path, list: list, update: http.MethodPatch, body: body}, nil
}
