package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// minWebhookSecret is the shortest secret that is taken over from a forge.
const minWebhookSecret = 16

// webhookShown is a webhook secret in JSON. Secret and URL are there once, when
// it is made.
type webhookShown struct {
	ID        string     `json:"id"`
	Forge     string     `json:"forge"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at"`
	Secret    string     `json:"secret,omitempty"`
	URL       string     `json:"url,omitempty"`
}

func showWebhook(w store.WebhookSecret) webhookShown {
	return webhookShown{ID: w.ID.String(), Forge: w.Forge, CreatedAt: w.CreatedAt, RevokedAt: w.RevokedAt}
}

func newWebhook(a *app) *cobra.Command {
	return group("webhook", "Webhooks", group("secret", "Secrets that forges sign webhooks with",
		newWebhookSecretCreate(a), newWebhookSecretList(a), newWebhookSecretRevoke(a)))
}

func newWebhookSecretCreate(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "create FORGE",
		Short: "Make a webhook secret and show it, this once",
		Long: "Make a webhook secret and show it, this once, with the address to enter at the forge.\n" +
			"FORGE is one of " + forgeNames() + ". Several secrets of one forge are valid at once,\n" +
			"so that one can be replaced without a gap.",
		Args: exactly("FORGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(forge.Names(), forge.Name(args[0])) {
				return &usageError{cmd.CommandPath(), fmt.Errorf("forge %q is unknown: use one of %s", args[0], forgeNames())}
			}
			secret, err := readSecret(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.createWebhookSecret(ctx, s, by, args[0], secret)
			})
		},
	}
	cmd.Flags().StringVar(&file, "secret-file", "", "File with the secret that the forge has already, - for standard input")
	return cmd
}

func forgeNames() string {
	var names []string
	for _, name := range forge.Names() {
		names = append(names, string(name))
	}
	return strings.Join(names, ", ")
}

// readSecret reads a secret that exists already; no file means none.
func readSecret(stdin io.Reader, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := readText(stdin, file)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	secret := strings.TrimRight(text, "\r\n")
	if len(secret) < minWebhookSecret {
		return "", fmt.Errorf("reading the secret: it has %d characters, give at least %d", len(secret), minWebhookSecret)
	}
	return secret, nil
}

// readText reads a short file, or standard input for -, whose text is too secret for
// an argument.
func readText(stdin io.Reader, file string) (string, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSecretFile))
	return string(text), err
}

func (a *app) createWebhookSecret(ctx context.Context, s *session, by access.Principal, forge, secret string) error {
	row, secret, err := s.db.CreateWebhookSecret(ctx, by, forge, secret)
	if err != nil {
		return err
	}
	shown := showWebhook(row)
	shown.Secret = secret
	shown.URL = s.publicURL() + "/hooks/" + forge + "/" + a.org
	if a.json {
		return a.printJSON(shown)
	}
	fmt.Fprintf(a.stdout, "URL     %s\nSecret  %s\n", shown.URL, shown.Secret)
	fmt.Fprintln(a.stderr, "Enter both at the forge, with content type JSON. The secret is not shown again.")
	return nil
}

func newWebhookSecretList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the webhook secrets' records, revoked ones included",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				secrets, err := s.db.WebhookSecrets(ctx, by.Org)
				if err != nil {
					return err
				}
				shown := make([]webhookShown, len(secrets))
				rows := make([][]string, len(secrets))
				for i, w := range secrets {
					shown[i] = showWebhook(w)
					rows[i] = []string{w.ID.String(), w.Forge, when(&w.CreatedAt), when(w.RevokedAt)}
				}
				return a.print(shown, []string{"ID", "FORGE", "CREATED (UTC)", "REVOKED"}, rows)
			})
		},
	}
}

func newWebhookSecretRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a webhook secret at once",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a secret's id; see \"webhook secret list\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				err := s.db.RevokeWebhookSecret(ctx, by, id)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no webhook secret %s; see \"blamepromptd webhook secret list\"", a.org, id)
				}
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"revoked": id.String()})
				}
				fmt.Fprintf(a.stdout, "Webhook secret %s is revoked.\n", id)
				return nil
			})
		},
	}
}
