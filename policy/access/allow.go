package access

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Action is something that a principal may ask to do.
type Action string

// The actions. What is behind each is said by the surfaces: every operation of
// the API and every route of the pages names one.
const (
	// Public needs nobody in particular.
	Public Action = "public"
	// ToKnowOneself is open to whoever is authenticated.
	ToKnowOneself Action = "know-oneself"
	// ToRead is seeing what the organisation has, but for keys, secrets and the
	// audit log.
	ToRead Action = "read"
	// ToWrite is demanding fetches and reviewing changes.
	ToWrite Action = "write"
	// ToIngest is bringing receipts and notes, ToReadNotes asking what was brought.
	ToIngest    Action = "ingest"
	ToReadNotes Action = "read-notes"
	// ToHook is having pushes judged.
	ToHook Action = "hook"
	// ToAdminister is everything that changes the organisation, its people and its
	// rules, and reading keys and the audit log.
	ToAdminister Action = "administer"
	// ToManageTeam is naming a team and changing who is in it: Resource.Team.
	ToManageTeam Action = "manage-team"
	// ToManageKeys is listing, making and revoking API keys and SSH keys of a
	// person: Resource.Owner.
	ToManageKeys Action = "manage-keys"
	// ToUseAccount is a person's business with their own password and sessions,
	// which no key has.
	ToUseAccount Action = "use-account"
)

// rule is who may do something; one of its ways suffices.
type rule struct {
	anyone bool
	// scopes of which one suffices, for a key and for a person by their role.
	scopes []Scope
	// owner is the person whose the resource is, and teamAdmin an admin of the team
	// that it is; both only signed in. signedIn is every person in a session.
	owner, teamAdmin, signedIn bool
}

var rules = map[Action]rule{
	Public:        {anyone: true},
	ToKnowOneself: {scopes: Scopes},
	ToRead:        {scopes: []Scope{Read}},
	ToWrite:       {scopes: []Scope{Write}},
	ToIngest:      {scopes: []Scope{Ingest}},
	ToReadNotes:   {scopes: []Scope{Read, Ingest}},
	ToHook:        {scopes: []Scope{Hook}},
	ToAdminister:  {scopes: []Scope{Admin}},
	ToManageTeam:  {scopes: []Scope{Admin}, teamAdmin: true},
	ToManageKeys:  {scopes: []Scope{Admin}, owner: true},
	ToUseAccount:  {signedIn: true},
}

// Actions are all actions.
func Actions() []Action {
	var all []Action
	for action := range rules {
		all = append(all, action)
	}
	slices.Sort(all)
	return all
}

// Resource is what an action is on. Its zero value is the principal's
// organisation as a whole.
type Resource struct {
	// Org is whose it is; the nil UUID stands for the principal's own.
	Org uuid.UUID
	// Owner is the person whose it is; the nil UUID for nobody's.
	Owner uuid.UUID
	// Team is the team that it is.
	Team uuid.UUID
}

// Allow decides whether a principal may do something with a resource. There is
// no other place that does; an action that it does not know is allowed to nobody.
func Allow(p Principal, a Action, on Resource) bool {
	r, ok := rules[a]
	switch {
	case !ok:
		return false
	case r.anyone:
		return true
	case p.Org == uuid.Nil, on.Org != uuid.Nil && on.Org != p.Org:
		return false
	case slices.ContainsFunc(r.scopes, p.Has):
		return true
	case !p.SignedIn():
		return false
	}
	return r.signedIn ||
		r.owner && on.Owner != uuid.Nil && on.Owner == p.UserID ||
		r.teamAdmin && on.Team != uuid.Nil && slices.Contains(p.Teams, on.Team)
}

// Possible reports whether there may be a resource with which the principal
// may do something: what can be said before it is known which one is meant.
func Possible(p Principal, a Action) bool {
	if Allow(p, a, Resource{Owner: p.UserID}) {
		return true
	}
	return slices.ContainsFunc(p.Teams, func(team uuid.UUID) bool { return Allow(p, a, Resource{Team: team}) })
}

// Need says in words who may do something: scopes, "public", "any", and beside
// them whom their own things make one.
func (a Action) Need() string {
	r := rules[a]
	switch {
	case r.anyone:
		return "public"
	case r.signedIn:
		return "person"
	case slices.Equal(r.scopes, Scopes):
		return "any"
	}
	var ways []string
	for _, scope := range r.scopes {
		ways = append(ways, string(scope))
	}
	if r.owner {
		ways = append(ways, "owner")
	}
	if r.teamAdmin {
		ways = append(ways, "team admin")
	}
	return strings.Join(ways, " or ")
}
