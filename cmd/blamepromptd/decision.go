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

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// decisionShown is a decision in JSON.
type decisionShown struct {
	ID          string              `json:"id"`
	At          time.Time           `json:"at"`
	Repo        string              `json:"repo"`
	Pusher      string              `json:"pusher"`
	PusherName  string              `json:"pusher_name"`
	Forge       string              `json:"forge"`
	Via         string              `json:"via"`
	Refs        []push.Ref          `json:"refs"`
	Outcome     push.Outcome        `json:"outcome"`
	State       store.DecisionState `json:"state"`
	ReceiptMode string              `json:"receipt_mode"`
	DueAt       *time.Time          `json:"due_at"`
	Override    string              `json:"override"`
	Commits     int                 `json:"commits"`
	Added       int64               `json:"added"`
	AI          int64               `json:"ai"`
	Human       int64               `json:"human"`
	JudgedAt    *time.Time          `json:"judged_at"`
	TookUS      int                 `json:"took_us"`
}

func showDecision(d store.Decision) decisionShown {
	return decisionShown{d.ID.String(), d.At, d.Repo, d.Pusher, d.PusherName, d.Forge, d.Via, d.Refs, d.Outcome, d.State, d.ReceiptMode,
		d.DueAt, d.Override, d.Commits, d.Added, d.AI, d.Human, d.JudgedAt, d.TookUS}
}

func newDecision(a *app) *cobra.Command {
	return group("decision", "What was decided on pushes", newDecisionList(a), newDecisionShow(a))
}

// decisionID reads the id of a decision.
func (a *app) decisionID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is not a decision's id; see \"blamepromptd decision list\"", text)
	}
	return id, nil
}

func (a *app) noDecision(id uuid.UUID) error {
	return fmt.Errorf("organisation %s has no decision %s; see \"blamepromptd decision list\"", a.org, id)
}

// decisionList is the command line of "decision list".
type decisionList struct {
	repo, policy, pusher, outcome, state string
	limit                                int
}

func newDecisionList(a *app) *cobra.Command {
	var in decisionList
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the decisions, newest first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.limit < 1 || in.limit > maxListed {
				return &usageError{cmd.CommandPath(), fmt.Errorf("--limit must be from 1 to %d", maxListed)}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.listDecisions(ctx, s, by, in)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.repo, "repo", "", "Only those of a repository")
	flags.StringVar(&in.policy, "policy", "", "Only those in which a policy was violated, by its name or id")
	flags.StringVar(&in.pusher, "pusher", "", "Only those of a pusher, by e-mail address or account name")
	flags.StringVar(&in.outcome, "outcome", "", "Only those with an outcome: accept, warn, pending, refuse")
	flags.StringVar(&in.state, "state", "", "Only those in a state: final, pending, held, released, withdrawn")
	flags.IntVar(&in.limit, "limit", 50, "How many at most")
	return cmd
}

func (a *app) listDecisions(ctx context.Context, s *session, by access.Principal, in decisionList) error {
	filter := store.DecisionFilter{Pusher: in.pusher, Outcome: push.Outcome(in.outcome), State: store.DecisionState(in.state)}
	if strings.Contains(in.pusher, "@") {
		filter.Pusher = strings.ToLower(in.pusher)
	}
	var err error
	if filter.Repo, err = a.repoID(ctx, s, by, in.repo); err != nil {
		return err
	}
	if in.policy != "" {
		row, err := s.db.Policy(ctx, by.Org, in.policy)
		if errors.Is(err, store.ErrNotFound) {
			return a.noPolicy(in.policy)
		}
		if err != nil {
			return err
		}
		filter.Policy = row.ID
	}
	decisions, err := s.db.Decisions(ctx, by.Org, filter, uuid.Nil, in.limit)
	if err != nil {
		return err
	}
	shown := make([]decisionShown, len(decisions))
	rows := make([][]string, len(decisions))
	for i, d := range decisions {
		shown[i] = showDecision(d)
		rows[i] = []string{d.ID.String(), when(&d.At), d.Repo, refNames(d.Refs), d.Pusher, string(d.Outcome), string(d.State), strconv.Itoa(d.Commits)}
	}
	return a.print(shown, []string{"ID", "AT (UTC)", "REPOSITORY", "REFS", "PUSHER", "TOLD", "STATE", "COMMITS"}, rows)
}

// refNames are the refs of a push in a table.
func refNames(refs []push.Ref) string {
	const most = 3
	var names []string
	for _, ref := range refs[:min(len(refs), most)] {
		names = append(names, strings.TrimPrefix(ref.Name, "refs/heads/"))
	}
	if more := len(refs) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// decisionDetailShown is a decision with what hangs on it, in JSON.
type decisionDetailShown struct {
	Decision    decisionShown `json:"decision"`
	Verdict     push.Verdict  `json:"verdict"`
	LateVerdict *push.Verdict `json:"late_verdict"`
	Text        string        `json:"text"`
	Events      []eventShown  `json:"events"`
	Holds       []holdShown   `json:"holds"`
}

type eventShown struct {
	At        time.Time           `json:"at"`
	Event     string              `json:"event"`
	State     store.DecisionState `json:"state"`
	Principal string              `json:"principal"`
	Detail    json.RawMessage     `json:"detail,omitempty"`
}

func newDecisionShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a decision, what the pusher read, and what became of it",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := a.decisionID(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				d, err := s.db.Decision(ctx, by.Org, id)
				if errors.Is(err, store.ErrNotFound) {
					return a.noDecision(id)
				}
				if err != nil {
					return err
				}
				return a.printDecision(s, d)
			})
		},
	}
}

func (a *app) printDecision(s *session, d store.DecisionDetail) error {
	answer := hooks.Answer{Version: hooks.AnswerVersion, Verdict: d.Verdict, Decision: d.ID.String(), Link: s.publicURL() + "/decisions/" + d.ID.String()}
	shown := decisionDetailShown{Decision: showDecision(d.Decision), Verdict: d.Verdict, LateVerdict: d.LateVerdict,
		Text: answer.Text(hooks.Forge(d.Forge)), Events: []eventShown{}, Holds: []holdShown{}}
	for _, e := range d.Events {
		shown.Events = append(shown.Events, eventShown{e.At, e.Event, e.State, e.Principal, e.Detail})
	}
	for _, h := range d.Holds {
		shown.Holds = append(shown.Holds, holdShown{h.ID.String(), h.DecisionID.String(), d.Repo, h.Ref, h.Pusher, h.Commits, h.CreatedAt,
			h.ReleasedAt, h.ReleasedBy, h.Release, h.Reason})
	}
	if a.json {
		return a.printJSON(shown)
	}
	if err := a.print(nil, []string{"FIELD", "VALUE"}, decisionRows(&d)); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\n%s", shown.Text)
	if len(d.Violations) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	rows := make([][]string, len(d.Violations))
	for i, v := range d.Violations {
		state := string(v.Outcome)
		if v.WaiverID != nil {
			state = "waived"
		}
		rows[i] = []string{v.PolicyName, strconv.Itoa(v.Version), state, lateOrNot(v.Late), fmt.Sprintf("%.12s", v.Commit), v.Finding.Message}
	}
	return a.print(nil, []string{"POLICY", "VERSION", "OUTCOME", "FOUND", "COMMIT", "FINDING"}, rows)
}

func lateOrNot(late bool) string {
	if late {
		return "late"
	}
	return "at the push"
}

func decisionRows(d *store.DecisionDetail) [][]string {
	rows := [][]string{
		{"ID", d.ID.String()}, {"At (UTC)", when(&d.At)}, {"Repository", d.Repo}, {"Refs", refNames(d.Refs)},
		{"Pusher", d.Pusher}, {"Through", d.Forge + ", " + d.Via}, {"Told", string(d.Outcome)}, {"State", string(d.State)},
		{"Commits", strconv.Itoa(d.Commits)}, {"Lines added", fmt.Sprintf("%d, AI %d, human %d", d.Added, d.AI, d.Human)},
	}
	if d.DueAt != nil {
		rows = append(rows, []string{"Receipts until", when(d.DueAt)})
	}
	if d.Override != "" {
		rows = append(rows, []string{"Override", d.Override})
	}
	for _, e := range d.Events {
		rows = append(rows, []string{when(&e.At), e.Event + ": " + string(e.State) + ", by " + e.Principal})
	}
	for _, h := range d.Holds {
		state := "in force"
		if h.ReleasedAt != nil {
			state = h.Release + " " + when(h.ReleasedAt)
		}
		rows = append(rows, []string{"Hold " + h.ID.String(), h.Ref + ", " + state})
	}
	return rows
}
