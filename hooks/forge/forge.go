// Package forge reads the push webhooks that git forges send, and speaks to
// their APIs.
//
// It owns what is particular to each forge (GitHub, GitLab, Gitea and Forgejo,
// Gogs, Bitbucket Cloud and Data Center) and a signed form of our own for plain
// git servers and CI: where the signature of a webhook is and what it covers,
// which header names the event and the delivery, how the body names the
// repository and the refs that moved; and how a Client lists an organisation's
// repositories, sets the status of a commit and makes a webhook.
//
// Promises about webhooks: Verify authenticates the bytes as they were sent, in
// constant time and before any of their JSON is read; Parse never panics, takes
// time and memory linear in the body, and names the header or field that it
// refuses. Neither does I/O. A Delivery holds no secret. Everything in it is a
// hint when and what to fetch, never the truth about a repository: a replayed
// or invented delivery costs one fetch.
//
// Promises about calls: the token goes to the account's server alone, in a
// header, and into no URL, error or log; no call outlives its time, no answer
// its size; a forge that asks for a pause, or fails again and again, is left
// alone. A call may be repeated: what it asks for is a state, not a step.
//
// The formats are the forges' own: docs/webhooks.md and docs/forges.md list them.
package forge

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// MaxBody is the largest body in bytes that is read: the cap that GitHub and
// GitLab put on what they send.
const MaxBody = 25 << 20

// MaxUpdates is the largest number of ref updates that one delivery may name.
const MaxUpdates = 10_000

// Tolerance is how far the timestamp of a signature may lie from the clock of
// the receiver, either way (Standard Webhooks, "verifying signatures").
const Tolerance = 5 * time.Minute

// Name selects a webhook format, as in the path /hooks/{name}/{org}.
type Name string

// The formats. Forgejo is read as Gitea; Bitbucket stands for Cloud and Data
// Center, which are told apart by the event key.
const (
	GitHub    Name = "github"
	GitLab    Name = "gitlab"
	Gitea     Name = "gitea"
	Gogs      Name = "gogs"
	Bitbucket Name = "bitbucket"
	Generic   Name = "generic"
)

// Names returns every format in a fixed order.
func Names() []Name {
	return []Name{GitHub, GitLab, Gitea, Gogs, Bitbucket, Generic}
}

// Kind says what is to be done about a delivery.
type Kind string

// Push asks for a fetch. Ping proves that the webhook is connected. Other is
// accepted and ignored, for the delivery's Reason.
const (
	Push  Kind = "push"
	Ping  Kind = "ping"
	Other Kind = "other"
)

// Delivery is what one webhook request says. Strings are valid UTF-8 without
// control characters.
type Delivery struct {
	Forge Name
	// Event is the event's name as the forge sent it.
	Event string
	Kind  Kind
	// Reason says why a delivery of kind Other is ignored.
	Reason string
	// ID identifies the delivery within its forge; a redelivery has the same.
	// Where the forge sends none it is "sha256:" and the hex SHA-256 of forge,
	// newline, signed timestamp if any, newline, body.
	ID string
	// CloneURLs are all forms of the repository's address that the forge gave,
	// https, ssh and html, without passwords, queries or fragments; at most 16.
	// Compare them by NormalizeURL.
	CloneURLs []string
	// FullName is the owner's path and the repository's name ("acme/payments");
	// for Bitbucket Data Center project key and slug. The generic form may give
	// a bare name. Empty if the delivery gave an address alone.
	FullName string
	// Updates are the refs that moved; empty where the forge does not tell, so
	// that anything may have moved.
	Updates []Update
	// SentAt is the time of sending or of the push as the forge claims it, in
	// UTC; zero where it claims none.
	SentAt time.Time
}

// Update is one moved ref: its full name and its object ids in lower-case hex.
// The null id stands for a ref that is not there; an empty id is one that the
// forge did not tell.
type Update struct {
	Ref string
	Old string
	New string
}

// Secret is a shared secret of an organisation's webhook, or a token. It prints
// as "[secret]".
type Secret string

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret, so that no JSON log can hold one.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Why a delivery is refused.
var (
	// ErrForge marks a name that is no format.
	ErrForge = errors.New("unknown forge")
	// ErrTooLarge marks a body above MaxBody.
	ErrTooLarge = errors.New("webhook body is too large")
	// ErrUnsigned marks a delivery without signature or token.
	ErrUnsigned = errors.New("webhook is not signed")
	// ErrNoSecret marks a delivery for which no fitting secret is set up.
	ErrNoSecret = errors.New("no webhook secret is set up")
	// ErrBadSignature marks a signature that no secret makes.
	ErrBadSignature = errors.New("webhook signature does not match")
	// ErrStale marks a good signature whose timestamp is beyond Tolerance.
	ErrStale = errors.New("webhook timestamp is out of tolerance")
	// ErrHeader marks a header that is missing, doubled, contradicted or
	// malformed; the error is a *FieldError.
	ErrHeader = errors.New("webhook header")
	// ErrBody marks a body that is not what the forge documents; the error is
	// a *FieldError.
	ErrBody = errors.New("webhook body")
)

// FieldError names the header or the body's field that was refused.
type FieldError struct {
	// Err is ErrHeader or ErrBody.
	Err error
	// Field is a header's name, a path such as "changes[2].refId", or "body".
	Field string
	// Problem says what is wrong without quoting the value.
	Problem string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%v: %s: %s", e.Err, e.Field, e.Problem)
}

// Unwrap returns ErrHeader or ErrBody.
func (e *FieldError) Unwrap() error { return e.Err }

func headerError(name, problem string) error {
	return &FieldError{Err: ErrHeader, Field: name, Problem: problem}
}

func bodyError(field, problem string) error {
	return &FieldError{Err: ErrBody, Field: field, Problem: problem}
}

// format is what each forge's file implements.
type format interface {
	verify(r request, secrets []Secret, now time.Time) error
	parse(r request) (Delivery, error)
}

func formatOf(f Name) (format, error) {
	switch f {
	case GitHub:
		return github{}, nil
	case GitLab:
		return gitlab{}, nil
	case Gitea:
		return gitea{}, nil
	case Gogs:
		return gogs{}, nil
	case Bitbucket:
		return bitbucket{}, nil
	case Generic:
		return generic{}, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrForge, cleanText(string(f), maxEvent))
}

// Verify reports whether the delivery was sent by somebody who knows one of
// the secrets. h is canonical, as net/http reads it; body is as sent. Several
// secrets let one be replaced without a gap; an empty secret is no secret. All
// of them are tried whichever matches. now is the clock for signatures that
// cover a timestamp.
//
// Errors: ErrForge, ErrTooLarge, ErrHeader, ErrUnsigned, ErrNoSecret,
// ErrBadSignature, ErrStale; ErrBody where the signature covers a form's
// payload that cannot be read.
func Verify(f Name, h http.Header, body []byte, secrets []Secret, now time.Time) error {
	impl, r, err := open(f, h, body)
	if err != nil {
		return err
	}
	return impl.verify(r, secrets, now)
}

// Parse reads a delivery that Verify has passed. It keeps nothing of h and
// body. Errors: ErrForge, ErrTooLarge, and a *FieldError of ErrHeader or
// ErrBody.
func Parse(f Name, h http.Header, body []byte) (Delivery, error) {
	impl, r, err := open(f, h, body)
	if err != nil {
		return Delivery{}, err
	}
	d, err := impl.parse(r)
	if err != nil {
		return Delivery{}, err
	}
	d.Forge = f
	return d, nil
}

func open(f Name, h http.Header, body []byte) (format, request, error) {
	impl, err := formatOf(f)
	if err != nil {
		return nil, request{}, err
	}
	if len(body) > MaxBody {
		return nil, request{}, ErrTooLarge
	}
	return impl, request{forge: f, header: h, body: body}, nil
}
