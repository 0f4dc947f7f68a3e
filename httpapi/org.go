package httpapi

import (
	"context"
	"time"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// GetOrg implements the operation.
func (s *server) GetOrg(ctx context.Context, _ GetOrgRequestObject) (GetOrgResponseObject, error) {
	row, err := s.cfg.DB.OrgByID(ctx, principal(ctx).Org)
	return GetOrg200JSONResponse(orgOf(row)), err
}

// UpdateOrg implements the operation.
func (s *server) UpdateOrg(ctx context.Context, in UpdateOrgRequestObject) (UpdateOrgResponseObject, error) {
	row, err := s.cfg.DB.UpdateOrg(ctx, principal(ctx), store.OrgChange{StoreConversations: in.Body.StoreConversations})
	return UpdateOrg200JSONResponse(orgOf(row)), err
}

func orgOf(o store.Org) Org {
	return Org{Id: o.ID, Name: o.Name, TimeZone: o.TimeZone, StoreConversations: o.StoreConversations, CreatedAt: o.CreatedAt}
}

// ListKeys implements the operation.
func (s *server) ListKeys(ctx context.Context, _ ListKeysRequestObject) (ListKeysResponseObject, error) {
	rows, err := s.cfg.DB.Keys(ctx, principal(ctx).Org)
	return ListKeys200JSONResponse{Items: each(rows, keyOf)}, err
}

// CreateKey implements the operation.
func (s *server) CreateKey(ctx context.Context, in CreateKeyRequestObject) (CreateKeyResponseObject, error) {
	fresh := store.NewKey{Name: in.Body.Name, User: in.Body.User}
	for _, scope := range in.Body.Scopes {
		fresh.Scopes = append(fresh.Scopes, access.Scope(scope))
	}
	if in.Body.ExpiresAt != "" {
		var err error
		fresh.ExpiresAt, err = time.Parse(time.RFC3339, in.Body.ExpiresAt)
		if err != nil || !fresh.ExpiresAt.After(time.Now()) {
			return nil, respond.InvalidField("expires_at", "must be a time to come such as 2027-01-31T00:00:00Z")
		}
	}
	row, secret, err := s.cfg.DB.CreateKey(ctx, principal(ctx), fresh)
	return CreateKey201JSONResponse{Key: keyOf(row), Secret: secret}, err
}

// RevokeKey implements the operation.
func (s *server) RevokeKey(ctx context.Context, in RevokeKeyRequestObject) (RevokeKeyResponseObject, error) {
	_, err := s.cfg.DB.RevokeKey(ctx, principal(ctx), in.Id)
	if err == nil {
		s.guard.Forget("key:" + in.Id.String())
	}
	return RevokeKey204Response{}, err
}

func keyOf(k store.Key) Key {
	return Key{Id: k.ID, Name: k.Name, Prefix: k.Prefix, User: k.User, CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
		LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt,
		Scopes: each(k.Scopes, func(scope access.Scope) Scope { return Scope(scope) })}
}
