package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestUsersAreAddedDisabledAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.CLI(org.ID)
	made, err := db.CreateUser(ctx, by, store.NewUser{Email: " Ada@Example.com", Name: "Ada", Logins: []string{"Ada", "lovelace", "ada"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ada", "lovelace"}, made.Logins); diff != "" || made.Email != "ada@example.com" {
		t.Errorf("stored %+v: %s", made, diff)
	}
	if _, err := db.CreateUser(ctx, by, store.NewUser{Email: "ada@example.com"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("added twice: %v, want ErrConflict", err)
	}
	disabled, err := db.DisableUser(ctx, by, made.ID)
	if err != nil || disabled.DisabledAt == nil {
		t.Fatalf("disabling: %+v, %v", disabled, err)
	}
	again, err := db.CreateUser(ctx, by, store.NewUser{Email: "ada@example.com", Name: "Ada L."})
	if err != nil || again.ID != made.ID || again.DisabledAt != nil || again.Name != "Ada L." || len(again.Logins) != 0 {
		t.Errorf("taken up again: %+v, %v", again, err)
	}
	for _, name := range []string{made.ID.String(), "ADA@example.com"} {
		if found, err := db.User(ctx, org.ID, name); err != nil || found.ID != made.ID {
			t.Errorf("looking for %s: %+v, %v", name, found, err)
		}
	}
	other := storetest.MustOrg(t, db, "other")
	if _, err := db.User(ctx, other.ID, made.ID.String()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation sees the user: %v", err)
	}
	if _, err := db.DisableUser(ctx, access.CLI(other.ID), made.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation disables the user: %v", err)
	}
	if actions := storetest.Column(t, db, `SELECT action FROM audit_log WHERE org_id = $1 ORDER BY seq`, org.ID); !cmp.Equal(actions,
		[]string{"org.create", "user.create", "user.disable", "user.create"}) {
		t.Errorf("audited: %v", actions)
	}
}

func TestUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	by := access.CLI(storetest.MustOrg(t, db, "acme").ID)
	for _, c := range []struct {
		in    store.NewUser
		field string
	}{
		{store.NewUser{}, "email"},
		{store.NewUser{Email: "ada"}, "email"},
		{store.NewUser{Email: "Ada <ada@example.com>"}, "email"},
		{store.NewUser{Email: "ada@example.com\nx"}, "email"},
		{store.NewUser{Email: "a\x00@example.com"}, "email"},
		{store.NewUser{Email: strings.Repeat("a", 250) + "@example.com"}, "email"},
		{store.NewUser{Email: "a@example.com", Name: "A\x1b[31m"}, "name"},
		{store.NewUser{Email: "a@example.com", Name: "\xff"}, "name"},
		{store.NewUser{Email: "a@example.com", Logins: []string{" "}}, "logins"},
		{store.NewUser{Email: "a@example.com", Logins: []string{"a\tb"}}, "logins"},
	} {
		_, err := db.CreateUser(ctx, by, c.in)
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != c.field {
			t.Errorf("%+.60v: %v, want a complaint about %s", c.in, err, c.field)
		}
	}
}

func TestPusherIsFoundByAddressThenByAccount(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.MustUser(t, db, org, "ada@example.com", "ada", "shared")
	storetest.MustUser(t, db, org, "bob@example.com", "bob", "shared")
	gone := storetest.MustUser(t, db, org, "eve@example.com", "eve")
	if _, err := db.DisableUser(ctx, access.CLI(org.ID), gone.ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ email, login, want string }{
		{"ADA@example.com", "", "ada@example.com"},
		{"", "Bob", "bob@example.com"},
		{"ada@example.com", "bob", "ada@example.com"},
		{"nobody@example.com", "bob", "bob@example.com"},
		{"bob@example.com", "shared", "bob@example.com"},
		{"", "shared", ""},
		{"eve@example.com", "eve", ""},
		{"", "", ""},
	} {
		found, err := db.Pusher(ctx, org.ID, c.email, c.login)
		if found.Email != c.want || (c.want == "") != errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q, %q: %q, %v, want %q", c.email, c.login, found.Email, err, c.want)
		}
	}
}
