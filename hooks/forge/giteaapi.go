package forge

import (
	"context"
	"errors"
	"net/url"
)

// giteaAPI speaks to Gitea and Forgejo (their API's Swagger description).
type giteaAPI struct{ session }

// giteaPageSize is the largest page that servers give by default.
const giteaPageSize = "50"

func (g giteaAPI) check(ctx context.Context) error {
	_, err := g.get(ctx, g.at(nil, "orgs", g.account.Owner), nil)
	if errors.Is(err, ErrMissing) {
		_, err = g.get(ctx, g.at(nil, "users", g.account.Owner), nil)
	}
	return err
}

func (g giteaAPI) setStatus(ctx context.Context, repo, commit string, st Status) error {
	return setHubStatus(ctx, g.session, repo, commit, st)
}

func (g giteaAPI) listRepos(ctx context.Context, add func(Repo) error) error {
	each := func(r hubRepo) error { return add(r.repo()) }
	query := url.Values{"limit": {giteaPageSize}}
	err := numbered(ctx, g.session, query, []string{"orgs", g.account.Owner, "repos"}, each)
	if errors.Is(err, ErrMissing) {
		err = numbered(ctx, g.session, query, []string{"users", g.account.Owner, "repos"}, each)
	}
	return err
}

// hooks ask for push and delete events: a deleted branch is told by the delete
// event alone.
func (g giteaAPI) hooks(repo string) (hookPlace, error) {
	return hubHooks(g.session, repo, pageSizeOf("limit", giteaPageSize), func(h Webhook) any {
		return hubHook{Type: "gitea", Active: true, Events: []string{"push", "delete"},
			Config: hubHookConfig{URL: h.URL, ContentType: "json", Secret: string(h.Secret)}}
	})
}
