package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// backtestShown is what a policy would have done, in JSON.
type backtestShown struct {
	Policy      string           `json:"policy"`
	From        string           `json:"from"`
	To          string           `json:"to"`
	Pushes      int              `json:"pushes"`
	InScope     int              `json:"in_scope"`
	WouldAccept int              `json:"would_accept"`
	WouldWarn   int              `json:"would_warn"`
	WouldRefuse int              `json:"would_refuse"`
	WouldWait   int              `json:"would_wait"`
	Examples    []exampleShown   `json:"examples"`
	NotJudged   []notJudgedShown `json:"not_judged"`
	Complete    bool             `json:"complete"`
	Stopped     string           `json:"stopped,omitempty"`
}

type exampleShown struct {
	Decision string         `json:"decision"`
	At       time.Time      `json:"at"`
	Repo     string         `json:"repo"`
	Pusher   string         `json:"pusher"`
	Told     push.Outcome   `json:"told"`
	Outcome  push.Outcome   `json:"outcome"`
	Findings []push.Finding `json:"findings"`
}

type notJudgedShown struct {
	Reason string `json:"reason"`
	Pushes int    `json:"pushes"`
}

func newPolicyTest(a *app) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "test NAME|FILE",
		Short: "Say what a policy would have done to recorded pushes",
		Long: "Say what a policy would have done to recorded pushes: one that is stored, on or off, or each one in a file.\n" +
			"Nothing is changed. docs/policies.md says what such a test cannot know.",
		Args: exactly("NAME|FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				period, err := readPeriod(ctx, s, by, from, to)
				if err != nil {
					return &usageError{cmd.CommandPath(), err}
				}
				tried, err := a.triedPolicies(ctx, s, by, cmd.InOrStdin(), args[0])
				if err != nil {
					return err
				}
				return a.testPolicies(ctx, s, by, tried, period)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "First day, such as 2026-02-14 (default: 30 days)")
	cmd.Flags().StringVar(&to, "to", "", "Last day (default: today)")
	return cmd
}

// period is the first and the last day of a test, in the organisation's time
// zone.
type period struct{ first, last time.Time }

const testedDays = 30

func readPeriod(ctx context.Context, s *session, by access.Principal, from, to string) (period, error) {
	org, err := s.db.OrgByID(ctx, by.Org)
	if err != nil {
		return period{}, err
	}
	zone, err := time.LoadLocation(org.TimeZone)
	if err != nil {
		return period{}, err
	}
	var p period
	if p.last, err = time.ParseInLocation(time.DateOnly, cmp.Or(to, time.Now().In(zone).Format(time.DateOnly)), zone); err != nil {
		return p, fmt.Errorf("--to %q is no day such as 2026-02-14", to)
	}
	if p.first, err = time.ParseInLocation(time.DateOnly, cmp.Or(from, p.last.AddDate(0, 0, 1-testedDays).Format(time.DateOnly)), zone); err != nil {
		return p, fmt.Errorf("--from %q is no day such as 2026-02-14", from)
	}
	if p.last.Before(p.first) {
		return p, errors.New("--to must not be before --from")
	}
	return p, nil
}

// triedPolicies are those of a file, or the stored one of a name.
func (a *app) triedPolicies(ctx context.Context, s *session, by access.Principal, stdin io.Reader, name string) ([]policy.Policy, error) {
	row, err := s.db.Policy(ctx, by.Org, name)
	if err == nil {
		doc, err := row.Parse()
		return []policy.Policy{doc}, err
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if _, err := os.Stat(name); err != nil && name != "-" {
		return nil, fmt.Errorf("%q is neither a policy of organisation %s nor a file; see \"blamepromptd policy list\"", name, a.org)
	}
	entries, err := readPolicyFiles(stdin, []string{name})
	if err != nil {
		return nil, err
	}
	docs := make([]policy.Policy, len(entries))
	for i, entry := range entries {
		docs[i] = entry.Policy
	}
	return docs, nil
}

func (a *app) testPolicies(ctx context.Context, s *session, by access.Principal, tried []policy.Policy, p period) error {
	var shown []backtestShown
	var rows [][]string
	for _, doc := range tried {
		doc.Enabled = true
		set, err := policy.Compile([]policy.Policy{doc})
		if err != nil {
			return err
		}
		got, err := s.enforcer().Backtest(ctx, by.Org, set, p.first, p.last.AddDate(0, 0, 1))
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		shown = append(shown, showBacktest(doc.Name, got, p))
		unknown := 0
		for _, n := range got.NotJudged {
			unknown += n.Pushes
		}
		row := []string{doc.Name}
		for _, n := range []int{got.Pushes, got.InScope, got.WouldAccept, got.WouldWarn, got.WouldRefuse, got.WouldWait, unknown} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	if err := a.print(shown, []string{"POLICY", "PUSHES", "IN SCOPE", "ACCEPTED", "WARNED", "REFUSED", "WAITING", "NOT JUDGED"}, rows); err != nil || a.json {
		return err
	}
	return a.printExamples(shown)
}

func showBacktest(name string, r backtest.Result, p period) backtestShown {
	shown := backtestShown{Policy: name, From: p.first.Format(time.DateOnly), To: p.last.Format(time.DateOnly), Pushes: r.Pushes,
		InScope: r.InScope, WouldAccept: r.WouldAccept, WouldWarn: r.WouldWarn, WouldRefuse: r.WouldRefuse, WouldWait: r.WouldWait,
		Complete: r.Stopped == "", Stopped: r.Stopped, Examples: []exampleShown{}, NotJudged: []notJudgedShown{}}
	for _, e := range r.Examples {
		shown.Examples = append(shown.Examples, exampleShown{e.Decision, e.At, e.Repo, e.Pusher, e.Told, e.Outcome, e.Findings})
	}
	for _, n := range r.NotJudged {
		shown.NotJudged = append(shown.NotJudged, notJudgedShown{n.Reason, n.Pushes})
	}
	return shown
}

// printExamples prints what the table of counts cannot: which pushes, and why
// some were not judged.
func (a *app) printExamples(tested []backtestShown) error {
	var rows [][]string
	for _, t := range tested {
		for _, e := range t.Examples {
			message := ""
			if len(e.Findings) > 0 {
				message = e.Findings[0].Message
			}
			rows = append(rows, []string{t.Policy, string(e.Outcome), when(&e.At), e.Repo, e.Pusher, e.Decision, message})
		}
		for _, n := range t.NotJudged {
			fmt.Fprintf(a.stderr, "%s: %d not judged: %s.\n", plain(t.Policy), n.Pushes, n.Reason)
		}
		if t.Stopped != "" {
			fmt.Fprintf(a.stderr, "%s: not all pushes were looked at: %s.\n", plain(t.Policy), t.Stopped)
		}
	}
	if rows == nil {
		return nil
	}
	fmt.Fprintln(a.stdout)
	return a.print(nil, []string{"POLICY", "OUTCOME", "AT (UTC)", "REPOSITORY", "PUSHER", "DECISION", "FINDING"}, rows)
}
