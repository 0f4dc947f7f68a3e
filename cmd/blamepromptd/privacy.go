package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

func newPrivacy(a *app) *cobra.Command {
	return group("privacy", "What is kept of prompts, and how long", newPrivacyShow(a), newPrivacyPrompts(a), newPrivacyKeep(a))
}

// privacyShown is what an organisation keeps, in JSON.
type privacyShown struct {
	Prompts            store.Prompts   `json:"prompts"`
	StoreConversations bool            `json:"store_conversations"`
	Retention          map[string]*int `json:"retention_days"`
}

func newPrivacyShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show what is kept, and how long",
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.inOrg(cmd.Context(), a.showPrivacy) },
	}
}

func (a *app) showPrivacy(ctx context.Context, s *session, by access.Principal) error {
	org, err := s.db.OrgByID(ctx, by.Org)
	if err != nil {
		return err
	}
	limits, err := s.db.Retentions(ctx, by.Org)
	if err != nil {
		return err
	}
	shown := privacyShown{org.Prompts, org.StoreConversations, map[string]*int{}}
	rows := [][]string{{"text of prompts and answers", string(org.Prompts)}, {"conversations", map[bool]string{true: "stored", false: "dropped"}[org.StoreConversations]}}
	for _, limit := range limits {
		shown.Retention[limit.Class] = limit.Days
		kept := "for ever"
		if limit.Days != nil {
			kept = strconv.Itoa(*limit.Days) + " days"
		}
		rows = append(rows, []string{limit.Class + " are kept", kept})
	}
	return a.print(shown, []string{"WHAT", "HOW"}, rows)
}

func newPrivacyPrompts(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "prompts stored|hashed|dropped",
		Short: "Set what is kept of the text of prompts and answers",
		Long: "Set what is kept of the text of prompts and answers: the text, a hash by which equal texts are known, or nothing.\n" +
			"What is stored is brought in line within minutes. What was reduced does not come back.",
		Args: exactly("SETTING"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				setting := store.Prompts(args[0])
				if _, err := s.db.UpdateOrg(ctx, by, store.OrgChange{Prompts: &setting}); err != nil {
					return err
				}
				return a.showPrivacy(ctx, s, by)
			})
		},
	}
}

func newPrivacyKeep(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "keep CLASS DAYS",
		Short: "Set how many days a class of data is kept, or \"forever\"",
		Args:  exactly("CLASS", "DAYS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit := store.Retention{Class: args[0]}
			if args[1] != "forever" {
				days, err := strconv.Atoi(args[1])
				if err != nil {
					return &usageError{cmd.CommandPath(), fmt.Errorf("DAYS must be a number or \"forever\", not %q", args[1])}
				}
				limit.Days = &days
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				if err := s.db.SetRetention(ctx, by, limit); err != nil {
					return err
				}
				return a.showPrivacy(ctx, s, by)
			})
		},
	}
}
