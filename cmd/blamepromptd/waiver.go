package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// waiverShown is a waiver in JSON.
type waiverShown struct {
	ID        string     `json:"id"`
	Policy    string     `json:"policy"`
	Repo      string     `json:"repo"`
	Pusher    string     `json:"pusher"`
	Commit    string     `json:"commit"`
	PatchID   string     `json:"patch_id"`
	Reason    string     `json:"reason"`
	CreatedBy string     `json:"created_by"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at"`
	RevokedBy string     `json:"revoked_by"`
}

func newWaiver(a *app) *cobra.Command {
	return group("waiver", "Exceptions from policies", newWaiverCreate(a), newWaiverList(a), newWaiverRevoke(a))
}

// maxListed bounds lists at the command line; the API has the rest in pages.
const maxListed = 200

// waiverCreate is the command line of "waiver create".
type waiverCreate struct {
	policy, decision, repo, pusher, commit, patchID, reason, expires string
}

func newWaiverCreate(a *app) *cobra.Command {
	var in waiverCreate
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Waive a policy for a repository, pusher, commit or change; or what refuses in a decision",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			until, err := readExpiry(in.expires, time.Now())
			if err == nil && (in.policy == "") == (in.decision == "") {
				err = errors.New("give --policy or --decision")
			}
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.createWaiver(ctx, s, by, in, until)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.policy, "policy", "", "Policy to waive, by name or id")
	flags.StringVar(&in.decision, "decision", "", "Decision whose refusals to waive, as narrowly as it can be, instead of --policy")
	flags.StringVar(&in.repo, "repo", "", "Limit to a repository")
	flags.StringVar(&in.pusher, "pusher", "", "Limit to a pusher, by e-mail address or account name")
	flags.StringVar(&in.commit, "commit", "", "Limit to a commit")
	flags.StringVar(&in.patchID, "patch-id", "", "Limit to a change, wherever it is rebased to")
	flags.StringVar(&in.reason, "reason", "", "Why (required)")
	flags.StringVar(&in.expires, "expires", "", "When it ends (required): how long from now, such as 12h or 14d, or a day such as 2027-01-31")
	return cmd
}

// readExpiry reads the end of a waiver.
func readExpiry(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return now.AddDate(0, 0, n), nil
		}
	}
	if length, err := time.ParseDuration(text); err == nil {
		return now.Add(length), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires %q is neither a length of time such as 12h or 14d nor a day such as 2027-01-31", text)
}

func (a *app) createWaiver(ctx context.Context, s *session, by access.Principal, in waiverCreate, until time.Time) error {
	var made []store.Waiver
	var err error
	if in.decision != "" {
		made, err = a.waiveDecision(ctx, s, by, in, until)
	} else {
		made, err = a.waivePolicy(ctx, s, by, in, until)
	}
	if err != nil {
		return err
	}
	s.reconsider(ctx, by, waivedRepo(made), store.EventWaiver)
	return a.printWaivers(made)
}

// waivedRepo is the one repository that waivers are of; the nil UUID stands for
// all.
func waivedRepo(waivers []store.Waiver) uuid.UUID {
	if id := waivers[0].RepoID; id != nil {
		return *id
	}
	return uuid.Nil
}

func (a *app) waiveDecision(ctx context.Context, s *session, by access.Principal, in waiverCreate, until time.Time) ([]store.Waiver, error) {
	if in.repo != "" || in.pusher != "" || in.commit != "" || in.patchID != "" {
		return nil, errors.New("--decision says itself what is waived: only --reason and --expires may stand beside it")
	}
	id, err := a.decisionID(in.decision)
	if err != nil {
		return nil, err
	}
	made, err := s.db.WaiveDecision(ctx, by, id, in.reason, until)
	if errors.Is(err, store.ErrNotFound) {
		err = a.noDecision(id)
	}
	return made, err
}

func (a *app) waivePolicy(ctx context.Context, s *session, by access.Principal, in waiverCreate, until time.Time) ([]store.Waiver, error) {
	row, err := s.db.Policy(ctx, by.Org, in.policy)
	if errors.Is(err, store.ErrNotFound) {
		return nil, a.noPolicy(in.policy)
	}
	if err != nil {
		return nil, err
	}
	wanted := store.NewWaiver{Policy: row.ID, Pusher: in.pusher, Commit: in.commit, PatchID: in.patchID, Reason: in.reason, ExpiresAt: until}
	if wanted.Repo, err = a.repoID(ctx, s, by, in.repo); err != nil {
		return nil, err
	}
	made, err := s.db.CreateWaiver(ctx, by, wanted)
	return []store.Waiver{made}, err
}

// repoID finds a repository by name or id; empty is none.
func (a *app) repoID(ctx context.Context, s *session, by access.Principal, name string) (uuid.UUID, error) {
	if name == "" {
		return uuid.Nil, nil
	}
	repo, err := s.db.Repo(ctx, by.Org, name)
	if errors.Is(err, store.ErrNotFound) {
		return uuid.Nil, fmt.Errorf("organisation %s has no repository %q; see \"blamepromptd repo list\"", a.org, name)
	}
	return repo.ID, err
}

func newWaiverList(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the waivers that are in force, newest first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				filter := store.WaiverFilter{}
				if active := true; !all {
					filter.Active = &active
				}
				waivers, err := s.db.Waivers(ctx, by.Org, filter, uuid.Nil, maxListed)
				if err != nil {
					return err
				}
				return a.printWaivers(waivers)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "Those that ended, too")
	return cmd
}

func (a *app) printWaivers(waivers []store.Waiver) error {
	shown := make([]waiverShown, len(waivers))
	rows := make([][]string, len(waivers))
	for i, w := range waivers {
		shown[i] = waiverShown{w.ID.String(), w.Policy, w.Repo, w.Pusher, w.Commit, w.PatchID, w.Reason, w.CreatedBy, w.CreatedAt,
			w.ExpiresAt, w.RevokedAt, w.RevokedBy}
		change := fmt.Sprintf("%.12s", w.Commit)
		if w.PatchID != "" {
			change = fmt.Sprintf("patch %.12s", w.PatchID)
		}
		rows[i] = []string{w.ID.String(), w.Policy, w.Repo, w.Pusher, change, w.CreatedBy, when(&w.ExpiresAt), when(w.RevokedAt), w.Reason}
	}
	return a.print(shown, []string{"ID", "POLICY", "REPOSITORY", "PUSHER", "CHANGE", "BY", "EXPIRES (UTC)", "REVOKED", "REASON"}, rows)
}

func newWaiverRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a waiver at once",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a waiver's id; see \"waiver list\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				waiver, err := s.db.RevokeWaiver(ctx, by, id)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no waiver %s; see \"blamepromptd waiver list\"", a.org, id)
				}
				if err != nil {
					return err
				}
				s.reconsider(ctx, by, waivedRepo([]store.Waiver{waiver}), store.EventWaiver)
				return a.printWaivers([]store.Waiver{waiver})
			})
		},
	}
}
