package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// ListTeams implements the operation.
func (s *server) ListTeams(ctx context.Context, _ ListTeamsRequestObject) (ListTeamsResponseObject, error) {
	rows, err := s.cfg.DB.Teams(ctx, principal(ctx).Org)
	return ListTeams200JSONResponse{Items: each(rows, teamOf)}, err
}

// CreateTeam implements the operation.
func (s *server) CreateTeam(ctx context.Context, in CreateTeamRequestObject) (CreateTeamResponseObject, error) {
	row, err := s.cfg.DB.CreateTeam(ctx, principal(ctx), in.Body.Name)
	return CreateTeam201JSONResponse(teamOf(row)), err
}

// GetTeam implements the operation.
func (s *server) GetTeam(ctx context.Context, in GetTeamRequestObject) (GetTeamResponseObject, error) {
	row, err := s.cfg.DB.Team(ctx, principal(ctx).Org, in.Team)
	return GetTeam200JSONResponse(teamOf(row)), err
}

// UpdateTeam implements the operation.
func (s *server) UpdateTeam(ctx context.Context, in UpdateTeamRequestObject) (UpdateTeamResponseObject, error) {
	team, err := s.teamToManage(ctx, "updateTeam", in.Team)
	if err != nil {
		return nil, err
	}
	row, err := s.cfg.DB.RenameTeam(ctx, principal(ctx), team, in.Body.Name)
	return UpdateTeam200JSONResponse(teamOf(row)), err
}

// RemoveTeam implements the operation.
func (s *server) RemoveTeam(ctx context.Context, in RemoveTeamRequestObject) (RemoveTeamResponseObject, error) {
	team, err := s.teamToManage(ctx, "removeTeam", in.Team)
	if err != nil {
		return nil, err
	}
	return RemoveTeam204Response{}, s.cfg.DB.RemoveTeam(ctx, principal(ctx), team)
}

// SetTeamMember implements the operation.
func (s *server) SetTeamMember(ctx context.Context, in SetTeamMemberRequestObject) (SetTeamMemberResponseObject, error) {
	team, err := s.teamToManage(ctx, "setTeamMember", in.Team)
	if err != nil {
		return nil, err
	}
	member, err := s.cfg.DB.SetTeamMember(ctx, principal(ctx), team, in.Email, in.Body.Role)
	return SetTeamMember200JSONResponse(member), err
}

// RemoveTeamMember implements the operation.
func (s *server) RemoveTeamMember(ctx context.Context, in RemoveTeamMemberRequestObject) (RemoveTeamMemberResponseObject, error) {
	team, err := s.teamToManage(ctx, "removeTeamMember", in.Team)
	if err != nil {
		return nil, err
	}
	return RemoveTeamMember204Response{}, s.cfg.DB.RemoveTeamMember(ctx, principal(ctx), team, in.Email)
}

// teamToManage finds a team that the principal may do an operation with.
func (s *server) teamToManage(ctx context.Context, operation, nameOrID string) (uuid.UUID, error) {
	by := principal(ctx)
	team, err := s.cfg.DB.TeamID(ctx, by.Org, nameOrID)
	if err == nil {
		err = needs[operation].may(by, access.Resource{Team: team})
	}
	return team, err
}

func teamOf(t store.Team) Team {
	return Team{Id: t.ID, Name: t.Name, CreatedAt: t.CreatedAt, Members: t.Members}
}
