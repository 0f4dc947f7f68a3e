package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Sentinels of Install and Uninstall.
var (
	// ErrNoHookFiles: hooks of this forge are not files in a repository.
	ErrNoHookFiles = errors.New("hooks of this forge are not files in a repository")
	// ErrNotPrepared: the repository is not as the forge makes them.
	ErrNotPrepared = errors.New("repository is not one of this forge")
	// ErrOccupied: a file that is not ours is where an existing hook would be kept.
	ErrOccupied = errors.New("place to keep the existing hook is taken")
)

// InstallOptions say how hooks are put in place. The zero value installs both
// hooks into an advisory repository.
type InstallOptions struct {
	// DryRun reports what would be done and does nothing.
	DryRun bool
	// Mode says what becomes of pushes while the hook's program is not there;
	// empty is Advisory.
	Mode Mode
	// Args are given to the program before the name of the hook.
	Args []string
	// HooksDir replaces the directory that the repository's own configuration
	// names: for servers that set core.hooksPath for all.
	HooksDir string
}

// Report says what Install or Uninstall did, or would do.
type Report struct {
	Repo  string
	Forge Forge
	// Steps are empty when everything was as it should be.
	Steps []Step
	// Shared says that the directory of hooks is outside of the repository, so
	// that other repositories may use it too.
	Shared bool
}

// Action says what happened to a file.
type Action string

// The actions: a file of ours was written, a hook of others was kept under
// another name or put back, a file of ours was removed.
const (
	Written  Action = "written"
	Kept     Action = "kept"
	Restored Action = "restored"
	Removed  Action = "removed"
)

// Step is one change of a file.
type Step struct {
	Action Action
	Path   string
	// From is where a kept or restored hook was before.
	From string
}

// hookNames are the hooks that blameprompt-hook serves.
var hookNames = []string{"pre-receive", "post-receive"}

// Install makes git run the program hookPath, an absolute path, as the
// pre-receive and post-receive hook of the git directory repoDir:
//
//   - Git, Gitolite and Gateway: <hooks>/pre-receive, where <hooks> is
//     core.hooksPath of the repository's configuration, else "hooks". A hook that
//     is there stays in the directory as pre-receive.chained and runs first, with
//     the same input; when it refuses, ours is not asked.
//   - Gogs: the same in custom_hooks.
//   - Gitea: hooks/pre-receive.d/blameprompt, beside what Gitea has there.
//   - GitLab: custom_hooks/pre-receive.d/blameprompt.
//
// Other forges are ErrNoHookFiles. Files are replaced as a whole and belong to
// the owner of repoDir when root installs, so that pushes may go on meanwhile.
// Installing again changes nothing, or brings the files up to date.
func Install(ctx context.Context, repoDir string, forge Forge, hookPath string, opts InstallOptions) (Report, error) {
	if !filepath.IsAbs(hookPath) || strings.ContainsAny(hookPath+strings.Join(opts.Args, ""), "\x00\n\r") {
		return Report{}, fmt.Errorf("installing hooks: %q is not the absolute path of a program", hookPath)
	}
	i, err := newInstallation(ctx, repoDir, forge, opts)
	if err != nil {
		return Report{}, fmt.Errorf("installing hooks: %w", err)
	}
	for _, name := range hookNames {
		if err := i.install(name, append(append([]string{hookPath}, opts.Args...), name)); err != nil {
			return i.report, fmt.Errorf("installing %s in %s: %w", name, repoDir, err)
		}
	}
	return i.report, nil
}

// Place is the directory of a repository's hooks, and whether it is outside of
// the repository, so that other repositories may have them too.
func Place(ctx context.Context, repoDir string, forge Forge, opts InstallOptions) (dir string, shared bool, err error) {
	i, err := newInstallation(ctx, repoDir, forge, opts)
	if err != nil {
		return "", false, fmt.Errorf("finding hooks: %w", err)
	}
	return i.dir, i.report.Shared, nil
}

// Uninstall undoes Install: files of ours are removed and kept hooks are put
// back. What is not ours is not touched.
func Uninstall(ctx context.Context, repoDir string, forge Forge, opts InstallOptions) (Report, error) {
	i, err := newInstallation(ctx, repoDir, forge, opts)
	if err != nil {
		return Report{}, fmt.Errorf("uninstalling hooks: %w", err)
	}
	for _, name := range hookNames {
		if err := i.uninstall(name); err != nil {
			return i.report, fmt.Errorf("uninstalling %s from %s: %w", name, repoDir, err)
		}
	}
	return i.report, nil
}

// installation is the place of hooks in one repository.
type installation struct {
	opts InstallOptions
	dir  string
	// beside says that the forge runs all files in <dir>/<hook>.d.
	beside bool
	// owner is given to what root writes.
	owner  *syscall.Stat_t
	report Report
}

func newInstallation(ctx context.Context, repoDir string, forge Forge, opts InstallOptions) (*installation, error) {
	repo, err := gitcmd.Open(repoDir)
	if err != nil {
		return nil, err
	}
	i := &installation{opts: opts, report: Report{Repo: repo.Dir(), Forge: forge}}
	if i.owner, err = ownerOf(repo.Dir()); err != nil {
		return nil, err
	}
	switch forge {
	case Git, Gitolite, Gateway:
		i.dir, err = hooksDir(ctx, repo)
	case Gogs:
		i.dir = filepath.Join(repo.Dir(), "custom_hooks")
	case GitLab:
		i.dir, i.beside = filepath.Join(repo.Dir(), "custom_hooks"), true
	case Gitea:
		i.dir, i.beside = filepath.Join(repo.Dir(), "hooks"), true
		_, statErr := os.Stat(filepath.Join(i.dir, "pre-receive.d"))
		if statErr != nil {
			err = fmt.Errorf("%w (run gitea admin regenerate hooks): %w", ErrNotPrepared, statErr)
		}
	default:
		err = fmt.Errorf("%s: %w", forge, ErrNoHookFiles)
	}
	if opts.HooksDir != "" {
		i.dir = opts.HooksDir
	}
	within, relErr := filepath.Rel(repo.Dir(), i.dir)
	i.report.Shared = relErr != nil || within == ".." || strings.HasPrefix(within, "../")
	return i, err
}

func ownerOf(dir string) (*syscall.Stat_t, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("reading the owner of %s", dir)
	}
	return stat, nil
}

// hooksDir follows core.hooksPath (git-config(1)) of the repository's own
// configuration; a relative one is relative to the git directory.
func hooksDir(ctx context.Context, repo *gitcmd.Repo) (string, error) {
	dir, set, err := ownConfig(ctx, repo, "core.hooksPath")
	switch {
	case err != nil:
		return "", fmt.Errorf("reading core.hooksPath: %w", err)
	case !set:
		return filepath.Join(repo.Dir(), "hooks"), nil
	case dir == "":
		return "", errors.New("core.hooksPath is empty, with which git runs no hooks: unset it or name the directory")
	case dir[0] == '~':
		return "", fmt.Errorf("core.hooksPath %q depends on a user's home: name the directory", dir)
	case !filepath.IsAbs(dir):
		dir = filepath.Join(repo.Dir(), dir)
	}
	return filepath.Clean(dir), nil
}

// ownConfig reads a setting of the repository's own configuration, and whether
// it is set.
func ownConfig(ctx context.Context, repo *gitcmd.Repo, key string) (value string, set bool, err error) {
	out, err := repo.Command(ctx, "config", "--file", filepath.Join(repo.Dir(), "config"), "--includes",
		"--null", "--get", key).Output(64 << 10)
	var failed *gitcmd.Error
	if errors.As(err, &failed) && failed.ExitCode == 1 {
		return "", false, nil
	}
	return strings.TrimSuffix(string(out), "\x00"), err == nil, err
}

// paths are where the hook is, and where one that was there before is kept.
func (i *installation) paths(name string) (ours, kept string) {
	if i.beside {
		return filepath.Join(i.dir, name+".d", "blameprompt"), ""
	}
	return filepath.Join(i.dir, name), filepath.Join(i.dir, name+".chained")
}

func (i *installation) install(name string, command []string) error {
	ours, kept := i.paths(name)
	script := i.script(name, command)
	there, err := readHook(ours)
	if err != nil {
		return err
	}
	if there.is(script) {
		return nil
	}
	if there.foreign() {
		if kept == "" {
			return fmt.Errorf("%s: %w", ours, ErrOccupied)
		}
		if err := i.keep(ours, kept); err != nil {
			return err
		}
	}
	i.report.Steps = append(i.report.Steps, Step{Action: Written, Path: ours})
	if i.opts.DryRun {
		return nil
	}
	return i.write(ours, script)
}

// keep gives an existing hook its second name. It loses the first one when
// ours is put there, so that at no time a push meets no hook.
func (i *installation) keep(ours, kept string) error {
	first, err := os.Lstat(ours)
	if err != nil {
		return err
	}
	second, err := os.Lstat(kept)
	switch {
	case err == nil && os.SameFile(first, second):
		// An earlier installation ended between the two steps.
		return nil
	case err == nil:
		return fmt.Errorf("%s: %w", kept, ErrOccupied)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	i.report.Steps = append(i.report.Steps, Step{Action: Kept, Path: kept, From: ours})
	if i.opts.DryRun {
		return nil
	}
	return os.Link(ours, kept)
}

// write puts a file in place at once.
func (i *installation) write(path string, script []byte) error {
	if err := i.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".blameprompt-*")
	if err != nil {
		return err
	}
	_, err = file.Write(script)
	err = errors.Join(err, file.Chmod(0o755), i.chown(file.Name()), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// mkdir makes dir and at most one directory above it.
func (i *installation) mkdir(dir string) error {
	for _, d := range []string{filepath.Dir(dir), dir} {
		err := os.Mkdir(d, 0o755)
		switch {
		case errors.Is(err, os.ErrExist):
		case err != nil:
			return err
		default:
			if err := i.chown(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *installation) chown(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(i.owner.Uid), int(i.owner.Gid))
}

func (i *installation) uninstall(name string) error {
	ours, kept := i.paths(name)
	there, err := readHook(ours)
	if err != nil || !there.ours() {
		return err
	}
	if kept != "" {
		if _, err := os.Lstat(kept); err == nil {
			i.report.Steps = append(i.report.Steps, Step{Action: Restored, Path: ours, From: kept})
			return i.unless(func() error { return os.Rename(kept, ours) })
		}
	}
	i.report.Steps = append(i.report.Steps, Step{Action: Removed, Path: ours})
	return i.unless(func() error { return os.Remove(ours) })
}

func (i *installation) unless(change func() error) error {
	if i.opts.DryRun {
		return nil
	}
	return change()
}

// marker is the second line of every file of ours.
const marker = "# Written by BlamePrompt Enterprise; blamepromptd hooks uninstall removes it."

// script is the file for one hook. Input is passed on unread where nothing is
// chained; else it is held, as every hook must see all of it. git calls a hook
// by a path with a slash. Each program that the script would start is one that
// every push waits for.
func (i *installation) script(name string, command []string) []byte {
	quotedCommand := make([]string, len(command))
	for n, word := range command {
		quotedCommand[n] = shellQuote(word)
	}
	status, mode := 0, "accepted"
	if i.opts.Mode == Enforcing && name == "pre-receive" {
		status, mode = 1, "refused"
	}
	var s strings.Builder
	s.WriteString("#!/bin/sh\n" + marker + "\n")
	fmt.Fprintf(&s, "program=%s\n", quotedCommand[0])
	fmt.Fprintf(&s, "if [ ! -x \"$program\" ]; then\n\techo \"BlamePrompt: $program is missing; push %s\" >&2\n", mode)
	fmt.Fprintf(&s, "\tprogram=\nfi\n")
	ours := strings.Join(append([]string{`"$program"`}, quotedCommand[1:]...), " ")
	if i.beside {
		fmt.Fprintf(&s, "[ -n \"$program\" ] || exit %d\nexec %s\n", status, ours)
		return []byte(s.String())
	}
	s.WriteString("chained=${0%/*}/" + name + ".chained\n")
	fmt.Fprintf(&s, "if [ ! -x \"$chained\" ]; then\n\t[ -n \"$program\" ] || exit %d\n\texec %s\nfi\n", status, ours)
	s.WriteString("updates=$(cat)\n")
	s.WriteString("printf '%s\\n' \"$updates\" | \"$chained\" \"$@\"" + chainEnd(name) + "\n")
	fmt.Fprintf(&s, "[ -n \"$program\" ] || exit %d\n", status)
	fmt.Fprintf(&s, "printf '%%s\\n' \"$updates\" | %s\n", ours)
	return []byte(s.String())
}

// chainEnd lets a chained pre-receive refuse; behind the push nothing can.
func chainEnd(name string) string {
	if name == "pre-receive" {
		return " || exit $?"
	}
	return ""
}

func shellQuote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// existing is what is at the place of a hook.
type existing struct {
	there, runs bool
	text        []byte
}

// maxScript is more than any script of ours has.
const maxScript = 64 << 10

func readHook(path string) (existing, error) {
	if _, err := os.Lstat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return existing{}, err
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		// A symbolic link to nothing is a hook that others may bring back.
		return existing{there: true}, nil
	}
	if err != nil {
		return existing{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return existing{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxScript))
	return existing{there: true, runs: info.Mode().Perm()&0o111 == 0o111, text: text}, err
}

func (e existing) is(script []byte) bool { return e.runs && bytes.Equal(e.text, script) }

func (e existing) ours() bool {
	return e.there && bytes.HasPrefix(e.text, []byte("#!/bin/sh\n"+marker+"\n"))
}

func (e existing) foreign() bool { return e.there && !e.ours() }
