package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// maxGitOutput bounds what is read of git's answers about refs and settings.
const maxGitOutput = 64 << 20

// checkout is the repository of the working directory.
type checkout struct {
	app *app
	// repo is what all work trees share.
	repo *gitcmd.Repo
	// gitDir is that of this work tree.
	gitDir string
	// head is the commit that is checked out, empty before the first one, and
	// branch its full ref name, empty when HEAD is detached.
	head   gitcmd.OID
	branch string

	settings map[string][]string
	// remotes are the remote-tracking refs; upstream is that of branch, if any.
	remotes  []trackingRef
	upstream upstream
}

// trackingRef is what a ref under refs/remotes/ points at; symref is where a
// symbolic one leads.
type trackingRef struct {
	name, symref string
	oid          gitcmd.OID
}

// upstream is where a branch is pulled from: the ref of the remote.
type upstream struct{ remote, ref string }

var errNoCheckout = errors.New("this is no git repository: run it inside of one")

// checkout finds the repository and reads its refs and settings.
func (a *app) checkout(ctx context.Context) (*checkout, error) {
	c, err := a.findCheckout(ctx)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.readSettings(ctx) })
	group.Go(func() error { return c.readRemotes(ctx) })
	return c, group.Wait()
}

// findCheckout is checkout without refs and settings.
func (a *app) findCheckout(ctx context.Context) (*checkout, error) {
	dirs := []string{"rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"}
	lines, err := a.gitLines(ctx, append(dirs, "HEAD", "--symbolic-full-name", "HEAD")...)
	if err != nil {
		// Before the first commit there is no HEAD.
		lines, err = a.gitLines(ctx, dirs...)
		lines = append(lines, "", "HEAD")
	}
	var failed *gitcmd.Error
	if errors.As(err, &failed) && strings.Contains(failed.Stderr, "not a git repository") {
		return nil, errNoCheckout
	}
	if err == nil && len(lines) != 4 {
		err = fmt.Errorf("git rev-parse gave %d lines", len(lines))
	}
	if err != nil {
		return nil, fmt.Errorf("finding the repository: %w", err)
	}
	repo, err := gitcmd.Open(lines[1])
	if err != nil {
		return nil, fmt.Errorf("finding the repository: %w", err)
	}
	c := &checkout{app: a, repo: repo, gitDir: lines[0], head: gitcmd.OID(lines[2])}
	if strings.HasPrefix(lines[3], "refs/heads/") {
		c.branch = lines[3]
	}
	return c, nil
}

// gitLines runs git in the working directory as the environment says, as in a
// hook, which finds its repository there.
func (a *app) gitLines(ctx context.Context, args ...string) ([]string, error) {
	command := gitcmd.New(ctx, a.dir, args...)
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CEILING_DIRECTORIES"} {
		if value, ok := a.lookup(name); ok {
			command.Env = append(command.Env, name+"="+value)
		}
	}
	out, err := command.Output(maxGitOutput)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), err
}

// settingsPattern matches the settings that are asked for.
const settingsPattern = `^(user\.(name|email)|remote\.pushdefault|remote\..*\.(url|pushurl)|branch\..*\.(pushremote|remote|merge))$`

// readSettings reads git's settings with those of the user, whose identity is
// usually there.
func (c *checkout) readSettings(ctx context.Context) error {
	command := c.repo.Command(ctx, "config", "--null", "--get-regexp", settingsPattern)
	home, _ := c.app.lookup("HOME")
	command.Env = []string{"HOME=" + home, "GIT_CONFIG_GLOBAL=" + c.app.userSettings(home)}
	out, err := command.Output(maxGitOutput)
	var failed *gitcmd.Error
	if errors.As(err, &failed) && failed.ExitCode == 1 {
		err = nil // none is set
	}
	if err != nil {
		return fmt.Errorf("reading git's settings: %w", err)
	}
	c.settings = map[string][]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if key, value, ok := strings.Cut(entry, "\n"); ok {
			c.settings[key] = append(c.settings[key], value)
		}
	}
	return nil
}

// userSettings is the file of the user's settings (git-config(1), FILES).
func (a *app) userSettings(home string) string {
	if file, ok := a.lookup("GIT_CONFIG_GLOBAL"); ok {
		return file
	}
	file := filepath.Join(home, ".gitconfig")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	dir, _ := a.lookup("XDG_CONFIG_HOME")
	return filepath.Join(cmp.Or(dir, filepath.Join(home, ".config")), "git", "config")
}

// setting is the last value of a setting, as git takes it.
func (c *checkout) setting(key string) string {
	if values := c.settings[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

func (c *checkout) readRemotes(ctx context.Context) error {
	args := []string{"for-each-ref",
		"--format=%(objectname)%00%(refname)%00%(symref)%00%(upstream:remotename)%00%(upstream:remoteref)", "refs/remotes/"}
	if c.branch != "" {
		args = append(args, c.branch)
	}
	out, err := c.repo.Command(ctx, args...).Output(maxGitOutput)
	if err != nil {
		return fmt.Errorf("reading the refs of the remotes: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\x00")
		if len(fields) != 5 {
			return fmt.Errorf("reading the refs of the remotes: unexpected line %.100q", line)
		}
		switch {
		case fields[1] == c.branch:
			c.upstream = upstream{remote: fields[3], ref: fields[4]}
		case strings.HasPrefix(fields[1], "refs/remotes/"):
			c.remotes = append(c.remotes, trackingRef{oid: gitcmd.OID(fields[0]), name: fields[1], symref: fields[2]})
		}
	}
	return nil
}

// remote is the one that a push would go to: that of the branch, the one that
// git is set to, origin, or the only one.
func (c *checkout) remote() string {
	name := strings.TrimPrefix(c.branch, "refs/heads/")
	chosen := cmp.Or(c.setting("branch."+name+".pushremote"), c.setting("remote.pushdefault"), c.upstream.remote)
	if chosen != "" && chosen != "." {
		return chosen
	}
	names := c.remoteNames()
	if slices.Contains(names, "origin") || len(names) != 1 {
		return "origin"
	}
	return names[0]
}

func (c *checkout) remoteNames() []string {
	var names []string
	for key := range c.settings {
		if name, ok := strings.CutPrefix(key, "remote."); ok && strings.HasSuffix(name, ".url") {
			names = append(names, strings.TrimSuffix(name, ".url"))
		}
	}
	slices.Sort(names)
	return names
}

// remoteURL is the address that git pushes to, empty for an unknown remote.
func (c *checkout) remoteURL(remote string) string {
	for _, key := range []string{"remote." + remote + ".pushurl", "remote." + remote + ".url"} {
		if values := c.settings[key]; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// known returns what the remote is known to have, and what it has at one ref.
func (c *checkout) known(remote, ref string) (all []gitcmd.OID, at gitcmd.OID) {
	prefix := "refs/remotes/" + remote + "/"
	for _, tracking := range c.remotes {
		name, ok := strings.CutPrefix(tracking.name, prefix)
		if !ok {
			continue
		}
		all = append(all, tracking.oid)
		if name != "HEAD" && "refs/heads/"+name == ref {
			at = tracking.oid
		}
	}
	return all, at
}

// defaultBranch is the full name of the remote's default branch, empty when it
// is not known.
func (c *checkout) defaultBranch(remote string) string {
	prefix := "refs/remotes/" + remote + "/"
	for _, tracking := range c.remotes {
		if name, ok := strings.CutPrefix(tracking.symref, prefix); ok && tracking.name == prefix+"HEAD" {
			return "refs/heads/" + name
		}
	}
	return ""
}

// commit resolves what a person calls a commit.
func (c *checkout) commit(ctx context.Context, revision string) (gitcmd.OID, error) {
	command := gitcmd.New(ctx, c.app.dir, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	command.Env = []string{"GIT_DIR=" + c.gitDir}
	out, err := command.Output(maxGitOutput)
	var failed *gitcmd.Error
	if errors.As(err, &failed) && failed.ExitCode > 0 {
		return "", fmt.Errorf("%q is no commit here", revision)
	}
	if err != nil {
		return "", fmt.Errorf("looking for %q: %w", revision, err)
	}
	return gitcmd.ParseOID(strings.TrimSpace(string(out)))
}

// null is the id of nothing in the repository's object format.
func (c *checkout) null() gitcmd.OID { return gitcmd.OID(strings.Repeat("0", len(c.head))) }

// repoOf is the name that a repository usually has at the server: the path of
// its address, "acme/api" of git@git.example.com:acme/api.git, and of a
// directory the last part alone, as a hook there would call it.
func repoOf(address string) string {
	path := address
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		path = strings.TrimPrefix(u.Path, "/")
	} else if host, rest, ok := strings.Cut(address, ":"); ok && !strings.Contains(host, "/") {
		path = strings.TrimPrefix(rest, "//")
	}
	path = strings.TrimSuffix(strings.TrimRight(path, "/"), ".git")
	if strings.HasPrefix(path, "/") {
		return filepath.Base(path)
	}
	return path
}

// withoutUser takes user and password out of the address of a remote.
func withoutUser(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		u.User = nil
		return u.String()
	}
	return address
}
