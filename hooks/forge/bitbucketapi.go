package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// bitbucketStatus is a build status, the same for Cloud and Data Center.
type bitbucketStatus struct {
	Key         string `json:"key"`
	State       string `json:"state"`
	Name        string `json:"name"`
	URL         string `json:"url"`
	Description string `json:"description"`
}

func newBitbucketStatus(st Status) bitbucketStatus {
	state := map[State]string{Pending: "INPROGRESS", Success: "SUCCESSFUL", Failure: "FAILED"}[st.State]
	return bitbucketStatus{StatusContext, state, "BlamePrompt", st.URL, st.Description}
}

// links are the addresses of a repository, by the protocol's name.
type links struct {
	Clone []struct {
		Name string `json:"name"`
		Href string `json:"href"`
	} `json:"clone"`
}

func (l links) named(names ...string) string {
	for _, link := range l.Clone {
		for _, name := range names {
			if link.Name == name {
				return link.Href
			}
		}
	}
	return ""
}

// webhookName is what our webhooks are called at forges that want a name.
const webhookName = "BlamePrompt"

// cloudAPI speaks to Bitbucket Cloud (its REST API's groups "Commit statuses",
// "Repositories", "Webhooks", "Workspaces").
type cloudAPI struct{ session }

func (b cloudAPI) check(ctx context.Context) error {
	_, err := b.get(ctx, b.at(pageSizeOf("pagelen", "1"), "repositories", b.account.Owner), nil)
	return err
}

func (b cloudAPI) setStatus(ctx context.Context, repo, commit string, st Status) error {
	path, err := b.repo(repo)
	if err != nil {
		return err
	}
	path = append(path, "commit", commit, "statuses", "build")
	_, err = b.do(ctx, call{method: http.MethodPost, url: b.at(nil, path...), body: newBitbucketStatus(st)})
	return err
}

func (b cloudAPI) repo(repo string) ([]string, error) {
	if err := checkPath(repo, 2); err != nil {
		return nil, &CallError{Err: ErrRejected, Detail: err.Error()}
	}
	workspace, slug, _ := strings.Cut(repo, "/")
	return []string{"repositories", workspace, slug}, nil
}

// cloudPage is a page of a list; Next is the address of the one behind it.
type cloudPage[T any] struct {
	Values []T    `json:"values"`
	Next   string `json:"next"`
}

// followed reads a list whose pages hold the address of the next one. It has to
// be of the same server, below the same API.
func followed[T any](ctx context.Context, s session, first *url.URL, add func(T) error) error {
	at := first
	for range maxPages {
		var page cloudPage[T]
		if _, err := s.get(ctx, at, &page); err != nil {
			return err
		}
		for _, item := range page.Values {
			if err := add(item); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		next, err := url.Parse(page.Next)
		if err != nil || next.Scheme != s.base.Scheme || next.Host != s.base.Host || !strings.HasPrefix(next.Path, s.base.Path+"/") {
			return &CallError{Err: ErrAnswer, Detail: "the next page is at another server"}
		}
		at = next
	}
	return &CallError{Err: ErrAnswer, Detail: fmt.Sprintf("more than %d pages", maxPages)}
}

type cloudRepo struct {
	FullName   string    `json:"full_name"`
	Private    bool      `json:"is_private"`
	Parent     *struct{} `json:"parent"`
	MainBranch *struct {
		Name string `json:"name"`
	} `json:"mainbranch"`
	Links links `json:"links"`
}

func (b cloudAPI) listRepos(ctx context.Context, add func(Repo) error) error {
	return followed(ctx, b.session, b.at(pageSizeOf("pagelen", pageSize), "repositories", b.account.Owner), func(r cloudRepo) error {
		repo := Repo{Path: r.FullName, HTTPURL: r.Links.named("https"), SSHURL: r.Links.named("ssh"),
			Fork: r.Parent != nil, Private: r.Private}
		if r.MainBranch != nil {
			repo.DefaultBranch = r.MainBranch.Name
		}
		return add(repo)
	})
}

type cloudHook struct {
	UUID        string   `json:"uuid,omitempty"`
	Description string   `json:"description"`
	URL         string   `json:"url"`
	Active      bool     `json:"active"`
	Secret      string   `json:"secret,omitempty"`
	Events      []string `json:"events"`
}

func (b cloudAPI) hooks(repo string) (hookPlace, error) {
	path := []string{"workspaces", b.account.Owner, "hooks"}
	if repo != "" {
		at, err := b.repo(repo)
		if err != nil {
			return hookPlace{}, err
		}
		path = append(at, "hooks")
	}
	return hookPlace{session: b.session, path: path, update: http.MethodPut,
		list: func(ctx context.Context, add func(id, url string) error) error {
			return followed(ctx, b.session, b.at(pageSizeOf("pagelen", pageSize), path...),
				func(h cloudHook) error { return add(h.UUID, h.URL) })
		},
		body: func(h Webhook) any {
			return cloudHook{Description: webhookName, URL: h.URL, Active: true, Secret: string(h.Secret), Events: []string{"repo:push"}}
		}}, nil
}

// dataCenterAPI speaks to Bitbucket Data Center (its REST API's groups "Builds
// and Deployments", "Project", "Repository").
type dataCenterAPI struct{ session }

func (b dataCenterAPI) check(ctx context.Context) error {
	_, err := b.get(ctx, b.at(pageSizeOf("limit", "1"), "projects", b.account.Owner, "repos"), nil)
	return err
}

func (b dataCenterAPI) setStatus(ctx context.Context, repo, commit string, st Status) error {
	path, err := b.repo(repo)
	if err != nil {
		return err
	}
	path = append(path, "commits", commit, "builds")
	_, err = b.do(ctx, call{method: http.MethodPost, url: b.at(nil, path...), body: newBitbucketStatus(st)})
	return err
}

func (b dataCenterAPI) repo(repo string) ([]string, error) {
	if err := checkPath(repo, 2); err != nil {
		return nil, &CallError{Err: ErrRejected, Detail: err.Error()}
	}
	project, slug, _ := strings.Cut(repo, "/")
	return []string{"projects", project, "repos", slug}, nil
}

// dataCenterPage is a page of a list; the next one begins at NextPageStart.
type dataCenterPage[T any] struct {
	Values        []T  `json:"values"`
	IsLastPage    bool `json:"isLastPage"`
	NextPageStart int  `json:"nextPageStart"`
}

// started reads a list whose pages say where the next one begins.
func started[T any](ctx context.Context, s session, path []string, add func(T) error) error {
	query := pageSizeOf("limit", pageSize)
	start := 0
	for range maxPages {
		query.Set("start", strconv.Itoa(start))
		var page dataCenterPage[T]
		if _, err := s.get(ctx, s.at(query, path...), &page); err != nil {
			return err
		}
		for _, item := range page.Values {
			if err := add(item); err != nil {
				return err
			}
		}
		if page.IsLastPage || page.NextPageStart <= start {
			return nil
		}
		start = page.NextPageStart
	}
	return &CallError{Err: ErrAnswer, Detail: fmt.Sprintf("more than %d pages", maxPages)}
}

type dataCenterRepo struct {
	Slug    string `json:"slug"`
	Project struct {
		Key string `json:"key"`
	} `json:"project"`
	Public   bool      `json:"public"`
	Archived bool      `json:"archived"`
	Origin   *struct{} `json:"origin"`
	Links    links     `json:"links"`
}

func (b dataCenterAPI) listRepos(ctx context.Context, add func(Repo) error) error {
	return started(ctx, b.session, []string{"projects", b.account.Owner, "repos"}, func(r dataCenterRepo) error {
		return add(Repo{Path: r.Project.Key + "/" + r.Slug, HTTPURL: r.Links.named("http", "https"), SSHURL: r.Links.named("ssh"),
			Archived: r.Archived, Fork: r.Origin != nil, Private: !r.Public})
	})
}

type dataCenterHook struct {
	ID            int64                `json:"id,omitempty"`
	Name          string               `json:"name"`
	URL           string               `json:"url"`
	Active        bool                 `json:"active"`
	Events        []string             `json:"events"`
	Configuration dataCenterHookConfig `json:"configuration"`
}

type dataCenterHookConfig struct {
	Secret string `json:"secret,omitempty"`
}

func (b dataCenterAPI) hooks(repo string) (hookPlace, error) {
	path := []string{"projects", b.account.Owner, "webhooks"}
	if repo != "" {
		at, err := b.repo(repo)
		if err != nil {
			return hookPlace{}, err
		}
		path = append(at, "webhooks")
	}
	return hookPlace{session: b.session, path: path, update: http.MethodPut,
		list: func(ctx context.Context, add func(id, url string) error) error {
			return started(ctx, b.session, path, func(h dataCenterHook) error { return add(strconv.FormatInt(h.ID, 10), h.URL) })
		},
		body: func(h Webhook) any {
			return dataCenterHook{Name: webhookName, URL: h.URL, Active: true, Events: []string{"repo:refs_changed"},
				Configuration: dataCenterHookConfig{Secret: string(h.Secret)}}
		}}, nil
}
