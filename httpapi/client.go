package httpapi

import (
	"bytes"
	"context"
	"time"

	"github.com/blameprompt/enterprise/httpapi/respond"
)

// readyTimeout is shorter than what probes wait for.
const readyTimeout = 2 * time.Second

// GetMe implements the operation.
func (s *server) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	by := principal(ctx)
	keys, err := s.cfg.DB.Keys(ctx, by.Org)
	if err != nil {
		return nil, err
	}
	out := GetMe200JSONResponse{Username: by.Name}
	if by.SignedIn() {
		out.Username = by.User
	}
	for _, key := range keys {
		if "key:"+key.ID.String() == by.Name {
			out.Username = key.Name
		}
	}
	return out, nil
}

// SyncActivities implements the operation: the shape was checked, nothing is
// stored.
func (s *server) SyncActivities(context.Context, SyncActivitiesRequestObject) (SyncActivitiesResponseObject, error) {
	return SyncActivities200JSONResponse{}, nil
}

// GetSpec implements the operation.
func (s *server) GetSpec(context.Context, GetSpecRequestObject) (GetSpecResponseObject, error) {
	return GetSpec200ApplicationyamlResponse{Body: bytes.NewReader(specYAML), ContentLength: int64(len(specYAML))}, nil
}

// GetHealth implements the operation.
func (s *server) GetHealth(context.Context, GetHealthRequestObject) (GetHealthResponseObject, error) {
	return GetHealth200JSONResponse{Status: Ok, Version: s.cfg.Version, Problems: []string{}}, nil
}

// GetReadiness implements the operation.
func (s *server) GetReadiness(ctx context.Context, _ GetReadinessRequestObject) (GetReadinessResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	problems, err := s.cfg.DB.Ready(ctx)
	if err != nil {
		respond.ExchangeOf(ctx).Err = err
	}
	if err != nil && len(problems) == 0 {
		problems = []string{"The database does not answer as it should."}
	}
	if len(problems) > 0 {
		return GetReadiness503JSONResponse{Status: Unready, Version: s.cfg.Version, Problems: problems}, nil
	}
	return GetReadiness200JSONResponse{Status: Ok, Version: s.cfg.Version, Problems: []string{}}, nil
}
