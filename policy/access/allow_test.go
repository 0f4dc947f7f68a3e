package access

import (
	"slices"
	"testing"

	"github.com/google/uuid"
)

var (
	here, elsewhere = uuid.MustParse("00000000-0000-4000-8000-000000000001"), uuid.MustParse("00000000-0000-4000-8000-000000000002")
	ada, bob        = uuid.MustParse("00000000-0000-4000-8000-00000000000a"), uuid.MustParse("00000000-0000-4000-8000-00000000000b")
	backend, web    = uuid.MustParse("00000000-0000-4000-8000-0000000000b0"), uuid.MustParse("00000000-0000-4000-8000-0000000000b1")
)

// signedIn is Ada in a session, who administers the team backend.
func signedIn(role Role) Principal {
	return Principal{Org: here, UserID: ada, Role: role, Scopes: role.Scopes(), Teams: []uuid.UUID{backend}, Session: uuid.New()}
}

func withKey(scopes ...Scope) Principal { return Principal{Org: here, UserID: ada, Scopes: scopes} }

// principals are by what they are.
var principals = map[string]Principal{
	"nobody": {}, "admin": signedIn(RoleAdmin), "member": signedIn(RoleMember), "viewer": signedIn(RoleViewer),
	"cli": CLI(here), "daemon": Daemon(here), "admin key": withKey(Admin), "write key": withKey(Write), "read key": withKey(Read),
	"ingest key": withKey(Ingest), "hook key": withKey(Hook), "empty key": withKey(),
}

// TestEveryActionIsAllowedToThese is the whole table, once more by hand.
func TestEveryActionIsAllowedToThese(t *testing.T) {
	t.Parallel()
	all := []string{"admin", "admin key", "cli", "daemon"}
	with := func(more ...string) []string { return append(slices.Clone(all), more...) }
	keys := with("empty key", "hook key", "ingest key", "read key", "write key", "member", "viewer")
	for _, c := range []struct {
		action Action
		on     Resource
		may    []string
	}{
		{Public, Resource{}, append(keys, "nobody")},
		{ToKnowOneself, Resource{}, slices.DeleteFunc(slices.Clone(keys), func(s string) bool { return s == "empty key" })},
		{ToRead, Resource{}, with("read key", "write key", "member", "viewer")},
		{ToWrite, Resource{}, with("write key", "member")},
		{ToIngest, Resource{}, with("ingest key", "member")},
		{ToReadNotes, Resource{}, with("ingest key", "read key", "write key", "member", "viewer")},
		{ToHook, Resource{}, with("hook key")},
		{ToAdminister, Resource{}, all},
		{ToManageTeam, Resource{}, all},
		{ToManageTeam, Resource{Team: backend}, with("member", "viewer")},
		{ToManageTeam, Resource{Team: web}, all},
		{ToManageKeys, Resource{}, all},
		{ToManageKeys, Resource{Owner: ada}, with("member", "viewer")},
		{ToManageKeys, Resource{Owner: bob}, all},
		{ToUseAccount, Resource{}, []string{"admin", "member", "viewer"}},
		{ToRead, Resource{Org: here}, with("read key", "write key", "member", "viewer")},
		{"something else", Resource{}, nil},
	} {
		for name, p := range principals {
			if got, want := Allow(p, c.action, c.on), slices.Contains(c.may, name); got != want {
				t.Errorf("%s, %s on %+v: allowed %v, want %v", name, c.action, c.on, got, want)
			}
		}
	}
}

func TestNothingOfAnotherOrganisationIsAllowed(t *testing.T) {
	t.Parallel()
	for name, p := range principals {
		for _, action := range Actions() {
			if action != Public && Allow(p, action, Resource{Org: elsewhere, Owner: ada, Team: backend}) {
				t.Errorf("%s may %s elsewhere", name, action)
			}
		}
	}
}

func TestPossibleIsAllowedWithSomething(t *testing.T) {
	t.Parallel()
	for name, p := range principals {
		for _, action := range Actions() {
			want := Allow(p, action, Resource{}) || Allow(p, action, Resource{Owner: p.UserID}) || Allow(p, action, Resource{Team: backend})
			if got := Possible(p, action); got != want {
				t.Errorf("%s, %s: possible %v, want %v", name, action, got, want)
			}
		}
	}
	if alone := signedIn(RoleMember); Possible(Principal{Org: here, UserID: ada, Session: alone.Session}, ToManageTeam) {
		t.Error("somebody who administers no team may manage one")
	}
}

func TestAKeyMayNoMoreThanItsPerson(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role       Role
		have, want []Scope
	}{
		{RoleAdmin, []Scope{Admin}, Scopes},
		{RoleAdmin, []Scope{Hook}, []Scope{Hook}},
		{RoleMember, []Scope{Admin}, []Scope{Ingest, Read, Write}},
		{RoleMember, []Scope{Hook}, nil},
		{RoleMember, []Scope{Ingest}, []Scope{Ingest}},
		{RoleViewer, []Scope{Write, Ingest}, []Scope{Read}},
		{"", []Scope{Admin}, nil},
	} {
		if got := c.role.Limit(c.have); !slices.Equal(got, c.want) {
			t.Errorf("%q.Limit(%v) = %v, want %v", c.role, c.have, got, c.want)
		}
	}
}

func TestParseRoleNamesTheUnknownOne(t *testing.T) {
	t.Parallel()
	if role, err := ParseRole("viewer"); role != RoleViewer || err != nil {
		t.Errorf("%q, %v", role, err)
	}
	if _, err := ParseRole("root"); err == nil {
		t.Error("root is a role")
	}
}
