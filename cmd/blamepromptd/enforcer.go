package main

import (
	"context"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/policy/access"
)

// enforcer judges as the daemon does, on the same data.
func (s *session) enforcer() *enforce.Enforcer {
	return enforce.New(enforce.Config{DB: s.db, PublicURL: s.publicURL(), Log: s.log,
		Notes: &enforce.Mirrors{DB: s.db, Root: s.cfg.mirrorRoot()}})
}

// reconsider has what waits judged again because of what a command did: in a
// repository, or for the nil UUID in the whole organisation. The act is done
// whether or not that works: the daemon looks, too.
func (s *session) reconsider(ctx context.Context, by access.Principal, repo uuid.UUID, event string) {
	if err := s.enforcer().Reconsider(ctx, by.Org, repo, event); err != nil {
		s.log.Warn().Err(err).Msg("waiting decisions were not judged again; the daemon does it")
	}
}
