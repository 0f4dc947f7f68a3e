package gitcmd_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestRequire(t *testing.T) {
	t.Parallel()
	if err := gitcmd.Require(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesWhatIsNoRepository(t *testing.T) {
	t.Parallel()
	if _, err := gitcmd.Open(t.TempDir()); !errors.Is(err, gitcmd.ErrNotRepository) {
		t.Errorf("Open of an empty directory: %v, want ErrNotRepository", err)
	}
	if _, err := gitcmd.Init(t.Context(), t.TempDir(), "md5"); err == nil {
		t.Error("Init accepted the object format md5")
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for format, opts := range map[string][]gittest.Option{"sha1": nil, "sha256": {gittest.SHA256()}} {
		got, err := gittest.New(t, opts...).Repo.Format(t.Context())
		if err != nil || got != format {
			t.Errorf("Format = %q, %v; want %q", got, err, format)
		}
	}
}

// alias prints the child's environment through a shell alias, which sees what
// every helper of git sees.
func alias(t *testing.T, repo *gitcmd.Repo, script string) *gitcmd.Command {
	t.Helper()
	c := repo.Command(t.Context(), "probe")
	c.Config = []string{"alias.probe=!" + script}
	return c
}

func TestEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("GIT_SSH_COMMAND", "touch /tmp/owned")
	t.Setenv("GIT_CONFIG_PARAMETERS", "'core.pager=touch'")
	t.Setenv("BLAMEPROMPT_API_KEY", "bpe_secret")
	f := gittest.New(t)
	out, err := alias(t, f.Repo, "env").Output(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"PATH", "TMPDIR", "HOME", "LC_ALL", "TZ", "PWD", "OLDPWD", "SHLVL", "_",
		"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_ATTR_NOSYSTEM", "GIT_TERMINAL_PROMPT",
		"GIT_NO_REPLACE_OBJECTS", "GIT_NO_LAZY_FETCH", "GIT_OPTIONAL_LOCKS", "GIT_ALLOW_PROTOCOL",
		"GIT_DIR", "GIT_CONFIG_PARAMETERS", "GIT_PREFIX", "GIT_EXEC_PATH", "GIT_ASKPASS",
	}
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
		if !slices.Contains(allowed, name) {
			t.Errorf("the child sees %s", name)
		}
	}
	for name, want := range map[string]string{
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "",
		"LC_ALL": "C", "GIT_DIR": f.Repo.Dir(), "GIT_NO_REPLACE_OBJECTS": "1",
	} {
		if got, ok := env[name]; !ok || got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if strings.Contains(env["GIT_CONFIG_PARAMETERS"], "core.pager") {
		t.Errorf("inherited configuration: %s", env["GIT_CONFIG_PARAMETERS"])
	}
}

func TestReplaceObjectsAndHooksAreIgnored(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	commits := f.Commits("refs/heads/main", 2)
	f.SetRef("refs/replace/"+string(commits[1]), commits[0])
	var got []gitcmd.OID
	err := f.Repo.Commits(t.Context(), commits[1:], nil, func(c *gitcmd.Commit) error {
		got = append(got, c.OID)
		return nil
	})
	if err != nil || !cmp.Equal(got, commits) {
		t.Errorf("history with a replaced commit = %v, %v; want %v", got, err, commits)
	}

	hooks := filepath.Join(f.Repo.Dir(), "hooks")
	ran := filepath.Join(t.TempDir(), "ran")
	if err := os.MkdirAll(hooks, 0o777); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ntouch " + ran + "\n"
	if err := os.WriteFile(filepath.Join(hooks, "reference-transaction"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	f.SetRef("refs/heads/other", commits[0])
	if _, err := os.Stat(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the repository's hook ran: %v", err)
	}
}

func TestCancelKillsTheProcessGroup(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	for name, script := range map[string]string{
		"child that ends on SIGTERM":  `f() { sleep 1000 & echo $!; wait; }; f`,
		"child that ignores SIGTERM":  `f() { trap "" TERM; sleep 1000 & echo $!; wait; }; f`,
		"grandchild that holds pipes": `f() { (trap "" TERM; sleep 1000; true) & echo $!; wait; }; f`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			c := f.Repo.Command(ctx, "probe")
			c.Config = []string{"alias.probe=!" + script}
			c.Grace = 200 * time.Millisecond
			var pid string
			err := c.Stream(func(out io.Reader) error {
				buf := make([]byte, 100)
				n, err := out.Read(buf)
				pid = strings.TrimSpace(string(buf[:n]))
				cancel()
				return err
			})
			var failed *gitcmd.Error
			if !errors.Is(err, context.Canceled) || !errors.As(err, &failed) {
				t.Errorf("error = %v, want *Error around context.Canceled", err)
			}
			waitGone(t, pid)
		})
	}
}

// waitGone waits until the process is gone, or dead and not yet reaped by the
// machine's init.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("process %s is still there", pid)
}

func TestErrorsAreBoundedAndMasked(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	c := alias(t, f.Repo, `f() { yes noise | head -c 300000 >&2; `+
		`printf 'fatal: no \033[31maccess to https://ada:hunter2@example.com/x with s3cr3t\n' >&2; exit 7; }; f`)
	c.Secrets = []string{"s3cr3t"}
	var lines int
	c.OnStderr = func(line string) {
		lines++
		if strings.Contains(line, "hunter2") || strings.Contains(line, "s3cr3t") {
			t.Errorf("progress line %q shows a credential", line)
		}
	}
	err := c.Run()
	var failed *gitcmd.Error
	if !errors.As(err, &failed) || failed.ExitCode != 7 {
		t.Fatalf("error = %v, want exit code 7", err)
	}
	if len(failed.Stderr) > 17<<10 || len(err.Error()) > 600 || lines < 50000 {
		t.Errorf("stderr %d bytes, message %d bytes, %d lines", len(failed.Stderr), len(err.Error()), lines)
	}
	for _, secret := range []string{"hunter2", "s3cr3t", "ada", "\x1b"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds %q", err, secret)
		}
	}
	if !strings.Contains(err.Error(), "https://***@example.com/x with ***") {
		t.Errorf("error %q lacks git's words", err)
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://token@github.com/a":             "https://***@github.com/a",
		"https://u:p@ss@github.com/a":            "https://***@github.com/a",
		"HTTP://u:p@h/a http://v@h":              "HTTP://***@h/a http://***@h",
		"ssh://git@host:22/a":                    "ssh://git@host:22/a",
		"ssh://git:pw@host/a":                    "ssh://git:***@host/a",
		"git@host:path":                          "git@host:path",
		"https://host/a@b":                       "https://host/a@b",
		"unable to access 'https://u:p@h/x/': 4": "unable to access 'https://***@h/x/': 4",
	} {
		if got := gitcmd.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOutputLimit(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	if out, err := alias(t, f.Repo, "printf 12345").Output(5); err != nil || string(out) != "12345" {
		t.Errorf("Output at its limit = %q, %v", out, err)
	}
	if _, err := alias(t, f.Repo, "yes").Output(5); !errors.Is(err, gitcmd.ErrOutputTooLarge) {
		t.Errorf("Output above its limit: %v, want ErrOutputTooLarge", err)
	}
}

func TestStreamPrefersTheChildsError(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	mine := errors.New("mine")
	err := alias(t, f.Repo, "yes").Stream(func(io.Reader) error { return mine })
	if err != mine {
		t.Errorf("Stream with a failing reader: %v, want its error", err)
	}
	err = alias(t, f.Repo, "f() { echo x; exit 3; }; f").Stream(func(io.Reader) error { return nil })
	var failed *gitcmd.Error
	if !errors.As(err, &failed) || failed.ExitCode != 3 {
		t.Errorf("Stream of a failing child: %v, want exit code 3", err)
	}
}

func TestFilesAreInherited(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := alias(t, f.Repo.Holding(w), "echo held >&3").Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "held\n" {
		t.Errorf("descriptor 3 carried %q, %v", got, err)
	}
}

func TestLazyFetchNeverHappens(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	tip := f.Commit(gittest.Commit{Files: map[string]string{"a": "one\n", "b": "two\n"}})
	f.Git("config", "uploadpack.allowFilter", "true")
	clone := gittest.Clone(t, "file://"+f.Dir, "--bare", "--filter=blob:none")

	var blobs []gitcmd.OID
	err := clone.Repo.Tree(t.Context(), tip, func(e gitcmd.TreeEntry) error {
		blobs = append(blobs, e.OID)
		return nil
	})
	if err != nil || len(blobs) != 2 {
		t.Fatalf("Tree of a partial clone: %v, %v", blobs, err)
	}
	b := clone.Repo.NewBatchReader(t.Context())
	defer b.Close()
	want := []string{"missing", "commit", "missing"}
	var got []string
	err = b.ReadMany(t.Context(), slices.Values([]gitcmd.OID{blobs[0], tip, blobs[1]}), 1<<20, func(o gitcmd.Object) error {
		got = append(got, o.Type)
		return nil
	})
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("types read from a partial clone = %v, %v; want %v", got, err, want)
	}

	f.Git("config", "uploadpack.allowAnySHA1InWant", "true")
	treeless := gittest.Clone(t, "file://"+f.Dir, "--bare", "--filter=tree:0")
	err = treeless.Repo.Changes(t.Context(), []gitcmd.OID{tip}, nil, func(*gitcmd.CommitChanges) error { return nil })
	var missing *gitcmd.MissingObjectError
	if !errors.As(err, &missing) || missing.OID == "" {
		t.Errorf("Changes of a clone without trees: %v, want MissingObjectError with an id", err)
	}
}

func TestQuarantineIsRead(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	f.Commits("refs/heads/main", 1)
	other := gittest.New(t)
	foreign := other.Commit(gittest.Commit{Files: map[string]string{"x": "y"}})
	objects := func(r *gitcmd.Repo) string { return filepath.Join(r.Dir(), "objects") }

	if has, err := f.Repo.HasCommit(t.Context(), foreign); has || err != nil {
		t.Fatalf("HasCommit outside the quarantine = %v, %v", has, err)
	}
	quarantined := f.Repo.WithQuarantine(objects(other.Repo), objects(f.Repo))
	if has, err := quarantined.HasCommit(t.Context(), foreign); !has || err != nil {
		t.Errorf("HasCommit in the quarantine = %v, %v", has, err)
	}
	err := quarantined.UpdateRefs(t.Context(), []gitcmd.RefUpdate{{Name: "refs/heads/x", New: foreign}})
	if err == nil || !strings.Contains(err.Error(), "quarantine") {
		t.Errorf("updating a ref from a quarantine: %v, want git's refusal", err)
	}
}

func TestForeignOwnerIsNoObstacle(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		// Without root no other owner can be made; what can be asked is that
		// the setting is in force.
		out, err := gittest.New(t).Repo.Command(t.Context(), "config", "safe.directory").Output(100)
		if err != nil || string(out) != "*\n" {
			t.Errorf("safe.directory = %q, %v", out, err)
		}
		return
	}
	f := gittest.New(t)
	tip := f.Commits("refs/heads/main", 1)[0]
	err := filepath.WalkDir(f.Dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, 65534, 65534))
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Dir); err != nil || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Fatalf("owner was not changed: %v", err)
	}
	if has, err := f.Repo.HasCommit(t.Context(), tip); !has || err != nil {
		t.Errorf("HasCommit in a repository of another owner = %v, %v", has, err)
	}
}
