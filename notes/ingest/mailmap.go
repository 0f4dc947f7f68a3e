package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mailmap"
	"github.com/blameprompt/enterprise/store"
)

// CodeMailmapTooLarge is the finding about a .mailmap that is not read.
const CodeMailmapTooLarge = "mailmap_too_large"

// takeMailmap takes in the .mailmap at the default branch's tip if it is another
// one than before.
func (g *Ingester) takeMailmap(ctx context.Context, git *gitcmd.Repo, row store.Repo) error {
	before, err := g.cfg.DB.MailmapBlob(ctx, row.OrgID, row.ID)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	blob, err := mailmapBlob(ctx, git, row.DefaultBranch)
	if err != nil || known && string(blob) == before {
		return err
	}
	taken := store.Mailmap{Blob: string(blob)}
	if blob != "" {
		if taken.Addresses, err = g.readMailmap(ctx, git, row, blob); err != nil {
			return err
		}
	}
	return g.cfg.DB.TakeMailmap(ctx, row.OrgID, row.ID, taken)
}

// mailmapBlob finds the file at the tip of a branch; it is empty where there is no
// branch or no file.
func mailmapBlob(ctx context.Context, git *gitcmd.Repo, branch string) (gitcmd.OID, error) {
	if branch == "" {
		return "", nil
	}
	tips, err := git.Tips(ctx, branch)
	if err != nil || tips[branch] == "" {
		return "", err
	}
	out, err := git.Command(ctx, "ls-tree", string(tips[branch]), "--", ".mailmap").Output(1 << 10)
	if err != nil {
		return "", fmt.Errorf("looking for a mailmap: %w", err)
	}
	// "100644 blob <id> TAB .mailmap"; git follows no link there, and neither do we.
	fields := strings.Fields(string(out))
	if len(fields) < 3 || !isFile(fields[0]) {
		return "", nil
	}
	return gitcmd.ParseOID(fields[2])
}

func (g *Ingester) readMailmap(ctx context.Context, git *gitcmd.Repo, row store.Repo, blob gitcmd.OID) (map[string]string, error) {
	reader := git.NewBatchReader(ctx)
	defer reader.Close()
	object, err := reader.Read(blob, mailmap.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("reading a mailmap: %w", err)
	}
	if object.Type == gitcmd.Missing {
		return nil, nil
	}
	if object.Data == nil {
		src := store.Source{Org: store.Org{ID: row.OrgID}, Repo: row, Ref: row.DefaultBranch}
		return nil, g.cfg.DB.RecordFaults(ctx, src, store.Fault{Finding: notes.Finding{Code: CodeMailmapTooLarge,
			Severity: notes.Warning, Where: ".mailmap",
			Message: fmt.Sprintf("The file .mailmap has %d bytes, more than %d, and was not read.", object.Size, mailmap.MaxSize)}})
	}
	return mailmap.Parse(object.Data).Addresses(), nil
}
