package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// ListWebhookSecrets implements the operation.
func (s *server) ListWebhookSecrets(ctx context.Context, _ ListWebhookSecretsRequestObject) (ListWebhookSecretsResponseObject, error) {
	rows, err := s.cfg.DB.WebhookSecrets(ctx, principal(ctx).Org)
	return ListWebhookSecrets200JSONResponse{Items: each(rows, webhookSecretOf)}, err
}

// CreateWebhookSecret implements the operation.
func (s *server) CreateWebhookSecret(ctx context.Context, in CreateWebhookSecretRequestObject) (CreateWebhookSecretResponseObject, error) {
	by := principal(ctx)
	org, err := s.cfg.DB.OrgByID(ctx, by.Org)
	if err != nil {
		return nil, err
	}
	row, secret, err := s.cfg.DB.CreateWebhookSecret(ctx, by, string(in.Body.Forge), in.Body.Secret)
	return CreateWebhookSecret201JSONResponse{WebhookSecret: webhookSecretOf(row), Secret: secret,
		Url: s.cfg.PublicURL + "/hooks/" + string(in.Body.Forge) + "/" + org.Name}, err
}

// RevokeWebhookSecret implements the operation.
func (s *server) RevokeWebhookSecret(ctx context.Context, in RevokeWebhookSecretRequestObject) (RevokeWebhookSecretResponseObject, error) {
	return RevokeWebhookSecret204Response{}, s.cfg.DB.RevokeWebhookSecret(ctx, principal(ctx), in.Id)
}

// ListWebhookDeliveries implements the operation.
func (s *server) ListWebhookDeliveries(ctx context.Context, in ListWebhookDeliveriesRequestObject) (ListWebhookDeliveriesResponseObject, error) {
	rows, err := s.cfg.DB.Deliveries(ctx, principal(ctx).Org, limitOr(in.Params.Limit))
	return ListWebhookDeliveries200JSONResponse{Items: each(rows, deliveryOf)}, err
}

// RedeliverWebhook implements the operation.
func (s *server) RedeliverWebhook(ctx context.Context, in RedeliverWebhookRequestObject) (RedeliverWebhookResponseObject, error) {
	by := principal(ctx)
	var row store.StoredDelivery
	err := s.cfg.DB.InTx(ctx, func(tx *store.Tx) (err error) {
		var repos []store.Repo
		repos, row, err = tx.Redeliver(ctx, by, string(in.Body.Forge), in.Body.Delivery)
		for i := 0; err == nil && i < len(repos); i++ {
			err = s.cfg.Fetches.DemandFetch(ctx, tx, by.Org, repos[i].ID, queue.Asked)
		}
		return err
	})
	return RedeliverWebhook202JSONResponse(deliveryOf(row)), err
}

func deliveryOf(d store.StoredDelivery) WebhookDelivery {
	return WebhookDelivery{Forge: Forge(d.Forge), Delivery: d.DeliveryID, Event: d.Event, Repo: d.Repo, RepoId: d.RepoID,
		Outcome: WebhookDeliveryOutcome(d.Outcome), ReceivedAt: d.ReceivedAt}
}

func webhookSecretOf(w store.WebhookSecret) WebhookSecret {
	return WebhookSecret{Id: w.ID, Forge: Forge(w.Forge), CreatedAt: w.CreatedAt, RevokedAt: w.RevokedAt}
}

// ReceiveWebhook implements the operation: the signature over the raw body
// first, then one transaction that holds the delivery and the fetches that it
// asks for, then the answer.
func (s *server) ReceiveWebhook(ctx context.Context, in ReceiveWebhookRequestObject) (ReceiveWebhookResponseObject, error) {
	body, err := readBody(in.Body, "", forge.MaxBody)
	if err != nil {
		return nil, err
	}
	name, header := forge.Name(in.Forge), requestOf(ctx).Header
	org, secrets, err := s.cfg.DB.OpenWebhookSecrets(ctx, in.Org, string(name))
	if err != nil {
		return nil, err
	}
	known := each(secrets, func(secret string) forge.Secret { return forge.Secret(secret) })
	if err := forge.Verify(name, header, body, known, time.Now()); err != nil {
		return nil, webhookProblem(err)
	}
	delivery, err := forge.Parse(name, header, body)
	if err != nil {
		return nil, webhookProblem(err)
	}
	outcome, err := s.takeDelivery(ctx, org, delivery)
	return ReceiveWebhook202JSONResponse{Delivery: delivery.ID, Outcome: ReceiveWebhook202JSONResponseBodyOutcome(outcome)}, err
}

func (s *server) takeDelivery(ctx context.Context, org uuid.UUID, d forge.Delivery) (string, error) {
	row := store.Delivery{Forge: string(d.Forge), ID: d.ID, Event: d.Event, Push: d.Kind == forge.Push, Name: d.FullName}
	for _, address := range d.CloneURLs {
		if key := forge.NormalizeURL(address); key != "" {
			row.URLKeys = append(row.URLKeys, key)
		}
	}
	if d.Updates != nil {
		updates, err := json.Marshal(d.Updates)
		if err != nil {
			return "", fmt.Errorf("encoding ref updates: %w", err)
		}
		row.Updates = updates
	}
	outcome := ""
	err := s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		repos, result, err := tx.RecordDelivery(ctx, org, row)
		outcome = result
		for i := 0; err == nil && i < len(repos); i++ {
			err = s.cfg.Fetches.DemandFetch(ctx, tx, org, repos[i].ID, queue.Event)
		}
		return err
	})
	return outcome, err
}

// webhookProblem tells apart what a sender may know: that a header or the body
// is malformed. Whether the organisation exists, has a secret, or has another
// one, is one answer.
func webhookProblem(err error) error {
	var field *forge.FieldError
	switch {
	case errors.As(err, &field):
		return respond.InvalidField(field.Field, field.Problem)
	case errors.Is(err, forge.ErrTooLarge):
		return &http.MaxBytesError{Limit: forge.MaxBody}
	}
	problem := &respond.Problem{Status: http.StatusUnauthorized, Code: "bad_signature",
		Detail: "The delivery is not signed with a secret that this organisation has for this forge."}
	return fmt.Errorf("%w (%w)", problem, err)
}
