package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// holdShown is a hold in JSON.
type holdShown struct {
	ID         string     `json:"id"`
	Decision   string     `json:"decision"`
	Repo       string     `json:"repo"`
	Ref        string     `json:"ref"`
	Pusher     string     `json:"pusher"`
	Commits    []string   `json:"commits"`
	CreatedAt  time.Time  `json:"created_at"`
	ReleasedAt *time.Time `json:"released_at"`
	ReleasedBy string     `json:"released_by"`
	Release    string     `json:"release"`
	Reason     string     `json:"reason"`
}

func newHold(a *app) *cobra.Command {
	return group("hold", "Branches that pushers may not push to", newHoldList(a), newHoldRelease(a))
}

func newHoldList(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the holds that are in force, newest first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				filter := store.HoldFilter{}
				if active := true; !all {
					filter.Active = &active
				}
				holds, err := s.db.Holds(ctx, by.Org, filter, uuid.Nil, maxListed)
				if err != nil {
					return err
				}
				return a.printHolds(holds)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "Those that ended, too")
	return cmd
}

func (a *app) printHolds(holds []store.RepoHold) error {
	shown := make([]holdShown, len(holds))
	rows := make([][]string, len(holds))
	for i, h := range holds {
		shown[i] = holdShown{h.ID.String(), h.DecisionID.String(), h.Repo, h.Ref, h.Pusher, h.Commits, h.CreatedAt, h.ReleasedAt,
			h.ReleasedBy, h.Release, h.Reason}
		rows[i] = []string{h.ID.String(), h.Repo, h.Ref, h.Pusher, strconv.Itoa(len(h.Commits)), when(&h.CreatedAt), h.DecisionID.String(), h.Release}
	}
	return a.print(shown, []string{"ID", "REPOSITORY", "REF", "PUSHER", "COMMITS", "SINCE (UTC)", "DECISION", "ENDED"}, rows)
}

func newHoldRelease(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "release ID",
		Short: "Let a pusher push to a branch again",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a hold's id; see \"hold list\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				hold, err := s.db.ReleaseHold(ctx, by, id, reason)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no hold %s; see \"blamepromptd hold list\"", a.org, id)
				}
				if err != nil {
					return err
				}
				return a.printHolds([]store.RepoHold{hold})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "Why (required)")
	return cmd
}
