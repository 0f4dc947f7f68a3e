package httpapi

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// ListIdentities implements the operation.
func (s *server) ListIdentities(ctx context.Context, in ListIdentitiesRequestObject) (ListIdentitiesResponseObject, error) {
	org := principal(ctx).Org
	if in.Params.Email != "" {
		person, err := s.cfg.DB.Person(ctx, org, in.Params.Email)
		return ListIdentities200JSONResponse{Items: []Person{personOf(person)}}, err
	}
	limit, seal := limitOr(in.Params.Limit), sealOf(org, "listIdentities", nil)
	var after *string
	if err := openCursor(in.Params.Cursor, seal, &after); err != nil {
		return nil, err
	}
	if after == nil {
		after = new(string)
	}
	rows, err := s.cfg.DB.Persons(ctx, org, *after, limit+1)
	if err != nil {
		return nil, err
	}
	page := ListIdentities200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, rows[limit-1].Email)
	}
	page.Items = each(rows, personOf)
	return page, nil
}

// JoinIdentities implements the operation.
func (s *server) JoinIdentities(ctx context.Context, in JoinIdentitiesRequestObject) (JoinIdentitiesResponseObject, error) {
	person, err := s.cfg.DB.JoinAddresses(ctx, principal(ctx), in.Body.Person, in.Body.Emails)
	return JoinIdentities200JSONResponse(personOf(person)), err
}

// ListIdentityRules implements the operation.
func (s *server) ListIdentityRules(ctx context.Context, _ ListIdentityRulesRequestObject) (ListIdentityRulesResponseObject, error) {
	rows, err := s.cfg.DB.IdentityRules(ctx, principal(ctx).Org)
	return ListIdentityRules200JSONResponse{Items: each(rows, identityRuleOf)}, err
}

// SplitIdentity implements the operation.
func (s *server) SplitIdentity(ctx context.Context, in SplitIdentityRequestObject) (SplitIdentityResponseObject, error) {
	return SplitIdentity204Response{}, s.cfg.DB.SplitAddress(ctx, principal(ctx), in.Body.Email)
}

// ResetIdentity implements the operation.
func (s *server) ResetIdentity(ctx context.Context, in ResetIdentityRequestObject) (ResetIdentityResponseObject, error) {
	return ResetIdentity204Response{}, s.cfg.DB.ResetAddress(ctx, principal(ctx), in.Params.Email)
}

func personOf(p store.Person) Person {
	return Person{Email: p.Email, Addresses: each(p.Addresses, func(a store.PersonAddress) PersonAddress {
		return PersonAddress{Email: a.Email, Source: a.Source}
	})}
}

func identityRuleOf(r store.IdentityRule) IdentityRule {
	return IdentityRule{Email: r.Email, Person: r.Person, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt}
}

// userNamed returns all addresses of the person whose address is given, in lower
// case.
func (s *server) userNamed(ctx context.Context, org uuid.UUID, email string) ([]string, error) {
	return s.cfg.DB.AddressesOf(ctx, org, []string{strings.TrimSpace(email)})
}
