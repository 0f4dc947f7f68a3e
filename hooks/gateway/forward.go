package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// remoteAnswer is what a remote said to a push.
type remoteAnswer struct {
	refused bool
	// lines are its words, and then those of git about refs that it refused.
	lines []string
}

// The bounds of a push that is forwarded.
const (
	// maxForwarded refs fit into a command line.
	maxForwarded  = 2000
	maxRemoteText = 1 << 20
	maxRemoteWord = 500
)

// checkForwarded refuses what a remote would not keep as it is here. The error
// is for the pusher.
func checkForwarded(updates []hooks.Update, merged []string) error {
	forwarded := 0
	for _, u := range updates {
		switch {
		case slices.Contains(merged, u.Ref) && u.New.IsZero():
			return fmt.Errorf("%s cannot be deleted here", u.Ref)
		case slices.Contains(merged, u.Ref):
		case !slices.ContainsFunc(fetchedRefs, func(kind string) bool { return strings.HasPrefix(u.Ref, "refs/"+kind) }):
			return fmt.Errorf("%.200s is neither a branch nor a tag nor notes, and nothing else is forwarded", u.Ref)
		default:
			forwarded++
		}
	}
	if forwarded > maxForwarded {
		return fmt.Errorf("it updates %d refs, and at most %d are forwarded at once", forwarded, maxForwarded)
	}
	return nil
}

// forward pushes to the remote what a session has in quarantine: all of it or
// nothing. Each ref must be there as it is here, so that nothing that others
// did is overwritten unseen. The error says why the remote could not be asked.
func (r *Repos) forward(ctx context.Context, row store.Repo, repo *gitcmd.Repo, objects string, updates []hooks.Update,
	options []string) (remoteAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.PushTimeout)
	defer cancel()
	var answer remoteAnswer
	err := r.linked(ctx, row, func(link *mirror.Link, url string) error {
		c := link.Command(ctx, repo, pushArguments(url, updates, options)...)
		if objects != "" {
			// Not GIT_QUARANTINE_PATH: a remote on this disk would take itself for being
			// in quarantine.
			c.Env = append(slices.Clone(c.Env), "GIT_OBJECT_DIRECTORY="+objects,
				"GIT_ALTERNATE_OBJECT_DIRECTORIES="+filepath.Join(repo.Dir(), "objects"))
		}
		var err error
		answer, err = readPush(c)
		if err == nil && answer.refused {
			return nil
		}
		return link.Judge(ctx, repo, err)
	})
	return answer, err
}

// pushArguments are those of git push for updates, all of which happen or none.
func pushArguments(url string, updates []hooks.Update, options []string) []string {
	args := []string{"push", "--porcelain", "--no-verify"}
	if len(updates) > 1 {
		args = append(args, "--atomic")
	}
	for _, option := range options {
		if !strings.HasPrefix(option, "blameprompt.") {
			args = append(args, "--push-option="+option)
		}
	}
	var refspecs []string
	for _, u := range updates {
		lease, source := string(u.Old), string(u.New)
		if u.Old.IsZero() {
			lease = ""
		}
		if u.New.IsZero() {
			source = ""
		}
		args = append(args, "--force-with-lease="+u.Ref+":"+lease)
		refspecs = append(refspecs, source+":"+u.Ref)
	}
	return append(append(args, "--", url), refspecs...)
}

// readPush runs git push --porcelain. It is no error when the remote refused.
func readPush(c *gitcmd.Command) (remoteAnswer, error) {
	var answer remoteAnswer
	c.OnStderr = func(line string) {
		// With these begins what comes from the remote.
		if words, ok := strings.CutPrefix(line, "remote: "); ok && len(answer.lines) < maxRemoteWord {
			answer.lines = append(answer.lines, strings.TrimRight(words, " \r"))
		}
	}
	var told []byte
	err := c.Stream(func(out io.Reader) (err error) {
		told, err = io.ReadAll(io.LimitReader(out, maxRemoteText))
		return err
	})
	for line := range strings.Lines(string(told)) {
		// "!" TAB <from>:<to> TAB <summary> (<reason>), see git-push(1).
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) == 3 && fields[0] == "!" {
			answer.refused = true
			_, ref, _ := strings.Cut(fields[1], ":")
			answer.lines = append(answer.lines, "! "+shortRef(ref)+" "+explainRefusal(fields[2]))
		}
	}
	var failed *gitcmd.Error
	if answer.refused && errors.As(err, &failed) && failed.ExitCode > 0 {
		return answer, nil
	}
	return answer, err
}

func shortRef(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/")
}

// explainRefusal says in a pusher's words what a lease is.
func explainRefusal(summary string) string {
	if strings.Contains(summary, "stale info") {
		return "[rejected] (it has moved there meanwhile: fetch, then push again)"
	}
	return summary
}

// errQuarantine says that a hook speaks of objects that are not its
// repository's.
var errQuarantine = errors.New("not a quarantine of the repository")

// checkQuarantine makes sure that a session speaks of its own repository. Pushes
// that only delete have no objects.
func checkQuarantine(repo *gitcmd.Repo, objects string) error {
	if objects == "" {
		return nil
	}
	mine, err := os.Stat(filepath.Join(repo.Dir(), "objects"))
	if err != nil {
		return err
	}
	above, err := os.Stat(filepath.Dir(objects))
	if err != nil || !os.SameFile(mine, above) || !strings.HasPrefix(filepath.Base(objects), quarantinePrefix) {
		return fmt.Errorf("%.200q: %w", objects, errors.Join(errQuarantine, err))
	}
	return nil
}
