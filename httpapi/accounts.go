package httpapi

import (
	"context"
	"time"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// ListInvitations implements the operation.
func (s *server) ListInvitations(ctx context.Context, _ ListInvitationsRequestObject) (ListInvitationsResponseObject, error) {
	rows, err := s.cfg.DB.Invitations(ctx, principal(ctx).Org)
	return ListInvitations200JSONResponse{Items: each(rows, invitationOf)}, err
}

// CreateInvitation implements the operation.
func (s *server) CreateInvitation(ctx context.Context, in CreateInvitationRequestObject) (CreateInvitationResponseObject, error) {
	row, secret, err := s.cfg.DB.Invite(ctx, principal(ctx),
		store.NewInvitation{Email: in.Body.Email, Name: in.Body.Name, Role: in.Body.Role, Now: s.now()})
	return CreateInvitation201JSONResponse{Invitation: invitationOf(row), Link: s.linkOf(row, secret)}, err
}

// RevokeInvitation implements the operation.
func (s *server) RevokeInvitation(ctx context.Context, in RevokeInvitationRequestObject) (RevokeInvitationResponseObject, error) {
	_, err := s.cfg.DB.RevokeInvitation(ctx, principal(ctx), in.Id)
	return RevokeInvitation204Response{}, err
}

func invitationOf(l store.AccountLink) Invitation {
	return Invitation{Id: l.ID, Email: l.Email, Name: l.Name, Role: l.Role, CreatedBy: l.CreatedBy, CreatedAt: l.CreatedAt,
		ExpiresAt: l.ExpiresAt, UsedAt: l.UsedAt, RevokedAt: l.RevokedAt}
}

// CreatePasswordLink implements the operation.
func (s *server) CreatePasswordLink(ctx context.Context, in CreatePasswordLinkRequestObject) (CreatePasswordLinkResponseObject, error) {
	by := principal(ctx)
	user, err := s.cfg.DB.User(ctx, by.Org, in.User)
	if err != nil {
		return nil, err
	}
	row, secret, err := s.cfg.DB.PasswordLink(ctx, by, user.Email, s.now())
	return CreatePasswordLink201JSONResponse{Email: row.Email, ExpiresAt: row.ExpiresAt, Link: s.linkOf(row, secret)}, err
}

func (s *server) linkOf(link store.AccountLink, secret string) string {
	return auth.LinkURL(s.cfg.PublicURL, link.Kind, secret)
}

// now is the time by the clock that sessions and links end by.
func (s *server) now() time.Time {
	if s.cfg.Auth.Accounts != nil {
		return s.cfg.Auth.Accounts.Now()
	}
	return time.Now()
}

// GetAccount implements the operation. It needs a person who is signed in, as do
// those below: there are Accounts, or nobody had come here.
func (s *server) GetAccount(ctx context.Context, _ GetAccountRequestObject) (GetAccountResponseObject, error) {
	by := principal(ctx)
	user, err := s.cfg.DB.User(ctx, by.Org, by.UserID.String())
	if err != nil {
		return nil, err
	}
	org, err := s.cfg.DB.OrgByID(ctx, by.Org)
	return GetAccount200JSONResponse{User: userOf(user), Org: orgOf(org), Teams: by.Teams,
		Scopes: each(by.Role.Limit(access.Scopes), func(scope access.Scope) Scope { return Scope(scope) })}, err
}

// ChangePassword implements the operation.
func (s *server) ChangePassword(ctx context.Context, in ChangePasswordRequestObject) (ChangePasswordResponseObject, error) {
	err := s.cfg.Auth.Accounts.ChangePassword(requestOf(ctx), principal(ctx), in.Body.OldPassword, in.Body.Password)
	return ChangePassword204Response{}, err
}

// ListSignIns implements the operation.
func (s *server) ListSignIns(ctx context.Context, _ ListSignInsRequestObject) (ListSignInsResponseObject, error) {
	by := principal(ctx)
	rows, err := s.cfg.Auth.Accounts.Sessions(ctx, by)
	return ListSignIns200JSONResponse{Items: each(rows, func(row store.Session) SignIn {
		return SignIn{Id: row.ID, Current: row.ID == by.Session, Address: row.Address, UserAgent: row.UserAgent, CreatedAt: row.CreatedAt,
			SeenAt: row.SeenAt, IdleAt: row.IdleAt, ExpiresAt: row.ExpiresAt}
	})}, err
}

// EndSignIn implements the operation.
func (s *server) EndSignIn(ctx context.Context, in EndSignInRequestObject) (EndSignInResponseObject, error) {
	_, err := s.cfg.DB.RevokeSession(ctx, principal(ctx), in.Id)
	return EndSignIn204Response{}, err
}

// EndOtherSignIns implements the operation.
func (s *server) EndOtherSignIns(ctx context.Context, _ EndOtherSignInsRequestObject) (EndOtherSignInsResponseObject, error) {
	return EndOtherSignIns204Response{}, s.cfg.DB.RevokeOtherSessions(ctx, principal(ctx))
}
