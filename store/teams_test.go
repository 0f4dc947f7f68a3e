package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestATeamEndsWithItsMembersAndGrants(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	team, err := db.CreateTeam(ctx, by, " back end ")
	if err != nil || team.Name != "back end" || len(team.Members) != 0 {
		t.Fatalf("%+v, %v", team, err)
	}
	if _, err := db.CreateTeam(ctx, by, "back end"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("made twice: %v", err)
	}
	if _, err := db.SetTeamMember(ctx, by, team.ID, "Ada@example.com", access.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	ada := storetest.MustUser(t, db, org, "ada@example.com")
	grant := store.NewGrant{Subject: store.SubjectTeam, SubjectID: team.ID, Permission: access.WriteRepo}
	if _, err := db.SetGrant(ctx, by, grant); err != nil {
		t.Fatal(err)
	}
	if may, err := db.Permission(ctx, org.ID, ada.ID, uuid.Nil); err != nil || !may.Write {
		t.Fatalf("a member may %+v, %v", may, err)
	}
	other := access.CLI(storetest.MustOrg(t, db, "other").ID)
	for name, err := range map[string]error{
		"rename": second(db.RenameTeam(ctx, other, team.ID, "mine")), "remove": db.RemoveTeam(ctx, other, team.ID),
		"set": second(db.SetTeamMember(ctx, other, team.ID, "eve@example.com", access.RoleAdmin)), "take": db.RemoveTeamMember(ctx, other, team.ID, ada.Email),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s from another organisation: %v", name, err)
		}
	}
	if err := db.RemoveTeam(ctx, by, team.ID); err != nil {
		t.Fatal(err)
	}
	if may, err := db.Permission(ctx, org.ID, ada.ID, uuid.Nil); err != nil || may.Write {
		t.Errorf("a member of no team may %+v, %v", may, err)
	}
	if again, err := db.CreateTeam(ctx, by, "back end"); err != nil || len(again.Members) != 0 {
		t.Errorf("made again: %+v, %v", again, err)
	}
	want := []string{"org.create", "team.create", "team.member_set", "user.create", "grant.set", "team.remove", "team.create"}
	if diff := cmp.Diff(want, storetest.Column(t, db, `SELECT action FROM audit_log WHERE org_id = $1 ORDER BY seq`, org.ID)); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTeamsThatCannotBe(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	by := access.CLI(storetest.MustOrg(t, db, "acme").ID)
	for _, name := range []string{"", "  ", "a\nb", "a\x00", "\xff", uuid.NewString(), string(make([]byte, 201))} {
		var invalid *store.InvalidError
		if _, err := db.CreateTeam(ctx, by, name); !errors.As(err, &invalid) || invalid.Field != "name" {
			t.Errorf("%.30q: %v", name, err)
		}
	}
}

// TestTwoAdminsCannotBothGo has each take the role from the other at once.
func TestTwoAdminsCannotBothGo(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	member, admin := access.RoleMember, access.RoleAdmin
	two := []store.User{storetest.MustUser(t, db, org, "ada@example.com"), storetest.MustUser(t, db, org, "bob@example.com")}
	for round := range 10 {
		for _, user := range two {
			if _, err := db.UpdateUser(ctx, by, user.ID, store.UserChange{Role: &admin}); err != nil {
				t.Fatal(err)
			}
		}
		var kept atomic.Int64
		var group sync.WaitGroup
		for _, user := range two {
			group.Go(func() {
				_, err := db.UpdateUser(ctx, by, user.ID, store.UserChange{Role: &member})
				if errors.Is(err, store.ErrLastAdmin) {
					kept.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		if group.Wait(); kept.Load() != 1 {
			t.Fatalf("round %d: %d admins were kept, want 1", round, kept.Load())
		}
	}
}
