package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// TestSchedulesFollowTheCalendarOfTheirZone makes a schedule at a moment, looks
// once a moment later, and compares which periods were asked for.
func TestSchedulesFollowTheCalendarOfTheirZone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone       string
		every      store.Every
		made, look string
		want       []string
	}{
		"not over yet":            {"UTC", store.EveryMonth, "2026-03-10T12:00:00Z", "2026-03-31T23:59:59Z", nil},
		"over at midnight":        {"UTC", store.EveryMonth, "2026-03-10T12:00:00Z", "2026-04-01T00:00:00Z", []string{"2026-03-01/2026-03-31"}},
		"midnight is Athens'":     {"Europe/Athens", store.EveryMonth, "2026-03-10T12:00:00Z", "2026-03-31T21:00:00Z", []string{"2026-03-01/2026-03-31"}},
		"and not before":          {"Europe/Athens", store.EveryMonth, "2026-03-10T12:00:00Z", "2026-03-31T20:59:59Z", nil},
		"made on the next day":    {"Asia/Tokyo", store.EveryMonth, "2026-03-31T15:30:00Z", "2026-04-30T15:00:00Z", []string{"2026-04-01/2026-04-30"}},
		"weeks begin on Monday":   {"UTC", store.EveryWeek, "2026-03-08T12:00:00Z", "2026-03-16T00:00:00Z", []string{"2026-03-02/2026-03-08", "2026-03-09/2026-03-15"}},
		"quarters":                {"UTC", store.EveryQuarter, "2026-05-31T12:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-04-01/2026-06-30"}},
		"years":                   {"America/New_York", store.EveryYear, "2027-01-01T04:59:00Z", "2027-01-01T05:00:00Z", []string{"2026-01-01/2026-12-31"}},
		"missed ones are made up": {"UTC", store.EveryMonth, "2026-01-31T12:00:00Z", "2026-04-02T00:00:00Z", []string{"2026-01-01/2026-01-31", "2026-02-01/2026-02-28", "2026-03-01/2026-03-31"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := storetest.Open(t)
			org, err := db.CreateOrg(t.Context(), "acme", c.zone)
			if err != nil {
				t.Fatal(err)
			}
			made, err := db.CreateReportSchedule(t.Context(), access.CLI(org.ID), store.ReportSchedule{Type: "soc2", Format: "pdf", Paper: "A4",
				Every: c.every, Teams: []string{"web"}}, at(t, c.made))
			if err != nil {
				t.Fatal(err)
			}
			asked, err := db.AskForDueReports(t.Context(), at(t, c.look))
			if err != nil {
				t.Fatal(err)
			}
			rows, err := db.Reports(t.Context(), org.ID, nil, 10)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				got = append([]string{r.FirstDay.Format(time.DateOnly) + "/" + r.LastDay.Format(time.DateOnly)}, got...)
				if r.ScheduleID == nil || *r.ScheduleID != made.ID || r.CreatedBy != "daemon" || !cmp.Equal(r.Teams, []string{"web"}) {
					t.Errorf("asked for %+v", r)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || asked != len(c.want) {
				t.Errorf("asked for %d: %s", asked, diff)
			}
			if again, err := db.AskForDueReports(t.Context(), at(t, c.look)); again != 0 || err != nil {
				t.Errorf("a second look asks for %d more (%v)", again, err)
			}
		})
	}
}

// TestNoPeriodHasTwoReports lets eight look at once.
func TestNoPeriodHasTwoReports(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	_, err := db.CreateReportSchedule(t.Context(), access.CLI(org.ID), store.ReportSchedule{Type: "gdpr", Format: "md", Paper: "A4", Every: store.EveryWeek},
		at(t, "2026-01-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := db.AskForDueReports(t.Context(), at(t, "2026-03-02T00:00:00Z"))
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	rows, err := db.Reports(t.Context(), org.ID, nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		seen[fmt.Sprint(r.FirstDay)] = true
	}
	if len(rows) != 9 || len(seen) != 9 {
		t.Errorf("%d reports of %d weeks, want 9 of 9", len(rows), len(seen))
	}
}

func TestReportsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	for i := range 5 {
		err := db.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.CreateReport(t.Context(), access.CLI(org.ID), store.Report{Type: "gdpr", Format: "md", Paper: "A4",
				FirstDay: at(t, "2026-01-01T00:00:00Z"), LastDay: at(t, "2026-01-01T00:00:00Z").AddDate(0, 0, i)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var behind *store.ReportKey
	var days []int
	for range 3 {
		rows, err := db.Reports(t.Context(), org.ID, behind, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			days = append(days, r.LastDay.Day())
			behind = &store.ReportKey{At: r.CreatedAt, ID: r.ID}
		}
	}
	if diff := cmp.Diff([]int{5, 4, 3, 2, 1}, days); diff != "" {
		t.Error(diff)
	}
}
