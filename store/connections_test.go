package store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func newConnection() store.NewConnection {
	return store.NewConnection{Forge: "github", APIURL: "https://api.github.com", Owner: "acme", Token: "ghp_secret",
		User: "x-access-token", Password: "ghp_secret", Selection: store.Selection{Include: []string{"acme/*"}, Forks: true, Webhooks: true}}
}

func mustConnect(t *testing.T, db *store.DB, by access.Principal, in store.NewConnection) store.Connection {
	t.Helper()
	row, _, err := db.SaveConnection(t.Context(), by, in)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestConnectionIsStoredOnceWithItsTokenSealed(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org, other := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "other")
	by := access.CLI(org.ID)
	first, created, err := db.SaveConnection(ctx, by, newConnection())
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if diff := cmp.Diff([]string{"acme/*"}, first.Include); diff != "" || first.Archived || !first.Forks || first.CreatedBy != by.Name {
		t.Errorf("stored as %+v", first)
	}
	again := newConnection()
	again.Token, again.Archived = "ghp_next", true
	second, created, err := db.SaveConnection(ctx, by, again)
	if err != nil || created || second.ID != first.ID || !second.Archived {
		t.Errorf("changed: %+v, created %t, %v", second, created, err)
	}
	if token, err := db.ConnectionToken(ctx, org.ID, first.ID); err != nil || token != "ghp_next" {
		t.Errorf("token %q, %v", token, err)
	}
	if _, err := db.ConnectionToken(ctx, other.ID, first.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation's token: %v", err)
	}
	var sealed []byte
	if err := db.Pool().QueryRow(ctx, `SELECT sealed FROM forge_connections`).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("ghp_")) {
		t.Error("the token is stored in the clear")
	}
	rows, err := db.AuditRows(ctx, org.ID, store.AuditFilter{}, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if bytes.Contains(row.Detail, []byte("ghp_")) {
			t.Errorf("the audit row of %s holds the token", row.Action)
		}
	}
	if rows[0].Action != "connection.update" || rows[1].Action != "connection.create" {
		t.Errorf("audited as %s, %s", rows[1].Action, rows[0].Action)
	}
}

// place places a repository and returns what became of it.
func place(t *testing.T, db *store.DB, c store.Connection, path, url string, revive bool) (store.Repo, store.Placement) {
	t.Helper()
	var repo store.Repo
	var placement store.Placement
	in := store.ForgeRepo{Path: path, RemoteURL: "https://" + url + ".git", URLKey: url}
	err := db.InTx(t.Context(), func(tx *store.Tx) (err error) {
		foreseen, err := tx.FindPlace(t.Context(), c, in)
		if err != nil {
			return err
		}
		repo, placement, err = tx.PlaceRepo(t.Context(), access.CLI(c.OrgID), c, in, revive)
		if err == nil && foreseen != placement && !revive {
			t.Errorf("%s was foreseen as %s, and became %s", path, foreseen, placement)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return repo, placement
}

func TestPlaceRepo(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	ours := mustConnect(t, db, by, newConnection())
	in := newConnection()
	in.Owner = "rival"
	theirs := mustConnect(t, db, by, in)
	create := func(name, url string, gateway store.Gateway) store.Repo {
		t.Helper()
		row := store.NewRepo{Name: name, Gateway: gateway}
		if url != "" {
			row.RemoteURL, row.URLKey = "https://"+url, url
		}
		repo, err := db.CreateRepo(ctx, by, row)
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	manual := create("pay", "git.example/acme/payments", "")
	create("acme/fed", "", "")
	create("acme/hosted", "", store.GatewayHosted)
	create("acme/elsewhere", "git.example/other/elsewhere", "")
	gone := create("acme/gone", "git.example/acme/gone", "")
	if err := db.RemoveRepo(ctx, by, gone.ID); err != nil {
		t.Fatal(err)
	}
	place(t, db, theirs, "rival/tool", "git.example/rival/tool", false)
	for _, c := range []struct {
		path, url string
		revive    bool
		want      store.Placement
		name      string
	}{
		{"acme/new", "git.example/acme/new", false, store.RepoAdded, "acme/new"},
		{"acme/new", "git.example/acme/new", false, store.RepoKnown, "acme/new"},
		{"acme/new", "git2.example/acme/new", false, store.RepoKnown, "acme/new"},
		{"acme/payments", "git.example/acme/payments", false, store.RepoAttached, "pay"},
		{"acme/payments", "git.example/acme/payments", false, store.RepoKnown, "pay"},
		{"acme/fed", "git.example/acme/fed", false, store.RepoAdded, "acme/fed"},
		{"acme/hosted", "git.example/acme/hosted", false, store.RepoTaken, ""},
		{"acme/elsewhere", "git.example/acme/elsewhere", false, store.RepoTaken, ""},
		{"rival/tool", "git.example/rival/tool", false, store.RepoTaken, ""},
		{"acme/gone", "git.example/acme/gone", false, store.RepoRemoved, ""},
		{"acme/gone", "git.example/acme/gone", true, store.RepoAdded, "acme/gone"},
	} {
		repo, got := place(t, db, ours, c.path, c.url, c.revive)
		if got != c.want || repo.Name != c.name {
			t.Errorf("%s at %s: %s as %q, want %s as %q", c.path, c.url, got, repo.Name, c.want, c.name)
		}
	}
	repo, err := db.Repo(ctx, org.ID, manual.ID.String())
	if err != nil || *repo.RemoteURL != "https://git.example/acme/payments" || repo.ForgePath != "acme/payments" {
		t.Errorf("attached as %+v, %v", repo, err)
	}
	if repo, err = db.Repo(ctx, org.ID, "acme/new"); err != nil || *repo.RemoteURL != "https://git2.example/acme/new.git" {
		t.Errorf("moved to %s, %v", *repo.RemoteURL, err)
	}
	if counts, err := db.ConnectionRepos(ctx, org.ID); err != nil || counts[ours.ID] != 4 || counts[theirs.ID] != 1 {
		t.Errorf("counted %v, %v", counts, err)
	}
}

func TestConnectionLendsItsTokenToRepositories(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	c := mustConnect(t, db, by, newConnection())
	repo, _ := place(t, db, c, "acme/api", "github.com/acme/api", false)
	user, secret, err := db.Credential(ctx, org.ID, repo.ID)
	if err != nil || user != "x-access-token" || secret != "ghp_secret" {
		t.Errorf("credential %q, %q, %v", user, secret, err)
	}
	if n, err := db.Disconnect(ctx, by, c.ID, false); err != nil || n != 1 {
		t.Errorf("disconnected %d repositories, %v", n, err)
	}
	if user, secret, err := db.Credential(ctx, org.ID, repo.ID); err != nil || user+secret != "" {
		t.Errorf("credential after the end of the connection: %q, %q, %v", user, secret, err)
	}
	if _, err := db.ConnectionToken(ctx, org.ID, c.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("token after the end: %v", err)
	}
	if _, err := db.Disconnect(ctx, by, c.ID, false); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ended twice: %v", err)
	}
	row, err := db.Repo(ctx, org.ID, repo.Name)
	if err != nil || row.RemovedAt != nil || row.ConnectionID != nil {
		t.Errorf("the repository: %+v, %v", row, err)
	}
	again := mustConnect(t, db, by, newConnection())
	if _, got := place(t, db, again, "acme/api", "github.com/acme/api", false); got != store.RepoAttached || again.ID == c.ID {
		t.Errorf("connected again: %s", got)
	}
	if n, err := db.Disconnect(ctx, by, again.ID, true); err != nil || n != 1 {
		t.Errorf("removed %d repositories, %v", n, err)
	}
	if row, err = db.Repo(ctx, org.ID, repo.Name); err != nil || row.RemovedAt == nil {
		t.Errorf("the repository stays: %v", err)
	}
}

func TestConnectionsDueWaitTheirPause(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	c := mustConnect(t, db, access.CLI(org.ID), newConnection())
	due := func(want int) {
		t.Helper()
		if rows, err := db.ConnectionsDue(ctx, 3600e9); err != nil || len(rows) != want {
			t.Errorf("%d are due, %v, want %d", len(rows), err, want)
		}
	}
	due(1)
	if err := db.ConnectionChecked(ctx, org.ID, c.ID, "no"); err != nil {
		t.Fatal(err)
	}
	due(0)
	if rows, err := db.Connections(ctx, org.ID); err != nil || rows[0].Problem != "no" || rows[0].CheckedAt == nil {
		t.Errorf("recorded as %+v, %v", rows, err)
	}
	if _, err := db.Connection(ctx, uuid.New(), c.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation: %v", err)
	}
}
