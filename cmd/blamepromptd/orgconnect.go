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
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// newConnector makes what keeps connections to forges in step.
func newConnector(cfg *Config, db *store.DB, jobs connect.Jobs, log zerolog.Logger) (*connect.Connector, error) {
	rules := cfg.rules()
	client, err := forge.NewClient(forge.ClientConfig{CheckAddress: rules.CheckAddress, AllowHTTP: rules.AllowPrivate,
		CAFile: cfg.CAFile, UserAgent: "blamepromptd/" + buildVersion().Version})
	if err != nil {
		return nil, err
	}
	return connect.New(connect.Config{DB: db, Forges: client, Remotes: rules, Jobs: jobs, Log: log,
		PublicURL: cfg.publicURL(), WebhookURL: strings.TrimRight(cfg.PublicURL, "/"), Every: cfg.ConnectionsEvery.Duration}), nil
}

// connector is newConnector for a command.
func (s *session) connector() (*connect.Connector, error) {
	jobs, err := queue.New(queue.Config{DB: s.db, Log: s.log})
	if err != nil {
		return nil, err
	}
	return newConnector(s.cfg, s.db, jobs, s.log)
}

// connectShown is a look at a forge in JSON.
type connectShown struct {
	Connection     string           `json:"connection,omitempty"`
	DryRun         bool             `json:"dry_run"`
	Repositories   []forgeRepoShown `json:"repositories"`
	Webhooks       string           `json:"webhooks"`
	WebhooksReason string           `json:"webhooks_reason,omitempty"`
}

type forgeRepoShown struct {
	Path   string `json:"path"`
	Action string `json:"action"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func connectableNames() string {
	var names []string
	for _, name := range forge.Connectable() {
		names = append(names, string(name))
	}
	return strings.Join(names, ", ")
}

// orgConnect is what "org connect" is given.
type orgConnect struct {
	request                     connect.Request
	tokenFile                   string
	noForks, noWebhooks, dryRun bool
	removed                     bool
}

func newOrgConnect(a *app) *cobra.Command {
	var in orgConnect
	cmd := &cobra.Command{
		Use:   "connect FORGE OWNER",
		Short: "Register the repositories of an organisation at a forge",
		Long: "Register the repositories of an organisation at a forge, have their pushes told by webhooks, and show verdicts\n" +
			"at their commits. FORGE is one of " + connectableNames() + " (gitea is Forgejo too, bitbucket is Cloud and Data Center).\n" +
			"OWNER is an organisation or user, a group's full path, a workspace, or a project's key. New repositories are found\n" +
			"by the daemon. Run it again to change the token, the choice or what is missing: it does nothing twice.\n" +
			"docs/forges.md says what a token must be allowed.",
		Args: exactly("FORGE", "OWNER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(forge.Connectable(), forge.Name(args[0])) {
				return &usageError{cmd.CommandPath(), fmt.Errorf("forge %q is unknown: use one of %s", args[0], connectableNames())}
			}
			in.request.Forge, in.request.Owner = forge.Name(args[0]), args[1]
			in.request.Forks, in.request.Webhooks = !in.noForks, !in.noWebhooks
			token, err := readSecret(cmd.InOrStdin(), in.tokenFile)
			if err != nil {
				return err
			}
			in.request.Token = forge.Secret(token)
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.connectOrg(ctx, s, by, in)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.request.APIURL, "api-url", "", "Address of the forge, or of its API (default: the public forge of that name)")
	flags.StringVar(&in.tokenFile, "token-file", "", "File with the token, - for standard input (default: the one that it has)")
	flags.StringSliceVar(&in.request.Include, "include", nil, "Only repositories whose path matches, such as 'acme/pay*' or 'pay*'")
	flags.StringSliceVar(&in.request.Exclude, "exclude", nil, "No repositories whose path matches")
	flags.BoolVar(&in.request.Archived, "archived", false, "Archived repositories too")
	flags.BoolVar(&in.noForks, "no-forks", false, "No forks")
	flags.BoolVar(&in.request.SSH, "ssh", false, "Fetch over ssh instead of https with the token")
	flags.BoolVar(&in.noWebhooks, "no-webhooks", false, "Make no webhooks")
	flags.BoolVar(&in.removed, "removed", false, "Take up repositories again that were removed here")
	flags.BoolVar(&in.dryRun, "dry-run", false, "Change nothing, and show what would be done")
	return cmd
}

func (a *app) connectOrg(ctx context.Context, s *session, by access.Principal, in orgConnect) error {
	connector, err := s.connector()
	if err != nil {
		return err
	}
	bar := a.newProgress()
	defer bar.end()
	if in.dryRun {
		report, err := connector.Preview(ctx, by, in.request, bar.show)
		bar.end()
		if err != nil {
			return err
		}
		return a.printConnected(connectShown{DryRun: true}, report)
	}
	bar.stage("asking " + string(in.request.Forge))
	row, _, err := connector.Save(ctx, by, in.request)
	if err != nil {
		return err
	}
	report, err := connector.Look(ctx, by, row, connect.LookOptions{Revive: in.removed, Anew: true, Progress: bar.show})
	bar.end()
	if err != nil {
		return fmt.Errorf("the connection is stored, but not all was done; run the same again, or leave it to the daemon: %w", err)
	}
	if err := a.printConnected(connectShown{Connection: row.ID.String()}, report); err != nil {
		return err
	}
	if !s.daemon && !a.json && report.Registered() > 0 {
		fmt.Fprintln(a.stderr, "They are fetched when a daemon runs (\"blamepromptd serve\").")
	}
	return nil
}

// printConnected shows what was done for each repository that something was to
// be done for, and a line that sums it up.
func (a *app) printConnected(shown connectShown, report connect.Report) error {
	shown.Repositories, shown.Webhooks, shown.WebhooksReason = []forgeRepoShown{}, report.Webhooks, report.HooksReason
	var rows [][]string
	for _, r := range report.Repos {
		shown.Repositories = append(shown.Repositories, forgeRepoShown{r.Path, string(r.Action), r.Name, r.Reason})
		name := r.Name
		if name == r.Path {
			name = ""
		}
		rows = append(rows, []string{r.Path, string(r.Action), name, r.Reason})
	}
	if err := a.print(shown, []string{"REPOSITORY", "", "NAME HERE", ""}, rows); err != nil || a.json {
		return err
	}
	would := ""
	if shown.DryRun {
		would = " (nothing was changed)"
	}
	fmt.Fprintf(a.stderr, "%d repositories: %s%s.\n", len(report.Repos), countActions(report), would)
	switch {
	case report.HooksReason != "":
		fmt.Fprintf(a.stderr, "No webhooks: %s.\n", plain(report.HooksReason))
	case report.Webhooks == connect.HooksOwner:
		fmt.Fprintln(a.stderr, "One webhook tells of pushes to all of them.")
	case report.Webhooks == connect.HooksRepos && report.Registered() > 0:
		fmt.Fprintln(a.stderr, "Each has its own webhook: the token may not make one for all.")
	}
	return nil
}

func countActions(report connect.Report) string {
	var parts []string
	for _, action := range []store.Placement{store.RepoAdded, store.RepoAttached, store.RepoKnown, store.RepoRemoved, store.RepoTaken,
		connect.Skipped, connect.Refused} {
		if n := report.Count(action); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, action))
		}
	}
	if parts == nil {
		return "none that the token sees"
	}
	return strings.Join(parts, ", ")
}

// connectionShown is a connection in JSON.
type connectionShown struct {
	ID              string     `json:"id"`
	Forge           string     `json:"forge"`
	APIURL          string     `json:"api_url"`
	Owner           string     `json:"owner"`
	Include         []string   `json:"include"`
	Exclude         []string   `json:"exclude"`
	Archived        bool       `json:"archived"`
	Forks           bool       `json:"forks"`
	SSH             bool       `json:"ssh"`
	Webhooks        bool       `json:"webhooks"`
	Repositories    int        `json:"repositories"`
	StatusesWaiting int        `json:"statuses_waiting"`
	StatusesGivenUp int        `json:"statuses_given_up"`
	CreatedBy       string     `json:"created_by"`
	CreatedAt       time.Time  `json:"created_at"`
	CheckedAt       *time.Time `json:"checked_at"`
	Problem         string     `json:"problem"`
}

func newOrgConnections(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "connections",
		Short: "List the connections to forges",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.listConnections(ctx, s, by)
			})
		},
	}
}

func (a *app) listConnections(ctx context.Context, s *session, by access.Principal) error {
	connections, err := s.db.Connections(ctx, by.Org)
	if err != nil {
		return err
	}
	counts, err := s.db.ConnectionRepos(ctx, by.Org)
	if err != nil {
		return err
	}
	shown, rows := []connectionShown{}, [][]string{}
	for _, c := range connections {
		backlog, err := s.db.StatusBacklog(ctx, by.Org, c.ID)
		if err != nil {
			return err
		}
		shown = append(shown, connectionShown{ID: c.ID.String(), Forge: c.Forge, APIURL: c.APIURL, Owner: c.Owner, Include: c.Include,
			Exclude: c.Exclude, Archived: c.Archived, Forks: c.Forks, SSH: c.SSH, Webhooks: c.Webhooks, Repositories: counts[c.ID],
			StatusesWaiting: backlog.Waiting, StatusesGivenUp: backlog.GivenUp, CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt,
			CheckedAt: c.CheckedAt, Problem: c.Problem})
		rows = append(rows, []string{c.ID.String(), c.Forge, c.Owner, c.APIURL, strconv.Itoa(counts[c.ID]), when(c.CheckedAt), c.Problem})
	}
	return a.print(shown, []string{"ID", "FORGE", "OWNER", "API", "REPOSITORIES", "LOOKED AT (UTC)", "PROBLEM"}, rows)
}

func newOrgDisconnect(a *app) *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use:   "disconnect ID",
		Short: "End a connection to a forge and forget its token",
		Long: "End a connection to a forge and forget its token. Its repositories stay registered unless --remove-repos is given;\n" +
			"private ones need another credential from then on. Webhooks stay at the forge: remove them there.",
		Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a connection's id; see \"org connections\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.disconnectOrg(ctx, s, by, id, remove)
			})
		},
	}
	cmd.Flags().BoolVar(&remove, "remove-repos", false, "Stop fetching its repositories; their receipts stay")
	return cmd
}

func (a *app) disconnectOrg(ctx context.Context, s *session, by access.Principal, id uuid.UUID, remove bool) error {
	repos, err := s.db.Disconnect(ctx, by, id, remove)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("organisation %s has no connection %s; see \"blamepromptd org connections\"", a.org, id)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"disconnected": id.String(), "repositories": repos, "removed": remove})
	}
	what := "stay registered"
	if remove {
		what = "are removed"
	}
	fmt.Fprintf(a.stdout, "Connection %s is ended; its %d repositories %s.\n", id, repos, what)
	return nil
}
