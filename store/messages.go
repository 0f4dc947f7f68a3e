package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// MessageState is where a message stands.
type MessageState string

// The states of a message: waiting to be sent or sent again, taken by its
// endpoint, or given up.
const (
	MessageWaiting MessageState = "waiting"
	MessageSent    MessageState = "sent"
	MessageFailed  MessageState = "failed"
)

// Message is what one endpoint is sent of one thing that happened.
type Message struct {
	ID         uuid.UUID
	EndpointID uuid.UUID
	// Endpoint is the endpoint's name.
	Endpoint string
	Type     MessageType
	At       time.Time
	RepoID   *uuid.UUID
	Data     json.RawMessage
	State    MessageState
	// NextAt is when a waiting one is tried next.
	NextAt   time.Time
	Attempts []Attempt `db:"-"`
}

// Body is what is sent: the payload of Standard Webhooks. It is the same at every
// attempt.
func (m *Message) Body() ([]byte, error) {
	body, err := json.Marshal(struct {
		Type      MessageType     `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{m.Type, m.At.UTC(), m.Data})
	if err != nil {
		return nil, fmt.Errorf("encoding message %s: %w", m.ID, err)
	}
	return body, nil
}

// Attempt is one try to send a message.
type Attempt struct {
	Number int
	At     time.Time
	TookMS int
	// Status is that of the answer, 0 if there was none, and Error says why the
	// attempt failed, empty if it did not.
	Status int
	Error  string
	// Answer is the beginning of the answer: text of a stranger.
	Answer string
}

const messageColumns = `m.id, m.endpoint_id, e.name AS endpoint, m.type, m.at, m.repo_id, m.data, m.state, m.next_at`

// MessageFilter selects messages; zero values select everything.
type MessageFilter struct {
	Endpoint uuid.UUID
	State    MessageState
	Type     MessageType
}

// shownAttempts is how many attempts of a message are listed, the newest.
const shownAttempts = 20

// Messages lists up to limit messages with their attempts, newest first, after
// the one with the id after (the nil UUID: from the newest).
func (db *DB) Messages(ctx context.Context, org uuid.UUID, f MessageFilter, after uuid.UUID, limit int) ([]Message, error) {
	var rows []Message
	err := db.snapshot(ctx, func(q querier) (err error) {
		rows, err = messages(ctx, q, org, f, after, limit)
		return err
	})
	return rows, err
}

func messages(ctx context.Context, q querier, org uuid.UUID, f MessageFilter, after uuid.UUID, limit int) ([]Message, error) {
	c := &conditions{}
	c.add("m.org_id = ? AND e.removed_at IS NULL", org)
	if f.Endpoint != uuid.Nil {
		c.add("m.endpoint_id = ?", f.Endpoint)
	}
	if f.State != "" {
		c.add("m.state = ?", f.State)
	}
	if f.Type != "" {
		c.add("m.type = ?", f.Type)
	}
	if after != uuid.Nil {
		c.add("m.id < ?", after)
	}
	rows, err := collect[Message](ctx, q, "listing messages", `SELECT `+messageColumns+`
		FROM messages m JOIN endpoints e ON e.org_id = m.org_id AND e.id = m.endpoint_id
		WHERE `+c.where()+` ORDER BY m.id DESC LIMIT `+itoa(limit), c.args...)
	if err != nil {
		return nil, err
	}
	return rows, addAttempts(ctx, q, org, rows)
}

// addAttempts reads the attempts of messages, the newest first.
func addAttempts(ctx context.Context, q querier, org uuid.UUID, rows []Message) error {
	ids, at := make([]uuid.UUID, len(rows)), make(map[uuid.UUID]*Message, len(rows))
	for i := range rows {
		ids[i], at[rows[i].ID] = rows[i].ID, &rows[i]
	}
	all, err := collect[struct {
		MessageID uuid.UUID
		Attempt
	}](ctx, q, "listing attempts", `
		SELECT a.* FROM unnest($2::uuid[]) AS wanted (id), LATERAL (
			SELECT message_id, number, at, took_ms, status, error, answer FROM message_attempts
			WHERE org_id = $1 AND message_id = wanted.id ORDER BY number DESC LIMIT $3) a`, org, ids, shownAttempts)
	for _, a := range all {
		m := at[a.MessageID]
		m.Attempts = append(m.Attempts, a.Attempt)
	}
	return err
}

var errEndpointOff = &InvalidError{"endpoint", "is switched off: switch it on first"}

// lockEnabled is lockEndpoint of one that is switched on.
func (tx *Tx) lockEnabled(ctx context.Context, org, id uuid.UUID) (Endpoint, error) {
	row, err := tx.lockEndpoint(ctx, org, id)
	if err == nil && row.DisabledAt != nil {
		err = errEndpointOff
	}
	return row, err
}

// PingEndpoint has a message of no meaning sent to an endpoint, and returns it.
func (db *DB) PingEndpoint(ctx context.Context, by access.Principal, id uuid.UUID) (m Message, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		row, err := tx.lockEnabled(ctx, by.Org, id)
		if err != nil {
			return err
		}
		data, err := json.Marshal(ToldPinged{Endpoint: id, URL: tx.page("/settings/endpoints/" + id.String()), Name: row.Name, By: actor(by)})
		if err != nil {
			return fmt.Errorf("encoding a ping: %w", err)
		}
		m, err = collectOne[Message](ctx, tx, "writing a ping", `
			WITH m AS (INSERT INTO messages (org_id, id, endpoint_id, type, at, data) VALUES ($1, $2, $3, $4, now(), $5) RETURNING *)
			SELECT `+messageColumns+` FROM m JOIN endpoints e ON e.org_id = m.org_id AND e.id = m.endpoint_id`,
			by.Org, newID(), id, ToldPing, data)
		if err != nil {
			return err
		}
		return tx.demand(ctx, by, "endpoint.ping", &row, m.ID)
	})
	return m, err
}

// ResendMessage has a message sent once more, under its id: whoever took it
// already knows it by that. One that waits is tried now.
func (db *DB) ResendMessage(ctx context.Context, by access.Principal, id uuid.UUID) (m Message, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		known, err := collectOne[struct{ EndpointID uuid.UUID }](ctx, tx, "finding message "+id.String(), `
			SELECT endpoint_id FROM messages WHERE org_id = $1 AND id = $2`, by.Org, id)
		if err != nil {
			return err
		}
		row, err := tx.lockEnabled(ctx, by.Org, known.EndpointID)
		if err != nil {
			return err
		}
		m, err = collectOne[Message](ctx, tx, "sending message "+id.String()+" again", `
			WITH m AS (UPDATE messages SET state = 'waiting', tries = 0, next_at = now() WHERE org_id = $1 AND id = $2 RETURNING *)
			SELECT `+messageColumns+` FROM m JOIN endpoints e ON e.org_id = m.org_id AND e.id = m.endpoint_id`, by.Org, id)
		if err != nil {
			return err
		}
		list := []Message{m}
		if err := addAttempts(ctx, tx, by.Org, list); err != nil {
			return err
		}
		m = list[0]
		return tx.demand(ctx, by, "endpoint.redeliver", &row, id)
	})
	return m, err
}

// demand records that somebody asked for a message, and has it sent at once: the
// endpoint is not left alone any longer.
func (tx *Tx) demand(ctx context.Context, by access.Principal, act string, row *Endpoint, message uuid.UUID) error {
	if _, err := tx.Exec(ctx, `UPDATE endpoints SET rest_until = '-infinity' WHERE org_id = $1 AND id = $2`, by.Org, row.ID); err != nil {
		return translate(err, "taking up endpoint %s", row.ID)
	}
	if err := tx.Audit(ctx, by, act, row.ID.String(), map[string]any{"name": row.Name, "message": message}); err != nil {
		return err
	}
	return tx.wake(ctx, 1)
}

// ClaimedEndpoint is an endpoint that has messages to be sent, and which the
// claimer alone may send to until the claim ends.
type ClaimedEndpoint struct {
	OrgID, ID    uuid.UUID
	Name, Origin string
	ClaimedUntil time.Time
	// Failures is how many attempts failed in a row.
	Failures int
	// URL is where it is, Secrets what a message is signed with: the present one,
	// and for a day behind a rotation the one before.
	URL     string   `db:"-"`
	Secrets []string `db:"-"`
}

// Two claimers at once take different endpoints; the one that was served longest
// ago comes first. No lock here may keep others from the key of a row.
const sqlClaimEndpoints = `
	WITH due AS (
		SELECT e.org_id, e.id FROM endpoints e
		WHERE e.disabled_at IS NULL AND e.rest_until <= now() AND e.claimed_until <= now()
		  AND EXISTS (SELECT FROM messages m
		              WHERE m.org_id = e.org_id AND m.endpoint_id = e.id AND m.state = 'waiting' AND m.next_at <= now())
		ORDER BY e.claimed_until LIMIT $1 FOR NO KEY UPDATE OF e SKIP LOCKED)
	UPDATE endpoints e SET claimed_until = now() + $2::interval
	FROM due WHERE e.org_id = due.org_id AND e.id = due.id
	RETURNING e.org_id, e.id, e.name, e.origin, e.claimed_until, e.failures, e.url, e.secret,
		CASE WHEN e.previous_until > now() THEN e.previous_secret END AS previous_secret`

// ClaimEndpoints claims endpoints that have messages to be sent now, at most
// limit. One that cannot be opened, because the key file was replaced, fails for
// whoever looks at it, is left alone for a while, and is an error beside the
// others.
func (db *DB) ClaimEndpoints(ctx context.Context, limit int, claim time.Duration) ([]ClaimedEndpoint, []error, error) {
	rows, err := collect[struct {
		ClaimedEndpoint
		Sealed         []byte `db:"url"`
		Secret         []byte
		PreviousSecret []byte
	}](ctx, db.pool, "claiming endpoints", sqlClaimEndpoints, limit, claim)
	if err != nil {
		return nil, nil, err
	}
	var out []ClaimedEndpoint
	var closed []error
	for _, row := range rows {
		e := row.ClaimedEndpoint
		if err := db.openEndpoint(&e, row.Sealed, row.Secret, row.PreviousSecret); err != nil {
			closed = append(closed, errors.Join(fmt.Errorf("endpoint %s: %w", e.ID, err), db.shelveEndpoint(ctx, &e)))
			continue
		}
		out = append(out, e)
	}
	return out, closed, nil
}

// shelvedFor is how long an endpoint is left alone that cannot be opened.
const shelvedFor = 5 * time.Minute

// shelveEndpoint ends the claim of an endpoint that cannot be sent to, and has it
// show.
func (db *DB) shelveEndpoint(ctx context.Context, e *ClaimedEndpoint) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE endpoints SET claimed_until = now(), rest_until = now() + $3::interval, failing_since = coalesce(failing_since, now()),
			failures = failures + 1
		WHERE org_id = $1 AND id = $2`, e.OrgID, e.ID, shelvedFor)
	return translate(err, "leaving endpoint %s alone", e.ID)
}

// openEndpoint opens the URL and the secrets. The one before a rotation may have been
// sealed with a key that is gone; the receiver has the present one then.
func (db *DB) openEndpoint(e *ClaimedEndpoint, url, present, previous []byte) error {
	text, err := db.sealer.Open(url, endpointPurpose("url", e.OrgID, e.ID))
	if err != nil {
		return err
	}
	e.URL = string(text)
	secret, err := db.sealer.Open(present, endpointPurpose("secret", e.OrgID, e.ID))
	if err != nil {
		return err
	}
	e.Secrets = []string{string(secret)}
	if previous == nil {
		return nil
	}
	if secret, err = db.sealer.Open(previous, endpointPurpose("secret", e.OrgID, e.ID)); err == nil {
		e.Secrets = append(e.Secrets, string(secret))
	}
	return nil
}

// ReleaseEndpoint ends a claim, unless another one took its place.
func (db *DB) ReleaseEndpoint(ctx context.Context, e *ClaimedEndpoint) error {
	_, err := db.pool.Exec(ctx, `UPDATE endpoints SET claimed_until = now() WHERE org_id = $1 AND id = $2 AND claimed_until = $3`,
		e.OrgID, e.ID, e.ClaimedUntil)
	return translate(err, "releasing endpoint %s", e.ID)
}

// DueMessage is the message that a claimed endpoint is to be sent next.
type DueMessage struct {
	Message
	// Tries counts the attempts since it was written or asked for.
	Tries int
}

const sqlDueMessage = `
	SELECT m.id, m.endpoint_id, e.name AS endpoint, m.type, m.at, m.repo_id, m.data, m.state, m.next_at, m.tries
	FROM endpoints e JOIN messages m ON m.org_id = e.org_id AND m.endpoint_id = e.id
	WHERE e.org_id = $1 AND e.id = $2 AND e.disabled_at IS NULL AND e.rest_until <= now()
	  AND m.state = 'waiting' AND m.next_at <= now()
	ORDER BY m.next_at, m.id LIMIT 1`

// DueMessage reads the next message of a claimed endpoint; nil if there is none
// now.
func (db *DB) DueMessage(ctx context.Context, e *ClaimedEndpoint) (*DueMessage, error) {
	rows, err := collect[DueMessage](ctx, db.pool, "reading a message", sqlDueMessage, e.OrgID, e.ID)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// AttemptOutcome is what an attempt came to.
type AttemptOutcome struct {
	Attempt
	Sent bool
	// Gone says that the endpoint wants no message any more.
	Gone bool
	// Pause is until the next try; GiveUp makes none. Rest is how long the endpoint
	// is left alone.
	Pause, Rest time.Duration
	GiveUp      bool
}

// RecordAttempt writes an attempt and what follows from it for message and
// endpoint. It reports whether the endpoint was switched off for it. A message
// that was removed meanwhile leaves nothing.
func (db *DB) RecordAttempt(ctx context.Context, e *ClaimedEndpoint, message uuid.UUID, o AttemptOutcome) (off bool, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		// The endpoint first, as all do: it orders those who write at once.
		health, err := tx.recordHealth(ctx, e, &o)
		if err != nil || health == nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`
			UPDATE messages SET attempts = attempts + 1, tries = tries + 1, next_at = now() + $4::interval,
				state = CASE WHEN $3 THEN 'sent' WHEN state = 'waiting' AND $5 THEN 'failed' ELSE state END
			WHERE org_id = $1 AND id = $2`, e.OrgID, message, o.Sent, o.Pause, o.GiveUp)
		batch.Queue(`
			INSERT INTO message_attempts (org_id, message_id, number, at, took_ms, status, error, answer)
			SELECT org_id, id, attempts, $3, $4, $5, $6, $7 FROM messages WHERE org_id = $1 AND id = $2`,
			e.OrgID, message, o.At, o.TookMS, o.Status, clean(o.Error), clean(o.Answer))
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return translate(err, "recording an attempt")
		}
		off = health.on() && (o.Gone || health.Overdue)
		if !off {
			return nil
		}
		return tx.endEndpoint(ctx, e, o.Gone)
	})
	return off, err
}

// endpointHealth is how an endpoint stands behind an attempt.
type endpointHealth struct {
	DisabledAt *time.Time
	Overdue    bool
}

func (h *endpointHealth) on() bool { return h.DisabledAt == nil }

// recordHealth notes whether the endpoint took a message; nil if it is gone.
func (tx *Tx) recordHealth(ctx context.Context, e *ClaimedEndpoint, o *AttemptOutcome) (*endpointHealth, error) {
	rows, err := collect[endpointHealth](ctx, tx, "recording an attempt", `
		UPDATE endpoints SET
			succeeded_at = CASE WHEN $3 THEN now() ELSE succeeded_at END,
			failing_since = CASE WHEN $3 THEN NULL ELSE coalesce(failing_since, now()) END,
			failures = CASE WHEN $3 THEN 0 ELSE failures + 1 END,
			rest_until = CASE WHEN $3 THEN rest_until ELSE now() + $4::interval END
		WHERE org_id = $1 AND id = $2 AND removed_at IS NULL
		RETURNING disabled_at, coalesce(failing_since < now() - $5::interval, false) AS overdue`,
		e.OrgID, e.ID, o.Sent, o.Rest, failingFor)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// endEndpoint switches an endpoint off in the daemon's own name.
func (tx *Tx) endEndpoint(ctx context.Context, e *ClaimedEndpoint, gone bool) error {
	why := DisabledFailing
	if gone {
		why = DisabledGone
	}
	if err := tx.switchEndpoint(ctx, e.OrgID, e.ID, false, why); err != nil {
		return err
	}
	return tx.Audit(ctx, access.Daemon(e.OrgID), "endpoint.disable", e.ID.String(), map[string]any{"name": e.Name, "why": why})
}
