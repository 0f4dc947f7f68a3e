package live

import (
	"context"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Within returns where the lines of a file at tip come from that base does not
// reach: those that commits between the two added, ascending.
func Within(ctx context.Context, repo *gitcmd.Repo, base, tip gitcmd.OID, path string) ([]Run, error) {
	pieces, err := blame(ctx, repo, string(base)+".."+string(tip), path, nil)
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, p := range pieces {
		if !p.boundary {
			runs = append(runs, p.Run)
		}
	}
	return runs, nil
}
