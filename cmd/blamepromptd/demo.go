package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/demo"
	"github.com/blameprompt/enterprise/store"
)

// demoOptions are what "demo" is given.
type demoOptions struct {
	exit bool
	seed uint64
}

func newDemo(a *app) *cobra.Command {
	var in demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make an organisation up and show it",
		Long: "Make an organisation up and show it: people, teams, repositories with ninety days of commits and receipts, and\n" +
			"policies that refused some of their pushes. It has a data directory and a private PostgreSQL of its own, which are\n" +
			"removed at the end unless --data-dir keeps them, and touches nothing of another daemon. The address is\n" +
			"http_addr if that is free, else one with a free port. What was kept is shown again by \"serve\" or by another \"demo\".",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demo(cmd.Context(), in, cmd.Flags().Changed("data-dir"))
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&in.exit, "exit", false, "End when everything is made, instead of showing it")
	flags.Uint64Var(&in.seed, "seed", 1, "Which story is told")
	return cmd
}

// demo makes the organisation if it is not there yet, and serves it.
func (a *app) demo(ctx context.Context, in demoOptions, kept bool) (err error) {
	cfg, err := a.demoConfig(kept)
	if err != nil {
		return err
	}
	if !kept {
		defer func() { err = errors.Join(err, os.RemoveAll(cfg.DataDir)) }()
	}
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	return a.onData(ctx, cfg, log, func(database *database, db *store.DB) error {
		login, err := a.makeDemo(ctx, cfg, db, log, in.seed)
		if err != nil {
			return err
		}
		if in.exit {
			_, err := fmt.Fprintf(a.stdout, "%s has a demo. Show it: blamepromptd demo --data-dir %s\n", cfg.DataDir, cfg.DataDir)
			return err
		}
		return a.serveStore(ctx, cfg, log, database, db, login)
	})
}

// demoConfig is the configuration of a daemon of its own: sockets, keys and
// addresses of another one that the configuration may name are left alone.
func (a *app) demoConfig(kept bool) (*Config, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	if cfg.DatabaseURL != "" {
		return nil, errors.New("the demo has a private PostgreSQL of its own: take database_url away (BLAMEPROMPT_DATABASE_URL)")
	}
	if !kept {
		if cfg.DataDir, err = temporaryData(); err != nil {
			return nil, err
		}
	}
	if cfg.LogLevel == zerolog.InfoLevel.String() {
		cfg.LogLevel = zerolog.WarnLevel.String()
	}
	cfg.HTTPAddr, cfg.SSHAddr, cfg.PublicURL = freeAddr(cfg.HTTPAddr), "127.0.0.1:0", ""
	cfg.HookSocket, cfg.SealKeyFile, cfg.SSHHostKeyFile = "", "", ""
	return cfg, nil
}

// temporaryData makes a data directory that PostgreSQL's account can enter.
func temporaryData() (string, error) {
	dir, err := os.MkdirTemp("", "blameprompt-demo-")
	if err != nil {
		return "", err
	}
	if os.Geteuid() == 0 {
		err = os.Chmod(dir, 0o711)
	}
	return dir, err
}

// freeAddr is the address if nothing listens there, else one of its host with
// any port.
func freeAddr(addr string) string {
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		_ = listener.Close()
		return addr
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, "0")
}

// demoLogin is how to sign in to a demo. It is kept in its data directory.
type demoLogin struct {
	Admin    string `json:"admin"`
	Member   string `json:"member"`
	Viewer   string `json:"viewer"`
	Password string `json:"password"`
}

func (l *demoLogin) text(url string) string {
	return fmt.Sprintf("\n  Open %s/login and sign in with one of these addresses, and the password\n\n"+
		"  Admin       %s\n  Member      %s\n  Viewer      %s\n  Password    %s\n\n  Ctrl-C ends it.\n\n",
		url, l.Admin, l.Member, l.Viewer, l.Password)
}

func (c *Config) demoFile() string { return filepath.Join(c.DataDir, "demo.json") }

// readDemo is the login of the demo that the directory has, nil for none.
func readDemo(path string) (*demoLogin, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	login := &demoLogin{}
	if err := json.Unmarshal(text, login); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return login, nil
}

func (l *demoLogin) write(path string) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o600)
}

// makeDemo makes the organisation, unless the directory has it.
func (a *app) makeDemo(ctx context.Context, cfg *Config, db *store.DB, log zerolog.Logger, seed uint64) (*demoLogin, error) {
	if login, err := readDemo(cfg.demoFile()); login != nil || err != nil {
		return login, err
	}
	orgs, err := db.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	if len(orgs) > 0 {
		return nil, fmt.Errorf("%s holds what is no demo, or one that was not finished; give another --data-dir", cfg.DataDir)
	}
	hook, err := a.hookProgram(cfg, "")
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(cfg.DataDir, "demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	const making = "making an organisation up"
	bar := a.newProgress()
	defer bar.end()
	bar.stage(making)
	password := rand.Text()
	made, err := demo.Build(ctx, demo.Config{DB: db, MirrorRoot: cfg.mirrorRoot(), GatewayRoot: cfg.gatewayRoot(), ReportDir: cfg.reportDir(), HookProgram: hook,
		WorkDir: work, Now: time.Now(), Seed: seed, Password: password, Log: log,
		Progress: func(done, total int) { bar.show(making, done, total) }})
	if err != nil {
		return nil, err
	}
	login := &demoLogin{Admin: made.Admin, Member: made.Member, Viewer: made.Viewer, Password: password}
	return login, login.write(cfg.demoFile())
}
