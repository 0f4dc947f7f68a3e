package hooks

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestRepositoriesAreKnownByTheirLayout(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, c := range []struct {
		dir    string
		files  map[string]string
		config []string
		forge  Forge
		name   string
	}{
		{dir: "srv/api.git", forge: Git, name: "api"},
		{dir: "srv/checkout/.git", forge: Git, name: "checkout"},
		{dir: "gitea/acme/api.git", files: map[string]string{"hooks/pre-receive.d/gitea": ""}, forge: Gitea, name: "acme/api"},
		{dir: "gogs/acme/api.git", files: map[string]string{"hooks/pre-receive": "#!/bin/sh\n\"/opt/gogs/gogs\" hook --config='/x' pre-receive"},
			forge: Gogs, name: "acme/api"},
		{dir: "git/repositories/team/sub/api.git", files: map[string]string{"gl-conf": ""}, forge: Gitolite, name: "team/sub/api"},
		{dir: "elsewhere/api.git", files: map[string]string{"gl-conf": ""}, forge: Gitolite, name: "api"},
		{dir: "gitlab/@hashed/6b/86/6b86.git", config: []string{"gitlab.fullpath", "acme/sub/api"}, forge: GitLab, name: "acme/sub/api"},
		{dir: "gitlab/@hashed/d4/73/d473.git", forge: GitLab, name: ""},
	} {
		dir := filepath.Join(root, c.dir)
		f := gittest.New(t, gittest.In(dir))
		for name, text := range c.files {
			writeScript(t, filepath.Join(dir, name), text)
		}
		if c.config != nil {
			f.Git(append([]string{"config"}, c.config...)...)
		}
		forge := DetectForge(dir)
		name, err := RepoName(t.Context(), dir, forge)
		if forge != c.forge || name != c.name || err != nil {
			t.Errorf("%s: %s %q, %v, want %s %q", c.dir, forge, name, err, c.forge, c.name)
		}
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	inspect := func(forge Forge) []InstalledHook {
		t.Helper()
		all, err := Inspect(t.Context(), s.server.Dir, forge, InstallOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			all[i].Path = relative(s.server.Dir, all[i].Path)
			if all[i].Chained != "" {
				all[i].Chained = relative(s.server.Dir, all[i].Chained)
			}
		}
		return all
	}
	want := []InstalledHook{
		{Hook: "pre-receive", Path: "hooks/pre-receive", State: Absent}, {Hook: "post-receive", Path: "hooks/post-receive", State: Absent},
	}
	if diff := cmp.Diff(want, inspect(Git)); diff != "" {
		t.Errorf("at first %s", diff)
	}
	s.says(filepath.Join(s.server.Dir, "hooks", "pre-receive"), "theirs", 0)
	want[0].State = Foreign
	if diff := cmp.Diff(want, inspect(Git)); diff != "" {
		t.Errorf("with another's hook %s", diff)
	}
	args := []string{"--repo", "it's a\\n'", "--mode=enforcing", ""}
	s.install(Git, InstallOptions{Args: args, Mode: Enforcing})
	for i := range want {
		want[i].State, want[i].Program, want[i].Args, want[i].Mode = Installed, s.program, args, Enforcing
	}
	// Behind the push there is nothing to refuse.
	want[0].Chained, want[1].Mode = "hooks/pre-receive.chained", Advisory
	if diff := cmp.Diff(want, inspect(Git)); diff != "" {
		t.Errorf("installed %s", diff)
	}
	if err := os.Chmod(filepath.Join(s.server.Dir, "hooks", "post-receive"), 0o644); err != nil {
		t.Fatal(err)
	}
	want[1].State = Idle
	if diff := cmp.Diff(want, inspect(Git)); diff != "" {
		t.Errorf("not to be run %s", diff)
	}
	s.install(Gogs, InstallOptions{})
	want = []InstalledHook{
		{Hook: "pre-receive", Path: "custom_hooks/pre-receive", State: Installed, Program: s.program, Args: []string{}, Mode: Advisory},
		{Hook: "post-receive", Path: "custom_hooks/post-receive", State: Installed, Program: s.program, Args: []string{}, Mode: Advisory},
	}
	if diff := cmp.Diff(want, inspect(Gogs)); diff != "" {
		t.Errorf("without arguments %s", diff)
	}
}
