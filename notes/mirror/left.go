package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// leftPrefix has the tips that branches left behind: without a ref git would
// drop their commits, and with them what their notes are about.
const leftPrefix = "refs/archive/heads/"

// KeepLeft keeps those of the tips that no branch reaches any more, as
// refs/archive/heads/<oid>. The mirror has them. Call it before anything forgets
// where the branches were.
func (m *Mirror) KeepLeft(ctx context.Context, tips []gitcmd.OID) error {
	if len(tips) == 0 {
		return nil
	}
	lock, err := m.acquire(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	repo, err := m.Repo()
	if err != nil {
		return err
	}
	left, err := unreached(ctx, repo.Holding(lock), tips)
	if err != nil {
		return fmt.Errorf("keeping what branches left: %w", damageOr(err))
	}
	updates := make([]gitcmd.RefUpdate, len(left))
	for i, oid := range left {
		updates[i] = gitcmd.RefUpdate{Name: leftPrefix + string(oid), New: oid}
	}
	if err := repo.Holding(lock).UpdateRefs(ctx, updates); err != nil {
		return fmt.Errorf("keeping what branches left: %w", damageOr(err))
	}
	return nil
}

// unreached returns those of the tips that no branch reaches.
func unreached(ctx context.Context, repo *gitcmd.Repo, tips []gitcmd.OID) ([]gitcmd.OID, error) {
	heads, err := repo.Refs(ctx, "refs/heads/")
	if err != nil {
		return nil, err
	}
	walk := gitcmd.Walk{Include: tips}
	for _, head := range heads {
		walk.Exclude = append(walk.Exclude, head.OID)
	}
	var left []gitcmd.OID
	err = repo.RevList(ctx, walk, func(oid gitcmd.OID, _ []gitcmd.OID) error {
		if slices.Contains(tips, oid) {
			left = append(left, oid)
		}
		return nil
	})
	return left, err
}

// Left returns the tips that branches left behind.
func (m *Mirror) Left(ctx context.Context) ([]gitcmd.OID, error) {
	repo, err := m.Repo()
	if err != nil {
		return nil, err
	}
	refs, err := repo.Refs(ctx, leftPrefix)
	if err != nil {
		return nil, err
	}
	var tips []gitcmd.OID
	for _, ref := range refs {
		if strings.TrimPrefix(ref.Name, leftPrefix) == string(ref.OID) {
			tips = append(tips, ref.OID)
		}
	}
	return tips, nil
}
