package hooks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// DetectForge guesses by its files what serves the git directory repoDir. What
// shows no forge's hand is Git.
func DetectForge(repoDir string) Forge {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(repoDir, name))
		return err == nil
	}
	switch {
	case has("hooks/pre-receive.d/gitea"):
		return Gitea
	case has("gl-conf"):
		return Gitolite
	case strings.Contains(filepath.ToSlash(repoDir), "/@hashed/"):
		return GitLab
	}
	hook, err := os.ReadFile(filepath.Join(repoDir, "hooks", "pre-receive"))
	if err == nil && bytes.Contains(hook, []byte("gogs")) && bytes.Contains(hook, []byte(" hook --config")) {
		return Gogs
	}
	return Git
}

// RepoName is the repository's name as its directory tells it, and as
// Environment.Repo will have it but for the case of letters, which Gitea and
// Gogs lower. It is "" where the directory does not tell.
func RepoName(ctx context.Context, repoDir string, forge Forge) (string, error) {
	path := strings.TrimSuffix(strings.TrimSuffix(filepath.Clean(repoDir), "/.git"), ".git")
	parts := strings.Split(filepath.ToSlash(path), "/")
	last := parts[len(parts)-1]
	switch forge {
	case Gitea, Gogs:
		if len(parts) < 2 {
			return last, nil
		}
		return joinPath(parts[len(parts)-2], last), nil
	case Gitolite:
		for i := len(parts) - 1; i > 0; i-- {
			if parts[i-1] == "repositories" {
				return strings.Join(parts[i:], "/"), nil
			}
		}
	case GitLab:
		return gitlabName(ctx, repoDir)
	}
	return last, nil
}

// gitlabName reads what GitLab writes into the repositories that it stores by
// hash.
func gitlabName(ctx context.Context, repoDir string) (string, error) {
	repo, err := gitcmd.Open(repoDir)
	if err != nil {
		return "", err
	}
	name, _, err := ownConfig(ctx, repo, "gitlab.fullpath")
	if err != nil {
		return "", fmt.Errorf("reading the name of %s: %w", repoDir, err)
	}
	return bounded(name, maxVariable), nil
}
