package pglocal

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// majorVersionError tells how to bring a cluster of major version made to the
// installed one, or that this cannot be done.
func (c *Cluster) majorVersionError(ctx context.Context, made int) error {
	intro := fmt.Sprintf("%s was made by PostgreSQL %d, the programs in %s are %s",
		c.paths.data, made, c.bin.Dir, c.bin.Version)
	if made > c.bin.Major {
		return fmt.Errorf("%w: %s, which is older: install PostgreSQL %d's server", ErrMajorVersion, intro, made)
	}
	old := fmt.Sprintf("/usr/lib/postgresql/%d/bin", made)
	for _, b := range searchBinaries(ctx, binaryDirs()) {
		if b.Major == made {
			old = b.Dir
		}
	}
	return fmt.Errorf("%w: %s.\nEither install PostgreSQL %d's server beside it, which is then used, "+
		"or upgrade the data, with both versions' servers installed and the daemon stopped:\n%s",
		ErrMajorVersion, intro, made, c.upgradeCommands(made, old))
}

// upgradeCommands is a shell script. pg_upgrade leaves its logs in the new
// cluster, the old one stays until somebody removes it.
func (c *Cluster) upgradeCommands(made int, old string) string {
	as := ""
	if c.owner.other {
		as = "runuser -u " + shellQuote(c.owner.name) + " -- "
	}
	data, next, before := c.paths.data, c.paths.data+".new", fmt.Sprintf("%s.%d", c.paths.data, made)
	initdb := append([]string{shellQuote(c.bin.Path("initdb"))}, initdbArgs...)
	initdb[len(initdb)-1] = "--auth=trust"
	lines := []string{
		fmt.Sprintf("install -d -m 700 -o %s %s", shellQuote(c.owner.name), shellQuote(next)),
		as + strings.Join(initdb, " ") + " --pgdata=" + shellQuote(next),
		fmt.Sprintf("cd %s && %s%s --username=%s --old-bindir=%s --new-bindir=%s --old-datadir=%s --new-datadir=%s",
			shellQuote(next), as, shellQuote(c.bin.Path("pg_upgrade")), Superuser,
			shellQuote(old), shellQuote(c.bin.Dir), shellQuote(data), shellQuote(next)),
		fmt.Sprintf("cd %s && mv %s %s && mv %s %s", shellQuote(filepath.Dir(data)),
			shellQuote(data), shellQuote(before), shellQuote(next), shellQuote(data)),
	}
	return "  " + strings.Join(lines, "\n  ")
}

var shellPlain = regexp.MustCompile(`^[A-Za-z0-9/._+@:-]+$`)

func shellQuote(s string) string {
	if shellPlain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
