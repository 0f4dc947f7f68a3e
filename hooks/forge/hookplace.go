package forge

import (
	"context"
	"net/http"
)

// hookPlace is where a forge keeps webhooks of a repository or an owner.
type hookPlace struct {
	session session
	path    []string
	// list calls add with each webhook's id and URL.
	list func(ctx context.Context, add func(id, url string) error) error
	// update is the method that changes a webhook.
	update string
	// body describes a webhook in the forge's words.
	body func(Webhook) any
}

// ensure changes the webhook with the URL, or makes one. Should there be several
// with it, which only other hands can make, all of them get the secret.
func (p hookPlace) ensure(ctx context.Context, h Webhook) (created bool, err error) {
	var ids []string
	err = p.list(ctx, func(id, url string) error {
		if url == h.URL {
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		path := append(p.path[:len(p.path):len(p.path)], id)
		if _, err := p.session.do(ctx, call{method: p.update, url: p.session.at(nil, path...), body: p.body(h)}); err != nil {
			return false, err
		}
	}
	if len(ids) > 0 {
		return false, nil
	}
	_, err = p.session.do(ctx, call{method: http.MethodPost, url: p.session.at(nil, p.path...), body: p.body(h)})
	return err == nil, err
}
