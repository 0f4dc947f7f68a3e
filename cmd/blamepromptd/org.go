package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/store"
)

// orgShown is an organisation in JSON.
type orgShown struct {
	ID                 string    `json:"id"`
	Name               string    `json:"name"`
	TimeZone           string    `json:"time_zone"`
	StoreConversations bool      `json:"store_conversations"`
	CreatedAt          time.Time `json:"created_at"`
}

func showOrg(o store.Org) orgShown {
	return orgShown{o.ID.String(), o.Name, o.TimeZone, o.StoreConversations, o.CreatedAt}
}

func newOrg(a *app) *cobra.Command {
	return group("org", "Organisations", newOrgCreate(a), newOrgList(a), newOrgConnect(a),
		newOrgConnections(a), newOrgDisconnect(a))
}

func newOrgCreate(a *app) *cobra.Command {
	var timeZone string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an organisation",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inSession(cmd.Context(), func(ctx context.Context, s *session) error {
				org, err := s.db.CreateOrg(ctx, args[0], timeZone)
				if errors.Is(err, store.ErrConflict) {
					return fmt.Errorf("organisation %q exists already", args[0])
				}
				if err != nil {
					return err
				}
				return a.printOrgs(showOrg(org), org)
			})
		},
	}
	cmd.Flags().StringVar(&timeZone, "time-zone", "UTC", "Time zone whose days its numbers are counted by")
	return cmd
}

func newOrgList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the organisations",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inSession(cmd.Context(), func(ctx context.Context, s *session) error {
				orgs, err := s.db.Orgs(ctx)
				if err != nil {
					return err
				}
				shown := make([]orgShown, len(orgs))
				for i, org := range orgs {
					shown[i] = showOrg(org)
				}
				return a.printOrgs(shown, orgs...)
			})
		},
	}
}

func (a *app) printOrgs(items any, orgs ...store.Org) error {
	rows := make([][]string, len(orgs))
	for i, o := range orgs {
		rows[i] = []string{o.Name, o.TimeZone, when(&o.CreatedAt), o.ID.String()}
	}
	return a.print(items, []string{"NAME", "TIME ZONE", "CREATED (UTC)", "ID"}, rows)
}
