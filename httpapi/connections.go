package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Connections connects organisations to forges. *connect.Connector is one.
type Connections interface {
	// Connect stores a connection that the forge has taken the token of.
	Connect(ctx context.Context, by access.Principal, in connect.Request) (row store.Connection, created bool, err error)
}

// ListConnections implements the operation.
func (s *server) ListConnections(ctx context.Context, _ ListConnectionsRequestObject) (ListConnectionsResponseObject, error) {
	rows, err := s.cfg.DB.Connections(ctx, principal(ctx).Org)
	if err != nil {
		return nil, err
	}
	items, err := s.describeConnections(ctx, rows...)
	return ListConnections200JSONResponse{Items: items}, err
}

// Connect implements the operation.
func (s *server) Connect(ctx context.Context, in ConnectRequestObject) (ConnectResponseObject, error) {
	if s.cfg.Connections == nil {
		return nil, &respond.Problem{Status: http.StatusServiceUnavailable, Code: "no_forges", Detail: "This server does not connect to forges."}
	}
	row, created, err := s.cfg.Connections.Connect(ctx, principal(ctx), connectRequest(*in.Body))
	if err != nil {
		return nil, forgeProblem(err)
	}
	shown, err := s.describeConnections(ctx, row)
	if err != nil {
		return nil, err
	}
	if created {
		return Connect201JSONResponse(shown[0]), nil
	}
	return Connect200JSONResponse(shown[0]), nil
}

func connectRequest(in NewConnection) connect.Request {
	return connect.Request{Forge: forge.Name(in.Forge), APIURL: in.ApiUrl, Owner: in.Owner, Token: forge.Secret(in.Token),
		Selection: store.Selection{Include: orNone(in.Include), Exclude: orNone(in.Exclude), Archived: in.Archived, SSH: in.Ssh,
			Forks: in.Forks == nil || *in.Forks, Webhooks: in.Webhooks == nil || *in.Webhooks}}
}

func orNone(patterns *Patterns) []string {
	if patterns == nil {
		return nil
	}
	return *patterns
}

// Disconnect implements the operation.
func (s *server) Disconnect(ctx context.Context, in DisconnectRequestObject) (DisconnectResponseObject, error) {
	_, err := s.cfg.DB.Disconnect(ctx, principal(ctx), in.Id, in.Params.RemoveRepos)
	return Disconnect204Response{}, err
}

// forgeProblem tells what a client can change from what only time can.
func forgeProblem(err error) error {
	var call *forge.CallError
	if !errors.As(err, &call) {
		return err
	}
	switch {
	case errors.Is(err, forge.ErrToken), errors.Is(err, forge.ErrForbidden):
		return respond.InvalidField("token", call.Error())
	case errors.Is(err, forge.ErrMissing):
		return respond.InvalidField("owner", call.Error())
	case errors.Is(err, forge.ErrAddress):
		return respond.InvalidField("api_url", call.Error())
	}
	problem := &respond.Problem{Status: http.StatusBadGateway, Code: "forge_failed", Detail: call.Error()}
	if wait := time.Until(call.RetryAt); wait > 0 {
		problem.Status, problem.RetryAfter = http.StatusServiceUnavailable, wait
	}
	return problem
}

// describeConnections joins connections and what they have.
func (s *server) describeConnections(ctx context.Context, rows ...store.Connection) ([]Connection, error) {
	org := principal(ctx).Org
	counts, err := s.cfg.DB.ConnectionRepos(ctx, org)
	if err != nil {
		return nil, err
	}
	items := make([]Connection, len(rows))
	for i, c := range rows {
		backlog, err := s.cfg.DB.StatusBacklog(ctx, org, c.ID)
		if err != nil {
			return nil, err
		}
		items[i] = Connection{Id: c.ID, Forge: ConnectedForge(c.Forge), ApiUrl: c.APIURL, Owner: c.Owner, Include: c.Include,
			Exclude: c.Exclude, Archived: c.Archived, Forks: c.Forks, Ssh: c.SSH, Webhooks: c.Webhooks, Repos: counts[c.ID],
			StatusesWaiting: backlog.Waiting, StatusesGivenUp: backlog.GivenUp, CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt,
			CheckedAt: c.CheckedAt, Problem: c.Problem}
	}
	return items, nil
}
