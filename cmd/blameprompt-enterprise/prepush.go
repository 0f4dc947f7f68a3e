package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// planPushed is the push that git tells its pre-push hook (githooks(5)).
func (c *checkout) planPushed(ctx context.Context, in io.Reader, remote, address string) (plan, error) {
	updates, err := readPrePush(in)
	if err != nil {
		return plan{}, err
	}
	p := plan{remote: remote, address: address, updates: updates}
	p.known, _ = c.known(remote, "")
	// What the remote says it has is newer than what was fetched.
	var claimed []gitcmd.OID
	for _, u := range updates {
		if !u.Old.IsZero() && !strings.HasPrefix(u.Ref, "refs/notes/") {
			claimed = append(claimed, u.Old)
		}
	}
	had, err := c.commitsHad(ctx, claimed)
	p.known = append(p.known, had...)
	return p, err
}

// commitsHad returns those of the ids that are commits here.
func (c *checkout) commitsHad(ctx context.Context, ids []gitcmd.OID) ([]gitcmd.OID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var asked strings.Builder
	for _, id := range ids {
		asked.WriteString(string(id) + "\n")
	}
	command := c.repo.Command(ctx, "cat-file", "--batch-check=%(objecttype)")
	command.Stdin = strings.NewReader(asked.String())
	out, err := command.Output(maxGitOutput)
	if err != nil {
		return nil, fmt.Errorf("looking for what the remote has: %w", err)
	}
	var had []gitcmd.OID
	i := 0
	for line := range strings.Lines(string(out)) {
		if i < len(ids) && line == "commit\n" {
			had = append(had, ids[i])
		}
		i++
	}
	return had, nil
}

// maxPrePushLine bounds a line: names of refs are far shorter.
const maxPrePushLine = 64 << 10

// readPrePush reads lines "<local ref> SP <local id> SP <remote ref> SP <remote
// id> LF". The local ref is as it was typed, which may hold blanks.
func readPrePush(in io.Reader) ([]hooks.Update, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxPrePushLine)
	var updates []hooks.Update
	for number := 1; lines.Scan(); number++ {
		update, err := parsePrePush(lines.Text())
		if err == nil && len(updates) == hooks.MaxUpdates {
			err = fmt.Errorf("more than %d refs", hooks.MaxUpdates)
		}
		if err != nil {
			return nil, fmt.Errorf("reading what git pushes, line %d: %w", number, err)
		}
		updates = append(updates, update)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading what git pushes: %w", err)
	}
	return updates, nil
}

func parsePrePush(line string) (hooks.Update, error) {
	fields := strings.Split(line, " ")
	if len(fields) < 4 {
		return hooks.Update{}, errors.New("it is not \"<local ref> <local id> <remote ref> <remote id>\"; is this the pre-push hook?")
	}
	last := fields[len(fields)-3:]
	from, err := gitcmd.ParseOID(last[0])
	if err != nil {
		return hooks.Update{}, err
	}
	to, err := gitcmd.ParseOID(last[2])
	if err != nil {
		return hooks.Update{}, err
	}
	return hooks.Update{Old: to, New: from, Ref: last[1]}, nil
}
