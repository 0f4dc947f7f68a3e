package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// sshKeyShown is an SSH key in JSON.
type sshKeyShown struct {
	ID          string     `json:"id"`
	User        string     `json:"user"`
	Name        string     `json:"name"`
	Fingerprint string     `json:"fingerprint"`
	PublicKey   string     `json:"public_key"`
	CreatedAt   time.Time  `json:"created_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	RevokedAt   *time.Time `json:"revoked_at"`
}

func showSSHKey(k store.SSHKey) sshKeyShown {
	return sshKeyShown{k.ID.String(), k.Email, k.Name, k.Fingerprint, k.PublicKey, k.CreatedAt, k.LastUsedAt, k.RevokedAt}
}

func newSSHKey(a *app) *cobra.Command {
	return group("ssh-key", "Keys by which people are known to the SSH gateway",
		newSSHKeyAdd(a), newSSHKeyList(a), newSSHKeyRevoke(a))
}

func newSSHKeyAdd(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "add EMAIL FILE",
		Short: "Give a person a public key",
		Long:  "Give a person a public key. FILE is the .pub file, - for standard input.",
		Args:  exactly("EMAIL", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			line, err := readPublicKey(cmd.InOrStdin(), args[1])
			if err != nil {
				return err
			}
			return a.withUser(cmd.Context(), args[0], func(ctx context.Context, s *session, by access.Principal, user store.User) error {
				key, err := s.db.AddSSHKey(ctx, by, store.NewSSHKey{UserID: user.ID, Line: line, Name: name})
				switch {
				case errors.Is(err, store.ErrConflict):
					return errors.New("this key is somebody's already: a key is one person's of one organisation")
				case errors.Is(err, store.ErrNotFound):
					return fmt.Errorf("user %s is disabled; \"blamepromptd user add\" enables them again", user.Email)
				case err != nil:
					return err
				}
				return a.printSSHKeys(showSSHKey(key), key)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "What the key is called (default: the comment in FILE)")
	return cmd
}

// maxPublicKey is more than any public key has.
const maxPublicKey = 64 << 10

func readPublicKey(stdin io.Reader, path string) (string, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPublicKey))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return string(text), nil
}

func newSSHKeyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the SSH keys, revoked ones included",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				keys, err := s.db.SSHKeys(ctx, by.Org)
				if err != nil {
					return err
				}
				shown := make([]sshKeyShown, len(keys))
				for i, k := range keys {
					shown[i] = showSSHKey(k)
				}
				return a.printSSHKeys(shown, keys...)
			})
		},
	}
}

func (a *app) printSSHKeys(shown any, keys ...store.SSHKey) error {
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{k.ID.String(), k.Email, k.Name, k.Fingerprint, when(&k.CreatedAt), when(k.LastUsedAt), when(k.RevokedAt)}
	}
	return a.print(shown, []string{"ID", "USER", "NAME", "FINGERPRINT", "CREATED (UTC)", "LAST USED", "REVOKED"}, rows)
}

func newSSHKeyRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End an SSH key at once",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a key's id; see \"ssh-key list\"", args[0])}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				key, err := s.db.RevokeSSHKey(ctx, by, id)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("organisation %s has no SSH key %s; see \"blamepromptd ssh-key list\"", a.org, id)
				}
				if err != nil {
					return err
				}
				return a.printSSHKeys(showSSHKey(key), key)
			})
		},
	}
}
