package store_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestGatewayRepositoriesAreFoundByTheirNames(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org, other := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "other")
	by := access.CLI(org.ID)
	add := func(name, url string, gateway store.Gateway) uuid.UUID {
		t.Helper()
		repo, err := db.CreateRepo(ctx, by, store.NewRepo{Name: name, RemoteURL: url, Gateway: gateway})
		if err != nil {
			t.Fatal(err)
		}
		return repo.ID
	}
	api := add("acme/api", "", store.GatewayHosted)
	bare := add("acme/web.git", "", store.GatewayHosted)
	plain := add("acme/web", "https://example.com/web.git", store.GatewayForwarding)
	add("acme/closed", "https://example.com/closed.git", "")
	gone := add("acme/gone", "", store.GatewayHosted)
	if err := db.RemoveRepo(ctx, by, gone); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uuid.UUID{
		"acme/api": api, "acme/api.git": api, "acme/web": plain, "acme/web.git": bare,
		"acme/closed": uuid.Nil, "acme/gone": uuid.Nil, "acme/none": uuid.Nil, "": uuid.Nil, ".git": uuid.Nil,
	} {
		found, err := db.GatewayRepo(ctx, org.ID, name)
		if found.ID != want || (want == uuid.Nil) != errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %s, %v, want %s", name, found.ID, err, want)
		}
	}
	if _, err := db.GatewayRepo(ctx, other.ID, "acme/api"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation finds it: %v", err)
	}
	// A hosted repository is fetched though it has no remote.
	if _, err := db.FetchStarted(ctx, org.ID, api); err != nil {
		t.Errorf("fetching a hosted repository: %v", err)
	}
}

func TestGatewayNeedsWhatItForwardsTo(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	var invalid *store.InvalidError
	for _, in := range []store.NewRepo{
		{Name: "a", Gateway: store.GatewayForwarding},
		{Name: "a", RemoteURL: "https://example.com/a.git", Gateway: store.GatewayHosted},
		{Name: "a", Gateway: "on"},
	} {
		if _, err := db.CreateRepo(ctx, by, in); !errors.As(err, &invalid) || invalid.Field != "gateway" {
			t.Errorf("%+v: %v, want a complaint about gateway", in, err)
		}
	}
	alone := storetest.MustRepo(t, db, org, "alone", "")
	for _, gateway := range []store.Gateway{store.GatewayForwarding, "on"} {
		if _, err := db.UpdateRepo(ctx, by, alone.ID, store.RepoSettings{Gateway: gateway}); !errors.As(err, &invalid) {
			t.Errorf("gateway %q without a remote: %v, want it refused", gateway, err)
		}
	}
	no := false
	remote := storetest.MustRepo(t, db, org, "remote", "https://example.com/remote.git")
	forwarding := store.RepoSettings{Gateway: store.GatewayForwarding, ForwardNotes: &no}
	if set, err := db.UpdateRepo(ctx, by, remote.ID, forwarding); err != nil || set.Gateway != store.GatewayForwarding || set.ForwardNotes {
		t.Errorf("set %+v, %v", set, err)
	}
	if set, err := db.UpdateRepo(ctx, by, remote.ID, store.RepoSettings{Gateway: store.GatewayOff}); err != nil || set.Gateway != store.GatewayOff || set.ForwardNotes {
		t.Errorf("set %+v, %v", set, err)
	}
}
