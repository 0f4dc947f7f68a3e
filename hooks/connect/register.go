package connect

import (
	"context"
	"errors"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Registration says which repository somebody registers by hand.
type Registration struct {
	Name string
	// URL is the remote's; a repository that the gateway hosts has none.
	URL string
	// User and Secret are the remote's credential, if it is not in the URL.
	User, Secret string
	NotesRefs    []string
	NotesOnly    bool
	Gateway      store.Gateway
}

// Resolve judges the address and makes it ready to be stored. A credential in
// it is kept apart from it, as if it had been given as one. What is wrong with
// the address is an *store.InvalidError.
func (in Registration) Resolve(ctx context.Context, remotes Remotes) (store.NewRepo, error) {
	fresh := store.NewRepo{Name: in.Name, NotesRefs: in.NotesRefs, NotesOnly: in.NotesOnly, Gateway: in.Gateway}
	if in.URL == "" {
		if in.Gateway != store.GatewayHosted {
			return store.NewRepo{}, &store.InvalidError{Field: "url", Problem: "must be given, unless the gateway hosts the repository"}
		}
		return fresh, nil
	}
	remote, err := remotes.Check(ctx, in.URL)
	switch {
	case errors.Is(err, mirror.ErrRefused):
		return store.NewRepo{}, &store.InvalidError{Field: "url", Problem: err.Error()}
	case errors.Is(err, mirror.ErrUnreachable) && ctx.Err() == nil:
		return store.NewRepo{}, &store.InvalidError{Field: "url", Problem: "names a host for which the daemon finds no address"}
	}
	if err != nil {
		return store.NewRepo{}, err
	}
	fresh.RemoteURL, fresh.URLKey = remote.String(), forge.NormalizeURL(remote.String())
	if c := remote.Credential(); c != nil {
		fresh.User, fresh.Secret = c.User, c.Secret
	}
	if in.User != "" || in.Secret != "" {
		fresh.User, fresh.Secret = in.User, in.Secret
	}
	return fresh, nil
}
