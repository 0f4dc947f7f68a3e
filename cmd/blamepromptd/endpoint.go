package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// endpointRules say where endpoints may be: where remotes and forges may.
func (c *Config) endpointRules() endpoint.Rules {
	rules := c.rules()
	return endpoint.Rules{CheckAddress: rules.CheckAddress, AllowHTTP: rules.AllowPrivate}
}

func newSender(cfg *Config, db *store.DB, log zerolog.Logger) (*endpoint.Sender, error) {
	return endpoint.NewSender(endpoint.Config{DB: db, Rules: cfg.endpointRules(), CAFile: cfg.CAFile,
		UserAgent: "blamepromptd/" + buildVersion().Version, Log: log.With().Str("part", "endpoints").Logger()})
}

func newEndpoint(a *app) *cobra.Command {
	return group("endpoint", "URLs that are told of what happens: webhooks out",
		newEndpointAdd(a), newEndpointList(a), newEndpointPing(a), newEndpointRemove(a))
}

// endpointShown is an endpoint in JSON. Secret is there once, when it is made.
type endpointShown struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Origin string   `json:"origin"`
	State  string   `json:"state"`
	Types  []string `json:"types"`
	Secret string   `json:"secret,omitempty"`
}

func showEndpoint(e store.Endpoint) endpointShown {
	shown := endpointShown{ID: e.ID.String(), Name: e.Name, Origin: e.Origin, State: "on", Types: []string{}}
	switch {
	case e.DisabledAt != nil:
		shown.State = "off"
	case e.FailingSince != nil:
		shown.State = "failing"
	}
	for _, t := range e.Types {
		shown.Types = append(shown.Types, string(t))
	}
	return shown
}

func newEndpointAdd(a *app) *cobra.Command {
	var file string
	var types []string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add an endpoint, and show the secret of its signatures, this once",
		Long: "Add an endpoint, and show the secret of its signatures, this once. The URL is read from a file,\n" +
			"since its path may be a secret. docs/endpoints.md has the types and what is sent.",
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			url, err := readText(cmd.InOrStdin(), file)
			if err != nil {
				return fmt.Errorf("reading the URL: %w", err)
			}
			in := endpoint.New{Name: args[0], URL: url}
			for _, t := range types {
				in.Types = append(in.Types, store.MessageType(t))
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.addEndpoint(ctx, s, by, in)
			})
		},
	}
	cmd.Flags().StringVar(&file, "url-file", "-", "File with the URL, - for standard input")
	cmd.Flags().StringSliceVar(&types, "types", nil, "What it is told of, such as push.refused; all if not given")
	return cmd
}

func (a *app) addEndpoint(ctx context.Context, s *session, by access.Principal, in endpoint.New) error {
	desk := endpoint.Desk{DB: s.db, Rules: s.cfg.endpointRules()}
	row, secret, err := desk.Create(ctx, by, in)
	if err != nil {
		return err
	}
	shown := showEndpoint(row)
	shown.Secret = secret
	if a.json {
		return a.printJSON(shown)
	}
	fmt.Fprintf(a.stdout, "ID      %s\nSecret  %s\n", shown.ID, shown.Secret)
	fmt.Fprintln(a.stderr, "Give the receiver the secret, to check signatures with. It is not shown again.")
	return nil
}

func newEndpointList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the endpoints, without the paths of their URLs",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				endpoints, err := s.db.Endpoints(ctx, by.Org)
				if err != nil {
					return err
				}
				shown := make([]endpointShown, len(endpoints))
				rows := make([][]string, len(endpoints))
				for i, e := range endpoints {
					shown[i] = showEndpoint(e)
					rows[i] = []string{e.ID.String(), e.Name, e.Origin, shown[i].State, when(e.SucceededAt), fmt.Sprint(e.Waiting), fmt.Sprint(e.Failed)}
				}
				return a.print(shown, []string{"ID", "NAME", "WHERE", "STATE", "TOOK ONE (UTC)", "WAITING", "FAILED"}, rows)
			})
		},
	}
}

func newEndpointPing(a *app) *cobra.Command {
	return a.onEndpoint("ping ID", "Have a message that means nothing sent to an endpoint", "A ping to endpoint %s is sent by the daemon within seconds.",
		func(ctx context.Context, s *session, by access.Principal, id uuid.UUID) error {
			_, err := s.db.PingEndpoint(ctx, by, id)
			return err
		})
}

func newEndpointRemove(a *app) *cobra.Command {
	return a.onEndpoint("remove ID", "Remove an endpoint with its messages", "Endpoint %s is removed.",
		func(ctx context.Context, s *session, by access.Principal, id uuid.UUID) error {
			return s.db.RemoveEndpoint(ctx, by, id)
		})
}

// onEndpoint is a command that does something with an endpoint.
func (a *app) onEndpoint(use, short, done string, do func(context.Context, *session, access.Principal, uuid.UUID) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not an endpoint's id; see \"endpoint list\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				err := do(ctx, s, by, id)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no endpoint %s; see \"blamepromptd endpoint list\"", a.org, id)
				}
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"endpoint": id.String()})
				}
				fmt.Fprintf(a.stdout, done+"\n", id)
				return nil
			})
		},
	}
}
