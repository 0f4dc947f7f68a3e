package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

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
	change := store.OrgChange{Title: in.Body.Title, TimeZone: in.Body.TimeZone, StoreConversations: in.Body.StoreConversations}
	if in.Body.Prompts != nil {
		prompts := store.Prompts(*in.Body.Prompts)
		change.Prompts = &prompts
	}
	row, err := s.cfg.DB.UpdateOrg(ctx, principal(ctx), change)
	return UpdateOrg200JSONResponse(orgOf(row)), err
}

func orgOf(o store.Org) Org {
	return Org{Id: o.ID, Name: o.Name, Title: o.Title, TimeZone: o.TimeZone, StoreConversations: o.StoreConversations,
		Prompts: string(o.Prompts), CreatedAt: o.CreatedAt}
}

// ListKeys implements the operation.
func (s *server) ListKeys(ctx context.Context, _ ListKeysRequestObject) (ListKeysResponseObject, error) {
	by, list := principal(ctx), s.cfg.DB.Keys
	if needs["listKeys"].may(by, access.Resource{}) != nil {
		list = func(ctx context.Context, org uuid.UUID) ([]store.Key, error) {
			return s.cfg.DB.KeysOf(ctx, org, by.UserID)
		}
	}
	rows, err := list(ctx, by.Org)
	return ListKeys200JSONResponse{Items: each(rows, keyOf)}, err
}

// CreateKey implements the operation.
func (s *server) CreateKey(ctx context.Context, in CreateKeyRequestObject) (CreateKeyResponseObject, error) {
	by := principal(ctx)
	fresh := store.NewKey{Name: in.Body.Name, User: in.Body.User}
	if err := s.mayMakeKey(ctx, by, &fresh); err != nil {
		return nil, err
	}
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
	row, secret, err := s.cfg.DB.CreateKey(ctx, by, fresh)
	return CreateKey201JSONResponse{Key: keyOf(row), Secret: secret}, err
}

// mayMakeKey refuses a key that is not the principal's to make. Whoever may make
// only their own need not name themself.
func (s *server) mayMakeKey(ctx context.Context, by access.Principal, fresh *store.NewKey) error {
	need := needs["createKey"]
	if need.may(by, access.Resource{}) == nil {
		return nil
	}
	if fresh.User == "" {
		fresh.User = by.User
	}
	user, err := s.findUser(ctx, fresh.User)
	if err != nil {
		return err
	}
	return need.may(by, access.Resource{Owner: user})
}

// RevokeKey implements the operation.
func (s *server) RevokeKey(ctx context.Context, in RevokeKeyRequestObject) (RevokeKeyResponseObject, error) {
	by := principal(ctx)
	owner, err := s.cfg.DB.KeyOwnerID(ctx, by.Org, in.Id)
	if err == nil {
		err = hidden(needs["revokeKey"].may(by, access.Resource{Owner: owner}))
	}
	if err == nil {
		_, err = s.cfg.DB.RevokeKey(ctx, by, in.Id)
	}
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
