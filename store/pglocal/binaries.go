package pglocal

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// installRoots are where distributions put server programs outside PATH:
// Debian, the PostgreSQL project's RPMs, Alpine, and PostgreSQL's own default.
var installRoots = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
}

// Binaries is one installation of the server programs.
type Binaries struct {
	// Dir holds postgres, initdb and, usually, pg_dump and pg_upgrade.
	Dir string
	// Major is the major version, 15.
	Major int
	// Version is the full one, "15.18".
	Version string
}

// Path is the path of a program of the installation.
func (b Binaries) Path(program string) string { return filepath.Join(b.Dir, program) }

// FindBinaries finds the server programs: in dir if it is given, else the
// first supported installation on PATH, else the newest one in the places
// where distributions put them. The error is ErrNoBinaries.
func FindBinaries(ctx context.Context, dir string) (Binaries, error) {
	return chooseBinaries(ctx, dir, 0)
}

// chooseBinaries is FindBinaries with a preference for the major version that
// made the cluster, 0 for none.
func chooseBinaries(ctx context.Context, dir string, made int) (Binaries, error) {
	if dir != "" {
		return readBinaries(ctx, dir)
	}
	found := searchBinaries(ctx, binaryDirs())
	for _, b := range found {
		if b.Major == made {
			return b, nil
		}
	}
	if len(found) == 0 {
		return Binaries{}, fmt.Errorf("%w: postgres and initdb, version %d or newer, are neither on PATH nor in %s; "+
			"install them with \"./install.sh --deps\" or your package manager, or set BLAMEPROMPT_DATABASE_URL",
			ErrNoBinaries, MinMajor, strings.Join(installRoots, ", "))
	}
	return found[0], nil
}

// binaryDirs lists the candidates, those of PATH first.
func binaryDirs() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	onPath := len(dirs)
	for _, pattern := range installRoots {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		dirs = append(dirs, matches...)
	}
	slices.SortStableFunc(dirs[onPath:], func(a, b string) int {
		return cmp.Compare(majorInPath(b), majorInPath(a))
	})
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

func majorInPath(dir string) int {
	major, err := strconv.Atoi(digits.FindString(dir))
	if err != nil {
		return 0
	}
	return major
}

func searchBinaries(ctx context.Context, dirs []string) []Binaries {
	var found []Binaries
	seen := map[string]bool{}
	for _, dir := range dirs {
		b, err := readBinaries(ctx, dir)
		if err != nil || seen[b.Dir] {
			continue
		}
		seen[b.Dir] = true
		found = append(found, b)
	}
	return found
}

// readBinaries looks at one directory. Links are followed, since the programs
// look for their companions beside themselves.
func readBinaries(ctx context.Context, dir string) (Binaries, error) {
	if !filepath.IsAbs(dir) {
		return Binaries{}, fmt.Errorf("%w in %q: not an absolute path", ErrNoBinaries, dir)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		return Binaries{}, fmt.Errorf("%w in %s: %w", ErrNoBinaries, dir, err)
	}
	b := Binaries{Dir: filepath.Dir(real)}
	if _, err := os.Stat(b.Path("initdb")); err != nil {
		return Binaries{}, fmt.Errorf("%w in %s: %w", ErrNoBinaries, dir, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, real, "--version").Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("%w in %s: asking for the version: %w", ErrNoBinaries, dir, err)
	}
	if b.Major, b.Version, err = parseVersion(string(out)); err != nil {
		return Binaries{}, fmt.Errorf("%w in %s: %w", ErrNoBinaries, dir, err)
	}
	if b.Major < MinMajor {
		return Binaries{}, fmt.Errorf("%w in %s: version %s is older than %d", ErrNoBinaries, dir, b.Version, MinMajor)
	}
	return b, nil
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) ((\d{1,4})[^\s]*)`)

// parseVersion reads what "postgres --version" prints, as in
// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "... 18beta1".
func parseVersion(line string) (major int, version string, err error) {
	m := versionLine.FindStringSubmatch(line)
	if m == nil {
		return 0, "", fmt.Errorf("reading the version from %.100q", line)
	}
	major, err = strconv.Atoi(m[2])
	return major, m[1], err
}
