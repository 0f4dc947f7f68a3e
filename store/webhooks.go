package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// WebhookSecret is the record of a forge's shared secret, without the secret.
type WebhookSecret struct {
	ID        uuid.UUID
	Forge     string
	CreatedAt time.Time
	RevokedAt *time.Time
}

const webhookSecretColumns = `id, forge, created_at, revoked_at`

// CreateWebhookSecret stores a secret for webhooks of the forge, sealed, and
// returns it. An empty secret is generated: 256 random bits.
func (db *DB) CreateWebhookSecret(ctx context.Context, by access.Principal, forge, secret string) (WebhookSecret, string, error) {
	if secret == "" {
		var raw [32]byte
		rand.Read(raw[:])
		secret = base64.RawURLEncoding.EncodeToString(raw[:])
	}
	id := newID()
	var row WebhookSecret
	err := db.InTx(ctx, func(tx *Tx) error {
		sealed, err := tx.sealer.Seal([]byte(secret), webhookPurpose(by.Org, id))
		if err != nil {
			return err
		}
		row, err = collectOne[WebhookSecret](ctx, tx, "storing a webhook secret", `
			INSERT INTO webhook_secrets (id, org_id, forge, sealed) VALUES ($1, $2, $3, $4)
			RETURNING `+webhookSecretColumns, id, by.Org, forge, sealed)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "webhook_secret.create", id.String(), map[string]any{"forge": forge})
	})
	return row, secret, err
}

func webhookPurpose(org, id uuid.UUID) string { return "webhook:" + org.String() + ":" + id.String() }

// WebhookSecrets lists the records of an organisation, newest first, revoked
// ones included.
func (db *DB) WebhookSecrets(ctx context.Context, org uuid.UUID) ([]WebhookSecret, error) {
	return collect[WebhookSecret](ctx, db.pool, "listing webhook secrets", `
		SELECT `+webhookSecretColumns+` FROM webhook_secrets WHERE org_id = $1 ORDER BY created_at DESC, id DESC`, org)
}

// RevokeWebhookSecret ends a secret at once. Revoking it again changes nothing.
func (db *DB) RevokeWebhookSecret(ctx context.Context, by access.Principal, id uuid.UUID) error {
	return db.InTx(ctx, func(tx *Tx) error {
		row, err := collectOne[WebhookSecret](ctx, tx, "revoking webhook secret "+id.String(), `
			UPDATE webhook_secrets SET revoked_at = coalesce(revoked_at, now())
			WHERE org_id = $1 AND id = $2 RETURNING `+webhookSecretColumns, by.Org, id)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, "webhook_secret.revoke", id.String(), map[string]any{"forge": row.Forge})
	})
}

// OpenWebhookSecrets returns an organisation, by name, and its valid secrets
// for webhooks of the forge. An unknown organisation has none and no error:
// whoever asks is not authenticated yet.
func (db *DB) OpenWebhookSecrets(ctx context.Context, orgName, forge string) (org uuid.UUID, secrets []string, err error) {
	rows, err := collect[struct {
		ID     uuid.UUID
		OrgID  uuid.UUID
		Sealed []byte
	}](ctx, db.pool, "finding webhook secrets", `
		SELECT s.id, s.org_id, s.sealed FROM orgs o
		JOIN webhook_secrets s ON s.org_id = o.id AND s.forge = $2 AND s.revoked_at IS NULL
		WHERE o.name = $1 ORDER BY s.created_at DESC LIMIT 20`, orgName, forge)
	if err != nil {
		return uuid.Nil, nil, err
	}
	for _, row := range rows {
		secret, err := db.sealer.Open(row.Sealed, webhookPurpose(row.OrgID, row.ID))
		if err != nil {
			return uuid.Nil, nil, err
		}
		org, secrets = row.OrgID, append(secrets, string(secret))
	}
	return org, secrets, nil
}

// What became of a webhook delivery.
const (
	OutcomeFetch       = "fetch"
	OutcomeIgnored     = "ignored"
	OutcomeUnknownRepo = "unknown_repo"
	OutcomeDuplicate   = "duplicate"
)

// Delivery is a webhook delivery to be recorded.
type Delivery struct {
	Forge string
	// ID is unique per organisation and forge.
	ID    string
	Event string
	// Push: repositories are to be fetched. URLKeys and Name say which ones.
	Push    bool
	URLKeys []string
	Name    string
	// Updates are the moved refs as JSON, nil if the forge does not tell.
	Updates json.RawMessage
}

// RecordDelivery stores a delivery and returns the repositories that it asks to
// be fetched, ordered by id, and its outcome. One that was stored before is OutcomeDuplicate
// and asks for nothing.
func (tx *Tx) RecordDelivery(ctx context.Context, org uuid.UUID, d Delivery) ([]Repo, string, error) {
	var repos []Repo
	outcome := OutcomeIgnored
	if d.Push {
		var err error
		if repos, err = tx.pushedRepos(ctx, org, d); err != nil {
			return nil, "", err
		}
		outcome = OutcomeUnknownRepo
	}
	var first *uuid.UUID
	if len(repos) > 0 {
		first, outcome = &repos[0].ID, OutcomeFetch
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO webhook_deliveries (org_id, forge, delivery_id, event, repo_id, repo, updates, outcome)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		org, d.Forge, d.ID, d.Event, first, d.Name, d.Updates, outcome)
	if err != nil {
		return nil, "", translate(err, "recording a webhook delivery")
	}
	if tag.RowsAffected() == 0 {
		return nil, OutcomeDuplicate, nil
	}
	return repos, outcome, nil
}

// pushedRepos finds the fetched repositories that a delivery speaks of: by
// address, or where no address is known by name.
func (tx *Tx) pushedRepos(ctx context.Context, org uuid.UUID, d Delivery) ([]Repo, error) {
	return collect[Repo](ctx, tx, "finding pushed repositories", `
		WITH known AS (
			SELECT *, url_key = ANY($2::text[]) AS addressed FROM repos
			WHERE org_id = $1 AND `+fetched+`
			  AND (url_key = ANY($2::text[]) OR name = nullif($3, '')))
		SELECT `+repoColumns+` FROM known
		WHERE addressed OR NOT EXISTS (SELECT FROM known WHERE addressed) ORDER BY id`, org, d.URLKeys, d.Name)
}

// StoredDelivery is a webhook delivery as it was recorded.
type StoredDelivery struct {
	Forge      string
	DeliveryID string
	Event      string
	// Repo is the name that the forge gave, RepoID the repository that it asked to be
	// fetched; nil for none.
	Repo       string
	RepoID     *uuid.UUID
	Outcome    string
	ReceivedAt time.Time
}

// Deliveries lists the newest limit deliveries of an organisation, newest first.
func (db *DB) Deliveries(ctx context.Context, org uuid.UUID, limit int) ([]StoredDelivery, error) {
	return collect[StoredDelivery](ctx, db.pool, "listing webhook deliveries", `
		SELECT forge, delivery_id, event, repo, repo_id, outcome, received_at FROM webhook_deliveries
		WHERE org_id = $1 ORDER BY received_at DESC, delivery_id LIMIT $2`, org, limit)
}

// Redeliver does once more what a stored delivery asked for: the repositories
// that it speaks of now are to be fetched. One that was registered after the
// delivery came is found by its name.
func (tx *Tx) Redeliver(ctx context.Context, by access.Principal, forge, delivery string) ([]Repo, StoredDelivery, error) {
	op := "redelivering " + forge + " " + delivery
	row, err := collectOne[StoredDelivery](ctx, tx, op, `
		SELECT forge, delivery_id, event, repo, repo_id, outcome, received_at FROM webhook_deliveries
		WHERE org_id = $1 AND forge = $2 AND delivery_id = $3 FOR UPDATE`, by.Org, forge, delivery)
	if err != nil || row.Outcome == OutcomeIgnored {
		return nil, row, err
	}
	repos, err := collect[Repo](ctx, tx, op, `SELECT `+repoColumns+` FROM repos
		WHERE org_id = $1 AND `+fetched+` AND (id = $2 OR $2 IS NULL AND name = nullif($3, '')) ORDER BY id`, by.Org, row.RepoID, row.Repo)
	if err != nil {
		return nil, row, err
	}
	row.Outcome, row.RepoID = OutcomeUnknownRepo, nil
	if len(repos) > 0 {
		row.Outcome, row.RepoID = OutcomeFetch, &repos[0].ID
	}
	_, err = tx.Exec(ctx, `UPDATE webhook_deliveries SET outcome = $4, repo_id = $5 WHERE org_id = $1 AND forge = $2 AND delivery_id = $3`,
		by.Org, forge, delivery, row.Outcome, row.RepoID)
	if err != nil {
		return nil, row, translate(err, "%s", op)
	}
	return repos, row, tx.Audit(ctx, by, "webhook.redeliver", delivery, map[string]any{"forge": forge, "outcome": row.Outcome})
}
