// Package mailmap reads .mailmap files as git does.
//
// It owns the rules of gitmailmap(5) down to git's own reading of odd lines: which
// name and address stand for those that a commit was made with. It does no I/O.
//
// Promises: Lookup answers what "git check-mailmap" does; no text makes it fail;
// time and memory are linear in the text.
package mailmap

import (
	"bytes"
	"strings"
)

// MaxSize is the size in bytes above which a file is worth a finding rather than
// a look.
const MaxSize = 4 << 20

// Map says who stands for whom.
type Map struct {
	// byEmail has the rules of an address in lower case.
	byEmail map[string]*rules
}

// rules are what a map says of one address.
type rules struct {
	// any is for every name, by for those of its keys, in lower case.
	any identity
	by  map[string]identity
}

// identity is a name and an address to put in place; empty ones stay.
type identity struct{ name, email string }

// Parse reads the text of a .mailmap file. Like git it passes over what it does
// not understand, and ends at a NUL.
func Parse(text []byte) *Map {
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	m := &Map{byEmail: map[string]*rules{}}
	for line := range strings.Lines(string(text)) {
		m.line(strings.TrimSuffix(line, "\n"))
	}
	return m
}

func (m *Map) line(line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	name, email, rest, ok := nameAndEmail(line, false)
	if !ok {
		return
	}
	oldName, oldEmail, _, ok := nameAndEmail(rest, true)
	if !ok {
		// "Proper Name <commit@email>": the name of an address.
		oldEmail, email = email, ""
	}
	m.add(identity{name, email}, oldName, oldEmail)
}

// nameAndEmail reads "Name <email>" and returns what is behind it.
func nameAndEmail(text string, emptyEmail bool) (name, email, rest string, ok bool) {
	before, behind, opened := strings.Cut(text, "<")
	email, rest, closed := strings.Cut(behind, ">")
	if !opened || !closed || email == "" && !emptyEmail {
		return "", "", "", false
	}
	return strings.Trim(before, " \t\r\n"), email, rest, true
}

// add adds a rule. A later one of the same names wins, part by part where it is
// for every name.
func (m *Map) add(to identity, oldName, oldEmail string) {
	at := m.byEmail[lower(oldEmail)]
	if at == nil {
		at = &rules{by: map[string]identity{}}
		m.byEmail[lower(oldEmail)] = at
	}
	if oldName != "" {
		at.by[lower(oldName)] = to
		return
	}
	if to.name != "" {
		at.any.name = to.name
	}
	if to.email != "" {
		at.any.email = to.email
	}
}

// Lookup returns the name and the address that stand for those of a commit, which
// are themselves where the map says nothing.
func (m *Map) Lookup(name, email string) (string, string) {
	at := m.byEmail[lower(email)]
	if at == nil {
		return name, email
	}
	to, named := at.by[lower(name)]
	if !named {
		to = at.any
	}
	if to.email != "" {
		email = to.email
	}
	if to.name != "" {
		name = to.name
	}
	return name, email
}

// Addresses returns which address stands for which other, in lower case, by the
// rules that hold whatever the name: those that also ask for a name may be about
// one of several people who share an address.
func (m *Map) Addresses() map[string]string {
	out := map[string]string{}
	for email, at := range m.byEmail {
		if to := lower(at.any.email); to != "" && to != email && email != "" {
			out[email] = to
		}
	}
	return out
}

// lower is lower case as git has it, of ASCII alone and of any bytes.
func lower(s string) string {
	out := []byte(s)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}
