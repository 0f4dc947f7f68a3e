package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// grantShown is a grant in JSON. Repo is empty for every repository.
type grantShown struct {
	Subject    store.Subject     `json:"subject"`
	Name       string            `json:"name"`
	Repo       string            `json:"repo"`
	Permission access.Permission `json:"permission"`
	Override   bool              `json:"override"`
	CreatedBy  string            `json:"created_by"`
	CreatedAt  time.Time         `json:"created_at"`
}

func showGrant(g store.Grant) grantShown {
	return grantShown{g.Subject, g.SubjectName, g.Repo, g.Permission, g.Override, g.CreatedBy, g.CreatedAt}
}

func newGrant(a *app) *cobra.Command {
	return group("grant", "What people may do through the SSH gateway", newGrantAdd(a), newGrantList(a), newGrantRemove(a))
}

// teamPrefix marks the name of a team where a user could stand.
const teamPrefix = "team:"

// grantTo is whom and on what a grant is.
type grantTo struct {
	all  bool
	args []string
}

func (g *grantTo) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&g.all, "all", false, "Every repository, also those that are added later")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		g.args = args
		if g.all {
			return exactly("WHO")(cmd, args)
		}
		return exactly("WHO", "REPO (or --all)")(cmd, args)
	}
}

// find resolves the names. The repository is the nil UUID for every one.
func (g *grantTo) find(ctx context.Context, a *app, s *session, org uuid.UUID) (who store.Subject, id, repo uuid.UUID, err error) {
	name, isTeam := strings.CutPrefix(g.args[0], teamPrefix)
	who, kind := store.SubjectUser, "user"
	if isTeam {
		who, kind = store.SubjectTeam, "team"
		id, err = s.db.TeamID(ctx, org, name)
	} else {
		var user store.User
		user, err = s.db.User(ctx, org, name)
		id = user.ID
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", uuid.Nil, uuid.Nil, fmt.Errorf("organisation %s has no %s %q", a.org, kind, name)
	}
	if err != nil || g.all {
		return who, id, uuid.Nil, err
	}
	row, err := s.db.Repo(ctx, org, g.args[1])
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("organisation %s has no repository %q; see \"blamepromptd repo list\"", a.org, g.args[1])
	}
	return who, id, row.ID, err
}

func newGrantAdd(a *app) *cobra.Command {
	var to grantTo
	var write, override bool
	cmd := &cobra.Command{
		Use:   "add WHO REPO",
		Short: "Let a user or a team read a repository, or write to it",
		Long: "Let a user or a team read a repository, or write to it. WHO is an e-mail address, or team:NAME. What the\n" +
			"same had on the same repository before is replaced; what several grants allow adds up.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			permission := access.ReadRepo
			if write || override {
				permission = access.WriteRepo
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				who, id, repo, err := to.find(ctx, a, s, by.Org)
				if err != nil {
					return err
				}
				grant, err := s.db.SetGrant(ctx, by, store.NewGrant{
					Subject: who, SubjectID: id, RepoID: repo, Permission: permission, Override: override})
				if err != nil {
					return err
				}
				return a.printGrants(showGrant(grant), grant)
			})
		},
	}
	to.addFlags(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "Let them write")
	cmd.Flags().BoolVar(&override, "override", false, "Let them write, and go ahead with pushes that policies refuse, on the record")
	return cmd
}

func newGrantList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the grants",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				grants, err := s.db.Grants(ctx, by.Org)
				if err != nil {
					return err
				}
				shown := make([]grantShown, len(grants))
				for i, g := range grants {
					shown[i] = showGrant(g)
				}
				return a.printGrants(shown, grants...)
			})
		},
	}
}

func (a *app) printGrants(shown any, grants ...store.Grant) error {
	rows := make([][]string, len(grants))
	for i, g := range grants {
		who, repo, may := g.SubjectName, g.Repo, string(g.Permission)
		if g.Subject == store.SubjectTeam {
			who = teamPrefix + who
		}
		if g.RepoID == uuid.Nil {
			repo = "(every one)"
		}
		if g.Override {
			may += ", override"
		}
		rows[i] = []string{who, repo, may, g.CreatedBy, when(&g.CreatedAt)}
	}
	return a.print(shown, []string{"WHO", "REPOSITORY", "MAY", "GRANTED BY", "CREATED (UTC)"}, rows)
}

func newGrantRemove(a *app) *cobra.Command {
	var to grantTo
	cmd := &cobra.Command{
		Use:   "remove WHO REPO",
		Short: "Take a grant back",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				who, id, repo, err := to.find(ctx, a, s, by.Org)
				if err != nil {
					return err
				}
				grant, err := s.db.RemoveGrant(ctx, by, who, id, repo)
				if errors.Is(err, store.ErrNotFound) {
					return errors.New("there is no such grant; see \"blamepromptd grant list\"")
				}
				if err != nil {
					return err
				}
				return a.printGrants(showGrant(grant), grant)
			})
		},
	}
	to.addFlags(cmd)
	return cmd
}
