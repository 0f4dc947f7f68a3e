package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks"
)

// hookPatience is how long a command waits for the daemon's answer to a hook.
const hookPatience = 5 * time.Second

// hookStatus is a repository of "hooks status" in JSON.
type hookStatus struct {
	Path  string `json:"path"`
	Repo  string `json:"repo"`
	Forge string `json:"forge"`
	// State is "installed" only if both hooks are.
	State hooks.HookState `json:"state"`
	Mode  string          `json:"mode,omitempty"`
	// Asks is the socket or address that the hooks ask.
	Asks    string   `json:"asks,omitempty"`
	Chained []string `json:"chained"`
	// Problems are what is not as it should be; none is well.
	Problems []string `json:"problems"`
}

func newHooksStatus(a *app) *cobra.Command {
	var places hookPlaces
	cmd := &cobra.Command{
		Use:   "status PATH...",
		Short: "Show what hooks are installed, and whether the daemon hears them and agrees with them",
		Args:  somePaths,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := places.check(); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.hooksStatus(cmd.Context(), &places, a.gitDirs(args))
		},
	}
	places.addFlags(cmd, false)
	return cmd
}

// hooksStatus fails if there is a problem, so that scripts can tell.
func (a *app) hooksStatus(ctx context.Context, places *hookPlaces, dirs []string) error {
	var all []hookStatus
	var rows [][]string
	var errs []error
	for _, dir := range dirs {
		s, err := places.statusOf(ctx, dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, s)
		note := strings.Join(s.Problems, "; ")
		rows = append(rows, []string{s.Repo, s.Forge, string(s.State), s.Mode, s.Asks, s.Path, note})
		if note != "" {
			errs = append(errs, errSilent)
		}
	}
	errs = append(errs, a.print(all, []string{"REPOSITORY", "FORGE", "STATE", "MODE", "ASKS", "PATH", "PROBLEMS"}, rows))
	return firstLoud(errs)
}

// firstLoud joins errors; those that have been said are left out beside others.
func firstLoud(errs []error) error {
	var loud []error
	silent := false
	for _, err := range errs {
		if errors.Is(err, errSilent) {
			silent = true
		} else {
			loud = append(loud, err)
		}
	}
	if err := errors.Join(loud...); err != nil || !silent {
		return err
	}
	return errSilent
}

func (p *hookPlaces) statusOf(ctx context.Context, dir string) (hookStatus, error) {
	forge := p.forgeOf(dir)
	installed, err := hooks.Inspect(ctx, dir, forge, hooks.InstallOptions{HooksDir: p.dir})
	if err != nil {
		return hookStatus{}, err
	}
	s := hookStatus{Path: dir, Forge: string(forge), State: hooks.Installed, Chained: []string{}, Problems: []string{}}
	if s.Repo, err = hooks.RepoName(ctx, dir, forge); err != nil {
		return hookStatus{}, err
	}
	for _, hook := range installed {
		s.look(hook)
	}
	if s.State == hooks.Installed {
		// Both have the same arguments, or look has said that they have not.
		s.ask(ctx, installed[0])
	}
	return s, nil
}

// look notes what the file of a hook says.
func (s *hookStatus) look(hook hooks.InstalledHook) {
	if hook.State != hooks.Installed {
		s.State = hook.State
		s.complain("%s is %s", hook.Hook, hook.State)
		return
	}
	if hook.Chained != "" {
		s.Chained = append(s.Chained, below(s.Path, hook.Chained))
	}
	if err := checkProgram(hook.Program); err != nil {
		s.complain("%s: %v", hook.Hook, err)
	}
}

func (s *hookStatus) complain(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

// ask asks the daemon what the hook would ask.
func (s *hookStatus) ask(ctx context.Context, hook hooks.InstalledHook) {
	options, err := hooks.ParseOptions(hook.Args)
	if err != nil {
		s.complain("%v", err)
		return
	}
	s.Mode, s.Asks = string(options.Mode), options.Client.Socket+options.Client.URL
	if options.Mode != hook.Mode {
		s.complain("the file is %s without its program; install it again", hook.Mode)
	}
	if options.Client.Repo == "" {
		options.Client.Repo = s.Repo
	}
	s.Repo = options.Client.Repo
	client, err := hooks.NewClient(options.Client)
	if err != nil {
		s.complain("%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hookPatience)
	defer cancel()
	heard, err := client.Check(ctx)
	switch {
	case err != nil:
		s.complain("%v", err)
	case heard.Known && heard.Mode != options.Mode:
		s.complain("the daemon says %s; install it again, or run \"blamepromptd repo set %s --mode %s\"", heard.Mode, heard.Repo, options.Mode)
	}
}

// askMode is the mode that the daemon says a repository has, else advisory.
func askMode(ctx context.Context, options hooks.Options, name string) hooks.Mode {
	if options.Client.Repo = name; name == "" {
		return hooks.Advisory
	}
	ctx, cancel := context.WithTimeout(ctx, hookPatience)
	defer cancel()
	client, err := hooks.NewClient(options.Client)
	if err != nil {
		return hooks.Advisory
	}
	if heard, err := client.Check(ctx); err == nil && heard.Mode != "" {
		return heard.Mode
	}
	return hooks.Advisory
}

// tryOut asks the daemon as the account that git runs the hooks as, which owns
// the repository, and says in a line what keeps it from it. It is "" when all is
// well, and when this process cannot act as that account.
func (in *hookInstall) tryOut(ctx context.Context, dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return err.Error()
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 && os.Geteuid() != int(owner.Uid) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, hookPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, in.program, append(in.options.Args(), "check")...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	account := fmt.Sprintf("uid %d", owner.Uid)
	if who, err := user.LookupId(strconv.Itoa(int(owner.Uid))); err == nil {
		account = who.Username
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credentialOf(who, owner)}
		}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		text = err.Error()
	}
	return fmt.Sprintf("hooks that run as %s cannot ask the daemon yet, and end by their mode: %s%s", account, plain(text), in.remedy(text))
}

// credentialOf is the account with all of its groups.
func credentialOf(who *user.User, owner *syscall.Stat_t) *syscall.Credential {
	out := &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	if gid, err := strconv.ParseUint(who.Gid, 10, 32); err == nil {
		out.Gid = uint32(gid)
	}
	ids, err := who.GroupIds()
	if err != nil {
		return out
	}
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
			out.Groups = append(out.Groups, uint32(gid))
		}
	}
	return out
}

// remedy knows the usual cause: another account's socket.
func (in *hookInstall) remedy(text string) string {
	if in.options.Client.Socket == "" || !strings.Contains(text, syscall.EACCES.Error()) {
		return ""
	}
	return " (see hook_socket, hook_socket_group and hook_socket_mode in docs/configuration.md)"
}
