package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// repoShown is a repository in JSON.
type repoShown struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	RemoteURL     *string  `json:"remote_url"`
	NotesRefs     []string `json:"notes_refs"`
	DefaultBranch string   `json:"default_branch"`
	Mode          string   `json:"mode"`
	ReceiptMode   string   `json:"receipt_mode"`
	GraceSeconds  int      `json:"grace_seconds"`
	// NotesProtection is mode, refuse, warn or off.
	NotesProtection string `json:"notes_protection"`
	// Gateway is off, hosted or forwarding.
	Gateway         string     `json:"gateway"`
	ForwardNotes    bool       `json:"forward_notes"`
	ExcludedPaths   []string   `json:"excluded_paths"`
	Reattach        bool       `json:"reattach"`
	Receipts        int64      `json:"receipts"`
	ReceiptsCurrent int64      `json:"receipts_current"`
	Findings        int64      `json:"findings"`
	CreatedAt       time.Time  `json:"created_at"`
	RemovedAt       *time.Time `json:"removed_at"`
	FetchStartedAt  *time.Time `json:"fetch_started_at"`
	FetchedAt       *time.Time `json:"fetched_at"`
	FetchFailures   int        `json:"fetch_failures"`
	FetchError      string     `json:"fetch_error"`
	Tips            []tipShown `json:"tips"`
}

// tipShown is what has been taken in of a notes ref.
type tipShown struct {
	Ref       string    `json:"ref"`
	Tip       string    `json:"tip"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showRepo(r store.Repo, holds store.RepoStatus) repoShown {
	shown := repoShown{
		ID: r.ID.String(), Name: r.Name, RemoteURL: r.RemoteURL, NotesRefs: r.NotesRefs, DefaultBranch: r.DefaultBranch,
		Mode: r.Mode, ReceiptMode: r.ReceiptMode, GraceSeconds: r.GraceSeconds, NotesProtection: string(r.NotesProtection),
		Gateway: string(r.Gateway), ForwardNotes: r.ForwardNotes,
		ExcludedPaths: r.ExcludedPaths, Reattach: r.Reattach, Receipts: holds.Receipts, ReceiptsCurrent: holds.ReceiptsCurrent, Findings: holds.Findings,
		CreatedAt: r.CreatedAt, RemovedAt: r.RemovedAt, FetchStartedAt: r.FetchStartedAt, FetchedAt: r.FetchedAt,
		FetchFailures: r.FetchFailures, FetchError: r.FetchError,
	}
	for _, t := range holds.Tips {
		shown.Tips = append(shown.Tips, tipShown(t))
	}
	return shown
}

func newRepo(a *app) *cobra.Command {
	return group("repo", "Repositories",
		newRepoAdd(a), newRepoCreate(a), newRepoList(a), newRepoSync(a), newRepoLines(a), newRepoSet(a), newRepoRemove(a), newRepoStatus(a))
}

// repoAdd is what "repo add" is given.
type repoAdd struct {
	name, url          string
	user, passwordFile string
	notesRefs          []string
	notesOnly, noWait  bool
	gateway            string
}

func newRepoAdd(a *app) *cobra.Command {
	var in repoAdd
	cmd := &cobra.Command{
		Use:   "add NAME URL",
		Short: "Register a repository and wait until its receipts are in",
		Long: "Register a repository and wait until its receipts are in. URL is https://, ssh://, user@host:path, or a\n" +
			"path below one of the file_roots. A user name and password in it are taken out and stored encrypted.",
		Args: exactly("NAME", "URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.name, in.url = args[0], args[1]
			password, err := readSecret(cmd.InOrStdin(), in.passwordFile)
			if err != nil {
				return err
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.addRepo(ctx, s, by, in, password)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.user, "user", "", "User name for the remote")
	flags.StringVar(&in.passwordFile, "password-file", "", "File with the password or token for the remote, - for standard input")
	flags.StringSliceVar(&in.notesRefs, "notes-ref", nil, "Notes ref to take in (default: refs/notes/blameprompt, refs/notes/ai)")
	flags.BoolVar(&in.notesOnly, "notes-only", false, "Leave the branches unmirrored")
	flags.BoolVar(&in.noWait, "no-wait", false, "Return at once")
	flags.StringVar(&in.gateway, "gateway", "", "How the SSH gateway serves it: off, or forwarding, which sends accepted pushes on to URL")
	return cmd
}

func (a *app) addRepo(ctx context.Context, s *session, by access.Principal, in repoAdd, password string) error {
	remote, err := s.cfg.rules().Check(ctx, in.url)
	if err != nil {
		return err
	}
	row := store.NewRepo{
		Name: in.name, RemoteURL: remote.String(), URLKey: forge.NormalizeURL(remote.String()),
		User: in.user, Secret: password, NotesRefs: in.notesRefs, NotesOnly: in.notesOnly, Gateway: store.Gateway(in.gateway),
	}
	if c := remote.Credential(); c != nil && in.user == "" && password == "" {
		row.User, row.Secret = c.User, c.Secret
	}
	repo, err := a.createRepo(ctx, s, by, row)
	if err != nil {
		return err
	}
	return a.syncRepo(ctx, s, repo, in.noWait)
}

func (a *app) createRepo(ctx context.Context, s *session, by access.Principal, row store.NewRepo) (store.Repo, error) {
	repo, err := s.db.CreateRepo(ctx, by, row)
	if errors.Is(err, store.ErrConflict) {
		return store.Repo{}, fmt.Errorf("repository %q exists already; see \"blamepromptd repo status %s\"", row.Name, row.Name)
	}
	return repo, err
}

func newRepoCreate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "create NAME",
		Short: "Create an empty repository that the SSH gateway keeps",
		Long: "Create an empty repository that the SSH gateway keeps. People need a grant to use it; see\n" +
			"\"blamepromptd grant add\".",
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				repo, err := a.createRepo(ctx, s, by, store.NewRepo{Name: args[0], Gateway: store.GatewayHosted})
				if err != nil {
					return err
				}
				return a.printStatus(ctx, s, by, repo)
			})
		},
	}
}

func newRepoSync(a *app) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "sync NAME",
		Short: "Fetch a repository now and wait until its receipts are in",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRepo(cmd.Context(), args[0], func(ctx context.Context, s *session, _ access.Principal, repo store.Repo) error {
				if !repo.Fetched() {
					return fmt.Errorf("repository %q has no remote to fetch from; see \"blamepromptd repo add\"", args[0])
				}
				return a.syncRepo(ctx, s, repo, noWait)
			})
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "Return at once")
	return cmd
}

// withRepo is inOrg with a repository by name or id.
func (a *app) withRepo(ctx context.Context, name string,
	fn func(context.Context, *session, access.Principal, store.Repo) error) error {
	return a.inOrg(ctx, func(ctx context.Context, s *session, by access.Principal) error {
		repo, err := s.db.Repo(ctx, by.Org, name)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("organisation %s has no repository %q; see \"blamepromptd repo list\"", a.org, name)
		}
		if err != nil {
			return err
		}
		return fn(ctx, s, by, repo)
	})
}

func newRepoList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the repositories and how their last fetch went",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				repos, err := s.db.Repos(ctx, by.Org)
				if err != nil {
					return err
				}
				return a.printRepos(ctx, s, by, repos)
			})
		},
	}
}

func (a *app) printRepos(ctx context.Context, s *session, by access.Principal, repos []store.Repo) error {
	ids := make([]uuid.UUID, len(repos))
	for i, r := range repos {
		ids[i] = r.ID
	}
	statuses, err := s.db.RepoStatuses(ctx, by.Org, ids)
	if err != nil {
		return err
	}
	shown := make([]repoShown, len(repos))
	rows := make([][]string, len(repos))
	for i, r := range repos {
		holds := statuses[r.ID]
		shown[i] = showRepo(r, holds)
		rows[i] = []string{
			r.Name, fetchState(r), strconv.FormatInt(holds.Receipts, 10), strconv.FormatInt(holds.Findings, 10),
			when(r.FetchedAt), remoteOf(r),
		}
	}
	return a.print(shown, []string{"NAME", "STATE", "RECEIPTS", "FINDINGS", "FETCHED (UTC)", "REMOTE"}, rows)
}

// fetchState says in a word how fetching goes.
func fetchState(r store.Repo) string {
	switch {
	case r.RemovedAt != nil:
		return "removed"
	case !r.Fetched():
		return "api only"
	case r.FetchFailures > 0:
		return "failing"
	case r.FetchedAt == nil:
		return "new"
	}
	return "ok"
}

func remoteOf(r store.Repo) string {
	if r.RemoteURL == nil {
		return ""
	}
	return *r.RemoteURL
}

func newRepoStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status NAME",
		Short: "Show a repository, its last fetch and what has been taken in",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRepo(cmd.Context(), args[0], a.printStatus)
		},
	}
}

func (a *app) printStatus(ctx context.Context, s *session, by access.Principal, r store.Repo) error {
	statuses, err := s.db.RepoStatuses(ctx, by.Org, []uuid.UUID{r.ID})
	if err != nil {
		return err
	}
	shown := showRepo(r, statuses[r.ID])
	rows := [][]string{
		{"Name", r.Name},
		{"ID", shown.ID},
		{"Remote", remoteOf(r)},
		{"State", fetchState(r)},
		{"Error", r.FetchError},
		{"Fetched (UTC)", when(r.FetchedAt)},
		{"Default branch", r.DefaultBranch},
		{"Mode", r.Mode},
		{"Gateway", gatewayOf(r)},
		{"Receipts due", receiptsDue(r)},
		{"Notes protection", string(r.NotesProtection)},
		{"Excluded paths", strings.Join(r.ExcludedPaths, ", ")},
		{"Notes left behind", reattachOf(r)},
		{"Receipts", fmt.Sprintf("%d, of which %d current", shown.Receipts, shown.ReceiptsCurrent)},
		{"Findings", strconv.FormatInt(shown.Findings, 10)},
	}
	for _, t := range shown.Tips {
		rows = append(rows, []string{t.Ref, fmt.Sprintf("%.12s", t.Tip)})
	}
	return a.print(shown, []string{"FIELD", "VALUE"}, rows)
}

// gatewayOf says how the gateway serves a repository.
func gatewayOf(r store.Repo) string {
	if r.Gateway == store.GatewayForwarding && !r.ForwardNotes {
		return string(r.Gateway) + ", without notes"
	}
	return string(r.Gateway)
}

// receiptsDue says when the receipts of a push are wanted.
func receiptsDue(r store.Repo) string {
	switch r.ReceiptMode {
	case store.ReceiptsDeferred:
		return r.ReceiptMode + ", within " + (time.Duration(r.GraceSeconds) * time.Second).String()
	}
	return r.ReceiptMode
}

func newRepoSet(a *app) *cobra.Command {
	var in store.RepoSettings
	var grace time.Duration
	var gateway, protection string
	var forwardNotes, reattach bool
	var exclude []string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Change how a repository is judged, served and counted",
		Long: "Change how a repository is judged, served and counted; what is not given stays. Hook files hold the mode\n" +
			"too: \"blamepromptd hooks install\" writes it there anew. Globs of excluded paths read as in gitignore(5); those\n" +
			"given take the place of all before, and a single empty one takes them away.",
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("grace") {
				in.Grace = &grace
			}
			if cmd.Flags().Changed("forward-notes") {
				in.ForwardNotes = &forwardNotes
			}
			if cmd.Flags().Changed("exclude") {
				in.ExcludedPaths = slices.DeleteFunc(exclude, func(glob string) bool { return glob == "" })
			}
			if cmd.Flags().Changed("reattach") {
				in.Reattach = &reattach
			}
			in.NotesProtection = store.NotesProtection(protection)
			if in.Gateway = store.Gateway(gateway); in.Empty() {
				return &usageError{cmd.CommandPath(), errors.New("give --mode, --receipts, --grace, --protect-notes, --gateway, --forward-notes, --exclude or --reattach")}
			}
			return a.withRepo(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, repo store.Repo) error {
				repo, err := s.db.UpdateRepo(ctx, by, repo.ID, in)
				if err != nil {
					return err
				}
				return a.printStatus(ctx, s, by, repo)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.Mode, "mode", "", "What becomes of pushes that nobody could judge: advisory (accepted) or enforcing (refused)")
	flags.StringVar(&in.ReceiptMode, "receipts", "", "When receipts are wanted: deferred, wait or same-push")
	flags.DurationVar(&grace, "grace", 0, "How long deferred receipts may come after their push, such as 15m")
	flags.StringVar(&protection, "protect-notes", "", "What becomes of pushes that delete or rewind notes refs, or bring notes too large to read: "+
		"mode (by the mode: refused or warned), refuse, warn or off")
	flags.StringVar(&gateway, "gateway", "", "How the SSH gateway serves it: off, hosted (kept here) or forwarding (sent on to the remote)")
	flags.BoolVar(&forwardNotes, "forward-notes", true, "Send merged notes on to the remote too")
	flags.StringArrayVar(&exclude, "exclude", nil, "Glob of paths whose lines do not count; may be given several times")
	flags.BoolVar(&reattach, "reattach", true, "Let notes of commits that were left behind speak of the commits that have their content now")
	return cmd
}

func newRepoRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Fetch a repository no more; its receipts stay",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRepo(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, repo store.Repo) error {
				if err := s.db.RemoveRepo(ctx, by, repo.ID); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"removed": repo.Name})
				}
				fmt.Fprintf(a.stdout, "%s is fetched no more. Its receipts stay; adding it again takes them up.\n", plain(repo.Name))
				return nil
			})
		},
	}
}

// demandSync demands a fetch on behalf of the person at the command line.
func demandSync(ctx context.Context, s *session, repo store.Repo) error {
	q, err := queue.New(queue.Config{DB: s.db, Log: s.log})
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *store.Tx) error {
		return q.DemandFetch(ctx, tx, repo.OrgID, repo.ID, queue.Asked)
	})
}
