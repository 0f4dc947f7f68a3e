package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

func newHooks(a *app) *cobra.Command {
	return group("hooks", "Hooks in the repositories of git servers", newHooksInstall(a), newHooksUninstall(a), newHooksStatus(a))
}

// hookPlaces are the flags that say where hooks are.
type hookPlaces struct {
	forge, dir string
	dryRun     bool
}

func (p *hookPlaces) addFlags(cmd *cobra.Command, changes bool) {
	names := make([]string, len(hooks.Forges()))
	for i, forge := range hooks.Forges() {
		names[i] = string(forge)
	}
	cmd.Flags().StringVar(&p.forge, "forge", "", "What serves the repositories: "+strings.Join(names, ", ")+" (default: guessed)")
	cmd.Flags().StringVar(&p.dir, "hooks-dir", "", "Directory of the hooks, for servers that set core.hooksPath for all repositories")
	if changes {
		cmd.Flags().BoolVar(&p.dryRun, "dry-run", false, "Say what would be done")
	}
}

// check reads the forge.
func (p *hookPlaces) check() error {
	if p.forge != "" && !slices.Contains(hooks.Forges(), hooks.Forge(p.forge)) {
		return fmt.Errorf("forge %q is unknown: use one of %v", p.forge, hooks.Forges())
	}
	if p.dir != "" && !filepath.IsAbs(p.dir) {
		return fmt.Errorf("--hooks-dir %q is not an absolute path", p.dir)
	}
	return nil
}

func (p *hookPlaces) forgeOf(path string) hooks.Forge {
	if p.forge != "" {
		return hooks.Forge(p.forge)
	}
	return hooks.DetectForge(path)
}

// gitDirs makes paths those of git directories: of a checkout the one in it.
func (a *app) gitDirs(paths []string) []string {
	dirs := make([]string, len(paths))
	for i, path := range paths {
		if !filepath.IsAbs(path) {
			path = filepath.Join(a.dir, path)
		}
		if info, err := os.Stat(filepath.Join(path, ".git")); err == nil && info.IsDir() {
			path = filepath.Join(path, ".git")
		}
		dirs[i] = filepath.Clean(path)
	}
	return dirs
}

// somePaths wants at least one argument.
func somePaths(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{cmd.CommandPath(), errors.New("PATH is missing")}
	}
	return nil
}

// hookInstall is what "hooks install" is given.
type hookInstall struct {
	hookPlaces
	options hooks.Options
	// wanted are the settings that the repository is given; empty ones stay.
	wanted  store.RepoSettings
	program string
	host    string
}

func newHooksInstall(a *app) *cobra.Command {
	in := &hookInstall{}
	cmd := &cobra.Command{
		Use:   "install PATH...",
		Short: "Put hooks into repositories, keeping those that are there",
		Long: "Put hooks into the repositories at PATH, bare ones or checkouts, keeping hooks that are there: they run\n" +
			"first. Hooks ask the daemon through its socket, or with --url and --key-file over HTTPS. Installing again\n" +
			"brings the files up to date. With --host the command for another host is printed; for forges whose hooks are\n" +
			"no files, what to do there.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := in.check(args); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.installHooks(cmd.Context(), in, args)
		},
	}
	in.addFlags(cmd, true)
	flags := cmd.Flags()
	flags.StringVar(&in.options.Client.Repo, "repo", "", "Name of the repository, for one PATH (default: the remote's at PATH, else what the server calls it)")
	flags.StringVar(&in.wanted.Mode, "mode", "", "What becomes of pushes that nobody could judge: advisory or enforcing (default: the repository's)")
	flags.StringVar(&in.wanted.ReceiptMode, "receipts", "", "When receipts are wanted: deferred, wait or same-push (default: the repository's)")
	flags.StringVar(&in.options.Client.URL, "url", "", "Ask the daemon at this address instead of its socket")
	flags.StringVar(&in.options.Client.KeyFile, "key-file", "", "File with an API key of scope hook, for --url")
	flags.StringVar(&in.options.Client.CAFile, "ca-file", "", "Certificates in PEM to trust, for --url")
	flags.DurationVar(&in.options.Time, "timeout", 0, "How long a hook may take, at most and by default 4s")
	flags.StringVar(&in.program, "program", "", "The program blameprompt-hook (default: hook_program)")
	flags.StringVar(&in.host, "host", "", "Print the command that installs the hooks on this host, by ssh")
	return cmd
}

func (in *hookInstall) check(paths []string) error {
	if err := in.hookPlaces.check(); err != nil {
		return err
	}
	client := in.options.Client
	switch {
	case !slices.Contains([]string{"", store.ModeAdvisory, store.ModeEnforcing}, in.wanted.Mode):
		return fmt.Errorf("--mode %q is neither advisory nor enforcing", in.wanted.Mode)
	case !slices.Contains([]string{"", store.ReceiptsDeferred, store.ReceiptsWait, store.ReceiptsSamePush}, in.wanted.ReceiptMode):
		return fmt.Errorf("--receipts %q is neither deferred, wait nor same-push", in.wanted.ReceiptMode)
	case in.wanted.ReceiptMode != "" && (client.URL != "" || in.host != "" || filelessForge(hooks.Forge(in.forge))):
		return errors.New("--receipts is for the daemon's own machine; elsewhere there is \"blamepromptd repo set\"")
	case client.URL == "" && (client.KeyFile != "" || client.CAFile != ""):
		return errors.New("--key-file and --ca-file are for --url")
	case client.URL != "" && client.KeyFile == "" && in.host == "" && !filelessForge(hooks.Forge(in.forge)):
		return errors.New("--url needs --key-file")
	case in.options.Time < 0 || in.options.Time > hooks.MaxTime:
		return fmt.Errorf("--timeout %s is not between 0 and %s", in.options.Time, hooks.MaxTime)
	case client.Repo != "" && len(paths) > 1:
		return errors.New("--repo is for one PATH")
	case in.host != "" && (strings.HasPrefix(in.host, "-") || slices.ContainsFunc(paths, func(p string) bool { return !filepath.IsAbs(p) })):
		return errors.New("--host wants a host's name and absolute paths on that host")
	case len(paths) == 0 && !filelessForge(hooks.Forge(in.forge)):
		return errors.New("PATH is missing")
	}
	return nil
}

// installHooks installs, or prints what cannot be done from here.
func (a *app) installHooks(ctx context.Context, in *hookInstall, paths []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	switch {
	case filelessForge(hooks.Forge(in.forge)):
		return a.printSteps(cfg, in)
	case in.host != "":
		return a.printHostCommand(cfg, in, paths)
	}
	dirs := a.gitDirs(paths)
	if in.program, err = a.hookProgram(cfg, in.program); err != nil {
		return err
	}
	if in.options.Client.URL != "" {
		return a.installInto(ctx, in, dirs, nil)
	}
	return a.inOrg(ctx, func(ctx context.Context, s *session, by access.Principal) error {
		in.options.Client.Socket = s.hookSocket()
		if in.options.Client.Socket == "" {
			return errors.New("the daemon has no hook_socket; give --url and --key-file")
		}
		if a.org != defaultOrg {
			in.options.Client.Org = a.org
		}
		return a.installInto(ctx, in, dirs, &register{s: s, by: by})
	})
}

// defaultOrg is the organisation that hooks need not name.
const defaultOrg = "default"

// hookSocket is that of the daemon that runs, else the one that it would open.
func (s *session) hookSocket() string {
	if r, err := readRunning(s.cfg.runningFile()); s.daemon && err == nil {
		return r.HookSocket
	}
	return s.cfg.hookSocket()
}

// hookProgram finds blameprompt-hook: the given one, the configured one, the
// one beside this program, or that on PATH.
func (a *app) hookProgram(cfg *Config, given string) (string, error) {
	const name = "blameprompt-hook"
	if given == "" {
		given = cfg.HookProgram
	}
	if given != "" {
		if !filepath.IsAbs(given) {
			given = filepath.Join(a.dir, given)
		}
		return given, checkProgram(given)
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if checkProgram(beside) == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither beside this program nor on PATH; name it with --program", name)
	}
	return filepath.Abs(path)
}

func checkProgram(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is no program", path)
	}
	return nil
}

// register is what the daemon knows of repositories; nil on hosts without it.
type register struct {
	s     *session
	by    access.Principal
	repos []store.Repo
}

// named is the repository's name that the daemon fetches from dir, "" if none.
func (r *register) named(ctx context.Context, dir string) (string, error) {
	if r == nil {
		return "", nil
	}
	if r.repos == nil {
		var err error
		if r.repos, err = r.s.db.Repos(ctx, r.by.Org); err != nil {
			return "", err
		}
	}
	for _, repo := range r.repos {
		if repo.RemoteURL != nil && filepath.IsAbs(*repo.RemoteURL) && samePlace(*repo.RemoteURL, dir) {
			return repo.Name, nil
		}
	}
	return "", nil
}

func samePlace(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// mode is the repository's, after it was given the settings that are wanted.
func (r *register) mode(ctx context.Context, name string, wanted store.RepoSettings, dryRun bool) (string, error) {
	if r == nil || name == "" {
		return wanted.Mode, nil
	}
	repo, err := r.s.db.Repo(ctx, r.by.Org, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	has := func(wanted, there string) bool { return wanted == "" || wanted == there }
	switch {
	case has(wanted.Mode, repo.Mode) && has(wanted.ReceiptMode, repo.ReceiptMode):
		return repo.Mode, nil
	case dryRun:
		return cmp.Or(wanted.Mode, repo.Mode), nil
	case err != nil:
		err = r.s.db.InTx(ctx, func(tx *store.Tx) (err error) {
			repo, err = tx.EnsureRepo(ctx, r.by, name)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	repo, err = r.s.db.UpdateRepo(ctx, r.by, repo.ID, wanted)
	return repo.Mode, err
}

// hookedRepo is a repository of "hooks install" and "hooks uninstall" in JSON.
type hookedRepo struct {
	Path  string   `json:"path"`
	Repo  string   `json:"repo"`
	Forge string   `json:"forge"`
	Mode  string   `json:"mode,omitempty"`
	Steps []string `json:"steps"`
	// Shared says that other repositories may have the same hooks.
	Shared bool `json:"shared,omitempty"`
	// Problem says why the account that runs the hooks cannot ask the daemon.
	Problem string `json:"problem,omitempty"`
}

// installInto installs into each directory; the errors of some do not keep
// the others back.
func (a *app) installInto(ctx context.Context, in *hookInstall, dirs []string, known *register) error {
	var done []hookedRepo
	var errs []error
	for _, dir := range dirs {
		one, err := in.installOne(ctx, dir, known)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !in.dryRun {
			one.Problem = in.tryOut(ctx, dir)
		}
		done = append(done, one)
	}
	return errors.Join(append(errs, a.printHooked(done))...)
}

func (in *hookInstall) installOne(ctx context.Context, dir string, known *register) (hookedRepo, error) {
	forge := in.forgeOf(dir)
	name, err := in.nameOf(ctx, dir, forge, known)
	if err != nil {
		return hookedRepo{}, err
	}
	mode, err := known.mode(ctx, name, in.wanted, in.dryRun)
	if err != nil {
		return hookedRepo{}, err
	}
	options := in.options
	if options.Mode = hooks.Mode(mode); mode == "" {
		options.Mode = askMode(ctx, options, name)
	}
	opts := hooks.InstallOptions{DryRun: in.dryRun, Mode: options.Mode, HooksDir: in.dir}
	_, shared, err := hooks.Place(ctx, dir, forge, opts)
	if err != nil {
		return hookedRepo{}, err
	}
	// A forge says the name itself, and knows when it changes; a directory that
	// others have too must not say it.
	if options.Client.Repo == "" && !shared && (forge == hooks.Git || forge == hooks.Gateway) {
		options.Client.Repo = name
	}
	opts.Args = options.Args()
	report, err := hooks.Install(ctx, dir, forge, in.program, opts)
	if err != nil {
		return hookedRepo{}, err
	}
	shown := showHooked(report, name)
	shown.Mode = string(options.Mode)
	return shown, nil
}

// nameOf is the given name, the one under which the daemon fetches from dir, or
// what the directory says.
func (in *hookInstall) nameOf(ctx context.Context, dir string, forge hooks.Forge, known *register) (string, error) {
	if in.options.Client.Repo != "" {
		return in.options.Client.Repo, nil
	}
	if name, err := known.named(ctx, dir); err != nil || name != "" {
		return name, err
	}
	return hooks.RepoName(ctx, dir, forge)
}

func showHooked(r hooks.Report, name string) hookedRepo {
	shown := hookedRepo{Path: r.Repo, Repo: name, Forge: string(r.Forge), Steps: []string{}, Shared: r.Shared}
	for _, step := range r.Steps {
		text := string(step.Action) + " " + below(r.Repo, step.Path)
		if step.From != "" {
			text += " (was " + filepath.Base(step.From) + ")"
		}
		shown.Steps = append(shown.Steps, text)
	}
	return shown
}

// below is path relative to dir if it lies in it.
func below(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

func (a *app) printHooked(done []hookedRepo) error {
	rows := make([][]string, len(done))
	for i, d := range done {
		rows[i] = []string{d.Repo, d.Forge, d.Mode, strings.Join(d.Steps, ", "), d.Path}
		if len(d.Steps) == 0 {
			rows[i][3] = "nothing to do"
		}
	}
	if err := a.print(done, []string{"REPOSITORY", "FORGE", "MODE", "CHANGED", "PATH"}, rows); err != nil {
		return err
	}
	said := map[string]bool{}
	for _, d := range done {
		if d.Shared {
			fmt.Fprintf(a.stderr, "note: the hooks of %s are outside of it; other repositories may have them too.\n", plain(d.Path))
		}
		if d.Problem != "" && !said[d.Problem] {
			said[d.Problem] = true
			fmt.Fprintf(a.stderr, "warning: %s\n", d.Problem)
		}
	}
	return nil
}

func newHooksUninstall(a *app) *cobra.Command {
	var places hookPlaces
	cmd := &cobra.Command{
		Use:   "uninstall PATH...",
		Short: "Take the hooks out of repositories and put back those that were there",
		Args:  somePaths,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := places.check(); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.uninstallHooks(cmd.Context(), &places, a.gitDirs(args))
		},
	}
	places.addFlags(cmd, true)
	return cmd
}

func (a *app) uninstallHooks(ctx context.Context, places *hookPlaces, dirs []string) error {
	var done []hookedRepo
	var errs []error
	for _, dir := range dirs {
		forge := places.forgeOf(dir)
		report, err := hooks.Uninstall(ctx, dir, forge, hooks.InstallOptions{DryRun: places.dryRun, HooksDir: places.dir})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		name, err := hooks.RepoName(ctx, dir, forge)
		errs = append(errs, err)
		done = append(done, showHooked(report, name))
	}
	return errors.Join(append(errs, a.printHooked(done))...)
}
