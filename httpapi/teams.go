package httpapi

import (
	"context"

	"github.com/blameprompt/enterprise/store"
)

// ListTeams implements the operation.
func (s *server) ListTeams(ctx context.Context, _ ListTeamsRequestObject) (ListTeamsResponseObject, error) {
	rows, err := s.cfg.DB.Teams(ctx, principal(ctx).Org)
	return ListTeams200JSONResponse{Items: each(rows, teamOf)}, err
}

func teamOf(t store.Team) Team {
	return Team{Id: t.ID, Name: t.Name, CreatedAt: t.CreatedAt, Members: t.Members}
}
