package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

const (
	// maxEndpoints bounds those of an organisation: each is one more message of
	// every decision.
	maxEndpoints = 50
	// maxEndpointRepos bounds the repositories that an endpoint is limited to.
	maxEndpointRepos = 1000
	maxEndpointName  = 200
	// previousSecret is for how long the secret before a rotation signs too.
	previousSecret = 24 * time.Hour
	// failingFor is for how long an endpoint may take no message.
	failingFor = 3 * 24 * time.Hour
)

// DisabledBy says why an endpoint is switched off.
type DisabledBy string

// DisabledAsked: somebody did it. DisabledGone: it answered 410. DisabledFailing:
// it took nothing for three days.
const (
	DisabledAsked   DisabledBy = "asked"
	DisabledGone    DisabledBy = "gone"
	DisabledFailing DisabledBy = "failing"
)

// Endpoint is a URL that is told of what happens in an organisation. Of the URL,
// which may hold a secret, it has scheme and host.
type Endpoint struct {
	ID     uuid.UUID
	Name   string
	Origin string
	// Types and Repos limit what it is told of; empty ones do not.
	Types     []MessageType
	Repos     []uuid.UUID
	CreatedBy string
	CreatedAt time.Time
	// DisabledAt is when it was switched off, Disabled by what.
	DisabledAt *time.Time
	Disabled   DisabledBy
	// SucceededAt is when it took a message last; FailingSince, unless nil, since
	// when it has taken none, and Failures how many attempts failed in a row.
	SucceededAt  *time.Time
	FailingSince *time.Time
	Failures     int
	// PreviousUntil is until when the secret before the present one signs too.
	PreviousUntil *time.Time
	// Waiting and Failed count its messages.
	Waiting int
	Failed  int
}

const endpointColumns = `e.id, e.name, e.origin, e.types, e.repos, e.created_by, e.created_at, e.disabled_at, e.disabled, e.succeeded_at,
	e.failing_since, e.failures, CASE WHEN e.previous_until > now() THEN e.previous_until END AS previous_until,
	(SELECT count(*) FROM messages m WHERE m.org_id = e.org_id AND m.endpoint_id = e.id AND m.state = 'waiting') AS waiting,
	(SELECT count(*) FROM messages m WHERE m.org_id = e.org_id AND m.endpoint_id = e.id AND m.state = 'failed') AS failed`

// Endpoints lists those of an organisation by name.
func (db *DB) Endpoints(ctx context.Context, org uuid.UUID) ([]Endpoint, error) {
	return collect[Endpoint](ctx, db.pool, "listing endpoints", `
		SELECT `+endpointColumns+` FROM endpoints e WHERE e.org_id = $1 AND e.removed_at IS NULL ORDER BY lower(e.name), e.id`, org)
}

// Endpoint reads one.
func (db *DB) Endpoint(ctx context.Context, org, id uuid.UUID) (Endpoint, error) {
	return readEndpoint(ctx, db.pool, org, id)
}

func readEndpoint(ctx context.Context, q querier, org, id uuid.UUID) (Endpoint, error) {
	return collectOne[Endpoint](ctx, q, "reading endpoint "+id.String(), `
		SELECT `+endpointColumns+` FROM endpoints e WHERE e.org_id = $1 AND e.id = $2 AND e.removed_at IS NULL`, org, id)
}

// FailingEndpoints lists up to limit endpoints that somebody should look at:
// those that take nothing, and those that were switched off for it.
func (db *DB) FailingEndpoints(ctx context.Context, org uuid.UUID, limit int) ([]Endpoint, error) {
	return collect[Endpoint](ctx, db.pool, "listing failing endpoints", `
		SELECT `+endpointColumns+` FROM endpoints e
		WHERE e.org_id = $1 AND e.removed_at IS NULL AND (e.disabled_at IS NULL AND e.failing_since IS NOT NULL OR e.disabled IN ('gone', 'failing'))
		ORDER BY e.failing_since, e.id LIMIT $2`, org, limit)
}

// EndpointURL is where an endpoint is. Origin is its part that may be shown.
type EndpointURL struct{ URL, Origin string }

// EndpointChange says what is to be set; nil leaves as it is.
type EndpointChange struct {
	Name  *string
	URL   *EndpointURL
	Types *[]MessageType
	Repos *[]uuid.UUID
	// Enabled switches on or off.
	Enabled *bool
}

// tidy checks what people chose, and brings it into a fixed order.
func (c *EndpointChange) tidy() error {
	if c.Name != nil {
		if err := checkText("name", c.Name, false); err != nil {
			return err
		}
		if *c.Name == "" || utf8.RuneCountInString(*c.Name) > maxEndpointName {
			return &InvalidError{"name", "must have from 1 to " + itoa(maxEndpointName) + " characters"}
		}
	}
	if c.Types != nil {
		types := append([]MessageType{}, *c.Types...)
		slices.Sort(types)
		types = slices.Compact(types)
		for _, t := range types {
			if !slices.Contains(MessageTypes, t) {
				return &InvalidError{"types", fmt.Sprintf("has %q, which no message is of", t)}
			}
		}
		c.Types = &types
	}
	if c.Repos != nil {
		repos := append([]uuid.UUID{}, *c.Repos...)
		slices.SortFunc(repos, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
		repos = slices.Compact(repos)
		if len(repos) > maxEndpointRepos {
			return &InvalidError{"repos", "must be at most " + itoa(maxEndpointRepos) + "; none stands for all"}
		}
		c.Repos = &repos
	}
	return nil
}

// newSigningSecret makes what messages are signed with, in the form of Standard
// Webhooks: 256 random bits.
func newSigningSecret() string {
	var raw [32]byte
	rand.Read(raw[:])
	return "whsec_" + base64.StdEncoding.EncodeToString(raw[:])
}

func endpointPurpose(what string, org, id uuid.UUID) string {
	return "endpoint " + what + ":" + org.String() + ":" + id.String()
}

// sealEndpoint seals the URL or the secret of an endpoint.
func (s Sealer) sealEndpoint(what, text string, org, id uuid.UUID) ([]byte, error) {
	return s.Seal([]byte(text), endpointPurpose(what, org, id))
}

// CreateEndpoint adds an endpoint, and returns it with its secret, which is not
// shown again.
func (db *DB) CreateEndpoint(ctx context.Context, by access.Principal, name string, at EndpointURL, types []MessageType,
	repos []uuid.UUID) (row Endpoint, secret string, err error) {
	in := EndpointChange{Name: &name, URL: &at, Types: &types, Repos: &repos}
	if err := in.tidy(); err != nil {
		return row, "", err
	}
	secret = newSigningSecret()
	err = db.InTx(ctx, func(tx *Tx) error {
		if err := tx.roomForEndpoint(ctx, by.Org); err != nil {
			return err
		}
		if err := tx.checkEndpointRepos(ctx, by.Org, *in.Repos); err != nil {
			return err
		}
		id := newID()
		url, err := tx.sealer.sealEndpoint("url", at.URL, by.Org, id)
		if err != nil {
			return err
		}
		sealed, err := tx.sealer.sealEndpoint("secret", secret, by.Org, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO endpoints (org_id, id, name, origin, url, secret, types, repos, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			by.Org, id, *in.Name, at.Origin, url, sealed, *in.Types, *in.Repos, actor(by))
		if err != nil {
			return translate(err, "adding an endpoint")
		}
		if row, err = readEndpoint(ctx, tx, by.Org, id); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "endpoint.create", id.String(), row.detail())
	})
	return row, secret, err
}

// detail is what the audit log keeps of an endpoint.
func (e *Endpoint) detail() map[string]any {
	return map[string]any{"name": e.Name, "origin": e.Origin, "types": e.Types, "repos": e.Repos, "enabled": e.DisabledAt == nil}
}

// roomForEndpoint makes sure that one more may be added; others that are being
// added wait.
func (tx *Tx) roomForEndpoint(ctx context.Context, org uuid.UUID) error {
	if _, err := tx.Exec(ctx, `SELECT FROM orgs WHERE id = $1 FOR NO KEY UPDATE`, org); err != nil {
		return translate(err, "counting endpoints")
	}
	row, err := collectOne[struct{ N int }](ctx, tx, "counting endpoints", `SELECT count(*) AS n FROM endpoints WHERE org_id = $1 AND removed_at IS NULL`, org)
	if err == nil && row.N >= maxEndpoints {
		err = &InvalidError{"name", "is one too many: an organisation has at most " + itoa(maxEndpoints) + " endpoints"}
	}
	return err
}

func (tx *Tx) checkEndpointRepos(ctx context.Context, org uuid.UUID, repos []uuid.UUID) error {
	if len(repos) == 0 {
		return nil
	}
	row, err := collectOne[struct{ N int }](ctx, tx, "finding repositories", `
		SELECT count(*) AS n FROM repos WHERE org_id = $1 AND id = ANY($2)`, org, repos)
	if err == nil && row.N != len(repos) {
		err = &InvalidError{"repos", "has one that is no repository of the organisation"}
	}
	return err
}

// ChangeEndpoint sets what the change says. Switching off fails what waits to be
// sent; switching on forgets what failed before.
func (db *DB) ChangeEndpoint(ctx context.Context, by access.Principal, id uuid.UUID, in EndpointChange) (row Endpoint, err error) {
	if err := in.tidy(); err != nil {
		return row, err
	}
	err = db.InTx(ctx, func(tx *Tx) error {
		before, err := tx.lockEndpoint(ctx, by.Org, id)
		if err != nil {
			return err
		}
		if err := tx.setEndpoint(ctx, by.Org, id, in); err != nil {
			return err
		}
		if in.Enabled != nil && *in.Enabled == (before.DisabledAt != nil) {
			if err := tx.switchEndpoint(ctx, by.Org, id, *in.Enabled, DisabledAsked); err != nil {
				return err
			}
		}
		if row, err = readEndpoint(ctx, tx, by.Org, id); err != nil {
			return err
		}
		detail := row.detail()
		detail["url_changed"] = in.URL != nil
		return tx.Audit(ctx, by, "endpoint.change", id.String(), detail)
	})
	return row, err
}

func (tx *Tx) setEndpoint(ctx context.Context, org, id uuid.UUID, in EndpointChange) error {
	var origin *string
	var url []byte
	if in.URL != nil {
		var err error
		if url, err = tx.sealer.sealEndpoint("url", in.URL.URL, org, id); err != nil {
			return err
		}
		origin = &in.URL.Origin
	}
	if in.Repos != nil {
		if err := tx.checkEndpointRepos(ctx, org, *in.Repos); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
		UPDATE endpoints SET name = coalesce($3, name), origin = coalesce($4, origin), url = coalesce($5, url),
			types = coalesce($6, types), repos = coalesce($7, repos),
			rest_until = CASE WHEN $5::bytea IS NULL THEN rest_until ELSE '-infinity' END
		WHERE org_id = $1 AND id = $2`, org, id, in.Name, origin, url, in.Types, in.Repos)
	return translate(err, "changing endpoint %s", id)
}

// lockEndpoint keeps others from changing an endpoint.
func (tx *Tx) lockEndpoint(ctx context.Context, org, id uuid.UUID) (Endpoint, error) {
	return collectOne[Endpoint](ctx, tx, "reading endpoint "+id.String(), `
		SELECT `+endpointColumns+` FROM endpoints e WHERE e.org_id = $1 AND e.id = $2 AND e.removed_at IS NULL FOR NO KEY UPDATE OF e`, org, id)
}

// switchEndpoint switches an endpoint on, or off for a reason.
func (tx *Tx) switchEndpoint(ctx context.Context, org, id uuid.UUID, on bool, why DisabledBy) error {
	if on {
		_, err := tx.Exec(ctx, `
			UPDATE endpoints SET disabled_at = NULL, disabled = '', failing_since = NULL, failures = 0, rest_until = '-infinity'
			WHERE org_id = $1 AND id = $2`, org, id)
		return translate(err, "switching on endpoint %s", id)
	}
	_, err := tx.Exec(ctx, `UPDATE endpoints SET disabled_at = now(), disabled = $3 WHERE org_id = $1 AND id = $2`, org, id, why)
	if err != nil {
		return translate(err, "switching off endpoint %s", id)
	}
	_, err = tx.Exec(ctx, `UPDATE messages SET state = 'failed' WHERE org_id = $1 AND endpoint_id = $2 AND state = 'waiting'`, org, id)
	return translate(err, "giving up the messages of endpoint %s", id)
}

// RemoveEndpoint removes an endpoint with all that it was sent. What stays is that
// it was told of things, for reports.
func (db *DB) RemoveEndpoint(ctx context.Context, by access.Principal, id uuid.UUID) error {
	return db.InTx(ctx, func(tx *Tx) error {
		row, err := tx.lockEndpoint(ctx, by.Org, id)
		if err != nil {
			return err
		}
		for _, sql := range []string{`
			UPDATE endpoints SET removed_at = now(), disabled_at = coalesce(disabled_at, now()), disabled = 'asked', url = '', secret = '', previous_secret = NULL
			WHERE org_id = $1 AND id = $2`,
			`DELETE FROM messages WHERE org_id = $1 AND endpoint_id = $2`} {
			if _, err := tx.Exec(ctx, sql, by.Org, id); err != nil {
				return translate(err, "removing endpoint %s", id)
			}
		}
		return tx.Audit(ctx, by, "endpoint.remove", id.String(), row.detail())
	})
}

// RotateEndpoint gives an endpoint another secret and returns it; the one before
// signs too for a day, so that the receiver can change in its own time.
func (db *DB) RotateEndpoint(ctx context.Context, by access.Principal, id uuid.UUID) (row Endpoint, secret string, err error) {
	secret = newSigningSecret()
	err = db.InTx(ctx, func(tx *Tx) error {
		sealed, err := tx.sealer.sealEndpoint("secret", secret, by.Org, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE endpoints SET previous_secret = secret, previous_until = now() + $4::interval, secret = $3
			WHERE org_id = $1 AND id = $2`, by.Org, id, sealed, previousSecret)
		if err != nil {
			return translate(err, "rotating the secret of endpoint %s", id)
		}
		if row, err = readEndpoint(ctx, tx, by.Org, id); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "endpoint.rotate", id.String(), map[string]any{"name": row.Name})
	})
	return row, secret, err
}
