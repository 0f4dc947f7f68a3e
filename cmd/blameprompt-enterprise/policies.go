package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/push"
)

func newPolicies(a *app) *cobra.Command {
	return group("policies", "List policies, and try new ones", newPoliciesList(a), newPoliciesTest(a))
}

// policyShown is a policy as the API answers it, as far as a table shows it.
type policyShown struct {
	Name    string              `json:"name"`
	Version int                 `json:"version"`
	Rule    json.RawMessage     `json:"rule"`
	Scope   map[string][]string `json:"scope"`
	Action  string              `json:"action"`
	Enabled bool                `json:"enabled"`
}

func newPoliciesList(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the policies in force",
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.listPolicies(cmd.Context(), all) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "List those that are switched off too")
	return cmd
}

func (a *app) listPolicies(ctx context.Context, all bool) error {
	client, _, err := a.connect()
	if err != nil {
		return err
	}
	query := url.Values{}
	if !all {
		query.Set("enabled", "true")
	}
	var page struct {
		Items []json.RawMessage `json:"items"`
	}
	if _, err := client.get(ctx, &page, query, "api", "v1", "policies"); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(page.Items)
	}
	rows := make([][]string, len(page.Items))
	for i, item := range page.Items {
		var p policyShown
		if err := json.Unmarshal(item, &p); err != nil {
			return fmt.Errorf("a policy of the answer cannot be read: %w", err)
		}
		state := "on"
		if !p.Enabled {
			state = "off"
		}
		rows[i] = []string{p.Name, strconv.Itoa(p.Version), p.Action, state, shorten(string(p.Rule), 60), scopeText(p.Scope)}
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.stderr, "No policy is in force.")
	}
	return a.table([]string{"NAME", "VERSION", "ACTION", "STATE", "RULE", "SCOPE"}, rows)
}

// scopeText says which pushes a policy is for.
func scopeText(scope map[string][]string) string {
	var parts []string
	for _, name := range []string{"repos", "branches", "teams"} {
		if patterns := scope[name]; len(patterns) > 0 {
			parts = append(parts, name+" "+strings.Join(patterns, ", "))
		}
	}
	return cmp.Or(strings.Join(parts, "; "), "everything")
}

const policiesTestHelp = `Try policies from a file in TOML or JSON, one policy or a list of them under
"policy", without saving them; docs/policies.md describes what a policy says.

By default the server judges the pushes that it recorded in a period again, and
tells for each policy how many it would have refused, with examples. With
--local the policies judge the local commits instead, as "check" does: the exit
code is 1 if they refuse.`

func newPoliciesTest(a *app) *cobra.Command {
	var from, to string
	var local bool
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Try policies from a file on recorded pushes, or on local commits",
		Long:  policiesTestHelp,
		Args:  exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(f.check(), checkDay("--from", from), checkDay("--to", to)); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			documents, err := readPolicies(args[0])
			if err != nil {
				return err
			}
			if local {
				f.policies = documents
				return a.check(cmd.Context(), f, nil)
			}
			return a.backtest(cmd.Context(), documents, from, to)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "First day of the recorded pushes, such as 2026-02-14")
	flags.StringVar(&to, "to", "", "Last day of the recorded pushes")
	flags.BoolVar(&local, "local", false, "Judge the local commits instead")
	f.addRange(flags)
	return cmd
}

// checkDay wants a day, if anything.
func checkDay(flag, day string) error {
	if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
		return fmt.Errorf("%s wants a day such as 2026-02-14, not %q", flag, day)
	}
	return nil
}

// backtested is what the server says of a policy and recorded pushes.
type backtested struct {
	From        string `json:"from"`
	To          string `json:"to"`
	Pushes      int    `json:"pushes"`
	InScope     int    `json:"in_scope"`
	WouldAccept int    `json:"would_accept"`
	WouldWarn   int    `json:"would_warn"`
	WouldRefuse int    `json:"would_refuse"`
	WouldWait   int    `json:"would_wait"`
	Examples    []struct {
		At       time.Time      `json:"at"`
		Repo     string         `json:"repo"`
		Pusher   string         `json:"pusher"`
		Told     push.Outcome   `json:"told"`
		Outcome  push.Outcome   `json:"outcome"`
		Findings []push.Finding `json:"findings"`
	} `json:"examples"`
	NotJudged []struct {
		Reason string `json:"reason"`
		Pushes int    `json:"pushes"`
	} `json:"not_judged"`
	Complete bool   `json:"complete"`
	Stopped  string `json:"stopped"`
}

func (a *app) backtest(ctx context.Context, documents []policyDocument, from, to string) error {
	client, _, err := a.connect()
	if err != nil {
		return err
	}
	answers := make([]json.RawMessage, len(documents))
	for i, d := range documents {
		question := map[string]any{"document": d.JSON}
		for name, day := range map[string]string{"from": from, "to": to} {
			if day != "" {
				question[name] = day
			}
		}
		body, err := json.Marshal(question)
		if err != nil {
			return fmt.Errorf("writing policy %q: %w", d.Name, err)
		}
		var result backtested
		answers[i], err = client.json(ctx, call{method: http.MethodPost, path: "/api/v1/policies/backtest", body: body}, &result)
		if err != nil {
			return ofPolicy(d, err)
		}
		if a.json {
			continue
		}
		if err := a.printBacktest(d, result, i > 0); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(answers)
	}
	return nil
}

// ofPolicy names the policy that the server found a mistake in.
func ofPolicy(d policyDocument, err error) error {
	var refused *apiError
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return fmt.Errorf("policy %q: %w", d.Name, err)
	}
	return err
}

func (a *app) printBacktest(d policyDocument, b backtested, more bool) error {
	if more {
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprintf(a.stdout, "%s: of %s from %s to %s it would have refused %d, warned of %d, awaited receipts of %d; %d are not in its scope.\n",
		plain(d.Name), count(b.Pushes, "push"), b.From, b.To, b.WouldRefuse, b.WouldWarn, b.WouldWait, b.Pushes-b.InScope)
	for _, n := range b.NotJudged {
		fmt.Fprintf(a.stdout, "  not judged: %d, %s\n", n.Pushes, plain(n.Reason))
	}
	if !b.Complete {
		fmt.Fprintf(a.stdout, "  not all were looked at: %s\n", plain(b.Stopped))
	}
	var rows [][]string
	for _, e := range b.Examples {
		finding := ""
		if len(e.Findings) > 0 {
			finding = shorten(e.Findings[0].Message, 80)
		}
		rows = append(rows, []string{when(e.At), e.Repo, e.Pusher, string(e.Told), string(e.Outcome), finding})
	}
	return a.table([]string{"TIME (UTC)", "REPOSITORY", "PUSHER", "TOLD", "WOULD", "FINDING"}, rows)
}
