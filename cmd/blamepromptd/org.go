package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// orgShown is an organisation in JSON.
type orgShown struct {
	ID                 string    `json:"id"`
	Name               string    `json:"name"`
	Title              string    `json:"title"`
	TimeZone           string    `json:"time_zone"`
	StoreConversations bool      `json:"store_conversations"`
	CreatedAt          time.Time `json:"created_at"`
}

func showOrg(o store.Org) orgShown {
	return orgShown{o.ID.String(), o.Name, o.Title, o.TimeZone, o.StoreConversations, o.CreatedAt}
}

func newOrg(a *app) *cobra.Command {
	return group("org", "Organisations", newOrgCreate(a), newOrgSet(a), newOrgList(a), newOrgConnect(a),
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

func newOrgSet(a *app) *cobra.Command {
	var title, timeZone string
	var conversations bool
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Change the settings of the organisation that --org names",
		Long: "Change the settings of the organisation that --org names. Its name is for ever; its time zone can be set until the first\n" +
			"receipt, commit or push was counted by its days.",
		Args: exactly(),
	}
	cmd.Flags().StringVar(&title, "title", "", "What people read in place of the name")
	cmd.Flags().StringVar(&timeZone, "time-zone", "", "Time zone whose days its numbers are counted by")
	cmd.Flags().BoolVar(&conversations, "store-conversations", false, "Whether conversations in receipts that arrive from now on are stored")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var change store.OrgChange
		for name, set := range map[string]func(){
			"title": func() { change.Title = &title }, "time-zone": func() { change.TimeZone = &timeZone },
			"store-conversations": func() { change.StoreConversations = &conversations },
		} {
			if cmd.Flags().Changed(name) {
				set()
			}
		}
		if change == (store.OrgChange{}) {
			return &usageError{cmd.CommandPath(), errors.New("nothing to change; give --title, --time-zone or --store-conversations")}
		}
		return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
			org, err := s.db.UpdateOrg(ctx, by, change)
			if err != nil {
				return err
			}
			return a.printOrgs(showOrg(org), org)
		})
	}
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
		rows[i] = []string{o.Name, o.TimeZone, o.Title, when(&o.CreatedAt), o.ID.String()}
	}
	return a.print(items, []string{"NAME", "TIME ZONE", "TITLE", "CREATED (UTC)", "ID"}, rows)
}
