// Package gitcmd is the one constructor of git children.
//
// It owns how the git binary (2.35 or newer) is run and how its output is
// read: Repo is a bare git directory on disk, its methods are typed questions
// to plumbing commands, and Command runs anything else under the same rules.
//
// Promises: a child sees no configuration of the system or of a user, never
// prompts, runs no hooks, uses no transport unless told to, and is killed with
// everything it started when its context ends. What a repository holds is
// hostile: names are read NUL-separated, sizes and messages are bounded, text
// about people is valid UTF-8. Errors carry git's words with credentials
// masked. Output is streamed: memory is bounded by one commit or one object.
//
// Repo and what it returns may be used by several goroutines at once, except
// BatchReader.
package gitcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Repo is a bare git directory.
type Repo struct {
	dir     string
	env     []string
	files   []*os.File
	partial bool
	// refFiles says that refs are files in dir, or lines of its packed-refs.
	refFiles bool
}

// Open returns the git directory dir. It starts no child; the error is
// ErrNotRepository when dir lacks what makes a git directory.
func Open(dir string) (*Repo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening repository %s: %w", dir, err)
	}
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Lstat(filepath.Join(abs, name)); err != nil {
			return nil, fmt.Errorf("opening repository %s: %w: %w", dir, ErrNotRepository, err)
		}
	}
	config, err := os.ReadFile(filepath.Join(abs, "config"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("opening repository %s: %w", dir, err)
	}
	config = bytes.ToLower(config)
	return &Repo{
		dir: abs,
		// A false match costs nothing but the pipelining of BatchReader.ReadMany.
		partial: bytes.Contains(config, []byte("promisor")) || bytes.Contains(config, []byte("partialclone")),
		// Other ways to keep refs are git's to read.
		refFiles: !bytes.Contains(config, []byte("refstorage")),
	}, nil
}

// Init makes dir a bare repository of the object format "sha1" or "sha256" and
// opens it. In a directory that is a repository already it changes nothing, or
// fails when the format differs.
func Init(ctx context.Context, dir, format string) (*Repo, error) {
	if format != "sha1" && format != "sha256" {
		return nil, fmt.Errorf("creating repository %s: unknown object format %.20q", dir, format)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("creating repository: %w", err)
	}
	// The empty template keeps sample hooks and the like out.
	err := New(ctx, dir, "init", "--quiet", "--bare", "--template=",
		"--object-format="+format, "--initial-branch=main", ".").Run()
	if err != nil {
		return nil, fmt.Errorf("creating repository %s: %w", dir, err)
	}
	return Open(dir)
}

// Dir is the absolute path of the git directory.
func (r *Repo) Dir() string { return r.dir }

// WithQuarantine returns the repository as a pre-receive hook sees it: objects
// is GIT_OBJECT_DIRECTORY and alternates GIT_ALTERNATE_OBJECT_DIRECTORIES, as
// receive-pack gave them.
func (r *Repo) WithQuarantine(objects, alternates string) *Repo {
	quarantined := *r
	quarantined.env = []string{
		"GIT_OBJECT_DIRECTORY=" + objects,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + alternates,
		"GIT_QUARANTINE_PATH=" + objects,
	}
	return &quarantined
}

// Holding returns the repository with children that inherit files, from
// descriptor 3 on: a file lock among them is held until the last child that
// outlives this process has ended too.
func (r *Repo) Holding(files ...*os.File) *Repo {
	holding := *r
	holding.files = files
	return &holding
}

// Command returns a git command in the repository; see New.
func (r *Repo) Command(ctx context.Context, args ...string) *Command {
	c := New(ctx, r.dir, args...)
	c.repo = r
	return c
}

// Format returns the object format, "sha1" or "sha256".
func (r *Repo) Format(ctx context.Context) (string, error) {
	out, err := r.Command(ctx, "rev-parse", "--show-object-format").Output(100)
	if err != nil {
		return "", fmt.Errorf("reading object format of %s: %w", r.dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Version returns the version of the git binary, like "2.39.5".
func Version(ctx context.Context) (string, error) {
	out, err := New(ctx, "/", "version").Output(1000)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("git is not on the PATH: install git %d.%d or newer: %w", minMajor, minMinor, err)
	}
	if err != nil {
		return "", fmt.Errorf("asking git for its version: %w", err)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "git version "), " ")
	return version, nil
}

// The oldest git that has all that this package uses.
const minMajor, minMinor = 2, 35

// Require returns an error that says how to mend it when git is absent or too
// old.
func Require(ctx context.Context) error {
	version, err := Version(ctx)
	if err != nil {
		return err
	}
	return checkVersion(version)
}

func checkVersion(version string) error {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return fmt.Errorf("git says its version is %.40q, which cannot be compared with %d.%d", version, minMajor, minMinor)
	}
	major, majorErr := strconv.Atoi(parts[0])
	minor, minorErr := strconv.Atoi(parts[1])
	if err := errors.Join(majorErr, minorErr); err != nil {
		return fmt.Errorf("reading git version %.40q: %w", version, err)
	}
	if major > minMajor || major == minMajor && minor >= minMinor {
		return nil
	}
	return fmt.Errorf("git %s is too old: install git %d.%d or newer (Debian 12 and Ubuntu 22.10 or later "+
		"have it; elsewhere use backports, the git-core PPA or git-scm.com) and put it first on the PATH",
		version, minMajor, minMinor)
}
