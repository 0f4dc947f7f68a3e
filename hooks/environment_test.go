package hooks

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadEnvironment(t *testing.T) {
	t.Parallel()
	const quarantine = "GIT_DIR=.\nGIT_QUARANTINE_PATH=/r/./objects/tmp_objdir-incoming-2AHHqo\n" +
		"GIT_OBJECT_DIRECTORY=/r/./objects/tmp_objdir-incoming-2AHHqo\nGIT_ALTERNATE_OBJECT_DIRECTORIES=/r/./objects\n"
	in := Quarantine{Objects: "/r/./objects/tmp_objdir-incoming-2AHHqo", Alternates: "/r/./objects"}
	tests := map[string]struct {
		vars, dir string
		want      Environment
	}{
		"plain git, local": {
			"USER=ann\nLOGNAME=ann\n" + quarantine, "/srv/git/team/app.git",
			Environment{Forge: Git, User: "ann", Repo: "app", Dir: "/srv/git/team/app.git", Via: Pushed, Quarantine: in},
		},
		"plain git over ssh": {
			"USER=\nLOGNAME=git\nSSH_CONNECTION=10.0.0.7 50122 10.0.0.1 22\n" + quarantine, "/srv/app/.git",
			Environment{
				Forge: Git, User: "git", Repo: "app", Dir: "/srv/app/.git", Via: Pushed, Protocol: "ssh",
				Address: "10.0.0.7", Quarantine: in,
			},
		},
		"git http-backend": {
			"USER=www-data\nGATEWAY_INTERFACE=CGI/1.1\nREQUEST_METHOD=POST\nREMOTE_USER=ann\nREMOTE_ADDR=10.0.0.7\n" + quarantine,
			"/srv/app.git",
			Environment{
				Forge: Git, User: "ann", Repo: "app", Dir: "/srv/app.git", Via: Pushed, Protocol: "http",
				Address: "10.0.0.7", Quarantine: in,
			},
		},
		"git before 2.35": {
			"USER=a\nGIT_OBJECT_DIRECTORY=/r/objects/incoming-Xy12ab\nGIT_ALTERNATE_OBJECT_DIRECTORIES=/r/objects\n", "/r",
			Environment{
				Forge: Git, User: "a", Repo: "r", Dir: "/r", Via: Pushed,
				Quarantine: Quarantine{Objects: "/r/objects/incoming-Xy12ab", Alternates: "/r/objects"},
			},
		},
		"shallow push, no quarantine": {
			"USER=a\nGIT_SHALLOW_FILE=/r/shallow_VH9reC\n", "/r",
			Environment{Forge: Git, User: "a", Repo: "r", Dir: "/r", Via: Pushed, Quarantine: Quarantine{Shallow: "/r/shallow_VH9reC"}},
		},
		"gitolite": {
			"USER=git\nSSH_CONNECTION=10.0.0.7 1 10.0.0.1 22\nGL_USER=ann\nGL_REPO=team/app\nGL_BINDIR=/usr/share/gitolite3\n" + quarantine,
			"/var/lib/gitolite3/repositories/team/app.git",
			Environment{
				Forge: Gitolite, User: "ann", Repo: "team/app", Dir: "/var/lib/gitolite3/repositories/team/app.git",
				Via: Pushed, Protocol: "ssh", Address: "10.0.0.7", Quarantine: in,
			},
		},
		"Gitea over http": {
			gitea("GITEA_KEY_ID=0\nGITEA_DEPLOY_KEY_ID=0\nGITEA_PR_ID=0\nGITEA_PUSH_TRIGGER=\n"), "/r",
			Environment{
				Forge: Gitea, User: "ann", UserID: "2", Email: "ann@example.com", Repo: "team/app", RepoID: "7", Dir: "/r",
				Via: Pushed, Protocol: "http",
			},
		},
		"Gitea over ssh": {
			gitea("GITEA_KEY_ID=5\nGITEA_DEPLOY_KEY_ID=0\nGITEA_PR_ID=0\n"), "/r",
			Environment{
				Forge: Gitea, User: "ann", UserID: "2", Email: "ann@example.com", Repo: "team/app", RepoID: "7", Dir: "/r",
				Via: Pushed, Protocol: "ssh", Key: "5",
			},
		},
		"Gitea with a deploy key": {
			gitea("GITEA_KEY_ID=5\nGITEA_DEPLOY_KEY_ID=9\nGITEA_PR_ID=0\n"), "/r",
			Environment{Forge: Gitea, Repo: "team/app", RepoID: "7", Dir: "/r", Via: Pushed, Protocol: "ssh", Key: "deploy-9"},
		},
		"Gitea, merge of a pull request": {
			gitea("GITEA_KEY_ID=0\nGITEA_PR_ID=12\nGITEA_PUSH_TRIGGER=pr-merge-to-base\n"), "/r",
			Environment{
				Forge: Gitea, User: "ann", UserID: "2", Email: "ann@example.com", Repo: "team/app", RepoID: "7", Dir: "/r",
				Via: Merged, Trigger: "pr-merge-to-base", Protocol: "web", PullRequest: "12",
			},
		},
		"Forgejo, internal push to a wiki": {
			gitea("GITEA_REPO_IS_WIKI=true\nGITEA_INTERNAL_PUSH=true\n"), "/r",
			Environment{
				Forge: Gitea, User: "ann", UserID: "2", Email: "ann@example.com", Repo: "team/app", RepoID: "7", Dir: "/r",
				Via: Edited, Protocol: "web", Wiki: true,
			},
		},
		"GitLab over ssh": {
			"GL_ID=user-4\nGL_USERNAME=ann\nGL_PROJECT_PATH=group/sub/app\nGL_REPOSITORY=project-17\nGL_PROTOCOL=ssh\n" + quarantine, "/r",
			Environment{
				Forge: GitLab, User: "ann", UserID: "user-4", Repo: "group/sub/app", RepoID: "project-17", Dir: "/r",
				Via: Pushed, Protocol: "ssh", Quarantine: in,
			},
		},
		"GitLab with a deploy key": {
			"GL_ID=key-4\nGL_USERNAME=\nGL_PROJECT_PATH=group/app\nGL_REPOSITORY=wiki-17\nGL_PROTOCOL=ssh\n", "/r",
			Environment{
				Forge: GitLab, Key: "key-4", Repo: "group/app", RepoID: "wiki-17", Dir: "/r", Via: Pushed, Protocol: "ssh", Wiki: true,
			},
		},
		"GitLab, web": {
			"GL_ID=user-4\nGL_USERNAME=ann\nGL_PROJECT_PATH=group/app\nGL_REPOSITORY=project-17\nGL_PROTOCOL=web\n", "/r",
			Environment{
				Forge: GitLab, User: "ann", UserID: "user-4", Repo: "group/app", RepoID: "project-17", Dir: "/r",
				Via: Edited, Trigger: "web", Protocol: "web",
			},
		},
		"GHES over ssh": {
			"GITHUB_USER_LOGIN=ann\nGITHUB_USER_IP=10.0.0.7\nGITHUB_REPO_NAME=team/app\nGITHUB_REPO_PUBLIC=false\n" +
				"GITHUB_PUBLIC_KEY_FINGERPRINT=17:31:65\nGIT_OBJECT_DIRECTORY=/data/app.git/objects/ghq_a1b2c3\n" +
				"GIT_ALTERNATE_OBJECT_DIRECTORIES=/data/app.git/objects\n", "/data/app.git",
			Environment{
				Forge: GHES, User: "ann", Key: "17:31:65", Repo: "team/app", Dir: "/data/app.git", Via: Pushed, Protocol: "ssh",
				Address: "10.0.0.7", Quarantine: Quarantine{Objects: "/data/app.git/objects/ghq_a1b2c3", Alternates: "/data/app.git/objects"},
			},
		},
		"GHES, merge button": {
			"GITHUB_USER_LOGIN=ann\nGITHUB_REPO_NAME=team/app\nGITHUB_VIA=pull request merge button\n" +
				"GITHUB_PULL_REQUEST_AUTHOR_LOGIN=bob\nGITHUB_PULL_REQUEST_HEAD=bob:topic\nGITHUB_PULL_REQUEST_BASE=team:main\n", "/r",
			Environment{
				Forge: GHES, User: "ann", Repo: "team/app", Dir: "/r", Via: Merged, Trigger: "pull request merge button",
				Protocol: "web", PullRequest: "bob:topic into team:main",
			},
		},
		"Gogs": {
			"GOGS_AUTH_USER_ID=2\nGOGS_AUTH_USER_NAME=ann\nGOGS_AUTH_USER_EMAIL=ann@example.com\nGOGS_REPO_OWNER_NAME=team\n" +
				"GOGS_REPO_OWNER_SALT_MD5=x\nGOGS_REPO_ID=7\nGOGS_REPO_NAME=app\nSSH_ORIGINAL_COMMAND=1\n", "/r",
			Environment{
				Forge: Gogs, User: "ann", UserID: "2", Email: "ann@example.com", Repo: "team/app", RepoID: "7", Dir: "/r",
				Via: Pushed, Protocol: "ssh",
			},
		},
		"Bitbucket Data Center, push": {
			bitbucket("push", "false"), "/r",
			Environment{
				Forge: Bitbucket, User: "ann", Email: "ann@example.com", Repo: "TEAM/app", Dir: "/r", Via: Pushed, Trigger: "push",
			},
		},
		"Bitbucket Data Center, merge check": {
			bitbucket("pull-request-merge", "true"), "/r",
			Environment{
				Forge: Bitbucket, User: "ann", Email: "ann@example.com", Repo: "TEAM/app", Dir: "/r", Via: Merged,
				Trigger: "pull-request-merge", Protocol: "web", DryRun: true,
			},
		},
		"Bitbucket Data Center, edit": {
			bitbucket("file-edit", "false"), "/r",
			Environment{
				Forge: Bitbucket, User: "ann", Email: "ann@example.com", Repo: "TEAM/app", Dir: "/r", Via: Edited,
				Trigger: "file-edit", Protocol: "web",
			},
		},
		"our gateway": {
			"USER=root\nBLAMEPROMPT_GATEWAY_USER=ann\nBLAMEPROMPT_GATEWAY_EMAIL=ann@example.com\n" +
				"BLAMEPROMPT_GATEWAY_KEY=SHA256:x\nBLAMEPROMPT_GATEWAY_REPO=team/app\nBLAMEPROMPT_GATEWAY_ADDRESS=10.0.0.7\n", "/r",
			Environment{
				Forge: Gateway, User: "ann", Email: "ann@example.com", Key: "SHA256:x", Repo: "team/app", Dir: "/r", Via: Pushed,
				Protocol: "ssh", Address: "10.0.0.7",
			},
		},
		"hostile text": {
			"GL_USERNAME=\xff" + strings.Repeat("ü", 600) + "\nGL_REPOSITORY=project-1\nGL_PROTOCOL=http\n", "/\xff",
			Environment{
				Forge: GitLab, User: "\uFFFD" + strings.Repeat("ü", 510), RepoID: "project-1", Dir: "/\uFFFD",
				Repo: "\uFFFD", Via: Pushed, Protocol: "http",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadEnvironment(strings.Split(tt.vars, "\n"), tt.dir)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func gitea(more string) string {
	return "GITEA_PUSHER_NAME=ann\nGITEA_PUSHER_ID=2\nGITEA_PUSHER_EMAIL=ann@example.com\nGITEA_REPO_NAME=app\n" +
		"GITEA_REPO_USER_NAME=team\nGITEA_REPO_ID=7\nGITEA_ROOT_URL=http://localhost/\n" + more
}

func bitbucket(trigger, dry string) string {
	return "BB_HOOK_TRIGGER_ID=" + trigger + "\nBB_HOOK_TYPE=PRE\nBB_IS_DRY_RUN=" + dry + "\nBB_PROJECT_KEY=TEAM\n" +
		"BB_REPO_SLUG=app\nBB_USER_NAME=ann\nBB_USER_EMAIL=ann@example.com\nBB_BASE_URL=http://localhost\n"
}

func TestGitHubVia(t *testing.T) {
	t.Parallel()
	tests := map[string]Via{
		"": Pushed, "slumlord (12345)": Pushed,
		"pull request merge api": Merged, "merge base into head": Merged, "branch merge api": Merged,
		"git refs create api": Called, "git repo contents api": Called, "auto-merge deployment api": Merged,
		"blob#save": Edited, "branches page delete button": Edited, "web branch create": Edited,
	}
	for trigger, want := range tests {
		if got := githubVia(trigger); got != want {
			t.Errorf("%q: got %s, want %s", trigger, got, want)
		}
	}
}

func TestPushOptions(t *testing.T) {
	t.Parallel()
	many := "GIT_PUSH_OPTION_COUNT=9"
	for i := range 9 {
		many += fmt.Sprintf("\nGIT_PUSH_OPTION_%d=%s", i, strings.Repeat("x", 2<<10))
	}
	tests := map[string]struct {
		vars string
		want []string
		err  bool
	}{
		"none negotiated": {"X=1", nil, false},
		"none":            {"GIT_PUSH_OPTION_COUNT=0", nil, false},
		"two":             {"GIT_PUSH_OPTION_COUNT=2\nGIT_PUSH_OPTION_0=a=b c\nGIT_PUSH_OPTION_1=", []string{"a=b c", ""}, false},
		"beyond":          {"GIT_PUSH_OPTION_COUNT=1\nGIT_PUSH_OPTION_0=a\nGIT_PUSH_OPTION_1=b", []string{"a"}, false},
		"not UTF-8":       {"GIT_PUSH_OPTION_COUNT=1\nGIT_PUSH_OPTION_0=\xff\x1b", []string{"\uFFFD\x1b"}, false},
		"no number":       {"GIT_PUSH_OPTION_COUNT=x", nil, true},
		"negative":        {"GIT_PUSH_OPTION_COUNT=-1", nil, true},
		"too many":        {"GIT_PUSH_OPTION_COUNT=33", nil, true},
		"missing":         {"GIT_PUSH_OPTION_COUNT=1", nil, true},
		"too long":        {"GIT_PUSH_OPTION_COUNT=1\nGIT_PUSH_OPTION_0=" + strings.Repeat("x", maxPushOption+1), nil, true},
		"too long in all": {many, nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadEnvironment(strings.Split(tt.vars, "\n"), "/r")
			if errors.Is(err, ErrPushOptions) != tt.err || (err != nil) != tt.err {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(tt.want, got.PushOptions); diff != "" {
				t.Error(diff)
			}
		})
	}
}
