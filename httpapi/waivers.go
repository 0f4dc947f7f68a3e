package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// ListWaivers implements the operation.
func (s *server) ListWaivers(ctx context.Context, in ListWaiversRequestObject) (ListWaiversResponseObject, error) {
	org, p := principal(ctx).Org, in.Params
	filter := store.WaiverFilter{Pusher: p.Pusher, Active: p.Active}
	var err error
	if filter.Repos, err = s.reposNamed(ctx, org, p.Repo); err != nil {
		return nil, err
	}
	if filter.Policy, err = s.policyNamed(ctx, org, p.Policy); err != nil {
		return nil, err
	}
	limit, cursor := limitOr(p.Limit), p.Cursor
	p.Limit, p.Cursor = 0, ""
	seal := sealOf(org, "listWaivers", p)
	after, err := afterOf(cursor, seal)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.DB.Waivers(ctx, org, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := pageOf(rows, limit, seal, func(w *store.Waiver) uuid.UUID { return w.ID })
	return ListWaivers200JSONResponse{Items: each(rows, waiverOf), NextCursor: next}, nil
}

// CreateWaiver implements the operation.
func (s *server) CreateWaiver(ctx context.Context, in CreateWaiverRequestObject) (CreateWaiverResponseObject, error) {
	body := in.Body
	until, err := time.Parse(time.RFC3339, body.ExpiresAt)
	if err != nil {
		return nil, respond.InvalidField("expires_at", "must be a time to come such as 2027-01-31T00:00:00Z")
	}
	var made []store.Waiver
	if body.Decision != nil {
		made, err = s.waiveDecision(ctx, body, until)
	} else {
		made, err = s.waive(ctx, body, until)
	}
	if err != nil {
		return nil, err
	}
	s.reconsider(ctx, waivedRepo(made), store.EventWaiver)
	return CreateWaiver201JSONResponse{Items: each(made, waiverOf)}, nil
}

func (s *server) waiveDecision(ctx context.Context, body *NewWaiver, until time.Time) ([]store.Waiver, error) {
	if body.Policy != "" || body.Repo != "" || body.Pusher != "" || body.Commit != "" || body.PatchId != "" {
		return nil, respond.InvalidField("decision", "says itself what is waived: only reason and expires_at may stand beside it")
	}
	return s.cfg.DB.WaiveDecision(ctx, principal(ctx), *body.Decision, body.Reason, until)
}

func (s *server) waive(ctx context.Context, body *NewWaiver, until time.Time) ([]store.Waiver, error) {
	by := principal(ctx)
	if body.Policy == "" {
		return nil, respond.InvalidField("policy", "or a decision must be given")
	}
	wanted := store.NewWaiver{Pusher: body.Pusher, Commit: body.Commit, PatchID: body.PatchId, Reason: body.Reason, ExpiresAt: until}
	var err error
	if wanted.Policy, err = s.policyNamed(ctx, by.Org, body.Policy); err != nil {
		return nil, err
	}
	if wanted.Repo, err = s.repoNamed(ctx, by.Org, body.Repo); err != nil {
		return nil, err
	}
	made, err := s.cfg.DB.CreateWaiver(ctx, by, wanted)
	return []store.Waiver{made}, err
}

// waivedRepo is the one repository that waivers are of; the nil UUID stands for
// all.
func waivedRepo(waivers []store.Waiver) uuid.UUID {
	if id := waivers[0].RepoID; id != nil {
		return *id
	}
	return uuid.Nil
}

// patience bounds how long a request waits until what it may have changed was
// judged again; what is left then, the regular look at decisions does.
const patience = 10 * time.Second

// reconsider has what waits in a repository, or for the nil UUID anywhere,
// judged again. The act is done whether or not that works.
func (s *server) reconsider(ctx context.Context, repo uuid.UUID, event string) {
	if s.cfg.Enforcer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.cfg.Enforcer.Reconsider(ctx, principal(ctx).Org, repo, event); err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn().Err(err).Str("event", event).Msg("waiting decisions were not judged again; the regular look does it")
	}
}

// RevokeWaiver implements the operation.
func (s *server) RevokeWaiver(ctx context.Context, in RevokeWaiverRequestObject) (RevokeWaiverResponseObject, error) {
	waiver, err := s.cfg.DB.RevokeWaiver(ctx, principal(ctx), in.Id)
	if err != nil {
		return nil, err
	}
	s.reconsider(ctx, waivedRepo([]store.Waiver{waiver}), store.EventWaiver)
	return RevokeWaiver204Response{}, nil
}

func waiverOf(w store.Waiver) Waiver {
	return Waiver{Id: w.ID, PolicyId: w.PolicyID, Policy: w.Policy, RepoId: w.RepoID, Repo: w.Repo, Pusher: w.Pusher, Commit: w.Commit,
		PatchId: w.PatchID, Reason: w.Reason, CreatedBy: w.CreatedBy, CreatedAt: w.CreatedAt, ExpiresAt: w.ExpiresAt,
		RevokedAt: w.RevokedAt, RevokedBy: w.RevokedBy}
}
