package hooks

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Forge names what runs the hook.
type Forge string

// The forges. Forgejo keeps Gitea's variables and is Gitea here; Gateway is
// our own SSH server.
const (
	Git       Forge = "git"
	Gitolite  Forge = "gitolite"
	Gitea     Forge = "gitea"
	GitLab    Forge = "gitlab"
	GHES      Forge = "ghes"
	Gogs      Forge = "gogs"
	Bitbucket Forge = "bitbucket"
	Gateway   Forge = "gateway"
)

// Forges returns every forge in a fixed order.
func Forges() []Forge {
	return []Forge{Git, Gitolite, Gitea, GitLab, GHES, Gogs, Bitbucket, Gateway}
}

// Via says how the refs came to be updated.
type Via string

// Pushed updates come from a developer's machine. The others are the forge's
// own: its merge button, its editor and other pages, its API.
const (
	Pushed Via = "push"
	Merged Via = "merge"
	Edited Via = "web"
	Called Via = "api"
)

// Environment is what the variables of a hook say, the same for all forges.
// Its text is what the forge claims, cut at 1 KiB and made valid UTF-8; empty
// is not known.
type Environment struct {
	Forge Forge `json:"forge"`
	// User is the account that pushes; empty for a deploy key. For plain git it is
	// the user that the web server authenticated, else that of the operating
	// system, whom several people may share.
	User string `json:"user,omitempty"`
	// UserID is the forge's own id of the account.
	UserID string `json:"user_id,omitempty"`
	Email  string `json:"email,omitempty"`
	// Key is the key that was used, as the forge names it: an id, "key-7" or a
	// fingerprint.
	Key string `json:"key,omitempty"`
	// Repo is "owner/name" where the forge says so; for plain git the last part of
	// Dir without ".git".
	Repo string `json:"repo,omitempty"`
	// RepoID is the forge's own id of the repository.
	RepoID string `json:"repo_id,omitempty"`
	// Dir is the absolute path of the git directory.
	Dir string `json:"dir,omitempty"`
	Via Via    `json:"via"`
	// Trigger is the forge's word behind Via: "pull request merge button".
	Trigger string `json:"trigger,omitempty"`
	// Protocol is "ssh", "http" or "web", empty for a local push.
	Protocol    string `json:"protocol,omitempty"`
	PullRequest string `json:"pull_request,omitempty"`
	// Address is the client's network address.
	Address string `json:"address,omitempty"`
	// Wiki says that the repository holds a wiki and no code.
	Wiki bool `json:"wiki,omitempty"`
	// DryRun says that the forge only asks whether it could.
	DryRun bool `json:"dry_run,omitempty"`
	// PushOptions are those of git push -o, in order.
	PushOptions []string `json:"push_options,omitempty"`

	// Quarantine is where the objects of the push are.
	Quarantine Quarantine `json:"-"`
}

// Quarantine names the directories of objects that receive-pack gives to a
// pre-receive hook. All are empty behind it.
type Quarantine struct {
	// Objects and Alternates are GIT_OBJECT_DIRECTORY (whatever it is called:
	// tmp_objdir-incoming-*, incoming-* before git 2.35, ghq_* on GHES) and
	// GIT_ALTERNATE_OBJECT_DIRECTORIES.
	Objects, Alternates string
	// Shallow is GIT_SHALLOW_FILE, set for a shallow push into a repository that
	// allows one.
	Shallow string
}

// The bounds of what is read from the environment.
const (
	maxVariable      = 1 << 10
	maxPushOptions   = 32
	maxPushOption    = 4 << 10
	maxOptionsLength = 16 << 10
)

// ErrPushOptions says that there are too many push options or too long ones.
// The push is refused: none of them may be lost unseen.
var ErrPushOptions = errors.New("push options cannot be read")

// ReadEnvironment reads the variables ("NAME=value", as os.Environ gives them)
// of a hook that runs in the git directory dir, an absolute path. It knows a
// forge by the variables that only that forge sets. The error wraps
// ErrPushOptions, and all but the push options is there then; everything else
// is valid in some forge.
func ReadEnvironment(environ []string, dir string) (Environment, error) {
	vars := variables{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			vars[name] = value
		}
	}
	env := vars.forge()
	env.Dir = strings.ToValidUTF8(filepath.Clean(dir), "\uFFFD")
	if env.Repo == "" {
		env.Repo = strings.TrimSuffix(filepath.Base(strings.TrimSuffix(env.Dir, "/.git")), ".git")
	}
	if env.Via == "" {
		env.Via = Pushed
	}
	env.Quarantine = vars.quarantine()
	options, err := vars.pushOptions()
	if err != nil {
		return env, fmt.Errorf("reading environment: %w: %w", err, ErrPushOptions)
	}
	env.PushOptions = options
	return env, nil
}

// gitDir is the git directory of a hook that runs in dir.
func gitDir(environ []string, dir string) string {
	for _, entry := range environ {
		if path, ok := strings.CutPrefix(entry, "GIT_DIR="); ok && path != "" {
			if filepath.IsAbs(path) {
				return filepath.Clean(path)
			}
			return filepath.Join(dir, path)
		}
	}
	return dir
}

// variables are those of a process.
type variables map[string]string

// text returns a value for a person or a record.
func (v variables) text(name string) string {
	return bounded(v[name], maxVariable)
}

// bounded makes text valid UTF-8 of at most limit bytes.
func bounded(text string, limit int) string {
	return cut(strings.ToValidUTF8(cut(text, limit), "\uFFFD"), limit)
}

// cut cuts text at limit bytes and not inside of a rune.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for end := limit; end > limit-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return text[:end]
		}
	}
	return text[:limit]
}

func (v variables) any(names ...string) bool {
	for _, name := range names {
		if v[name] != "" {
			return true
		}
	}
	return false
}

func (v variables) forge() Environment {
	switch {
	case v.any("BLAMEPROMPT_GATEWAY_REPO"):
		return v.gateway()
	case v.any("GITHUB_USER_LOGIN", "GITHUB_REPO_NAME"):
		return v.ghes()
	case v.any("GL_PROJECT_PATH", "GL_REPOSITORY"):
		return v.gitlab()
	case v.any("GITEA_REPO_NAME", "GITEA_PUSHER_NAME"):
		return v.gitea()
	case v.any("GOGS_REPO_NAME", "GOGS_AUTH_USER_NAME"):
		return v.gogs()
	case v.any("BB_REPO_SLUG"):
		return v.bitbucket()
	case v.any("GL_REPO"):
		return v.gitolite()
	}
	return v.git()
}

// gateway reads what hooks/gateway sets for its receive-pack.
func (v variables) gateway() Environment {
	return Environment{
		Forge: Gateway, Protocol: "ssh",
		User: v.text("BLAMEPROMPT_GATEWAY_USER"), Email: v.text("BLAMEPROMPT_GATEWAY_EMAIL"),
		Key: v.text("BLAMEPROMPT_GATEWAY_KEY"), Repo: v.text("BLAMEPROMPT_GATEWAY_REPO"),
		Address: v.text("BLAMEPROMPT_GATEWAY_ADDRESS"),
	}
}

// ghes follows GitHub's "Creating a pre-receive hook script".
func (v variables) ghes() Environment {
	trigger := v.text("GITHUB_VIA")
	env := Environment{
		Forge: GHES, User: v.text("GITHUB_USER_LOGIN"), Key: v.text("GITHUB_PUBLIC_KEY_FINGERPRINT"),
		Repo: v.text("GITHUB_REPO_NAME"), Address: v.text("GITHUB_USER_IP"),
		Trigger: trigger, Via: githubVia(trigger), Protocol: "http",
	}
	switch {
	case env.Via != Pushed:
		env.Protocol = "web"
	case env.Key != "" || v.any("SSH_CONNECTION"):
		env.Protocol = "ssh"
	}
	if head, base := v.text("GITHUB_PULL_REQUEST_HEAD"), v.text("GITHUB_PULL_REQUEST_BASE"); head != "" {
		env.PullRequest = head + " into " + base
	}
	return env
}

// githubVia sorts the words that GHES documents: "pull request merge button",
// "merge base into head", "git refs create api", "blob#save", ...
func githubVia(trigger string) Via {
	switch words := strings.ToLower(trigger); {
	case words == "" || strings.HasPrefix(words, "slumlord"):
		// The second is GitHub's Subversion bridge: a developer's commit.
		return Pushed
	case strings.Contains(words, "merge"):
		return Merged
	case strings.HasSuffix(words, " api"):
		return Called
	}
	return Edited
}

// gitlab follows GitLab's "Git server hooks". The forge's merges and edits both
// come as "web".
func (v variables) gitlab() Environment {
	env := Environment{
		Forge: GitLab, User: v.text("GL_USERNAME"), UserID: v.text("GL_ID"),
		Repo: v.text("GL_PROJECT_PATH"), RepoID: v.text("GL_REPOSITORY"),
		Protocol: v.text("GL_PROTOCOL"),
	}
	if strings.HasPrefix(env.UserID, "key-") {
		env.Key, env.UserID = env.UserID, ""
	}
	if strings.HasPrefix(env.RepoID, "wiki-") {
		env.Wiki = true
	}
	if env.Protocol == "web" {
		env.Via, env.Trigger = Edited, "web"
	}
	return env
}

// gitea follows Gitea's modules/repository/env.go, which Forgejo shares.
func (v variables) gitea() Environment {
	env := Environment{
		Forge: Gitea, User: v.text("GITEA_PUSHER_NAME"), UserID: v.id("GITEA_PUSHER_ID"),
		Email: v.text("GITEA_PUSHER_EMAIL"),
		Repo:  joinPath(v.text("GITEA_REPO_USER_NAME"), v.text("GITEA_REPO_NAME")), RepoID: v.id("GITEA_REPO_ID"),
		Trigger: v.text("GITEA_PUSH_TRIGGER"), PullRequest: v.id("GITEA_PR_ID"),
		Wiki: v["GITEA_REPO_IS_WIKI"] == "true", Protocol: "http",
	}
	if key := v.id("GITEA_KEY_ID"); key != "" {
		env.Key, env.Protocol = key, "ssh"
	}
	if key := v.id("GITEA_DEPLOY_KEY_ID"); key != "" {
		// The name is then that of the repository's owner.
		env.User, env.UserID, env.Email = "", "", ""
		env.Key, env.Protocol = "deploy-"+key, "ssh"
	}
	switch {
	case strings.HasPrefix(env.Trigger, "pr-"), env.PullRequest != "":
		env.Via, env.Protocol = Merged, "web"
	case v["GITEA_INTERNAL_PUSH"] == "true", env.Trigger != "":
		env.Via, env.Protocol = Edited, "web"
	}
	return env
}

// gogs follows Gogs' internal/database/repo_editor.go.
func (v variables) gogs() Environment {
	env := Environment{
		Forge: Gogs, User: v.text("GOGS_AUTH_USER_NAME"), UserID: v.id("GOGS_AUTH_USER_ID"),
		Email: v.text("GOGS_AUTH_USER_EMAIL"),
		Repo:  joinPath(v.text("GOGS_REPO_OWNER_NAME"), v.text("GOGS_REPO_NAME")), RepoID: v.id("GOGS_REPO_ID"),
		Protocol: "http",
	}
	if v.any("SSH_CONNECTION", "SSH_ORIGINAL_COMMAND") {
		env.Protocol = "ssh"
	}
	return env
}

// bitbucket follows Atlassian's "Writing hook scripts".
func (v variables) bitbucket() Environment {
	env := Environment{
		Forge: Bitbucket, User: v.text("BB_USER_NAME"), Email: v.text("BB_USER_EMAIL"),
		Repo:    joinPath(v.text("BB_PROJECT_KEY"), v.text("BB_REPO_SLUG")),
		Trigger: v.text("BB_HOOK_TRIGGER_ID"), DryRun: v["BB_IS_DRY_RUN"] == "true",
	}
	switch env.Trigger {
	case "", "push", "repo-push":
		env.Via = Pushed
	case "pull-request-merge", "merge":
		env.Via, env.Protocol = Merged, "web"
	default:
		env.Via, env.Protocol = Edited, "web"
	}
	return env
}

// gitolite sets GL_USER and GL_REPO for every hook.
func (v variables) gitolite() Environment {
	env := v.git()
	env.Forge, env.User, env.Repo = Gitolite, v.text("GL_USER"), v.text("GL_REPO")
	return env
}

// git reads what sshd, a web server around git-http-backend (RFC 3875) or a
// local shell leaves.
func (v variables) git() Environment {
	env := Environment{Forge: Git}
	switch {
	case v.any("REQUEST_METHOD", "GATEWAY_INTERFACE"):
		env.Protocol, env.User, env.Address = "http", v.text("REMOTE_USER"), v.text("REMOTE_ADDR")
		return env
	case v.any("SSH_CONNECTION"):
		env.Protocol = "ssh"
		env.Address, _, _ = strings.Cut(v.text("SSH_CONNECTION"), " ")
	}
	env.User = v.text("USER")
	if env.User == "" {
		env.User = v.text("LOGNAME")
	}
	return env
}

// id returns a number that some forges set to 0 for "none".
func (v variables) id(name string) string {
	if v[name] == "0" {
		return ""
	}
	return v.text(name)
}

func joinPath(owner, name string) string {
	if owner == "" || name == "" {
		return owner + name
	}
	return owner + "/" + name
}

func (v variables) quarantine() Quarantine {
	if v["GIT_OBJECT_DIRECTORY"] == "" {
		return Quarantine{Shallow: v["GIT_SHALLOW_FILE"]}
	}
	return Quarantine{
		Objects: v["GIT_OBJECT_DIRECTORY"], Alternates: v["GIT_ALTERNATE_OBJECT_DIRECTORIES"],
		Shallow: v["GIT_SHALLOW_FILE"],
	}
}

// pushOptions reads GIT_PUSH_OPTION_COUNT and GIT_PUSH_OPTION_<n>, see
// githooks(5).
func (v variables) pushOptions() ([]string, error) {
	if v["GIT_PUSH_OPTION_COUNT"] == "" {
		return nil, nil
	}
	count, err := strconv.Atoi(v["GIT_PUSH_OPTION_COUNT"])
	switch {
	case err != nil || count < 0:
		return nil, fmt.Errorf("GIT_PUSH_OPTION_COUNT is %.40q", v["GIT_PUSH_OPTION_COUNT"])
	case count > maxPushOptions:
		return nil, fmt.Errorf("%d push options, more than %d", count, maxPushOptions)
	}
	var options []string
	length := 0
	for i := range count {
		option, ok := v["GIT_PUSH_OPTION_"+strconv.Itoa(i)]
		length += len(option)
		switch {
		case !ok:
			return nil, fmt.Errorf("GIT_PUSH_OPTION_%d is not set", i)
		case len(option) > maxPushOption || length > maxOptionsLength:
			return nil, fmt.Errorf("push option %d is too long", i+1)
		}
		options = append(options, strings.ToValidUTF8(option, "\uFFFD"))
	}
	return options, nil
}
