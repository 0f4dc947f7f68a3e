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

// keyShown is an API key in JSON. Secret is there once, when the key is made.
type keyShown struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Prefix     string         `json:"prefix"`
	Scopes     []access.Scope `json:"scopes"`
	User       string         `json:"user"`
	CreatedBy  string         `json:"created_by"`
	CreatedAt  time.Time      `json:"created_at"`
	ExpiresAt  *time.Time     `json:"expires_at"`
	LastUsedAt *time.Time     `json:"last_used_at"`
	RevokedAt  *time.Time     `json:"revoked_at"`
	Secret     string         `json:"secret,omitempty"`
}

func showKey(k store.Key) keyShown {
	return keyShown{
		ID: k.ID.String(), Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, User: k.User, CreatedBy: k.CreatedBy,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt,
	}
}

func newKey(a *app) *cobra.Command {
	return group("key", "API keys", newKeyCreate(a), newKeyList(a), newKeyRevoke(a))
}

func newKeyCreate(a *app) *cobra.Command {
	var scopes []string
	var user string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key and show it, this once",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := access.ParseScopes(scopes)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			in := store.NewKey{Name: args[0], Scopes: parsed, User: user}
			if expires != 0 {
				in.ExpiresAt = time.Now().Add(expires)
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.createKey(ctx, s, by, in)
			})
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", []string{"read"}, "What the key may do: ingest, hook, read, write, admin")
	cmd.Flags().StringVar(&user, "user", "", "E-mail address of the user who will act with the key (default: nobody, a machine)")
	cmd.Flags().DurationVar(&expires, "expires", 0, "How long the key is valid, such as 2160h (default: for ever)")
	return cmd
}

func (a *app) createKey(ctx context.Context, s *session, by access.Principal, in store.NewKey) error {
	key, secret, err := s.db.CreateKey(ctx, by, in)
	if err != nil {
		return err
	}
	if a.json {
		shown := showKey(key)
		shown.Secret = secret
		return a.printJSON(shown)
	}
	fmt.Fprintf(a.stdout, "%s\n", secret)
	fmt.Fprintf(a.stderr, "This is key %s (%s). Keep it now: it is not shown again.\n", key.ID, scopeList(key.Scopes))
	return nil
}

func scopeList(scopes []access.Scope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, ",")
}

func newKeyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the API keys, revoked ones included",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				keys, err := s.db.Keys(ctx, by.Org)
				if err != nil {
					return err
				}
				return a.printKeys(keys)
			})
		},
	}
}

func (a *app) printKeys(keys []store.Key) error {
	shown := make([]keyShown, len(keys))
	rows := make([][]string, len(keys))
	for i, k := range keys {
		shown[i] = showKey(k)
		rows[i] = []string{
			k.ID.String(), k.Name, k.Prefix + "…", scopeList(k.Scopes), k.User, when(&k.CreatedAt), when(k.LastUsedAt),
			when(k.ExpiresAt), when(k.RevokedAt),
		}
	}
	return a.print(shown, []string{"ID", "NAME", "KEY", "SCOPES", "USER", "CREATED (UTC)", "LAST USED", "EXPIRES", "REVOKED"}, rows)
}

func newKeyRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End an API key at once",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a key's id; see \"key list\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				key, err := s.db.RevokeKey(ctx, by, id)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no key %s; see \"blamepromptd key list\"", a.org, id)
				}
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(showKey(key))
				}
				fmt.Fprintf(a.stdout, "Key %s (%s) is revoked.\n", key.ID, plain(key.Name))
				return nil
			})
		},
	}
}
