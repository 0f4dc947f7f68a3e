package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestPermissionAddsUp(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	api, web := storetest.MustRepo(t, db, org, "acme/api", ""), storetest.MustRepo(t, db, org, "acme/web", "")
	ada := storetest.MustUser(t, db, org, "ada@example.com")
	team := uuid.New()
	for _, sql := range []string{
		`INSERT INTO teams (id, org_id, name) VALUES ($1, $2, 'core')`,
		`INSERT INTO team_members (org_id, team_id, email) VALUES ($2, $1, 'ada@example.com')`,
	} {
		if _, err := db.Pool().Exec(ctx, sql, team, org.ID); err != nil {
			t.Fatal(err)
		}
	}
	allows := func(when string, repo uuid.UUID, want access.Grants) {
		t.Helper()
		got, err := db.Permission(ctx, org.ID, ada.ID, repo)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", when, got, err, want)
		}
	}
	set := func(g store.NewGrant) store.Grant {
		t.Helper()
		made, err := db.SetGrant(ctx, by, g)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	allows("without grants", api.ID, access.Grants{})
	set(store.NewGrant{Subject: store.SubjectUser, SubjectID: ada.ID, Permission: access.ReadRepo})
	allows("reading all", api.ID, access.Grants{Read: true})
	made := set(store.NewGrant{Subject: store.SubjectTeam, SubjectID: team, RepoID: api.ID, Permission: access.WriteRepo})
	if made.SubjectName != "core" || made.Repo != "acme/api" {
		t.Errorf("made %+v", made)
	}
	allows("the team writes one", api.ID, access.Grants{Read: true, Write: true})
	allows("the team writes another one", web.ID, access.Grants{Read: true})
	set(store.NewGrant{Subject: store.SubjectTeam, SubjectID: team, RepoID: api.ID, Permission: access.WriteRepo, Override: true})
	allows("with override", api.ID, access.Grants{Read: true, Write: true, Override: true})
	if list, err := db.Grants(ctx, org.ID); err != nil || len(list) != 2 || list[0].SubjectName != "ada@example.com" || list[0].Repo != "" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, err := db.RemoveGrant(ctx, by, store.SubjectTeam, team, api.ID); err != nil {
		t.Error(err)
	}
	if _, err := db.RemoveGrant(ctx, by, store.SubjectTeam, team, api.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("taken back twice: %v", err)
	}
	allows("taken back", api.ID, access.Grants{Read: true})
	if _, err := db.DisableUser(ctx, by, ada.ID); err != nil {
		t.Fatal(err)
	}
	allows("disabled", api.ID, access.Grants{})
	refuseGrants(t, ctx, db, by, ada.ID, api.ID)
}

// refuseGrants asks for what is not to be had.
func refuseGrants(t *testing.T, ctx context.Context, db *store.DB, by access.Principal, user, repo uuid.UUID) {
	t.Helper()
	stranger := access.CLI(storetest.MustOrg(t, db, "other").ID)
	write := access.WriteRepo
	for _, c := range []struct {
		by access.Principal
		in store.NewGrant
	}{
		{stranger, store.NewGrant{Subject: store.SubjectUser, SubjectID: user, Permission: write}},
		{by, store.NewGrant{Subject: store.SubjectTeam, SubjectID: user, Permission: write}},
		{by, store.NewGrant{Subject: "org", SubjectID: user, Permission: write}},
		{by, store.NewGrant{Subject: store.SubjectUser, SubjectID: user, RepoID: uuid.New(), Permission: write}},
	} {
		if _, err := db.SetGrant(ctx, c.by, c.in); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%+v: %v, want ErrNotFound", c.in, err)
		}
	}
	var invalid *store.InvalidError
	for _, in := range []store.NewGrant{
		{Subject: store.SubjectUser, SubjectID: user, RepoID: repo, Permission: "admin"},
		{Subject: store.SubjectUser, SubjectID: user, RepoID: repo, Permission: access.ReadRepo, Override: true},
	} {
		if _, err := db.SetGrant(ctx, by, in); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v, want it refused", in, err)
		}
	}
}
