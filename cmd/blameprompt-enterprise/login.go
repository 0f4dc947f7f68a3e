package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

const loginHelp = `Keep an API key for a server, so that no environment variable is needed. The key
is read from the terminal without showing it, or from standard input, and tried
before it is kept in ~/.config/blameprompt/credentials.toml (or below
XDG_CONFIG_HOME), which only you can read.

A key in the environment wins over the one that is kept.`

func newLogin(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Keep an API key for a server",
		Long:  loginHelp,
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.login(cmd.Context()) },
	}
}

func (a *app) login(ctx context.Context) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	known, err := a.readCredentials()
	if err != nil {
		return err
	}
	s, err := a.serverURL(cfg, known)
	if err != nil {
		return err
	}
	if s.key, err = a.askKey(s); err != nil {
		return err
	}
	s.keyFrom = "as entered"
	client, err := a.newClient(s)
	if err != nil {
		return err
	}
	name, err := client.me(ctx)
	if err != nil {
		return err
	}
	if known == nil {
		known = credentials{}
	}
	known[s.url.String()] = credential{Key: s.key, Name: name}
	if err := a.writeCredentials(known); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"server": s.url.String(), "name": name})
	}
	fmt.Fprintf(a.stdout, "Logged in to %s as %s. The key is in %s.\n", s.url, plain(name), a.credentialsFile())
	return nil
}

// maxKey bounds what is read as a key.
const maxKey = 4 << 10

// askKey reads a key from a person or from standard input.
func (a *app) askKey(s server) (string, error) {
	var text []byte
	var err error
	if a.readPassword != nil {
		fmt.Fprintf(a.stderr, "API key for %s: ", s.url)
		text, err = a.readPassword()
		fmt.Fprintln(a.stderr)
	} else {
		var line string
		line, err = bufio.NewReader(io.LimitReader(a.stdin, maxKey)).ReadString('\n')
		if err == io.EOF {
			err = nil
		}
		text = []byte(line)
	}
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	return key, checkKey(key, "the input")
}

// me asks for the name of the key.
func (c *client) me(ctx context.Context) (string, error) {
	var answer struct {
		Username string `json:"username"`
	}
	_, err := c.json(ctx, call{method: http.MethodGet, path: "/api/me"}, &answer)
	return answer.Username, err
}

func newLogout(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget the API key that login kept for a server",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return a.logout() },
	}
}

func (a *app) logout() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	known, err := a.readCredentials()
	if err != nil {
		return err
	}
	s, err := a.serverURL(cfg, known)
	if err != nil {
		return err
	}
	address := s.url.String()
	if _, ok := known[address]; !ok {
		return fmt.Errorf("no key is kept for %s", address)
	}
	delete(known, address)
	if err := a.writeCredentials(known); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"server": address})
	}
	fmt.Fprintf(a.stdout, "The key for %s is forgotten here. Its administrator can revoke it.\n", address)
	return nil
}
