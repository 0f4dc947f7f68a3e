package ui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// The days of a filter are those that sums are kept by, the organisation's,
// wherever the browser is: else a figure leads to other rows than it counts. Times
// of rows are the browser's all the same.
func TestDaysAreThoseOfTheOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := "America/Los_Angeles"
	if _, err := w.db.UpdateOrg(t.Context(), access.CLI(w.org.ID), store.OrgChange{TimeZone: &zone}); err != nil {
		t.Fatal(err)
	}
	// The receipt and the commit are of 3 in the morning of the second day in UTC,
	// which is the evening of the first day there, and the late second day in Kiritimati.
	repo := w.fetchRepo()
	finding := push.Finding{PolicyID: "6f0ea27c-77f5-4a0d-92b5-6a4c02f0c0b4", PolicyName: "models", Version: 1, Outcome: push.Refuse, Commit: string(repo.commit)}
	storetest.MustDecision(t, w.db, w.org, storetest.Decision{At: time.Date(2026, 1, 2, 3, 1, 0, 0, time.UTC), Repo: repo.Repo, Pusher: "bob@example.com",
		Verdict: push.Verdict{Outcome: push.Refuse, Findings: []push.Finding{finding}}})
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	b.header.Set("Cookie", zoneCookie+"=Pacific%2FKiritimati")
	for list, row := range map[string]string{"/receipts": "/receipts/r-real", "/receipts.csv": "r-real", "/receipts.json": "r-real",
		"/enforcement": "bob@example.com", "/enforcement/violations": "bob@example.com"} {
		for day, there := range map[string]bool{"2026-01-01": true, "2026-01-02": false} {
			got := b.get(list + "?from=" + day + "&to=" + day).want(http.StatusOK)
			if strings.Contains(got.body, row) != there {
				t.Errorf("%s of %s has the row: %t, want %t", list, day, !there, there)
			}
		}
	}
	b.get("/receipts").says("America/Los_Angeles").says("2 Jan 2026, 17:01:00")
}
