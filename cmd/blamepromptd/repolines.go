package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/notes/lines/added"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// newKeeper makes what classifies added lines.
func newKeeper(cfg *Config, db *store.DB, log zerolog.Logger) *added.Keeper {
	return added.New(added.Config{DB: db, MirrorRoot: cfg.mirrorRoot(), Log: log})
}

// classifyHere classifies the lines of a repository in this process.
func classifyHere(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	bar.stage(classifying)
	keeper := newKeeper(s.cfg, s.db, s.log)
	show := func(done, total int) { bar.show(classifying, done, total) }
	if _, err := keeper.Keep(ctx, repo.OrgID, repo.ID, show); err != nil {
		return err
	}
	changed, err := reattachHere(ctx, s, repo)
	if err == nil && changed {
		_, err = keeper.Keep(ctx, repo.OrgID, repo.ID, show)
	}
	return err
}

const classifying = "classifying lines"

const (
	// linesStep is the pause between two looks at what a daemon classifies.
	linesStep = 500 * time.Millisecond
	// linesPatience is how long the daemon may do nothing before nobody waits.
	linesPatience = time.Minute
)

// watchLines waits until the daemon has classified the lines of a repository, or
// gets nowhere: its log says why then.
func watchLines(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	before, moved := [2]int{}, time.Now()
	for time.Since(moved) < linesPatience {
		state, err := s.db.LineState(ctx, repo.OrgID, repo.ID)
		if err != nil || state.Tip == "" {
			return err
		}
		left, err := s.db.ReattachState(ctx, repo.OrgID, repo.ID)
		if err != nil || state.Done() && left.State == left.Done {
			return err
		}
		done, waiting, err := s.db.LineProgress(ctx, repo.OrgID, repo.ID)
		if err != nil {
			return err
		}
		bar.show(classifying, done, done+waiting)
		if now := [2]int{done, waiting}; now != before {
			before, moved = now, time.Now()
		}
		alive, err := daemonAlive(s.cfg)
		if err != nil {
			return err
		}
		if !alive {
			return errDaemonEnded
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(linesStep):
		}
	}
	return nil
}

// linesShown is what is known of the added lines of a repository.
type linesShown struct {
	Repo string `json:"repo"`
	// Done says that every commit of the default branch is classified.
	Done       bool   `json:"done"`
	Branch     string `json:"branch"`
	Commits    int64  `json:"commits"`
	Waiting    int    `json:"waiting"`
	Noted      int64  `json:"noted"`
	Marked     int64  `json:"marked"`
	Added      int64  `json:"added"`
	AI         int64  `json:"ai"`
	Human      int64  `json:"human"`
	Unknown    int64  `json:"unknown"`
	Trailer    int64  `json:"trailer"`
	Excluded   int64  `json:"excluded"`
	Unreadable int64  `json:"unreadable"`
	// Branches are those beside the default one that were asked for.
	Branches []branchShown `json:"branches"`
}

type branchShown struct {
	Ref      string `json:"ref"`
	Done     bool   `json:"done"`
	Cut      bool   `json:"cut"`
	Commits  int64  `json:"commits"`
	Waiting  int64  `json:"waiting"`
	Added    int64  `json:"added"`
	AI       int64  `json:"ai"`
	Human    int64  `json:"human"`
	Unknown  int64  `json:"unknown"`
	Trailer  int64  `json:"trailer"`
	Excluded int64  `json:"excluded"`
}

func newRepoLines(a *app) *cobra.Command {
	var branch, drop string
	cmd := &cobra.Command{
		Use:   "lines NAME",
		Short: "Show whose the added lines of a repository are, and how far they are classified",
		Long: "Show whose the lines are that commits of the default branch added, and how far they are classified. It waits\n" +
			"until they are; docs/numbers.md says what the figures mean. With --branch, that branch is classified as well: the\n" +
			"commits that the default branch does not reach. It stays so until it is dropped.",
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRepo(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, repo store.Repo) error {
				if err := setLineBranch(ctx, s, by, repo, branch, drop); err != nil {
					return err
				}
				bar := a.newProgress()
				classify := classifyHere
				if s.daemon {
					classify = watchLines
				}
				err := classify(ctx, s, repo, bar)
				bar.end()
				if err != nil {
					return fmt.Errorf("%s: %w", repo.Name, err)
				}
				return a.printLines(ctx, s, repo)
			})
		},
	}
	cmd.Flags().StringVar(&branch, "branch", "", "Classify this branch as well")
	cmd.Flags().StringVar(&drop, "drop-branch", "", "Forget what was found of this branch")
	cmd.MarkFlagsMutuallyExclusive("branch", "drop-branch")
	return cmd
}

// setLineBranch asks for a branch, or drops it. Names are branches as git branch
// lists them, or whole refs.
func setLineBranch(ctx context.Context, s *session, by access.Principal, repo store.Repo, branch, drop string) error {
	whole := func(name string) string { return "refs/heads/" + strings.TrimPrefix(name, "refs/heads/") }
	if drop != "" {
		err := s.db.DropLineBranch(ctx, by, repo.ID, whole(drop))
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%s is not classified beside the default branch", whole(drop))
		}
		return err
	}
	if branch == "" {
		return nil
	}
	demands, err := queue.New(queue.Config{DB: s.db, Log: s.log})
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.AddLineBranch(ctx, by, repo.ID, whole(branch)); err != nil {
			return err
		}
		return demands.Poke(ctx, tx, queue.LinesTask)
	})
}

func (a *app) printLines(ctx context.Context, s *session, repo store.Repo) error {
	state, err := s.db.LineState(ctx, repo.OrgID, repo.ID)
	if err != nil {
		return err
	}
	_, waiting, err := s.db.LineProgress(ctx, repo.OrgID, repo.ID)
	if err != nil {
		return err
	}
	sums, err := s.db.RepoLines(ctx, repo.OrgID, repo.ID)
	if err != nil {
		return err
	}
	shown := linesShown{Repo: repo.Name, Done: state.Done(), Branch: state.Ref, Waiting: waiting,
		Commits: sums.Commits + sums.BotCommits + sums.MergeCommits, Noted: sums.CommitsNoted, Marked: sums.CommitsMarked,
		Added: sums.Added, AI: sums.AI, Human: sums.Human, Unknown: sums.Unknown, Trailer: sums.Trailer, Excluded: sums.Excluded,
		Unreadable: sums.Unreadable}
	rows := [][]string{
		{"Branch", state.Ref},
		{"Commits", fmt.Sprintf("%d, of which %d by bots, %d merges without lines of their own, %d unreadable",
			shown.Commits, sums.BotCommits, sums.MergeCommits, sums.Unreadable)},
		{"Waiting", strconv.Itoa(waiting)},
		{"With a note", fmt.Sprintf("%d of %d", sums.CommitsNoted, sums.Commits)},
		{"AI-marked without one", strconv.FormatInt(sums.CommitsMarked, 10)},
		{"Added lines", strconv.FormatInt(sums.Added, 10)},
		{"AI", share(sums.AI, sums.Added)},
		{"Human", share(sums.Human, sums.Added)},
		{"Unknown", share(sums.Unknown, sums.Added)},
		{"Excluded", strconv.FormatInt(sums.Excluded, 10)},
	}
	branches, err := s.db.LineBranches(ctx, repo.OrgID, repo.ID)
	if err != nil {
		return err
	}
	shown.Branches = []branchShown{}
	for _, b := range branches {
		shown.Branches = append(shown.Branches, branchShown{Ref: b.Ref, Done: !b.Waiting && b.Open == 0, Cut: b.Cut, Commits: b.Commits,
			Waiting: b.Open, Added: b.Added, AI: b.AI, Human: b.Human, Unknown: b.Unknown, Trailer: b.Trailer, Excluded: b.Excluded})
		rows = append(rows, []string{"Beside: " + b.Ref, fmt.Sprintf("%d commits, %d waiting, %d added lines, AI %s, human %s, unknown %s",
			b.Commits, b.Open, b.Added, share(b.AI, b.Added), share(b.Human, b.Added), share(b.Unknown, b.Added))})
	}
	return a.print(shown, []string{"FIELD", "VALUE"}, rows)
}

// share is a number of lines and its part of all of them.
func share(n, of int64) string {
	if of == 0 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%d (%.1f %%)", n, 100*float64(n)/float64(of))
}
