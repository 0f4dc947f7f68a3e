package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// errNoName: nothing says what the repository is called.
var errNoName = errors.New("the repository has no remote to know its name at the server by: give it with --repo, " +
	"or as repo in the configuration")

// repoListed is a repository as the API lists it, as far as it is used here.
type repoListed struct {
	Name   string `json:"name"`
	Status struct {
		Tips []struct {
			Ref string     `json:"ref"`
			Tip gitcmd.OID `json:"tip"`
		} `json:"tips"`
	} `json:"status"`
}

// located is what the server says of a repository.
type located struct {
	name string
	// known says that it is there, and hidden that the key may not know.
	known, hidden bool
	// tips are what the server has read of each notes ref.
	tips map[string]gitcmd.OID
}

// locate asks for a repository: the one that is named, else the one with a
// remote at the address, else the one with the usual name.
func (c *client) locate(ctx context.Context, named, address, usual string) (located, error) {
	at := located{name: cmp.Or(named, usual)}
	var listed []repoListed
	err := error(nil)
	if named == "" {
		listed, err = c.reposByURL(ctx, address)
		if statusOf(err) == http.StatusBadRequest {
			// An older server cannot look for addresses.
			err = nil
		}
	}
	if err == nil && len(listed) == 0 {
		var one repoListed
		_, err = c.get(ctx, &one, nil, "api", "v1", "repos", at.name)
		listed = []repoListed{one}
	}
	switch status := statusOf(err); {
	case status == http.StatusForbidden:
		at.hidden = true
		return at, nil
	case status == http.StatusNotFound:
		return at, nil
	case err != nil:
		return at, err
	}
	at.name, at.known, at.tips = listed[0].Name, true, map[string]gitcmd.OID{}
	for _, tip := range listed[0].Status.Tips {
		at.tips[tip.Ref] = tip.Tip
	}
	return at, nil
}

// reposByURL finds the repositories whose remote is at an address.
func (c *client) reposByURL(ctx context.Context, address string) ([]repoListed, error) {
	var page struct {
		Items []repoListed `json:"items"`
	}
	_, err := c.get(ctx, &page, url.Values{"url": {withoutUser(address)}}, "api", "v1", "repos")
	return page.Items, err
}

// naming is the search for a repository's name, which goes on while other work
// is done.
type naming struct {
	given string
	found chan string
}

// nameRepo begins to look for what the server calls the repository with the
// address. What was given needs no search.
func (c *client) nameRepo(ctx context.Context, given, address string) naming {
	n := naming{given: given, found: make(chan string, 1)}
	if given != "" || address == "" {
		return n
	}
	go func() {
		// A key that may not list leaves the usual name.
		name := repoOf(address)
		if repos, err := c.reposByURL(ctx, address); err == nil && len(repos) > 0 {
			name = repos[0].Name
		}
		n.found <- name
	}()
	return n
}

// name waits for the name.
func (n naming) name(address string) (string, error) {
	if n.given != "" {
		return n.given, nil
	}
	if address == "" {
		return "", errNoName
	}
	return <-n.found, nil
}
