// Package endpoint tells the endpoints of an organisation what happens in it:
// webhooks out, in the form of Standard Webhooks
// (https://www.standardwebhooks.com).
//
// It owns where an endpoint may be (Desk), what is sent and signed how, when it
// is tried again, and what an answer means (Sender). Which messages there are is
// written by package store, in the transaction of what they tell of.
//
// Promises: a message that was committed is sent at least once or shown as
// failed, under one id at every attempt; nothing is sent of what was rolled back;
// an endpoint that hangs or fails holds up no other; nobody is connected to whose
// address the rules refuse, whatever a name resolves to at that moment; no
// redirect is followed; of an answer no more than its beginning is kept; the path
// of an endpoint's URL, which may be a secret, is in no log, list or error.
package endpoint

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Task is the name of the task that sends. It is to be poked by the transaction
// that writes messages.
const Task = "endpoints"

// Rules say where an endpoint may be.
type Rules struct {
	// CheckAddress refuses addresses that must not be connected to; nil allows all.
	CheckAddress func(host string, addr netip.Addr) error
	// AllowHTTP lets messages travel in the clear, for a receiver in one's own
	// network.
	AllowHTTP bool
}

// maxURL bounds the URL of an endpoint.
const maxURL = 2000

func invalidURL(problem string) error { return &store.InvalidError{Field: "url", Problem: problem} }

// Parse reads the URL of an endpoint. What is wrong with it is a
// *store.InvalidError that does not repeat it.
func (r Rules) Parse(raw string) (store.EndpointURL, error) {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return store.EndpointURL{}, invalidURL("must be given")
	case len(raw) > maxURL:
		return store.EndpointURL{}, invalidURL("is too long")
	case err != nil, u.Opaque != "", strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || !unicode.IsPrint(c) }):
		return store.EndpointURL{}, invalidURL("must be a URL such as https://hooks.example.com/blameprompt")
	case u.Scheme != "https" && u.Scheme != "http":
		return store.EndpointURL{}, invalidURL("must begin with https://")
	case u.Scheme == "http" && !r.AllowHTTP:
		return store.EndpointURL{}, invalidURL("must begin with https://: http is for receivers in your own network, where the configuration allows private addresses")
	case u.Hostname() == "":
		return store.EndpointURL{}, invalidURL("must name a host")
	case u.User != nil:
		return store.EndpointURL{}, invalidURL("must have no user name and password: messages are signed instead")
	case u.Fragment != "":
		return store.EndpointURL{}, invalidURL("must have no fragment: it would not be sent")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && r.CheckAddress != nil {
		if err := r.CheckAddress(u.Hostname(), addr); err != nil {
			return store.EndpointURL{}, invalidURL("is refused: " + refusal(err))
		}
	}
	return store.EndpointURL{URL: u.String(), Origin: u.Scheme + "://" + strings.ToLower(u.Host)}, nil
}

// Desk is where endpoints are added and changed.
type Desk struct {
	DB    *store.DB
	Rules Rules
}

// New says what to add. Types and Repos that are empty do not limit.
type New struct {
	Name  string
	URL   string
	Types []store.MessageType
	Repos []uuid.UUID
}

// Create adds an endpoint, and returns it with the secret that it is to check
// signatures with, which is not shown again.
func (d *Desk) Create(ctx context.Context, by access.Principal, in New) (store.Endpoint, string, error) {
	at, err := d.Rules.Parse(in.URL)
	if err != nil {
		return store.Endpoint{}, "", err
	}
	return d.DB.CreateEndpoint(ctx, by, in.Name, at, in.Types, in.Repos)
}

// Change says what is to be set; nil leaves as it is.
type Change struct {
	Name    *string
	URL     *string
	Types   *[]store.MessageType
	Repos   *[]uuid.UUID
	Enabled *bool
}

// Change sets what the change says.
func (d *Desk) Change(ctx context.Context, by access.Principal, id uuid.UUID, in Change) (store.Endpoint, error) {
	change := store.EndpointChange{Name: in.Name, Types: in.Types, Repos: in.Repos, Enabled: in.Enabled}
	if in.URL != nil {
		at, err := d.Rules.Parse(*in.URL)
		if err != nil {
			return store.Endpoint{}, err
		}
		change.URL = &at
	}
	return d.DB.ChangeEndpoint(ctx, by, id, change)
}
