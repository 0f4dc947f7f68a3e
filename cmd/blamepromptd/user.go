package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// userShown is a user in JSON.
type userShown struct {
	ID         string      `json:"id"`
	Email      string      `json:"email"`
	Name       string      `json:"name"`
	Role       access.Role `json:"role"`
	Logins     []string    `json:"logins"`
	CreatedAt  time.Time   `json:"created_at"`
	DisabledAt *time.Time  `json:"disabled_at"`
	// HasPassword says that the person can sign in.
	HasPassword bool `json:"has_password"`
}

func showUser(u store.User) userShown {
	return userShown{u.ID.String(), u.Email, u.Name, u.Role, u.Logins, u.CreatedAt, u.DisabledAt, u.HasPassword}
}

func newUser(a *app) *cobra.Command {
	return group("user", "People and what they may do", newUserAdd(a), newUserInvite(a), newUserPasswdLink(a), newUserRole(a),
		newUserList(a), newUserDisable(a))
}

func newUserAdd(a *app) *cobra.Command {
	var in store.NewUser
	var role string
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Add a person, or enable one again",
		Args:  exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.Role, err = access.ParseRole(role); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			in.Email = args[0]
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				user, err := s.db.CreateUser(ctx, by, in)
				if errors.Is(err, store.ErrConflict) {
					return fmt.Errorf("user %s exists already; see \"blamepromptd user list\"", in.Email)
				}
				if err != nil {
					return err
				}
				return a.printUsers(showUser(user), user)
			})
		},
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "The person's name")
	cmd.Flags().StringVar(&role, "role", "member", "What the person may do: admin, member, viewer")
	cmd.Flags().StringSliceVar(&in.Logins, "login", nil, "Name of an account at a forge, by which its hooks name the person; may be repeated")
	return cmd
}

func newUserList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the people, disabled ones included",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				users, err := s.db.Users(ctx, by.Org)
				if err != nil {
					return err
				}
				shown := make([]userShown, len(users))
				for i, u := range users {
					shown[i] = showUser(u)
				}
				return a.printUsers(shown, users...)
			})
		},
	}
}

func (a *app) printUsers(shown any, users ...store.User) error {
	rows := make([][]string, len(users))
	for i, u := range users {
		signsIn := "no"
		if u.HasPassword {
			signsIn = "yes"
		}
		rows[i] = []string{u.Email, u.Name, string(u.Role), signsIn, strings.Join(u.Logins, ","), when(&u.CreatedAt), when(u.DisabledAt)}
	}
	return a.print(shown, []string{"EMAIL", "NAME", "ROLE", "SIGNS IN", "LOGINS", "CREATED (UTC)", "DISABLED"}, rows)
}

func newUserDisable(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "disable EMAIL",
		Short: "Take a person's access away at once",
		Long:  "Take a person's access away at once: sessions end, and keys of all kinds end to work. \"user add\" enables the person again.",
		Args:  exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withUser(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, user store.User) error {
				user, err := s.db.DisableUser(ctx, by, user.ID)
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

// withUser is inOrg with a person by address or id.
func (a *app) withUser(ctx context.Context, name string,
	fn func(context.Context, *session, access.Principal, store.User) error) error {
	return a.inOrg(ctx, func(ctx context.Context, s *session, by access.Principal) error {
		user, err := s.db.User(ctx, by.Org, name)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("organisation %s has no user %q; see \"blamepromptd user list\"", a.org, name)
		}
		if err != nil {
			return err
		}
		return fn(ctx, s, by, user)
	})
}
