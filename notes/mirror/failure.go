package mirror

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// failures are the words by which git tells why a remote could not be read, of
// versions 2.35 to 2.51 and of OpenSSH 8 to 10, in the order in which they are
// looked for.
var failures = []struct {
	words *regexp.Regexp
	kind  error
}{
	{regexp.MustCompile(`mismatched algorithms|object format`), ErrFormat},
	{regexp.MustCompile(`returned error: 30\d|redirect`), ErrRefused},
	{regexp.MustCompile(`could not read (Username|Password)|Authentication failed|Permission denied|` +
		`Invalid username|returned error: (401|403|404|410)|[Rr]epository .*not found|not found:|` +
		`does not appear to be a git repository|is this a git repository|does not exist|[Aa]ccess denied`), ErrAccess},
	{regexp.MustCompile(`Could not resolve host|Failed to connect|Connection (refused|timed out|reset|closed)|` +
		`timed out|returned error: (429|5\d\d)|SSL|certificate|Host key verification failed|No route to host|` +
		`Network is unreachable|kex_exchange|Operation too slow|Empty reply|unable to access`), ErrUnreachable},
}

// damage speaks with the same words whether it is here or at the remote, so
// that one has to look.
var damage = regexp.MustCompile(`corrupt|bad object|did not send all necessary objects|` +
	`(index-pack|unpack-objects) (died|failed)|unresolved delta|missing (blob|tree|commit|necessary)|pack has`)

// explain gives an error of a command that talked to the remote its sentinel.
func explain(ctx context.Context, repo *gitcmd.Repo, err error) error {
	var failed *gitcmd.Error
	if ctx.Err() != nil || !errors.As(err, &failed) || failed.ExitCode <= 0 {
		return err
	}
	if errors.Is(err, gitcmd.ErrMissingObject) || damage.MatchString(failed.Stderr) {
		if found := verify(ctx, repo); errors.Is(found, ErrDamaged) {
			return fmt.Errorf("%w; git %s said: %w", found, failed.Args[0], err)
		}
		return fmt.Errorf("%w: %w", ErrRemote, err)
	}
	for _, failure := range failures {
		if failure.words.MatchString(failed.Stderr) {
			if failure.kind == ErrRefused {
				return refuse("it redirects elsewhere: register the address that it redirects to (%v)", err)
			}
			return fmt.Errorf("%w: %w", failure.kind, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrRemote, err)
}
