package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// linkShown is an account link in JSON. Link is there once, when it is made.
type linkShown struct {
	ID        string      `json:"id"`
	Email     string      `json:"email"`
	Role      access.Role `json:"role"`
	ExpiresAt time.Time   `json:"expires_at"`
	Link      string      `json:"link"`
}

// printLink shows a link, this once.
func (a *app) printLink(s *session, link store.AccountLink, secret string) error {
	address := auth.LinkURL(s.publicURL(), link.Kind, secret)
	if a.json {
		return a.printJSON(linkShown{link.ID.String(), link.Email, link.Role, link.ExpiresAt, address})
	}
	fmt.Fprintf(a.stdout, "%s\n", address)
	fmt.Fprintf(a.stderr, "Give the link to %s. It works once, until %s UTC, and is not shown again.\n", plain(link.Email), when(&link.ExpiresAt))
	return nil
}

func newUserInvite(a *app) *cobra.Command {
	var name, role string
	cmd := &cobra.Command{
		Use:   "invite EMAIL",
		Short: "Make a link by which a person gets an account, and show it, this once",
		Long: "Make a link by which a person chooses a password and can sign in, and show it, this once. It works for a week, and\n" +
			"replaces an earlier one to the same address. Somebody who was added already keeps keys, grants and teams.",
		Args: exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := access.ParseRole(role)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				link, secret, err := s.db.Invite(ctx, by, store.NewInvitation{Email: args[0], Name: name, Role: parsed, Now: time.Now()})
				if errors.Is(err, store.ErrConflict) {
					return fmt.Errorf("user %s has an account already; \"user passwd-link\" makes a link for a new password", args[0])
				}
				if err != nil {
					return err
				}
				return a.printLink(s, link, secret)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "The person's name")
	cmd.Flags().StringVar(&role, "role", "member", "What the person may do: admin, member, viewer")
	return cmd
}

func newUserPasswdLink(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "passwd-link EMAIL",
		Short: "Make a link by which a person chooses a new password, and show it, this once",
		Long:  "Make a link by which a person chooses a new password, and show it, this once. It works for a day. Sessions end when it is used.",
		Args:  exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withUser(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, user store.User) error {
				link, secret, err := s.db.PasswordLink(ctx, by, user.Email, time.Now())
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("user %s is disabled; \"user add\" enables", user.Email)
				}
				if err != nil {
					return err
				}
				return a.printLink(s, link, secret)
			})
		},
	}
}

func newUserRole(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "role EMAIL ROLE",
		Short: "Say what a person may do: admin, member or viewer",
		Long: "Say what a person may do. An admin may do everything, a member read, review and add receipts, a viewer read. Sessions\n" +
			"and keys of the person follow at once.",
		Args: exactly("EMAIL", "ROLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := access.ParseRole(args[1])
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.withUser(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, user store.User) error {
				user, err := s.db.UpdateUser(ctx, by, user.ID, store.UserChange{Role: &role})
				if errors.Is(err, store.ErrLastAdmin) {
					return fmt.Errorf("%s is the last admin: make somebody else one first", args[0])
				}
				if err != nil {
					return err
				}
				return a.printUsers(showUser(user), user)
			})
		},
	}
}
