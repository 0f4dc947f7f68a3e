package forge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gitlabAPI speaks to gitlab.com and servers of one's own (GitLab docs,
// "Commits API", "Groups API", "Group webhooks API", "Project webhooks API").
type gitlabAPI struct{ session }

func (g gitlabAPI) check(ctx context.Context) error {
	_, err := g.get(ctx, g.at(url.Values{"with_projects": {"false"}}, "groups", g.account.Owner), nil)
	if !errors.Is(err, ErrMissing) {
		return err
	}
	_, err = g.get(ctx, g.at(pageSizeOf("per_page", "1"), "users", g.account.Owner, "projects"), nil)
	return err
}

type gitlabStatus struct {
	State       string `json:"state"`
	Name        string `json:"name"`
	TargetURL   string `json:"target_url,omitempty"`
	Description string `json:"description"`
}

// setStatus takes GitLab's refusal to make a pending status pending for what it
// is: the status says already what it should.
func (g gitlabAPI) setStatus(ctx context.Context, repo, commit string, st Status) error {
	if err := checkPath(repo, 0); err != nil {
		return &CallError{Err: ErrRejected, Detail: err.Error()}
	}
	state := string(st.State)
	if st.State == Failure {
		state = "failed"
	}
	_, err := g.do(ctx, call{method: http.MethodPost, url: g.at(nil, "projects", repo, "statuses", commit),
		body: gitlabStatus{state, StatusContext, st.URL, st.Description},
		accept: func(e *CallError) bool {
			return st.State == Pending && e.Status == http.StatusBadRequest && strings.Contains(e.Detail, "from :pending")
		}})
	return err
}

type gitlabListed struct {
	Path          string    `json:"path_with_namespace"`
	HTTPURL       string    `json:"http_url_to_repo"`
	SSHURL        string    `json:"ssh_url_to_repo"`
	DefaultBranch string    `json:"default_branch"`
	Archived      bool      `json:"archived"`
	Visibility    string    `json:"visibility"`
	ForkedFrom    *struct{} `json:"forked_from_project"`
}

// listRepos asks for the projects of a group and its subgroups, and for a
// user's if there is no group.
func (g gitlabAPI) listRepos(ctx context.Context, add func(Repo) error) error {
	each := func(p gitlabListed) error {
		return add(Repo{Path: p.Path, HTTPURL: p.HTTPURL, SSHURL: p.SSHURL, DefaultBranch: p.DefaultBranch,
			Archived: p.Archived, Fork: p.ForkedFrom != nil, Private: p.Visibility != "" && p.Visibility != "public"})
	}
	query := url.Values{"per_page": {pageSize}, "order_by": {"id"}, "sort": {"asc"}, "include_subgroups": {"true"}, "with_shared": {"false"}}
	err := numbered(ctx, g.session, query, []string{"groups", g.account.Owner, "projects"}, each)
	if !errors.Is(err, ErrMissing) {
		return err
	}
	query = url.Values{"per_page": {pageSize}, "order_by": {"id"}, "sort": {"asc"}}
	return numbered(ctx, g.session, query, []string{"users", g.account.Owner, "projects"}, each)
}

type gitlabHook struct {
	ID            int64  `json:"id,omitempty"`
	URL           string `json:"url"`
	Token         string `json:"token,omitempty"`
	PushEvents    bool   `json:"push_events"`
	TagPushEvents bool   `json:"tag_push_events"`
	VerifySSL     bool   `json:"enable_ssl_verification"`
}

func (g gitlabAPI) hooks(repo string) (hookPlace, error) {
	path := []string{"groups", g.account.Owner, "hooks"}
	if repo != "" {
		if err := checkPath(repo, 0); err != nil {
			return hookPlace{}, &CallError{Err: ErrRejected, Detail: err.Error()}
		}
		path = []string{"projects", repo, "hooks"}
	}
	return hookPlace{session: g.session, path: path, update: http.MethodPut,
		list: func(ctx context.Context, add func(id, url string) error) error {
			return numbered(ctx, g.session, pageSizeOf("per_page", pageSize), path,
				func(h gitlabHook) error { return add(strconv.FormatInt(h.ID, 10), h.URL) })
		},
		body: func(h Webhook) any {
			return gitlabHook{URL: h.URL, Token: string(h.Secret), PushEvents: true, TagPushEvents: true, VerifySSL: true}
		}}, nil
}
