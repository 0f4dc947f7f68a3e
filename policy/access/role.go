package access

import (
	"fmt"
	"slices"
)

// Role is what a person is in an organisation, and in a team.
type Role string

// The roles. An admin may do everything, a member read, review and add
// receipts, a viewer read.
const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleViewer Role = "viewer"
)

// Roles are all roles, the mightiest first.
var Roles = []Role{RoleAdmin, RoleMember, RoleViewer}

// roleScopes are what a role amounts to in scopes.
var roleScopes = map[Role][]Scope{
	RoleAdmin:  {Admin},
	RoleMember: {Ingest, Write},
	RoleViewer: {Read},
}

// ParseRole reads the name of a role.
func ParseRole(name string) (Role, error) {
	if role := Role(name); slices.Contains(Roles, role) {
		return role, nil
	}
	return "", fmt.Errorf("role %q is unknown: use admin, member or viewer", name)
}

// Scopes are what a person of the role may do.
func (r Role) Scopes() []Scope { return slices.Clone(roleScopes[r]) }

// Limit cuts the scopes of a person's key to what the person may do, so that
// no key outlasts the role that it was made in. A scope of which only a part is
// left becomes that part.
func (r Role) Limit(scopes []Scope) []Scope {
	var left []Scope
	for _, scope := range Scopes {
		if includes(scopes, scope) && includes(roleScopes[r], scope) {
			left = append(left, scope)
		}
	}
	return left
}
