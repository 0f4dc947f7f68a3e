package httpapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// ListUsers implements the operation.
func (s *server) ListUsers(ctx context.Context, _ ListUsersRequestObject) (ListUsersResponseObject, error) {
	rows, err := s.cfg.DB.Users(ctx, principal(ctx).Org)
	return ListUsers200JSONResponse{Items: each(rows, userOf)}, err
}

// CreateUser implements the operation.
func (s *server) CreateUser(ctx context.Context, in CreateUserRequestObject) (CreateUserResponseObject, error) {
	row, err := s.cfg.DB.CreateUser(ctx, principal(ctx), store.NewUser{Email: in.Body.Email, Name: in.Body.Name, Role: in.Body.Role, Logins: in.Body.Logins})
	return CreateUser201JSONResponse(userOf(row)), err
}

// GetUser implements the operation.
func (s *server) GetUser(ctx context.Context, in GetUserRequestObject) (GetUserResponseObject, error) {
	row, err := s.cfg.DB.User(ctx, principal(ctx).Org, in.User)
	return GetUser200JSONResponse(userOf(row)), err
}

// UpdateUser implements the operation.
func (s *server) UpdateUser(ctx context.Context, in UpdateUserRequestObject) (UpdateUserResponseObject, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.User(ctx, by.Org, in.User)
	if err != nil {
		return nil, err
	}
	change := store.UserChange{Name: in.Body.Name, Logins: in.Body.Logins}
	if in.Body.Role != "" {
		change.Role = &in.Body.Role
	}
	row, err = s.cfg.DB.UpdateUser(ctx, by, row.ID, change)
	return UpdateUser200JSONResponse(userOf(row)), err
}

// DisableUser implements the operation.
func (s *server) DisableUser(ctx context.Context, in DisableUserRequestObject) (DisableUserResponseObject, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.User(ctx, by.Org, in.User)
	if err != nil {
		return nil, err
	}
	_, err = s.cfg.DB.DisableUser(ctx, by, row.ID)
	return DisableUser204Response{}, err
}

func userOf(u store.User) User {
	return User{Id: u.ID, Email: u.Email, Name: u.Name, Role: u.Role, HasPassword: u.HasPassword, Logins: u.Logins, CreatedAt: u.CreatedAt, DisabledAt: u.DisabledAt}
}

// ListSSHKeys implements the operation.
func (s *server) ListSSHKeys(ctx context.Context, _ ListSSHKeysRequestObject) (ListSSHKeysResponseObject, error) {
	by, list := principal(ctx), s.cfg.DB.SSHKeys
	if needs["listSSHKeys"].may(by, access.Resource{}) != nil {
		list = func(ctx context.Context, org uuid.UUID) ([]store.SSHKey, error) {
			return s.cfg.DB.SSHKeysOf(ctx, org, by.UserID)
		}
	}
	rows, err := list(ctx, by.Org)
	return ListSSHKeys200JSONResponse{Items: each(rows, sshKeyOf)}, err
}

// AddSSHKey implements the operation.
func (s *server) AddSSHKey(ctx context.Context, in AddSSHKeyRequestObject) (AddSSHKeyResponseObject, error) {
	by := principal(ctx)
	user, err := s.findUser(ctx, in.Body.User)
	if err != nil {
		return nil, err
	}
	if err := needs["addSSHKey"].may(by, access.Resource{Owner: user}); err != nil {
		return nil, err
	}
	row, err := s.cfg.DB.AddSSHKey(ctx, by, store.NewSSHKey{UserID: user, Line: in.Body.PublicKey, Name: in.Body.Name})
	if errors.Is(err, store.ErrNotFound) {
		err = respond.InvalidField("user", "must not be disabled")
	}
	return AddSSHKey201JSONResponse(sshKeyOf(row)), err
}

// RevokeSSHKey implements the operation.
func (s *server) RevokeSSHKey(ctx context.Context, in RevokeSSHKeyRequestObject) (RevokeSSHKeyResponseObject, error) {
	by := principal(ctx)
	owner, err := s.cfg.DB.SSHKeyOwnerID(ctx, by.Org, in.Id)
	if err == nil {
		err = hidden(needs["revokeSSHKey"].may(by, access.Resource{Owner: owner}))
	}
	if err == nil {
		_, err = s.cfg.DB.RevokeSSHKey(ctx, by, in.Id)
	}
	return RevokeSSHKey204Response{}, err
}

func sshKeyOf(k store.SSHKey) SSHKey {
	return SSHKey{Id: k.ID, User: k.Email, Name: k.Name, Fingerprint: k.Fingerprint, PublicKey: k.PublicKey, CreatedAt: k.CreatedAt,
		LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt}
}

// ListGrants implements the operation.
func (s *server) ListGrants(ctx context.Context, _ ListGrantsRequestObject) (ListGrantsResponseObject, error) {
	rows, err := s.cfg.DB.Grants(ctx, principal(ctx).Org)
	return ListGrants200JSONResponse{Items: each(rows, grantOf)}, err
}

// SetGrant implements the operation.
func (s *server) SetGrant(ctx context.Context, in SetGrantRequestObject) (SetGrantResponseObject, error) {
	subject, id, repo, err := s.grantTarget(ctx, in.Body.User, in.Body.Team, in.Body.Repo)
	if err != nil {
		return nil, err
	}
	row, err := s.cfg.DB.SetGrant(ctx, principal(ctx), store.NewGrant{Subject: subject, SubjectID: id, RepoID: repo,
		Permission: access.Permission(in.Body.Permission), Override: in.Body.Override})
	return SetGrant200JSONResponse(grantOf(row)), err
}

// RemoveGrant implements the operation.
func (s *server) RemoveGrant(ctx context.Context, in RemoveGrantRequestObject) (RemoveGrantResponseObject, error) {
	subject, id, repo, err := s.grantTarget(ctx, in.Params.User, in.Params.Team, in.Params.Repo)
	if err != nil {
		return nil, err
	}
	_, err = s.cfg.DB.RemoveGrant(ctx, principal(ctx), subject, id, repo)
	return RemoveGrant204Response{}, err
}

// grantTarget resolves whom and on what a grant is. The repository is the nil
// UUID for every one.
func (s *server) grantTarget(ctx context.Context, user, team, repo string) (subject store.Subject, id, repoID uuid.UUID, err error) {
	switch {
	case (user == "") == (team == ""):
		err = respond.InvalidField("user", "must be given, or team in its place")
	case user != "":
		subject = store.SubjectUser
		id, err = s.findUser(ctx, user)
	default:
		subject = store.SubjectTeam
		id, err = s.cfg.DB.TeamID(ctx, principal(ctx).Org, team)
		err = unknownAs("team", "the name or id of a team", err)
	}
	if err != nil || repo == "" {
		return subject, id, uuid.Nil, err
	}
	row, err := s.cfg.DB.Repo(ctx, principal(ctx).Org, repo)
	return subject, id, row.ID, unknownAs("repo", "the name or id of a repository", err)
}

func (s *server) findUser(ctx context.Context, emailOrID string) (uuid.UUID, error) {
	row, err := s.cfg.DB.User(ctx, principal(ctx).Org, emailOrID)
	return row.ID, unknownAs("user", "the e-mail address or id of a person", err)
}

// hidden answers for what is somebody else's as for what is not there.
func hidden(refusal error) error {
	if refusal != nil {
		return fmt.Errorf("%w (%v)", store.ErrNotFound, refusal)
	}
	return nil
}

// unknownAs names the field that names nothing.
func unknownAs(field, what string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return respond.InvalidField(field, "must be "+what+" of your organisation")
	}
	return err
}

func grantOf(g store.Grant) Grant {
	out := Grant{Subject: GrantSubject(g.Subject), Name: g.SubjectName, Permission: Permission(g.Permission), Override: g.Override,
		CreatedBy: g.CreatedBy, CreatedAt: g.CreatedAt}
	if g.RepoID != uuid.Nil {
		out.Repo = &g.Repo
	}
	return out
}
