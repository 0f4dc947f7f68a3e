// Package connect keeps an organisation in step with its accounts at forges.
//
// It owns connections: which repositories of a forge's organisation are
// registered, that new ones are found, that their pushes are told by webhooks,
// and that the forge is told the verdicts on its commits. How a forge is spoken
// to is package forge's, what is stored is package store's.
//
// Promises: connecting again changes what has to change and nothing else; a
// repository that somebody removed stays removed until somebody asks for it; a
// connection that fails holds up no other; of two verdicts on one commit the
// older is never shown after the newer; a token is in no report, error or log.
package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// The tasks by which a daemon keeps connections in step. StatusTask is to be
// poked by the transaction that notes statuses.
const (
	StatusTask = "statuses"
	LookTask   = "connections"
)

// Remotes judges the addresses of repositories. mirror.Rules is one.
type Remotes interface {
	Check(ctx context.Context, rawURL string) (mirror.Remote, error)
}

// Jobs takes demands in the caller's transaction. *queue.Queue is one.
type Jobs interface {
	DemandFetch(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, d queue.Demand) error
	Poke(ctx context.Context, tx *store.Tx, name string) error
}

// Config says what a Connector works with.
type Config struct {
	DB      *store.DB
	Forges  *forge.Client
	Remotes Remotes
	Jobs    Jobs
	// PublicURL is where people read about decisions.
	PublicURL string
	// WebhookURL is where forges reach the daemon; empty makes no webhooks.
	WebhookURL string
	// Every is the pause between two looks at a connection; 0 means 30 minutes.
	Every time.Duration
	Log   zerolog.Logger
}

// Connector connects organisations to forges. It is safe for concurrent use.
type Connector struct{ cfg Config }

// New makes a connector.
func New(cfg Config) *Connector {
	if cfg.Every == 0 {
		cfg.Every = 30 * time.Minute
	}
	return &Connector{cfg}
}

// Request says what to connect to.
type Request struct {
	Forge forge.Name
	// APIURL is the address of the forge's API, or of the forge alone; empty for
	// the public one.
	APIURL string
	Owner  string
	// Token may be empty where the connection exists: it keeps its own.
	Token forge.Secret
	store.Selection
}

// Connect stores a connection, as Save does, and pokes the task that looks for
// its repositories.
func (c *Connector) Connect(ctx context.Context, by access.Principal, in Request) (row store.Connection, created bool, err error) {
	row, created, err = c.Save(ctx, by, in)
	if err != nil {
		return store.Connection{}, false, err
	}
	err = c.cfg.DB.InTx(ctx, func(tx *store.Tx) error { return c.cfg.Jobs.Poke(ctx, tx, LookTask) })
	return row, created, err
}

// Save stores a connection once the forge has taken its token. The repositories
// are for Look. What is wrong with the request is a *store.InvalidError, what
// the forge says a *forge.CallError.
func (c *Connector) Save(ctx context.Context, by access.Principal, in Request) (row store.Connection, created bool, err error) {
	_, account, err := c.prepare(ctx, by.Org, in)
	if err != nil {
		return store.Connection{}, false, err
	}
	if err := c.cfg.Forges.Check(ctx, account); err != nil {
		return store.Connection{}, false, fmt.Errorf("asking for %s at %s: %w", account.Owner, account.APIURL, err)
	}
	user, password := account.GitCredential()
	return c.cfg.DB.SaveConnection(ctx, by, store.NewConnection{Forge: string(account.Forge),
		APIURL: account.APIURL, Owner: account.Owner, Selection: in.Selection,
		Token: string(account.Token), User: user, Password: string(password)})
}

// prepare checks a request, and finds the connection that it means, the zero
// one if there is none yet.
func (c *Connector) prepare(ctx context.Context, org uuid.UUID, in Request) (store.Connection, forge.Account, error) {
	account := forge.Account{Forge: in.Forge, Owner: in.Owner, Token: in.Token}
	var err error
	account.APIURL, err = forge.NormalizeAPIURL(in.Forge, in.APIURL)
	switch {
	case errors.Is(err, forge.ErrForge), errors.Is(err, forge.ErrNoAPI):
		return store.Connection{}, account, &store.InvalidError{Field: "forge", Problem: err.Error()}
	case err != nil:
		return store.Connection{}, account, &store.InvalidError{Field: "api_url", Problem: err.Error()}
	}
	if err := checkRequest(in); err != nil {
		return store.Connection{}, account, err
	}
	found, err := c.find(ctx, org, account)
	if err != nil || in.Token != "" {
		return found, account, err
	}
	if found.ID == uuid.Nil {
		return found, account, &store.InvalidError{Field: "token", Problem: "a new connection needs one"}
	}
	account.Token, err = c.token(ctx, found)
	return found, account, err
}

// maxOwner is longer than what any forge allows.
const maxOwner = 255

func checkRequest(in Request) error {
	owner := strings.Trim(in.Owner, "/")
	switch {
	case owner == "" || len(owner) > maxOwner || owner != in.Owner || !printable(owner):
		return &store.InvalidError{Field: "owner", Problem: "give the name of an organisation, group, workspace or project"}
	case !printable(string(in.Token)) || strings.Contains(string(in.Token), " "):
		return &store.InvalidError{Field: "token", Problem: "it holds blanks or control characters"}
	}
	_, err := compile(in.Selection, in.Owner)
	return err
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func (c *Connector) find(ctx context.Context, org uuid.UUID, account forge.Account) (store.Connection, error) {
	rows, err := c.cfg.DB.Connections(ctx, org)
	for _, row := range rows {
		if row.Forge == string(account.Forge) && row.APIURL == account.APIURL && row.Owner == account.Owner {
			return row, nil
		}
	}
	return store.Connection{OrgID: org}, err
}

func (c *Connector) token(ctx context.Context, row store.Connection) (forge.Secret, error) {
	token, err := c.cfg.DB.ConnectionToken(ctx, row.OrgID, row.ID)
	return forge.Secret(token), err
}

// account is the forge's view of a connection.
func (c *Connector) account(ctx context.Context, row store.Connection) (forge.Account, error) {
	token, err := c.token(ctx, row)
	return forge.Account{Forge: forge.Name(row.Forge), APIURL: row.APIURL, Owner: row.Owner, Token: token}, err
}

// Check reports whether the forge of a connection answers and takes its token.
func (c *Connector) Check(ctx context.Context, row store.Connection) error {
	account, err := c.account(ctx, row)
	if err != nil {
		return err
	}
	return c.cfg.Forges.Check(ctx, account)
}

// choice is a compiled selection.
type choice struct {
	store.Selection
	owner            string
	include, exclude policy.Names
}

func compile(s store.Selection, owner string) (choice, error) {
	out := choice{Selection: s, owner: owner}
	var err error
	if out.include, err = policy.CompileNames(s.Include); err != nil {
		return choice{}, &store.InvalidError{Field: "include", Problem: err.Error()}
	}
	if out.exclude, err = policy.CompileNames(s.Exclude); err != nil {
		return choice{}, &store.InvalidError{Field: "exclude", Problem: err.Error()}
	}
	return out, nil
}

// skip says why a repository is not wanted, or nothing. Patterns are laid to
// its whole path and to what is behind the owner's.
func (c choice) skip(r forge.Repo) string {
	short := strings.TrimPrefix(r.Path, c.owner+"/")
	switch {
	case r.Archived && !c.Archived:
		return "archived"
	case r.Fork && !c.Forks:
		return "a fork"
	case len(c.Include) > 0 && !c.include.Match(r.Path) && !c.include.Match(short):
		return "not included"
	case c.exclude.Match(r.Path) || c.exclude.Match(short):
		return "excluded"
	case c.address(r) == "":
		return "has no address to fetch from"
	}
	return ""
}

func (c choice) address(r forge.Repo) string {
	if c.SSH {
		return r.SSHURL
	}
	return r.HTTPURL
}
