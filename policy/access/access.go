// Package access says who acts and what they may do. It owns the principals,
// roles and scopes of the program and decides every permission in one place,
// Allow, by one table. It does no I/O: callers authenticate, this package
// authorises.
package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Scope is a permission that an API key carries.
type Scope string

// Admin includes every other scope; Write includes Read; Ingest and Hook stand
// alone, so that a key on a laptop can add receipts, and one on a git server
// have pushes judged, and see nothing.
const (
	Ingest Scope = "ingest"
	Hook   Scope = "hook"
	Read   Scope = "read"
	Write  Scope = "write"
	Admin  Scope = "admin"
)

// Scopes are all scopes in the order in which they are shown.
var Scopes = []Scope{Ingest, Hook, Read, Write, Admin}

// ParseScopes reads scope names. The error names the unknown one and lists
// those that exist.
func ParseScopes(names []string) ([]Scope, error) {
	scopes := make([]Scope, 0, len(names))
	for _, name := range names {
		scope := Scope(strings.TrimSpace(name))
		if !slices.Contains(Scopes, scope) {
			return nil, fmt.Errorf("scope %q is unknown: use one or more of ingest, hook, read, write, admin", name)
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("no scope given: use one or more of ingest, hook, read, write, admin")
	}
	return scopes, nil
}

// Principal is somebody who was authenticated, always within one organisation.
type Principal struct {
	Org uuid.UUID
	// Name identifies the principal in the audit log: "key:<id>", "user:<address>",
	// "cli", "daemon".
	Name   string
	Scopes []Scope
	// User is the e-mail address of the person who acts, in lower case; empty for
	// machines and for the command line. UserID and Role are that person's.
	User   string
	UserID uuid.UUID
	Role   Role
	// Teams are those that the person administers.
	Teams []uuid.UUID
	// Session is the session in which a person is signed in; the nil UUID for keys.
	Session uuid.UUID
	// RequestID ties what was done to the request that asked for it.
	RequestID string
}

// Daemon is the program itself acting within an organisation.
func Daemon(org uuid.UUID) Principal {
	return Principal{Org: org, Name: "daemon", Scopes: []Scope{Admin}}
}

// CLI is a person with access to the data directory of the daemon.
func CLI(org uuid.UUID) Principal {
	return Principal{Org: org, Name: "cli", Scopes: []Scope{Admin}}
}

// SignedIn reports whether the principal is a person in a session, and not a
// key, which may be in anybody's hands.
func (p Principal) SignedIn() bool { return p.Session != uuid.Nil }

// Has reports whether the principal's scopes include one.
func (p Principal) Has(need Scope) bool { return includes(p.Scopes, need) }

func includes(scopes []Scope, need Scope) bool {
	for _, have := range scopes {
		if have == Admin || have == need || (have == Write && need == Read) {
			return true
		}
	}
	return false
}

// Permission is what a grant lets a user do with a repository through the
// gateway. Writing includes reading.
type Permission string

// The permissions.
const (
	ReadRepo  Permission = "read"
	WriteRepo Permission = "write"
)

// Grants add up to what somebody may do with one repository.
type Grants struct {
	Read, Write bool
	// Override is the right to go ahead with a push that policies refuse.
	Override bool
}
