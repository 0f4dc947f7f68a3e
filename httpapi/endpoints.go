package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Endpoints is where endpoints are added and changed. *endpoint.Desk is one.
type Endpoints interface {
	Create(ctx context.Context, by access.Principal, in endpoint.New) (row store.Endpoint, secret string, err error)
	Change(ctx context.Context, by access.Principal, id uuid.UUID, in endpoint.Change) (store.Endpoint, error)
}

// ListEndpoints implements the operation.
func (s *server) ListEndpoints(ctx context.Context, _ ListEndpointsRequestObject) (ListEndpointsResponseObject, error) {
	rows, err := s.cfg.DB.Endpoints(ctx, principal(ctx).Org)
	return ListEndpoints200JSONResponse{Items: each(rows, endpointOf)}, err
}

// CreateEndpoint implements the operation.
func (s *server) CreateEndpoint(ctx context.Context, in CreateEndpointRequestObject) (CreateEndpointResponseObject, error) {
	wanted := endpoint.New{Name: in.Body.Name, URL: in.Body.Url}
	if in.Body.Types != nil {
		wanted.Types = messageTypesOf(*in.Body.Types)
	}
	if in.Body.Repos != nil {
		wanted.Repos = *in.Body.Repos
	}
	row, secret, err := s.cfg.Endpoints.Create(ctx, principal(ctx), wanted)
	return CreateEndpoint201JSONResponse{Endpoint: endpointOf(row), Secret: secret}, err
}

// GetEndpoint implements the operation.
func (s *server) GetEndpoint(ctx context.Context, in GetEndpointRequestObject) (GetEndpointResponseObject, error) {
	row, err := s.cfg.DB.Endpoint(ctx, principal(ctx).Org, in.Id)
	return GetEndpoint200JSONResponse(endpointOf(row)), err
}

// UpdateEndpoint implements the operation.
func (s *server) UpdateEndpoint(ctx context.Context, in UpdateEndpointRequestObject) (UpdateEndpointResponseObject, error) {
	change := endpoint.Change{Name: in.Body.Name, URL: in.Body.Url, Repos: in.Body.Repos, Enabled: in.Body.Enabled}
	if in.Body.Types != nil {
		types := messageTypesOf(*in.Body.Types)
		change.Types = &types
	}
	row, err := s.cfg.Endpoints.Change(ctx, principal(ctx), in.Id, change)
	return UpdateEndpoint200JSONResponse(endpointOf(row)), err
}

// RemoveEndpoint implements the operation.
func (s *server) RemoveEndpoint(ctx context.Context, in RemoveEndpointRequestObject) (RemoveEndpointResponseObject, error) {
	return RemoveEndpoint204Response{}, s.cfg.DB.RemoveEndpoint(ctx, principal(ctx), in.Id)
}

// RotateEndpoint implements the operation.
func (s *server) RotateEndpoint(ctx context.Context, in RotateEndpointRequestObject) (RotateEndpointResponseObject, error) {
	row, secret, err := s.cfg.DB.RotateEndpoint(ctx, principal(ctx), in.Id)
	return RotateEndpoint200JSONResponse{Endpoint: endpointOf(row), Secret: secret}, err
}

// PingEndpoint implements the operation.
func (s *server) PingEndpoint(ctx context.Context, in PingEndpointRequestObject) (PingEndpointResponseObject, error) {
	m, err := s.cfg.DB.PingEndpoint(ctx, principal(ctx), in.Id)
	return PingEndpoint202JSONResponse(messageOf(m)), err
}

// ListMessages implements the operation.
func (s *server) ListMessages(ctx context.Context, in ListMessagesRequestObject) (ListMessagesResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.MessageFilter{State: store.MessageState(p.State), Type: store.MessageType(p.Type)}
	if p.Endpoint != nil {
		filter.Endpoint = *p.Endpoint
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listMessages", p)
	after, err := afterOf(cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Messages(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := pageOf(rows, limit, seal, func(m *store.Message) uuid.UUID { return m.ID })
	return ListMessages200JSONResponse{Items: each(rows, messageOf), NextCursor: next}, nil
}

// RedeliverMessage implements the operation.
func (s *server) RedeliverMessage(ctx context.Context, in RedeliverMessageRequestObject) (RedeliverMessageResponseObject, error) {
	m, err := s.cfg.DB.ResendMessage(ctx, principal(ctx), in.Id)
	return RedeliverMessage202JSONResponse(messageOf(m)), err
}

func messageTypesOf(types []MessageType) []store.MessageType {
	return each(types, func(t MessageType) store.MessageType { return store.MessageType(t) })
}

func endpointOf(e store.Endpoint) Endpoint {
	return Endpoint{Id: e.ID, Name: e.Name, Origin: e.Origin, Repos: e.Repos, CreatedBy: e.CreatedBy, CreatedAt: e.CreatedAt,
		Types:   each(e.Types, func(t store.MessageType) MessageType { return MessageType(t) }),
		Enabled: e.DisabledAt == nil, DisabledAt: e.DisabledAt, DisabledBecause: EndpointDisabledBecause(e.Disabled), SucceededAt: e.SucceededAt,
		FailingSince: e.FailingSince, Failures: e.Failures, PreviousSecretUntil: e.PreviousUntil, MessagesWaiting: e.Waiting, MessagesFailed: e.Failed}
}

func messageOf(m store.Message) Message {
	out := Message{Id: m.ID, EndpointId: m.EndpointID, Endpoint: m.Endpoint, Type: string(m.Type), Timestamp: m.At, RepoId: m.RepoID, Data: m.Data,
		State: MessageState(m.State), Attempts: each(m.Attempts, func(a store.Attempt) Attempt {
			return Attempt{Number: a.Number, At: a.At, TookMs: a.TookMS, Status: a.Status, Error: a.Error, Answer: a.Answer}
		})}
	if m.State == store.MessageWaiting {
		out.NextAt = &m.NextAt
	}
	return out
}
