package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// personShown is a person in JSON.
type personShown struct {
	Email     string                `json:"email"`
	Addresses []store.PersonAddress `json:"addresses"`
}

func newIdentity(a *app) *cobra.Command {
	return group("identity", "Which addresses are one person's", newIdentityList(a), newIdentityJoin(a),
		newIdentitySplit(a), newIdentityReset(a))
}

// maxPeople bounds "identity list"; the API has the rest in pages.
const maxPeople = 10_000

func newIdentityList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list [EMAIL]",
		Short: "List the people with more than one address, or the one whose address is given",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				if len(args) == 1 {
					person, err := s.db.Person(ctx, by.Org, args[0])
					if err != nil {
						return err
					}
					return a.printPeople(person)
				}
				people, err := s.db.Persons(ctx, by.Org, "", maxPeople)
				if err != nil {
					return err
				}
				return a.printPeople(people...)
			})
		},
	}
}

func (a *app) printPeople(people ...store.Person) error {
	shown := make([]personShown, len(people))
	var rows [][]string
	for i, p := range people {
		shown[i] = personShown(p)
		if len(p.Addresses) == 0 {
			rows = append(rows, []string{p.Email, "", ""})
		}
		for _, address := range p.Addresses {
			rows = append(rows, []string{p.Email, address.Email, address.Source})
		}
	}
	return a.print(shown, []string{"PERSON", "ADDRESS", "BY"}, rows)
}

func newIdentityJoin(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "join PERSON EMAIL...",
		Short: "Say that addresses are a person's, who is known by the first",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("PERSON", "EMAIL")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				person, err := s.db.JoinAddresses(ctx, by, args[0], args[1:])
				if err != nil {
					return err
				}
				return a.printPeople(person)
			})
		},
	}
}

func newIdentitySplit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "split EMAIL",
		Short: "Say that an address is a person of its own, whatever mailmaps say",
		Args:  exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeIdentity(cmd.Context(), args[0], "is by itself now", func(ctx context.Context, db *store.DB, by access.Principal) error {
				return db.SplitAddress(ctx, by, args[0])
			})
		},
	}
}

func newIdentityReset(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reset EMAIL",
		Short: "Remove the rule on an address: mailmaps say whose it is",
		Args:  exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeIdentity(cmd.Context(), args[0], "has no rule any more", func(ctx context.Context, db *store.DB, by access.Principal) error {
				err := db.ResetAddress(ctx, by, args[0])
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no rule on %q", a.org, args[0])
				}
				return err
			})
		},
	}
}

func (a *app) changeIdentity(ctx context.Context, email, what string, change func(context.Context, *store.DB, access.Principal) error) error {
	return a.inOrg(ctx, func(ctx context.Context, s *session, by access.Principal) error {
		if err := change(ctx, s.db, by); err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]string{"email": strings.ToLower(email)})
		}
		_, err := fmt.Fprintf(a.stdout, "%s %s.\n", plain(strings.ToLower(email)), what)
		return err
	})
}
