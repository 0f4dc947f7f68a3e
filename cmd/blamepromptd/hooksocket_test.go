package main

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func socketConfig(t *testing.T) *Config {
	t.Helper()
	return &Config{DataDir: t.TempDir(), HookSocketMode: "0600"}
}

func mustListen(t *testing.T, cfg *Config) *hookSocket {
	t.Helper()
	s, err := listenHooks(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheHookSocketHasItsRightsAndGoesWithTheDaemon(t *testing.T) {
	t.Parallel()
	cfg := socketConfig(t)
	cfg.HookSocketMode, cfg.HookSocketGroup = "0660", "0"
	if os.Geteuid() != 0 {
		cfg.HookSocketGroup = ""
	}
	s := mustListen(t, cfg)
	info, err := os.Lstat(cfg.hookSocket())
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Fatalf("socket %v, %v", info.Mode(), err)
	}
	if _, err := listenHooks(cfg); !errors.Is(err, errSocketTaken) {
		t.Errorf("a second daemon: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(cfg.DataDir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAStaleHookSocketIsReplaced(t *testing.T) {
	t.Parallel()
	cfg := socketConfig(t)
	dead := mustListen(t, cfg)
	// As a daemon that was killed leaves it.
	if err := dead.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	alive := mustListen(t, cfg)
	defer alive.Close()
	// The dead one's end must not take the new socket away.
	_ = dead.Close()
	conn, err := net.Dial("unix", cfg.hookSocket())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestAHookSocketThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"a file": {func(c *Config) {
			if err := os.WriteFile(c.hookSocket(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "a file that is no socket"},
		"too long":     {func(c *Config) { c.HookSocket = "/" + strings.Repeat("x", maxSocketPath) }, "more than"},
		"no directory": {func(c *Config) { c.HookSocket = filepath.Join(c.DataDir, "no", "sock") }, "no such file"},
		"no group":     {func(c *Config) { c.HookSocketGroup = "no-such-group" }, "no-such-group"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := socketConfig(t)
			c.change(cfg)
			if _, err := listenHooks(cfg); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "HOOK_SOCKET") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if _, err := os.Lstat(cfg.hookSocket() + newSuffix); err == nil {
				t.Error("a socket without a name is left")
			}
		})
	}
	cfg := socketConfig(t)
	cfg.HookSocket = off
	if s, err := listenHooks(cfg); s != nil || err != nil {
		t.Errorf("off: %v, %v", s, err)
	}
}
