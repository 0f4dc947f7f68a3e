package storetest

import (
	"testing"
)

// TestFilledAddsUp holds that what benches read is what the product would have
// kept: every sum equals its rows.
func TestFilledAddsUp(t *testing.T) {
	t.Parallel()
	dsn, org := Filled(t, 4000)
	db := OpenDSN(t, dsn)
	report, err := db.CheckNumbers(t.Context(), org.ID, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.Differences {
		t.Errorf("%+v", d)
	}
	for _, table := range []string{"receipts", "prompt_sessions", "commit_lines", "commit_owners", "added_runs", "live_runs", "live_cohorts", "removed_runs",
		"decisions", "violations", "pushed_days", "findings", "audit_log", "webhook_deliveries"} {
		if Column(t, db, `SELECT (count(*) > 0)::text FROM `+table)[0] != "true" {
			t.Errorf("%s is empty", table)
		}
	}
	if again, _ := Filled(t, 4000); again != dsn {
		t.Errorf("asked again, it is %s and not %s", again, dsn)
	}
}
