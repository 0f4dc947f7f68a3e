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

// reviewShown is a review in JSON.
type reviewShown struct {
	ID        string    `json:"id"`
	Repo      string    `json:"repo"`
	Commit    string    `json:"commit"`
	PatchID   string    `json:"patch_id"`
	Reviewer  string    `json:"reviewer"`
	Approved  bool      `json:"approved"`
	Comment   string    `json:"comment"`
	CreatedAt time.Time `json:"created_at"`
}

func newReview(a *app) *cobra.Command {
	return group("review", "Reviews of what AI wrote", newReviewWrite(a, "approve", "Approve changes in a person's name", true),
		newReviewWrite(a, "reject", "Reject changes in a person's name", false), newReviewList(a), newReviewQueue(a))
}

// reviewWrite is the command line of "review approve" and "review reject".
type reviewWrite struct {
	repo, commit, decision, reviewer, comment string
	approved                                  bool
}

func newReviewWrite(a *app, use, short string, approved bool) *cobra.Command {
	in := reviewWrite{approved: approved}
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long: short + ": a commit of a repository, the commits of a decision's push, or one of them. The reviewer is a\n" +
			"user who neither wrote nor pushed the change. The audit log says that the command line was used.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.reviewer == "" {
				return &usageError{cmd.CommandPath(), errors.New("--reviewer is missing: reviews are of people")}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.writeReview(ctx, s, by, in)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.reviewer, "reviewer", "", "E-mail address of the user who reviewed (required)")
	flags.StringVar(&in.repo, "repo", "", "Repository of the commit")
	flags.StringVar(&in.commit, "commit", "", "Commit that was reviewed")
	flags.StringVar(&in.decision, "decision", "", "Decision whose commits were reviewed, instead of --repo")
	flags.StringVar(&in.comment, "comment", "", "What the reviewer says; needed to reject")
	return cmd
}

func (a *app) writeReview(ctx context.Context, s *session, by access.Principal, in reviewWrite) error {
	wanted := store.NewReview{Commit: in.commit, Approved: in.approved, Comment: in.comment}
	var err error
	if in.decision != "" {
		if wanted.Decision, err = a.decisionID(in.decision); err != nil {
			return err
		}
	}
	if wanted.Repo, err = a.repoID(ctx, s, by, in.repo); err != nil {
		return err
	}
	by.User = strings.ToLower(in.reviewer)
	made, err := s.db.CreateReviews(ctx, by, wanted)
	switch {
	case errors.Is(err, store.ErrNotAPerson):
		return fmt.Errorf("organisation %s has no user %s, or the user is disabled", a.org, in.reviewer)
	case errors.Is(err, store.ErrNotFound):
		return a.noDecision(wanted.Decision)
	case err != nil:
		return err
	}
	s.reconsider(ctx, by, made[0].RepoID, store.EventReview)
	return a.printReviews(made)
}

func newReviewList(a *app) *cobra.Command {
	var repo string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the reviews, newest first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				filter := store.ReviewFilter{}
				id, err := a.repoID(ctx, s, by, repo)
				if err != nil {
					return err
				}
				if id != uuid.Nil {
					filter.Repos = []uuid.UUID{id}
				}
				reviews, err := s.db.Reviews(ctx, by.Org, filter, uuid.Nil, maxListed)
				if err != nil {
					return err
				}
				return a.printReviews(reviews)
			})
		},
	}
	cmd.Flags().StringVar(&repo, "repo", "", "Only those of a repository")
	return cmd
}

func (a *app) printReviews(reviews []store.Review) error {
	shown := make([]reviewShown, len(reviews))
	rows := make([][]string, len(reviews))
	for i, r := range reviews {
		shown[i] = reviewShown{r.ID.String(), r.Repo, r.Commit, r.PatchID, r.Reviewer, r.Approved, r.Comment, r.CreatedAt}
		verdict := "rejected"
		if r.Approved {
			verdict = "approved"
		}
		rows[i] = []string{when(&r.CreatedAt), r.Repo, fmt.Sprintf("%.12s", r.Commit), verdict, r.Reviewer, r.Comment}
	}
	return a.print(shown, []string{"AT (UTC)", "REPOSITORY", "COMMIT", "REVIEW", "REVIEWER", "COMMENT"}, rows)
}

// wantedShown is a commit that waits for a review, in JSON.
type wantedShown struct {
	Repo     string    `json:"repo"`
	Commit   string    `json:"commit"`
	Pusher   string    `json:"pusher"`
	Decision string    `json:"decision"`
	At       time.Time `json:"at"`
	Held     bool      `json:"held"`
	Message  string    `json:"message"`
}

func newReviewQueue(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "queue",
		Short: "List the commits that wait for a review, newest first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				wanted, err := s.db.WantedReviews(ctx, by.Org, maxListed)
				if err != nil {
					return err
				}
				shown := make([]wantedShown, len(wanted))
				rows := make([][]string, len(wanted))
				for i, w := range wanted {
					shown[i] = wantedShown{w.Repo, w.Commit, w.Pusher, w.DecisionID.String(), w.At, w.Held, w.Finding.Message}
					state := "refused"
					if w.Held {
						state = "held"
					}
					rows[i] = []string{when(&w.At), w.Repo, fmt.Sprintf("%.12s", w.Commit), state, w.Pusher, w.DecisionID.String(), w.Finding.Message}
				}
				return a.print(shown, []string{"AT (UTC)", "REPOSITORY", "COMMIT", "STATE", "PUSHER", "DECISION", "FINDING"}, rows)
			})
		},
	}
}
