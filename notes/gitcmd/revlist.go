package gitcmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Walk says which commits RevList shows: those that Include reaches and Exclude
// does not.
type Walk struct {
	Include, Exclude []OID
	// Topo shows children before their parents, whatever their times say, for
	// which git reads the whole range first. Else the newest commits come first
	// and the walk begins at once.
	Topo bool
	// FirstParent follows only the first parent of merges.
	FirstParent bool
	// Limit is the largest number of commits; zero is no limit.
	Limit int
}

func (w *Walk) arguments() []string {
	args := []string{"rev-list", "--stdin", "--parents"}
	if w.Topo {
		args = append(args, "--topo-order")
	}
	if w.FirstParent {
		args = append(args, "--first-parent")
	}
	if w.Limit > 0 {
		args = append(args, "--max-count="+strconv.Itoa(w.Limit))
	}
	return args
}

// RevList hands commits and their parents to fn, and nothing else about them.
// An error of fn ends the walk and is returned as it is. ErrMissingObject means
// that history is incomplete.
func (r *Repo) RevList(ctx context.Context, w Walk, fn func(commit OID, parents []OID) error) error {
	if len(w.Include) == 0 {
		return nil
	}
	revisions, err := writeRevisions(w.Include, w.Exclude)
	if err != nil {
		return fmt.Errorf("listing commits: %w", err)
	}
	c := r.Command(ctx, w.arguments()...)
	c.Stdin = strings.NewReader(revisions)
	err = c.Stream(func(out io.Reader) error { return readRevList(out, fn) })
	return unwrapCallback(err, "listing commits of "+r.dir)
}

// readRevList reads "<commit>[ <parent>]... LF".
func readRevList(out io.Reader, fn func(OID, []OID) error) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 65*maxParents)
	for lines.Scan() {
		oids, err := parseOIDs(strings.Split(lines.Text(), " "))
		if err != nil {
			return err
		}
		if err := fn(oids[0], oids[1:]); err != nil {
			return callbackError{err}
		}
	}
	return lines.Err()
}
