package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/file"
	"github.com/blameprompt/enterprise/store"
)

// policyShown is a policy in JSON: a document that the API takes, and when it
// was made.
type policyShown struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Version   int               `json:"version"`
	Rule      json.RawMessage   `json:"rule"`
	Scope     store.PolicyScope `json:"scope"`
	Action    policy.Action     `json:"action"`
	Enabled   bool              `json:"enabled"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
	RemovedAt *time.Time        `json:"removed_at"`
}

func showPolicy(row store.Policy) policyShown {
	doc := row.Outline()
	return policyShown{ID: row.ID.String(), Name: row.Name, Version: row.Version, Rule: doc.Rule, Scope: doc.Scope,
		Action: doc.Action, Enabled: row.Enabled, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, RemovedAt: row.RemovedAt}
}

func newPolicy(a *app) *cobra.Command {
	return group("policy", "Policies that pushes are judged by", newPolicyApply(a), newPolicyList(a), newPolicyShow(a),
		newPolicyVersions(a), newPolicyTest(a), newPolicySwitch(a, "enable", "Switch a policy on", true),
		newPolicySwitch(a, "disable", "Switch a policy off", false), newPolicyRemove(a))
}

func newPolicyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the policies",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				rows, err := s.db.Policies(ctx, by.Org)
				if err != nil {
					return err
				}
				return a.printPolicies(rows)
			})
		},
	}
}

func (a *app) printPolicies(policies []store.Policy) error {
	shown := make([]policyShown, len(policies))
	rows := make([][]string, len(policies))
	for i, row := range policies {
		shown[i] = showPolicy(row)
		rows[i] = []string{row.Name, onOff(row.Enabled), string(shown[i].Action), ruleText(shown[i].Rule), scopeText(shown[i].Scope),
			strconv.Itoa(row.Version), when(&row.UpdatedAt)}
	}
	return a.print(shown, []string{"NAME", "STATE", "ACTION", "RULE", "SCOPE", "VERSION", "CHANGED (UTC)"}, rows)
}

func onOff(enabled bool) string {
	if enabled {
		return "on"
	}
	return "off"
}

// ruleText is a rule in a table: its JSON, cut where it is long.
func ruleText(rule json.RawMessage) string {
	const most = 60
	text := []rune(string(rule))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

func scopeText(s store.PolicyScope) string {
	var parts []string
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"repos", s.Repos}, {"branches", s.Branches}, {"teams", s.Teams}} {
		if len(list.patterns) > 0 {
			parts = append(parts, list.name+"="+strings.Join(list.patterns, ","))
		}
	}
	if parts == nil {
		return "all"
	}
	return strings.Join(parts, " ")
}

// withPolicy is inOrg with a policy by name or id.
func (a *app) withPolicy(ctx context.Context, name string,
	fn func(context.Context, *session, access.Principal, store.Policy) error) error {
	return a.inOrg(ctx, func(ctx context.Context, s *session, by access.Principal) error {
		row, err := s.db.Policy(ctx, by.Org, name)
		if errors.Is(err, store.ErrNotFound) {
			return a.noPolicy(name)
		}
		if err != nil {
			return err
		}
		return fn(ctx, s, by, row)
	})
}

func (a *app) noPolicy(name string) error {
	return fmt.Errorf("organisation %s has no policy %q; see \"blamepromptd policy list\"", a.org, name)
}

func newPolicyShow(a *app) *cobra.Command {
	var version int
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a policy as a file that \"policy apply\" takes",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withPolicy(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, row store.Policy) error {
				if version == 0 {
					version = row.Version
				}
				v, err := s.db.PolicyVersion(ctx, by.Org, row.ID, version)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("policy %q has no version %d; it has %d", row.Name, version, row.Version)
				}
				if err != nil {
					return err
				}
				return a.printPolicy(row, v)
			})
		},
	}
	cmd.Flags().IntVar(&version, "version", 0, "Version to show (default: the one in force)")
	return cmd
}

func (a *app) printPolicy(row store.Policy, v store.PolicyVersion) error {
	doc, err := v.Parse()
	if err != nil {
		return err
	}
	if a.json {
		row.Name, row.Version, row.Enabled, row.Document = doc.Name, doc.Version, doc.Enabled, v.Document
		return a.printJSON(showPolicy(row))
	}
	text, err := file.Write(doc)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "# Version %d, %s by %s at %s UTC\n%s", v.Version, v.Change, plain(v.Author), when(&v.CreatedAt), text)
	return nil
}

// policyVersionShown is a version in JSON.
type policyVersionShown struct {
	Version   int                `json:"version"`
	Change    store.PolicyChange `json:"change"`
	Author    string             `json:"author"`
	CreatedAt time.Time          `json:"created_at"`
	Document  json.RawMessage    `json:"document"`
}

// maxVersionsShown bounds "policy versions".
const maxVersionsShown = 1000

func newPolicyVersions(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "versions NAME",
		Short: "List the versions of a policy, newest first; by its id also of a removed one",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withPolicy(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, row store.Policy) error {
				versions, err := s.db.PolicyVersions(ctx, by.Org, row.ID, 0, maxVersionsShown)
				if err != nil {
					return err
				}
				shown := make([]policyVersionShown, len(versions))
				rows := make([][]string, len(versions))
				for i, v := range versions {
					shown[i] = policyVersionShown{v.Version, v.Change, v.Author, v.CreatedAt, v.Document}
					rows[i] = []string{strconv.Itoa(v.Version), string(v.Change), v.Author, when(&v.CreatedAt)}
				}
				return a.print(shown, []string{"VERSION", "CHANGE", "BY", "AT (UTC)"}, rows)
			})
		},
	}
}

func newPolicySwitch(a *app, use, short string, enabled bool) *cobra.Command {
	return &cobra.Command{
		Use:   use + " NAME",
		Short: short,
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withPolicy(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, row store.Policy) error {
				row, err := s.db.EnablePolicy(ctx, by, row.ID, 0, enabled)
				if errors.Is(err, store.ErrNotFound) {
					return a.noPolicy(args[0])
				}
				if err != nil {
					return err
				}
				s.reconsider(ctx, by, uuid.Nil, store.EventPolicy)
				return a.printPolicies([]store.Policy{row})
			})
		},
	}
}

func newPolicyRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a policy; its versions stay readable by its id",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withPolicy(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, row store.Policy) error {
				err := s.db.RemovePolicy(ctx, by, row.ID, 0)
				if errors.Is(err, store.ErrNotFound) {
					return a.noPolicy(args[0])
				}
				if err != nil {
					return err
				}
				s.reconsider(ctx, by, uuid.Nil, store.EventPolicy)
				if a.json {
					return a.printJSON(map[string]string{"id": row.ID.String(), "name": row.Name})
				}
				fmt.Fprintf(a.stdout, "Policy %s is removed. Its versions stay under %s.\n", plain(row.Name), row.ID)
				return nil
			})
		},
	}
}
