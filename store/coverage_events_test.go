package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	filters := map[string]store.AnalyticsFilter{
		"all": {}, "90 days": {From: today.AddDate(0, 0, -90), To: today}, "a repository": {Repos: []uuid.UUID{repo}}, "people": {Emails: who},
	}
	first := eventsAgree(t, db, org.ID, filters)
	if err := db.NoteLate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if late := storetest.Column(t, db, `SELECT count(*)::text FROM late_noted`)[0]; late == "0" {
		t.Error("no note came late, which proves little")
	}
	if diff := cmp.Diff(first, eventsAgree(t, db, org.ID, filters)); diff != "" {
		t.Errorf("looking for late notes changed what is counted (-before +after):\n%s", diff)
	}
	// Notes come and go after the look, and are counted before and after the next.
	exec(t, db, `UPDATE commit_lines SET noted = NOT noted, revision = nextval('line_revisions') WHERE org_id = $1 AND hashtext(commit) % 7 = 0`, org.ID)
	changed := eventsAgree(t, db, org.ID, filters)
	if cmp.Equal(first, changed) {
		t.Error("that notes come and go changes nothing")
	}
	if err := db.NoteLate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(changed, eventsAgree(t, db, org.ID, filters)); diff != "" {
		t.Errorf("the second look changed what is counted (-before +after):\n%s", diff)
	}
	lateNotesAddUp(t, db, org.ID, true)
	exec(t, db, `DELETE FROM late_noted WHERE commit IN (SELECT commit FROM late_noted ORDER BY commit LIMIT 1)`)
	lateNotesAddUp(t, db, org.ID, false)
}

// lateNotesAddUp wants the check of all sums to find late notes as they should be, or
// not.
func lateNotesAddUp(t *testing.T, db *store.DB, org uuid.UUID, want bool) {
	t.Helper()
	report, err := db.CheckNumbers(t.Context(), org, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := !slices.ContainsFunc(report.Differences, func(d store.NumberDifference) bool { return d.Table == "late_noted" })
	if got != want {
		t.Errorf("late notes add up: %t, want %t: %+v", got, want, report.Differences)
	}
}

// eventsAgree compares what is counted with what is listed, and returns the counts.
func eventsAgree(t *testing.T, db *store.DB, org uuid.UUID, filters map[string]store.AnalyticsFilter) map[string]store.CoverageEvents {
	t.Helper()
	out := map[string]store.CoverageEvents{}
	for name, f := range filters {
		got, err := db.CoverageEvents(t.Context(), org, f)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = got
		for _, kind := range store.EventKinds {
			rows, err := db.Events(t.Context(), org, f, kind, nil, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			if got[kind] != int64(len(rows)) {
				t.Errorf("%s: %d events %s are counted, %d listed", name, got[kind], kind, len(rows))
			}
		}
		if push, without := got[store.EventPush], got[store.EventPushWithoutNotes]; without == 0 || without >= push {
			t.Errorf("%s: %d of %d pushes came without notes, which proves little", name, without, push)
		}
	}
	return out
}

// A commit whose lines were classified before a push brought it once more is found
// among the pushes of the last hour.
func TestNotesThatWereThereBeforeThePushAreFound(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.FillHistory(t, db.Pool(), org.ID, 1000)
	if err := db.NoteLate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	count := func() int64 {
		got, err := db.CoverageEvents(t.Context(), org.ID, store.AnalyticsFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return got[store.EventPushWithoutNotes]
	}
	before := count()
	exec(t, db, `UPDATE pushed_commits p SET noted = false, pushed_at = now() FROM commit_lines l
		WHERE p.org_id = $1 AND l.org_id = p.org_id AND l.repo_id = p.repo_id AND l.commit = p.commit AND l.noted`, org.ID)
	if got := count(); got <= before {
		t.Fatalf("%d pushes without notes, and %d before their notes were forgotten", got, before)
	}
	if err := db.NoteLate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != before {
		t.Errorf("%d pushes without notes, want %d", got, before)
	}
}
