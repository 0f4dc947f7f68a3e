package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes/secrets"
)

// NewCommit is what a commit of a branch says about itself.
type NewCommit struct {
	Commit                        string
	Parents                       []string
	AuthorName, AuthorEmail       string
	AuthoredAt                    time.Time
	CommitterName, CommitterEmail string
	CommittedAt                   time.Time
	Subject                       string
	// Agents is a JSON array of the signs of AI tools, nil when there are none.
	Agents json.RawMessage
	// Bot is what the built-in list says; rules of the organisation may say otherwise.
	Bot bool
	// CoAuthors are the addresses that the message names as co-authors.
	CoAuthors []string
}

// BranchTips are the tips of branches whose commits were taken in, by ref.
func (db *DB) BranchTips(ctx context.Context, org, repo uuid.UUID) (map[string]string, error) {
	rows, err := db.pool.Query(ctx, `SELECT ref, tip FROM branch_refs WHERE org_id = $1 AND repo_id = $2`, org, repo)
	if err != nil {
		return nil, translate(err, "listing branch tips")
	}
	tips := map[string]string{}
	var ref, tip string
	_, err = pgx.ForEachRow(rows, []any{&ref, &tip}, func() error {
		tips[ref] = tip
		return nil
	})
	return tips, translate(err, "listing branch tips")
}

// TakeBranches stores the commits that walk hands to add, in batches, and then
// that these tips were taken in; all of it or nothing. Commits that are there
// already stay as they are: a commit never changes.
func (db *DB) TakeBranches(ctx context.Context, org, repo uuid.UUID, tips map[string]string,
	walk func(add func([]NewCommit) error) error) error {
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `CREATE TEMP TABLE IF NOT EXISTS stage_commits ON COMMIT DELETE ROWS AS
			SELECT * FROM commits WITH NO DATA`)
		if err != nil {
			return translate(err, "making a staging table")
		}
		if err := walk(func(batch []NewCommit) error { return tx.stageCommits(ctx, org, repo, batch) }); err != nil {
			return err
		}
		for _, step := range []struct{ op, sql string }{
			{"telling bots from people", `UPDATE stage_commits SET bot = NOT bot
				WHERE EXISTS (SELECT FROM bot_rules r WHERE r.org_id = stage_commits.org_id) AND is_bot(org_id, author_name, author_email, bot) <> bot`},
			{"measuring commits", `ANALYZE pg_temp.stage_commits (commit)`},
			{"adding commits", `INSERT INTO commits SELECT DISTINCT ON (commit) * FROM stage_commits ORDER BY commit ON CONFLICT DO NOTHING`},
			{"noting claims to check", sqlClaimsOfCommits},
		} {
			if _, err := tx.Exec(ctx, step.sql); err != nil {
				return translate(err, "%s", step.op)
			}
		}
		return tx.setBranchTips(ctx, org, repo, tips)
	})
}

func (tx *Tx) stageCommits(ctx context.Context, org, repo uuid.UUID, batch []NewCommit) error {
	erased, err := erasedPeople(ctx, tx, tx.sealer, org)
	if err != nil {
		return err
	}
	rows := make([][]any, len(batch))
	for i, c := range batch {
		author, authorEmail := erased.person(clean(c.AuthorName), clean(c.AuthorEmail))
		committer, committerEmail := erased.person(clean(c.CommitterName), clean(c.CommitterEmail))
		subject, _ := secrets.Default().Mask(erased.text(clean(c.Subject)))
		rows[i] = []any{org, repo, c.Commit, c.Parents, author, authorEmail, c.AuthoredAt, committer, committerEmail, c.CommittedAt,
			subject, nullJSON(c.Agents), c.Bot, erased.texts(cleanAll(c.CoAuthors))}
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", "stage_commits"}, []string{"org_id", "repo_id", "commit", "parents",
		"author_name", "author_email", "authored_at", "committer_name", "committer_email", "committed_at", "subject",
		"agents", "bot", "co_authors"}, pgx.CopyFromRows(rows))
	return translate(err, "copying commits")
}

// cleanAll is never nil: co-authors were looked for.
func cleanAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = strings.ToLower(clean(text))
	}
	return out
}

func (tx *Tx) setBranchTips(ctx context.Context, org, repo uuid.UUID, tips map[string]string) error {
	refs, oids := make([]string, 0, len(tips)), make([]string, 0, len(tips))
	for ref, oid := range tips {
		refs, oids = append(refs, ref), append(oids, oid)
	}
	_, err := tx.Exec(ctx, `DELETE FROM branch_refs WHERE org_id = $1 AND repo_id = $2 AND ref <> ALL($3::text[])`, org, repo, refs)
	if err != nil {
		return translate(err, "forgetting branches")
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO branch_refs AS b (org_id, repo_id, ref, tip)
		SELECT $1, $2, ref, tip FROM unnest($3::text[], $4::text[]) AS t (ref, tip) ORDER BY ref
		ON CONFLICT (org_id, repo_id, ref) DO UPDATE SET tip = excluded.tip, updated_at = now() WHERE b.tip <> excluded.tip`,
		org, repo, refs, oids)
	return translate(err, "noting branch tips")
}
