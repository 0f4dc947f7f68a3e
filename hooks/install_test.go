package hooks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

// site is a server repository, a developer's, and a program in place of
// blameprompt-hook that records what it was given.
type site struct {
	t       *testing.T
	server  *gittest.Fixture
	dev     *gittest.Fixture
	program string
	log     string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, server: gittest.New(t), dev: gittest.New(t), program: filepath.Join(dir, "it's a hook"), log: filepath.Join(dir, "log")}
	s.says(s.program, "ours", 0)
	return s
}

// says writes a hook that records its name, arguments and input.
func (s *site) says(path, name string, status byte) {
	s.t.Helper()
	writeScript(s.t, path, "#!/bin/sh\nwhile read -r old new ref; do echo \""+name+" $* $ref\"; done >>"+shellQuote(s.log)+
		"\nexit "+string('0'+status)+"\n")
}

// commit makes something to push.
func (s *site) commit() {
	s.dev.Commit(gittest.Commit{Files: map[string]string{"f": s.dev.Git("rev-parse", "--git-dir") + s.t.Name()}})
}

// push pushes two refs and returns what hooks recorded, and git's error.
func (s *site) push() (string, error) {
	s.t.Helper()
	if err := os.Remove(s.log); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	s.commit()
	s.dev.Git("update-ref", "refs/heads/side", "main")
	_, pushErr := s.dev.TryGit("push", "file://"+s.server.Dir, "main", "side")
	text, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text), pushErr
}

func (s *site) install(forge Forge, opts InstallOptions) Report {
	s.t.Helper()
	report, err := Install(s.t.Context(), s.server.Dir, forge, s.program, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

func (s *site) uninstall(forge Forge) Report {
	s.t.Helper()
	report, err := Uninstall(s.t.Context(), s.server.Dir, forge, InstallOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// steps are those of a report with paths relative to the repository.
func steps(r Report) []string {
	var list []string
	for _, step := range r.Steps {
		line := string(step.Action) + " " + relative(r.Repo, step.Path)
		if step.From != "" {
			line += " from " + relative(r.Repo, step.From)
		}
		list = append(list, line)
	}
	return list
}

func relative(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return path
	}
	return rel
}

func said(name, hook string) string {
	return name + " " + hook + " refs/heads/main\n" + name + " " + hook + " refs/heads/side\n"
}

// both is what ours records of a push that passes.
var both = said("ours", "--daemon=a b 'c' pre-receive") + said("ours", "--daemon=a b 'c' post-receive")

var someArgs = InstallOptions{Args: []string{"--daemon=a b 'c'"}}

func TestInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.install(Git, someArgs)
	want := []string{"written hooks/pre-receive", "written hooks/post-receive"}
	if diff := cmp.Diff(want, steps(got)); diff != "" || got.Shared {
		t.Error(diff, got.Shared)
	}
	if got, err := s.push(); err != nil || got != both {
		t.Errorf("push: %v, %q", err, got)
	}
	if got := s.install(Git, someArgs); got.Steps != nil {
		t.Errorf("again: %v", steps(got))
	}
	if got := s.install(Git, InstallOptions{}); len(got.Steps) != 2 {
		t.Errorf("with other arguments: %v", steps(got))
	}
	if err := os.Chmod(filepath.Join(s.server.Dir, "hooks", "pre-receive"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.install(Git, InstallOptions{}); len(got.Steps) != 1 {
		t.Errorf("of a hook that git would pass over: %v", steps(got))
	}
	want = []string{"removed hooks/pre-receive", "removed hooks/post-receive"}
	if diff := cmp.Diff(want, steps(s.uninstall(Git))); diff != "" {
		t.Error(diff)
	}
	if got := s.uninstall(Git); got.Steps != nil {
		t.Errorf("uninstalled again: %v", steps(got))
	}
	s.dev.Git("tag", "more")
	if got, err := s.push(); err != nil || got != "" {
		t.Errorf("push after uninstall: %v, %q", err, got)
	}
}

func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.says(s.program, "ours", 3)
	s.install(Git, InstallOptions{})
	if got, err := s.push(); err == nil || got != said("ours", "pre-receive") {
		t.Errorf("push: %v, %q", err, got)
	}
}

func TestInstallKeepsHooks(t *testing.T) {
	t.Parallel()
	for _, forge := range []Forge{Git, Gitolite, Gateway, Gogs} {
		t.Run(string(forge), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			dir := "hooks"
			if forge == Gogs {
				// Gogs' own hook runs the file in custom_hooks.
				dir = "custom_hooks"
				writeScript(t, filepath.Join(s.server.Dir, "hooks/pre-receive"), "#!/bin/sh\nexec custom_hooks/pre-receive\n")
			}
			theirs := filepath.Join(s.server.Dir, dir, "pre-receive")
			s.says(theirs, "theirs", 0)
			report := s.install(forge, InstallOptions{})
			want := []string{
				"kept " + dir + "/pre-receive.chained from " + dir + "/pre-receive", "written " + dir + "/pre-receive",
				"written " + dir + "/post-receive",
			}
			if diff := cmp.Diff(want, steps(report)); diff != "" {
				t.Error(diff)
			}
			if got := s.install(forge, InstallOptions{}); got.Steps != nil {
				t.Errorf("again: %v", steps(got))
			}
			got, err := s.push()
			if err != nil || !strings.HasPrefix(got, said("theirs", "")+said("ours", "pre-receive")) {
				t.Errorf("push: %v, %q", err, got)
			}
			s.says(theirs+".chained", "theirs", 1)
			s.dev.Git("tag", "more")
			if got, err := s.push(); err == nil || got != said("theirs", "") {
				t.Errorf("push that theirs refuses: %v, %q", err, got)
			}
			report = s.uninstall(forge)
			want = []string{"restored " + dir + "/pre-receive from " + dir + "/pre-receive.chained", "removed " + dir + "/post-receive"}
			if diff := cmp.Diff(want, steps(report)); diff != "" {
				t.Error(diff)
			}
			if got, err := s.push(); err == nil || got != said("theirs", "") {
				t.Errorf("push after uninstall: %v, %q", err, got)
			}
		})
	}
}

// TestInstallKeepsLinks keeps hooks that are symbolic links to their siblings,
// one that git passes over and one that does not read its input.
func TestInstallKeepsLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hooks := filepath.Join(s.server.Dir, "hooks")
	writeScript(t, filepath.Join(hooks, "shared"), "#!/bin/sh\n[ -e \"$(dirname \"$0\")/shared\" ] && echo linked >>"+shellQuote(s.log)+"\n")
	if err := os.Symlink("shared", filepath.Join(hooks, "pre-receive")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hooks, "post-receive"), []byte("#!/bin/sh\nexit 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.install(Git, InstallOptions{})
	if got, err := s.push(); err != nil || got != "linked\n"+said("ours", "pre-receive")+said("ours", "post-receive") {
		t.Errorf("push: %v, %q", err, got)
	}
	s.uninstall(Git)
	if target, err := os.Readlink(filepath.Join(hooks, "pre-receive")); err != nil || target != "shared" {
		t.Errorf("link to %q, %v", target, err)
	}
}

func TestInstallBesideForges(t *testing.T) {
	t.Parallel()
	// What the forges have in hooks/: a script that runs every file of a folder
	// with the input, as Gitea's does, or of custom_hooks as Gitaly does.
	delegate := func(dir string) string {
		return "#!/bin/sh\ninput=$(cat); status=0\nfor hook in " + dir + "/$(basename \"$0\").d/*; do\n" +
			"\t[ -x \"$hook\" ] || continue\n\techo \"$input\" | \"$hook\" || status=1\ndone\nexit $status\n"
	}
	tests := map[Forge]string{Gitea: "hooks", GitLab: "custom_hooks"}
	for forge, dir := range tests {
		t.Run(string(forge), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			for _, name := range hookNames {
				writeScript(t, filepath.Join(s.server.Dir, "hooks", name), delegate(dir))
			}
			theirs := filepath.Join(s.server.Dir, dir, "pre-receive.d", "gitea")
			s.says(theirs, "theirs", 0)
			want := []string{"written " + dir + "/pre-receive.d/blameprompt", "written " + dir + "/post-receive.d/blameprompt"}
			if diff := cmp.Diff(want, steps(s.install(forge, InstallOptions{}))); diff != "" {
				t.Error(diff)
			}
			if got := s.install(forge, InstallOptions{}); got.Steps != nil {
				t.Errorf("again: %v", steps(got))
			}
			got, err := s.push()
			if err != nil || got != said("ours", "pre-receive")+said("theirs", "")+said("ours", "post-receive") {
				t.Errorf("push: %v, %q", err, got)
			}
			s.says(theirs, "theirs", 1)
			s.dev.Git("tag", "more")
			if _, err := s.push(); err == nil {
				t.Error("theirs can no longer refuse")
			}
			s.says(theirs, "theirs", 0)
			s.says(s.program, "ours", 1)
			if _, err := s.push(); err == nil {
				t.Error("ours cannot refuse")
			}
			if got := s.uninstall(forge); len(got.Steps) != 2 {
				t.Errorf("uninstalled %v", steps(got))
			}
			if got, err := s.push(); err != nil || got != said("theirs", "") {
				t.Errorf("push after uninstall: %v, %q", err, got)
			}
		})
	}
}

func TestInstallHooksPath(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	tests := map[string]struct {
		config, option, dir string
		shared              bool
	}{
		"relative": {"own/hooks", "", "own/hooks", false},
		"absolute": {shared, "", shared, true},
		"option":   {"elsewhere", shared + "/more", shared + "/more", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.server.Git("config", "core.hooksPath", tt.config)
			report := s.install(Git, InstallOptions{HooksDir: tt.option})
			dir := tt.dir
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(report.Repo, dir)
			}
			if report.Steps[0].Path != filepath.Join(dir, "pre-receive") || report.Shared != tt.shared {
				t.Errorf("got %v, shared %v", steps(report), report.Shared)
			}
			if tt.option == "" {
				if got, err := s.push(); err != nil || got != said("ours", "pre-receive")+said("ours", "post-receive") {
					t.Errorf("push: %v, %q", err, got)
				}
			}
		})
	}
	s := newSite(t)
	for _, path := range []string{"~/hooks", ""} {
		s.server.Git("config", "core.hooksPath", path)
		if report, err := Install(t.Context(), s.server.Dir, Git, s.program, InstallOptions{}); err == nil {
			t.Errorf("core.hooksPath %q: %v", path, steps(report))
		}
	}
}

func TestInstallDryRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	theirs := filepath.Join(s.server.Dir, "hooks", "pre-receive")
	s.says(theirs, "theirs", 0)
	dry := s.install(Git, InstallOptions{DryRun: true})
	if got, err := s.push(); err != nil || got != said("theirs", "") {
		t.Errorf("push: %v, %q", err, got)
	}
	if diff := cmp.Diff(steps(dry), steps(s.install(Git, InstallOptions{}))); diff != "" {
		t.Error(diff)
	}
	undone, err := Uninstall(t.Context(), s.server.Dir, Git, InstallOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steps(undone), steps(s.uninstall(Git))); diff != "" {
		t.Error(diff)
	}
}

// TestInstallWithoutProgram pushes while the program is gone.
func TestInstallWithoutProgram(t *testing.T) {
	t.Parallel()
	for mode, refused := range map[Mode]bool{Advisory: false, Enforcing: true, "": false} {
		for _, chained := range []bool{false, true} {
			s := newSite(t)
			if chained {
				s.says(filepath.Join(s.server.Dir, "hooks", "pre-receive"), "theirs", 0)
			}
			s.install(Git, InstallOptions{Mode: mode})
			if err := os.Remove(s.program); err != nil {
				t.Fatal(err)
			}
			got, err := s.push()
			if (err != nil) != refused || (got == said("theirs", "")) != chained {
				t.Errorf("mode %q, chained %v: push %v, %q", mode, chained, err, got)
			}
		}
	}
}

func TestInstallErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hooks := filepath.Join(s.server.Dir, "hooks")
	install := func(dir string, forge Forge, program string) error {
		_, err := Install(t.Context(), dir, forge, program, InstallOptions{})
		return err
	}
	for _, forge := range []Forge{GHES, Bitbucket, "other"} {
		if err := install(s.server.Dir, forge, s.program); !errors.Is(err, ErrNoHookFiles) {
			t.Errorf("%s: got %v", forge, err)
		}
	}
	if err := install(s.server.Dir, Gitea, s.program); !errors.Is(err, ErrNotPrepared) {
		t.Errorf("got %v", err)
	}
	if err := install(t.TempDir(), Git, s.program); !errors.Is(err, gitcmd.ErrNotRepository) {
		t.Errorf("got %v", err)
	}
	for _, program := range []string{"", "relative", "/a\nb", "/a\x00"} {
		if err := install(s.server.Dir, Git, program); err == nil {
			t.Errorf("%q is taken as a program", program)
		}
	}
	s.says(filepath.Join(hooks, "pre-receive"), "theirs", 0)
	s.says(filepath.Join(hooks, "pre-receive.chained"), "others", 0)
	if err := install(s.server.Dir, Git, s.program); !errors.Is(err, ErrOccupied) {
		t.Errorf("got %v", err)
	}
	writeScript(t, filepath.Join(s.server.Dir, "custom_hooks/pre-receive.d/blameprompt"), "#!/bin/sh\n")
	if err := install(s.server.Dir, GitLab, s.program); !errors.Is(err, ErrOccupied) {
		t.Errorf("got %v", err)
	}
	if got, err := s.push(); err != nil || got != said("theirs", "") {
		t.Errorf("push after errors: %v, %q", err, got)
	}
}

// TestInstallAfterCrash finds the hook under both names.
func TestInstallAfterCrash(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	theirs := filepath.Join(s.server.Dir, "hooks", "pre-receive")
	s.says(theirs, "theirs", 0)
	if err := os.Link(theirs, theirs+".chained"); err != nil {
		t.Fatal(err)
	}
	s.install(Git, InstallOptions{})
	if got, err := s.push(); err != nil || !strings.HasPrefix(got, said("theirs", "")+said("ours", "pre-receive")) {
		t.Errorf("push: %v, %q", err, got)
	}
}
