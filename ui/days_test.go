package ui

import (
	"html"
	"net/http"
	"regexp"
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

// figure finds, in the markup of one figure, where its rows are, its value, and what stands
// beside it.
var figure = regexp.MustCompile(`(?s)<dt>(?:<a [^>]*>)?([^<]*).*?<dd class="value"><a href="([^"]*)">([^<]*)</a>.*?(?:<dd class="beside">([^<]*)</dd>|</div>)`)

// A figure is that many rows where it leads to, and the same wherever a page shows
// it of the same days.
func TestFiguresLeadToTheRowsThatTheyCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.fetchRepo()
	team, err := w.db.CreateTeam(t.Context(), access.CLI(w.org.ID), "<core> & more")
	if err != nil {
		t.Fatal(err)
	}
	b := w.person(w.org, "ada@example.com", access.RoleViewer)
	if _, err := w.db.SetTeamMember(t.Context(), access.CLI(w.org.ID), team.ID, "ada@example.com", access.RoleMember); err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[string]string{}
	for _, path := range []string{"/", "/coverage", "/repositories/" + repo.ID.String(), "/teams/" + team.ID.String()} {
		seen[path] = map[string]string{}
		for _, part := range strings.Split(b.get(path+"?days=365").want(http.StatusOK).body, `<div class="figure">`)[1:] {
			f := figure.FindStringSubmatch(part)
			if f == nil {
				continue
			}
			name, rows, value, beside := f[1], html.UnescapeString(f[2]), f[3], f[4]
			seen[path][name] = value
			switch name {
			case "Receipts":
				csv := b.get(strings.Replace(rows, "/receipts", "/receipts.csv", 1)).want(http.StatusOK)
				if got := count(strings.Count(csv.body, "\n") - 1); got != value {
					t.Errorf("%s: %s receipts lead to %s", path, value, got)
				}
				if list := b.get(rows).body; !strings.Contains(rows, "repo=") && !strings.Contains(list, ">"+value+" receipts</a>") {
					t.Errorf("%s: the list at %s does not say that it has %s receipts", path, rows, value)
				}
			case "Coverage":
				noted, _, _ := strings.Cut(beside, " of ")
				list := b.get(rows).want(http.StatusOK).body
				if got := count(strings.Count(list, `<td class="bar-cell">`)); got != noted || !strings.Contains(list, ">"+noted+" commits</a>") {
					t.Errorf("%s: %s lead to %s commits, or to a list that does not say so", path, beside, got)
				}
			}
		}
	}
	for _, path := range []string{"/", "/repositories/" + repo.ID.String()} {
		for name, want := range map[string]string{"Receipts": "1", "AI share of added lines": "28.6 %", "Coverage": "50.0 %", "Live AI share": "28.6 %"} {
			if got := seen[path][name]; got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
	b.get("/repositories").want(http.StatusOK).says("of the last 30 days")
}
