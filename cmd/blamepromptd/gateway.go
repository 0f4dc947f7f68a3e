package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/gateway"
	"github.com/blameprompt/enterprise/store"
)

// listenSSH opens the address of the gateway; nil if the configuration wants
// none.
func listenSSH(cfg *Config) (net.Listener, error) {
	if cfg.SSHAddr == off {
		return nil, nil
	}
	listener, err := net.Listen("tcp", cfg.SSHAddr)
	if err != nil {
		return nil, fmt.Errorf("opening ssh_addr (set %sSSH_ADDR for another one, or off for none): %w", envPrefix, err)
	}
	cfg.SSHAddr = reachable(listener.Addr())
	return listener, nil
}

// newGatewayRepos are the repositories that the gateway serves, for a daemon
// and for commands that fetch without one.
func newGatewayRepos(cfg *Config, db *store.DB, log zerolog.Logger) *gateway.Repos {
	return gateway.NewRepos(gateway.ReposConfig{
		DB: db, Root: cfg.gatewayRoot(), Remotes: cfg.rules(), Log: log.With().Str("part", "gateway").Logger(),
		FetchTimeout: cfg.FetchTimeout.Duration, PushTimeout: cfg.FetchTimeout.Duration,
	})
}

// newGateway makes the SSH server. Without the hook program it serves readers;
// pushes are refused until the program is where it was missed.
func (a *app) newGateway(cfg *Config, db *store.DB, repos *gateway.Repos, decider gateway.Decider, log zerolog.Logger) (*gateway.Server, error) {
	key, err := gateway.HostKey(cfg.hostKeyFile())
	if err != nil {
		return nil, err
	}
	program, err := a.hookProgram(cfg, "")
	if err != nil {
		if program = cfg.HookProgram; program == "" {
			program = missingHookProgram()
		}
		log.Warn().Err(err).Str("missed", program).Msg("pushes through the gateway are refused until blameprompt-hook is there")
	}
	return gateway.New(gateway.Config{
		DB: db, Repos: repos, Decider: decider, HostKey: key, HookProgram: program,
		HooksDir: filepath.Join(cfg.gatewayRoot(), "hooks"),
		Limits: gateway.Limits{
			Idle: cfg.SSHIdleTimeout.Duration, Total: cfg.SSHSessionTimeout.Duration,
			PerUser: cfg.SSHUserSessions, PerAddress: cfg.SSHAddrConnections, MaxPush: int64(cfg.SSHMaxPush) << 20,
		},
		Log: log.With().Str("part", "gateway").Logger(),
	})
}

// missingHookProgram is where the hook program would be found.
func missingHookProgram() string {
	self, err := os.Executable()
	if err != nil {
		self = "/usr/local/bin/blamepromptd"
	}
	return filepath.Join(filepath.Dir(self), "blameprompt-hook")
}
