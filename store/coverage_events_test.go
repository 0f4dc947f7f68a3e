package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// What is counted of events is what is listed of them, also where pushes have
// several commits, of bots and of people, with notes and without.
func TestEventsAreCountedAsTheyAreListed(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.FillHistory(t, db.Pool(), org.ID, 3000)
	for _, sql := range []string{
		// Four pushes become one, here and there, and the notes of some come later.
		`UPDATE pushed_commits p SET decision_id = (SELECT min(x.decision_id::text)::uuid FROM pushed_commits x WHERE x.day = p.day AND x.repo_id = p.repo_id),
			noted = noted AND hashtext(commit) % 3 = 0 WHERE org_id = $1 AND hashtext(repo_id::text) % 2 = 0`,
		`UPDATE commit_lines SET bot = hashtext(commit) % 4 = 0, noted = hashtext(commit) % 5 < 2 WHERE org_id = $1`,
	} {
		if _, err := db.Pool().Exec(t.Context(), sql, org.ID); err != nil {
			t.Fatal(err)
		}
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	repo := uuid.MustParse(storetest.Column(t, db, `SELECT repo_id::text FROM pushed_commits GROUP BY repo_id ORDER BY count(*) DESC LIMIT 1`)[0])
	who := storetest.Column(t, db, `SELECT author_email FROM pushed_commits GROUP BY 1 ORDER BY count(*) DESC LIMIT 60`)
	for name, f := range map[string]store.AnalyticsFilter{
		"all": {}, "90 days": {From: today.AddDate(0, 0, -90), To: today}, "a repository": {Repos: []uuid.UUID{repo}}, "people": {Emails: who},
	} {
		got, err := db.Coverage(t.Context(), org.ID, f, 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range store.EventKinds {
			rows, err := db.Events(t.Context(), org.ID, f, kind, nil, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			if got.Events[kind] != int64(len(rows)) {
				t.Errorf("%s: %d events %s are counted, %d listed", name, got.Events[kind], kind, len(rows))
			}
		}
		if push, without := got.Events[store.EventPush], got.Events[store.EventPushWithoutNotes]; without == 0 || without >= push {
			t.Errorf("%s: %d of %d pushes came without notes, which proves little", name, without, push)
		}
	}
}
